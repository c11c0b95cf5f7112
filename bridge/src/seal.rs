//! Encryption to one member: how a key generation package travels over the public board to its only reader.
//!
//! A fresh secp256k1 key of the sender meets two keys of the receiver (ECDH): its lasting encryption key, and one that it made
//! for this session and wipes after it, so that who gets hold of keystores later opens nothing that was on the board.
//! HKDF-SHA256 over both shared points, all public keys and the context makes key and nonce of XChaCha20-Poly1305, which also
//! authenticates the context. So a sealed package opens only in its own session, from its own sender, for its own receiver. Who
//! sent it is not proven here but by the board, which accepts posts from the member's account only.
//!
//! A sealed message is `ephemeral key (33 bytes) || ciphertext || tag (16 bytes)`.

use alloy_primitives::B256;
use bitcoin::hashes::{Hash as _, HashEngine as _, Hmac, HmacEngine, sha256};
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use rand::{CryptoRng, RngCore};
use secp256k1::ecdh::SharedSecret;
use secp256k1::{PublicKey, SECP256K1, SecretKey};
use zeroize::Zeroizing;

/// Bytes by which a sealed message is longer than its content.
pub const OVERHEAD: usize = 33 + 16;

/// Where a sealed message belongs. It opens nowhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// The board session.
    pub session: B256,
    /// Member that seals.
    pub sender: u16,
    /// Member that opens.
    pub receiver: u16,
}

/// Why a sealed message does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Too short to hold a key and a tag.
    #[error("sealed message of {got} bytes, expected at least {OVERHEAD}")]
    TooShort {
        /// Bytes received.
        got: usize,
    },
    /// It does not begin with a point of the curve.
    #[error("sealed message does not begin with a public key")]
    Key,
    /// Damaged, for another key, or from another context.
    #[error("sealed message does not open with this key in this session")]
    Closed,
}

/// The keys of who opens: the lasting one, and the one of this session.
pub type Keys<K> = [K; 2];

/// Seals `message` for whoever has both secret keys of `receiver`.
///
/// # Panics
///
/// Never for messages that fit memory.
pub fn seal<R: RngCore + CryptoRng>(
    receiver: &Keys<PublicKey>,
    context: &Context,
    message: &[u8],
    rng: &mut R,
) -> Vec<u8> {
    let mut ephemeral = SecretKey::new(rng);
    let ephemeral_key = PublicKey::from_secret_key(SECP256K1, &ephemeral);
    let (cipher, nonce) = cipher(receiver.map(|theirs| (theirs, ephemeral)), &ephemeral_key, receiver, context);
    ephemeral.non_secure_erase();
    let sealed = cipher
        .encrypt(&nonce, Payload { msg: message, aad: &context.to_bytes() })
        .expect("XChaCha20-Poly1305 takes any message below 256 GiB");
    [&ephemeral_key.serialize()[..], &sealed].concat()
}

/// Opens what [`seal`] made.
///
/// # Errors
///
/// When it is damaged or meant for another receiver, sender or session.
pub fn open(receiver: &Keys<SecretKey>, context: &Context, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
    if sealed.len() < OVERHEAD {
        return Err(SealError::TooShort { got: sealed.len() });
    }
    let (ephemeral, ciphertext) = sealed.split_at(33);
    let ephemeral = PublicKey::from_slice(ephemeral).map_err(|_| SealError::Key)?;
    let receiver_keys = receiver.map(|secret| PublicKey::from_secret_key(SECP256K1, &secret));
    let (cipher, nonce) = cipher(receiver.map(|ours| (ephemeral, ours)), &ephemeral, &receiver_keys, context);
    let opened =
        cipher.decrypt(&nonce, Payload { msg: ciphertext, aad: &context.to_bytes() }).map_err(|_| SealError::Closed)?;
    Ok(Zeroizing::new(opened))
}

impl Context {
    fn to_bytes(self) -> Vec<u8> {
        [b"causeway/seal".as_slice(), self.session.as_slice(), &self.sender.to_be_bytes(), &self.receiver.to_be_bytes()]
            .concat()
    }
}

/// Key and nonce are used for one message only, since the ephemeral key is.
fn cipher(
    mut meetings: Keys<(PublicKey, SecretKey)>,
    ephemeral: &PublicKey,
    receiver: &Keys<PublicKey>,
    context: &Context,
) -> (XChaCha20Poly1305, XNonce) {
    let mut shared = Zeroizing::new([0; 64]);
    for (half, (theirs, ours)) in shared.chunks_mut(32).zip(&mut meetings) {
        let mut point = SharedSecret::new(theirs, ours);
        half.copy_from_slice(point.as_ref());
        point.non_secure_erase();
        ours.non_secure_erase();
    }
    let salt = [ephemeral.serialize(), receiver[0].serialize(), receiver[1].serialize()].concat();
    let okm = hkdf_sha256::<56>(&salt, shared.as_slice(), &context.to_bytes());
    (XChaCha20Poly1305::new(Key::from_slice(&okm[..32])), *XNonce::from_slice(&okm[32..]))
}

/// HKDF with SHA-256 (RFC 5869), for up to 255 blocks of output.
pub(crate) fn hkdf_sha256<const N: usize>(salt: &[u8], secret: &[u8], info: &[u8]) -> Zeroizing<[u8; N]> {
    const { assert!(N <= 255 * 32) };
    let prk = hmac(salt, &[secret]);
    let mut okm = Zeroizing::new([0; N]);
    let mut block: Option<Zeroizing<[u8; 32]>> = None;
    for (counter, chunk) in (1u8..).zip(okm.chunks_mut(32)) {
        let before = block.as_ref().map_or(&[][..], |block| block.as_slice());
        let next = hmac(prk.as_slice(), &[before, info, &[counter]]);
        chunk.copy_from_slice(&next[..chunk.len()]);
        block = Some(next);
    }
    okm
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let mut engine = HmacEngine::<sha256::Hash>::new(key);
    parts.iter().for_each(|part| engine.input(part));
    Zeroizing::new(Hmac::from_engine(engine).to_byte_array())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng as _;

    fn pair(byte: u8) -> (SecretKey, PublicKey) {
        let secret = SecretKey::from_slice(&[byte; 32]).expect("small nonzero scalars are keys");
        (secret, PublicKey::from_secret_key(SECP256K1, &secret))
    }

    fn context() -> Context {
        Context { session: B256::repeat_byte(7), sender: 1, receiver: 2 }
    }

    #[test]
    fn what_is_sealed_opens_for_its_receiver_in_its_context_only() {
        let mut rng = rand::rngs::StdRng::seed_from_u64(1);
        let ((lasting, lasting_key), (once, once_key), (other, _)) = (pair(3), pair(5), pair(4));
        let secret = [lasting, once];
        let sealed = seal(&[lasting_key, once_key], &context(), b"a share", &mut rng);
        assert_eq!(sealed.len(), b"a share".len() + OVERHEAD);
        assert_eq!(open(&secret, &context(), &sealed).expect("opens").as_slice(), b"a share");
        for wrong in [[lasting, other], [other, once], [once, lasting], [lasting, lasting]] {
            assert_eq!(
                open(&wrong, &context(), &sealed),
                Err(SealError::Closed),
                "both keys are needed, each in its place"
            );
        }
        for foreign in [
            Context { session: B256::repeat_byte(8), ..context() },
            Context { sender: 3, ..context() },
            Context { receiver: 3, ..context() },
        ] {
            assert_eq!(open(&secret, &foreign, &sealed), Err(SealError::Closed));
        }
    }

    #[test]
    fn a_changed_byte_anywhere_is_seen() {
        let mut rng = rand::rngs::StdRng::seed_from_u64(2);
        let ((lasting, lasting_key), (once, once_key)) = (pair(3), pair(5));
        let (secret, key) = ([lasting, once], [lasting_key, once_key]);
        let sealed = seal(&key, &context(), b"a share", &mut rng);
        for position in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[position] ^= 1;
            assert!(open(&secret, &context(), &changed).is_err(), "byte {position}");
        }
        assert_eq!(open(&secret, &context(), &sealed[..OVERHEAD - 1]), Err(SealError::TooShort { got: OVERHEAD - 1 }));
    }

    // RFC 5869, appendix A.1.
    #[test]
    fn hkdf_is_that_of_the_rfc() {
        let salt = hex::decode("000102030405060708090a0b0c").expect("hex");
        let info = hex::decode("f0f1f2f3f4f5f6f7f8f9").expect("hex");
        let okm = hkdf_sha256::<42>(&salt, &[0x0b; 22], &info);
        assert_eq!(
            hex::encode(okm.as_slice()),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
        );
    }
}
