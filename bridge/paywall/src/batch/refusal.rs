//! Why a payment by `batch-settlement` is refused: our own codes, and the specification's, which its clients act upon.

use alloy_primitives::{Address, U256};

use serde_json::Value;

use crate::words::Words;

/// A reason of the specification: all have this prefix.
macro_rules! evm {
    ($reason:literal) => {
        concat!("invalid_batch_settlement_evm_", $reason)
    };
}

/// What is wrong with a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSignature {
    #[error("it has {bytes} bytes and is none of an account")]
    Malformed { bytes: usize },
    #[error("it has the upper form of s: the lower one is wanted (EIP-2)")]
    HighS,
    #[error("it is of {got}, wanted is {want}")]
    WrongSigner { got: Address, want: Address },
}

/// What a payer that signed for another total needs to go on, as the specification has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Correction {
    pub channel_state: Value,
    /// What shows it that it promised as much. None before its first voucher here.
    pub voucher_state: Option<Value>,
}

/// What is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    // ---- what it says
    #[error("the {kind} payload cannot be read: {why}")]
    Malformed { kind: &'static str, why: String },
    #[error("the payload's type is none of deposit, voucher, refund")]
    UnknownType,
    #[error("the payload says that it accepts another scheme than batch-settlement")]
    OtherScheme,
    #[error("the payment is for {got}, this chain is {want}")]
    OtherNetwork { got: String, want: u64 },
    #[error("the channel is in the token {got}, asked for is {want}")]
    OtherToken { got: Address, want: Address },
    #[error("the channel pays {got}, the payee is {want}")]
    OtherReceiver { got: Address, want: Address },
    #[error("the channel lets {got} claim and refund, asked for is {want}")]
    OtherAuthorizer { got: Address, want: Address },
    #[error("the channel's delay is {got_s} s, asked for are {want_s}")]
    OtherDelay { got_s: u64, want_s: u64 },
    #[error(
        "the channel names no key that signs its vouchers: what a contract signs (EIP-1271) is not taken, set payerAuthorizer"
    )]
    NoPayerAuthorizer,
    #[error("the channel's id is not the hash of its configuration")]
    OtherChannel,
    #[error("the voucher is not signed by the channel's key: {0}")]
    VoucherSignature(BadSignature),

    // ---- its deposit
    #[error("the deposit has no erc3009Authorization, the only way of depositing that is taken")]
    NoAuthorization,
    #[error("a deposit of {got} wei is less than the {least} that are taken")]
    DepositTooSmall { got: u128, least: u128 },
    #[error("the deposit is valid until {until}, it is {now} (Unix seconds), and to settle takes {margin} s")]
    DepositExpired { until: u64, now: u64, margin: u64 },
    #[error("the deposit is valid after {after}, it is {now} (Unix seconds)")]
    DepositNotYetValid { after: u64, now: u64 },
    #[error("the deposit is not signed by the payer: {0}")]
    DepositSignature(BadSignature),
    #[error("{payer} has {balance} wei of the token that are not promised yet, the deposit is {want}")]
    Unfunded { payer: Address, balance: U256, want: u128 },
    #[error("the deposit would not be carried out: {0}")]
    DepositRefused(String),
    #[error("the deposit was sent and not carried out")]
    DepositFailed,

    // ---- the channel
    #[error("this channel serves another request at this moment")]
    ChannelBusy,
    #[error("the voucher is for {got} wei in all, wanted is one for {want}")]
    Mismatch { got: u128, want: u128, correction: Option<Box<Correction>> },
    #[error("the channel has no balance")]
    NotFound,
    #[error("the channel has {balance} wei, which was never used and is less than the {least} that are taken")]
    ChannelTooSmall { balance: u128, least: u128 },
    #[error("the voucher is for {max} wei in all, of which {claimed} are claimed already")]
    BelowClaimed { max: u128, claimed: u128 },
    #[error("the voucher is for {max} wei in all, the channel had {balance}")]
    ExceedsBalance { max: u128, balance: u128 },
    #[error(
        "the voucher is for {max} wei in all, and the payer is taking {withdrawal} of the channel's {balance} back"
    )]
    Closing { max: u128, balance: u128, withdrawal: u128 },
    #[error(
        "the upstream failed {failures} times for this channel within {within_s} s: nothing was charged, try again later"
    )]
    Failing { failures: u32, within_s: u64 },

    // ---- what a facilitator is asked
    #[error(
        "the channel's delay is {got_s} s: it is of this server's own channels, or not between 15 minutes and 30 days"
    )]
    DelayNotTaken { got_s: u64 },
    #[error("{0}")]
    ClaimRefused(String),
    #[error("so little is not worth its gas, or nothing is claimed that is not settled")]
    NothingToSettle,
    #[error("{0}")]
    SettleRefused(String),
    #[error(
        "what a channel gives back has to be signed by its receiver authorizer: whoever asks may owe something elsewhere"
    )]
    NotAuthorized,

    // ---- a refund
    #[error("the refund's amount is no whole number above zero, in quotes")]
    RefundAmount,
    #[error("nothing is left to refund")]
    NothingLeft,
    #[error("the refund would not be carried out: {0}")]
    RefundRefused(String),
    #[error("the refund was sent and not carried out")]
    RefundFailed,
    #[error(
        "this channel has paid {paid} wei, and its transactions cost this server {gas}: it sends none more for it until that is paid; the payer can take its money back by initiateWithdraw"
    )]
    GasNotPaid { paid: u128, gas: u128, is_refund: bool },
    #[error(
        "channels of {payer} that were filled here have not yet paid for the gas of it, or were left before they had: pay by one of them, or fill one by a transaction of your own"
    )]
    UnpaidOpenings { payer: Address, wait_s: Option<u64> },
}

impl Flaw {
    #[must_use]
    pub fn retry_after_s(&self) -> Option<u64> {
        match self {
            Self::ChannelBusy => Some(1),
            Self::Failing { within_s, .. } => Some(*within_s),
            Self::UnpaidOpenings { wait_s, .. } => *wait_s,
            _ => None,
        }
    }

    /// What the client needs to go on.
    #[must_use]
    pub fn correction(&self) -> Option<&Correction> {
        match self {
            Self::Mismatch { correction, .. } => correction.as_deref(),
            _ => None,
        }
    }

    pub(crate) fn words(&self) -> Words {
        const FAILED: &str = "verification-failed";
        let (status, kind, code, title, x402) = match self {
            Self::Malformed { kind: "deposit", .. } => {
                (402, "malformed-credential", "malformed-deposit", "Malformed Deposit", evm!("deposit_payload"))
            }
            Self::Malformed { kind: "refund", .. } => {
                (402, "malformed-credential", "malformed-refund", "Malformed Refund", evm!("refund_payload"))
            }
            Self::Malformed { kind: "claim", .. } => {
                (402, "malformed-credential", "malformed-claim", "Malformed Claim", evm!("claim_payload"))
            }
            Self::Malformed { kind: "settle", .. } => {
                (402, "malformed-credential", "malformed-settle", "Malformed Settle", evm!("settle_payload"))
            }
            Self::Malformed { .. } => {
                (402, "malformed-credential", "malformed-voucher", "Malformed Voucher", evm!("voucher_payload"))
            }
            Self::UnknownType => {
                (402, "malformed-credential", "unknown-payload", "Unknown Payload", evm!("payload_type"))
            }
            Self::OtherScheme => (402, FAILED, "other-scheme", "Other Scheme", evm!("scheme")),
            Self::OtherNetwork { .. } => {
                (402, FAILED, "channel-of-other-chain", "Other Chain", evm!("network_mismatch"))
            }
            Self::OtherToken { .. } => (402, FAILED, "channel-in-other-token", "Other Token", evm!("token_mismatch")),
            Self::OtherReceiver { .. } => {
                (402, FAILED, "channel-of-other-payee", "Other Payee", evm!("receiver_mismatch"))
            }
            Self::OtherAuthorizer { .. } => {
                (402, FAILED, "other-authorizer", "Other Authorizer", evm!("receiver_authorizer_mismatch"))
            }
            Self::OtherDelay { .. } => (402, FAILED, "other-delay", "Other Delay", evm!("withdraw_delay_mismatch")),
            Self::OtherChannel => (402, FAILED, "other-channel", "Other Channel", evm!("channel_id_mismatch")),
            Self::NoPayerAuthorizer => {
                (402, FAILED, "no-payer-authorizer", "Vouchers Of A Contract", evm!("voucher_signature"))
            }
            Self::VoucherSignature(inner) => {
                let code = match inner {
                    BadSignature::HighS => "voucher-high-s",
                    BadSignature::WrongSigner { .. } => "voucher-wrong-signer",
                    BadSignature::Malformed { .. } => "voucher-malformed-signature",
                };
                (402, FAILED, code, "Voucher Not Signed", evm!("voucher_signature"))
            }
            _ => return self.words_of_money(),
        };
        words(status, kind, code, title, x402)
    }

    fn words_of_money(&self) -> Words {
        const FAILED: &str = "verification-failed";
        const POOR: &str = "payment-insufficient";
        let (status, kind, code, title, x402) = match self {
            Self::NoAuthorization => {
                (402, FAILED, "no-authorization", "Other Way Of Depositing", evm!("erc3009_authorization_required"))
            }
            Self::DepositTooSmall { .. } => {
                (402, POOR, "deposit-too-small", "Deposit Too Small", evm!("deposit_below_min_deposit"))
            }
            Self::DepositExpired { .. } => (
                402,
                "payment-expired",
                "deposit-expired",
                "Deposit Expired",
                evm!("payload_authorization_valid_before"),
            ),
            Self::DepositNotYetValid { .. } => (
                402,
                FAILED,
                "deposit-not-yet-valid",
                "Deposit Not Yet Valid",
                evm!("payload_authorization_valid_after"),
            ),
            Self::DepositSignature(inner) => {
                let code = match inner {
                    BadSignature::HighS => "deposit-high-s",
                    BadSignature::WrongSigner { .. } => "deposit-wrong-signer",
                    BadSignature::Malformed { .. } => "deposit-malformed-signature",
                };
                (402, FAILED, code, "Deposit Not Signed", evm!("receive_authorization_signature"))
            }
            Self::Unfunded { .. } => {
                (402, POOR, "deposit-unfunded", "Insufficient Funds", evm!("insufficient_balance"))
            }
            Self::DepositRefused(_) => {
                (402, FAILED, "deposit-refused", "Deposit Refused", evm!("deposit_simulation_failed"))
            }
            Self::DepositFailed => {
                (402, FAILED, "deposit-failed", "Deposit Failed", evm!("deposit_transaction_failed"))
            }
            // No demand goes with it: a client that gets one signs a deposit again.
            Self::UnpaidOpenings { .. } => {
                (429, FAILED, "unpaid-deposits", "Deposits Not Paid For", evm!("deposit_simulation_failed"))
            }
            Self::GasNotPaid { is_refund: false, .. } => {
                (402, POOR, "gas-not-paid", "Gas Not Paid", evm!("deposit_simulation_failed"))
            }
            Self::GasNotPaid { .. } => {
                (402, POOR, "refund-gas-not-paid", "Gas Not Paid", evm!("refund_simulation_failed"))
            }
            _ => return self.words_of_a_channel(),
        };
        words(status, kind, code, title, x402)
    }

    fn words_of_a_channel(&self) -> Words {
        const FAILED: &str = "verification-failed";
        const POOR: &str = "payment-insufficient";
        const HERE: &str = "internal-payment-error";
        let (status, kind, code, title, x402) = match self {
            Self::ChannelBusy => (409, HERE, "channel-busy", "Channel Busy", evm!("channel_busy")),
            Self::Failing { .. } => (503, HERE, "channel-failing", "Upstream Fails", evm!("channel_busy")),
            Self::Mismatch { .. } => (402, FAILED, "other-total", "Other Total", evm!("cumulative_amount_mismatch")),
            Self::NotFound => (402, FAILED, "no-channel", "No Such Channel", evm!("channel_not_found")),
            Self::ChannelTooSmall { .. } => {
                (402, POOR, "channel-too-small", "Channel Too Small", evm!("channel_not_found"))
            }
            Self::BelowClaimed { .. } => {
                (402, FAILED, "below-claimed", "Below Claimed", evm!("cumulative_below_claimed"))
            }
            Self::ExceedsBalance { .. } => {
                (402, POOR, "over-balance", "Over The Balance", evm!("cumulative_exceeds_balance"))
            }
            Self::Closing { .. } => {
                (402, POOR, "channel-closing", "Channel Closing", evm!("cumulative_exceeds_balance"))
            }
            Self::DelayNotTaken { .. } => {
                (402, FAILED, "delay-not-taken", "Delay Not Taken", evm!("withdraw_delay_out_of_range"))
            }
            Self::ClaimRefused(_) => (402, FAILED, "claim-refused", "Claim Refused", evm!("claim_simulation_failed")),
            Self::NothingToSettle => (402, POOR, "nothing-to-settle", "Nothing To Settle", evm!("nothing_to_settle")),
            Self::SettleRefused(_) => {
                (402, FAILED, "settle-refused", "Settle Refused", evm!("settle_simulation_failed"))
            }
            Self::NotAuthorized => {
                (402, FAILED, "refund-not-authorized", "Refund Not Authorized", evm!("authorizer_address_mismatch"))
            }
            Self::RefundAmount => (402, FAILED, "refund-amount", "Refund Of No Amount", evm!("refund_amount_invalid")),
            Self::NothingLeft => (402, POOR, "nothing-to-refund", "Nothing To Refund", evm!("refund_no_balance")),
            Self::RefundRefused(_) => {
                (402, FAILED, "refund-refused", "Refund Refused", evm!("refund_simulation_failed"))
            }
            _ => (402, FAILED, "refund-failed", "Refund Failed", evm!("refund_transaction_failed")),
        };
        words(status, kind, code, title, x402)
    }
}

fn words(status: u16, kind: &'static str, code: &'static str, title: &'static str, x402: &'static str) -> Words {
    Words { status, kind, code, title, x402 }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn all() -> Vec<Flaw> {
        use Flaw::*;
        let a = Address::ZERO;
        let signatures =
            [BadSignature::HighS, BadSignature::WrongSigner { got: a, want: a }, BadSignature::Malformed { bytes: 1 }];
        let mut all = vec![
            Malformed { kind: "voucher", why: "x".into() },
            Malformed { kind: "deposit", why: "x".into() },
            Malformed { kind: "refund", why: "x".into() },
            UnknownType,
            OtherScheme,
            OtherNetwork { got: "x".into(), want: 1 },
            OtherToken { got: a, want: a },
            OtherReceiver { got: a, want: a },
            OtherAuthorizer { got: a, want: a },
            OtherDelay { got_s: 1, want_s: 2 },
            NoPayerAuthorizer,
            OtherChannel,
            NoAuthorization,
            DepositTooSmall { got: 1, least: 2 },
            DepositExpired { until: 1, now: 2, margin: 3 },
            DepositNotYetValid { after: 2, now: 1 },
            Unfunded { payer: a, balance: U256::ZERO, want: 1 },
            DepositRefused("x".into()),
            DepositFailed,
            ChannelBusy,
            Mismatch { got: 1, want: 2, correction: None },
            NotFound,
            ChannelTooSmall { balance: 1, least: 2 },
            BelowClaimed { max: 1, claimed: 2 },
            ExceedsBalance { max: 2, balance: 1 },
            Closing { max: 2, balance: 2, withdrawal: 1 },
            Failing { failures: 8, within_s: 60 },
            Malformed { kind: "claim", why: "x".into() },
            Malformed { kind: "settle", why: "x".into() },
            DelayNotTaken { got_s: 1 },
            ClaimRefused("x".into()),
            NothingToSettle,
            SettleRefused("x".into()),
            NotAuthorized,
            RefundAmount,
            NothingLeft,
            RefundRefused("x".into()),
            RefundFailed,
            GasNotPaid { paid: 1, gas: 2, is_refund: true },
            GasNotPaid { paid: 1, gas: 2, is_refund: false },
            UnpaidOpenings { payer: a, wait_s: Some(1) },
        ];
        all.extend(signatures.map(VoucherSignature));
        all.extend(signatures.map(DepositSignature));
        all
    }

    #[test]
    fn each_cause_has_a_code_of_its_own_and_one_of_the_specification() {
        let codes: BTreeSet<_> = all().iter().map(|flaw| flaw.words().code).collect();
        assert_eq!(codes.len(), all().len());
        for flaw in all() {
            let words = flaw.words();
            assert!(words.x402.starts_with("invalid_batch_settlement_evm_"), "{flaw}: {}", words.x402);
            assert!(!flaw.to_string().is_empty());
        }
    }
}
