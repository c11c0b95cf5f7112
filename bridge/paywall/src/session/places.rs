//! Who is given a metered answer, which holds a connection for as long as it is paid for.
//!
//! As with connections ([`crate::crowd`]): while more than half of the places are free one payer may take many of them, later few, so that nobody takes all.

use std::collections::BTreeMap;

use alloy_primitives::Address;

/// Metered answers that are being given.
pub const MOST: usize = 256;
/// Of one payer, while more than half of the places are free.
const MOST_OF_ONE: usize = 64;
/// Of one payer otherwise.
const FEW_OF_ONE: usize = 4;

/// Places that are taken.
#[derive(Debug, Default)]
pub struct Places {
    taken: usize,
    by_payer: BTreeMap<Address, usize>,
}

impl Places {
    /// Takes a place, if there is one for this payer.
    #[must_use]
    pub fn enter(&mut self, payer: Address) -> bool {
        let of_it = self.by_payer.get(&payer).copied().unwrap_or_default();
        let most = if 2 * self.taken < MOST { MOST_OF_ONE } else { FEW_OF_ONE };
        if self.taken >= MOST || of_it >= most {
            return false;
        }
        self.taken += 1;
        self.by_payer.insert(payer, of_it + 1);
        true
    }

    /// Gives it back.
    pub fn leave(&mut self, payer: Address) {
        let Some(of_it) = self.by_payer.get_mut(&payer) else { return };
        *of_it -= 1;
        self.taken -= 1;
        if *of_it == 0 {
            self.by_payer.remove(&payer);
        }
    }

    #[must_use]
    pub fn taken(&self) -> usize {
        self.taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enter(places: &mut Places, payer: u8, times: usize) -> usize {
        (0..times).filter(|_| places.enter(Address::repeat_byte(payer))).count()
    }

    #[test]
    fn a_few_payers_leave_places_to_the_others() {
        let mut places = Places::default();
        let first: Vec<_> = (1..=10).map(|payer| enter(&mut places, payer, 100)).collect();
        assert_eq!(first, [64, 64, 4, 4, 4, 4, 4, 4, 4, 4]);
        assert_eq!(enter(&mut places, 11, 1), 1);
        let rest: usize = (12..=255).map(|payer| enter(&mut places, payer, 100)).sum();
        assert_eq!((rest, places.taken()), (MOST - 161, MOST));
        assert_eq!(enter(&mut places, 0, 1), 0);
    }

    #[test]
    fn whoever_leaves_is_not_counted() {
        let mut places = Places::default();
        assert_eq!(enter(&mut places, 1, 3), 3);
        (0..5).for_each(|_| places.leave(Address::repeat_byte(1)));
        assert!(places.taken() == 0 && places.by_payer.is_empty());
    }
}
