//! What a deposit and a withdrawal pay: what a relayer plans with is what the ledger takes, to the satoshi.

use alloy_primitives::U256;
use bitcoin::Amount;
use bitcoin::secp256k1::{Keypair, SECP256K1};
use bridge::charges::{deposit_charge, withdrawal_charge};
use contracts::address::{BRIDGE, DEPOSITS};
use contracts::{Bridge, Deposits};
use proptest::prelude::*;
use tests::ledger::{Ledger, parameters};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn charges_are_the_same_in_both_to_the_satoshi(
        rates in prop::collection::vec(prop_oneof![1u64..100_000, 1u64..=1_000_000_000], 20),
        lengths in prop::collection::vec(0usize..=42, 20),
        (peg_in, peg_out, floor) in (0u64..1_000_000, 0u64..1_000_000, 1u64..1_000_000),
    ) {
        let group = Keypair::from_seckey_slice(SECP256K1, &[3; 32]).expect("in range");
        let mut rules = parameters();
        (rules.pegInFeeSat, rules.pegOutFeeSat, rules.floorRate) = (peg_in, peg_out, floor);
        let mut ledger = Ledger::new(group, rules);
        let (peg_in, peg_out) = (Amount::from_sat(peg_in), Amount::from_sat(peg_out));
        for (rate, length) in rates.into_iter().zip(lengths) {
            let deposit = ledger.evm.ask(DEPOSITS, &Deposits::chargeCall { rate });
            prop_assert_eq!(deposit_charge(rate, peg_in).to_sat(), deposit);
            let script_length = U256::from(length);
            let withdrawal = ledger.evm.ask(BRIDGE, &Bridge::chargeCall { scriptLength: script_length, rate });
            prop_assert_eq!(withdrawal_charge(length, rate, peg_out).to_sat(), withdrawal);
            let floor_fee = ledger.evm.ask(BRIDGE, &Bridge::floorFeeCall { scriptLength: script_length });
            prop_assert_eq!(withdrawal_charge(length, floor, peg_out).to_sat(), floor_fee);
        }
    }
}
