//! The federation's keys in the contract `Federation`, by a proof of its storage.

use alloy_primitives::{B256, U256};
use contracts::layout::federation::{KEYS, keys};
use contracts::storage::{Field, numbered, slots_from};

use crate::ProvenAccount;

/// The federation's x-only keys of an epoch; zero until every member has confirmed them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FederationKeys {
    /// The key that the members made together.
    pub group: B256,
    /// The vault's taproot output key: the group key, tweaked by the recovery leaf.
    pub vault: B256,
}

/// The slots of `Federation` that hold the keys of `epoch`: what to ask `eth_getProof` for.
#[must_use]
pub fn key_slots(epoch: u32) -> [U256; 2] {
    slots_from(numbered(KEYS, epoch))
}

const _: () = assert!(keys::SLOTS == 2);

impl FederationKeys {
    /// The keys in a proven account that was asked for [`key_slots`]; none when it was asked for others.
    #[must_use]
    pub fn of(account: &ProvenAccount) -> Option<Self> {
        let slots: [U256; 2] = account.slots[..].try_into().ok()?;
        Some(Self::read(&slots))
    }

    /// From its slots.
    #[must_use]
    pub fn read(slots: &[U256; 2]) -> Self {
        let field = |field: Field| field.in_slots(slots).unwrap_or_default().into();
        Self { group: field(keys::GROUP), vault: field(keys::VAULT) }
    }
}
