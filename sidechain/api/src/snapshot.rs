//! The shapes of `peg_getSnapshots` and `peg_getSnapshotPart`: the state after one block, in parts that are checked one by one.

use alloy_primitives::B256;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;

/// `peg_getSnapshots`: a state that the node keeps for others to copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Offer {
    /// The block after which it is the state; `peg_getFinality` proves its header.
    pub number: u64,
}

/// `peg_getSnapshotPart`'s second parameter: which part. A node answers with as much of it as fits into one answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Part {
    /// Headers of the block and of those that `BLOCKHASH` reaches after it, and the whole block with its receipts.
    Block {},
    /// Accounts in the order of the hashes of their addresses.
    Accounts {
        /// Hash from which on.
        #[schemars(with = "schema::Hash")]
        from: B256,
    },
    /// Storage of some accounts, in the order of the hashes of their slots.
    Slots {
        /// Hashes of the addresses of accounts that have storage.
        #[schemars(with = "Vec<schema::Hash>")]
        accounts: Vec<B256>,
        /// Hash of the first account's slot from which on.
        #[schemars(with = "schema::Hash")]
        from: B256,
    },
    /// Codes of contracts.
    Codes {
        /// Their hashes.
        #[schemars(with = "Vec<schema::Hash>")]
        hashes: Vec<B256>,
    },
}
