//! Plans against a naive check, and the rules by which somebody is left out.

use super::*;
use crate::vault_tx::VaultTransaction;
use crate::vault_tx::example::{built, outpoint, p2wpkh};
use bitcoin::Witness;
use proptest::prelude::*;

fn sat(sat: u64) -> Amount {
    Amount::from_sat(sat)
}

fn script(kind: u8) -> ScriptBuf {
    // The lengths of P2WPKH, P2SH, P2PKH, P2WSH and P2TR, and of the longest witness program.
    ScriptBuf::from_bytes(vec![0; [22, 23, 25, 34, 34, 42][usize::from(kind) % 6]])
}

prop_compose! {
    fn any_available()(
        deposits in prop::collection::vec((10_000u64..1_000_000, 200u64..50_000), 0..40),
        withdrawals in prop::collection::vec((10_000u64..1_000_000, 200u64..50_000, any::<u8>()), 0..150),
        outputs in prop::collection::vec(330u64..3_000_000, 0..12),
        fee_rate in 0u64..25_000,
        min_fee_rate in 1u32..5,
        in_flight in any::<bool>(),
    ) -> Available {
        let deposit = |(number, (amount, max_fee))| ReadyDeposit { outpoint: outpoint(number), amount: sat(amount), max_fee: sat(max_fee) };
        let withdrawal = |(id, (amount, max_fee, kind)): (usize, (u64, u64, u8))| QueuedWithdrawal {
            id: id as u64 + 1,
            amount: sat(amount),
            max_fee: sat(max_fee).min(sat(amount) - P2TR_DUST),
            script: script(kind),
        };
        Available {
            deposits: deposits.into_iter().enumerate().map(deposit).collect(),
            withdrawals: withdrawals.into_iter().enumerate().map(withdrawal).collect(),
            vault_outputs: (1..).zip(outputs).map(|(number, amount)| VaultOutput { number, amount: sat(amount) }).collect(),
            in_flight,
            fee_rate: FeeRate::from_sat_per_kwu(fee_rate),
            min_fee_rate: FeeRate::from_sat_per_vb_u32(min_fee_rate),
            max_fee_rate: FeeRate::from_sat_per_vb_u32(50),
        }
    }
}

proptest! {
    /// The transaction of the plan, built as the ledger builds it, adds up, fits, and charges nobody too much.
    #[test]
    fn every_plan_is_one_the_ledger_accepts(available in any_available()) {
        let Some(plan) = plan(&available) else { return Ok(()) };
        prop_assert!(!plan.deposits.is_empty() || !plan.withdrawals.is_empty());
        let deposits: Vec<_> = available.deposits.iter().filter(|deposit| plan.deposits.contains(&deposit.outpoint)).collect();
        let withdrawals: Vec<_> = available.withdrawals.iter().filter(|withdrawal| plan.withdrawals.contains(&withdrawal.id)).collect();
        let amount_of = |number: &u64| available.vault_outputs.iter().find(|output| output.number == *number).expect("available").amount;
        prop_assert_eq!(plan.deposits.len() + plan.withdrawals.len(), plan.shares.len());
        prop_assert_eq!(plan.shares.iter().copied().sum::<Amount>(), plan.fee + ANCHOR);

        let (deposit_shares, withdrawal_shares) = plan.shares.split_at(deposits.len());
        for (deposit, share) in deposits.iter().zip(deposit_shares) {
            prop_assert!(*share <= deposit.max_fee && *share < deposit.amount);
        }
        let mut paid = Vec::new();
        for (withdrawal, share) in withdrawals.iter().zip(withdrawal_shares) {
            prop_assert!(*share <= withdrawal.max_fee);
            paid.push((withdrawal.script.clone(), withdrawal.amount - *share));
        }
        let inputs: Vec<(OutPoint, Amount)> = deposits
            .iter()
            .map(|deposit| (deposit.outpoint, deposit.amount))
            .chain(plan.vault_inputs.iter().map(|number| (outpoint(1000 + *number as usize), amount_of(number))))
            .collect();
        let (raw, spent) = built(&inputs, plan.change, &paid);
        let vault_tx = VaultTransaction::parse(&raw, spent).expect("a vault transaction");
        prop_assert_eq!(vault_tx.fee(), plan.fee);

        let mut signed = vault_tx.unsigned().clone();
        signed.input.iter_mut().for_each(|input| input.witness = Witness::from_slice(&[[0; 64]]));
        let vsize = signed.vsize() as u64;
        prop_assert_eq!(vault_tx.vsize(), vsize);
        prop_assert!(vsize <= MAX_VSIZE);
        let fee_at = |rate: FeeRate| rate.fee_vb(vsize).expect("small");
        prop_assert!((fee_at(available.min_fee_rate)..=fee_at(available.max_fee_rate)).contains(&plan.fee));
    }

    /// Shares sum up to the cost, and each is its part rounded down, or one satoshi more.
    #[test]
    fn shares_are_exact(cost_sat in 0u64..10_000_000, weights in prop::collection::vec(1u64..1000, 1..200)) {
        let shares = shares(sat(cost_sat), &weights.iter().copied().map(Weight::from_wu).collect::<Vec<_>>());
        prop_assert_eq!(shares.iter().copied().sum::<Amount>(), sat(cost_sat));
        let total = u128::from(weights.iter().sum::<u64>());
        for (share, weight) in shares.iter().zip(&weights) {
            let (part, share) = (u128::from(cost_sat) * u128::from(*weight), u128::from(share.to_sat()));
            prop_assert!(share * total <= part + total && part < (share + 1) * total);
        }
    }
}

fn queued(id: u64, amount_sat: u64, max_fee_sat: u64) -> QueuedWithdrawal {
    QueuedWithdrawal { id, amount: sat(amount_sat), max_fee: sat(max_fee_sat), script: p2wpkh() }
}

fn available(vault_sat: &[u64], withdrawals: Vec<QueuedWithdrawal>) -> Available {
    Available {
        withdrawals,
        vault_outputs: (1..)
            .zip(vault_sat)
            .map(|(number, amount)| VaultOutput { number, amount: sat(*amount) })
            .collect(),
        fee_rate: FeeRate::from_sat_per_vb_u32(2),
        min_fee_rate: FeeRate::from_sat_per_vb_u32(1),
        max_fee_rate: FeeRate::from_sat_per_vb_u32(500),
        ..Available::default()
    }
}

#[test]
fn nothing_to_do_is_no_plan() {
    assert_eq!(plan(&available(&[100_000], vec![])), None);
}

#[test]
fn who_would_pay_more_than_its_max_fee_is_left_out() {
    let plan =
        plan(&available(&[500_000], vec![queued(1, 100_000, 50), queued(2, 100_000, 5_000)])).expect("one is left");
    assert_eq!(plan.withdrawals, [2]);
}

#[test]
fn a_withdrawal_that_does_not_fit_waits_for_value_in_flight_or_makes_room() {
    let mut both = available(&[50_000], vec![queued(1, 100_000, 5_000), queued(2, 20_000, 5_000)]);
    assert_eq!(plan(&both).expect("the small one").withdrawals, [2]);
    both.in_flight = true;
    assert_eq!(plan(&both), None);
}

#[test]
fn withdrawals_take_the_fewest_vault_outputs_and_many_outputs_are_joined() {
    let few = plan(&available(&[10_000, 90_000, 60_000], vec![queued(1, 100_000, 5_000)])).expect("funded");
    assert_eq!(few.vault_inputs, [2, 3]);
    let many =
        plan(&available(&[10_000, 90_000, 60_000, 70_000, 20_000], vec![queued(1, 50_000, 5_000)])).expect("funded");
    assert_eq!(many.vault_inputs, [2, 1], "the largest, and the smallest to join it");
}

#[test]
fn a_deposit_alone_is_swept_without_touching_the_vault() {
    let mut one = available(&[100_000], vec![]);
    one.deposits = vec![ReadyDeposit { outpoint: outpoint(1), amount: sat(50_000), max_fee: sat(5_000) }];
    let plan = plan(&one).expect("swept");
    // One input, vault and anchor: 4 + 1 + 41 + 1 + 43 + 13 + 4 bytes without witness, 4 times that and 68 for the witness.
    assert_eq!(plan.fee, sat(2 * (4 * 107 + 68u64).div_ceil(4)));
    assert_eq!((plan.vault_inputs.len(), plan.change), (0, sat(50_000) - plan.fee - ANCHOR));
}

#[test]
fn a_refresh_is_paid_by_the_reserve_or_not_made() {
    let outputs = [VaultOutput { number: 3, amount: sat(70_000) }, VaultOutput { number: 5, amount: sat(30_000) }];
    let plan = plan_refresh(&outputs, sat(1_000), &available(&[], vec![])).expect("covered");
    assert_eq!(plan.vault_inputs, [3, 5]);
    assert_eq!(plan.change, sat(100_000) - plan.fee - ANCHOR);
    assert_eq!(plan_refresh(&outputs, plan.fee + ANCHOR - Amount::ONE_SAT, &available(&[], vec![])), None);
}
