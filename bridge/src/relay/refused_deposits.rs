//! A deposit that the ledger refuses must not stop the others.
//!
//! ```text
//!   a proposal is refused --is one of its deposits known by now? yes--> nothing is wrong, another relayer was first
//!                              | no
//!        several deposits, or withdrawals --> deposits are proposed one by one for a while
//!        one deposit alone                --> it is left out for a while
//! ```

use std::collections::{BTreeMap, BTreeSet};

use bitcoin::OutPoint;

use super::deposits::Deposits;
use crate::plan::Plan;

/// Milliseconds for which a refused deposit is left out of proposals, and for which deposits are proposed one by one.
const QUARANTINE_MS: u64 = 60_000;

/// The deposits that the ledger refused lately.
#[derive(Clone, Debug, Default)]
pub struct RefusedDeposits {
    since_ms: BTreeMap<OutPoint, u64>,
    one_by_one_since_ms: Option<u64>,
    /// A refused proposal, until the ledger has been asked about its deposits.
    unexplained: Option<(Plan, String)>,
}

/// Why a proposal was refused; for the operator's eyes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Another relayer was first.
    Known,
    /// Its withdrawals or vault outputs.
    NoDeposits {
        reason: String,
    },
    Deposit {
        outpoint: OutPoint,
        reason: String,
    },
    OneOfMany {
        reason: String,
    },
}

impl RefusedDeposits {
    /// The ledger refused a proposal.
    pub fn refused(&mut self, plan: Plan, reason: String) {
        self.unexplained = Some((plan, reason));
    }

    /// The deposits of the last refused proposal, until [`RefusedDeposits::explain`] knows the reason.
    #[must_use]
    pub fn asked(&self) -> BTreeSet<OutPoint> {
        self.unexplained.iter().flat_map(|(plan, _)| plan.deposits.iter().copied()).collect()
    }

    /// Judges the last refused proposal, once the ledger has been asked about all its deposits.
    pub fn explain(&mut self, deposits: &Deposits, clock_ms: u64) -> Option<Verdict> {
        let (plan, _) = self.unexplained.as_ref()?;
        let known: Option<Vec<bool>> = plan.deposits.iter().map(|outpoint| deposits.is_known(outpoint)).collect();
        let known = known?.contains(&true);
        let (plan, reason) = self.unexplained.take()?;
        Some(match plan.deposits.as_slice() {
            _ if known => Verdict::Known,
            [] => Verdict::NoDeposits { reason },
            [alone] if plan.withdrawals.is_empty() => {
                self.since_ms.insert(*alone, clock_ms);
                Verdict::Deposit { outpoint: *alone, reason }
            }
            _ => {
                self.one_by_one_since_ms = Some(clock_ms);
                Verdict::OneOfMany { reason }
            }
        })
    }

    /// Whether a deposit is left out now.
    #[must_use]
    pub fn is_left_out(&self, outpoint: &OutPoint) -> bool {
        self.since_ms.contains_key(outpoint)
    }

    /// Whether deposits are proposed one by one now, without withdrawals.
    #[must_use]
    pub fn one_by_one(&self) -> bool {
        self.one_by_one_since_ms.is_some()
    }

    /// Forgets refusals of long ago.
    pub fn forget_old(&mut self, clock_ms: u64) {
        let lately = |since: &u64| clock_ms.saturating_sub(*since) < QUARANTINE_MS;
        self.since_ms.retain(|_, since| lately(since));
        self.one_by_one_since_ms = self.one_by_one_since_ms.filter(lately);
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Known => f.write_str("another relayer proposed first"),
            Self::NoDeposits { reason } => write!(f, "the ledger refuses a proposal: {reason}"),
            Self::Deposit { outpoint, reason } => write!(f, "the ledger refuses deposit {outpoint}: {reason}"),
            Self::OneOfMany { reason } => {
                write!(f, "the ledger refuses a proposal: {reason}; proposing its deposits one by one")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outpoint(vout: u32) -> OutPoint {
        OutPoint { vout, ..OutPoint::null() }
    }

    fn plan(deposits: &[u32]) -> Plan {
        Plan { deposits: deposits.iter().map(|vout| outpoint(*vout)).collect(), ..Plan::default() }
    }

    fn asked(unknown: &[u32]) -> Deposits {
        let mut deposits = Deposits::default();
        unknown.iter().for_each(|vout| deposits.answer(outpoint(*vout), false));
        deposits
    }

    #[test]
    fn of_many_refused_deposits_each_is_tried_alone_and_the_bad_one_left_out_for_a_while() {
        let mut refused = RefusedDeposits::default();
        refused.refused(plan(&[1, 2]), "no".to_owned());
        assert_eq!(refused.explain(&asked(&[1]), 0), None, "the ledger was not asked about all of them");
        assert!(matches!(refused.explain(&asked(&[1, 2]), 0), Some(Verdict::OneOfMany { .. })));
        assert!(refused.one_by_one() && !refused.is_left_out(&outpoint(1)));
        refused.refused(plan(&[1]), "no".to_owned());
        assert!(matches!(refused.explain(&asked(&[1]), 1), Some(Verdict::Deposit { .. })));
        assert!(refused.is_left_out(&outpoint(1)) && !refused.is_left_out(&outpoint(2)));
        refused.forget_old(QUARANTINE_MS);
        assert!(!refused.one_by_one() && refused.is_left_out(&outpoint(1)));
        refused.forget_old(QUARANTINE_MS + 1);
        assert!(!refused.is_left_out(&outpoint(1)));
    }

    #[test]
    fn nothing_is_left_out_when_another_relayer_was_first() {
        let mut refused = RefusedDeposits::default();
        let mut deposits = asked(&[1, 2]);
        refused.refused(plan(&[1, 2]), "known".to_owned());
        deposits.proposed(outpoint(2));
        assert_eq!(refused.explain(&deposits, 0), Some(Verdict::Known));
        assert!(!refused.one_by_one());
    }
}
