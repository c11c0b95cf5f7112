//! Which vault outputs fund a payout: the smallest set, and of those of one size one that leaves little over, so that large ones stay whole.

use std::collections::BTreeSet;

use crate::vault_tx::facts::{LedgerFacts, Output};

/// A vault output that nothing is about to spend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Coin {
    pub number: u32,
    pub sat: u64,
    pub is_rooted: bool,
}

/// Free coins of one epoch, the largest first: nothing is about to spend them, and nothing is tied to them, since whatever spends an output pays what is tied to it.
#[derive(Clone, Debug)]
pub(super) struct Coins(Vec<Coin>);

impl Coins {
    pub(super) fn free(ledger: &LedgerFacts, epoch: u32) -> Self {
        let tied: BTreeSet<u32> = ledger.withdrawals.values().filter_map(|withdrawal| withdrawal.tie).collect();
        let free =
            |(number, output): &(&u32, &Output)| !output.in_use && output.epoch == epoch && !tied.contains(number);
        let coin = |(number, output): (&u32, &Output)| Coin {
            number: *number,
            sat: output.amount.to_sat(),
            is_rooted: output.is_rooted,
        };
        let mut coins: Vec<Coin> = ledger.outputs.iter().filter(free).map(coin).collect();
        coins.sort_by_key(|coin| (std::cmp::Reverse(coin.sat), coin.number));
        Self(coins)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Coin> {
        self.0.iter()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// What the best so many bring together, one of them rooted; by their number, from 1. Empty if none is rooted.
    pub(super) fn best_sums(&self, most: usize) -> Vec<u64> {
        let Some(rooted) = self.0.iter().position(|coin| coin.is_rooted) else {
            return Vec::new();
        };
        let mut sums = Vec::new();
        let mut largest: u64 = 0;
        for (position, coin) in self.0.iter().take(most).enumerate() {
            // The last place is kept for the rooted one until that is among the largest.
            let last = if position < rooted { self.0[rooted].sat } else { coin.sat };
            sums.push(largest.saturating_add(last));
            largest = largest.saturating_add(coin.sat);
        }
        sums
    }

    /// So many outputs that bring at least this: the largest, but for the last, which is the smallest that does. The rooted one is first, the others
    /// ascend. `best_sums` says that there are such.
    pub(super) fn choose(&self, count: usize, want_sat: u64) -> Vec<u32> {
        let mut chosen = self.largest(count.saturating_sub(1));
        let missing = want_sat.saturating_sub(chosen.iter().fold(0, |sum: u64, coin| sum.saturating_add(coin.sat)));
        let has_root = chosen.iter().any(|coin| coin.is_rooted);
        let fits = |coin: &&Coin| coin.sat >= missing && (has_root || coin.is_rooted) && !chosen.contains(coin);
        // They descend, so the last that fits is the smallest.
        let last = self.0.iter().rfind(fits).copied();
        chosen.extend(last);
        in_order(chosen)
    }

    /// The largest, one of them rooted.
    fn largest(&self, count: usize) -> Vec<Coin> {
        let mut largest: Vec<Coin> = self.0.iter().take(count).copied().collect();
        if let (Some(last), false) = (largest.last_mut(), self.0.iter().take(count).any(|coin| coin.is_rooted)) {
            *last = self.0.iter().find(|coin| coin.is_rooted).copied().unwrap_or(*last);
        }
        largest
    }
}

/// The largest rooted one first, the others by number: the order of a content.
pub(super) fn in_order(mut coins: Vec<Coin>) -> Vec<u32> {
    coins.sort_by_key(|coin| coin.number);
    let anchor =
        coins.iter().enumerate().max_by_key(|(_, coin)| (coin.is_rooted, coin.sat)).map(|(position, _)| position);
    if let Some(position) = anchor {
        coins[..=position].rotate_right(1);
    }
    coins.into_iter().map(|coin| coin.number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coins(coins: &[(u64, bool)]) -> Coins {
        let coin = |(number, (sat, is_rooted)): (u32, &(u64, bool))| Coin { number, sat: *sat, is_rooted: *is_rooted };
        let mut coins: Vec<Coin> = (1..).zip(coins).map(coin).collect();
        coins.sort_by_key(|coin| (std::cmp::Reverse(coin.sat), coin.number));
        Coins(coins)
    }

    #[test]
    fn one_output_is_the_smallest_that_suffices_and_rooted() {
        let coins = coins(&[(900, true), (50, true), (300, true), (200, false), (250, true)]);
        assert_eq!(coins.choose(1, 200), [5]);
        assert_eq!(coins.choose(1, 20), [2]);
        assert_eq!(coins.best_sums(9), [900, 1_200, 1_450, 1_650, 1_700]);
    }

    #[test]
    fn the_first_is_rooted_and_the_others_ascend() {
        let coins = coins(&[(100, true), (900, false), (800, false), (150, true)]);
        assert_eq!(coins.best_sums(9), [150, 1_050, 1_850, 1_950]);
        assert_eq!(coins.choose(2, 240), [4, 1], "the large ones stay whole");
        assert_eq!(coins.choose(2, 1_040), [4, 2]);
        assert_eq!(coins.choose(3, 1_840), [4, 2, 3]);
    }

    #[test]
    fn without_a_rooted_output_nothing_is_chosen() {
        let coins = coins(&[(100, false)]);
        assert!(coins.best_sums(3).is_empty() && coins.choose(1, 5).is_empty());
    }
}
