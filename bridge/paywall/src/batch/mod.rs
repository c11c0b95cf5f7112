//! x402's scheme `batch-settlement`: channels that a deposit fills once, and vouchers that pay by request (x402-foundation/x402,
//! `specs/schemes/batch-settlement/scheme_batch_settlement_evm.md`).
//!
//! ```text
//!   contract   x402's contract, as far as it is used        channel    what is signed for it; ids
//!   payload    what a client sends, and its cheap checks    ledger     channels: charged, claimed, refused
//!   sponsored  gas for others' channels
//!   refusal    why not, in our words and the specification's
//! ```
//! A voucher says of all that was ever paid through a channel: no more than this. So the newest is worth all before it, and a payee that holds it needs no
//! transaction for a page: it claims many channels at once, later, and always before a payer can take its money back.

pub mod channel;
pub mod contract;
pub mod ledger;
pub mod payload;
pub mod refusal;
pub mod sponsored;

use alloy_primitives::{Address, U256};
use serde_json::json;

use self::refusal::Correction;
use crate::authorization::{TOKEN_NAME, TOKEN_VERSION, Token};
use crate::x402::Requirements;

pub const SCHEME: &str = "batch-settlement";

/// The smallest multiple of a price that public clients deposit by themselves.
const LEAST_MULTIPLE: u128 = 3;

/// On what terms channels are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Who claims and refunds: the account that sends.
    pub authorizer: Address,
    /// Seconds that a payer has to wait for what it takes back.
    pub delay_s: u64,
    /// Wei of a deposit.
    pub least_deposit: u128,
}

impl Terms {
    /// The smallest deposit with which something of this price is paid.
    #[must_use]
    pub fn least(&self, amount: u128) -> u128 {
        self.least_deposit.max(amount)
    }

    /// What is asked of a client. None for a price that no voucher can name.
    #[must_use]
    pub fn requirements(
        &self,
        token: &Token,
        payee: Address,
        amount: U256,
        timeout_s: u64,
        correction: Option<&Correction>,
    ) -> Option<Requirements> {
        let price = u128::try_from(amount).ok()?;
        let mut extra = json!({
            "receiverAuthorizer": self.authorizer.to_string(),
            "withdrawDelay": self.delay_s,
            "name": TOKEN_NAME,
            "version": TOKEN_VERSION,
        });
        // Clients deposit some prices at once if they are told nothing.
        if self.least_deposit > price.saturating_mul(LEAST_MULTIPLE) {
            extra["minDeposit"] = self.least_deposit.to_string().into();
        }
        if let Some(correction) = correction {
            extra["channelState"] = correction.channel_state.clone();
            if let Some(state) = &correction.voucher_state {
                extra["voucherState"] = state.clone();
            }
        }
        Some(Requirements::by(SCHEME, token, payee, amount, timeout_s, extra))
    }
}
