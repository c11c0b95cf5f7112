//! What `causeway pay --json` prints.

use alloy_primitives::{Address, B256};
use light::micro_channel::Channel;
use serde::Serialize;

use super::channel::closable_from;
use crate::options::network::KnownNetwork;

/// Amounts in wei, or in the token's smallest unit, as decimal text.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Event {
    Opened {
        channel: B256,
        payer: Address,
        payee: Address,
        /// Zero: the coin.
        token: Address,
        /// Who signs its vouchers.
        signer: Address,
        /// Of the seed.
        #[serde(skip_serializing_if = "Option::is_none")]
        number: Option<u32>,
        deposit: String,
        transaction: B256,
    },
    Channels {
        account: Address,
        channels: Vec<Listed>,
    },
    /// Of `pay watch`: what it looks after, when that changed.
    Watching {
        channels: usize,
        closing: usize,
        unclaimed: Vec<Unclaimed>,
    },
    /// A round of `pay watch` failed, mostly since the node does not answer; the next one tries again.
    Failed {
        error: String,
        retry_in_s: u64,
    },
    Claimed {
        channels: Vec<B256>,
        /// Zero: the coin.
        token: Address,
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
        /// Paid; by a channel, what was promised for it now.
        #[serde(skip_serializing_if = "Option::is_none")]
        amount: Option<String>,
        /// Of what came, by a channel and by our own count. What was promised before pays, too.
        #[serde(skip_serializing_if = "Option::is_none")]
        cost: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        payee: Option<Address>,
        /// That paid.
        #[serde(skip_serializing_if = "Option::is_none")]
        channel: Option<B256>,
        /// As the server says.
        #[serde(skip_serializing_if = "Option::is_none")]
        transaction: Option<String>,
        /// Why it is only a part of the answer.
        #[serde(skip_serializing_if = "Option::is_none")]
        stopped: Option<String>,
        /// The page, unless it is in a file.
        #[serde(skip_serializing_if = "Option::is_none")]
        body: Option<String>,
    },
    /// Of `pay stream`: an event of the answer, as it came.
    Part {
        text: String,
    },
    Streamed {
        /// `whole`, `limit`, `deposit`, `interrupted`, `asks-too-much` or `broken-off`.
        ended: &'static str,
        channel: B256,
        payee: Address,
        events: u64,
        /// For this answer.
        promised: String,
        /// Of what came, by our own count.
        #[serde(skip_serializing_if = "Option::is_none")]
        cost: Option<String>,
        /// All that was promised through the channel.
        signed: String,
        deposit: String,
        /// What the payee says.
        #[serde(skip_serializing_if = "Option::is_none")]
        receipt: Option<serde_json::Value>,
        /// The transaction that closed the channel.
        #[serde(skip_serializing_if = "Option::is_none")]
        closed: Option<String>,
    },
    /// Of `pay send`.
    Sent {
        channel: B256,
        payee: Address,
        amount: String,
        /// All that was promised through the channel.
        total: String,
        /// It was promised before, and not answered.
        again: bool,
        voucher: payments::voucher::SignedVoucher,
        #[serde(skip_serializing_if = "Option::is_none")]
        receipt: Option<payments::receipt::SignedReceipt>,
    },
    /// Of `pay receive`.
    Receiving {
        address: String,
        payee: Address,
        vouchers: String,
    },
    Received {
        channel: B256,
        payer: Address,
        /// Zero: the coin.
        token: Address,
        amount: String,
        /// All that was received through the channel.
        total: String,
        /// The same voucher came before.
        again: bool,
        receipt: payments::receipt::SignedReceipt,
    },
    Status(Listed),
}

/// What is not claimed yet of all channels in one token.
#[derive(Serialize)]
pub struct Unclaimed {
    /// Zero: the coin.
    pub token: Address,
    pub amount: String,
}

/// A channel, as it stands.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Listed {
    pub channel: B256,
    /// Of the seed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<u32>,
    pub payer: Address,
    pub payee: Address,
    /// Zero: the coin.
    pub token: Address,
    pub signer: Address,
    #[serde(serialize_with = "digits")]
    pub deposit: u128,
    #[serde(serialize_with = "digits")]
    pub claimed: u128,
    pub state: State,
    pub closable_at: u64,
    pub closable_at_block: u64,
}

fn digits<S: serde::Serializer>(amount: &u128, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(amount)
}

impl Listed {
    pub fn of(network: &KnownNetwork, id: B256, channel: &Channel, number: Option<u32>) -> Self {
        let closable = channel.close_requested.map(|requested| closable_from(network, requested));
        let (closable_at, closable_at_block) = closable.unwrap_or_default();
        let state = match (channel.finalized, channel.close_requested) {
            (true, _) => State::Closed,
            (false, None) => State::Open,
            (false, Some(_)) => State::Closing,
        };
        let Channel { payer, payee, token, signer, deposit, settled: claimed, .. } = *channel;
        Self {
            channel: id,
            number,
            payer,
            payee,
            token,
            signer,
            deposit,
            claimed,
            state,
            closable_at,
            closable_at_block,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Open,
    Closing,
    Closed,
}
