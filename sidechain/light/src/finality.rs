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

use std::collections::BTreeSet;

use alloy_consensus::Header;
use alloy_primitives::B256;
use blst::{
    BLST_ERROR,
    min_sig::{AggregatePublicKey, PublicKey, Signature},
};

/// Bytes of a validator's BLS public key (compressed point of G2).
pub const PUBLIC_KEY_BYTES: usize = 96;

/// Bytes of a BLS signature (compressed point of G1).
pub const SIGNATURE_BYTES: usize = 48;

/// Validators that one network can have: the bound that decoding a certificate enforces before it allocates.
pub const MAX_VALIDATORS: usize = 256;

/// Domain of votes: draft-irtf-cfrg-bls-signature-05, section 4.2.3, minimal-signature-size with proof of possession.
const MESSAGE_DST: &[u8] = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_";

/// Domain of proofs of possession, of the same section.
const POSSESSION_DST: &[u8] = b"BLS_POP_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_";

/// What a proof of possession signs before the key itself. It names no chain: keys are made before there is a genesis.
const POSSESSION_NAMESPACE: &[u8] = b"causeway/possession";

/// What the engine appends to a network's namespace for votes that finalize.
const FINALIZE_SUFFIX: &[u8] = b"_FINALIZE";

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

/// The validators of a network, and what their signatures mean there.
#[derive(Clone, Debug)]
pub struct Validators {
    /// In the order of their p2p keys.
    keys: Vec<PublicKey>,
    namespace: Vec<u8>,
}

impl Validators {
    /// The validators of chain `chain_id`: for each its p2p key (ed25519) and its BLS key, in any order.
    ///
    /// # Errors
    ///
    /// `BadKey` (with the position in `members`), `DuplicateKey`, `BadValidatorCount`. Proofs of possession are not looked at here.
    pub fn new(
        chain_id: u64,
        members: impl IntoIterator<Item = ([u8; 32], [u8; PUBLIC_KEY_BYTES])>,
    ) -> Result<Self, FinalityError> {
        let mut ordered = Vec::new();
        for (index, (p2p, key)) in members.into_iter().enumerate() {
            let point = PublicKey::key_validate(&key).map_err(|_| FinalityError::BadKey { index })?;
            ordered.push((p2p, key, point));
        }
        if ordered.is_empty() || ordered.len() > MAX_VALIDATORS {
            return Err(FinalityError::BadValidatorCount { got: ordered.len() });
        }
        let p2p: BTreeSet<_> = ordered.iter().map(|(p2p, _, _)| *p2p).collect();
        let bls: BTreeSet<_> = ordered.iter().map(|(_, key, _)| *key).collect();
        if p2p.len() != ordered.len() || bls.len() != ordered.len() {
            return Err(FinalityError::DuplicateKey);
        }
        ordered.sort_unstable_by_key(|(p2p, _, _)| *p2p);
        Ok(Self { keys: ordered.into_iter().map(|(_, _, point)| point).collect(), namespace: namespace(chain_id) })
    }

    /// How many validators there are.
    #[must_use]
    #[allow(clippy::len_without_is_empty)] // never empty
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Signers that a certificate needs: all but f, where f = (n - 1) / 3 may be faulty.
    #[must_use]
    pub fn quorum(&self) -> usize {
        self.keys.len() - (self.keys.len() - 1) / 3
    }
}

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

/// Makes a certificate of round `view` as validators do together: `secrets` are of all of them, in the order of their p2p
/// keys, `signers` are positions in it. For tests, also of what must be refused.
#[cfg(any(test, feature = "testing"))]
#[must_use]
pub fn certify(
    chain_id: u64,
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
    let message = framed(&namespace(chain_id), &[FINALIZE_SUFFIX], &certificate.message());
    let signatures: Vec<Signature> = signers.iter().map(|i| secrets[*i].sign(&message, MESSAGE_DST, &[])).collect();
    let signatures: Vec<&Signature> = signatures.iter().collect();
    let aggregate = blst::min_sig::AggregateSignature::aggregate(&signatures, true);
    certificate.signature = aggregate.expect("signatures of our own").to_signature().compress();
    certificate.encode()
}

/// What separates the votes of one chain from those of all others.
#[must_use]
pub fn namespace(chain_id: u64) -> Vec<u8> {
    format!("causeway/{chain_id}").into_bytes()
}

fn possession_message(public_key: &[u8; PUBLIC_KEY_BYTES]) -> Vec<u8> {
    framed(POSSESSION_NAMESPACE, &[], public_key)
}

/// `message` behind its namespace, whose length comes first so that no two pairs give the same bytes.
fn framed(namespace: &[u8], suffix: &[&[u8]], message: &[u8]) -> Vec<u8> {
    let namespace = [&[namespace], suffix].concat().concat();
    let mut bytes = Vec::with_capacity(namespace.len() + message.len() + 2);
    write_varint(namespace.len() as u64, &mut bytes);
    bytes.extend_from_slice(&namespace);
    bytes.extend_from_slice(message);
    bytes
}

/// LEB128, as in Protocol Buffers.
fn write_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], FinalityError> {
        let end = self.at + count;
        let part = self.bytes.get(self.at..end).ok_or(FinalityError::Truncated { got: self.bytes.len() })?;
        self.at = end;
        Ok(part)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], FinalityError> {
        Ok(self.take(N)?.try_into().expect("take returns as many bytes as asked for"))
    }

    fn varint(&mut self) -> Result<u64, FinalityError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array::<1>()?;
            let bits = u64::from(byte & 0x7f);
            // The tenth byte holds one bit; a last byte of zero would be a longer form of a shorter number.
            if (shift == 63 && bits > 1) || (shift > 0 && byte == 0) {
                return Err(FinalityError::BadVarint);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(FinalityError::BadVarint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::hex;
    use blst::min_sig::SecretKey;
    use proptest::prelude::*;

    fn secrets(count: u8) -> Vec<SecretKey> {
        (0..count).map(|i| SecretKey::key_gen(&[i + 1; 32], &[]).expect("32 bytes are enough")).collect()
    }

    /// Validator i has p2p key [i; 32], so that positions and bits agree.
    fn validators(secrets: &[SecretKey]) -> Validators {
        let members = secrets.iter().enumerate().map(|(i, secret)| ([i as u8; 32], secret.sk_to_pk().compress()));
        Validators::new(51717, members).expect("valid keys")
    }

    fn certify(secrets: &[SecretKey], signers: &[usize], hash: B256) -> Vec<u8> {
        super::certify(51717, secrets, signers, 129, hash)
    }

    #[test]
    fn a_quorum_makes_a_block_final_and_nothing_less_does() {
        let (secrets, hash) = (secrets(4), B256::repeat_byte(7));
        let validators = validators(&secrets);
        for signers in [&[0, 1, 2][..], &[1, 2, 3], &[0, 1, 2, 3]] {
            let certificate = verify(&certify(&secrets, signers, hash), &validators, hash).expect("a quorum");
            assert_eq!((certificate.view, certificate.parent_view), (129, 128));
        }
        assert_eq!(
            verify(&certify(&secrets, &[0, 3], hash), &validators, hash),
            Err(FinalityError::NoQuorum { got: 2, want: 3 })
        );
        let other = B256::repeat_byte(8);
        assert_eq!(
            verify(&certify(&secrets, &[0, 1, 2], hash), &validators, other),
            Err(FinalityError::WrongBlock { got: hash, want: other })
        );
    }

    #[test]
    fn a_changed_signer_set_or_block_breaks_the_signature() {
        let (secrets, hash) = (secrets(4), B256::repeat_byte(7));
        let validators = validators(&secrets);
        let good = certify(&secrets, &[0, 1, 2], hash);
        let bitmap_at = good.len() - SIGNATURE_BYTES - 1;
        let mut other_signers = good.clone();
        other_signers[bitmap_at] = 0b1011;
        assert_eq!(verify(&other_signers, &validators, hash), Err(FinalityError::BadSignature));
        let mut one_more = good.clone();
        one_more[bitmap_at] = 0b1111;
        assert_eq!(verify(&one_more, &validators, hash), Err(FinalityError::BadSignature));
        let mut fifth = good.clone();
        fifth[bitmap_at] |= 0b1_0000;
        assert_eq!(verify(&fifth, &validators, hash), Err(FinalityError::UnknownSigner));
        let mut other_block = good.clone();
        other_block[5..37].copy_from_slice(&[9; 32]);
        assert_eq!(verify(&other_block, &validators, B256::repeat_byte(9)), Err(FinalityError::BadSignature));
        let mut other_round = good;
        other_round[1] = 0x82;
        assert_eq!(verify(&other_round, &validators, hash), Err(FinalityError::BadSignature));
    }

    #[test]
    fn votes_of_another_chain_do_not_count() {
        let (secrets, hash) = (secrets(4), B256::repeat_byte(7));
        let members = secrets.iter().enumerate().map(|(i, s)| ([i as u8; 32], s.sk_to_pk().compress()));
        let elsewhere = Validators::new(51718, members).expect("valid keys");
        assert_eq!(verify(&certify(&secrets, &[0, 1, 2], hash), &elsewhere, hash), Err(FinalityError::BadSignature));
    }

    // 5 <- 6 <- 7, the certificate signs 7
    #[test]
    fn a_descendant_makes_its_ancestors_final() {
        let secrets = secrets(4);
        let validators = validators(&secrets);
        let child = |parent: &Header| Header {
            number: parent.number + 1,
            parent_hash: parent.hash_slow(),
            ..Header::default()
        };
        let five = Header { number: 5, ..Header::default() };
        let six = child(&five);
        let seven = child(&six);
        let certificate = certify(&secrets, &[0, 2, 3], seven.hash_slow());
        verify_linked(&five, &[six.clone(), seven.clone()], &certificate, &validators).expect("linked");
        verify_linked(&seven, &[], &certificate, &validators).expect("itself");
        assert!(matches!(
            verify_linked(&five, std::slice::from_ref(&seven), &certificate, &validators),
            Err(FinalityError::Unlinked { number: 7, .. })
        ));
        assert!(matches!(
            verify_linked(&five, &[six], &certificate, &validators),
            Err(FinalityError::WrongBlock { .. })
        ));
    }

    #[test]
    fn a_proof_of_possession_is_for_one_key() {
        let secrets = secrets(2);
        let proof = prove_possession(&secrets[0]);
        verify_possession(&secrets[0].sk_to_pk().compress(), &proof).expect("its own key");
        assert_eq!(verify_possession(&secrets[1].sk_to_pk().compress(), &proof), Err(FinalityError::BadPossession));
        assert_eq!(verify_possession(&[0; 96], &proof), Err(FinalityError::BadKey { index: 0 }));
    }

    #[test]
    fn validators_are_distinct_and_valid() {
        let key = secrets(1)[0].sk_to_pk().compress();
        let other = secrets(2)[1].sk_to_pk().compress();
        let new = |members: &[([u8; 32], [u8; 96])]| Validators::new(1, members.to_vec()).map(|_| ());
        assert_eq!(new(&[([1; 32], key), ([2; 32], key)]), Err(FinalityError::DuplicateKey));
        assert_eq!(new(&[([1; 32], key), ([1; 32], other)]), Err(FinalityError::DuplicateKey));
        assert_eq!(new(&[([1; 32], key), ([2; 32], [1; 96])]), Err(FinalityError::BadKey { index: 1 }));
        assert_eq!(new(&[]), Err(FinalityError::BadValidatorCount { got: 0 }));
    }

    #[test]
    fn the_quorum_is_all_but_a_third() {
        let quorums = [(1, 1), (2, 2), (3, 3), (4, 3), (5, 4), (6, 5), (7, 5), (10, 7)];
        for (count, quorum) in quorums {
            assert_eq!(validators(&secrets(count)).quorum(), quorum, "of {count}");
        }
    }

    /// Made by the engine among four validators with the BLS secrets 0x0101.., 0x0202.., 0x0303.., 0x0404.. (their p2p keys
    /// are the ed25519 keys of the same seeds): block 3 of a simulated network on chain 51717, signed by all but one.
    const ENGINES_HASH: [u8; 32] = hex!("4835732fea3dff624ea7d50232d9b1b4386d91251e2516c4535d6338e65a253b");
    const ENGINES_CERTIFICATE: &[u8] = &hex!(
        "000403" "4835732fea3dff624ea7d50232d9b1b4386d91251e2516c4535d6338e65a253b"
        "0000000000000004" "0b"
        "a2d7c3ab9677bcd01207a7712e33578c9dcff6346ee571a1d8a34f2cca02de5a746e05a4e6f35b387f674c17abf24a6d"
    );
    const ENGINES_P2P_KEYS: [[u8; 32]; 4] = [
        hex!("8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c"),
        hex!("8139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394"),
        hex!("ed4928c628d1c2c6eae90338905995612959273a5c63f93636c14614ac8737d1"),
        hex!("ca93ac1705187071d67b83c7ff0efe8108e8ec4530575d7726879333dbdabe7c"),
    ];

    #[test]
    fn certificates_of_the_engine_stay_valid() {
        let members = (1..=4u8).map(|i| {
            let secret = SecretKey::from_bytes(&[i; 32]).expect("below the group's order");
            (ENGINES_P2P_KEYS[usize::from(i) - 1], secret.sk_to_pk().compress())
        });
        let validators = Validators::new(51717, members).expect("valid keys");
        let hash = B256::from(ENGINES_HASH);
        let certificate = verify(ENGINES_CERTIFICATE, &validators, hash).expect("made by the engine");
        assert_eq!((certificate.epoch, certificate.view, certificate.parent_view), (0, 4, 3));
        assert_eq!(certificate.signers, [true, true, false, true]);
        assert_eq!(certificate.encode(), ENGINES_CERTIFICATE);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Certificate::decode(&bytes);
        }

        #[test]
        fn what_decodes_encodes_to_the_same(
            signers in proptest::collection::vec(any::<bool>(), 0..30), view in 1..u64::MAX,
        ) {
            let certificate = Certificate {
                epoch: 0,
                view,
                parent_view: view - 1,
                hash: B256::repeat_byte(3),
                signers,
                signature: [5; SIGNATURE_BYTES],
            };
            prop_assert_eq!(Certificate::decode(&certificate.encode()), Ok(certificate));
        }

        #[test]
        fn varints_are_read_as_written(value in any::<u64>()) {
            let mut bytes = Vec::new();
            write_varint(value, &mut bytes);
            let mut reader = Reader { bytes: &bytes, at: 0 };
            prop_assert_eq!(reader.varint(), Ok(value));
            prop_assert_eq!(reader.at, bytes.len());
        }
    }
}
