//! Which open proposals are waited for, and which are worth an approval.
//!
//! A proposal keeps what it names from being proposed by others, for as long as it may take to be approved and bound. A member whose proposals come
//! to nothing is not waited for, for longer each time. And whoever drops proposals that others have approved is not answered for a while: approvals
//! come out of everybody's quota on the board. So whoever proposes junk at every block keeps nobody from anything. A proposal that stays open is
//! approved whenever a member gets to it: a bitcoind may take a while to answer.

use std::collections::{BTreeMap, BTreeSet};

use super::drafting::InUse;
use super::view::{Deposit, LedgerView, Proposal, Withdrawal};
use crate::peg::Content;
use crate::signing::Enough;

/// Seconds of block time in which a proposal should be approved: some blocks.
pub const APPROVED_WITHIN_S: u64 = 15;
/// Seconds after which one that found too few is given up by its proposer: by then the approvals of members whose bitcoind was slow are there.
pub const GIVEN_UP_AFTER_S: u64 = 60;
/// Seconds in which an approved one should be bound, by whoever is alive.
const BOUND_WITHIN_S: u64 = 30;
/// Seconds for which a member's proposals are not waited for after the first that came to nothing; twice as long after each further one.
const FIRST_S: u64 = 60;
const LONGEST_S: u64 = 86_400;

/// The members whose proposals came to nothing.
#[derive(Clone, Debug, Default)]
pub struct Proposers {
    /// Open ones that were seen, with their members.
    open: BTreeMap<u64, (u16, Content)>,
    judged: BTreeSet<u64>,
    given_up: BTreeSet<u64>,
    /// How often in a row proposals of a member came to nothing, and until when it is not waited for.
    failed: BTreeMap<u16, (u32, u64)>,
    /// How often in a row it dropped what may have been approved, and until when it is not answered.
    dropped: BTreeMap<u16, (u32, u64)>,
}

impl Proposers {
    /// Looks at the open proposals, by the time of the last final block. Returns those of `me` that are given up since the last time.
    pub fn look(&mut self, ledger: &LedgerView, me: u16) -> Vec<u64> {
        let now_s = ledger.head.time_s;
        let bound = InUse::by_bound(ledger, None);
        let is_closed = |(number, _): &(&u64, &(u16, Content))| !ledger.proposals.contains_key(number);
        let closed: Vec<u64> = self.open.iter().filter(is_closed).map(|(number, _)| *number).collect();
        for number in closed {
            self.closed(number, ledger, &bound, now_s);
        }
        let mut mine = Vec::new();
        for (number, proposal) in ledger.proposals.iter() {
            self.open.entry(*number).or_insert_with(|| (proposal.member, proposal.content.clone()));
            let is_wanted = is_wanted(&proposal.content, ledger, &bound);
            if !is_fresh(proposal, now_s) && self.judged.insert(*number) && is_wanted {
                fail(&mut self.failed, proposal.member, now_s);
            }
            let is_mine = proposal.member == me && !may_be_approved(proposal, now_s);
            if is_mine && self.given_up.insert(*number) && is_wanted {
                mine.push(*number);
            }
        }
        mine
    }

    /// It was bound, or lapsed, or its place was used again.
    fn closed(&mut self, number: u64, ledger: &LedgerView, bound: &InUse, now_s: u64) {
        let was_judged = self.judged.remove(&number);
        self.given_up.remove(&number);
        let Some((member, content)) = self.open.remove(&number) else { return };
        if ledger.entries.values().any(|entry| entry.proposal == number) {
            self.failed.remove(&member);
            self.dropped.remove(&member);
        } else if is_wanted(&content, ledger, bound) {
            fail(&mut self.dropped, member, now_s);
            if !was_judged {
                fail(&mut self.failed, member, now_s);
            }
        }
    }

    /// What open proposals keep for themselves.
    #[must_use]
    pub fn in_use(&self, ledger: &LedgerView) -> InUse {
        let mut in_use = InUse::default();
        self.waited_for(ledger).for_each(|proposal| in_use.add(&proposal.content));
        in_use
    }

    /// Whether an open proposal spends the same at no lower rate: a cheaper one keeps nobody from a version.
    #[must_use]
    pub fn has_as_good(&self, content: &Content, ledger: &LedgerView) -> bool {
        let is_as_good = |proposal: &Proposal| {
            let mut same = InUse::default();
            same.add(&proposal.content);
            same.overlaps(content) && proposal.content.rate >= content.rate
        };
        self.waited_for(ledger).any(is_as_good)
    }

    fn waited_for<'a>(&'a self, ledger: &'a LedgerView) -> impl Iterator<Item = &'a Proposal> {
        let now_s = ledger.head.time_s;
        let is_waited_for = move |proposal: &&Proposal| {
            is_fresh(proposal, now_s) && is_over(&self.failed, proposal.member, now_s) && is_of_use(proposal, ledger)
        };
        ledger.proposals.values().filter(is_waited_for)
    }

    /// Whether a member's proposals are worth an approval now.
    #[must_use]
    pub fn may_propose(&self, member: u16, now_s: u64) -> bool {
        is_over(&self.dropped, member, now_s)
    }
}

fn fail(failed: &mut BTreeMap<u16, (u32, u64)>, member: u16, now_s: u64) {
    let (times, until_s) = failed.entry(member).or_default();
    *until_s = now_s + FIRST_S.saturating_mul(1 << (*times).min(16)).min(LONGEST_S);
    *times += 1;
}

fn is_over(failed: &BTreeMap<u16, (u32, u64)>, member: u16, now_s: u64) -> bool {
    failed.get(&member).is_none_or(|(_, until_s)| *until_s <= now_s)
}

/// Whether something of it is still to be done: nobody is blamed because another was first.
fn is_wanted(content: &Content, ledger: &LedgerView, bound: &InUse) -> bool {
    if bound.overlaps(content) {
        return false;
    }
    let deposit = |outpoint| ledger.deposits.get(outpoint).is_some_and(Deposit::is_sweepable);
    let queued = |id| ledger.withdrawals.get(id).is_some_and(Withdrawal::is_queued);
    let is_refresh = content.deposits.is_empty() && content.withdrawals.is_empty();
    content.deposits.iter().any(deposit)
        || content.withdrawals.iter().any(queued)
        || (is_refresh && content.outputs.iter().all(|output| ledger.outputs.contains_key(output)))
}

/// Whether anything is left of what it was made for: all whom it pays may have changed their minds.
fn is_of_use(proposal: &Proposal, ledger: &LedgerView) -> bool {
    let Content { deposits, withdrawals, .. } = &proposal.content;
    let is_swept = |outpoint| ledger.deposits.get(outpoint).is_some_and(|deposit| !deposit.is_sweepable());
    (withdrawals.is_empty() || withdrawals.iter().any(|id| ledger.withdrawals.contains_key(id)))
        && (deposits.is_empty() || !deposits.iter().all(is_swept))
}

/// Whether it may still be approved and bound in time.
#[must_use]
pub fn is_fresh(proposal: &Proposal, now_s: u64) -> bool {
    match proposal.enough {
        Enough::No => now_s < proposal.opened_in.time_s + APPROVED_WITHIN_S,
        Enough::Yes | Enough::WithLatecomers => now_s < proposal.approved_at_s + BOUND_WITHIN_S,
    }
}

/// Whether its proposer leaves it open: others may be about to approve it.
#[must_use]
pub fn may_be_approved(proposal: &Proposal, now_s: u64) -> bool {
    match proposal.enough {
        Enough::No => now_s < proposal.opened_in.time_s + GIVEN_UP_AFTER_S,
        Enough::Yes | Enough::WithLatecomers => is_fresh(proposal, now_s),
    }
}
