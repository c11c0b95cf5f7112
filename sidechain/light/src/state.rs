//! Accounts and storage slots by Merkle proofs against a state root.

use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_rpc_types_eth::{EIP1186AccountProofResponse, EIP1186StorageProof};
use alloy_trie::proof::{ProofVerificationError, verify_proof};
use alloy_trie::{EMPTY_ROOT_HASH, Nibbles, TrieAccount};

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

    /// The same for an account that need not be there: none when the answer proves that it is not. Then all of its slots are zero.
    ///
    /// # Errors
    ///
    /// As [`FinalHeader::verify_account`].
    pub fn verify_state(
        &self,
        answer: &EIP1186AccountProofResponse,
        address: Address,
        slots: &[U256],
    ) -> Result<(Option<TrieAccount>, Vec<U256>), ProofError> {
        let account = told(answer);
        if account != TrieAccount::default() {
            let proven = verify_account(answer, self.header.state_root, address, slots)?;
            return Ok((Some(account), proven.slots));
        }
        // EIP-161: an empty account is none.
        verify_proof(self.header.state_root, path(address.as_slice()), None, &answer.account_proof)?;
        Ok((None, vec![U256::ZERO; slots.len()]))
    }
}

/// The account that an answer tells of.
fn told(answer: &EIP1186AccountProofResponse) -> TrieAccount {
    let (nonce, balance) = (answer.nonce, answer.balance);
    TrieAccount { nonce, balance, storage_root: answer.storage_hash, code_hash: answer.code_hash }
}

fn verify_account(
    answer: &EIP1186AccountProofResponse,
    root: B256,
    address: Address,
    slots: &[U256],
) -> Result<ProvenAccount, ProofError> {
    verify_proof(root, path(address.as_slice()), Some(alloy_rlp::encode(told(answer))), &answer.account_proof)?;
    if answer.storage_proof.len() != slots.len() {
        return Err(ProofError::WrongSlotCount { got: answer.storage_proof.len(), want: slots.len() });
    }
    let proved = slots.iter().zip(&answer.storage_proof);
    let slots = proved.map(|(slot, proof)| verify_slot(answer.storage_hash, *slot, proof)).collect::<Result<_, _>>()?;
    Ok(ProvenAccount { nonce: answer.nonce, balance: answer.balance, slots })
}

/// The value of `slot`. It is the slot asked for, whatever the answer calls it. A zero is proved by its absence.
fn verify_slot(root: B256, slot: U256, proof: &EIP1186StorageProof) -> Result<U256, ProofError> {
    if root == EMPTY_ROOT_HASH && proof.value.is_zero() {
        return Ok(U256::ZERO); // The root says it by itself.
    }
    let value = (!proof.value.is_zero()).then(|| alloy_rlp::encode(proof.value));
    verify_proof(root, path(&slot.to_be_bytes::<32>()), value, &proof.proof)?;
    Ok(proof.value)
}

/// The path of a key in a state trie: that of its hash.
fn path(key: &[u8]) -> Nibbles {
    Nibbles::unpack(keccak256(key))
}
