//! What is answered to whoever pays by a session.

use alloy_primitives::B256;
use payments::payee::sessions::Balance;
use serde::{Deserialize, Serialize};

use crate::mpp::METHOD;
use crate::session::offer::INTENT;
use crate::text::{base64url, decimal_u128, decoded, rfc3339};

/// `Payment-Receipt`, as the draft has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionReceipt {
    pub method: String,
    pub intent: String,
    pub status: String,
    pub timestamp: String,
    pub challenge_id: String,
    pub channel_id: B256,
    pub chain_id: u64,
    #[serde(with = "decimal_u128")]
    pub accepted_cumulative: u128,
    #[serde(with = "decimal_u128")]
    pub spent: u128,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub units: Option<u64>,
    /// The transaction's hash, else the channel's id: MPP's core wants one in each receipt.
    pub reference: String,
}

/// Where a channel stands, for a receipt.
#[derive(Clone, Debug)]
pub struct Standing {
    pub channel: B256,
    pub challenge_id: String,
    pub chain_id: u64,
}

impl Standing {
    #[must_use]
    pub fn receipt(
        &self,
        balance: &Balance,
        units: Option<u64>,
        transaction: Option<B256>,
        now: u64,
    ) -> SessionReceipt {
        SessionReceipt {
            method: METHOD.to_owned(),
            intent: INTENT.to_owned(),
            status: "success".to_owned(),
            timestamp: rfc3339(now),
            challenge_id: self.challenge_id.clone(),
            channel_id: self.channel,
            chain_id: self.chain_id,
            accepted_cumulative: balance.accepted,
            spent: balance.spent,
            units,
            reference: transaction.unwrap_or(self.channel).to_string(),
        }
    }
}

impl SessionReceipt {
    /// As the header has it.
    #[must_use]
    pub fn encode(&self) -> String {
        base64url(self.json().as_bytes())
    }

    /// From the header.
    #[must_use]
    pub fn decode(header: &str) -> Option<Self> {
        serde_json::from_slice(&decoded(header)?).ok()
    }

    /// As an event has it.
    #[must_use]
    pub fn json(&self) -> String {
        serde_json::to_string(self).expect("text and numbers always serialise")
    }
}

/// What an event `payment-need-voucher` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NeedVoucher {
    pub channel_id: B256,
    #[serde(with = "decimal_u128")]
    pub required_cumulative: u128,
    #[serde(with = "decimal_u128")]
    pub accepted_cumulative: u128,
    #[serde(with = "decimal_u128")]
    pub deposit: u128,
}

impl NeedVoucher {
    /// For what costs so much more. `least_delta`: by how much a voucher has to be larger than the last.
    #[must_use]
    pub fn new(channel_id: B256, balance: &Balance, cost: u128, least_delta: u128) -> Self {
        let lacking = cost.saturating_sub(balance.available).max(least_delta).max(1);
        // What is left of the deposit may be less than the least addition, and is taken all the same.
        let least = balance.accepted.saturating_add(cost.saturating_sub(balance.available).max(1));
        let wanted = balance.accepted.saturating_add(lacking);
        let required_cumulative =
            if wanted > balance.deposit && least <= balance.deposit { balance.deposit } else { wanted };
        Self { channel_id, required_cumulative, accepted_cumulative: balance.accepted, deposit: balance.deposit }
    }
}

#[cfg(test)]
mod tests {
    use payments::payee::prepaid::Public;

    use super::*;

    #[test]
    fn what_is_needed_is_what_lacks_and_no_less_than_the_least_addition() {
        let balance = Balance { accepted: 100, spent: 95, available: 5, deposit: 200, public: Public::default() };
        let needed = |cost, delta| NeedVoucher::new(B256::ZERO, &balance, cost, delta).required_cumulative;
        assert_eq!((needed(7, 0), needed(5, 0), needed(7, 50)), (102, 101, 150));
        assert_eq!((needed(7, 150), needed(150, 0)), (200, 245), "all of the deposit; or a top-up comes first");
    }

    #[test]
    fn a_receipt_is_as_the_draft_has_it() {
        let standing = Standing { channel: B256::repeat_byte(7), challenge_id: "kM9".into(), chain_id: 196 };
        let balance = Balance {
            accepted: 250_000,
            spent: 237_500,
            available: 12_500,
            deposit: 500_000,
            public: Public::default(),
        };
        let json = standing.receipt(&balance, Some(500), None, 1_775_045_100).json();
        let id = B256::repeat_byte(7);
        let want = format!(
            r#"{{"method":"evm","intent":"session","status":"success","timestamp":"2026-04-01T12:05:00Z","challengeId":"kM9","channelId":"{id}","chainId":196,"acceptedCumulative":"250000","spent":"237500","units":500,"reference":"{id}"}}"#
        );
        assert_eq!(json, want);
    }
}
