//! What a vault transaction costs, and what each participant pays: by the rate and its own size alone, whoever else is in it.
//!
//! The same numbers as `contracts/src/bridge/Charges.sol`, to the satoshi, so that a quote is exact and a plan is never refused for one. Rates are in satoshis
//! per 1,000 virtual bytes. No number that a stranger may name overflows: what is too large is more than all bitcoin, and nothing pays it.

use bitcoin::Amount;

use crate::vault_tx::layout::ANCHOR;

/// Amount and script length of an output.
const OUTPUT_VBYTES: u64 = 9;
/// A participant's part of the bytes that all share: overhead, change, anchor, and a payout's input.
const SHARED_VBYTES: u64 = 35;
/// 41 bytes of input and 66 of witness are 57.5 vB; in halves of a vB, so that they are whole.
const DEPOSIT_HALF_VBYTES: u64 = 115 + 2 * SHARED_VBYTES;

/// The whole charge of a withdrawal to a script of so many bytes, of which `fixed` is for the reserve.
#[must_use]
pub fn withdrawal_charge(script_len: usize, rate: u64, fixed: Amount) -> Amount {
    let vbytes = (script_len as u64).saturating_add(OUTPUT_VBYTES + SHARED_VBYTES);
    sum(up(rate, vbytes, 1_000), fixed)
}

/// The whole charge of a deposit, of which `fixed` is for the reserve.
#[must_use]
pub fn deposit_charge(rate: u64, fixed: Amount) -> Amount {
    sum(up(rate, DEPOSIT_HALF_VBYTES, 2_000), fixed)
}

/// What is left of a deposit: its charge is at most its maximum, and its amount.
#[must_use]
pub fn brings(amount: Amount, max_fee: Amount, charge: Amount) -> Amount {
    amount.checked_sub(charge.min(max_fee)).unwrap_or(Amount::ZERO)
}

/// Miners' fee and anchor of a transaction.
#[must_use]
pub fn cost(vsize: u64, rate: u64) -> Amount {
    sum(up(rate, vsize, 1_000), ANCHOR)
}

/// The product over the divisor, rounded up.
fn up(rate: u64, size: u64, divisor: u128) -> Amount {
    let part = (u128::from(rate) * u128::from(size)).div_ceil(divisor);
    Amount::from_sat(u64::try_from(part).unwrap_or(u64::MAX))
}

fn sum(part: Amount, fixed: Amount) -> Amount {
    part.checked_add(fixed).unwrap_or(Amount::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sat(sat: u64) -> Amount {
        Amount::from_sat(sat)
    }

    /// By hand from docs/ledger.md, "Fees".
    #[test]
    fn charges_are_those_of_the_ledgers_page() {
        for (script_len, rate, fixed, want) in
            [(34, 1_000, 0, 78), (22, 1_000, 50, 116), (34, 1_001, 0, 79), (42, 200_000, 0, 17_200), (25, 1, 3, 4)]
        {
            assert_eq!(withdrawal_charge(script_len, rate, sat(fixed)), sat(want), "{script_len} {rate}");
        }
        for (rate, fixed, want) in [(1_000, 0, 93), (2_000, 100, 285), (2_001, 0, 186), (1, 0, 1)] {
            assert_eq!(deposit_charge(rate, sat(fixed)), sat(want), "{rate}");
        }
        assert_eq!(cost(124, 1_000), sat(364));
        assert_eq!(cost(167, 1_500), sat(491));
    }

    #[test]
    fn a_deposit_is_charged_at_most_its_maximum_and_its_amount() {
        assert_eq!(brings(sat(1_000), sat(500), sat(100)), sat(900));
        assert_eq!(brings(sat(1_000), sat(500), sat(600)), sat(500));
        assert_eq!(brings(sat(100), sat(500), sat(600)), sat(0));
    }

    proptest! {
        #[test]
        fn no_number_overflows(script_len: usize, rate: u64, vsize: u64, fixed: u64) {
            let least = withdrawal_charge(script_len, rate, sat(fixed)).min(deposit_charge(rate, sat(fixed)));
            prop_assert!(least >= sat(fixed) && cost(vsize, rate) >= ANCHOR);
        }
    }
}
