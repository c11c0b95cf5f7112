//! The same rules, twice: `mainchain` in Rust and the contracts in Solidity judge random input alike. A property that fails
//! prints the smallest input that it found, and its seed, which belongs into `tests/proptest-regressions`.

mod charges;
mod deposits;
mod headers;
mod ledger;
mod light_client;
mod proofs;
mod receipts;
mod vault_transactions;

use tests::blocks;
