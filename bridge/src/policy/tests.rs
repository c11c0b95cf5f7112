//! Each reason not to approve and not to sign, from facts that differ from good ones in one place.

use std::collections::{BTreeMap, BTreeSet};

use bitcoin::hashes::Hash as _;
use bitcoin::{Amount, OutPoint, ScriptBuf, Sequence, Transaction, TxOut, Txid, XOnlyPublicKey, consensus};

use super::*;
use crate::peg::Content;
use crate::plan::{Before, Budget, Conditions};
use crate::vault;
use crate::vault_tx::draft::{Built, assemble, build};
use crate::vault_tx::example::{RULES, deposit, group_key, ledger, outpoint, payout, sat, sweep, vault_key};
use crate::vault_tx::facts::{Deposit, LedgerFacts};
use crate::vault_tx::{SpentOutput, VaultTransaction, VaultTxError};

/// When all of it happens.
const NOW: u64 = 1_800_000_000;
/// More than any example pays.
const LIMIT: Limit = Limit { window: Amount::from_sat(10_000_000), window_s: 3_600 };

fn nothing() -> Signed {
    Signed::nothing(LIMIT)
}

/// What a member knows, about a proposal and what is made of it.
struct Known {
    content: Content,
    ledger: LedgerFacts,
    bound_rates: BTreeMap<u32, u64>,
    before: Option<Before>,
    inputs: Vec<SpentOutput>,
    own_outputs: Vec<Option<TxOut>>,
    group_keys: BTreeMap<u32, XOnlyPublicKey>,
    ended: BTreeSet<OutPoint>,
    bounds: FeeBounds,
    conditions: Conditions,
    is_final: bool,
}

fn spent(content: &Content, ledger: &LedgerFacts) -> Vec<SpentOutput> {
    let known = content.outputs.iter().filter_map(|number| ledger.outputs.get(number));
    let spent = |output: &crate::vault_tx::Output| SpentOutput {
        outpoint: output.outpoint(),
        amount: output.amount,
        output_key: vault_key(),
        merkle_root: [7; 32],
        epoch: 1,
    };
    known.map(spent).collect()
}

fn prevout(spent: &SpentOutput) -> Option<TxOut> {
    Some(TxOut { value: spent.amount, script_pubkey: vault::script(spent.output_key) })
}

/// Two withdrawals of 100,000 and 10,000 sat from the first of three outputs, at 2 sat/vB.
fn known() -> Known {
    let ledger = ledger(&[500_000, 400_000, 300_000], &[(100_000, 5_000), (10_000, 5_000)]);
    let content = Content { reserve_sat: 600, ..payout(&[1], &[1, 2], 2_000) };
    let inputs = spent(&content, &ledger);
    Known {
        own_outputs: inputs.iter().map(prevout).collect(),
        inputs,
        content,
        ledger,
        bound_rates: BTreeMap::new(),
        before: None,
        group_keys: BTreeMap::from([(1, group_key())]),
        ended: BTreeSet::new(),
        bounds: FeeBounds::around(2_000),
        conditions: Conditions {
            rate: 2_000,
            usual_rate: 2_000,
            low_rate: 1_000,
            now_s: 60,
            tip: 1_100,
            recovery_delay: 26_000,
            budget: Budget::default(),
        },
        is_final: true,
    }
}

impl Known {
    fn with(content: Content) -> Self {
        let mut known = known();
        known.inputs = spent(&content, &known.ledger);
        known.own_outputs = known.inputs.iter().map(prevout).collect();
        Self { content, ..known }
    }

    fn approve(&self, signed: &Signed) -> Result<(), Refusal> {
        let proposed = Proposed {
            content: &self.content,
            is_final: self.is_final,
            ledger: &self.ledger,
            bound_rates: &self.bound_rates,
            before: self.before,
            inputs: &self.inputs,
            group_keys: &self.group_keys,
            own_outputs: &self.own_outputs,
            fee_bounds: self.bounds,
            conditions: &self.conditions,
            ended: &self.ended,
        };
        approve(&proposed, signed)
    }
}

fn refused(change: impl FnOnce(&mut Known)) -> Refusal {
    let mut known = known();
    change(&mut known);
    known.approve(&nothing()).expect_err("refused")
}

// ------------------------------------------------------------------ approving

#[test]
fn a_proposal_that_the_ledger_takes_by_this_members_own_facts_is_approved() {
    assert_eq!(known().approve(&nothing()), Ok(()));
}

#[test]
fn a_proposal_that_is_not_final_is_not_approved() {
    let early = refused(|known| known.is_final = false);
    assert!(early == Refusal::NotFinal && early.may_pass());
}

#[test]
fn what_the_ledger_would_not_bind_is_not_approved_and_asked_about_again() {
    let gone = refused(|known| known.ledger.outputs.retain(|number, _| *number != 1));
    assert!(matches!(gone, Refusal::Bind(_)) && gone.may_pass());
    let paid = refused(|known| known.ledger.withdrawals.clear());
    assert!(matches!(paid, Refusal::Bind(_)));
    let poor = refused(|known| known.ledger.reserve_sat = 0);
    assert!(matches!(poor, Refusal::Bind(_)));
}

#[test]
fn first_ties_to_what_a_reorganisation_may_take_are_not_approved() {
    let unrooted = refused(|known| known.ledger.outputs.get_mut(&1).expect("there").is_rooted = false);
    assert!(matches!(unrooted, Refusal::Bind(_)));
}

// One member could otherwise hold withdrawals up for a hundred blocks at a time: by ties to what another transaction spends.
#[test]
fn nobody_is_tied_to_an_output_that_a_bound_transaction_spends() {
    let busy = refused(|known| known.ledger.outputs.get_mut(&1).expect("there").in_use = true);
    assert!(busy == Refusal::InUse(1) && busy.may_pass());
    let mut version = known();
    version.ledger.outputs.get_mut(&1).expect("there").in_use = true;
    version.ledger.withdrawals.values_mut().for_each(|withdrawal| withdrawal.tie = Some(1));
    assert_eq!(version.approve(&nothing()), Ok(()), "another version of it");
}

#[test]
fn a_deposit_whose_reclaim_is_near_is_approved_in_no_sweep_with_others() {
    let approve = |heights: [u32; 2]| {
        let mut ledger = ledger(&[], &[]);
        for (number, height) in heights.into_iter().enumerate() {
            ledger.deposits.insert(outpoint(number), Deposit { height, ..deposit(100_000, 5_000) });
        }
        let content = Content { reserve_sat: 600, ..sweep(&[0, 1], 2_000) };
        let input = |outpoint: &OutPoint| SpentOutput {
            outpoint: *outpoint,
            amount: sat(100_000),
            output_key: vault_key(),
            merkle_root: [7; 32],
            epoch: 1,
        };
        let inputs: Vec<SpentOutput> = content.deposits.iter().map(input).collect();
        let own_outputs = inputs.iter().map(prevout).collect();
        Known { content, ledger, inputs, own_outputs, ..known() }.approve(&nothing())
    };
    // The tip is at 1,100, half of the delay 504 blocks, and another member may be six blocks behind.
    assert_eq!(approve([1_000, 590]), Ok(()));
    assert_eq!(approve([1_000, 589]), Err(Refusal::NearReclaim(outpoint(1))));
    assert_eq!(approve([589, 589]), Ok(()), "by themselves");
    assert_eq!(approve([589, 594]), Ok(()), "one of them as a slower member may see it");
}

#[test]
fn whatever_spends_an_output_pays_all_that_is_tied_to_it() {
    let mut known = known();
    known.ledger.withdrawals.get_mut(&1).expect("there").tie = Some(1);
    known.content.withdrawals = vec![2];
    let refusal = known.approve(&nothing());
    assert_eq!(refusal, Err(Refusal::LeavesOut { output: 1, withdrawal: 1 }));
    let mut moving = Known::with(Content { reserve_sat: 1_000, ..payout(&[1, 2], &[], 2_000) });
    moving.conditions.tip = 10_000;
    moving.ledger.withdrawals.get_mut(&2).expect("there").tie = Some(2);
    assert_eq!(moving.approve(&nothing()), Err(Refusal::LeavesOut { output: 2, withdrawal: 2 }));
}

// 1, which pays 190 at most, is bound at 1 sat/vB over output 1; fees rise to 50
fn spike() -> Known {
    let mut known = Known::with(Content { reserve_sat: 20_000, ..payout(&[1], &[2], 50_000) });
    let poor = known.ledger.withdrawals.get_mut(&1).expect("there");
    (poor.tie, poor.max_fee) = (Some(1), sat(190));
    known.ledger.outputs.get_mut(&1).expect("there").in_use = true;
    known.bound_rates = BTreeMap::from([(1, 1_000)]);
    (known.bounds, known.conditions.rate) = (FeeBounds::around(50_000), 50_000);
    known
}

#[test]
fn who_pays_too_little_may_be_left_out_and_nobody_else() {
    assert_eq!(spike().approve(&nothing()), Ok(()), "2 is paid in place of 1");
    let mut pays = spike();
    pays.ledger.withdrawals.get_mut(&1).expect("there").max_fee = sat(66 * 50 + 50);
    assert_eq!(pays.approve(&nothing()), Err(Refusal::LeavesOut { output: 1, withdrawal: 1 }));
}

// One member could otherwise tie whoever comes to what is about to be mined: it would wait until that is final.
#[test]
fn nobody_is_tied_to_what_a_bound_transaction_spends_unless_that_is_stuck_for_the_poor() {
    for (bound_rate, own_rate) in [(25_001, 50_000), (20_000, 20_000), (u64::MAX, 50_000)] {
        let mut known = spike();
        (known.bound_rates, known.conditions.rate) = (BTreeMap::from([(1, bound_rate)]), own_rate);
        assert_eq!(known.approve(&nothing()), Err(Refusal::InUse(1)), "{bound_rate} {own_rate}");
    }
    let mut nobody_is_poor = spike();
    nobody_is_poor.ledger.withdrawals.remove(&1);
    assert_eq!(nobody_is_poor.approve(&nothing()), Err(Refusal::InUse(1)));
}

// 10 sat/vB are bound, the next block wants 200: a member that proposes 10.001 at every block would hold everybody there.
#[test]
fn a_version_that_is_hardly_dearer_is_not_approved_while_what_is_bound_may_still_be_mined() {
    let version = |rate: u64, newest_waits_for: u32| {
        let mut known = Known::with(Content { reserve_sat: 600, ..payout(&[1], &[1, 2], 2_000) });
        known.before = Some(Before { rate, newest_waits_for, oldest_waits_for: newest_waits_for, is_seen: true });
        known.approve(&nothing())
    };
    let early = version(1_999, 0).expect_err("a step of nothing");
    assert!(early == Refusal::TooSoon { rate: 2_000, bound: 1_999 } && early.may_pass());
    assert_eq!(version(1_600, 0), Ok(()), "by a quarter");
    assert_eq!(version(1_999, 2), Ok(()), "in time");
    assert!(version(2_000, 9).is_err(), "no node takes it in the place of the other");
}

#[test]
fn a_proposal_that_lets_too_much_out_of_the_reserve_is_not_approved() {
    let greedy = refused(|known| known.content.reserve_sat = 5_000);
    assert!(matches!(greedy, Refusal::Reserve { named_sat: 5_000, .. }));
}

#[test]
fn moving_outputs_without_a_reason_is_not_approved() {
    let mut moving = Known::with(Content { reserve_sat: 1_000, ..payout(&[1, 2], &[], 2_000) });
    assert_eq!(moving.approve(&nothing()), Err(Refusal::NoReason));
    moving.conditions.tip = 10_000;
    assert_eq!(moving.approve(&nothing()), Ok(()), "their recovery delay comes nearer");
}

#[test]
fn an_input_must_be_what_the_own_bitcoind_has_unspent() {
    let gone = refused(|known| known.own_outputs = vec![None]);
    assert!(matches!(gone, Refusal::UnknownOutput { input: 0, .. }) && gone.may_pass());
    assert!(matches!(refused(|known| known.own_outputs.clear()), Refusal::UnknownOutput { .. }));
    let other = refused(|known| known.own_outputs[0].as_mut().expect("there").value = sat(499_999));
    assert!(matches!(other, Refusal::OtherOutput { got_sat: 499_999, want_sat: 500_000, .. }) && !other.may_pass());
    // Not by looking at something else.
    let elsewhere = refused(|known| {
        known.inputs = spent(&payout(&[2], &[], 2_000), &known.ledger);
        known.own_outputs = known.inputs.iter().map(prevout).collect();
    });
    assert!(matches!(elsewhere, Refusal::UnknownOutput { .. }));
}

#[test]
fn an_input_must_be_locked_to_the_group_key_of_its_epoch() {
    let foreign = refused(|known| known.inputs[0].merkle_root = [8; 32]);
    assert!(matches!(foreign, Refusal::Key(VaultTxError::OutputKey { input: 0, .. })) && !foreign.may_pass());
    let unknown = refused(|known| known.group_keys.clear());
    assert!(matches!(unknown, Refusal::Key(VaultTxError::Epoch { input: 0, epoch: 1 })));
}

#[test]
fn a_rate_outside_the_own_bounds_waits() {
    let dear = refused(|known| known.bounds = FeeBounds { low: 100, high: 1_999 });
    assert!(matches!(dear, Refusal::Fee { got: 2_000, .. }) && dear.may_pass());
    assert!(matches!(refused(|known| known.bounds = FeeBounds { low: 2_001, high: 9_000 }), Refusal::Fee { .. }));
    assert_eq!(FeeBounds::around(2_000), FeeBounds { low: 1_000, high: 13_000 });
    assert_eq!(FeeBounds::around(100_000).low, 25_000);
    assert_eq!(FeeBounds::around(500).low, 500, "where its own node relays less than 1 sat/vB");
}

// ------------------------------------------------------------------ signing

/// What was bound of the known proposal.
struct BoundOne {
    known: Known,
    content: Content,
    transaction: VaultTransaction,
    ledger_txid: Option<Txid>,
    vault_key: XOnlyPublicKey,
}

fn parsed(transaction: &Transaction, inputs: &[SpentOutput], change: Amount) -> VaultTransaction {
    let raw = consensus::serialize(transaction);
    VaultTransaction::parse(&raw, inputs.to_vec(), change).expect("a vault transaction")
}

fn bound_of(mut known: Known) -> BoundOne {
    let Built { content, transaction, change, .. } = build(&known.content, &known.ledger).expect("bound");
    for id in &content.withdrawals {
        known.ledger.withdrawals.get_mut(id).expect("there").tie.get_or_insert(content.outputs[0]);
    }
    let transaction = parsed(&transaction, &known.inputs, change);
    BoundOne { ledger_txid: Some(transaction.txid()), content, transaction, vault_key: vault_key(), known }
}

impl BoundOne {
    fn facts(&self) -> Bound<'_> {
        Bound {
            content: &self.content,
            transaction: &self.transaction,
            is_final: self.known.is_final,
            ledger_txid: self.ledger_txid,
            withdrawals: &self.known.ledger.withdrawals,
            rules: &RULES,
            vault_key: self.vault_key,
            group_keys: &self.known.group_keys,
            own_outputs: &self.known.own_outputs,
            fee_bounds: Some(self.known.bounds),
            ended: &self.known.ended,
        }
    }

    fn ties(&self) -> Vec<Tie> {
        self.facts().ties().expect("tied")
    }

    /// The same with other bytes, under their own id.
    fn changed(mut self, change: impl FnOnce(&mut Transaction)) -> Refusal {
        let mut transaction = self.transaction.unsigned().clone();
        change(&mut transaction);
        let value = transaction.output[0].value;
        self.transaction = parsed(&transaction, &self.known.inputs, value);
        self.ledger_txid = Some(self.transaction.txid());
        sign(&self.facts(), &nothing()).expect_err("other bytes")
    }
}

#[test]
fn what_this_member_makes_itself_is_signed() {
    assert_eq!(sign(&bound_of(known()).facts(), &nothing()), Ok(()));
}

#[test]
fn each_output_is_computed_anew() {
    let one = || bound_of(known());
    let stolen =
        one().changed(|transaction| transaction.output[1].script_pubkey = ScriptBuf::from_bytes(vec![0x51; 22]));
    assert!(matches!(stolen, Refusal::OtherBytes { what: "bytes", .. }) && !stolen.may_pass(), "{stolen}");
    let short = one().changed(|transaction| transaction.output[1].value -= sat(1));
    assert!(matches!(short, Refusal::OtherBytes { what: "payout", .. }), "{short}");
    let change = one().changed(|transaction| transaction.output[0].value -= sat(1));
    assert!(matches!(change, Refusal::OtherBytes { what: "cost", .. }), "to the miners: {change}");
    let swapped = one().changed(|transaction| transaction.output.swap(1, 2));
    assert!(matches!(swapped, Refusal::OtherBytes { .. }), "{swapped}");
    let dropped = one().changed(|transaction| drop(transaction.output.remove(1)));
    assert!(matches!(dropped, Refusal::OtherBytes { what: "number of payouts", .. }), "{dropped}");
    let mut vault = one();
    vault.vault_key = group_key();
    let vault = sign(&vault.facts(), &nothing()).expect_err("another vault");
    assert!(matches!(vault, Refusal::OtherBytes { what: "bytes", .. }), "{vault}");
}

#[test]
fn an_output_too_much_is_noticed() {
    let extra = bound_of(known()).changed(|transaction| {
        let output = TxOut { value: sat(1), script_pubkey: ScriptBuf::from_bytes(vec![0x6a]) };
        transaction.output.insert(1, output);
    });
    assert!(matches!(extra, Refusal::OtherBytes { what: "number of payouts", .. }), "{extra}");
    let mut replaceable = bound_of(known()).transaction.unsigned().clone();
    replaceable.input[0].sequence = Sequence::MAX;
    let raw = consensus::serialize(&replaceable);
    let inputs = known().inputs;
    assert!(VaultTransaction::parse(&raw, inputs, replaceable.output[0].value).is_err(), "the layout is checked first");
}

#[test]
fn more_from_the_reserve_than_was_named_is_not_signed() {
    let mut one = bound_of(known());
    one.content.reserve_sat = 100;
    let refusal = sign(&one.facts(), &nothing()).expect_err("more than named");
    assert!(matches!(refusal, Refusal::OtherBytes { what: "part of the reserve", .. }), "{refusal}");
}

#[test]
fn a_maximum_that_was_raised_after_the_binding_changes_nothing() {
    let mut known = known();
    known.content.rate = 20_000;
    known.content.reserve_sat = 100_000;
    for withdrawal in known.ledger.withdrawals.values_mut() {
        (withdrawal.max_fee, withdrawal.tie) = (sat(200), Some(1));
    }
    let mut one = bound_of(known);
    one.known.ledger.withdrawals.values_mut().for_each(|withdrawal| withdrawal.max_fee = sat(5_000));
    assert_eq!(sign(&Bound { fee_bounds: None, ..one.facts() }, &nothing()), Ok(()));
    // It was agreed to with the proposal; who did not approve asks its own estimate.
    assert!(matches!(sign(&one.facts(), &nothing()), Err(Refusal::Fee { .. })));
}

#[test]
fn what_is_settled_void_or_other_in_the_ledger_is_not_signed() {
    let mut one = bound_of(known());
    one.ledger_txid = None;
    assert!(matches!(sign(&one.facts(), &nothing()), Err(Refusal::NotInLedger { ledger: None, .. })));
    one.ledger_txid = Some(Txid::all_zeros());
    assert!(matches!(sign(&one.facts(), &nothing()), Err(Refusal::NotInLedger { .. })));
    let mut paid = bound_of(known());
    paid.known.ledger.withdrawals.remove(&2);
    assert_eq!(sign(&paid.facts(), &nothing()), Err(Refusal::NotTied(2)));
    let mut elsewhere = bound_of(known());
    elsewhere.known.ledger.withdrawals.get_mut(&2).expect("there").tie = Some(3);
    assert_eq!(sign(&elsewhere.facts(), &nothing()), Err(Refusal::NotTied(2)));
}

#[test]
fn a_transaction_without_change_is_signed_too() {
    let mut known = known();
    known.ledger.outputs.get_mut(&1).expect("there").amount = sat(110_000 + 300);
    let mut small = Known::with(known.content.clone());
    small.ledger = known.ledger;
    small.content.reserve_sat = 1_000;
    small.inputs = spent(&small.content, &small.ledger);
    small.own_outputs = small.inputs.iter().map(prevout).collect();
    let one = bound_of(small);
    assert_eq!(one.transaction.change(), Amount::ZERO);
    assert_eq!(sign(&one.facts(), &nothing()), Ok(()));
}

// ------------------------------------------------------------------ the tie

/// The same withdrawals, bound anew from these outputs at a rate.
fn version(outputs: &[u32], rate: u64) -> BoundOne {
    bound_of(Known::with(Content { reserve_sat: 1_000, ..payout(outputs, &[1, 2], rate) }))
}

fn signed_first() -> (Signed, Vec<u8>, BoundOne) {
    let first = version(&[1], 2_000);
    let mut signed = nothing();
    let record = signed.insert(&first.ties(), first.transaction.unsigned(), &BTreeSet::new(), NOW).expect("the first");
    (signed, record.expect("to be kept"), first)
}

#[test]
fn versions_over_the_same_output_are_no_conflict() {
    let (mut signed, _, _) = signed_first();
    let second = version(&[1], 4_000);
    assert_eq!(sign(&second.facts(), &signed), Ok(()));
    let record = signed.insert(&second.ties(), second.transaction.unsigned(), &BTreeSet::new(), NOW);
    assert!(record.expect("no conflict").is_some(), "it is another transaction");
    let again = signed.insert(&second.ties(), second.transaction.unsigned(), &BTreeSet::new(), NOW);
    assert_eq!(again, Ok(None), "nothing new to keep");
}

#[test]
fn a_second_payout_that_does_not_spend_the_same_output_is_never_signed() {
    let (mut signed, _, first) = signed_first();
    let elsewhere = version(&[2], 2_000);
    let outpoint = first.known.ledger.outputs[&1].outpoint();
    let refusal = Refusal::PaidElsewhere { withdrawal: 1, outpoint };
    assert_eq!(sign(&elsewhere.facts(), &signed), Err(refusal.clone()));
    // Nor approved, whatever the ledger says.
    assert_eq!(elsewhere.known.approve(&signed), Err(refusal.clone()));
    let before = signed.clone();
    let inserted = signed.insert(&elsewhere.ties(), elsewhere.transaction.unsigned(), &BTreeSet::new(), NOW);
    assert_eq!((inserted, signed), (Err(refusal), before), "and nothing changes");
}

#[test]
fn once_its_output_was_seen_finally_ended_a_withdrawal_is_paid_anew() {
    let (signed, _, first) = signed_first();
    let mut elsewhere = version(&[2], 2_000);
    elsewhere.known.ended.insert(first.known.ledger.outputs[&3].outpoint());
    assert!(sign(&elsewhere.facts(), &signed).is_err(), "another output ended");
    elsewhere.known.ended.insert(first.known.ledger.outputs[&1].outpoint());
    assert_eq!(sign(&elsewhere.facts(), &signed), Ok(()));
    assert_eq!(elsewhere.known.approve(&signed), Ok(()));
}

#[test]
fn a_transaction_that_spends_both_outputs_conflicts_with_both_payouts() {
    let (mut signed, _, first) = signed_first();
    let ended = BTreeSet::from([first.known.ledger.outputs[&1].outpoint()]);
    let second = version(&[2], 2_000);
    signed.insert(&second.ties(), second.transaction.unsigned(), &ended, NOW).expect("the first ended");
    // The first has come back: only what spends both is safe.
    assert!(sign(&version(&[2], 3_000).facts(), &signed).is_err());
    let ids = [1, 2];
    let mut both = version(&[2], 3_000).transaction.unsigned().clone();
    assert!(signed.check(&ids, &both, &BTreeSet::new()).is_err());
    both.input.push(first.transaction.unsigned().input[0].clone());
    assert_eq!(signed.check(&ids, &both, &BTreeSet::new()), Ok(()));
}

#[test]
fn the_log_of_what_was_signed_reads_back_and_nothing_else_does() {
    let (signed, record, first) = signed_first();
    assert_eq!(Signed::replay([record.as_slice()], LIMIT).expect("its own record"), signed);
    let sweep = nothing().insert(&[], first.transaction.unsigned(), &BTreeSet::new(), NOW);
    let sweep = sweep.expect("no conflict").expect("new");
    assert!(Signed::replay([record.as_slice(), sweep.as_slice()], LIMIT).is_ok());
    let mut many = record.clone();
    many[17..21].copy_from_slice(&u32::MAX.to_be_bytes());
    let (old_version, cut) = ([&[2], &record[1..]].concat(), &record[..record.len() - 1]);
    for bad in [&old_version[..], cut, &record[..4], &[], &many] {
        let error = Signed::replay([record.as_slice(), bad], LIMIT).expect_err("not a record");
        assert_eq!(error.position, 1);
    }
}

// ------------------------------------------------------------------ the own limit

#[test]
fn whatever_the_ledger_binds_no_more_than_the_own_window_is_signed_away() {
    let limit = Limit { window: sat(150_000), window_s: 100 };
    let mut signed = Signed::nothing(limit);
    let ended = BTreeSet::new();
    let first = version(&[1], 2_000);
    let record = signed.insert(&first.ties(), first.transaction.unsigned(), &ended, NOW);
    let record = record.expect("110,000 of 150,000 sat").expect("new");
    let second = version(&[1], 4_000);
    assert!(signed.insert(&second.ties(), second.transaction.unsigned(), &ended, NOW).is_ok(), "a version pays once");
    let next = Tie { withdrawal: 3, outpoint: outpoint(9), amount: sat(60_000) };
    let mut other = first.transaction.unsigned().clone();
    other.lock_time = bitcoin::absolute::LockTime::from_consensus(7);
    let refused = signed.insert(&[next], &other, &ended, NOW);
    assert!(matches!(refused, Err(Refusal::OwnLimit { left, .. }) if left == sat(40_000)), "{refused:?}");
    // The same after a restart.
    let mut again = Signed::replay([record.as_slice()], limit).expect("its own record");
    assert!(again.insert(&[next], &other, &ended, NOW).is_err());
    assert!(again.insert(&[next], &other, &ended, NOW + 14).is_ok(), "1,500 sat grow in a second");
}

#[test]
fn a_record_that_was_made_anew_binds_as_the_lost_one_did() {
    let (taken, tie) = (Amount::from_sat(40), OutPoint::new(bitcoin::Txid::all_zeros(), 0));
    let record = Signed::recovered((1_000, taken), &[(7, tie)]);
    let signed = Signed::replay([record.as_slice()], LIMIT).expect("a record");
    assert_eq!(signed.count(), 0, "what was signed is not known, only what it may not contradict");
    let elsewhere = assemble(&[OutPoint::null()], None, &[]);
    let refused = signed.check(&[7], &elsewhere, &BTreeSet::new());
    assert!(matches!(refused, Err(Refusal::PaidElsewhere { withdrawal: 7, .. })), "{refused:?}");
    assert_eq!(signed.check(&[7], &elsewhere, &BTreeSet::from([tie])), Ok(()), "it has ended");
    assert_eq!(signed.check(&[8], &elsewhere, &BTreeSet::new()), Ok(()));
    let longer = [record.as_slice(), &[0]].concat();
    assert!(Signed::replay([longer.as_slice()], LIMIT).is_err());
}
