//! Typed data (EIP-712): where what is signed counts, and digests.

use std::sync::LazyLock;

use alloy_primitives::{Address, B256, FixedBytesSliceExt as _, U256, keccak256};

static DOMAIN_TYPE: LazyLock<B256> =
    LazyLock::new(|| keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"));

/// One deployment of the contract on one chain: vouchers for it are worth nothing anywhere else. What keeps networks with the same chain id apart is
/// the channel: `openOnNetwork` opens it on one only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Domain {
    chain_id: u64,
    contract: Address,
    vouchers: B256,
    receipts: B256,
}

impl Domain {
    #[must_use]
    pub fn new(chain_id: u64, contract: Address) -> Self {
        // The draft's name and version. Receipts have a name of their own, so that neither is ever taken for the other.
        let vouchers = separator("EVM Payment Channel", "1", chain_id, contract);
        let receipts = separator("Causeway Payment Receipt", "1", chain_id, contract);
        Self { chain_id, contract, vouchers, receipts }
    }

    #[must_use]
    pub fn chain_id(&self) -> u64 {
        self.chain_id
    }

    #[must_use]
    pub fn contract(&self) -> Address {
        self.contract
    }

    /// Of what payers sign; as the contract's `domainSeparator()`.
    #[must_use]
    pub fn separator(&self) -> B256 {
        self.vouchers
    }

    /// Of what payees sign.
    #[must_use]
    pub fn receipt_separator(&self) -> B256 {
        self.receipts
    }
}

/// A domain by name, version, chain and contract.
#[must_use]
pub fn separator(name: &str, version: &str, chain_id: u64, contract: Address) -> B256 {
    let words =
        [*DOMAIN_TYPE, keccak256(name), keccak256(version), B256::from(U256::from(chain_id)), contract.into_word()];
    hash_words(&words)
}

/// Hash of words as ABI encodes them: one behind the other.
pub(crate) fn hash_words<const N: usize>(words: &[B256; N]) -> B256 {
    keccak256(words.as_flattened())
}

/// A number as a word.
pub(crate) fn word(number: u128) -> B256 {
    let mut word = B256::ZERO;
    word[16..].copy_from_slice(&number.to_be_bytes());
    word
}

/// What is signed of a struct with this hash.
#[must_use]
pub fn digest(separator: B256, struct_hash: B256) -> B256 {
    let mut message = [0; 2 + 2 * 32];
    message[..2].copy_from_slice(&[0x19, 0x01]);
    message[2..34].copy_from_slice(separator.as_slice());
    message[34..].copy_from_slice(struct_hash.as_slice());
    keccak256(message)
}
