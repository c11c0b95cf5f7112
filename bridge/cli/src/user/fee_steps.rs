//! The maxima that a deposit to the wallet's own account can have: few enough that a search for lost deposits tries them all (ADR 43).

use bitcoin::Amount;

/// One significant digit, from the smallest to the largest: below, no sweep was ever that cheap; above, nobody pays for one.
const SMALLEST: u64 = 100;
const LARGEST: u64 = 100_000_000;

/// All of them, ascending: 100 sat, 200 sat, ..., 900 sat, 1,000 sat, 2,000 sat, ..., 1 BTC.
pub fn steps() -> impl Iterator<Item = Amount> {
    let decades =
        std::iter::successors(Some(SMALLEST), |decade| Some(decade * 10)).take_while(|decade| *decade < LARGEST);
    decades.flat_map(|decade| (1..=9).map(move |digit| digit * decade)).chain([LARGEST]).map(Amount::from_sat)
}

/// The greatest that is not more than `amount`; none for less than the smallest.
pub fn at_most(amount: Amount) -> Option<Amount> {
    steps().take_while(|step| *step <= amount).last()
}

/// The smallest that is not less than `amount`; none for more than the greatest.
pub fn at_least(amount: Amount) -> Option<Amount> {
    steps().find(|step| *step >= amount)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_55_steps_of_one_digit_each() {
        let all: Vec<u64> = steps().map(Amount::to_sat).collect();
        assert_eq!((all.len(), all[0], all[8], all[9], all[54]), (55, 100, 900, 1_000, 100_000_000));
        assert!(all.is_sorted_by(|lower, higher| lower < higher));
        assert!(all.iter().all(|sat| sat.to_string().trim_end_matches('0').len() == 1));
    }

    #[test]
    fn an_amount_lies_between_two_steps_or_is_one() {
        let sat = Amount::from_sat;
        assert_eq!((at_most(sat(24_999)), at_least(sat(24_999))), (Some(sat(20_000)), Some(sat(30_000))));
        assert_eq!((at_most(sat(2_000)), at_least(sat(2_000))), (Some(sat(2_000)), Some(sat(2_000))));
        assert_eq!((at_most(sat(99)), at_least(sat(99))), (None, Some(sat(100))));
        assert_eq!((at_most(Amount::MAX), at_least(Amount::MAX)), (Some(Amount::ONE_BTC), None));
    }
}
