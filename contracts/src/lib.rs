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

mod bindings;
pub mod coin;
mod constructor;
mod deployment;
mod ledger;
mod revert;
pub mod standard;

pub use alloy_primitives::U256;
pub use alloy_sol_types;
pub use bindings::{
    BitcoinLightClient, Bridge, Federation, IBitcoinLightClient, IBridge, IFederation, IMicroChannel, MicroChannel,
    SigningBoard, bridge, federation, light_client, micro_channel, signing_board,
};
pub use constructor::{
    BridgeArguments, FederationArguments, LightClientArguments, MemberArguments, TierArguments, creation_code,
    micro_channel_arguments, signing_board_arguments,
};
pub use deployment::{Contract, address};
pub use ledger::Ledger;
pub use revert::explain_revert;
