//! The channels of the contract `MicroChannel`, by a proof of its storage.

use alloy_primitives::{Address, B256, U256};
use contracts::layout::micro_channel::{CHANNELS, record};
use contracts::storage::{Field, entry, slots_from};

use crate::ProvenAccount;

/// Slots of one channel.
const SLOTS: usize = 4;
const _: () = assert!(record::SLOTS == SLOTS as u64);

/// Bits of a channel's flags (`MicroChannel.sol`): what else is true of it, and which of its slots say anything.
const HAS_TOKEN: u8 = 1;
const HAS_SIGNER: u8 = 2;
const HAS_SPLITS: u8 = 4;
const CLOSING: u8 = 8;
const FINALIZED: u8 = 16;

/// A channel, as a final state has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Zero: there is no such channel.
    pub payer: Address,
    pub payee: Address,
    /// Zero: the coin.
    pub token: Address,
    /// Who signs its vouchers.
    pub signer: Address,
    /// All that was locked so far, in the token's smallest unit.
    pub deposit: u128,
    /// All that was paid out so far.
    pub settled: u128,
    /// Others get parts of what the payee is paid.
    pub has_splits: bool,
    /// When the payer asked to close it.
    pub close_requested: Option<CloseRequest>,
    /// The rest went back to the payer.
    pub finalized: bool,
}

/// When a payer asked to close a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseRequest {
    pub at_unix_s: u64,
    pub at_block: u64,
}

/// The slots of `MicroChannel` that hold a channel: what to ask `eth_getProof` for.
#[must_use]
pub fn channel_slots(id: B256) -> [U256; SLOTS] {
    slots_from(entry(U256::from(CHANNELS), id))
}

impl Channel {
    /// The channel in a proven account that was asked for [`channel_slots`]; none when it was asked for others.
    #[must_use]
    pub fn of(account: &ProvenAccount) -> Option<Self> {
        let slots: [U256; SLOTS] = account.slots[..].try_into().ok()?;
        let value = |field: Field| field.in_slots(&slots);
        let address = |field: Field| value(field).map(|word| Address::from_word(word.into()));
        let flags: u8 = value(record::FLAGS)?.saturating_to();
        let has = |flag: u8| flags & flag != 0;
        let payer = address(record::PAYER)?;
        let close_requested = CloseRequest {
            at_unix_s: value(record::CLOSE_REQUESTED_AT)?.saturating_to(),
            at_block: value(record::CLOSE_REQUESTED_AT_BLOCK)?.saturating_to(),
        };
        Some(Self {
            payer,
            payee: address(record::PAYEE)?,
            token: if has(HAS_TOKEN) { address(record::TOKEN)? } else { Address::ZERO },
            signer: if has(HAS_SIGNER) { address(record::AUTHORIZED_SIGNER)? } else { payer },
            deposit: value(record::DEPOSIT)?.saturating_to(),
            settled: value(record::SETTLED)?.saturating_to(),
            has_splits: has(HAS_SPLITS),
            close_requested: has(CLOSING).then_some(close_requested),
            finalized: has(FINALIZED),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn low(address: Address) -> U256 {
        U256::from_be_bytes(address.into_word().0)
    }

    fn channel(slots: [U256; SLOTS]) -> Option<Channel> {
        Channel::of(&ProvenAccount { nonce: 0, balance: U256::ZERO, slots: slots.to_vec() })
    }

    // (flags above deposit above payer) (settled above payee) (token) (block above time above signer)
    #[test]
    fn a_channel_is_read_as_solidity_packs_it() {
        let [payer, payee, token, signer] = [0xaa, 0xbb, 0xcc, 0xdd].map(Address::repeat_byte);
        let most: U256 = (U256::ONE << 88) - U256::ONE;
        let flags = |flags: u8| (U256::from(flags) << 248) | (most << 160) | low(payer);
        let settled = ((most - U256::ONE) << 160) | low(payee);
        let closing = (U256::from(4) << 208) | (U256::from(3) << 160) | low(signer);
        let want = Channel {
            payer,
            payee,
            token,
            signer,
            deposit: most.to(),
            settled: most.to::<u128>() - 1,
            has_splits: true,
            close_requested: Some(CloseRequest { at_unix_s: 3, at_block: 4 }),
            finalized: true,
        };
        assert_eq!(channel([flags(31), settled, low(token), closing]), Some(want));
        let plain = Channel {
            token: Address::ZERO,
            signer: payer,
            has_splits: false,
            close_requested: None,
            finalized: false,
            ..want
        };
        assert_eq!(channel([flags(0), settled, low(token), closing]), Some(plain), "what no flag names is not read");
        assert_eq!(Channel::of(&ProvenAccount { nonce: 0, balance: U256::ZERO, slots: vec![U256::ZERO] }), None);
    }
}
