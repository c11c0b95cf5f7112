//! Where the contract `Federation` keeps its keys, so that they can be read by a proof. A contract of the storage layout
//! (docs/architecture.md): a change of `Federation.sol` that moves them is a change here.

use alloy_primitives::{B256, U256, keccak256};
use alloy_sol_types::SolValue as _;

use crate::ProvenAccount;

/// Slot of Federation's `_keys` (mapping from epoch to group key and vault key), as solc lays its storage out.
const KEYS_SLOT: u64 = 2;

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
    // `struct Keys { bytes32 group; bytes32 vault; }` in a mapping: keccak256(key . slot), and the next one.
    let first = U256::from_be_bytes(keccak256((U256::from(epoch), U256::from(KEYS_SLOT)).abi_encode()).0);
    [first, first.wrapping_add(U256::ONE)]
}

impl FederationKeys {
    /// The keys in a proven account that was asked for [`key_slots`]; none when it was asked for others.
    #[must_use]
    pub fn of(account: &ProvenAccount) -> Option<Self> {
        let [group, vault] = account.slots[..] else { return None };
        Some(Self { group: group.into(), vault: vault.into() })
    }
}
