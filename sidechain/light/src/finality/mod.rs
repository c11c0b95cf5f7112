//! Finality: who may make a block final, and how to check that they did, without the engine that ordered it.
//!
//! A block is final when a quorum of the validators signed its header hash in one round of the ordering engine. The
//! signatures are aggregated into one, so a certificate is small whatever the number of validators is:
//!
//! ```text
//! epoch (varint) | view (varint) | parent view (varint) | header hash (32)      <- the message that is signed
//! validators (8, big endian) | bitmap of signers, least significant bit first | aggregate signature (48)
//! ```
//!
//! Not every block has a certificate of its own: a certificate also makes all ancestors of its block final, so a proof of
//! finality is a certificate and the headers that link its block back to the one in question ([`verify_linked`]).
//!
//! Bit i of the bitmap is the validator with the i-th smallest p2p key, which is how the engine orders them.
//!
//! Signatures are BLS12-381 with public keys in G2 and signatures in G1 (the IETF ciphersuite with proofs of possession).
//! Aggregation is sound only among keys whose holders proved that they know them ([`verify_possession`]): without that, a
//! validator could choose a key that cancels the others. Genesis validation checks these proofs.
//!
//! A certificate is not unique for its block: other signers, or another round, prove the same. Never hash one into state.

mod certificate;
mod encoding;
mod error;
mod possession;
#[cfg(test)]
mod tests;
mod validators;

#[cfg(any(test, feature = "testing"))]
pub use certificate::certify;
pub use certificate::{Certificate, verify, verify_linked};
pub use encoding::{PUBLIC_KEY_BYTES, SIGNATURE_BYTES};
pub use error::{FinalityError, MAX_VALIDATORS};
pub use possession::{prove_possession, verify_possession};
pub use validators::{Validators, namespace};
