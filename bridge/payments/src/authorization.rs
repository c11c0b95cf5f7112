//! Authorizations of tokens (EIP-3009): a holder signs that a contract may fetch an amount. With a nonce that is bound to a channel
//! ([`crate::terms::open_nonce`], [`crate::terms::top_up_nonce`]) `MicroChannel` fetches it for that channel and for nothing else, whoever brings it.

use std::sync::LazyLock;

use alloy_primitives::{Address, B256, Bytes, keccak256};
use secp256k1::SecretKey;

use crate::account_signature;
use crate::typed_data::{digest, hash_words, word};

static RECEIVE_TYPE: LazyLock<B256> = LazyLock::new(|| {
    keccak256(
        "ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)",
    )
});

/// What a holder signs: only `to` itself can fetch it. Times in seconds since 1970, both excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authorization {
    pub from: Address,
    pub to: Address,
    /// In the token's smallest unit.
    pub value: u128,
    pub valid_after: u64,
    pub valid_before: u64,
    pub nonce: B256,
}

/// An authorization with its signature: r, s (the lower form), v (27 or 28).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedAuthorization {
    pub authorization: Authorization,
    pub signature: Bytes,
}

impl Authorization {
    /// The digest that is signed (EIP-712). `separator`: the token's, by [`crate::typed_data::separator`] or as it says itself. A token that says another one's
    /// gains nothing: a bound nonce is of a channel in one token, and the other would be fetched for none.
    #[must_use]
    pub fn digest(&self, separator: B256) -> B256 {
        let hash = hash_words(&[
            *RECEIVE_TYPE,
            self.from.into_word(),
            self.to.into_word(),
            word(self.value),
            word(self.valid_after.into()),
            word(self.valid_before.into()),
            self.nonce,
        ]);
        digest(separator, hash)
    }

    #[must_use]
    pub fn sign(self, separator: B256, secret: &SecretKey) -> SignedAuthorization {
        let signature = account_signature::sign(self.digest(separator), secret);
        SignedAuthorization { authorization: self, signature }
    }
}

impl SignedAuthorization {
    /// v, r and s, as the contract takes them; none for bytes that are no signature of ours.
    #[must_use]
    pub fn parts(&self) -> Option<(u8, B256, B256)> {
        let signature: &[u8; 65] = self.signature[..].try_into().ok()?;
        let half = |from: usize| B256::from_slice(&signature[from..from + 32]);
        Some((signature[64], half(0), half(32)))
    }
}
