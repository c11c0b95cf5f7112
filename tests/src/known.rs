//! Accounts, addresses and keys that tests name. Their secrets are not needed, or known to everybody.

use alloy_primitives::{Address, B256, address, b256};

/// Developer accounts 0 and 1 (`--dev-account`), of the mnemonic `test test ... junk`.
pub const DEVELOPER_0: Address = address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
pub const DEVELOPER_1: Address = address!("70997970C51812dc3A010C7d01b50e0d17dc79C8");
/// The key of developer account 0.
pub const DEVELOPER_0_KEY: B256 = b256!("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80");

/// The key of developer account 1.
pub const DEVELOPER_1_KEY: B256 = b256!("59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d");

/// The chain of a local network.
pub const CHAIN_ID: u64 = 51_717;

/// An account that only receives.
pub const RECIPIENT: Address = address!("000000000000000000000000000000000000b0b0");

/// BIP173's example of a P2WPKH address, on regtest and on mainnet.
pub const REGTEST_ADDRESS: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";
pub const MAINNET_ADDRESS: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";

/// An x-only key for deposits that are never reclaimed: the generator of secp256k1.
pub const RECLAIM_KEY: &str = "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";

/// What the keystores of a local network (`causeway dev`) are encrypted with.
pub const DEV_PASSPHRASE: &str = "causeway-dev";
