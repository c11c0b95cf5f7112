//! Bindings made from the committed artifacts, one module for each contract.

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

/// `SigningBoard`: the federation's ordered bulletin board, which counts approvals of proposals.
pub mod signing_board {
    alloy_sol_types::sol!(
        #[derive(Debug, PartialEq, Eq)]
        SigningBoard,
        "artifacts/SigningBoard.json"
    );
}

/// `Bridge`: coins, books, withdrawals, limits. Structs of its interface are in `IBridge`.
pub mod bridge {
    alloy_sol_types::sol!(
        #[derive(Debug, PartialEq, Eq)]
        Bridge,
        "artifacts/Bridge.json"
    );
}

/// `Vault`: vault transactions and their outputs. Structs of its interface are in `IVault`.
pub mod vault {
    alloy_sol_types::sol!(
        #[derive(Debug, PartialEq, Eq)]
        Vault,
        "artifacts/Vault.json"
    );
}

/// `Deposits`: which outputs on Bitcoin are deposits, and what became of each. Structs of its interface are in `IDeposits`.
#[allow(clippy::too_many_arguments, reason = "the event DepositProven has nine, and its constructor is made of them")]
pub mod deposits {
    alloy_sol_types::sol!(
        #[derive(Debug, PartialEq, Eq)]
        Deposits,
        "artifacts/Deposits.json"
    );
}

/// `MicroChannel`: micropayments in the coin and in tokens. Structs of its interface are in `IMicroChannel`.
#[allow(clippy::too_many_arguments, reason = "the draft's openWithAuthorization has fourteen")]
pub mod micro_channel {
    alloy_sol_types::sol!(
        #[derive(Debug, PartialEq, Eq)]
        MicroChannel,
        "artifacts/MicroChannel.json"
    );
}

/// `WrappedBtc`: the native coin as a token.
#[allow(clippy::too_many_arguments, reason = "EIP-3009 has functions with nine")]
pub mod wrapped_btc {
    alloy_sol_types::sol!(
        #[derive(Debug, PartialEq, Eq)]
        WrappedBtc,
        "artifacts/WrappedBtc.json"
    );
}

pub use bridge::{Bridge, IBridge};
pub use deposits::{Deposits, IDeposits};
pub use federation::{Federation, IFederation};
pub use light_client::{BitcoinLightClient, IBitcoinLightClient};
pub use micro_channel::{IMicroChannel, MicroChannel};
pub use signing_board::SigningBoard;
pub use vault::{IVault, Vault};
pub use wrapped_btc::WrappedBtc;
