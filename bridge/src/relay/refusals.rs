//! What the ledger, or anybody on the way to it, refuses must not stop the rest.
//!
//! ```text
//!   a proposal fails --is one of its deposits known by now? yes--> nothing is wrong, another relayer was first
//!                        | no
//!        deposits and withdrawals   --> next time only one of both kinds
//!        several of one kind        --> next time half as many
//!        one alone                  --> it is left out, each time for longer; then it is tried alone again, when it is the turn of
//!                                       those that failed
//!        ... which then goes through with other vault outputs --> the one that it failed with is left out
//! ```
//! Whatever was accepted lets plans grow again. What failed before never takes the place of what did not: it gets every fourth
//! proposal, and those that nothing else wants.

use std::collections::{BTreeMap, BTreeSet};

use bitcoin::OutPoint;

use super::deposits::Deposits;
use crate::plan::{Available, Plan, plan};

/// Milliseconds for which a part is left out after its first failure; twice as long after each further one.
const FIRST_PATIENCE_MS: u64 = 30_000;
/// Milliseconds for which a part is left out at most: a try costs no more than a question to one's own node.
const LONGEST_PATIENCE_MS: u64 = 10 * 60_000;
/// Of so many proposals, one may be for what failed before, while there is something else.
const ONE_OF: u64 = 4;
/// Tries to make a plan of one part that failed before, in one decision.
const MOST_TRIES: usize = 24;

/// A part of a plan that can be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    Deposit(OutPoint),
    Withdrawal(u64),
    VaultOutput(u64),
}

/// What failed lately.
#[derive(Clone, Debug)]
pub struct Refusals {
    failed: BTreeMap<Part, Failed>,
    /// Most deposits and withdrawals in the next plan.
    most: usize,
    /// The kind that is left out of the next plan, while both together fail.
    without: Option<Kind>,
    accepted: u64,
    /// The vault outputs that were spent where a part failed alone: one of them may be at fault.
    failed_with: BTreeMap<Part, BTreeSet<u64>>,
    /// A refused proposal, until the ledger has been asked about its deposits.
    unexplained: Option<(Plan, String)>,
}

#[derive(Clone, Copy, Debug)]
struct Failed {
    times: u32,
    until_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Deposits,
    Withdrawals,
}

/// What follows from a failed proposal; for the operator's eyes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Another relayer was first.
    Known,
    LeftOut {
        part: Part,
        for_ms: u64,
        reason: String,
    },
    Smaller {
        reason: String,
    },
}

impl Default for Refusals {
    fn default() -> Self {
        Self {
            failed: BTreeMap::new(),
            most: usize::MAX,
            without: None,
            accepted: 0,
            failed_with: BTreeMap::new(),
            unexplained: None,
        }
    }
}

impl Refusals {
    /// A proposal was refused, wherever.
    pub fn refused(&mut self, plan: Plan, reason: String) {
        self.unexplained = Some((plan, reason));
    }

    /// Nobody answered to a proposal: it may have been too much at once.
    pub fn unanswered(&mut self, plan: &Plan) {
        self.shrink(plan);
    }

    /// A proposal is under way: one's own node has found nothing wrong with it.
    pub fn sent(&mut self, plan: &Plan, clock_ms: u64) {
        for number in &plan.vault_inputs {
            self.failed.remove(&Part::VaultOutput(*number));
        }
        if let [alone] = participants(plan).as_slice()
            && let Some(with) = self.failed_with.remove(alone)
        {
            for number in with.into_iter().filter(|number| !plan.vault_inputs.contains(number)) {
                self.fail(Part::VaultOutput(number), clock_ms);
            }
        }
    }

    /// A proposal is in the ledger.
    pub fn accepted(&mut self) {
        self.accepted += 1;
        self.without = None;
        self.most = self.most.saturating_mul(2);
    }

    /// The deposits of the last refused proposal, until [`Refusals::explain`] knows the reason.
    #[must_use]
    pub fn asked(&self) -> BTreeSet<OutPoint> {
        self.unexplained.iter().flat_map(|(plan, _)| plan.deposits.iter().copied()).collect()
    }

    /// Judges the last refused proposal, once the ledger has been asked about all its deposits.
    pub fn explain(&mut self, deposits: &Deposits, clock_ms: u64) -> Option<Verdict> {
        let (plan, _) = self.unexplained.as_ref()?;
        let known: Option<Vec<bool>> = plan.deposits.iter().map(|outpoint| deposits.is_known(outpoint)).collect();
        let is_known = known?.contains(&true);
        let (plan, reason) = self.unexplained.take()?;
        Some(match participants(&plan).as_slice() {
            _ if is_known => Verdict::Known,
            [alone] => self.leave_out(*alone, &plan.vault_inputs, reason, clock_ms),
            _ => {
                self.shrink(&plan);
                Verdict::Smaller { reason }
            }
        })
    }

    /// Keeps of what is available what the next plan is to be made of.
    #[must_use]
    pub fn narrow(&mut self, available: Available, most_deposits: usize, clock_ms: u64) -> Available {
        self.forget_gone(&available);
        let fresh = only(&available, |part| match part {
            Part::VaultOutput(_) => !self.is_left_out(&part, clock_ms),
            _ => !self.failed.contains_key(&part),
        });
        let is_their_turn = self.accepted % ONE_OF == ONE_OF - 1;
        let again = || self.one_again(&available, clock_ms);
        let first = if is_their_turn { again() } else { None };
        let narrowed = first.or_else(|| self.cut(fresh, most_deposits)).or_else(again);
        narrowed.unwrap_or(Available { deposits: Vec::new(), withdrawals: Vec::new(), ..available })
    }

    /// The fresh ones, as many as may go together; none when no plan can be made of them.
    fn cut(&self, mut fresh: Available, most_deposits: usize) -> Option<Available> {
        fresh.deposits.truncate(most_deposits);
        let of_one_kind = match self.without {
            Some(Kind::Deposits) => Available { deposits: Vec::new(), ..fresh.clone() },
            Some(Kind::Withdrawals) => Available { withdrawals: Vec::new(), ..fresh.clone() },
            None => fresh.clone(),
        };
        // There may be nothing of that kind.
        let (available, planned) = [of_one_kind, fresh].into_iter().find_map(|available| {
            let planned = plan(&available)?;
            Some((available, planned))
        })?;
        let members = participants(&planned);
        if members.len() <= self.most {
            return Some(available);
        }
        // A part of them may not pay for itself: then another part does.
        let some = members.chunks(self.most).map(|some| only(&available, |part| is_in(some, part)));
        some.into_iter().find(|some| plan(some).is_some())
    }

    /// One of those that failed before and whose time has come; if it may be, with other vault outputs than those that it failed with.
    fn one_again(&self, available: &Available, clock_ms: u64) -> Option<Available> {
        let failed = |part: &Part| Some((self.failed.get(part)?.until_ms, *part));
        let is_participant = |part: &Part| !matches!(part, Part::VaultOutput(_));
        let mut due: Vec<(u64, Part)> =
            offered(available).filter(is_participant).filter_map(|part| failed(&part)).collect();
        due.retain(|(until_ms, _)| *until_ms <= clock_ms);
        due.sort_unstable();
        due.into_iter().take(MOST_TRIES).find_map(|(_, alone)| {
            let alone_with = |may_spend: &dyn Fn(&Part) -> bool| {
                let narrowed = only(available, |part| part == alone || (!is_participant(&part) && may_spend(&part)));
                plan(&narrowed).map(|_| narrowed)
            };
            let with = self.failed_with.get(&alone);
            let is_suspect =
                |part: &Part| with.is_some_and(|with| with.iter().any(|number| *part == Part::VaultOutput(*number)));
            alone_with(&|part| !is_suspect(part) && !self.is_left_out(part, clock_ms))
                .or_else(|| alone_with(&|part| !is_suspect(part)))
                .or_else(|| alone_with(&|_| true))
        })
    }

    fn is_left_out(&self, part: &Part, clock_ms: u64) -> bool {
        self.failed.get(part).is_some_and(|failed| failed.until_ms > clock_ms)
    }

    fn leave_out(&mut self, part: Part, vault_inputs: &[u64], reason: String, clock_ms: u64) -> Verdict {
        self.failed_with.entry(part).or_default().extend(vault_inputs);
        let for_ms = self.fail(part, clock_ms);
        Verdict::LeftOut { part, for_ms, reason }
    }

    fn fail(&mut self, part: Part, clock_ms: u64) -> u64 {
        let failed = self.failed.entry(part).or_insert(Failed { times: 0, until_ms: 0 });
        let patience_ms = FIRST_PATIENCE_MS.saturating_mul(1 << failed.times.min(16)).min(LONGEST_PATIENCE_MS);
        failed.times += 1;
        failed.until_ms = clock_ms + patience_ms;
        patience_ms
    }

    fn shrink(&mut self, plan: &Plan) {
        let is_mixed = !plan.deposits.is_empty() && !plan.withdrawals.is_empty();
        if is_mixed {
            let then = if self.accepted.is_multiple_of(2) { Kind::Withdrawals } else { Kind::Deposits };
            self.without = Some(then);
        } else {
            self.most = (participants(plan).len() / 2).max(1);
            // The other kind goes on meanwhile.
            self.without = self.without.map(Kind::other);
        }
    }

    /// What is not available any more is not remembered.
    fn forget_gone(&mut self, available: &Available) {
        let there: BTreeSet<Part> = offered(available).collect();
        self.failed.retain(|part, _| there.contains(part));
        self.failed_with.retain(|part, _| there.contains(part));
    }
}

impl Kind {
    fn other(self) -> Self {
        match self {
            Self::Deposits => Self::Withdrawals,
            Self::Withdrawals => Self::Deposits,
        }
    }
}

fn participants(plan: &Plan) -> Vec<Part> {
    let deposits = plan.deposits.iter().map(|outpoint| Part::Deposit(*outpoint));
    deposits.chain(plan.withdrawals.iter().map(|id| Part::Withdrawal(*id))).collect()
}

fn offered(available: &Available) -> impl Iterator<Item = Part> {
    let deposits = available.deposits.iter().map(|deposit| Part::Deposit(deposit.outpoint));
    let withdrawals = available.withdrawals.iter().map(|withdrawal| Part::Withdrawal(withdrawal.id));
    let vault_outputs = available.vault_outputs.iter().map(|output| Part::VaultOutput(output.number));
    deposits.chain(withdrawals).chain(vault_outputs)
}

/// Whether a part is one of these; vault outputs are whoever's.
fn is_in(parts: &[Part], part: Part) -> bool {
    matches!(part, Part::VaultOutput(_)) || parts.contains(&part)
}

fn only(available: &Available, is_wanted: impl Fn(Part) -> bool) -> Available {
    let Available { deposits, withdrawals, vault_outputs, .. } = available;
    let deposits = deposits.iter().filter(|deposit| is_wanted(Part::Deposit(deposit.outpoint)));
    let withdrawals = withdrawals.iter().filter(|withdrawal| is_wanted(Part::Withdrawal(withdrawal.id)));
    let vault_outputs = vault_outputs.iter().filter(|output| is_wanted(Part::VaultOutput(output.number)));
    Available {
        deposits: deposits.cloned().collect(),
        withdrawals: withdrawals.cloned().collect(),
        vault_outputs: vault_outputs.copied().collect(),
        ..*available
    }
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Deposit(outpoint) => write!(f, "deposit {outpoint}"),
            Self::Withdrawal(id) => write!(f, "withdrawal {id}"),
            Self::VaultOutput(number) => write!(f, "the output of vault transaction {number}"),
        }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Known => f.write_str("another relayer proposed first"),
            Self::LeftOut { part, for_ms, reason } => {
                write!(f, "{part} is refused and left out for {} s: {reason}", for_ms / 1_000)
            }
            Self::Smaller { reason } => write!(f, "a proposal is refused, a smaller one is tried: {reason}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use bitcoin::{Amount, FeeRate, ScriptBuf};
    use proptest::prelude::*;

    use super::*;
    use crate::plan::{MAX_DEPOSITS, QueuedWithdrawal, ReadyDeposit, VaultOutput};

    /// A ledger in which some parts can never be proposed, and a relayer that tries.
    struct World {
        refusals: Refusals,
        deposits: Deposits,
        available: Available,
        bad: BTreeSet<Part>,
        clock_ms: u64,
        tries: usize,
    }

    fn outpoint(vout: u32) -> OutPoint {
        OutPoint { vout, ..OutPoint::null() }
    }

    fn deposit(vout: u32) -> ReadyDeposit {
        ReadyDeposit {
            outpoint: outpoint(vout),
            amount: Amount::from_sat(1_000_000),
            max_fee: Amount::from_sat(50_000),
        }
    }

    fn withdrawal(id: u64) -> QueuedWithdrawal {
        let script = ScriptBuf::from_bytes(vec![7; 34]);
        QueuedWithdrawal { id, amount: Amount::from_sat(20_000), max_fee: Amount::from_sat(10_000), script }
    }

    fn vault_output(number: u64) -> VaultOutput {
        VaultOutput { number, amount: Amount::from_sat(10_000_000 + number) }
    }

    impl World {
        fn new(deposits: u32, withdrawals: u64, bad: &[Part]) -> Self {
            let rate = FeeRate::from_sat_per_vb_u32(1);
            let available = Available {
                deposits: (0..deposits).map(deposit).collect(),
                withdrawals: (0..withdrawals).map(withdrawal).collect(),
                vault_outputs: (0..3).map(vault_output).collect(),
                fee_rate: rate,
                min_fee_rate: rate,
                max_fee_rate: FeeRate::from_sat_per_vb_u32(500),
                ..Available::default()
            };
            let mut answers = Deposits::default();
            (0..deposits).for_each(|vout| answers.answer(outpoint(vout), false));
            let bad = bad.iter().copied().collect();
            Self { refusals: Refusals::default(), deposits: answers, available, bad, clock_ms: 0, tries: 0 }
        }

        /// One proposal; what it was made of, when it was accepted.
        fn round(&mut self) -> Option<Vec<Part>> {
            self.clock_ms += crate::relay::duty::HOLD_MS;
            let narrowed = self.refusals.narrow(self.available.clone(), MAX_DEPOSITS, self.clock_ms);
            let plan = plan(&narrowed)?;
            self.tries += 1;
            let mut parts = participants(&plan);
            parts.extend(plan.vault_inputs.iter().map(|number| Part::VaultOutput(*number)));
            if parts.iter().any(|part| self.bad.contains(part)) {
                self.refusals.refused(plan, "no".to_owned());
                self.refusals.explain(&self.deposits, self.clock_ms).expect("the ledger was asked");
                return None;
            }
            self.refusals.sent(&plan, self.clock_ms);
            self.refusals.accepted();
            self.available = only(&self.available, |part| !parts.contains(&part));
            // The change settles.
            let change = vault_output(self.available.vault_outputs.len() as u64 + 100 + self.tries as u64);
            self.available.vault_outputs.push(change);
            Some(parts)
        }

        fn left(&self) -> Vec<Part> {
            offered(&self.available).filter(|part| !matches!(part, Part::VaultOutput(_))).collect()
        }
    }

    proptest! {
        #[test]
        fn whatever_is_refused_all_others_are_proposed_and_it_is_tried_again_ever_less_often(
            deposits in 0u32..40, withdrawals in 0u64..40, bad in prop::collection::btree_set(0u32..80, 0..6)
        ) {
            let part = |number: u32| if number < 40 { Part::Deposit(outpoint(number)) } else { Part::Withdrawal(u64::from(number) - 40) };
            let bad: Vec<Part> = bad.into_iter().map(part).collect();
            let mut world = World::new(deposits, withdrawals, &bad);
            let mut rounds = 0;
            while world.left().iter().any(|part| !bad.contains(part)) {
                world.round();
                rounds += 1;
                prop_assert!(rounds < 150, "{:?} are left after {} rounds", world.left(), rounds);
            }
            let (tries, left) = (world.tries, world.left().len());
            (0..1_800).for_each(|_| drop(world.round()));
            let again = world.tries - tries;
            prop_assert!(again <= left * 12, "{} tries in an hour for {} bad ones", again, left);
            prop_assert!(left == 0 || again >= left * 5, "{} tries in an hour for {} bad ones", again, left);
        }
    }

    #[test]
    fn a_vault_output_that_cannot_be_spent_stops_no_withdrawal() {
        // The largest, which every plan takes first.
        let mut world = World::new(0, 6, &[Part::VaultOutput(2)]);
        let paid: usize = (0..40).filter_map(|_| world.round()).map(|parts| parts.len() - 1).sum();
        assert_eq!(paid, 6, "{:?}", world.refusals);
    }

    #[test]
    fn a_thousand_bad_deposits_leave_a_good_one_its_place() {
        let bad: Vec<Part> = (0..1_000).map(|vout| Part::Deposit(outpoint(vout))).collect();
        let mut world = World::new(1_000, 0, &bad);
        (0..1_500).for_each(|_| drop(world.round()));
        world.available.deposits.push(deposit(1_000));
        world.deposits.answer(outpoint(1_000), false);
        let rounds = (1..10).find(|_| world.round().is_some());
        assert!(rounds.is_some_and(|rounds| rounds <= 2), "{rounds:?}");
    }

    #[test]
    fn nothing_is_left_out_when_another_relayer_was_first() {
        let mut world = World::new(2, 0, &[]);
        let plan = Plan { deposits: vec![outpoint(0), outpoint(1)], ..Plan::default() };
        world.refusals.refused(plan, "known".to_owned());
        world.deposits.proposed(outpoint(1));
        assert_eq!(world.refusals.explain(&world.deposits, 0), Some(Verdict::Known));
        assert!(world.refusals.failed.is_empty() && world.refusals.most == usize::MAX);
    }

    #[test]
    fn a_proposal_that_nobody_answers_is_made_smaller_and_nobody_is_blamed() {
        let mut world = World::new(8, 0, &[]);
        let first = plan(&world.available).expect("all of them");
        world.refusals.unanswered(&first);
        assert_eq!(world.round().map(|parts| parts.len()), Some(4));
        assert_eq!(world.round().map(|parts| parts.len()), Some(4));
        assert!(world.refusals.failed.is_empty());
    }
}
