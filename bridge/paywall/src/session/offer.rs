//! What a session costs, and by which channels it is paid: the challenge's `request`.

use alloy_primitives::{Address, U256};
use payments::typed_data::Domain;
use serde::{Deserialize, Serialize};

use crate::authorization::Token;
use crate::price_list::Entry;
use crate::text::{base64url, decimal};

pub const INTENT: &str = "session";

/// For how long a challenge of a session can be answered: all vouchers of a long answer name the one with which it began.
pub const LIFETIME_S: u64 = 3_600;
/// Units that the suggested deposit is good for.
const SUGGESTED_UNITS: u128 = 1_000;

/// How channels have to be that pay here.
#[derive(Clone, Copy, Debug)]
pub struct Channels {
    pub domain: Domain,
    /// Of the network: what a bound nonce names.
    pub network: alloy_primitives::B256,
    pub payee: Address,
    /// The least that is locked: so much that opening it for the payer is worth its gas.
    pub least_deposit: u128,
    /// By how much a voucher has to be larger than the last.
    pub least_delta: u128,
}

/// As the draft has it. Members are in the order of their names, so that the JSON is canonical (RFC 8785).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionRequest {
    /// Of a unit.
    #[serde(with = "decimal")]
    pub amount: U256,
    pub currency: String,
    pub method_details: MethodDetails,
    pub recipient: String,
    #[serde(with = "decimal")]
    pub suggested_deposit: U256,
    pub unit_type: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MethodDetails {
    pub chain_id: u64,
    pub escrow_contract: String,
    pub fee_payer: bool,
    #[serde(with = "decimal")]
    pub min_voucher_delta: U256,
}

impl SessionRequest {
    #[must_use]
    pub fn new(token: &Token, channels: &Channels, entry: &Entry) -> Self {
        let price: u128 = entry.amount.saturating_to();
        let unit_type = entry.meter.as_ref().map_or("request", |meter| meter.unit_type());
        let least = entry.meter.as_ref().map_or(price, |meter| meter.least_cost(price));
        let suggested = channels.least_deposit.max(price.max(least).saturating_mul(SUGGESTED_UNITS));
        Self {
            amount: entry.amount,
            currency: token.contract.to_string(),
            method_details: MethodDetails {
                chain_id: token.chain_id,
                escrow_contract: channels.domain.contract().to_string(),
                fee_payer: true,
                min_voucher_delta: U256::from(channels.least_delta),
            },
            recipient: channels.payee.to_string(),
            suggested_deposit: U256::from(suggested),
            unit_type: unit_type.to_owned(),
        }
    }

    #[must_use]
    pub fn encode(&self) -> String {
        base64url(&serde_json::to_vec(self).expect("text and numbers always serialise"))
    }
}
