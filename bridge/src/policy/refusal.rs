//! Why a member does not approve, or does not sign.

use bitcoin::{Amount, OutPoint, Txid};

use crate::vault_tx::VaultTxError;
use crate::vault_tx::draft::BindError;

/// Why a member does not approve, or does not sign.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Wait for the block to be final.
    #[error("the block that it is in is not final yet")]
    NotFinal,
    /// The ledger has something else under its number.
    #[error("the ledger has {ledger:?} as bound, not {txid}")]
    NotInLedger { ledger: Option<Txid>, txid: Txid },
    /// By this member's facts the ledger would not take it.
    #[error("the ledger would not bind it: {0}")]
    Bind(#[from] BindError),
    /// It would let more go out of the reserve than is fair.
    #[error("it lets the reserve add {named_sat} sat, {fair} are fair")]
    Reserve { named_sat: u64, fair: Amount },
    /// Withdrawals tied to an output that something else is about to spend would wait until that is final.
    #[error("something bound spends vault output {0}, and withdrawals would be tied to it for the first time")]
    InUse(u32),
    /// What is tied to an output that this spends would wait until this is final.
    #[error(
        "it spends vault output {output}, and does not pay withdrawal {withdrawal}, which is tied to it and pays its charge"
    )]
    LeavesOut { output: u32, withdrawal: u64 },
    /// Another version, hardly dearer or not at all, while there is hope for what is bound.
    #[error("it would replace what is bound at {bound} sat per 1000 vB by {rate}, and that has not waited for long")]
    TooSoon { rate: u64, bound: u64 },
    /// The owner of a deposit may take it back soon, which would end the sweep of all others in it.
    #[error("the reclaim of deposit {0} is near, and others are in the same sweep")]
    NearReclaim(OutPoint),
    /// Moving vault outputs costs the reserve, and there is no reason to.
    #[error("it moves vault outputs without need")]
    NoReason,
    /// An input is not what the federation could have received.
    #[error(transparent)]
    Key(#[from] VaultTxError),
    /// Its own bitcoind does not know an input as unspent: it lags, or the input is gone.
    #[error("its own bitcoind does not have {outpoint} of input {input} unspent")]
    UnknownOutput { input: usize, outpoint: OutPoint },
    /// Its own bitcoind knows another value or script.
    #[error(
        "input {input} is {got_sat} sat to {got_script} in its own bitcoind, {want_sat} sat to {want_script} in the ledger"
    )]
    OtherOutput { input: usize, got_sat: u64, got_script: String, want_sat: u64, want_script: String },
    /// A rate that wastes the users' money, or would never confirm.
    #[error("{got} sat per 1000 vB, its own bounds are {} to {}", bounds.low, bounds.high)]
    Fee { got: u64, bounds: FeeBounds },
    /// The ledger's own withdrawal is paid or not there any more.
    #[error("withdrawal {0} is not tied to an output that it spends")]
    NotTied(u64),
    /// It is not what this member makes of the content.
    #[error("its {what} is {got}, and should be {want}")]
    OtherBytes { what: &'static str, got: String, want: String },
    /// Its node proves something else than it tells, or nothing: it lags, or lies.
    #[error("its node does not prove {0}")]
    NotProven(String),
    /// The chain stands still, or its node hides what is newer.
    #[error("the latest final header that its node shows is {age_s} s old")]
    OldHeader { age_s: u64 },
    /// More than this member ever signs away within a time.
    #[error(
        "it pays {asked} for the first time, of this member's own limit of {window} in {window_s} s {left} are left"
    )]
    OwnLimit { asked: Amount, left: Amount, window: Amount, window_s: u64 },
    /// A second payout of a withdrawal, which could confirm besides the first.
    #[error("withdrawal {withdrawal} was signed for, to be paid from {outpoint}, which this does not spend")]
    PaidElsewhere { withdrawal: u64, outpoint: OutPoint },
}

impl Refusal {
    /// Whether to ask again later; otherwise it stays refused.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::NotFinal | Self::UnknownOutput { .. } | Self::Fee { .. } | Self::Bind(_) => true,
            // Facts of the ledger that this member may have read at another moment; an output may end.
            Self::Reserve { .. } | Self::NoReason | Self::NotTied(_) => true,
            Self::InUse(_) | Self::LeavesOut { .. } | Self::NearReclaim(_) | Self::TooSoon { .. } => true,
            Self::PaidElsewhere { .. } => true,
            Self::NotProven(_) | Self::OldHeader { .. } | Self::OwnLimit { .. } => true,
            Self::NotInLedger { .. } | Self::Key(_) => false,
            Self::OtherOutput { .. } | Self::OtherBytes { .. } => false,
        }
    }
}

/// Fee rates that are accepted, in satoshis per 1,000 vB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeeBounds {
    /// Least.
    pub low: u64,
    /// Most.
    pub high: u64,
}

impl FeeBounds {
    /// Around its own node's estimate: a quarter to four times it and 5 sat/vB more, since estimates of honest nodes differ and move while a proposal
    /// travels; never below the relay minimum of 1 sat/vB, but where its own estimate is.
    #[must_use]
    pub fn around(rate: u64) -> Self {
        Self { low: (rate / 4).max(1_000).min(rate), high: rate.saturating_mul(4).saturating_add(5_000) }
    }

    pub(super) fn check(self, got: u64) -> Result<(), Refusal> {
        let is_inside = (self.low..=self.high).contains(&got);
        is_inside.then_some(()).ok_or(Refusal::Fee { got, bounds: self })
    }
}
