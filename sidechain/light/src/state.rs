//! Accounts and storage slots by Merkle proofs against a state root.

use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_rpc_types_eth::{EIP1186AccountProofResponse, EIP1186StorageProof};
use alloy_trie::proof::{ProofVerificationError, verify_proof};
use alloy_trie::{Nibbles, TrieAccount};

use crate::FinalHeader;

/// An account of a final state, with the storage slots that were asked for, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenAccount {
    /// Transactions that it sent.
    pub nonce: u64,
    /// Wei.
    pub balance: U256,
    pub slots: Vec<U256>,
}

/// Why an answer does not prove what it says of an account.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    #[error(transparent)]
    Trie(#[from] ProofVerificationError),
    #[error("{got} slots were proved, {want} asked for")]
    WrongSlotCount { got: usize, want: usize },
}

impl FinalHeader {
    /// Checks an answer of `eth_getProof` about `address` and its `slots` in the state of this header.
    ///
    /// # Errors
    ///
    /// The node that gave the answer is at fault in every case.
    pub fn verify_account(
        &self,
        answer: &EIP1186AccountProofResponse,
        address: Address,
        slots: &[U256],
    ) -> Result<ProvenAccount, ProofError> {
        verify_account(answer, self.header.state_root, address, slots)
    }
}

fn verify_account(
    answer: &EIP1186AccountProofResponse,
    root: B256,
    address: Address,
    slots: &[U256],
) -> Result<ProvenAccount, ProofError> {
    let account = TrieAccount {
        nonce: answer.nonce,
        balance: answer.balance,
        storage_root: answer.storage_hash,
        code_hash: answer.code_hash,
    };
    verify_proof(root, path(address.as_slice()), Some(alloy_rlp::encode(account)), &answer.account_proof)?;
    if answer.storage_proof.len() != slots.len() {
        return Err(ProofError::WrongSlotCount { got: answer.storage_proof.len(), want: slots.len() });
    }
    let proved = slots.iter().zip(&answer.storage_proof);
    let slots = proved.map(|(slot, proof)| verify_slot(answer.storage_hash, *slot, proof)).collect::<Result<_, _>>()?;
    Ok(ProvenAccount { nonce: answer.nonce, balance: answer.balance, slots })
}

/// The value of `slot`. It is the slot asked for, whatever the answer calls it. A zero is proved by its absence.
fn verify_slot(root: B256, slot: U256, proof: &EIP1186StorageProof) -> Result<U256, ProofError> {
    let value = (!proof.value.is_zero()).then(|| alloy_rlp::encode(proof.value));
    verify_proof(root, path(&slot.to_be_bytes::<32>()), value, &proof.proof)?;
    Ok(proof.value)
}

/// The path of a key in a state trie: that of its hash.
fn path(key: &[u8]) -> Nibbles {
    Nibbles::unpack(keccak256(key))
}
