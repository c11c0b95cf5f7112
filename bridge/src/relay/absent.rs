//! Which members approve nothing while too few approve what is proposed.
//!
//! A proposal that finds too few is given up after a minute and made again, so what is over is remembered for a while: else a dead member would be named
//! and forgotten each minute. Once something is bound nothing of before counts: what was proposed for a deposit that its owner took back is never bound, whoever is there.

use std::collections::BTreeMap;

use super::proposers::may_be_approved;
use super::view::LedgerView;
use crate::waited_for::{Gathering, REMEMBERED_S, by_gatherings};

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
            if !may_be_approved(proposal, now_s) && !self.proposals.contains_key(&(opened_s, *number)) {
                continue;
            }
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

    use super::super::example::{content, entry, ledger, outpoint, proposal};
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

    // Proposed for a deposit that its owner takes back while two are away: it is never bound. The two are back, and something else is.
    #[test]
    fn nobody_is_blamed_for_what_is_never_bound_once_something_else_is() {
        let start = ledger(100).head.time_s;
        let stale: &[(u64, u64, &[u16])] = &[(7, start, &[1, 2])];
        let named = |absent: &mut Absent, ledger: &LedgerView| absent.look(ledger).into_keys().collect::<Vec<_>>();
        let mut absent = Absent::default();
        assert_eq!(named(&mut absent, &at(start + 5, stale)), [0_u16; 0]);
        assert_eq!(named(&mut absent, &at(start + 30, stale)), [3, 4]);
        let mut works = at(start + 120, stale);
        let sweep = entry(&works, content(2_000, &[outpoint(1)], &[], &[]));
        Arc::make_mut(&mut works.entries).insert(1, sweep);
        assert_eq!(named(&mut absent, &works), [0_u16; 0]);
        works.head.time_s = start + 180;
        assert_eq!(named(&mut absent, &works), [0_u16; 0], "it stays forgotten");
        assert_eq!(named(&mut Absent::default(), &works), [0_u16; 0], "by one that is started again, too");
    }
}
