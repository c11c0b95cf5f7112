//! Which members approve nothing while too few approve what is proposed.
//!
//! A proposal that finds too few is given up after a minute and made again, so what is over is remembered for a while: else a dead member would be named
//! and forgotten each minute.

use std::collections::BTreeMap;

use super::view::LedgerView;
use crate::waited_for::{Gathering, by_gatherings};

/// Seconds for which a proposal that found too few counts.
const REMEMBERED_S: u64 = 600;
/// Proposals that are remembered: the newest.
const MOST: usize = 64;

/// Proposals that found too few so far.
#[derive(Clone, Debug, Default)]
pub struct Absent {
    /// By number: when it was opened, and where its approvals gather.
    proposals: BTreeMap<(u64, u64), Gathering>,
    /// Vault transactions that were bound.
    bound: u32,
}

impl Absent {
    /// Looks at the open proposals. Returns who is waited for, and with what.
    pub fn look(&mut self, ledger: &LedgerView) -> BTreeMap<u16, String> {
        let now_s = ledger.head.time_s;
        let bound = ledger.entries.last_key_value().map_or(0, |(number, _)| *number);
        if bound != self.bound {
            // The federation works.
            self.bound = bound;
            self.proposals.clear();
        }
        for (number, proposal) in ledger.proposals.iter() {
            let opened_s = proposal.opened_in.time_s;
            let what = format!("it has not approved proposal {number}");
            let gathering = Gathering { what, there: proposal.approvals.clone(), age_s: 0 };
            self.proposals.insert((opened_s, *number), gathering);
        }
        self.proposals.retain(|(opened_s, _), _| now_s.saturating_sub(*opened_s) <= REMEMBERED_S);
        while self.proposals.len() > MOST {
            self.proposals.pop_first();
        }
        let aged = |((opened_s, _), gathering): (&(u64, u64), &Gathering)| Gathering {
            age_s: now_s.saturating_sub(*opened_s),
            ..gathering.clone()
        };
        let gatherings: Vec<Gathering> = self.proposals.iter().map(aged).collect();
        by_gatherings(&gatherings, ledger.members(), ledger.info.threshold)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use super::super::example::{ledger, proposal};
    use super::*;
    use crate::peg::Content;

    fn at(now_s: u64, open: &[(u64, u64, &[u16])]) -> LedgerView {
        let mut ledger = ledger(100);
        ledger.head.time_s = now_s;
        let proposals = open.iter().map(|(number, opened_s, approvals)| {
            let mut proposal = proposal(1, 0, Content::default(), *opened_s);
            proposal.approvals = approvals.iter().copied().collect::<BTreeSet<u16>>();
            (*number, proposal)
        });
        ledger.proposals = Arc::new(proposals.collect());
        ledger
    }

    #[test]
    fn a_dead_member_stays_named_while_proposals_come_and_go() {
        let mut absent = Absent::default();
        let start = ledger(100).head.time_s;
        let threshold = ledger(100).info.threshold;
        let members = ledger(100).members();
        // All that are alive, one fewer than enough.
        let alive: Vec<u16> = (1..threshold).collect();
        let dead: Vec<u16> = (threshold..=members).collect();
        assert!(alive.len() > usize::from(members - threshold), "more than could all be lying");
        let named = |absent: &mut Absent, ledger: &LedgerView| absent.look(ledger).into_keys().collect::<Vec<_>>();
        assert_eq!(named(&mut absent, &at(start + 5, &[(7, start, &alive)])), [0_u16; 0], "it may still come");
        assert_eq!(named(&mut absent, &at(start + 25, &[(7, start, &alive)])), dead);
        assert_eq!(named(&mut absent, &at(start + 61, &[(8, start + 60, &alive)])), dead, "the next one is young");
        assert_eq!(named(&mut absent, &at(start + 700, &[])), [0_u16; 0], "nothing is proposed any more");
    }
}
