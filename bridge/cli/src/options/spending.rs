//! `--max-cost`, `--yes`, `--again`: how far a command goes with the account's coins.

use alloy_primitives::U256;
use bitcoin::Amount;
use bridge::amount;

/// The most that a transaction's gas may cost unless more is allowed: what a thousandth of the amount is, but never less than the
/// smallest and never more than the greatest of these. A withdrawal at the lowest base fee costs about 20 sat, so there is room for a
/// base fee fifty times as high; and a node that asks for more than the greatest is believed by nobody, whatever the amount.
const LEAST: Amount = Amount::from_sat(1_000);
const GREATEST: Amount = Amount::from_sat(100_000);
const PART: u64 = 1_000;

#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct SpendingArgs {
    /// The most that the transaction's gas may cost on the sidechain [default: a thousandth of the amount, between 1000 sat and
    /// 100000 sat]
    #[arg(long, value_name = "AMOUNT", value_parser = amount::parse)]
    max_cost: Option<Amount>,
    /// Sign without asking, for scripts
    #[arg(long)]
    pub yes: bool,
    /// Sign anew although the same request was sent before and its end is not known. At most one of the two is carried out, as long
    /// as the earlier one still waits
    #[arg(long)]
    pub again: bool,
}

impl SpendingArgs {
    /// The most that gas may cost for a transaction over `value` wei.
    pub fn max_cost(&self, value: U256) -> U256 {
        let usual = || (value / U256::from(PART)).clamp(amount::wei(LEAST), amount::wei(GREATEST));
        self.max_cost.map_or_else(usual, amount::wei)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gas_may_cost_a_thousandth_of_the_amount_within_absolute_bounds() {
        let bound = |sat| SpendingArgs::default().max_cost(amount::wei(Amount::from_sat(sat)));
        let wei = |sat| amount::wei(Amount::from_sat(sat));
        assert_eq!(bound(0), wei(1_000));
        assert_eq!(bound(5_000_000), wei(5_000));
        assert_eq!(bound(2_100_000_000_000_000), wei(100_000));
        let allowed = SpendingArgs { max_cost: Some(Amount::from_sat(7)), ..SpendingArgs::default() };
        assert_eq!(allowed.max_cost(wei(1_000_000)), wei(7));
    }
}
