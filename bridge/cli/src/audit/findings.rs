//! What an audit objects to: something is missing, or something is later than it should be. Each names what it concerns.

use std::collections::BTreeMap;

use bitcoin::{Amount, BlockHash, OutPoint};
use bridge::amount;
use light::ledger::{Deposit, Withdrawal};
use light::reserves::Sums;
use mainchain::header::Height;
use serde::Serialize;

use super::outputs::{Found, Output};
use super::sidechain::Ledger;

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "finding")]
pub enum Finding {
    /// A vault output that the ledger counts, or the one in its place, is not on Bitcoin, and no vault transaction took it.
    OutputMissing { number: u32, outpoint: OutPoint, amount_sat: u64 },
    /// More is owed or outside the Bridge than the books account for.
    Unbalanced,
    /// By the books themselves.
    MissingByBooks { lost_sat: u64, unswept_sat: u64, reserve_sat: i64 },
    /// The newest block that the node shows is old: the chain stands still, or the node hides what is newer.
    HeaderOld { number: u64, age_s: u64, max_age_s: u64 },
    /// A vault output is not on Bitcoin, and the node shows no header that was made since: it may have been spent as it should be.
    OutputUnjudged { number: u32, outpoint: OutPoint, amount_sat: u64 },
    /// A withdrawal that was asked for long ago is not paid.
    WithdrawalLate { id: u64, amount_sat: u64, waits_s: u64 },
    /// A deposit that is swept, and as deep as any has to be, has no coins.
    DepositLate { outpoint: OutPoint, amount_sat: u64, confirmations: u32 },
}

/// Whether coins are at stake, or time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Something is missing.
    Safety,
    /// Something is later than its deadline.
    Liveness,
}

/// When it was looked, on both chains.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Seconds since 1970.
    pub now: u64,
    pub bitcoin_height: Height,
    pub bitcoin_tip: BlockHash,
    /// When that was first seen, in seconds since 1970.
    pub bitcoin_since: u64,
}

impl Moment {
    /// Whether a header of this time knows all that the tip has. Bitcoin's was bound in the ledger before.
    pub fn can_judge(&self, header_time: u64) -> bool {
        header_time > self.bitcoin_since
    }
}

/// When something is late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The oldest that the newest block may be, in seconds.
    pub max_age_s: u64,
    /// Seconds from a withdrawal's request to its payment in a block, as the ledger knows it.
    pub withdrawal_s: u64,
    /// Confirmations at which every deposit has its coins.
    pub deposit_confirmations: u32,
}

impl Finding {
    pub fn kind(&self) -> Kind {
        match self {
            Self::OutputMissing { .. } | Self::Unbalanced | Self::MissingByBooks { .. } => Kind::Safety,
            Self::HeaderOld { .. }
            | Self::OutputUnjudged { .. }
            | Self::WithdrawalLate { .. }
            | Self::DepositLate { .. } => Kind::Liveness,
        }
    }

    /// Whether another is of the same thing, though amounts and times may have changed.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::WithdrawalLate { id: own, .. }, Self::WithdrawalLate { id, .. }) => own == id,
            (Self::OutputMissing { outpoint: own, .. }, Self::OutputMissing { outpoint, .. })
            | (Self::OutputUnjudged { outpoint: own, .. }, Self::OutputUnjudged { outpoint, .. })
            | (Self::DepositLate { outpoint: own, .. }, Self::DepositLate { outpoint, .. }) => own == outpoint,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }

    /// For people.
    pub fn line(&self) -> String {
        let sat = |sat: &u64| amount::show(Amount::from_sat(*sat));
        match self {
            Self::OutputMissing { number, outpoint, amount_sat } => {
                format!("{} of vault transaction {number} are missing on Bitcoin: {outpoint}", sat(amount_sat))
            }
            Self::Unbalanced => {
                "the books do not balance: more coins are owed or outside the bridge than they account for".to_owned()
            }
            Self::MissingByBooks { lost_sat, unswept_sat, reserve_sat } => format!(
                "missing by the books: {} lost, {} unswept, and a reserve of {}",
                sat(lost_sat),
                sat(unswept_sat),
                amount::show_signed(*reserve_sat)
            ),
            Self::HeaderOld { number, age_s, max_age_s } => {
                let time = |s: &u64| humantime::format_duration(std::time::Duration::from_secs(*s));
                format!(
                    "the latest final block that the node shows, {number}, is {} old, and may be {} (--max-age): the chain stands still, or the node hides what is newer",
                    time(age_s),
                    time(max_age_s)
                )
            }
            Self::OutputUnjudged { number, outpoint, amount_sat } => format!(
                "{} of vault transaction {number} are not on Bitcoin ({outpoint}), and the node shows no header since that was looked for: its header is too old to judge",
                sat(amount_sat)
            ),
            Self::WithdrawalLate { id, amount_sat, waits_s } => {
                let waits = humantime::format_duration(std::time::Duration::from_secs(*waits_s));
                format!("withdrawal {id} of {} waits for {waits}", sat(amount_sat))
            }
            Self::DepositLate { outpoint, amount_sat, confirmations } => format!(
                "the deposit {outpoint} of {} has no coins, with {confirmations} confirmations",
                sat(amount_sat)
            ),
        }
    }
}

/// All that is to be objected to: what is missing first.
pub fn findings(ledger: &Ledger, outputs: &[Output], moment: Moment, limits: Limits) -> Vec<Finding> {
    let books = &ledger.facts.books;
    let sums = Sums::of(ledger.facts.supply_wei, books);
    let missing = outputs.iter().filter_map(|output| match output.found {
        // What should be in the place of several is missing once.
        Found::Missing { number, outpoint, amount_sat } => Some((outpoint, (number, amount_sat))),
        _ => None,
    });
    let missing = BTreeMap::from_iter(missing).into_iter();
    let now = ledger.facts.header.header.timestamp;
    let is_judged = moment.can_judge(now);
    let missing = missing.map(|(outpoint, (number, amount_sat))| match is_judged {
        true => Finding::OutputMissing { number, outpoint, amount_sat },
        false => Finding::OutputUnjudged { number, outpoint, amount_sat },
    });
    let mut findings: Vec<Finding> = missing.collect();
    findings.extend((!sums.balanced).then_some(Finding::Unbalanced));
    let (lost_sat, unswept_sat, reserve_sat) = (books.lost_sat, books.unswept_sat, books.reserve_sat);
    let by_books = Finding::MissingByBooks { lost_sat, unswept_sat, reserve_sat };
    findings.extend((sums.balanced && !sums.covered).then_some(by_books));
    findings.extend(header_old(ledger.facts.header.header.number, moment.now.saturating_sub(now), limits));
    findings.extend(ledger.open.iter().filter_map(|(id, open)| late_withdrawal(*id, open, now, limits)));
    findings.extend(
        ledger.unminted.iter().filter_map(|(at, deposit)| late_deposit(*at, deposit, moment.bitcoin_height, limits)),
    );
    findings
}

fn header_old(number: u64, age_s: u64, limits: Limits) -> Option<Finding> {
    let max_age_s = limits.max_age_s;
    (age_s > max_age_s).then_some(Finding::HeaderOld { number, age_s, max_age_s })
}

fn late_withdrawal(id: u64, withdrawal: &Withdrawal, now: u64, limits: Limits) -> Option<Finding> {
    let waits_s = now.saturating_sub(withdrawal.asked_at);
    let late = Finding::WithdrawalLate { id, amount_sat: withdrawal.amount_sat, waits_s };
    (waits_s > limits.withdrawal_s).then_some(late)
}

fn late_deposit(outpoint: OutPoint, deposit: &Deposit, tip: Height, limits: Limits) -> Option<Finding> {
    let confirmations = (tip + 1).saturating_sub(deposit.height);
    let late = Finding::DepositLate { outpoint, amount_sat: deposit.amount_sat, confirmations };
    (confirmations > limits.deposit_confirmations).then_some(late)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{Address, Bytes};
    use bitcoin::hashes::Hash as _;

    const LIMITS: Limits = Limits { max_age_s: 60, withdrawal_s: 3_600, deposit_confirmations: 100 };

    fn withdrawal(asked_at: u64) -> Withdrawal {
        Withdrawal {
            owner: Address::repeat_byte(1),
            amount_sat: 50_000,
            max_fee_sat: 1_000,
            asked_at,
            tie: None,
            paid_by: None,
            given_back: None,
            script: Bytes::new(),
        }
    }

    #[test]
    fn a_withdrawal_is_late_after_its_deadline_and_not_before() {
        assert_eq!(late_withdrawal(7, &withdrawal(1_000), 4_600, LIMITS), None);
        let late = late_withdrawal(7, &withdrawal(1_000), 4_601, LIMITS).expect("late");
        assert_eq!((late.kind(), late.line().as_str()), (Kind::Liveness, "withdrawal 7 of 0.0005 BTC waits for 1h 1s"));
        let later = late_withdrawal(7, &withdrawal(1_000), 4_602, LIMITS).expect("late");
        assert!(later.is_same(&late) && later != late, "told once");
        assert!(!later.is_same(&Finding::WithdrawalLate { id: 8, amount_sat: 1, waits_s: 1 }));
        // A clock that runs behind is no reason.
        assert_eq!(late_withdrawal(7, &withdrawal(9_000), 4_601, LIMITS), None);
    }

    #[test]
    fn a_header_is_old_beyond_its_age_and_that_is_of_liveness() {
        assert_eq!(header_old(9, 60, LIMITS), None);
        let old = header_old(9, 61, LIMITS).expect("old");
        assert!(old.kind() == Kind::Liveness && old.line().contains("1m 1s old, and may be 1m (--max-age)"), "{old:?}");
        assert!(header_old(12, 90, LIMITS).is_some_and(|older| older.is_same(&old)));
    }

    #[test]
    fn only_a_header_that_was_made_after_bitcoinds_answer_judges_it() {
        let tip = BlockHash::all_zeros();
        let moment = Moment { now: 130, bitcoin_height: 5, bitcoin_tip: tip, bitcoin_since: 100 };
        assert!(moment.can_judge(101));
        assert!(!moment.can_judge(100), "within the same second, before or after");
        assert!(!moment.can_judge(40));
    }
}
