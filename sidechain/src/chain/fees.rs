//! What the transactions of a block paid, kept in a small row, so that fee history is not computed from whole blocks.

use alloy_consensus::Transaction as _;

use crate::block::{Block, Header, Receipt, is_free, next_base_fee};

/// Steps in which the tips of a block are kept when it has more different ones: half percents of the gas used.
const STEPS: u64 = 200;

/// Fees of a final block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockFees {
    pub number: u64,
    /// Wei per gas.
    pub base_fee: u64,
    pub gas_used: u64,
    pub gas_limit: u64,
    /// Tips (wei per gas), rising, with the gas they were paid for. The free lane, which competes with nobody, is left out.
    /// Up to 201 entries: with more different tips, the tip at each half percent of the gas, and the lowest.
    pub tips: Vec<(u128, u64)>,
}

impl BlockFees {
    pub(super) fn new(block: &Block, receipts: &[Receipt]) -> Self {
        let Header { number, gas_used, gas_limit, base_fee_per_gas, .. } = block.header;
        let base_fee = base_fee_per_gas.unwrap_or_default();
        let mut before = 0;
        let mut tips = Vec::with_capacity(receipts.len());
        for (transaction, receipt) in block.transactions.iter().zip(receipts) {
            let gas = receipt.cumulative_gas_used() - before;
            before = receipt.cumulative_gas_used();
            if !is_free(transaction) {
                tips.push((transaction.effective_tip_per_gas(base_fee).unwrap_or_default(), gas));
            }
        }
        Self { number, base_fee, gas_used, gas_limit, tips: in_steps(merged(tips)) }
    }

    /// The tip at a share of the gas that paid, in the order of tips: the lowest up to which `gas` of it were used.
    pub fn tip_at(&self, gas: u64) -> u128 {
        tip_at(&self.tips, gas)
    }

    /// Gas that paid.
    pub fn paid_gas(&self) -> u64 {
        self.tips.iter().map(|(_, gas)| gas).sum()
    }

    /// Wei per gas in the block after.
    pub fn next_base_fee(&self) -> u64 {
        let Self { base_fee, gas_used, gas_limit, .. } = *self;
        next_base_fee(&Header { base_fee_per_gas: Some(base_fee), gas_used, gas_limit, ..Header::default() })
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut row = [self.base_fee, self.gas_used, self.gas_limit].map(u64::to_be_bytes).concat();
        for (tip, gas) in &self.tips {
            row.extend_from_slice(&tip.to_be_bytes());
            row.extend_from_slice(&gas.to_be_bytes());
        }
        row
    }

    pub(super) fn decode(number: u64, row: &[u8]) -> Option<Self> {
        let (word, mut rest) = (|at: usize| row.get(8 * at..8 * at + 8), row.get(24..)?);
        let word = |at| Some(u64::from_be_bytes(word(at)?.try_into().ok()?));
        let mut tips = Vec::with_capacity(rest.len() / 24);
        while let Some((tip, after)) = rest.split_first_chunk() {
            let (gas, after) = after.split_first_chunk()?;
            tips.push((u128::from_be_bytes(*tip), u64::from_be_bytes(*gas)));
            rest = after;
        }
        let fees = Self { number, base_fee: word(0)?, gas_used: word(1)?, gas_limit: word(2)?, tips };
        rest.is_empty().then_some(fees)
    }
}

/// One entry for each tip, rising.
fn merged(mut tips: Vec<(u128, u64)>) -> Vec<(u128, u64)> {
    tips.sort_unstable();
    tips.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        if same {
            kept.1 += next.1;
        }
        same
    });
    tips
}

fn in_steps(tips: Vec<(u128, u64)>) -> Vec<(u128, u64)> {
    if tips.len() as u64 <= STEPS {
        return tips;
    }
    let paid: u64 = tips.iter().map(|(_, gas)| gas).sum();
    let up_to = |step: u64| u64::try_from(u128::from(paid) * u128::from(step) / u128::from(STEPS)).unwrap_or(paid);
    let steps = (1..=STEPS).map(|step| (tip_at(&tips, up_to(step)), up_to(step) - up_to(step - 1)));
    // The lowest for no gas at all, so that percentile 0 stays exact.
    std::iter::once((tips[0].0, 0)).chain(steps).collect()
}

fn tip_at(tips: &[(u128, u64)], wanted: u64) -> u128 {
    let mut gas = 0;
    let reached = tips.iter().find(|(_, used)| {
        gas += used;
        gas >= wanted
    });
    reached.or(tips.last()).map_or(0, |(tip, _)| *tip)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn half_percents_of_the_gas_are_exact_and_the_others_off_by_less_than_one(
            tips in prop::collection::vec((0u128..5_000, 21_000u64..1_000_000), 1..1_000),
            other in 0u64..=1_000,
        ) {
            let mut sorted = tips.clone();
            sorted.sort_unstable();
            let kept = BlockFees { tips: in_steps(merged(tips)), ..BlockFees::default() };
            prop_assert!(kept.tips.len() as u64 <= STEPS + 1);
            let paid: u64 = sorted.iter().map(|(_, gas)| gas).sum();
            prop_assert_eq!(kept.paid_gas(), paid);
            prop_assert_eq!(BlockFees::decode(0, &kept.encode()), Some(kept.clone()));
            for step in 0..=STEPS {
                let gas = paid * step / STEPS;
                prop_assert_eq!(kept.tip_at(gas), tip_at(&sorted, gas));
            }
            let (gas, above) = (paid * other / 1_000, paid * (other + 5).min(1_000) / 1_000);
            prop_assert!(tip_at(&sorted, gas) <= kept.tip_at(gas) && kept.tip_at(gas) <= tip_at(&sorted, above));
        }
    }

    #[test]
    fn a_row_has_exactly_these_bytes_and_a_cut_one_is_told() {
        let fees = BlockFees { number: 3, base_fee: 1, gas_used: 2, gas_limit: 3, tips: vec![(4, 5)] };
        let row = fees.encode();
        let mut want = [0; 48];
        [(7, 1), (15, 2), (23, 3), (39, 4), (47, 5)].into_iter().for_each(|(at, byte)| want[at] = byte);
        assert_eq!(row, want);
        assert_eq!(BlockFees::decode(3, &row), Some(fees));
        assert!([0, 23, 30, 47].into_iter().all(|length| BlockFees::decode(3, &row[..length]).is_none()));
    }
}
