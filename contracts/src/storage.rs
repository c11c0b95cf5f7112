//! Reading contracts' storage by slots: where a variable is, by [`crate::layout`], and what a slot has of it.

use alloy_primitives::{B256, U256, keccak256};

/// A value within a slot, as Solidity packs it: `size` bytes from `offset` on, counted from the low end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Counted from the first slot of what it is part of: the contract, or a struct.
    pub slot: u64,
    pub offset: u32,
    pub size: u32,
}

impl Field {
    /// Its value in its own slot.
    #[must_use]
    pub fn of(self, word: U256) -> U256 {
        let bits = 8 * self.size as usize;
        let mask = if bits >= 256 { U256::MAX } else { (U256::ONE << bits) - U256::ONE };
        (word >> (8 * self.offset as usize)) & mask
    }

    /// Its value in a struct, of which these are the slots in order; `None` when its own is not among them.
    #[must_use]
    pub fn in_slots(self, slots: &[U256]) -> Option<U256> {
        slots.get(usize::try_from(self.slot).ok()?).map(|word| self.of(*word))
    }
}

/// The first slot of an entry of a mapping at `slot`.
#[must_use]
pub fn entry(slot: U256, key: B256) -> U256 {
    keccak256([key.as_slice(), &slot.to_be_bytes::<32>()].concat()).into()
}

/// The first slot of an entry of the mapping that a contract has at `slot`, by a number.
#[must_use]
pub fn numbered(slot: u64, number: impl Into<u64>) -> U256 {
    entry(U256::from(slot), U256::from(number.into()).into())
}

/// So many slots from `first` on.
#[must_use]
pub fn slots_from<const N: usize>(first: U256) -> [U256; N] {
    std::array::from_fn(|place| first.wrapping_add(U256::from(place)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_its_bytes_from_the_low_end_and_no_others() {
        let word = U256::from_be_bytes::<32>(std::array::from_fn(|i| 31 - u8::try_from(i).expect("below 32")));
        assert_eq!(Field { slot: 0, offset: 0, size: 1 }.of(word), U256::ZERO);
        assert_eq!(Field { slot: 0, offset: 3, size: 2 }.of(word), U256::from(0x0403));
        assert_eq!(Field { slot: 0, offset: 0, size: 32 }.of(word), word);
        assert_eq!(Field { slot: 1, offset: 31, size: 1 }.in_slots(&[U256::ZERO, word]), Some(U256::from(31)));
        assert_eq!(Field { slot: 2, offset: 0, size: 1 }.in_slots(&[word]), None);
    }

    /// From Solidity's documentation of mappings: `keccak256(h(key) . slot)`; the value by another program (eth-utils).
    #[test]
    fn an_entry_of_a_mapping_is_where_solidity_puts_it() {
        let want: B256 = "0xe90b7bceb6e7df5418fb78d8ee546e97c83a08bbccc01a0644d599ccd2a7c2e0".parse().expect("hex");
        assert_eq!(B256::from(numbered(2, 1u64)), want);
    }
}
