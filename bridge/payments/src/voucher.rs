//! Vouchers: all that was paid through a channel so far, signed by its payer.

use std::sync::LazyLock;

use alloy_primitives::{Address, B256, Bytes, keccak256};
use secp256k1::SecretKey;
use serde::{Deserialize, Serialize};

use crate::account_signature::{self, BadForm};
use crate::typed_data::{Domain, digest, hash_words, word};

static VOUCHER_TYPE: LazyLock<B256> =
    LazyLock::new(|| keccak256("Voucher(bytes32 channelId,uint128 cumulativeAmount)"));

/// A promise. In JSON as in the draft's credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Voucher {
    pub channel_id: B256,
    /// All that was paid through it so far, in the token's smallest unit.
    #[serde(with = "crate::decimal")]
    pub cumulative_amount: u128,
}

/// A voucher with its signature: r, s (the lower form), v (27 or 28). The payer gives it to the payee.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignedVoucher {
    #[serde(flatten)]
    pub voucher: Voucher,
    /// 65 bytes.
    pub signature: Bytes,
}

impl Voucher {
    /// The digest that is signed (EIP-712), as the contract's `getVoucherDigest`.
    #[must_use]
    pub fn digest(&self, domain: &Domain) -> B256 {
        let hash = hash_words(&[*VOUCHER_TYPE, self.channel_id, word(self.cumulative_amount)]);
        digest(domain.separator(), hash)
    }

    /// Signs it. Whoever pays does so through [`crate::payer`], which remembers the total first.
    #[must_use]
    pub fn sign(self, domain: &Domain, secret: &SecretKey) -> SignedVoucher {
        SignedVoucher { voucher: self, signature: account_signature::sign(self.digest(domain), secret) }
    }
}

impl SignedVoucher {
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
