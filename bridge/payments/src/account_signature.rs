//! Signatures of accounts as Ethereum's contracts and tools have them: r, s (the lower form) and v (27 or 28) in 65 bytes.

use alloy_primitives::{Address, B256, Bytes, b256, keccak256};
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId, Signature};
use secp256k1::{Message, PublicKey, SECP256K1, SecretKey};

/// Half of secp256k1's order: of the two signatures with s and order - s, contracts take the lower (EIP-2).
const MAX_S: B256 = b256!("7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0");

/// Why bytes are no signature that a contract would take, seen before any curve is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadForm {
    /// Cut off, or another kind of signature.
    #[error("signature has {got} bytes, expected 65")]
    Length { got: usize },
    /// The other form of a signature: whoever sees one can make it, so only one of both is a signature here.
    #[error("signature has the upper form of s, expected the lower")]
    UpperS,
    #[error("signature's v is {got}, expected 27 or 28")]
    Recovery { got: u8 },
    /// No signature that a key ever makes.
    #[error("signature's r or s is out of range")]
    Range,
}

/// A signature's r and s, and v as recovery id, in the right form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts {
    compact: [u8; 64],
    recovery: RecoveryId,
}

/// Signs a digest, which must be one that no transaction can have. The same digest is signed the same way each time (RFC 6979).
#[must_use]
pub fn sign(digest: B256, secret: &SecretKey) -> Bytes {
    let message = Message::from_digest(digest.0);
    let (recovery, compact) = SECP256K1.sign_ecdsa_recoverable(&message, secret).serialize_compact();
    Parts { compact, recovery }.join()
}

/// The account that signed; none for bytes that are no signature, or in another form than [`sign`] gives.
#[must_use]
pub fn signer(digest: B256, signature: &[u8]) -> Option<Address> {
    signer_of(digest, signature).ok().flatten()
}

/// The account that signed, if any.
pub(crate) fn signer_of(digest: B256, signature: &[u8]) -> Result<Option<Address>, BadForm> {
    Ok(Parts::of(signature)?.recover(digest).map(|key| address(&key)))
}

/// An account's signature as a contract wants it: with the v that leads to the account. None if it is not the account's.
pub(crate) fn claimable(digest: B256, signature: &[u8], account: Address) -> Option<Bytes> {
    Parts::of(signature).ok()?.with_recovery_of(digest, account).map(|parts| parts.join())
}

/// The Ethereum address of a public key.
#[must_use]
pub fn address(key: &PublicKey) -> Address {
    Address::from_slice(&keccak256(&key.serialize_uncompressed()[1..])[12..])
}

/// The address of a secret key.
#[must_use]
pub fn address_of(secret: &SecretKey) -> Address {
    address(&PublicKey::from_secret_key(SECP256K1, secret))
}

impl Parts {
    /// Takes 65 bytes apart.
    ///
    /// # Errors
    ///
    /// [`BadForm`]: the sender is at fault.
    pub fn of(signature: &[u8]) -> Result<Self, BadForm> {
        let signature: &[u8; 65] = signature.try_into().map_err(|_| BadForm::Length { got: signature.len() })?;
        let recovery = match signature[64] {
            27 => RecoveryId::from_i32(0),
            28 => RecoveryId::from_i32(1),
            got => return Err(BadForm::Recovery { got }),
        };
        let compact: [u8; 64] = signature[..64].try_into().expect("64 of 65 bytes");
        // An r this small stands for a point whose x is above the group's order once in 2^127 signatures, and with v of 27
        // or 28 a contract could not find that point. It never happens by chance, so it is refused.
        if compact.starts_with(&[0; 15]) {
            return Err(BadForm::Range);
        }
        if compact[32..] > MAX_S[..] {
            return Err(BadForm::UpperS);
        }
        Ok(Self { compact, recovery: recovery.expect("0 and 1 are recovery ids") })
    }

    /// The key that made it, if any.
    #[must_use]
    pub fn recover(&self, digest: B256) -> Option<PublicKey> {
        let signature = RecoverableSignature::from_compact(&self.compact, self.recovery).ok()?;
        SECP256K1.recover_ecdsa(&Message::from_digest(digest.0), &signature).ok()
    }

    /// Whether a known key made it. Twice as fast as [`Parts::recover`], and says nothing of v: see [`Parts::with_recovery_of`].
    #[must_use]
    pub fn is_by(&self, digest: B256, key: &PublicKey) -> bool {
        let Ok(signature) = Signature::from_compact(&self.compact) else { return false };
        SECP256K1.verify_ecdsa(&Message::from_digest(digest.0), &signature, key).is_ok()
    }

    /// The key of the account, if that made it. `known` spares finding it.
    #[must_use]
    pub fn key_of(&self, digest: B256, account: Address, known: Option<PublicKey>) -> Option<PublicKey> {
        match known {
            Some(key) => Some(key).filter(|key| self.is_by(digest, key)),
            None => self.recover(digest).filter(|key| address(key) == account),
        }
    }

    /// With the v by which a contract finds the account; none if neither leads to it.
    #[must_use]
    pub fn with_recovery_of(self, digest: B256, account: Address) -> Option<Self> {
        let ids = [0, 1].map(|id| RecoveryId::from_i32(id).expect("0 and 1 are recovery ids"));
        let both = ids.map(|recovery| Self { recovery, ..self });
        both.into_iter().find(|parts| parts.recover(digest).is_some_and(|key| address(&key) == account))
    }

    /// The 65 bytes.
    #[must_use]
    pub fn join(&self) -> Bytes {
        let v = if self.recovery.to_i32() & 1 == 0 { 27 } else { 28 };
        Bytes::from_iter(self.compact.iter().copied().chain([v]))
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::U256;

    use super::*;

    fn secret() -> SecretKey {
        SecretKey::from_slice(&[7; 32]).expect("a key")
    }

    /// The same signature with order - s.
    fn upper(signature: &[u8]) -> Vec<u8> {
        let order = b256!("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141");
        let s = U256::from_be_slice(&signature[32..64]);
        let mut upper = signature.to_vec();
        upper[32..64].copy_from_slice(&(U256::from_be_bytes(order.0) - s).to_be_bytes::<32>());
        upper[64] = 55 - upper[64];
        upper
    }

    #[test]
    fn the_signer_is_found_and_a_changed_digest_or_byte_leads_elsewhere_or_nowhere() {
        let me = address_of(&secret());
        let digest = B256::repeat_byte(3);
        let signature = sign(digest, &secret());
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
    fn one_signature_has_one_form_and_each_other_is_refused_by_its_own_name() {
        let digest = B256::repeat_byte(3);
        let signature = sign(digest, &secret());
        assert_eq!(Parts::of(&upper(&signature)), Err(BadForm::UpperS));
        assert_eq!(Parts::of(&signature[..64]), Err(BadForm::Length { got: 64 }));
        let mut wrong = signature.to_vec();
        wrong[64] = 0;
        assert_eq!(Parts::of(&wrong), Err(BadForm::Recovery { got: 0 }));
        let mut small = signature.to_vec();
        small[..15].fill(0);
        assert_eq!(Parts::of(&small), Err(BadForm::Range));
    }

    #[test]
    fn a_known_key_verifies_without_v_and_v_is_found_afterwards() {
        let digest = B256::repeat_byte(3);
        let key = PublicKey::from_secret_key(SECP256K1, &secret());
        let right = Parts::of(&sign(digest, &secret())).unwrap();
        let mut turned = right.join().to_vec();
        turned[64] = 55 - turned[64];
        let turned = Parts::of(&turned).unwrap();
        assert!(right.is_by(digest, &key) && turned.is_by(digest, &key));
        assert_eq!(turned.with_recovery_of(digest, address(&key)), Some(right));
        assert_eq!(turned.with_recovery_of(digest, Address::ZERO), None);
    }
}
