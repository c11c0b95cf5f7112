//! The channels of the contract `MicroChannel`, by a proof of its storage.

use alloy_primitives::{Address, U256};
use contracts::layout::micro_channel::{CHANNELS, channel};
use contracts::storage::{Field, numbered, slots_from};

use crate::ProvenAccount;

/// Slots of one channel.
const SLOTS: usize = 4;
const _: () = assert!(channel::SLOTS == SLOTS as u64);

/// A channel, as a final state has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Zero: there is no such channel.
    pub payer: Address,
    pub payee: Address,
    /// All that was locked so far, in wei.
    pub deposit: u128,
    /// All that was paid out so far, in wei.
    pub claimed: u128,
    /// When closing: the earliest time, in unix seconds; else 0.
    pub closable_at: u64,
    /// When closing: the earliest block; else 0.
    pub closable_at_block: u64,
    pub closed: bool,
}

/// The slots of `MicroChannel` that hold channel `id`: what to ask `eth_getProof` for.
#[must_use]
pub fn channel_slots(id: u64) -> [U256; SLOTS] {
    slots_from(numbered(CHANNELS, id))
}

impl Channel {
    /// The channel in a proven account that was asked for [`channel_slots`]; none when it was asked for others.
    #[must_use]
    pub fn of(account: &ProvenAccount) -> Option<Self> {
        let slots: [U256; SLOTS] = account.slots[..].try_into().ok()?;
        let value = |field: Field| field.in_slots(&slots);
        Some(Self {
            payer: Address::from_word(value(channel::PAYER)?.into()),
            payee: Address::from_word(value(channel::PAYEE)?.into()),
            deposit: value(channel::DEPOSIT)?.saturating_to(),
            claimed: value(channel::CLAIMED)?.saturating_to(),
            closable_at: value(channel::CLOSABLE_AT)?.saturating_to(),
            closable_at_block: value(channel::CLOSABLE_AT_BLOCK)?.saturating_to(),
            closed: !value(channel::CLOSED)?.is_zero(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // (delays 7 and 9 stand above the payer) (payee) (claimed above deposit) (closed above block above time)
    #[test]
    fn a_channel_is_read_as_solidity_packs_it() {
        let (payer, payee) = (Address::repeat_byte(0xaa), Address::repeat_byte(0xbb));
        let low = |address: Address| U256::from_be_bytes(address.into_word().0);
        let delays = (U256::from(9) << 192) | (U256::from(7) << 160);
        let amounts = (U256::from(u128::MAX - 1) << 128) | U256::from(u128::MAX);
        let closing = (U256::from(1) << 128) | (U256::from(4) << 64) | U256::from(3);
        let account = |slots| ProvenAccount { nonce: 0, balance: U256::ZERO, slots };
        let channel = Channel::of(&account(vec![low(payer) | delays, low(payee), amounts, closing]));
        let want = Channel {
            payer,
            payee,
            deposit: u128::MAX,
            claimed: u128::MAX - 1,
            closable_at: 3,
            closable_at_block: 4,
            closed: true,
        };
        assert_eq!(channel, Some(want));
        assert_eq!(Channel::of(&account(vec![U256::ZERO])), None);
    }
}
