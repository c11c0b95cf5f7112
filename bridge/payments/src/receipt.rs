//! Receipts: what a payee took, signed by the payee.
//!
//! A signature costs as much as the check of a voucher, so a payee signs once for all that went to disk together: the root of a tree ([`crate::merkle`]) whose leaves are
//! receipts. Whoever has one of them checks it alone:
//!
//! ```text
//!   leaf = keccak256(hashStruct(Receipt))
//!   root = path, from the leaf up: keccak256(the lesser of both | the greater)
//!   the payee's signature (EIP-712) is over Receipts(bytes32 root)
//! ```
//! The same receipt may be proven by another path and signature when it is asked for again: what it says is the same, and either shows it.
//!
//! A payer keeps the receipt with the largest `charged`. It says what all requests so far cost, and what voucher the payee holds: so a payer that lost its
//! own files finds its total again, and one whose channel is settled above all that was charged can show by how much ([`Receipt::overclaim`]).

use std::sync::LazyLock;

use alloy_primitives::{Address, B256, Bytes, keccak256};
use secp256k1::SecretKey;
use serde::{Deserialize, Serialize};

use crate::account_signature;
use crate::bytes::{Reader, put};
use crate::merkle::{self, Tree};
use crate::typed_data::{Domain, digest, hash_words, word};

static RECEIPT_TYPE: LazyLock<B256> = LazyLock::new(|| {
    keccak256(
        "Receipt(bytes32 channelId,uint128 cumulativeAmount,uint128 price,uint128 charged,uint128 highest,uint64 acceptedAt,bytes32 request)",
    )
});

static ROOT_TYPE: LazyLock<B256> = LazyLock::new(|| keccak256("Receipts(bytes32 root)"));

/// What the payee says of one accepted voucher. Amounts in the token's smallest unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Receipt {
    pub channel_id: B256,
    /// The voucher's total.
    #[serde(with = "crate::decimal")]
    pub cumulative_amount: u128,
    /// What the request cost.
    #[serde(with = "crate::decimal")]
    pub price: u128,
    /// What all requests of the channel cost so far, this one included.
    #[serde(with = "crate::decimal")]
    pub charged: u128,
    /// The largest total that the payee holds a voucher of.
    #[serde(with = "crate::decimal")]
    pub highest: u128,
    /// Seconds since 1970.
    pub accepted_at: u64,
    /// keccak256 of the request's Idempotency-Key; zero without one.
    pub request: B256,
}

impl Receipt {
    /// For files of payees and payers.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        let Self { channel_id, cumulative_amount, price, charged, highest, accepted_at, request } = *self;
        put(out, channel_id.as_slice());
        for amount in [cumulative_amount, price, charged, highest] {
            put(out, &amount.to_be_bytes());
        }
        put(out, &accepted_at.to_be_bytes());
        put(out, request.as_slice());
    }

    /// What [`Receipt::put`] wrote.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            channel_id: reader.word()?,
            cumulative_amount: reader.u128()?,
            price: reader.u128()?,
            charged: reader.u128()?,
            highest: reader.u128()?,
            accepted_at: reader.u64()?,
            request: reader.word()?,
        })
    }
}

/// A receipt with its path, and the payee's signature under the root where that leads.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignedReceipt {
    #[serde(flatten)]
    pub receipt: Receipt,
    /// From the leaf up; at most [`merkle::MAX_DEPTH`] hashes.
    pub path: Vec<B256>,
    /// 65 bytes.
    pub signature: Bytes,
}

impl Receipt {
    /// Its leaf. Of a hash, so that it is never a node's.
    #[must_use]
    pub fn leaf(&self) -> B256 {
        let hash = hash_words(&[
            *RECEIPT_TYPE,
            self.channel_id,
            word(self.cumulative_amount),
            word(self.price),
            word(self.charged),
            word(self.highest),
            word(self.accepted_at.into()),
            self.request,
        ]);
        keccak256(hash)
    }

    /// Signs it alone.
    #[must_use]
    pub fn sign(self, domain: &Domain, secret: &SecretKey) -> SignedReceipt {
        SignedReceipt { receipt: self, path: Vec::new(), signature: sign_root(self.leaf(), domain, secret) }
    }

    /// By how much the payee was paid too much, if this is the payer's last receipt, nothing but `unanswered` was promised beside what it charged, and so
    /// much was settled on the chain.
    #[must_use]
    pub fn overclaim(&self, settled: u128, unanswered: u128) -> u128 {
        settled.saturating_sub(self.charged.saturating_add(unanswered))
    }
}

/// Signs a tree of receipts' leaves. The same tree gets the same signature each time.
#[must_use]
pub fn sign_tree(tree: &Tree, domain: &Domain, secret: &SecretKey) -> Bytes {
    sign_root(tree.root(), domain, secret)
}

fn sign_root(root: B256, domain: &Domain, secret: &SecretKey) -> Bytes {
    account_signature::sign(root_digest(root, domain), secret)
}

/// What the payee signs (EIP-712, in a domain of our own).
#[must_use]
pub fn root_digest(root: B256, domain: &Domain) -> B256 {
    digest(domain.receipt_separator(), hash_words(&[*ROOT_TYPE, root]))
}

impl SignedReceipt {
    /// The root that it is under; none if its path is too long.
    #[must_use]
    pub fn root(&self) -> Option<B256> {
        merkle::root(self.receipt.leaf(), &self.path)
    }

    /// The account that signed it, if any.
    #[must_use]
    pub fn signer(&self, domain: &Domain) -> Option<Address> {
        account_signature::signer(root_digest(self.root()?, domain), &self.signature)
    }
}
