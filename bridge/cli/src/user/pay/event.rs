//! What `causeway pay --json` prints.

use alloy_primitives::{Address, B256};
use serde::Serialize;

/// Amounts in wei, as decimal text.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Event {
    Opened {
        channel: B256,
        payer: Address,
        payee: Address,
        deposit: String,
        transaction: B256,
    },
    Claimed {
        channels: Vec<B256>,
        amount: String,
        gas_used: u64,
        transaction: B256,
    },
    Closing {
        channel: B256,
        closable_at: u64,
        closable_at_block: u64,
        transaction: B256,
    },
    Closed {
        channel: B256,
        refund: String,
        transaction: B256,
    },
    Wrapped {
        owner: Address,
        amount: String,
        token: Address,
        transaction: B256,
    },
    Unwrapped {
        owner: Address,
        amount: String,
        token: Address,
        /// Of the withdrawal to Bitcoin.
        #[serde(skip_serializing_if = "Option::is_none")]
        withdrawal: Option<u64>,
        transaction: B256,
    },
    Serving {
        address: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        metrics: Option<String>,
        payee: Address,
        chain_id: u64,
        token: Address,
    },
    Fetched {
        status: u16,
        bytes: usize,
        #[serde(skip_serializing_if = "Option::is_none")]
        protocol: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        amount: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        payee: Option<Address>,
        /// As the server says.
        #[serde(skip_serializing_if = "Option::is_none")]
        transaction: Option<String>,
        /// The page, unless it is in a file.
        #[serde(skip_serializing_if = "Option::is_none")]
        body: Option<String>,
    },
    Status {
        channel: B256,
        payer: Address,
        payee: Address,
        /// Zero: the coin.
        token: Address,
        signer: Address,
        deposit: String,
        claimed: String,
        state: State,
        closable_at: u64,
        closable_at_block: u64,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Open,
    Closing,
    Closed,
}
