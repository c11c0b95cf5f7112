//! Certificates: their encoding, and whether a quorum signed one.

use alloy_consensus::Header;
use alloy_primitives::B256;
use blst::{
    BLST_ERROR,
    min_sig::{AggregatePublicKey, PublicKey, Signature},
};

use super::{
    encoding::{Reader, SIGNATURE_BYTES, framed, write_varint},
    error::{FinalityError, MAX_VALIDATORS},
    validators::Validators,
};

/// Domain of votes: draft-irtf-cfrg-bls-signature-05, section 4.2.3, minimal-signature-size with proof of possession.
const MESSAGE_DST: &[u8] = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_";

/// What the engine appends to a network's namespace for votes that finalize.
const FINALIZE_SUFFIX: &[u8] = b"_FINALIZE";

/// A decoded certificate. Decoding checks its form only; [`verify`] checks what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    pub epoch: u64,
    /// Round of the engine in which the block was proposed.
    pub view: u64,
    /// Round in which the block's parent was proposed.
    pub parent_view: u64,
    /// Hash of the header that was signed.
    pub hash: B256,
    /// One flag for each validator, in the order of their p2p keys.
    pub signers: Vec<bool>,
    /// Aggregate of the signers' signatures (compressed point of G1).
    pub signature: [u8; SIGNATURE_BYTES],
}

impl Certificate {
    /// Reads a certificate as the node stores and serves it.
    ///
    /// # Errors
    ///
    /// `Truncated`, `TrailingBytes`, `BadVarint`, `UnknownSigner`, or `WrongValidatorCount` when it claims more than [`MAX_VALIDATORS`].
    pub fn decode(bytes: &[u8]) -> Result<Self, FinalityError> {
        let mut reader = Reader { bytes, at: 0 };
        let epoch = reader.varint()?;
        let view = reader.varint()?;
        let parent_view = reader.varint()?;
        let hash = B256::from(reader.array::<32>()?);
        let count = u64::from_be_bytes(reader.array::<8>()?);
        let too_many = FinalityError::WrongValidatorCount { got: count, want: MAX_VALIDATORS };
        let count = usize::try_from(count).map_err(|_| too_many.clone())?;
        if count > MAX_VALIDATORS {
            return Err(too_many);
        }
        let bitmap = reader.take(count.div_ceil(8))?;
        let bit = |i: usize| bitmap[i / 8] >> (i % 8) & 1 == 1;
        if (count..bitmap.len() * 8).any(bit) {
            return Err(FinalityError::UnknownSigner);
        }
        let signers = (0..count).map(bit).collect();
        let signature = reader.array::<SIGNATURE_BYTES>()?;
        match bytes.len() - reader.at {
            0 => Ok(Self { epoch, view, parent_view, hash, signers, signature }),
            extra => Err(FinalityError::TrailingBytes { extra }),
        }
    }

    /// The inverse of [`Self::decode`].
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = self.message();
        bytes.extend_from_slice(&(self.signers.len() as u64).to_be_bytes());
        let mut bitmap = vec![0u8; self.signers.len().div_ceil(8)];
        for (index, _) in self.signers.iter().enumerate().filter(|(_, signed)| **signed) {
            bitmap[index / 8] |= 1 << (index % 8);
        }
        bytes.extend_from_slice(&bitmap);
        bytes.extend_from_slice(&self.signature);
        bytes
    }

    /// What each signer signed: the first line of the module's picture.
    fn message(&self) -> Vec<u8> {
        let mut message = Vec::with_capacity(64);
        for number in [self.epoch, self.view, self.parent_view] {
            write_varint(number, &mut message);
        }
        message.extend_from_slice(self.hash.as_slice());
        message
    }
}

/// Checks that `certificate` makes the block with header hash `hash` final.
///
/// # Errors
///
/// Those of [`Certificate::decode`], `WrongValidatorCount`, `NoQuorum`, `WrongBlock`, `BadSignature`.
pub fn verify(certificate: &[u8], validators: &Validators, hash: B256) -> Result<Certificate, FinalityError> {
    let certificate = Certificate::decode(certificate)?;
    if certificate.hash != hash {
        return Err(FinalityError::WrongBlock { got: certificate.hash, want: hash });
    }
    let want = validators.len();
    if certificate.signers.len() != want {
        return Err(FinalityError::WrongValidatorCount { got: certificate.signers.len() as u64, want });
    }
    let signers: Vec<&PublicKey> =
        validators.keys.iter().zip(&certificate.signers).filter(|(_, signed)| **signed).map(|(key, _)| key).collect();
    if signers.len() < validators.quorum() {
        return Err(FinalityError::NoQuorum { got: signers.len(), want: validators.quorum() });
    }

    // The keys were validated when `Validators` was made, so their sum needs no check of its own.
    let key = AggregatePublicKey::aggregate(&signers, false).map_err(|_| FinalityError::BadSignature)?.to_public_key();
    let signature = Signature::sig_validate(&certificate.signature, true).map_err(|_| FinalityError::BadSignature)?;
    let message = framed(&validators.namespace, &[FINALIZE_SUFFIX], &certificate.message());
    match signature.verify(false, &message, MESSAGE_DST, &[], &key, false) {
        BLST_ERROR::BLST_SUCCESS => Ok(certificate),
        _ => Err(FinalityError::BadSignature),
    }
}

/// Checks that `header` is final: `certificate` signs it, or the last of `descendants`, which lead from it by their parent hashes.
///
/// # Errors
///
/// `Unlinked`, and those of [`verify`].
pub fn verify_linked(
    header: &Header,
    descendants: &[Header],
    certificate: &[u8],
    validators: &Validators,
) -> Result<Certificate, FinalityError> {
    let mut number = header.number;
    let mut hash = header.hash_slow();
    for next in descendants {
        if next.parent_hash != hash || next.number != number + 1 {
            return Err(FinalityError::Unlinked { number: next.number, got: next.parent_hash, want: hash });
        }
        number = next.number;
        hash = next.hash_slow();
    }
    verify(certificate, validators, hash)
}

/// Makes a certificate of round `view` as validators do together: `secrets` are of all of them, in the order of their p2p
/// keys, `signers` are positions in it. For tests, also of what must be refused.
#[cfg(any(test, feature = "testing"))]
#[must_use]
pub fn certify(
    network: B256,
    secrets: &[blst::min_sig::SecretKey],
    signers: &[usize],
    view: u64,
    hash: B256,
) -> Vec<u8> {
    let mut certificate = Certificate {
        epoch: 0,
        view,
        parent_view: view - 1,
        hash,
        signers: (0..secrets.len()).map(|i| signers.contains(&i)).collect(),
        signature: [0; SIGNATURE_BYTES],
    };
    let message = framed(&super::validators::namespace(network), &[FINALIZE_SUFFIX], &certificate.message());
    let signatures: Vec<Signature> = signers.iter().map(|i| secrets[*i].sign(&message, MESSAGE_DST, &[])).collect();
    let signatures: Vec<&Signature> = signatures.iter().collect();
    let aggregate = blst::min_sig::AggregateSignature::aggregate(&signatures, true);
    certificate.signature = aggregate.expect("signatures of our own").to_signature().compress();
    certificate.encode()
}
