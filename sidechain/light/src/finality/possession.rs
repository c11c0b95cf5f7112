//! Proofs that a validator knows the secret of its key.

use blst::{
    BLST_ERROR,
    min_sig::{PublicKey, Signature},
};

use super::{
    encoding::{PUBLIC_KEY_BYTES, SIGNATURE_BYTES, framed},
    error::FinalityError,
};

/// Domain of proofs of possession, of the same section.
const POSSESSION_DST: &[u8] = b"BLS_POP_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_";

/// What a proof of possession signs before the key itself. It names no chain: keys are made before there is a genesis.
const POSSESSION_NAMESPACE: &[u8] = b"causeway/possession";

/// Checks that whoever made `proof` knows the secret of `public_key`.
///
/// # Errors
///
/// `BadKey` (index 0) or `BadPossession`.
pub fn verify_possession(
    public_key: &[u8; PUBLIC_KEY_BYTES],
    proof: &[u8; SIGNATURE_BYTES],
) -> Result<(), FinalityError> {
    let key = PublicKey::key_validate(public_key).map_err(|_| FinalityError::BadKey { index: 0 })?;
    let signature = Signature::sig_validate(proof, true).map_err(|_| FinalityError::BadPossession)?;
    match signature.verify(false, &possession_message(public_key), POSSESSION_DST, &[], &key, false) {
        BLST_ERROR::BLST_SUCCESS => Ok(()),
        _ => Err(FinalityError::BadPossession),
    }
}

/// Proves knowledge of `secret`, the BLS key whose public part is checked by [`verify_possession`].
#[must_use]
pub fn prove_possession(secret: &blst::min_sig::SecretKey) -> [u8; SIGNATURE_BYTES] {
    let message = possession_message(&secret.sk_to_pk().compress());
    secret.sign(&message, POSSESSION_DST, &[]).compress()
}

fn possession_message(public_key: &[u8; PUBLIC_KEY_BYTES]) -> Vec<u8> {
    framed(POSSESSION_NAMESPACE, &[], public_key)
}
