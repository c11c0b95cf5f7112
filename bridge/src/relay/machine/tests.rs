use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bitcoin::{Amount, OutPoint};
use proptest::prelude::*;

use super::*;
use crate::peg::{DepositStatus, OutputStatus, VaultStatus, WithdrawalStatus};
use crate::relay::action::Killed;
use crate::relay::example::{self, RECOVERY_DELAY, content, entry, outpoint, output, position, proposal, withdrawal};
use crate::relay::facts::{BitcoinView, Package};
use crate::relay::fees::Rates;
use crate::relay::places::Place;
use crate::relay::spends::Spend;
use crate::relay::view::{Deposit, Entry, LedgerView, Proposal, Withdrawal};
use crate::signing::Enough;

const SCHEDULE: DutySchedule = DutySchedule { window_s: 30, takeover_ms: 2_000, batch_ms: 0 };
const TIP: u32 = 200;

/// A member, and what it sees.
#[derive(Clone, Debug)]
struct Relayer {
    machine: Machine,
    ledger: LedgerView,
    bitcoin: BitcoinView,
    in_flight: BTreeSet<Task>,
    clock_ms: u64,
}

impl Relayer {
    /// The member on duty; both chains are at height 200, and a rooted output of ten bitcoin is live.
    fn new() -> Self {
        let mut ledger = example::ledger(TIP);
        Arc::make_mut(&mut ledger.outputs).insert(1, output(1, 1_000_000_000));
        let machine = Machine::new(1, SCHEDULE, RECOVERY_DELAY, 1_000);
        Self { machine, ledger, bitcoin: example::bitcoin(TIP, &[]), in_flight: BTreeSet::new(), clock_ms: 0 }
    }

    /// With proven deposits of these numbers.
    fn with_deposits(numbers: impl IntoIterator<Item = u32>) -> Self {
        let mut relayer = Self::new();
        for number in numbers {
            relayer.deposits().insert(outpoint(number), example::deposit(150));
        }
        relayer
    }

    fn deposits(&mut self) -> &mut BTreeMap<OutPoint, Deposit> {
        Arc::make_mut(&mut self.ledger.deposits)
    }

    fn withdrawals(&mut self) -> &mut BTreeMap<u64, Withdrawal> {
        Arc::make_mut(&mut self.ledger.withdrawals)
    }

    fn entries(&mut self) -> &mut BTreeMap<u32, Entry> {
        Arc::make_mut(&mut self.ledger.entries)
    }

    /// Adds a bound vault transaction, signed, where bitcoind sees it.
    fn bound(&mut self, number: u32, of: Content, place: Place) {
        let entry = entry(&self.ledger, of);
        example::with_entries(&mut self.ledger, &mut self.bitcoin, &[(number, entry, place)]);
    }

    fn decide(&mut self) -> Vec<(Task, Action)> {
        let Self { machine, ledger, bitcoin, in_flight, clock_ms } = self;
        machine.decide(&Facts { clock_ms: *clock_ms, ledger, bitcoin: Some(bitcoin), in_flight }).actions
    }

    /// Decides, and everything that it does is refused.
    fn decide_and_fail(&mut self) -> Vec<Task> {
        let actions = self.decide();
        let tasks = actions.iter().map(|(task, _)| *task).collect();
        actions
            .into_iter()
            .for_each(|(task, action)| self.ended(task, action, Outcome::Reverted { reason: "no".to_owned() }));
        tasks
    }

    fn ended(&mut self, task: Task, action: Action, outcome: Outcome) {
        self.machine.ended(task, action, &outcome, self.clock_ms);
    }

    /// Lets both clocks go on.
    fn pass(&mut self, seconds: u64) {
        self.clock_ms += 1_000 * seconds;
        self.ledger.head.time_s += seconds;
    }

    /// What it proposes once its turn has come.
    fn proposes_in_time(&mut self) -> BTreeMap<Kind, Content> {
        self.proposes();
        self.clock_ms += 4 * SCHEDULE.takeover_ms;
        self.proposes()
    }

    /// What it proposes now, by kind.
    fn proposes(&mut self) -> BTreeMap<Kind, Content> {
        let actions = self.decide();
        // A crash forgets that they run.
        actions.iter().for_each(|(task, _)| self.machine.duty.ended(*task));
        proposals(&actions)
    }
}

fn proposals(actions: &[(Task, Action)]) -> BTreeMap<Kind, Content> {
    let proposed = actions.iter().filter_map(|(_, action)| match action {
        Action::Propose { kind, content } => Some((*kind, content.clone())),
        _ => None,
    });
    proposed.collect()
}

fn tasks(actions: &[(Task, Action)]) -> Vec<Task> {
    actions.iter().map(|(task, _)| *task).collect()
}

#[test]
fn nothing_is_owed_when_nothing_happened() {
    assert!(Relayer::new().decide().is_empty());
}

#[test]
fn sweeps_and_payouts_never_wait_for_each_other() {
    let mut relayer = Relayer::with_deposits([1, 2]);
    relayer.withdrawals().insert(1, withdrawal(5_000));
    let proposed = relayer.proposes();
    assert_eq!(proposed[&Kind::Sweep].deposits.len(), 2);
    assert_eq!(proposed[&Kind::Payout].withdrawals, [1]);
    // The sweeps alone fail, again and again.
    for _ in 0..5 {
        let (task, action) = relayer
            .decide()
            .into_iter()
            .find(|(task, _)| matches!(task, Task::Propose(Kind::Sweep, _)))
            .expect("a sweep");
        relayer.ended(task, action, Outcome::Reverted { reason: "no".to_owned() });
        relayer.machine.duty.ended(Task::Propose(Kind::Payout, 0));
        relayer.pass(1_000);
        assert!(relayer.proposes().contains_key(&Kind::Payout));
    }
}

#[test]
fn a_hundred_and_sixty_withdrawals_whose_maximum_cannot_be_paid_do_not_delay_one_that_can() {
    let mut relayer = Relayer::new();
    relayer.bitcoin.rates = Some(Rates { now: 200_000, usual: 10_000 });
    for id in 1..=160 {
        relayer.withdrawals().insert(id, withdrawal(178));
    }
    relayer.withdrawals().insert(161, withdrawal(50_000));
    assert_eq!(relayer.proposes()[&Kind::Payout].withdrawals, [161]);
    // Ten thousand of them neither.
    for id in 162..=10_000 {
        relayer.withdrawals().insert(id, withdrawal(178));
    }
    relayer.withdrawals().insert(10_001, withdrawal(50_000));
    assert_eq!(relayer.proposes()[&Kind::Payout].withdrawals, [161, 10_001]);
}

#[test]
fn nothing_is_proposed_while_bitcoind_has_no_fee_estimate() {
    let mut relayer = Relayer::with_deposits([1]);
    relayer.bitcoin.rates = None;
    assert!(relayer.proposes().is_empty(), "not at a guess");
    relayer.bitcoin.rates = Some(Rates { now: 9_000, usual: 9_000 });
    assert!(relayer.proposes().contains_key(&Kind::Sweep));
}

#[test]
fn nothing_is_paid_out_while_first_ties_are_stopped_and_sweeping_goes_on() {
    let mut relayer = Relayer::with_deposits([1]);
    relayer.withdrawals().insert(1, withdrawal(5_000));
    let limits = relayer.ledger.limits.as_mut().expect("they are known");
    limits.stopped = true;
    assert_eq!(relayer.proposes().keys().copied().collect::<Vec<_>>(), [Kind::Sweep]);
}

#[test]
fn a_deposit_that_was_spent_twice_or_left_the_chain_is_in_no_sweep_and_stops_no_other() {
    let mut relayer = Relayer::with_deposits([1, 2, 3]);
    let by = outpoint(99).txid;
    relayer.bitcoin.spends = Arc::new(BTreeMap::from([(outpoint(1), Spend { by, block: position(TIP) })]));
    relayer.deposits().get_mut(&outpoint(2)).expect("there").block.head = Default::default();
    assert_eq!(relayer.proposes()[&Kind::Sweep].deposits, [outpoint(3)]);
}

// 2 sweeps deposits 1 and 2, and is bound; then 1 is spent by something else, or its block leaves the best chain
#[test]
fn a_bound_sweep_that_lost_one_of_its_deposits_keeps_the_others_from_nothing() {
    for left in [false, true] {
        let mut relayer = Relayer::with_deposits([1, 2]);
        relayer.bound(2, content(2_000, &[outpoint(1), outpoint(2)], &[], &[]), Place::Nowhere);
        assert!(!relayer.proposes().contains_key(&Kind::Sweep), "it may confirm");
        if left {
            relayer.deposits().get_mut(&outpoint(1)).expect("there").block.head = Default::default();
        } else {
            let spend = Spend { by: outpoint(99).txid, block: position(TIP) };
            relayer.bitcoin.spends = Arc::new(BTreeMap::from([(outpoint(1), spend)]));
        }
        assert_eq!(relayer.proposes()[&Kind::Sweep].deposits, [outpoint(2)]);
    }
}

// 2 sweeps deposits 1, 2 and 3, and is bound; a reclaim of 1 that no miner takes is in the mempool
#[test]
fn a_reclaim_that_is_never_mined_holds_up_its_owner_alone() {
    let mut relayer = Relayer::with_deposits([1, 2, 3]);
    relayer.bitcoin.unconfirmed = Arc::new(BTreeMap::from([(outpoint(1), outpoint(99).txid)]));
    assert_eq!(relayer.proposes()[&Kind::Sweep].deposits, [outpoint(2), outpoint(3)], "before any sweep");
    relayer.bound(2, content(2_000, &[outpoint(1), outpoint(2), outpoint(3)], &[], &[]), Place::Nowhere);
    assert_eq!(relayer.proposes()[&Kind::Sweep].deposits, [outpoint(2), outpoint(3)], "although it is bound with them");
    // Fees rise: the version leaves it out, too.
    relayer.bitcoin.rates = Some(Rates { now: 20_000, usual: 2_000 });
    relayer.ledger.info = example::info(TIP + 3);
    assert_eq!(relayer.proposes()[&Kind::Version].deposits, [outpoint(2), outpoint(3)]);
}

#[test]
fn a_contested_deposit_is_tried_alone_every_six_blocks_and_waits_when_it_is_bound() {
    let mut relayer = Relayer::with_deposits([1]);
    relayer.bitcoin.unconfirmed = Arc::new(BTreeMap::from([(outpoint(1), outpoint(99).txid)]));
    let mut tried = Vec::new();
    for blocks in 0..=13 {
        relayer.ledger.info = example::info(TIP + blocks);
        if let Some(content) = relayer.proposes().remove(&Kind::Sweep) {
            assert_eq!(content.deposits, [outpoint(1)]);
            tried.push(blocks);
        }
    }
    assert_eq!(tried, [6, 12]);
    relayer.bound(2, content(2_000, &[outpoint(1)], &[], &[]), Place::Nowhere);
    relayer.ledger.info = example::info(TIP + 18);
    assert!(relayer.proposes().is_empty(), "it is bound, and may confirm");
    // What spends it is ours: nothing contests it.
    relayer.bitcoin.unconfirmed = Arc::new(BTreeMap::from([(outpoint(1), relayer.ledger.entries[&2].txid)]));
    assert!(!relayer.bitcoin.contests(&relayer.ledger, &outpoint(1)));
}

#[test]
fn nobody_is_tied_to_a_vault_output_that_a_thief_spends() {
    let mut relayer = Relayer::new();
    Arc::make_mut(&mut relayer.ledger.outputs).insert(2, output(2, 500_000));
    relayer.withdrawals().insert(1, withdrawal(5_000));
    let stolen = OutPoint { txid: output(1, 0).txid, vout: 0 };
    let spend = Spend { by: outpoint(99).txid, block: position(TIP) };
    relayer.bitcoin.spends = Arc::new(BTreeMap::from([(stolen, spend)]));
    assert_eq!(relayer.proposes()[&Kind::Payout].outputs, [2]);
}

#[test]
fn a_deposit_that_cannot_be_proven_stops_no_other_and_is_tried_less_and_less() {
    let payments: Vec<(OutPoint, u32)> = (1..=3).map(|number| (outpoint(number), TIP)).collect();
    let mut relayer = Relayer::new();
    relayer.bitcoin = example::bitcoin(TIP, &payments);
    relayer.ledger.strangers = Arc::new(payments.iter().map(|(outpoint, _)| *outpoint).collect());
    let bad = Task::Prove(outpoint(1));
    let mut tries = 0;
    for _ in 0..600 {
        for (task, action) in relayer.decide() {
            tries += u32::from(task == bad);
            let outcome = if task == bad { Outcome::Gone } else { Outcome::Sent };
            if let (Action::Prove { outpoint }, Outcome::Sent) = (&action, &outcome) {
                Arc::make_mut(&mut relayer.ledger.strangers).remove(outpoint);
            }
            relayer.ended(task, action, outcome);
        }
        relayer.pass(1);
    }
    assert_eq!(relayer.ledger.strangers.len(), 1, "the others are proven");
    assert!((5..=10).contains(&tries), "{tries} tries in ten minutes");
}

#[test]
fn a_thousand_payments_that_cannot_be_proven_take_the_place_of_nothing_else() {
    let payments: Vec<(OutPoint, u32)> = (1..=1_000).map(|number| (outpoint(number), TIP)).collect();
    let mut relayer = Relayer::with_deposits([2_000]);
    relayer.bitcoin = example::bitcoin(TIP, &payments);
    relayer.ledger.strangers = Arc::new(payments.iter().map(|(outpoint, _)| *outpoint).collect());
    let actions = relayer.decide();
    assert!(proposals(&actions).contains_key(&Kind::Sweep));
    let proofs = tasks(&actions).iter().filter(|task| matches!(task, Task::Prove(_))).count();
    assert!((1..=16).contains(&proofs), "{proofs} proofs at once");
}

#[test]
fn payments_that_the_ledger_would_refuse_or_that_are_worth_nothing_there_are_not_proven() {
    let mut relayer = Relayer::new();
    let mut small = example::payment(TIP);
    small.amount = bitcoin::Amount::from_sat(9_999);
    let mut poor = example::payment(TIP);
    poor.terms.max_fee = bitcoin::Amount::from_sat(100);
    let mut to_vault = example::payment(TIP);
    to_vault.terms.recipient = relayer.ledger.info.contracts.vault.into_array();
    let mut young_coinbase = example::payment(TIP - 98);
    young_coinbase.coinbase = true;
    let old = example::payment(0);
    let good = example::payment(TIP);
    relayer.ledger = LedgerView { info: example::info(600), ..example::ledger(600) };
    relayer.bitcoin = example::bitcoin(600, &[]);
    let at = |height| {
        move |payment: crate::relay::deposit_tracker::TrackedDeposit| crate::relay::deposit_tracker::TrackedDeposit {
            height,
            ..payment
        }
    };
    let all = [at(600)(small), at(600)(poor), at(600)(to_vault), at(502)(young_coinbase), old, at(600)(good)];
    let tracked: BTreeMap<OutPoint, _> = (0..).zip(all).map(|(number, payment)| (outpoint(number), payment)).collect();
    relayer.ledger.strangers = Arc::new(tracked.keys().copied().collect());
    relayer.bitcoin.tracked = Arc::new(tracked);
    assert_eq!(tasks(&relayer.decide()), [Task::Prove(outpoint(5))]);
}

// The mempool loses it: after a restart, or because it was full.
#[test]
fn a_mempool_that_lost_the_transaction_gets_it_again() {
    let mut relayer = Relayer::new();
    relayer.bound(2, content(2_000, &[], &[1], &[]), Place::Nowhere);
    assert_eq!(tasks(&relayer.decide()), [Task::Broadcast(2)]);
    relayer.ended(Task::Broadcast(2), Action::Broadcast { number: 2 }, Outcome::Sent);
    relayer.bitcoin.places.insert(2, Place::Mempool);
    relayer.pass(120);
    assert_eq!(tasks(&relayer.decide()), []);
    relayer.bitcoin.places.insert(2, Place::Nowhere);
    assert_eq!(tasks(&relayer.decide()), [Task::Broadcast(2)]);
}

#[test]
fn the_dearest_version_is_broadcast_and_never_one_below_what_is_there() {
    let mut relayer = Relayer::new();
    for (number, rate) in [(2, 2_000), (3, 9_000), (4, 5_000)] {
        relayer.bound(number, content(rate, &[], &[1], &[]), Place::Nowhere);
    }
    assert_eq!(tasks(&relayer.decide()), [Task::Broadcast(3)]);
    relayer.ended(Task::Broadcast(3), Action::Broadcast { number: 3 }, Outcome::Sent);
    relayer.pass(120);
    relayer.bitcoin.places.insert(4, Place::Mempool);
    relayer.bitcoin.places.insert(3, Place::Nowhere);
    assert_eq!(tasks(&relayer.decide()), [Task::Broadcast(3)], "a dearer one replaces it");
    relayer.ended(Task::Broadcast(3), Action::Broadcast { number: 3 }, Outcome::Sent);
    relayer.pass(120);
    relayer.bitcoin.places.insert(3, Place::Mempool);
    relayer.bitcoin.places.insert(4, Place::Nowhere);
    assert_eq!(tasks(&relayer.decide()), []);
}

#[test]
fn what_is_void_or_can_never_confirm_is_not_broadcast() {
    let mut relayer = Relayer::new();
    relayer.bound(2, content(2_000, &[], &[1], &[]), Place::Nowhere);
    relayer.entries().get_mut(&2).expect("there").status = VaultStatus::Void;
    assert_eq!(tasks(&relayer.decide()), []);
    relayer.entries().get_mut(&2).expect("there").status = VaultStatus::Bound;
    // Another one that spends the same output has settled.
    relayer.bound(3, content(3_000, &[], &[1], &[]), Place::Nowhere);
    let settled = relayer.entries().get_mut(&3).expect("there");
    (settled.status, settled.settled_in, settled.output) =
        (VaultStatus::Settled, Some(example::block(190)), OutputStatus::Live);
    Arc::make_mut(&mut relayer.ledger.outputs).remove(&1);
    assert_eq!(tasks(&relayer.decide()), []);
}

// 2 spends output 1, 3 spends output 2; both are in blocks
#[test]
fn parents_settle_before_children_and_children_are_unsettled_before_parents() {
    let mut relayer = Relayer::new();
    let block = Place::Block(position(199));
    relayer.bound(2, content(2_000, &[], &[1], &[]), block);
    relayer.bound(3, content(2_000, &[], &[2], &[]), block);
    assert_eq!(tasks(&relayer.decide()), [Task::Settle(2)]);
    relayer.machine = Relayer::new().machine;
    for number in [2, 3] {
        let left = relayer.entries().get_mut(&number).expect("there");
        (left.status, left.output) = (VaultStatus::Settled, OutputStatus::Live);
        left.settled_in = Some(crate::relay::view::Block { head: Default::default(), ..example::block(198) });
        relayer.bitcoin.places.insert(number, Place::Mempool);
    }
    let parent = relayer.entries().get_mut(&2).expect("there");
    (parent.output, parent.spent_by) = (OutputStatus::Spent, Some(3));
    assert_eq!(tasks(&relayer.decide()), [Task::Unsettle(3)]);
    // Mined again: to show the new block is all it takes, whatever its children are.
    relayer.machine = Relayer::new().machine;
    relayer.bitcoin.places.insert(2, block);
    relayer.bitcoin.places.insert(3, block);
    assert_eq!(tasks(&relayer.decide()), [Task::Settle(2), Task::Settle(3)]);
}

#[test]
fn without_bitcoind_what_the_ledger_alone_decides_goes_on() {
    let mut relayer = Relayer::new();
    relayer.withdrawals().insert(1, withdrawal(178));
    relayer.ledger.head.time_s = 604_800;
    let Relayer { machine, ledger, in_flight, .. } = &mut relayer;
    let number = 1 << 24 | 2 << 8;
    let approved = crate::relay::view::Proposal {
        enough: Enough::Yes,
        approved_at_s: 604_800,
        ..proposal(2, 0, content(2_000, &[outpoint(1)], &[], &[]), 604_790)
    };
    Arc::make_mut(&mut ledger.proposals).insert(number, approved);
    let blind = Facts { clock_ms: 0, ledger, bitcoin: None, in_flight };
    // Not on duty at that time: each in its turn.
    let decided: BTreeSet<Task> = (0..40)
        .flat_map(|round| machine.decide(&Facts { clock_ms: round * 1_000, ..blind }).actions)
        .map(|(task, _)| task)
        .collect();
    assert_eq!(decided, BTreeSet::from([Task::Bind(number), Task::Refund(1)]));
}

#[test]
fn a_hostile_member_that_proposes_at_every_block_keeps_nobody_from_anything() {
    let mut relayer = Relayer::with_deposits([1, 2]);
    let junk = content(2_000, &[outpoint(1), outpoint(2)], &[], &[]);
    let mut proposed_at_s = None;
    for generation in 0..60u64 {
        let number = generation << 24 | 3 << 8;
        let opened = proposal(3, 0, junk.clone(), relayer.ledger.head.time_s);
        relayer.ledger.proposals = Arc::new(BTreeMap::from([(number, opened)]));
        if relayer.proposes().contains_key(&Kind::Sweep) {
            proposed_at_s.get_or_insert(relayer.ledger.head.time_s);
        }
        relayer.pass(1);
        relayer.ledger.head.time_s %= 30; // It stays on duty.
    }
    assert!(proposed_at_s.is_some_and(|at| at <= 3), "{proposed_at_s:?}");
}

#[test]
fn what_another_member_has_just_proposed_is_left_to_it_for_a_while() {
    let mut relayer = Relayer::with_deposits([1, 2]);
    let theirs = proposal(3, 0, content(2_000, &[outpoint(1)], &[], &[]), 0);
    relayer.ledger.proposals = Arc::new(BTreeMap::from([(3 << 8, theirs)]));
    assert_eq!(relayer.proposes()[&Kind::Sweep].deposits, [outpoint(2)]);
    relayer.pass(20);
    assert_eq!(relayer.proposes_in_time()[&Kind::Sweep].deposits.len(), 2, "nobody approved it");
}

#[test]
fn a_proposal_that_finds_too_few_who_approve_is_made_smaller_until_the_bad_part_is_left_out() {
    let mut relayer = Relayer::with_deposits(1..=8);
    let bad = outpoint(5);
    let mut bound = BTreeSet::new();
    for generation in 1..200u64 {
        let Some(content) = relayer.proposes_in_time().remove(&Kind::Sweep) else {
            relayer.pass(5);
            continue;
        };
        let number = generation << 24 | 1 << 8;
        let is_bad = content.deposits.contains(&bad);
        let opened = proposal(1, 0, content.clone(), relayer.ledger.head.time_s);
        relayer.ledger.proposals = Arc::new(BTreeMap::from([(number, opened)]));
        relayer.proposes();
        if is_bad {
            relayer.pass(60);
        } else {
            let mut entry = entry(&relayer.ledger, content.clone());
            entry.proposal = number;
            relayer.ledger.proposals = Arc::default();
            relayer.entries().insert(u32::try_from(generation).expect("small"), entry);
            bound.extend(content.deposits);
        }
        relayer.pass(1);
        if bound.len() == 7 {
            assert!(generation < 20, "it took {generation} proposals");
            return;
        }
    }
    panic!("only {} of 7 good ones are bound", bound.len());
}

#[test]
fn one_place_is_not_used_again_while_its_proposal_may_still_be_approved() {
    let mut relayer = Relayer::with_deposits([1]);
    let mine = proposal(1, Kind::Sweep.place(), content(2_000, &[outpoint(7)], &[], &[]), 0);
    relayer.ledger.proposals = Arc::new(BTreeMap::from([(1 << 8, mine)]));
    assert!(!relayer.proposes().contains_key(&Kind::Sweep));
    relayer.pass(59);
    assert!(!relayer.proposes().contains_key(&Kind::Sweep), "a bitcoind may be slow");
    relayer.pass(1);
    assert!(relayer.proposes_in_time().contains_key(&Kind::Sweep));
}

#[test]
fn an_approved_proposal_is_bound_by_whoever_is_alive_unless_it_could_only_compete() {
    let mut relayer = Relayer::with_deposits([1, 2]);
    let approved = |content| crate::relay::view::Proposal { enough: Enough::Yes, ..proposal(3, 0, content, 0) };
    let good = approved(content(2_000, &[outpoint(1)], &[], &[]));
    relayer.ledger.proposals = Arc::new(BTreeMap::from([(3 << 8, good.clone())]));
    assert!(tasks(&relayer.decide()).contains(&Task::Bind(3 << 8)));
    relayer.machine = Relayer::new().machine;
    relayer.bound(2, content(3_000, &[outpoint(1), outpoint(2)], &[], &[]), Place::Mempool);
    assert!(!tasks(&relayer.decide()).contains(&Task::Bind(3 << 8)), "what it sweeps is on its way");
    let version = crate::relay::view::Proposal { place: Kind::Version.place(), ..good };
    relayer.ledger.proposals = Arc::new(BTreeMap::from([(3 << 8 | 3, version)]));
    assert!(tasks(&relayer.decide()).contains(&Task::Bind(3 << 8 | 3)));
}

// estimate 2 -> 200 sat/vB; the sweep waits for three blocks
#[test]
fn what_waits_for_three_blocks_while_fees_rise_is_replaced_by_a_dearer_version_and_not_before() {
    let mut relayer = Relayer::with_deposits([1]);
    relayer.bound(2, content(2_000, &[outpoint(1)], &[], &[]), Place::Mempool);
    relayer.bitcoin.rates = Some(Rates { now: 20_000, usual: 2_000 });
    for blocks in 0..3 {
        relayer.ledger.info = example::info(TIP + blocks);
        assert!(!relayer.proposes().contains_key(&Kind::Version), "after {blocks} blocks");
    }
    relayer.ledger.info = example::info(TIP + 3);
    let version = relayer.proposes().remove(&Kind::Version).expect("it is stuck");
    assert!(version.rate >= 20_000 && version.deposits == [outpoint(1)], "{version:?}");
    // An honest member has just proposed one.
    let theirs = proposal(3, 3, version, relayer.ledger.head.time_s);
    relayer.ledger.proposals = Arc::new(BTreeMap::from([(3 << 8 | 3, theirs)]));
    assert!(!relayer.proposes().contains_key(&Kind::Version));
    // A hostile one has proposed a cheaper one.
    let cheap = Content { rate: 3_000, ..relayer.ledger.proposals[&(3 << 8 | 3)].content.clone() };
    let theirs = proposal(3, 3, cheap, relayer.ledger.head.time_s);
    relayer.ledger.proposals = Arc::new(BTreeMap::from([(3 << 8 | 3, theirs)]));
    assert!(relayer.proposes().contains_key(&Kind::Version));
    // And fees that fell again leave it as it is.
    relayer.ledger.proposals = Arc::default();
    relayer.bitcoin.rates = Some(Rates { now: 1_500, usual: 2_000 });
    assert!(!relayer.proposes().contains_key(&Kind::Version));
}

/// After how many blocks a version is proposed at 20 sat/vB, while a hostile member makes one at each block, from this rate on each a little dearer than the last.
fn blocks_until_proposed(first_rate: u64) -> u32 {
    let mut relayer = Relayer::with_deposits([1]);
    relayer.bitcoin.rates = Some(Rates { now: 20_000, usual: 2_000 });
    for blocks in 0..20 {
        relayer.bound(
            2 + blocks,
            content(first_rate + 100 * u64::from(blocks), &[outpoint(1)], &[], &[]),
            Place::Mempool,
        );
        relayer.ledger.info = example::info(TIP + blocks);
        if relayer.proposes().get(&Kind::Version).is_some_and(|version| version.rate >= 20_000) {
            return blocks;
        }
    }
    panic!("it is held below the rate of the day");
}

#[test]
fn a_member_that_makes_a_little_dearer_version_at_every_block_holds_nobody_below_the_rate_of_the_day() {
    assert_eq!(blocks_until_proposed(6_000), 3);
    assert_eq!(blocks_until_proposed(17_000), 6);
}

// withdrawal 1 is queued, proposed by another member over the only output, and cancelled
#[test]
fn a_proposal_that_pays_nobody_any_more_keeps_no_output_from_others() {
    let mut relayer = Relayer::new();
    relayer.withdrawals().insert(2, withdrawal(5_000));
    let outputs: Vec<u32> = relayer.ledger.outputs.keys().copied().collect();
    let theirs = Proposal { enough: Enough::Yes, ..proposal(3, 1, content(2_000, &[], &outputs, &[1]), 0) };
    relayer.ledger.proposals = Arc::new(BTreeMap::from([(3 << 8 | 1, theirs)]));
    assert_eq!(relayer.proposes_in_time()[&Kind::Payout].withdrawals, [2]);
}

// estimate 2 -> 20 sat/vB; somebody pays for the sweep by a child
#[test]
fn what_somebody_has_paid_enough_for_by_a_child_is_not_replaced() {
    let mut relayer = Relayer::with_deposits([1]);
    relayer.bound(2, content(2_000, &[outpoint(1)], &[], &[]), Place::Mempool);
    relayer.bitcoin.rates = Some(Rates { now: 20_000, usual: 2_000 });
    let paid = |sat: u64| Package {
        fee: Amount::from_sat(240),
        vsize: 120,
        with_children: Amount::from_sat(sat),
        vsize_with_children: 300,
    };
    relayer.bitcoin.packages = BTreeMap::from([(2, paid(6_000))]);
    relayer.proposes();
    relayer.ledger.info = example::info(TIP + 5);
    assert!(!relayer.proposes().contains_key(&Kind::Version), "it pays 20 sat/vB with its child");
    // Not enough any more: a version pays more than both.
    relayer.bitcoin.rates = Some(Rates { now: 40_000, usual: 2_000 });
    let version = relayer.proposes().remove(&Kind::Version).expect("it is stuck again");
    assert!(version.rate * 124 / 1_000 >= 6_000, "{version:?}");
}

#[test]
fn what_bitcoind_refuses_while_fees_rise_is_replaced_at_once() {
    let mut relayer = Relayer::with_deposits([1]);
    relayer.bound(2, content(2_000, &[outpoint(1)], &[], &[]), Place::Nowhere);
    relayer.bitcoin.rates = Some(Rates { now: 20_000, usual: 2_000 });
    let mut versions = 0;
    for _ in 0..20 {
        let decided = relayer.decide();
        versions += usize::from(proposals(&decided).contains_key(&Kind::Version));
        for (task, action) in decided {
            let refused = Outcome::Refused { reason: "mempool min fee not met".to_owned() };
            relayer.ended(task, action, refused);
        }
        relayer.clock_ms += 2_000;
    }
    assert!(versions > 0);
}

#[test]
fn a_version_that_the_reserve_cannot_pay_waits_for_somebody_else() {
    let mut relayer = Relayer::new();
    let poor = Withdrawal { status: WithdrawalStatus::Tied, tie: Some(1), ..withdrawal(300) };
    relayer.withdrawals().insert(1, poor);
    relayer.bound(2, content(2_000, &[], &[1], &[1]), Place::Mempool);
    relayer.ledger.info.books.reserve_sat = 0;
    relayer.bitcoin.rates = Some(Rates { now: 100_000, usual: 2_000 });
    relayer.proposes();
    let info = example::info(TIP + 10);
    relayer.ledger.info = crate::peg::Info { books: relayer.ledger.info.books, ..info };
    assert!(relayer.proposes().is_empty());
    relayer.ledger.info.books.reserve_sat = 1_000_000;
    assert!(relayer.proposes().contains_key(&Kind::Version));
}

#[test]
fn coins_are_made_once_the_deposit_is_deep_enough_and_a_full_tier_is_tried_with_growing_patience() {
    let mut relayer = Relayer::new();
    let swept = Deposit { status: DepositStatus::Swept, swept_by: Some(2), ..example::deposit(TIP) };
    relayer.deposits().insert(outpoint(1), swept);
    relayer.bound(2, content(2_000, &[outpoint(1)], &[], &[]), Place::Nowhere);
    let settled = relayer.entries().get_mut(&2).expect("there");
    (settled.status, settled.settled_in, settled.output) =
        (VaultStatus::Settled, Some(example::block(TIP)), OutputStatus::Live);
    assert_eq!(tasks(&relayer.decide()), [], "one confirmation, two are asked for");
    let deeper = example::ledger(TIP + 1);
    (relayer.ledger.info, relayer.ledger.best) = (deeper.info, deeper.best);
    let mut tries = 0;
    for _ in 0..600 {
        tries += relayer.decide_and_fail().len();
        relayer.pass(1);
        relayer.ledger.head.time_s %= 30;
    }
    assert!((5..=25).contains(&tries), "{tries} tries in ten minutes");
}

#[test]
fn a_theft_raises_an_alarm_and_is_booked_once_it_is_final() {
    let mut relayer = Relayer::new();
    let stolen = OutPoint { txid: output(1, 0).txid, vout: 0 };
    let spent_at = |height| {
        let spend = Spend { by: outpoint(99).txid, block: position(height) };
        Arc::new(BTreeMap::from([(stolen, spend)]))
    };
    relayer.bitcoin.spends = spent_at(TIP - 4);
    assert_eq!(relayer.decide_and_fail(), []);
    relayer.bitcoin.spends = spent_at(TIP - 5);
    assert_eq!(relayer.decide_and_fail(), [Task::Alarm(1)]);
    relayer.bitcoin.spends = spent_at(TIP - 99);
    assert_eq!(relayer.decide_and_fail(), [Task::OutputGone(1)]);
    // What is bound is no theft: it settles.
    relayer.bound(2, content(2_000, &[], &[1], &[]), Place::Mempool);
    let by = relayer.ledger.entries[&2].txid;
    relayer.bitcoin.spends = Arc::new(BTreeMap::from([(stolen, Spend { by, block: position(TIP - 99) })]));
    assert_eq!(relayer.decide_and_fail(), []);
}

#[test]
fn a_reclaimed_deposit_and_one_whose_funding_was_spent_twice_are_shown_to_be_gone() {
    let mut relayer = Relayer::with_deposits([1, 2]);
    let spend = Spend { by: outpoint(99).txid, block: position(TIP - 99) };
    relayer.bitcoin.spends = Arc::new(BTreeMap::from([(outpoint(1), spend), (outpoint(50), spend)]));
    relayer.deposits().get_mut(&outpoint(2)).expect("there").block.head = Default::default();
    let input = bitcoin::TxIn { previous_output: outpoint(50), ..Default::default() };
    let funding = bitcoin::Transaction {
        version: bitcoin::transaction::Version::TWO,
        lock_time: bitcoin::absolute::LockTime::ZERO,
        input: vec![input],
        output: Vec::new(),
    };
    let of_funding = OutPoint { txid: funding.compute_txid(), vout: 0 };
    let deposit = relayer.deposits().remove(&outpoint(2)).expect("there");
    relayer.deposits().insert(of_funding, deposit);
    let mut fundings = crate::relay::fundings::Fundings::default();
    let (outpoint_of_funding, left) = fundings.next(&relayer.ledger).expect("its block has left");
    assert_eq!((outpoint_of_funding, left), (of_funding, position(150)));
    fundings.answer(of_funding, left, Some(&block_of(funding)), true);
    relayer.bitcoin.fundings = Arc::new(fundings);
    let gone: BTreeMap<OutPoint, Killed> = relayer
        .decide()
        .into_iter()
        .filter_map(|(_, action)| match action {
            Action::DepositGone { outpoint, killed } => Some((outpoint, killed)),
            _ => None,
        })
        .collect();
    assert_eq!(gone[&outpoint(1)], Killed::Spent(spend));
    assert_eq!(gone[&of_funding], Killed::Ancestor { ancestor: of_funding.txid, input: 0, spend });
}

fn block_of(transaction: bitcoin::Transaction) -> bitcoin::Block {
    let header = bitcoin::block::Header {
        version: bitcoin::block::Version::ONE,
        prev_blockhash: bitcoin::hashes::Hash::all_zeros(),
        merkle_root: bitcoin::hashes::Hash::all_zeros(),
        time: 0,
        bits: bitcoin::CompactTarget::from_consensus(0x207f_ffff),
        nonce: 0,
    };
    bitcoin::Block { header, txdata: vec![transaction] }
}

// A reorganisation took the block of deposit 1, and the mempool does not have its funding
#[test]
fn a_funding_that_left_the_chain_and_the_mempool_is_handed_to_bitcoin_again() {
    let mut relayer = Relayer::with_deposits([1]);
    relayer.deposits().get_mut(&outpoint(1)).expect("there").block.head = Default::default();
    relayer.bitcoin.lost = BTreeSet::from([outpoint(1)]);
    assert_eq!(tasks(&relayer.decide()), [Task::Resubmit(outpoint(1))]);
    // Spent by something else it cannot come back.
    let mut relayer = relayer.clone();
    let spend = Spend { by: outpoint(99).txid, block: position(TIP) };
    relayer.bitcoin.spends = Arc::new(BTreeMap::from([(outpoint(1), spend)]));
    relayer.machine = Machine::new(1, SCHEDULE, RECOVERY_DELAY, 1_000);
    assert_eq!(tasks(&relayer.decide()), []);
}

#[test]
fn a_deposit_whose_block_left_gives_up_its_place_when_the_cap_is_short() {
    let mut relayer = Relayer::with_deposits([1, 2]);
    let left = relayer.deposits().get_mut(&outpoint(1)).expect("there");
    (left.bound, left.block.head) = (true, Default::default());
    let gives_up = |relayer: &mut Relayer| tasks(&relayer.decide()).contains(&Task::Left(outpoint(1)));
    assert!(!gives_up(&mut relayer), "there is room");
    let limits = relayer.ledger.limits.as_mut().expect("there");
    limits.cap_used_sat = limits.cap_sat - 999_999;
    assert!(gives_up(&mut relayer), "2 waits for a million");
}

#[test]
fn a_withdrawal_that_waited_for_too_long_is_given_back_and_one_that_is_tied_is_not() {
    let mut relayer = Relayer::new();
    relayer.withdrawals().insert(1, withdrawal(178));
    relayer.withdrawals().insert(2, Withdrawal { status: WithdrawalStatus::Tied, tie: Some(1), ..withdrawal(178) });
    relayer.bitcoin.rates = None;
    relayer.ledger.head.time_s = 604_799;
    let refunded = |relayer: &mut Relayer| {
        let mut all = BTreeSet::new();
        for _ in 0..10 {
            all.extend(relayer.decide_and_fail());
            relayer.clock_ms += 1_000;
        }
        all
    };
    assert_eq!(refunded(&mut relayer), BTreeSet::new());
    relayer.ledger.head.time_s = 604_800;
    assert_eq!(refunded(&mut relayer), BTreeSet::from([Task::Refund(1)]));
}

// 1,000 deposits and 10,000 withdrawals wait
#[test]
fn a_round_of_decisions_takes_a_fraction_of_a_second_however_much_waits() {
    let mut relayer = Relayer::with_deposits(0..1_000);
    for id in 1..=10_000 {
        relayer.withdrawals().insert(id, withdrawal(178 + 10 * (id % 100)));
    }
    let started = std::time::Instant::now();
    relayer.proposes();
    let took = started.elapsed();
    // Tests are not optimised: some ten times faster in a release.
    assert!(took < std::time::Duration::from_secs(3), "{took:?}");
}

fn any_relayer() -> impl Strategy<Value = Relayer> {
    let place = prop_oneof![
        Just(Place::Nowhere),
        Just(Place::Mempool),
        (150u32..=TIP).prop_map(|height| Place::Block(position(height))),
    ];
    let status = prop_oneof![Just(VaultStatus::Bound), Just(VaultStatus::Settled), Just(VaultStatus::Void)];
    let entries = prop::collection::vec((place, status, any::<bool>(), 1_000u64..9_000), 0..5);
    (1u16..=4, any::<u16>(), entries, 0u32..6, 0u64..6).prop_map(|(me, time, entries, deposits, withdrawals)| {
        let mut relayer = Relayer::with_deposits(0..deposits);
        (1..=withdrawals).for_each(|id| drop(relayer.withdrawals().insert(id, withdrawal(1_000 * id))));
        for (number, (place, status, has_left, rate)) in (2..).zip(entries) {
            relayer.bound(number, content(rate, &[], &[1], &[]), place);
            let entry = relayer.entries().get_mut(&number).expect("there");
            entry.status = status;
            let head = if has_left { Default::default() } else { example::block(190).head };
            entry.settled_in =
                (status == VaultStatus::Settled).then_some(crate::relay::view::Block { height: 190, head });
        }
        relayer.ledger.head.time_s = time.into();
        relayer.machine = Machine::new(me, SCHEDULE, RECOVERY_DELAY, 1_000);
        relayer
    })
}

/// What a relayer does that has seen the same facts for so long.
fn does_after(relayer: &Relayer, wait_ms: u64) -> BTreeSet<Task> {
    let mut relayer = relayer.clone();
    let first = relayer.decide();
    first.iter().for_each(|(task, _)| relayer.machine.duty.ended(*task));
    relayer.clock_ms += wait_ms;
    relayer.decide().into_iter().map(|(task, _)| task).collect()
}

proptest! {
    // After a crash the machine has forgotten everything: once it has waited its turn, it owes the same.
    #[test]
    fn the_same_facts_owe_the_same_actions_after_a_crash(relayer in any_relayer()) {
        let patience_ms = SCHEDULE.takeover_ms * 4;
        let before = does_after(&relayer, patience_ms);
        let restarted = Relayer { clock_ms: 77_000, ..relayer };
        prop_assert_eq!(before, does_after(&restarted, patience_ms));
    }

    // One dead relayer never stops the job: whatever somebody on duty would do, each other one does too, in time.
    #[test]
    fn whoever_is_alive_does_in_time_what_the_relayer_on_duty_would_do(relayer in any_relayer()) {
        let as_member = |me| Relayer { machine: Machine::new(me, SCHEDULE, RECOVERY_DELAY, 1_000), ..relayer.clone() };
        let patience_ms = SCHEDULE.takeover_ms * 4;
        let all: Vec<BTreeSet<Task>> = (1..=4).map(|me| does_after(&as_member(me), patience_ms)).collect();
        prop_assert!(all.iter().all(|does| *does == all[0]), "{all:?}");
    }
}
