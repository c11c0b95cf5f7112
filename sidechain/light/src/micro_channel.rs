//! Where the contract `MicroChannel` keeps its channels, so that they can be read by a proof. A contract of the storage layout
//! (docs/architecture.md): a change of `MicroChannel.sol` that moves them is a change here.

use alloy_primitives::{Address, U256, keccak256};
use alloy_sol_types::SolValue as _;

use crate::ProvenAccount;

/// Slot of MicroChannel's `_channels` (mapping from number to channel), as solc lays its storage out.
const CHANNELS_SLOT: u64 = 1;

/// Slots of one channel.
const SLOTS: usize = 4;

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
    let first = U256::from_be_bytes(keccak256((U256::from(id), U256::from(CHANNELS_SLOT)).abi_encode()).0);
    [0, 1, 2, 3].map(|place| first.wrapping_add(U256::from(place)))
}

impl Channel {
    /// The channel in a proven account that was asked for [`channel_slots`]; none when it was asked for others.
    #[must_use]
    pub fn of(account: &ProvenAccount) -> Option<Self> {
        let [payer, payee, amounts, closing] = account.slots[..] else { return None };
        // Solidity packs from the lowest bytes on.
        let address = |slot: U256| Address::from_slice(&slot.to_be_bytes::<32>()[12..]);
        let limbs = |slot: U256, limb: usize| slot.as_limbs()[limb];
        let wide = |slot: U256, limb: usize| u128::from(limbs(slot, limb)) | u128::from(limbs(slot, limb + 1)) << 64;
        Some(Self {
            payer: address(payer),
            payee: address(payee),
            deposit: wide(amounts, 0),
            claimed: wide(amounts, 2),
            closable_at: limbs(closing, 0),
            closable_at_block: limbs(closing, 1),
            closed: limbs(closing, 2) & 0xff != 0,
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
