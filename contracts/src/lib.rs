//! The Solidity contracts as Rust sees them: bindings made from the committed artifacts, where genesis puts each contract, and
//! what it is created with.
//!
//! `contracts/build.mjs` makes the artifacts; nothing here compiles Solidity. Everything is pure.
//!
//! ```
//! use contracts::{Bridge, Contract, alloy_sol_types::SolCall};
//! let call = Bridge::cancelCall { id: contracts::U256::from(7) }.abi_encode();
//! assert_eq!(call.len(), 4 + 32);
//! assert_eq!(Contract::Bridge.address(), contracts::address::BRIDGE);
//! ```

pub mod coin;
mod constructor;
mod ledger;
mod revert;

pub use alloy_primitives::U256;
pub use alloy_sol_types;
pub use constructor::{
    BridgeArguments, FederationArguments, LightClientArguments, MemberArguments, TierArguments, creation_code,
    signing_board_arguments,
};
pub use ledger::Ledger;
pub use revert::explain_revert;

/// `BitcoinLightClient`: headers, work, best chain, inclusion proofs. Structs of its interface are in `IBitcoinLightClient`.
pub mod light_client {
    alloy_sol_types::sol!(
        #[derive(Debug, PartialEq, Eq)]
        BitcoinLightClient,
        "artifacts/BitcoinLightClient.json"
    );
}

/// `Federation`: members, threshold, epochs, group keys. Structs of its interface are in `IFederation`.
pub mod federation {
    alloy_sol_types::sol!(
        #[derive(Debug, PartialEq, Eq)]
        Federation,
        "artifacts/Federation.json"
    );
}

/// `SigningBoard`: the federation's ordered bulletin board.
pub mod signing_board {
    alloy_sol_types::sol!(
        #[derive(Debug, PartialEq, Eq)]
        SigningBoard,
        "artifacts/SigningBoard.json"
    );
}

/// `Bridge`: the ledger. Structs of its interface are in `IBridge`.
pub mod bridge {
    alloy_sol_types::sol!(
        #[derive(Debug, PartialEq, Eq)]
        Bridge,
        "artifacts/Bridge.json"
    );
}

/// `MicroChannel`: micropayments in the native coin. Structs of its interface are in `IMicroChannel`.
pub mod micro_channel {
    alloy_sol_types::sol!(
        #[derive(Debug, PartialEq, Eq)]
        MicroChannel,
        "artifacts/MicroChannel.json"
    );
}

pub use bridge::{Bridge, IBridge};
pub use federation::{Federation, IFederation};
pub use light_client::{BitcoinLightClient, IBitcoinLightClient};
pub use micro_channel::{IMicroChannel, MicroChannel};
pub use signing_board::SigningBoard;

/// Where genesis puts the contracts.
pub mod address {
    use alloy_primitives::{Address, address};

    pub const LIGHT_CLIENT: Address = address!("CA05000000000000000000000000000000000001");
    pub const FEDERATION: Address = address!("CA05000000000000000000000000000000000002");
    pub const SIGNING_BOARD: Address = address!("CA05000000000000000000000000000000000003");
    pub const BRIDGE: Address = address!("CA05000000000000000000000000000000000004");
    pub const MICRO_CHANNEL: Address = address!("CA05000000000000000000000000000000000005");
}

/// The predeployed contracts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Contract {
    LightClient,
    Federation,
    SigningBoard,
    Bridge,
    MicroChannel,
}

impl Contract {
    /// In the order of their deployment: constructors may call those before.
    pub const ALL: [Self; 5] =
        [Self::LightClient, Self::Federation, Self::SigningBoard, Self::Bridge, Self::MicroChannel];

    pub const fn address(self) -> alloy_primitives::Address {
        match self {
            Self::LightClient => address::LIGHT_CLIENT,
            Self::Federation => address::FEDERATION,
            Self::SigningBoard => address::SIGNING_BOARD,
            Self::Bridge => address::BRIDGE,
            Self::MicroChannel => address::MICRO_CHANNEL,
        }
    }
}
