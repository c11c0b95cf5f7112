//! Why a certificate, a key or a proof is not accepted.

use alloy_primitives::B256;

/// Validators that one network can have: the bound that decoding a certificate enforces before it allocates.
pub const MAX_VALIDATORS: usize = 256;

/// Why a certificate, a key or a proof is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FinalityError {
    #[error("the certificate ends after {got} bytes")]
    Truncated { got: usize },
    #[error("the certificate has {extra} bytes too many")]
    TrailingBytes { extra: usize },
    #[error("the certificate has a number that is not in its shortest form")]
    BadVarint,
    #[error("the certificate is for {got} validators, expected {want}")]
    WrongValidatorCount { got: u64, want: usize },
    #[error("the certificate marks a signer beyond the last validator")]
    UnknownSigner,
    #[error("{got} validators signed, a quorum is {want}")]
    NoQuorum { got: usize, want: usize },
    #[error("the certificate is for block {got}, expected {want}")]
    WrongBlock { got: B256, want: B256 },
    #[error("the aggregate signature does not match its signers and block")]
    BadSignature,
    #[error("header {number} does not continue the one before it: parent {got}, expected {want}")]
    Unlinked { number: u64, got: B256, want: B256 },
    #[error("the key of validator {index} is not a valid point")]
    BadKey { index: usize },
    #[error("the proof of possession does not match the key")]
    BadPossession,
    #[error("two validators have the same key")]
    DuplicateKey,
    #[error("{got} validators, expected 1 to {MAX_VALIDATORS}")]
    BadValidatorCount { got: usize },
}
