//! Which units of a channel's total no request was charged for yet.
//!
//! A payer with many requests in flight signs the totals 10, 20, 30; they may arrive as 30, 10, 20. Each pays for the units just below its total:
//!
//! ```text
//!   0        10        20        30
//!   |--free--|--free---|---30's--|---free, without end...
//!   |--10's--|--free---|---30's--|---...
//! ```
//! So every unit is charged for once, whatever the order; and all that was charged is at most the largest total, which the payee holds a voucher of.

/// Stretches that are kept. A request that comes later than twice the 64 in flight that are usual is refused, and its payer signs another total.
pub const MAX_STRETCHES: usize = 128;

/// A stretch of a total: the units above `above`, up to `up_to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    pub above: u128,
    pub up_to: u128,
}

/// What is free, in ascending order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FreeTotals(Vec<Stretch>);

/// Why a total does not pay a price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotFree {
    /// Something was charged for its last unit.
    Spent,
    /// Free below it are only so many units.
    Short { free: u128 },
}

impl FreeTotals {
    /// All above what was settled when the channel was first seen.
    #[must_use]
    pub fn above(settled: u128) -> Self {
        Self(vec![Stretch { above: settled, up_to: u128::MAX }])
    }

    /// From stretches of a file; none unless they are in order, apart, not empty, and not too many.
    #[must_use]
    pub fn of(stretches: Vec<Stretch>) -> Option<Self> {
        let right = stretches.iter().all(|stretch| stretch.above < stretch.up_to)
            && stretches.windows(2).all(|pair| pair[0].up_to < pair[1].above)
            && stretches.len() <= MAX_STRETCHES;
        right.then_some(Self(stretches))
    }

    #[must_use]
    pub fn stretches(&self) -> &[Stretch] {
        &self.0
    }

    /// Whether this total can pay this price; at least one unit.
    ///
    /// # Errors
    ///
    /// [`NotFree`].
    pub fn check(&self, total: u128, price: u128) -> Result<(), NotFree> {
        self.find(total, price).map(|_| ())
    }

    /// Charges it.
    ///
    /// # Errors
    ///
    /// [`NotFree`]; nothing changes.
    pub fn take(&mut self, total: u128, price: u128) -> Result<(), NotFree> {
        let index = self.find(total, price)?;
        let Stretch { above, up_to } = self.0[index];
        let left = Stretch { above, up_to: total - price.max(1) };
        let right = Stretch { above: total, up_to };
        let rest = [left, right].into_iter().filter(|stretch| stretch.above < stretch.up_to);
        self.0.splice(index..=index, rest);
        if self.0.len() > MAX_STRETCHES {
            // The lowest: who was to use it is the latest of all.
            self.0.remove(0);
        }
        Ok(())
    }

    /// Frees units again that were taken by [`FreeTotals::take`] with the same total and price.
    pub fn give_back(&mut self, total: u128, price: u128) {
        let (mut above, mut up_to) = (total.saturating_sub(price.max(1)), total);
        let first = self.0.partition_point(|stretch| stretch.up_to < above);
        let behind = self.0.partition_point(|stretch| stretch.above <= up_to);
        // What touches it becomes one with it.
        for stretch in &self.0[first..behind] {
            (above, up_to) = (above.min(stretch.above), up_to.max(stretch.up_to));
        }
        self.0.splice(first..behind, [Stretch { above, up_to }]);
        if self.0.len() > MAX_STRETCHES {
            self.0.remove(0);
        }
    }

    /// Free units up to a total.
    #[must_use]
    pub fn sum_below(&self, total: u128) -> u128 {
        let below = self.0.iter().take_while(|stretch| stretch.above < total);
        below.fold(0, |sum, stretch| sum.saturating_add(stretch.up_to.min(total) - stretch.above))
    }

    /// Charges the lowest free units, as many as are asked for.
    pub fn take_lowest(&mut self, mut amount: u128) {
        while amount > 0 {
            let Some(first) = self.0.first_mut() else { return };
            let taken = amount.min(first.up_to - first.above);
            first.above += taken;
            amount -= taken;
            if first.above == first.up_to {
                self.0.remove(0);
            }
        }
    }

    /// As it is with these units given back.
    #[must_use]
    pub fn with_back(mut self, total: u128, price: u128) -> Self {
        self.give_back(total, price);
        self
    }

    fn find(&self, total: u128, price: u128) -> Result<usize, NotFree> {
        let index = self.0.partition_point(|stretch| stretch.up_to < total);
        let stretch = self.0.get(index).filter(|stretch| stretch.above < total).ok_or(NotFree::Spent)?;
        let free = total - stretch.above;
        if free < price.max(1) { Err(NotFree::Short { free }) } else { Ok(index) }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_was_taken_and_given_back_is_as_it_was_before() {
        let mut free = FreeTotals::above(0);
        for total in [10, 40, 30] {
            free.take(total, 10).unwrap();
        }
        for (total, price) in [(20, 10), (20, 5), (60, 20), (50, 10)] {
            let before = free.clone();
            free.take(total, price).unwrap();
            assert_ne!(free, before);
            free.give_back(total, price);
            assert_eq!(free, before, "{price} below {total}");
        }
    }

    #[test]
    fn requests_that_overtake_each_other_are_all_charged_once() {
        let mut free = FreeTotals::above(0);
        for total in [30, 10, 20] {
            assert_eq!(free.take(total, 10), Ok(()));
            assert_eq!(free.take(total, 10), Err(NotFree::Spent));
        }
        assert_eq!(free.stretches(), [Stretch { above: 30, up_to: u128::MAX }]);
        assert_eq!(free.take(39, 10), Err(NotFree::Short { free: 9 }));
        assert_eq!(free.take(u128::MAX, u128::MAX), Err(NotFree::Short { free: u128::MAX - 30 }));
    }

    #[test]
    fn what_is_kept_has_a_bound_and_nothing_that_was_forgotten_is_charged() {
        let mut free = FreeTotals::above(0);
        for number in 1..=1_000 {
            free.take(10 * number, 5).unwrap();
            assert!(free.stretches().len() <= MAX_STRETCHES);
        }
        assert_eq!(free.take(5, 5), Err(NotFree::Spent));
        assert_eq!(free.take(9_995, 5), Ok(()));
    }

    proptest! {
        // The model: a set of single units.
        #[test]
        fn it_does_as_a_set_of_units(settled in 0u128..20, requests in prop::collection::vec((0u128..120, 0u128..12), 1..100)) {
            let mut free = FreeTotals::above(settled);
            let mut charged: BTreeSet<u128> = (1..=settled).collect();
            for (total, price) in requests {
                let price = price.max(1);
                let units: Vec<u128> = (0..price).filter_map(|below| total.checked_sub(below)).collect();
                let pays = units.len() as u128 == price && units.iter().all(|unit| *unit > 0 && !charged.contains(unit));
                prop_assert_eq!(free.check(total, price).is_ok(), pays);
                prop_assert_eq!(free.take(total, price).is_ok(), pays);
                if pays { charged.extend(units); }
                prop_assert_eq!(FreeTotals::of(free.stretches().to_vec()), Some(free.clone()));
            }
        }
    }
}
