//! A validator's secret keys: one that signs votes, one that names it on the validators' network.
//!
//! They are separate, because they are used by different layers, and leaking one must not leak the other. Both are wiped
//! from memory when dropped. Files hold them encrypted, which is the business of whoever stores [`ValidatorKeys::to_bytes`].

use commonware_codec::{Copying, DecodeExt as _};
use commonware_cryptography::{Signer as _, ed25519};
use light::finality;
use rand::{RngCore as _, rngs::OsRng};
use zeroize::Zeroizing;

/// First byte of the stored form, so that it can change later.
const VERSION: u8 = 1;

/// Bytes of the stored form: version, BLS secret, ed25519 secret.
pub const KEYS_BYTES: usize = 1 + 32 + 32;

/// Why stored bytes are not keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// Another number of bytes.
    #[error("validator keys have {got} bytes, expected {KEYS_BYTES}")]
    BadLength {
        /// Bytes that were read.
        got: usize,
    },
    /// A form that this program does not know.
    #[error("validator keys of version {got}, expected {VERSION}")]
    BadVersion {
        /// The first byte.
        got: u8,
    },
    /// Zero, or not below the order of the group.
    #[error("the validator's BLS key is not a valid secret")]
    BadSecret,
}

/// The secret keys of a validator.
#[derive(Clone)]
pub struct ValidatorKeys {
    /// Signs votes: BLS12-381, big endian.
    bls: Zeroizing<[u8; 32]>,
    /// Names the validator on the network: ed25519 seed.
    p2p: Zeroizing<[u8; 32]>,
}

/// The public part of a validator's keys, as a genesis file lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidatorPublicKeys {
    /// BLS public key, compressed point of G2.
    pub validator_key: [u8; finality::PUBLIC_KEY_BYTES],
    /// Proof that the BLS secret is known.
    pub validator_proof: [u8; finality::SIGNATURE_BYTES],
    /// ed25519 public key.
    pub p2p_key: [u8; 32],
}

impl ValidatorKeys {
    /// New keys from the operating system's randomness.
    #[must_use]
    pub fn generate() -> Self {
        let mut seed = Zeroizing::new([0u8; 32]);
        OsRng.fill_bytes(&mut *seed);
        let secret = blst::min_sig::SecretKey::key_gen(&*seed, &[]).expect("32 bytes of key material are enough");
        let mut p2p = Zeroizing::new([0u8; 32]);
        OsRng.fill_bytes(&mut *p2p);
        Self { bls: Zeroizing::new(secret.to_bytes()), p2p }
    }

    /// The stored form, secret: [`KEYS_BYTES`] bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(KEYS_BYTES));
        bytes.push(VERSION);
        bytes.extend_from_slice(&*self.bls);
        bytes.extend_from_slice(&*self.p2p);
        bytes
    }

    /// Reads the stored form.
    ///
    /// # Errors
    ///
    /// Everything that `to_bytes` cannot have written.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeysError> {
        let bytes: &[u8; KEYS_BYTES] = bytes.try_into().map_err(|_| KeysError::BadLength { got: bytes.len() })?;
        if bytes[0] != VERSION {
            return Err(KeysError::BadVersion { got: bytes[0] });
        }
        let mut keys = Self { bls: Zeroizing::default(), p2p: Zeroizing::default() };
        keys.bls.copy_from_slice(&bytes[1..33]);
        keys.p2p.copy_from_slice(&bytes[33..]);
        blst::min_sig::SecretKey::from_bytes(&*keys.bls).map_err(|_| KeysError::BadSecret)?;
        Ok(keys)
    }

    /// The public part, with the proof that the BLS secret is known.
    #[must_use]
    pub fn public(&self) -> ValidatorPublicKeys {
        let secret =
            blst::min_sig::SecretKey::from_bytes(&*self.bls).expect("made by generate or checked by from_bytes");
        ValidatorPublicKeys {
            validator_key: secret.sk_to_pk().compress(),
            validator_proof: finality::prove_possession(&secret),
            p2p_key: self.p2p().public_key().as_ref().try_into().expect("ed25519 public keys have 32 bytes"),
        }
    }

    /// The BLS secret, big endian.
    pub(crate) fn bls_bytes(&self) -> &[u8; 32] {
        &self.bls
    }

    /// The ed25519 secret.
    pub(crate) fn p2p(&self) -> ed25519::PrivateKey {
        ed25519::PrivateKey::decode(Copying(&self.p2p[..])).expect("any 32 bytes are an ed25519 seed")
    }
}

impl std::fmt::Debug for ValidatorKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ValidatorKeys(secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_keys_are_read_back() {
        let keys = ValidatorKeys::generate();
        let read = ValidatorKeys::from_bytes(&keys.to_bytes()).expect("just written");
        assert_eq!(read.public(), keys.public());
        let public = keys.public();
        finality::verify_possession(&public.validator_key, &public.validator_proof).expect("its own proof");
        assert_eq!(format!("{keys:?}"), "ValidatorKeys(secret)");
    }

    #[test]
    fn keys_and_proofs_are_the_engines() {
        use commonware_codec::Encode as _;
        use commonware_cryptography::bls12381::primitives::{group::Private, ops, variant::MinSig};

        let keys = ValidatorKeys::generate();
        let secret = Private::decode(Copying(keys.bls_bytes())).expect("a valid secret");
        let public = ops::compute_public::<MinSig>(&secret);
        assert_eq!(public.encode(), keys.public().validator_key[..]);
        let proof = ops::sign_proof_of_possession::<MinSig>(&secret, b"causeway/possession");
        assert_eq!(proof.encode(), keys.public().validator_proof[..]);
    }

    #[test]
    fn damaged_keys_are_refused() {
        let bytes = ValidatorKeys::generate().to_bytes();
        assert_eq!(ValidatorKeys::from_bytes(&bytes[1..]).unwrap_err(), KeysError::BadLength { got: 64 });
        let mut other = bytes.to_vec();
        other[0] = 9;
        assert_eq!(ValidatorKeys::from_bytes(&other).unwrap_err(), KeysError::BadVersion { got: 9 });
        other[0] = VERSION;
        other[1..33].fill(0xff); // larger than the group's order
        assert_eq!(ValidatorKeys::from_bytes(&other).unwrap_err(), KeysError::BadSecret);
    }
}
