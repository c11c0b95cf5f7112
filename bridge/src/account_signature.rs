//! Signatures of accounts as Ethereum's contracts and tools have them: r, s (the lower form) and v (27 or 28) in 65 bytes.

use alloy_primitives::{Address, B256, Bytes};
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use secp256k1::{Message, PublicKey, SECP256K1, SecretKey};

use crate::keystore::address;

/// Signs a digest, which must be one that no transaction can have.
#[must_use]
pub fn sign(digest: B256, secret: &SecretKey) -> Bytes {
    let message = Message::from_digest(digest.0);
    let (recovery, compact) = SECP256K1.sign_ecdsa_recoverable(&message, secret).serialize_compact();
    join(&compact, recovery)
}

/// The account that signed; none for bytes that are no signature, or in another form than [`sign`] gives.
#[must_use]
pub fn signer(digest: B256, signature: &[u8]) -> Option<Address> {
    let (compact, v) = split(signature)?;
    let key = recover(digest, &compact, v)?;
    let signature = secp256k1::ecdsa::Signature::from_compact(&compact).ok()?;
    // Refuses the upper s.
    SECP256K1.verify_ecdsa(&Message::from_digest(digest.0), &signature, &key).ok()?;
    Some(address(&key))
}

/// A signature's r and s, and v as recovery id; none when it has not their form.
pub(crate) fn split(signature: &[u8]) -> Option<([u8; 64], RecoveryId)> {
    let signature: &[u8; 65] = signature.try_into().ok()?;
    let v = match signature[64] {
        27 => RecoveryId::from_i32(0),
        28 => RecoveryId::from_i32(1),
        _ => return None,
    };
    let compact: [u8; 64] = signature[..64].try_into().expect("64 of 65 bytes");
    // An r this small stands for a point whose x is above the group's order once in 2^127 signatures, and with v of 27
    // or 28 a contract could not find that point. It never happens by chance, so it is refused.
    if compact.starts_with(&[0; 15]) {
        return None;
    }
    Some((compact, v.expect("0 and 1 are recovery ids")))
}

/// The key that made a signature, if any.
pub(crate) fn recover(digest: B256, compact: &[u8; 64], v: RecoveryId) -> Option<PublicKey> {
    let signature = RecoverableSignature::from_compact(compact, v).ok()?;
    SECP256K1.recover_ecdsa(&Message::from_digest(digest.0), &signature).ok()
}

/// The 65 bytes.
pub(crate) fn join(compact: &[u8; 64], recovery: RecoveryId) -> Bytes {
    let v = if recovery.to_i32() & 1 == 0 { 27 } else { 28 };
    Bytes::from_iter(compact.iter().copied().chain([v]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{U256, b256};

    #[test]
    fn the_signer_is_found_and_a_changed_digest_or_byte_leads_elsewhere_or_nowhere() {
        let secret = SecretKey::from_slice(&[7; 32]).expect("a key");
        let me = address(&PublicKey::from_secret_key(SECP256K1, &secret));
        let digest = B256::repeat_byte(3);
        let signature = sign(digest, &secret);
        assert_eq!(signer(digest, &signature), Some(me));
        assert_ne!(signer(B256::repeat_byte(4), &signature), Some(me));
        for position in 0..65 {
            let mut changed = signature.to_vec();
            changed[position] ^= 1;
            assert_ne!(signer(digest, &changed), Some(me), "byte {position}");
        }
        assert_eq!(signer(digest, &signature[1..]), None);
    }

    #[test]
    fn one_signature_has_one_form() {
        let secret = SecretKey::from_slice(&[7; 32]).expect("a key");
        let (digest, order) =
            (B256::repeat_byte(3), b256!("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"));
        let mut high = sign(digest, &secret).to_vec();
        let s = U256::from_be_slice(&high[32..64]);
        high[32..64].copy_from_slice(&(U256::from_be_bytes(order.0) - s).to_be_bytes::<32>());
        high[64] = 55 - high[64];
        assert_eq!(signer(digest, &high), None);
    }
}
