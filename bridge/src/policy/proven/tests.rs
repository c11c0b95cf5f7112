//! A node that tells something else than it can prove gets nothing approved, and nothing signed.

use std::collections::{BTreeMap, BTreeSet};

use alloy_consensus::Header;
use alloy_primitives::{Address, Bytes, FixedBytes, U256};
use bitcoin::hashes::Hash as _;
use contracts::Books;
use light::FinalHeader;
use light::federation::FederationKeys;
use light::ledger::{GivenBack, Limits, Proposal, VaultTransaction};

use super::*;
use crate::vault_tx::example::{group_key, ledger, payout, sweep, vault_key};

const NOW: u64 = 1_800_000_000;
const PROPOSAL: u64 = 7 << 24 | 1 << 8;
const NUMBER: u32 = 9;

fn header(timestamp: u64) -> FinalHeader {
    let header = Header { timestamp, ..Header::default() };
    FinalHeader { hash: header.hash_slow(), header, signers: 3, validators: 4 }
}

fn keys() -> FederationKeys {
    FederationKeys { group: key_bytes(group_key()), vault: key_bytes(vault_key()) }
}

fn bound_txid() -> Txid {
    Txid::from_byte_array([9; 32])
}

fn entry(txid: Txid, change_sat: u64) -> VaultTransaction {
    VaultTransaction {
        number: NUMBER,
        txid,
        content: B256::ZERO,
        change_sat,
        spent_by: None,
        is_settled: true,
        is_gone: false,
        is_void: false,
        height: 1_000,
        block_head: FixedBytes::ZERO,
        epoch: 1,
        script_version: 1,
    }
}

fn proven_withdrawal(told: &Withdrawal) -> ledger::Withdrawal {
    ledger::Withdrawal {
        owner: Address::repeat_byte(1),
        amount_sat: told.amount.to_sat(),
        max_fee_sat: told.max_fee.to_sat(),
        asked_at: told.asked_at,
        tie: told.tie,
        paid_by: None,
        given_back: None,
        script: Bytes::from(told.script.to_bytes()),
    }
}

/// What an honest node proves of a payout of two withdrawals, and what it tells.
fn honest() -> (LedgerFacts, Content, Facts) {
    let told = ledger(&[500_000, 400_000, 300_000], &[(100_000, 5_000), (10_000, 5_000)]);
    let content = payout(&[1], &[1, 2], 2_000);
    let opened = Proposal { content: content_hash(&content), opened_at: NOW, epoch: 1 };
    let live = |(number, output): (&u32, &Output)| {
        let found = entry(output.txid, output.amount.to_sat());
        (output.txid, Some(VaultTransaction { number: *number, ..found }))
    };
    let open = |(id, told): (&u64, &Withdrawal)| (*id, Some(proven_withdrawal(told)));
    let bound = VaultTransaction { content: content_hash(&content), is_settled: false, ..entry(bound_txid(), 380_000) };
    let mut vault: BTreeMap<Txid, Option<VaultTransaction>> = told.outputs.iter().map(live).collect();
    vault.insert(bound_txid(), Some(bound));
    let facts = Facts {
        header: header(NOW),
        supply_wei: U256::ZERO,
        books: Books { reserve_sat: 77, ..Books::default() },
        limits: Limits { window_left_sat: u64::MAX, window_since: NOW, paused_until: 0 },
        vault_count: NUMBER,
        withdrawals: told.withdrawals.iter().map(open).collect(),
        deposits: BTreeMap::new(),
        vault,
        proposals: BTreeMap::from([(PROPOSAL, Some(opened))]),
        keys: BTreeMap::from([(1, keys())]),
        blocks: BTreeMap::new(),
        branches: light::branches::Branches::default(),
        last_withdrawal: None,
    };
    (told, content, facts)
}

fn facts_of(change: impl FnOnce(&mut LedgerFacts, &mut Facts)) -> Result<LedgerFacts, Refusal> {
    let (mut told, content, mut proven) = honest();
    change(&mut told, &mut proven);
    proposal_facts(told, (PROPOSAL, &content), &proven)
}

#[test]
fn what_an_honest_node_tells_is_what_it_proves() {
    let (told, content, proven) = honest();
    let facts = proposal_facts(told.clone(), (PROPOSAL, &content), &proven).expect("proven");
    assert_eq!((&facts.withdrawals, &facts.outputs), (&told.withdrawals, &told.outputs));
    assert_eq!(facts.reserve_sat, 77, "the proven books count");
    let input = told.outputs[&1].outpoint();
    let wanted = wanted_of_proposal(PROPOSAL, &content, &[input], 1);
    assert_eq!(wanted.withdrawals, BTreeSet::from([1, 2]));
    assert!(wanted.vault.contains(&input.txid) && wanted.proposals.contains(&PROPOSAL) && wanted.epochs.contains(&1));
}

#[test]
fn a_script_or_an_amount_that_a_node_invents_is_replaced_by_the_proven_one() {
    let thief = ScriptBuf::from_bytes(vec![0x51, 0x20, 0xee]);
    let facts = facts_of(|told, _| {
        let told = told.withdrawals.get_mut(&1).expect("there");
        (told.script, told.amount, told.max_fee) = (thief.clone(), Amount::from_sat(9_000_000), Amount::from_sat(1));
    });
    let facts = facts.expect("the rest is proven");
    let (honest, _, _) = honest();
    assert_eq!(facts.withdrawals[&1], honest.withdrawals[&1]);
    let facts = facts_of(|told, _| told.outputs.get_mut(&1).expect("there").amount = Amount::from_sat(1));
    assert_eq!(facts.expect("proven").outputs[&1], honest.outputs[&1]);
}

#[test]
fn what_is_not_proven_to_be_there_is_not_to_be_had() {
    let without = |change: fn(&mut Facts)| facts_of(|_, proven| change(proven)).expect("the proposal is there");
    let closed = |proven: &mut Facts| {
        let found = proven.withdrawals.get_mut(&1).and_then(Option::as_mut).expect("there");
        found.given_back = Some(GivenBack::Cancelled);
    };
    assert!(!without(closed).withdrawals.contains_key(&1));
    assert!(!without(|proven| drop(proven.withdrawals.insert(2, None))).withdrawals.contains_key(&2));
    let spent = |proven: &mut Facts| {
        let all = proven.vault.values_mut().flatten();
        all.filter(|found| found.number == 1).for_each(|found| found.spent_by = Some(2));
    };
    assert!(!without(spent).outputs.contains_key(&1));
    let renumbered = |proven: &mut Facts| {
        let all = proven.vault.values_mut().flatten();
        all.filter(|found| found.number == 1).for_each(|found| found.number = 8);
    };
    assert!(!without(renumbered).outputs.contains_key(&1));
    assert!(!without(|proven| proven.vault.clear()).outputs.contains_key(&1));
}

#[test]
fn an_invented_proposal_another_content_or_another_key_is_refused() {
    let refused = |change: fn(&mut Facts)| facts_of(|_, proven| change(proven)).expect_err("not proven");
    for refusal in [
        refused(|proven| proven.proposals.clear()),
        refused(|proven| {
            proven.proposals.get_mut(&PROPOSAL).and_then(Option::as_mut).expect("there").content = B256::ZERO;
        }),
        refused(|proven| proven.keys.get_mut(&1).expect("there").vault = B256::repeat_byte(1)),
        refused(|proven| proven.keys.clear()),
    ] {
        assert!(matches!(refusal, Refusal::NotProven(_)) && refusal.may_pass(), "{refusal}");
    }
    let (_, _, proven) = honest();
    assert!(require_group_key(1, group_key(), &proven).is_ok());
    assert!(require_group_key(1, vault_key(), &proven).is_err());
}

#[test]
fn a_pause_and_an_empty_window_are_seen_whatever_the_node_tells() {
    let paused = facts_of(|_, proven| proven.limits.paused_until = NOW + 1).expect("proven");
    assert_eq!(paused.window_left, Amount::ZERO);
    let (told, ..) = honest();
    let (window, window_s) = (told.rules.window.to_sat(), told.rules.window_s);
    let used = facts_of(|told, proven| {
        told.window_left = told.rules.window;
        proven.limits = Limits { window_left_sat: 0, window_since: NOW - window_s / 2, paused_until: 0 };
    });
    assert_eq!(used.expect("proven").window_left.to_sat(), window / 2, "half of it has grown again");
}

#[test]
fn an_old_header_proves_nothing() {
    let (_, _, proven) = honest();
    assert_eq!(require_young(&proven, NOW + MAX_AGE_S), Ok(()));
    assert_eq!(require_young(&proven, NOW + MAX_AGE_S + 1), Err(Refusal::OldHeader { age_s: MAX_AGE_S + 1 }));
    // A clock that runs behind is no reason.
    assert_eq!(require_young(&proven, NOW - 5), Ok(()));
}

#[test]
fn a_deposit_that_is_swept_gone_or_another_is_not_as_told() {
    let told = ledger(&[500_000], &[]);
    let content = sweep(&[1], 2_000);
    let outpoint = content.deposits[0];
    let opened = Proposal { content: content_hash(&content), opened_at: NOW, epoch: 1 };
    let (_, _, mut proven) = honest();
    proven.proposals.insert(PROPOSAL, Some(opened));
    let mut told = told;
    let found = ledger::Deposit {
        recipient: BRIDGE,
        claimant: Address::ZERO,
        amount_sat: 123_456,
        max_fee_sat: 1_000,
        was_bound: true,
        minted_sat: None,
        swept_by: None,
        is_gone: false,
        height: 3,
        block_head: FixedBytes::ZERO,
        epoch: 1,
    };
    told.deposits
        .insert(outpoint, Deposit { amount: Amount::from_sat(1), ..deposit(&found).expect("it can be swept") });
    let mut facts = |found: ledger::Deposit| {
        proven.deposits.insert(outpoint, Some(found));
        proposal_facts(told.clone(), (PROPOSAL, &content), &proven).expect("the proposal is there").deposits
    };
    let had = facts(found.clone());
    assert_eq!((had[&outpoint].amount.to_sat(), had[&outpoint].for_reserve), (123_456, true));
    assert!(facts(ledger::Deposit { swept_by: Some(4), ..found.clone() }).is_empty());
    assert!(facts(ledger::Deposit { is_gone: true, ..found }).is_empty());
}

#[test]
fn what_was_bound_is_signed_only_as_the_ledger_proves_it() {
    let (told, content, proven) = honest();
    let bound = |proven: &Facts| bound_facts((NUMBER, bound_txid(), &content), (1, vault_key()), proven);
    let found = bound(&proven).expect("proven");
    assert_eq!((found.txid, found.withdrawals), (bound_txid(), told.withdrawals));
    let refused = |change: fn(&mut VaultTransaction)| {
        let mut proven = proven.clone();
        change(proven.vault.get_mut(&bound_txid()).and_then(Option::as_mut).expect("there"));
        bound(&proven).expect_err("not so")
    };
    for refusal in [
        refused(|found| found.content = B256::ZERO),
        refused(|found| found.is_settled = true),
        refused(|found| found.is_void = true),
    ] {
        assert!(matches!(refusal, Refusal::NotProven(_)), "{refusal}");
    }
    let nothing = Facts { vault: BTreeMap::new(), ..proven.clone() };
    assert!(bound(&nothing).is_err(), "invented");
    let other_key = bound_facts((NUMBER, bound_txid(), &content), (1, group_key()), &proven);
    assert!(matches!(other_key, Err(Refusal::NotProven(_))));
    let mut paid = proven;
    paid.withdrawals.get_mut(&1).and_then(Option::as_mut).expect("there").paid_by = Some(3);
    assert_eq!(bound(&paid).expect("proven").withdrawals.keys().copied().collect::<Vec<_>>(), [2]);
}

#[test]
fn an_output_has_ended_by_proofs_and_by_how_deep_the_own_bitcoind_has_its_spender() {
    let found = entry(Txid::from_byte_array([3; 32]), 1_000);
    let outpoint = found.output().expect("it makes one");
    let ended = |found: &VaultTransaction, depth| has_ended(outpoint, found, depth, 100);
    assert!(!ended(&found, None) && !ended(&found, Some(1_000)), "nothing spends it");
    let spent = VaultTransaction { spent_by: Some(4), ..found.clone() };
    assert!(!ended(&spent, None) && !ended(&spent, Some(99)));
    assert!(ended(&spent, Some(100)));
    assert!(ended(&VaultTransaction { is_gone: true, ..found.clone() }, None));
    assert!(ended(&VaultTransaction { is_void: true, ..found.clone() }, None));
    let other = VaultTransaction { txid: Txid::from_byte_array([4; 32]), is_gone: true, ..found };
    assert!(!ended(&other, None), "another output");
}
