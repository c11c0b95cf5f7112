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
mod books;
pub mod coin;
mod constructor;
mod deployment;
pub mod layout;
mod revert;
pub mod standard;
pub mod storage;

pub use alloy_primitives::U256;
pub use alloy_sol_types;
pub use bindings::{
    BitcoinLightClient, Bridge, Deposits, Federation, IBitcoinLightClient, IBridge, IDeposits, IFederation,
    IMicroChannel, IVault, MicroChannel, SigningBoard, Vault, WrappedBtc, bridge, deposits, federation, light_client,
    micro_channel, signing_board, vault, wrapped_btc,
};
pub use books::Books;
pub use constructor::{
    CloseGrace, FederationArguments, LightClientArguments, MemberArguments, bridge_arguments, creation_code,
    deposits_arguments, micro_channel_arguments, signing_board_arguments, vault_arguments, wrapped_btc_arguments,
};
pub use deployment::{Contract, address};
pub use revert::explain_revert;
