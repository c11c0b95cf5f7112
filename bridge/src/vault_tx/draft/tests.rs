//! What `bind` makes of a content, rule by rule as docs/ledger.md has them, and any content against rust-bitcoin's sizes and the books' sums.

use super::super::example::{
    deposit, empty, ledger, outpoint, output, p2wpkh, payout, sat, sweep, vault_key, withdrawal,
};
use super::super::facts::Output;
use super::*;
use bitcoin::{Witness, consensus};
use proptest::prelude::*;

/// Of a withdrawal to P2WPKH at 1 sat/vB: 9 + 22 + 35 vB, and 50 for the reserve.
const WHOLE: u64 = 116;
/// Of a deposit: 92.5 vB, rounded up, and 20.
const DEPOSIT: u64 = 113;

fn with_deposits(deposits: &[Deposit]) -> LedgerFacts {
    let deposits = deposits.iter().enumerate().map(|(number, deposit)| (outpoint(number), *deposit)).collect();
    LedgerFacts { deposits, ..empty() }
}

// ------------------------------------------------------------------ sweeps

#[test]
fn a_lone_sweep_costs_what_the_ledgers_page_says_and_the_reserve_adds_the_rest() {
    let ledger = with_deposits(&[deposit(100_000, 5_000)]);
    let built = build(&sweep(&[0], 1_000), &ledger).expect("swept");
    // One input, vault and anchor: 4 + 1 + 41 + 1 + 43 + 13 + 4 bytes without witness; 2 and 66 of witness.
    assert_eq!(built.vsize, (4 * 107 + 68_u64).div_ceil(4));
    assert_eq!(built.fee, sat(124));
    assert_eq!(built.charges, [sat(DEPOSIT)]);
    assert_eq!(built.change, sat(100_000 - 124 - 240));
    assert_eq!(built.need, sat(124 + 240 - DEPOSIT));
    assert_eq!(built.transaction.output[0].script_pubkey, vault::script(vault_key()));
    assert_eq!(consensus::serialize(&built.transaction).len(), 107);
}

#[test]
fn who_cannot_pay_the_whole_charge_at_first_is_skipped_and_later_pays_its_maximum() {
    let poor = deposit(100_000, DEPOSIT - 1);
    let ledger = with_deposits(&[deposit(100_000, DEPOSIT), poor, Deposit { was_bound: true, ..poor }]);
    let built = build(&sweep(&[0, 1, 2], 1_000), &ledger).expect("swept");
    assert_eq!(built.content.deposits, [outpoint(0), outpoint(2)]);
    assert_eq!(built.charges, [sat(DEPOSIT), sat(DEPOSIT - 1)]);
}

#[test]
fn the_cap_is_asked_of_first_bindings_alone() {
    let big = deposit(600_000, 5_000);
    let minted = Deposit { minted: Some(sat(599_000)), ..big };
    let mut ledger = with_deposits(&[big, Deposit { was_bound: true, ..big }, minted, big, deposit(300_000, 5_000)]);
    ledger.cap_left = sat(900_000);
    let built = build(&sweep(&[0, 1, 2, 3, 4], 1_000), &ledger).expect("swept");
    assert_eq!(built.content.deposits, [outpoint(0), outpoint(1), outpoint(2), outpoint(4)]);
    assert_eq!(built.charges[2], sat(1_000), "what was minted for it does not change");
}

#[test]
fn the_reserve_is_not_asked_about_a_deposit_that_is_for_it_or_minted() {
    let first = deposit(100_000, 5_000);
    let mut ledger = with_deposits(&[first]);
    ledger.reserve_sat = -5;
    assert!(matches!(build(&sweep(&[0], 1_000), &ledger), Err(BindError::ReserveTooSmall { reserve_sat: -5, .. })));
    for exempt in
        [Deposit { for_reserve: true, ..first }, Deposit { minted: Some(sat(99_000)), was_bound: true, ..first }]
    {
        ledger.deposits.insert(outpoint(0), exempt);
        assert!(build(&sweep(&[0], 1_000), &ledger).is_ok());
    }
    let unnamed = Content { reserve_sat: 0, ..sweep(&[0], 500_000) };
    assert!(matches!(build(&unnamed, &ledger), Err(BindError::ReserveTooSmall { named_sat: 0, .. })));
}

#[test]
fn one_deposit_to_the_reserve_lets_no_others_pass() {
    let poor = Deposit { was_bound: true, ..deposit(100_000, DEPOSIT) };
    let mut ledger = with_deposits(&[poor, Deposit { for_reserve: true, ..deposit(10_000, 5_000) }]);
    (ledger.reserve_sat, ledger.credit) = (0, sat(1_000_000));
    assert!(matches!(build(&sweep(&[0, 1], 30_000), &ledger), Err(BindError::ReserveTooSmall { .. })));
    assert!(build(&sweep(&[1], 30_000), &ledger).is_ok(), "alone it is for the reserve to lose");
}

#[test]
fn what_a_lone_transaction_costs_beyond_its_charge_may_overdraw_the_reserve_within_its_credit() {
    let lone_sweep = 124 + 240 - DEPOSIT;
    let mut ledger = LedgerFacts { reserve_sat: 100, ..with_deposits(&[deposit(100_000, 5_000)]) };
    ledger.credit = sat(lone_sweep - 101);
    assert!(matches!(build(&sweep(&[0], 1_000), &ledger), Err(BindError::ReserveTooSmall { reserve_sat: 100, .. })));
    ledger.credit = sat(lone_sweep - 100);
    assert_eq!(build(&sweep(&[0], 1_000), &ledger).expect("on credit").need, sat(lone_sweep));
    ledger.reserve_sat = 99;
    assert!(build(&sweep(&[0], 1_000), &ledger).is_err());
}

#[test]
fn what_maxima_leave_unpaid_the_reserve_must_have_whatever_its_credit() {
    let mut ledger = ledger(&[1_000_000], &[(100_000, WHOLE)]);
    ledger.withdrawals.get_mut(&1).expect("there").tie = Some(1);
    // 66 vB at 2 sat, and 50: 66 more than its maximum.
    (ledger.reserve_sat, ledger.credit) = (65, sat(1_000_000));
    assert!(matches!(build(&payout(&[1], &[1], 2_000), &ledger), Err(BindError::ReserveTooSmall { .. })));
    ledger.reserve_sat = 66;
    assert!(build(&payout(&[1], &[1], 2_000), &ledger).is_ok());
}

#[test]
fn credit_is_half_of_what_stops_first_ties_and_ends_below_that_with_all_that_is_missing() {
    let credit = |reserve_sat: i64, missing_sat: u64, stop_sat: u64| {
        let mut ledger = LedgerFacts { reserve_sat, ..empty() };
        ledger.limit(&crate::peg::Limits { missing_sat, stop_sat, ..crate::relay::example::limits() });
        ledger.credit.to_sat()
    };
    assert_eq!(credit(5, 0, 1_000), 500);
    assert_eq!(credit(-300, 300, 1_000), 500, "of the overdraft itself nothing is taken off");
    assert_eq!(credit(-300, 900, 1_000), 399);
    assert_eq!(credit(0, 1_000, 1_000), 0);
    assert_eq!(credit(0, 0, 1), 0);
    assert_eq!(credit(i64::MIN, u64::MAX, u64::MAX), (1 << 63) - 1);
}

#[test]
fn a_sweep_leaves_at_least_dust_or_is_refused() {
    let ledger = |amount| with_deposits(&[Deposit { was_bound: true, ..deposit(amount, 5_000) }]);
    let least = 124 + 240 + 330;
    assert_eq!(build(&sweep(&[0], 1_000), &ledger(least)).expect("swept").change, sat(330));
    assert!(matches!(build(&sweep(&[0], 1_000), &ledger(least - 1)), Err(BindError::TooLittle { .. })));
}

#[test]
fn a_deposit_of_another_epoch_is_skipped() {
    let mut ledger = with_deposits(&[deposit(100_000, 5_000), Deposit { epoch: 2, ..deposit(100_000, 5_000) }]);
    assert_eq!(build(&sweep(&[0, 1], 1_000), &ledger).expect("swept").content.deposits, [outpoint(0)]);
    ledger.deposits.remove(&outpoint(0));
    assert_eq!(build(&sweep(&[0, 1], 1_000), &ledger), Err(BindError::NothingLeft));
}

// ------------------------------------------------------------------ payouts

#[test]
fn a_payout_charges_each_by_its_own_size_whoever_else_is_in_it() {
    let mut ledger = ledger(&[1_000_000], &[(100_000, 5_000), (50_000, 5_000)]);
    let alone = build(&payout(&[1], &[1], 1_000), &ledger).expect("paid");
    let both = build(&payout(&[1], &[1, 2], 1_000), &ledger).expect("paid");
    assert_eq!((alone.charges[0], both.charges[0]), (sat(WHOLE), sat(WHOLE)));
    assert_eq!(both.transaction.output[1].value, sat(100_000 - WHOLE));
    let mut p2tr = withdrawal(50_000, 5_000);
    p2tr.script = vault::script(vault_key());
    ledger.withdrawals.insert(2, p2tr);
    assert_eq!(build(&payout(&[1], &[1, 2], 1_000), &ledger).expect("paid").charges[1], sat(WHOLE + 12));
}

#[test]
fn what_is_cancelled_tied_elsewhere_or_too_poor_is_skipped() {
    let mut ledger = ledger(&[1_000_000, 500_000], &[(10_000, 5_000), (10_000, WHOLE - 1), (10_000, 5_000)]);
    ledger.withdrawals.get_mut(&3).expect("there").tie = Some(2);
    assert_eq!(build(&payout(&[1], &[1, 2, 3, 4], 1_000), &ledger).expect("paid").content.withdrawals, [1]);
    assert_eq!(build(&payout(&[1], &[2, 3, 4], 1_000), &ledger), Err(BindError::NothingLeft));
    // A later version charges at most the maximum.
    ledger.withdrawals.get_mut(&2).expect("there").tie = Some(1);
    assert_eq!(build(&payout(&[1], &[2], 1_000), &ledger).expect("paid").charges, [sat(WHOLE - 1)]);
}

#[test]
fn what_is_tied_to_a_further_output_spends_that_too() {
    let mut ledger = ledger(&[1_000_000, 500_000, 400_000], &[(10_000, 5_000)]);
    ledger.withdrawals.get_mut(&1).expect("there").tie = Some(2);
    let built = build(&payout(&[1, 2, 3], &[1], 1_000), &ledger).expect("paid");
    assert_eq!(built.content.outputs, [1, 2], "and not the third");
}

#[test]
fn first_ties_are_to_rooted_outputs_of_the_epoch_in_force() {
    let mut ledger = ledger(&[1_000_000, 500_000], &[(10_000, 5_000), (10_000, 5_000)]);
    ledger.outputs.get_mut(&1).expect("there").is_rooted = false;
    assert_eq!(build(&payout(&[1], &[1], 1_000), &ledger), Err(BindError::NotRooted(1)));
    assert!(build(&payout(&[2, 1], &[1], 1_000), &ledger).is_ok(), "only the first has to be");
    ledger.withdrawals.get_mut(&2).expect("there").tie = Some(1);
    assert_eq!(build(&payout(&[1], &[1, 2], 1_000), &ledger).expect("tied before").content.withdrawals, [2]);
    ledger.epoch = 2;
    assert_eq!(build(&payout(&[2], &[1], 1_000), &ledger), Err(BindError::NothingLeft));
    let other = Content { epoch: 2, ..payout(&[2], &[1], 1_000) };
    assert_eq!(build(&other, &ledger), Err(BindError::WrongEpoch { number: 2, got: 1, want: 2 }));
}

#[test]
fn beyond_the_window_is_skipped_and_the_smaller_behind_fits() {
    let mut ledger = ledger(&[10_000_000], &[(60_000, 5_000), (60_000, 5_000), (30_000, 5_000)]);
    ledger.window_left = sat(100_000);
    assert_eq!(build(&payout(&[1], &[1, 2, 3], 1_000), &ledger).expect("paid").content.withdrawals, [1, 3]);
    ledger.withdrawals.values_mut().for_each(|withdrawal| withdrawal.tie = Some(1));
    ledger.window_left = sat(0);
    assert_eq!(build(&payout(&[1], &[1, 2, 3], 1_000), &ledger).expect("tied before").content.withdrawals, [1, 2, 3]);
}

#[test]
fn outputs_that_are_not_needed_or_not_live_stay_but_the_first_must_be_live() {
    let mut ledger = ledger(&[200_000, 300_000, 400_000], &[(10_000, 5_000), (350_000, 5_000)]);
    assert_eq!(build(&payout(&[1, 2, 3], &[1], 1_000), &ledger).expect("paid").content.outputs, [1]);
    assert_eq!(build(&payout(&[1, 2, 3], &[1, 2], 1_000), &ledger).expect("paid").content.outputs, [1, 2]);
    ledger.outputs.remove(&2);
    assert_eq!(build(&payout(&[1, 2, 3], &[1, 2], 1_000), &ledger).expect("paid").content.outputs, [1, 3]);
    assert_eq!(build(&payout(&[2, 3], &[1], 1_000), &ledger), Err(BindError::OutputNotLive(2)));
}

/// One input, one payout to P2WPKH: 4 + 1 + 41 + 1 + 43 + 31 + 13 + 4 bytes without witness with change.
const WITH_CHANGE: u64 = 138 + 17;
const WITHOUT: u64 = 95 + 17;

#[test]
fn change_is_useful_or_none_if_the_reserve_affords_it_or_else_not_dust() {
    let paid = 100_000 - WHOLE;
    let made = |over: u64, named_sat: u64, reserve_sat: i64| {
        let ledger = LedgerFacts { reserve_sat, ..ledger(&[paid + over], &[(100_000, 5_000)]) };
        build(&Content { reserve_sat: named_sat, ..payout(&[1], &[1], 1_000) }, &ledger)
    };
    let useful = 240 + WITH_CHANGE + 5_000;
    assert_eq!(made(useful, 9_000, 9_000).expect("useful").change, sat(5_000));
    let none = made(useful - 1, 9_000, 9_000).expect("none");
    assert_eq!((none.change, none.fee, none.vsize), (sat(0), sat(WITH_CHANGE + 4_999), WITHOUT));
    assert_eq!(none.transaction.output.len(), 2, "the payout is output 0");
    assert_eq!(none.transaction.output[0].script_pubkey, p2wpkh());
    for (named_sat, reserve_sat) in [(9_000, 300), (300, 9_000)] {
        assert_eq!(made(useful - 1, named_sat, reserve_sat).expect("not dust").change, sat(4_999));
    }
    assert_eq!(made(240 + WITH_CHANGE + 330, 300, 300).expect("not dust").change, sat(330));
    assert!(matches!(made(240 + WITHOUT - 1, 9_000, 9_000), Err(BindError::TooLittle { .. })));
}

#[test]
fn a_consolidation_joins_all_that_are_live_at_the_reserves_expense() {
    let mut ledger = ledger(&[10_000, 20_000, 30_000], &[]);
    let built = build(&payout(&[1, 2, 3], &[], 1_000), &ledger).expect("joined");
    assert_eq!(built.content.outputs, [1, 2, 3]);
    assert_eq!(built.change, sat(60_000) - built.need);
    ledger.outputs.retain(|number, _| *number == 1);
    assert_eq!(build(&payout(&[1, 2, 3], &[], 1_000), &ledger), Err(BindError::NothingLeft), "nothing to join");
    assert!(build(&payout(&[1], &[], 1_000), &ledger).is_ok(), "a refresh");
}

// ------------------------------------------------------------------ both

#[test]
fn the_shape_of_a_content_is_that_of_the_ledger() {
    let ledger = ledger(&[100_000, 100_000, 100_000], &[(10_000, 5_000), (10_000, 5_000)]);
    let refused = |content: Content| build(&content, &ledger).expect_err("not a content");
    assert_eq!(refused(payout(&[], &[1], 1_000)), BindError::MixedOrEmpty);
    assert_eq!(refused(Content { deposits: vec![outpoint(1)], ..payout(&[1], &[], 1_000) }), BindError::MixedOrEmpty);
    assert!(matches!(refused(payout(&[1], &[1], 999)), BindError::Rate { got: 999, min: 1_000, .. }));
    assert!(matches!(refused(payout(&[1], &[1], 1_000_001)), BindError::Rate { .. }));
    for (outputs, withdrawals) in
        [(vec![1, 1], vec![1]), (vec![1, 3, 2], vec![1]), (vec![1, 2, 1], vec![1]), (vec![1], vec![2, 1])]
    {
        assert_eq!(refused(payout(&outputs, &withdrawals, 1_000)), BindError::NotAscending);
    }
    assert!(build(&payout(&[3, 1, 2], &[1, 2], 1_000), &ledger).is_ok(), "the first is for ties");
    let ids: Vec<u64> = (1..=251).collect();
    assert!(matches!(refused(payout(&[1], &ids, 1_000)), BindError::TooMany { payouts: 251, .. }));
    // As they are hashed, not as they are shown: [1; 32] with output 1, then [2; 32].
    let backwards = Content { deposits: vec![outpoint(2), outpoint(1)], ..sweep(&[], 1_000) };
    assert_eq!(refused(backwards), BindError::NotAscending);
}

#[test]
fn a_transaction_is_bound_once() {
    let mut ledger = ledger(&[100_000], &[(10_000, 5_000), (10_000, 5_000)]);
    let first = build(&payout(&[1], &[1], 1_000), &ledger).expect("paid");
    ledger.bound.insert(first.transaction.compute_txid());
    let again = build(&payout(&[1], &[2], 1_000), &ledger);
    assert_eq!(again, Err(BindError::AlreadyBound(first.transaction.compute_txid())), "equal amounts, equal scripts");
    assert!(build(&payout(&[1], &[2], 1_017), &ledger).is_ok(), "another rate");
}

#[test]
fn a_transaction_above_the_limit_of_version_3_is_refused() {
    let mut many = ledger(&[1_000_000_000], &vec![(10_000, 5_000); 250]);
    many.withdrawals.values_mut().for_each(|withdrawal| withdrawal.script = vault::script(vault_key()));
    let ids: Vec<u64> = (1..=250).collect();
    assert!(matches!(build(&payout(&[1], &ids, 1_000), &many), Err(BindError::TooLarge(_))));
}

#[test]
fn numbers_that_no_ledger_has_overflow_nothing() {
    let mut ledger = ledger(&[u64::MAX, u64::MAX], &[(u64::MAX, u64::MAX), (u64::MAX, u64::MAX)]);
    ledger.window_left = Amount::MAX;
    ledger.rules.max_rate = u64::MAX;
    let _ = build(&payout(&[1, 2], &[1, 2], u64::MAX), &ledger);
    ledger.deposits = with_deposits(&[deposit(u64::MAX, u64::MAX), deposit(u64::MAX, 0)]).deposits;
    let _ = build(&sweep(&[0, 1], u64::MAX), &ledger);
}

prop_compose! {
    fn any_ledger()(
        deposits in prop::collection::vec((1_000u64..2_000_000, 50u64..40_000, any::<bool>()), 0..40),
        outputs in prop::collection::vec((330u64..3_000_000, any::<bool>()), 1..12),
        withdrawals in prop::collection::vec((1_000u64..500_000, 100u64..30_000, 0u32..14, 0usize..4), 0..120),
        reserve_sat in -1_000i64..50_000,
        window in 0u64..3_000_000,
    ) -> LedgerFacts {
        let mut ledger = LedgerFacts { reserve_sat, window_left: sat(window), ..empty() };
        for (number, (amount, max_fee, was_bound)) in deposits.into_iter().enumerate() {
            ledger.deposits.insert(outpoint(number), Deposit { was_bound, ..deposit(amount, max_fee) });
        }
        for (number, (amount, is_rooted)) in (1..).zip(outputs) {
            ledger.outputs.insert(number, Output { is_rooted, ..output(number, amount) });
        }
        for (id, (amount, max_fee, tie, kind)) in (1..).zip(withdrawals) {
            let tie = Some(tie).filter(|tie| *tie > 6);
            let script = ScriptBuf::from_bytes(vec![0; [22, 23, 25, 34][kind]]);
            let max_fee = sat(max_fee.min(amount - 600));
            ledger.withdrawals.insert(id, Withdrawal { amount: sat(amount), max_fee, script, tie, asked_at: 0 });
        }
        ledger
    }
}

fn signed_vsize(transaction: &Transaction) -> u64 {
    let mut signed = transaction.clone();
    signed.input.iter_mut().for_each(|input| input.witness = Witness::from_slice(&[[0; 64]]));
    signed.vsize() as u64
}

proptest! {
    /// What is made adds up, costs what its size says, charges nobody beyond its maximum, and makes the same again.
    #[test]
    fn whatever_is_made_adds_up(ledger in any_ledger(), rate in 1_000u64..60_000, named in 0u64..60_000, sweeps: bool, first in 1u32..4) {
        let content = if sweeps {
            Content { reserve_sat: named, ..sweep(&(0..ledger.deposits.len()).collect::<Vec<_>>(), rate) }
        } else {
            let outputs: Vec<u32> = [first].into_iter().chain((1..12).filter(|number| *number != first)).collect();
            Content { reserve_sat: named, ..payout(&outputs, &(1..=120).collect::<Vec<_>>(), rate) }
        };
        let Ok(built) = build(&content, &ledger) else { return Ok(()) };
        let transaction = &built.transaction;
        let taken: Amount = built.amounts.iter().copied().sum();
        let out: Amount = transaction.output.iter().map(|output| output.value).sum();
        prop_assert_eq!(taken - out, built.fee);
        prop_assert_eq!(signed_vsize(transaction), built.vsize);
        let cost = charges::cost(built.vsize, rate);
        let is_exact = built.fee + ANCHOR == cost;
        prop_assert!(is_exact || (built.change == Amount::ZERO && built.fee + ANCHOR > cost));
        prop_assert!(built.change == Amount::ZERO || built.change >= P2TR_DUST);

        let charged: Amount = built.charges.iter().copied().sum();
        prop_assert_eq!((built.fee + ANCHOR).checked_sub(charged).unwrap_or_default(), built.need);
        prop_assert!(built.need.to_sat() <= named);
        for (id, charge) in built.content.withdrawals.iter().zip(&built.charges) {
            let withdrawal = &ledger.withdrawals[id];
            prop_assert!(*charge <= withdrawal.max_fee && withdrawal.tie.is_none_or(|tie| built.content.outputs.contains(&tie)));
        }
        // What is left makes the same bytes: a member that did not see what was skipped signs the same.
        let again = build(&built.content, &ledger).expect("what is left is bound again");
        prop_assert_eq!(&again.transaction, transaction);
    }
}
