//! What an audit objects to: something is missing, or something is later than it should be. Each names what it concerns.

use std::collections::BTreeMap;

use bitcoin::{Amount, OutPoint};
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

/// When something is late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// Seconds from a withdrawal's request to its payment in a block, as the ledger knows it.
    pub withdrawal_s: u64,
    /// Confirmations at which every deposit has its coins.
    pub deposit_confirmations: u32,
}

impl Finding {
    pub fn kind(&self) -> Kind {
        match self {
            Self::OutputMissing { .. } | Self::Unbalanced | Self::MissingByBooks { .. } => Kind::Safety,
            Self::WithdrawalLate { .. } | Self::DepositLate { .. } => Kind::Liveness,
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
pub fn findings(ledger: &Ledger, outputs: &[Output], tip: Height, deadlines: Deadlines) -> Vec<Finding> {
    let books = &ledger.facts.books;
    let sums = Sums::of(ledger.facts.supply_wei, books);
    let missing = outputs.iter().filter_map(|output| match output.found {
        // What should be in the place of several is missing once.
        Found::Missing { number, outpoint, amount_sat } => Some((outpoint, (number, amount_sat))),
        _ => None,
    });
    let missing = BTreeMap::from_iter(missing).into_iter();
    let missing =
        missing.map(|(outpoint, (number, amount_sat))| Finding::OutputMissing { number, outpoint, amount_sat });
    let mut findings: Vec<Finding> = missing.collect();
    findings.extend((!sums.balanced).then_some(Finding::Unbalanced));
    let (lost_sat, unswept_sat, reserve_sat) = (books.lost_sat, books.unswept_sat, books.reserve_sat);
    let by_books = Finding::MissingByBooks { lost_sat, unswept_sat, reserve_sat };
    findings.extend((sums.balanced && !sums.covered).then_some(by_books));
    let now = ledger.facts.header.header.timestamp;
    findings.extend(ledger.open.iter().filter_map(|(id, open)| late_withdrawal(*id, open, now, deadlines)));
    findings.extend(ledger.unminted.iter().filter_map(|(at, deposit)| late_deposit(*at, deposit, tip, deadlines)));
    findings
}

fn late_withdrawal(id: u64, withdrawal: &Withdrawal, now: u64, deadlines: Deadlines) -> Option<Finding> {
    let waits_s = now.saturating_sub(withdrawal.asked_at);
    let late = Finding::WithdrawalLate { id, amount_sat: withdrawal.amount_sat, waits_s };
    (waits_s > deadlines.withdrawal_s).then_some(late)
}

fn late_deposit(outpoint: OutPoint, deposit: &Deposit, tip: Height, deadlines: Deadlines) -> Option<Finding> {
    let confirmations = (tip + 1).saturating_sub(deposit.height);
    let late = Finding::DepositLate { outpoint, amount_sat: deposit.amount_sat, confirmations };
    (confirmations > deadlines.deposit_confirmations).then_some(late)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{Address, Bytes};

    const DEADLINES: Deadlines = Deadlines { withdrawal_s: 3_600, deposit_confirmations: 100 };

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
        assert_eq!(late_withdrawal(7, &withdrawal(1_000), 4_600, DEADLINES), None);
        let late = late_withdrawal(7, &withdrawal(1_000), 4_601, DEADLINES).expect("late");
        assert_eq!((late.kind(), late.line().as_str()), (Kind::Liveness, "withdrawal 7 of 0.0005 BTC waits for 1h 1s"));
        // A clock that runs behind is no reason.
        assert_eq!(late_withdrawal(7, &withdrawal(9_000), 4_601, DEADLINES), None);
    }
}
