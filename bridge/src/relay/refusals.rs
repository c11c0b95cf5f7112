//! What the ledger, other members, or anybody on the way to them refuses must not stop the rest.
//!
//! ```text
//!   a proposal fails
//!        several together  --> next time half as many of its kind
//!        one alone         --> it is left out, each time for longer; then it is tried alone again, when it is the turn of those that failed
//!        one alone, twice in a row over the same vault output --> that is left out too
//! ```
//! Whatever was bound lets proposals grow again. What failed before never takes the place of what did not: it gets every fourth proposal of its
//! kind, and those that nothing else wants. Kinds know nothing of each other: sweeps and payouts never wait for one another.

use std::collections::{BTreeMap, BTreeSet};

use bitcoin::OutPoint;

use super::duty::Kind;
use crate::peg::Content;
use crate::vault_tx::facts::LedgerFacts;

/// Milliseconds for which a part is left out after its first failure; twice as long after each further one.
pub const FIRST_PATIENCE_MS: u64 = 30_000;
/// Milliseconds for which a part is left out at most.
pub const LONGEST_PATIENCE_MS: u64 = 10 * 60_000;
/// Of so many proposals of a kind, one may be for what failed before, while there is something else.
const ONE_OF: u64 = 4;
/// Failures of withdrawals alone, in a row, after which the vault output that was to pay them is left out.
const SUSPECT_AFTER: u32 = 2;
/// Tries to make a proposal of one part that failed before, in one decision.
const MOST_TRIES: usize = 24;

/// A part of a proposal that can be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    Deposit(OutPoint),
    Withdrawal(u64),
    Output(u32),
}

/// What failed lately.
#[derive(Clone, Debug, Default)]
pub struct Refusals {
    failed: BTreeMap<Part, Failed>,
    /// Failures of lone withdrawals in a row, by the vault output that was to pay them.
    suspects: BTreeMap<u32, u32>,
    kinds: BTreeMap<Kind, Record>,
}

#[derive(Clone, Copy, Debug)]
struct Failed {
    times: u32,
    until_ms: u64,
}

#[derive(Clone, Copy, Debug)]
struct Record {
    /// Most participants of the next proposal.
    most: usize,
    bound: u64,
}

/// What follows from a failed proposal; for the operator's eyes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    LeftOut { part: Part, for_ms: u64 },
    Smaller { most: usize },
}

impl Default for Record {
    fn default() -> Self {
        Self { most: usize::MAX, bound: 0 }
    }
}

impl Refusals {
    /// A proposal was refused, or found too few who approve.
    pub fn refused(&mut self, kind: Kind, content: &Content, clock_ms: u64) -> Option<Verdict> {
        match participants(content).as_slice() {
            [] => None,
            [alone] => {
                let for_ms = self.fail(*alone, clock_ms);
                if let (Part::Withdrawal(_), Some(first)) = (alone, content.outputs.first()) {
                    let times = self.suspects.entry(*first).or_default();
                    *times += 1;
                    if *times >= SUSPECT_AFTER {
                        self.fail(Part::Output(*first), clock_ms);
                    }
                }
                Some(Verdict::LeftOut { part: *alone, for_ms })
            }
            several => {
                let most = (several.len() / 2).max(1);
                self.kinds.entry(kind).or_default().most = most;
                Some(Verdict::Smaller { most })
            }
        }
    }

    /// A proposal was bound.
    pub fn bound(&mut self, kind: Kind, content: &Content) {
        let record = self.kinds.entry(kind).or_default();
        (record.bound, record.most) = (record.bound + 1, record.most.saturating_mul(2));
        for part in participants(content) {
            self.failed.remove(&part);
        }
        for output in &content.outputs {
            self.suspects.remove(output);
            self.failed.remove(&Part::Output(*output));
        }
    }

    /// The next proposal of a kind, made by `plan` of what is offered to it.
    pub fn next(
        &mut self,
        kind: Kind,
        facts: &LedgerFacts,
        clock_ms: u64,
        plan: impl Fn(&LedgerFacts) -> Option<Content>,
    ) -> Option<Content> {
        self.forget_gone(facts);
        let record = self.kinds.get(&kind).copied().unwrap_or_default();
        let is_their_turn = record.bound % ONE_OF == ONE_OF - 1;
        let first = if is_their_turn { self.one_again(kind, facts, clock_ms, &plan) } else { None };
        first
            .or_else(|| self.fresh(facts, record.most, clock_ms, &plan))
            .or_else(|| self.one_again(kind, facts, clock_ms, &plan))
    }

    /// Of what did not fail, at most so many.
    fn fresh(
        &self,
        facts: &LedgerFacts,
        most: usize,
        clock_ms: u64,
        plan: impl Fn(&LedgerFacts) -> Option<Content>,
    ) -> Option<Content> {
        let fresh = self.without_failed(facts, clock_ms);
        let content = plan(&fresh)?;
        let members = participants(&content);
        if members.len() <= most {
            return Some(content);
        }
        // A part of them may not pay for itself: then another part does.
        members.chunks(most).map(|some| only(&fresh, some)).find_map(|some| plan(&some))
    }

    fn without_failed(&self, facts: &LedgerFacts, clock_ms: u64) -> LedgerFacts {
        let mut fresh = facts.clone();
        fresh.deposits.retain(|outpoint, _| !self.failed.contains_key(&Part::Deposit(*outpoint)));
        fresh.withdrawals.retain(|id, _| !self.failed.contains_key(&Part::Withdrawal(*id)));
        fresh.outputs.retain(|number, _| !self.is_left_out(&Part::Output(*number), clock_ms));
        fresh
    }

    /// One of those that failed before and whose time has come.
    fn one_again(
        &self,
        kind: Kind,
        facts: &LedgerFacts,
        clock_ms: u64,
        plan: impl Fn(&LedgerFacts) -> Option<Content>,
    ) -> Option<Content> {
        let is_of_kind = |part: &Part| match kind {
            Kind::Sweep => matches!(part, Part::Deposit(_)),
            Kind::Payout => matches!(part, Part::Withdrawal(_)),
            Kind::Consolidation | Kind::Version => false,
        };
        let mut due: Vec<(u64, Part)> = self
            .failed
            .iter()
            .filter(|(part, failed)| is_of_kind(part) && failed.until_ms <= clock_ms)
            .map(|(part, failed)| (failed.until_ms, *part))
            .collect();
        due.sort_unstable();
        due.into_iter().take(MOST_TRIES).find_map(|(_, alone)| {
            let mut some = only(facts, &[alone]);
            some.outputs.retain(|number, _| !self.is_left_out(&Part::Output(*number), clock_ms));
            plan(&some)
        })
    }

    fn is_left_out(&self, part: &Part, clock_ms: u64) -> bool {
        self.failed.get(part).is_some_and(|failed| failed.until_ms > clock_ms)
    }

    fn fail(&mut self, part: Part, clock_ms: u64) -> u64 {
        let failed = self.failed.entry(part).or_insert(Failed { times: 0, until_ms: 0 });
        let patience_ms = FIRST_PATIENCE_MS.saturating_mul(1 << failed.times.min(16)).min(LONGEST_PATIENCE_MS);
        (failed.times, failed.until_ms) = (failed.times + 1, clock_ms + patience_ms);
        patience_ms
    }

    /// What is not there any more is not remembered.
    fn forget_gone(&mut self, facts: &LedgerFacts) {
        self.failed.retain(|part, _| match part {
            Part::Deposit(outpoint) => facts.deposits.contains_key(outpoint),
            Part::Withdrawal(id) => facts.withdrawals.contains_key(id),
            Part::Output(number) => facts.outputs.contains_key(number),
        });
        self.suspects.retain(|number, _| facts.outputs.contains_key(number));
    }
}

/// Those for whose sake a proposal is made: deposits, withdrawals, or vault outputs where there are no others.
fn participants(content: &Content) -> Vec<Part> {
    let deposits = content.deposits.iter().map(|outpoint| Part::Deposit(*outpoint));
    let others = deposits.chain(content.withdrawals.iter().map(|id| Part::Withdrawal(*id)));
    let others: Vec<Part> = others.collect();
    if others.is_empty() { content.outputs.iter().map(|number| Part::Output(*number)).collect() } else { others }
}

/// The same facts with these participants alone; whatever is not of their kind stays.
fn only(facts: &LedgerFacts, parts: &[Part]) -> LedgerFacts {
    let parts: BTreeSet<Part> = parts.iter().copied().collect();
    let mut some = facts.clone();
    if parts.iter().any(|part| matches!(part, Part::Deposit(_))) {
        some.deposits.retain(|outpoint, _| parts.contains(&Part::Deposit(*outpoint)));
    }
    if parts.iter().any(|part| matches!(part, Part::Withdrawal(_))) {
        some.withdrawals.retain(|id, _| parts.contains(&Part::Withdrawal(*id)));
    }
    if parts.iter().any(|part| matches!(part, Part::Output(_))) {
        some.outputs.retain(|number, _| parts.contains(&Part::Output(*number)));
    }
    some
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::LeftOut { part, for_ms } => {
                write!(f, "{part} is left out of proposals for {} s", for_ms / 1_000)
            }
            Self::Smaller { most } => write!(f, "the next proposal of the kind has at most {most} participants"),
        }
    }
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Deposit(outpoint) => write!(f, "deposit {outpoint}"),
            Self::Withdrawal(id) => write!(f, "withdrawal {id}"),
            Self::Output(number) => write!(f, "vault output {number}"),
        }
    }
}
