//! Locked vouchers: a part that is paid only to who knows a secret, before a time. For payments that depend on another one.

use std::sync::LazyLock;

use alloy_primitives::{Address, B256, Bytes, keccak256};
use secp256k1::SecretKey;
use secp256k1::hashes::{Hash as _, sha256};
use serde::{Deserialize, Serialize};

use crate::account_signature::{self, BadForm};
use crate::typed_data::{Domain, digest, hash_words, word};

static LOCKED_VOUCHER_TYPE: LazyLock<B256> = LazyLock::new(|| {
    keccak256(
        "LockedVoucher(bytes32 channelId,uint128 cumulativeAmount,uint128 lockedAmount,bytes32 sha256Hash,uint64 lockExpiry)",
    )
});

/// A total, and what is paid on top of it for a secret.
///
/// All claims are of one total that only grows: of several locks that are open at once a payee can claim the largest, not their sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LockedVoucher {
    pub channel_id: B256,
    /// All that is paid without the secret.
    #[serde(with = "crate::decimal")]
    pub cumulative_amount: u128,
    /// What is paid on top of it.
    #[serde(with = "crate::decimal")]
    pub locked_amount: u128,
    /// SHA-256 of the secret, which has 32 bytes, as Lightning's.
    pub sha256_hash: B256,
    /// Seconds since 1970; from then on the secret is worth nothing.
    pub lock_expiry: u64,
}

/// A locked voucher with its signature.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignedLockedVoucher {
    #[serde(flatten)]
    pub voucher: LockedVoucher,
    /// 65 bytes.
    pub signature: Bytes,
}

/// Why a secret opens no lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LockRefused {
    #[error("lock expired at second {expiry}, it is {now}")]
    Expired { expiry: u64, now: u64 },
    #[error("the secret's SHA-256 is {got}, expected {want}")]
    WrongSecret { got: B256, want: B256 },
    #[error("total and locked amount exceed 2^128 - 1")]
    TooLarge,
}

impl LockedVoucher {
    /// The digest that is signed (EIP-712), as the contract's `getLockedVoucherDigest`.
    #[must_use]
    pub fn digest(&self, domain: &Domain) -> B256 {
        let hash = hash_words(&[
            *LOCKED_VOUCHER_TYPE,
            self.channel_id,
            word(self.cumulative_amount),
            word(self.locked_amount),
            self.sha256_hash,
            word(self.lock_expiry.into()),
        ]);
        digest(domain.separator(), hash)
    }

    #[must_use]
    pub fn sign(self, domain: &Domain, secret: &SecretKey) -> SignedLockedVoucher {
        SignedLockedVoucher { voucher: self, signature: account_signature::sign(self.digest(domain), secret) }
    }

    /// The total that it is worth with the secret, at this time.
    ///
    /// # Errors
    ///
    /// [`LockRefused`], as the contract refuses it.
    pub fn opened(&self, secret: B256, now_unix_s: u64) -> Result<u128, LockRefused> {
        if now_unix_s >= self.lock_expiry {
            return Err(LockRefused::Expired { expiry: self.lock_expiry, now: now_unix_s });
        }
        let got = B256::from(sha256::Hash::hash(secret.as_slice()).to_byte_array());
        if got != self.sha256_hash {
            return Err(LockRefused::WrongSecret { got, want: self.sha256_hash });
        }
        self.cumulative_amount.checked_add(self.locked_amount).ok_or(LockRefused::TooLarge)
    }
}

impl SignedLockedVoucher {
    /// The account that signed it; the contract compares it with the channel's signer. None if no account did.
    ///
    /// # Errors
    ///
    /// [`BadForm`]: the contract would not take such a signature.
    pub fn signer(&self, domain: &Domain) -> Result<Option<Address>, BadForm> {
        account_signature::signer_of(self.voucher.digest(domain), &self.signature)
    }

    /// As the contract wants it: with the v that leads to the signer. None if it is not the signer's.
    #[must_use]
    pub fn claimable(&self, domain: &Domain, signer: Address) -> Option<Self> {
        let signature = account_signature::claimable(self.voucher.digest(domain), &self.signature, signer)?;
        Some(Self { voucher: self.voucher, signature })
    }
}
