//! The threshold key, behind functions of bytes: FROST (RFC 9591) with BIP340 signatures, as `frost-secp256k1-tr` makes it.
//!
//! A [`KeyShare`] is one member's share of the group key of an epoch. For each input it is tweaked by the root of the
//! output's script tree (BIP341), which gives an [`InputKey`]: commit, sign, check a share, aggregate. Whatever leaves
//! [`InputKey::aggregate`] was verified by libsecp256k1 against the output key, so a fault of the threshold code cannot
//! put a wrong signature into a transaction.

use std::collections::BTreeMap;

use bitcoin::XOnlyPublicKey;
use frost_secp256k1_tr::keys::{EvenY, KeyPackage, PublicKeyPackage, Tweak};
use frost_secp256k1_tr::round1::{NonceCommitment, SigningCommitments, SigningNonces};
use frost_secp256k1_tr::round2::SignatureShare;
use frost_secp256k1_tr::{Identifier, Secp256K1Sha256TR, SigningPackage};
use rand::{CryptoRng, RngCore};
use secp256k1::{Message, SECP256K1, schnorr};
use zeroize::Zeroizing;

/// Bytes of one input's nonce commitments: two compressed points.
pub const COMMITMENT_LEN: usize = 66;
/// Bytes of one input's signature share: a scalar.
pub const SHARE_LEN: usize = 32;
/// Bytes of one input's secret nonces: two scalars.
pub const NONCES_LEN: usize = 64;

/// Layout of [`KeyShare::to_bytes`].
const KEY_SHARE_VERSION: u8 = 1;

type Nonce = frost_core::round1::Nonce<Secp256K1Sha256TR>;

/// Nonce commitments of one member for one input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commitment(SigningCommitments);

/// Secret nonces of one member for one input; wiped when dropped. Use once.
#[derive(Clone, Debug)]
pub struct Nonces(SigningNonces);

/// A signature share of one member for one input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share(SignatureShare);

/// Why something of the threshold key is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ThresholdError {
    /// Not the encoding it should be.
    #[error("{what}: {why}")]
    Encoding {
        /// The kind of value that was read.
        what: &'static str,
        /// The decoder's reason.
        why: String,
    },
    /// A key share whose parts contradict each other.
    #[error("the key share contradicts itself: {0}")]
    Inconsistent(&'static str),
    /// The threshold code refused, with its reason.
    #[error("{0}")]
    Frost(String),
    /// Shares that all looked right added up to a wrong signature.
    #[error("the aggregated signature does not verify against output key {0}")]
    Signature(XOnlyPublicKey),
}

fn frost(error: frost_secp256k1_tr::Error) -> ThresholdError {
    ThresholdError::Frost(error.to_string())
}

fn encoding(what: &'static str) -> impl Fn(frost_secp256k1_tr::Error) -> ThresholdError {
    move |error| ThresholdError::Encoding { what, why: error.to_string() }
}

/// One member's share of the group key of an epoch, with everything public about the key.
///
/// The group key always has an even y, so that its x coordinate alone is the key (BIP340).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyShare {
    epoch: u32,
    index: u16,
    key: KeyPackage,
    public: PublicKeyPackage,
}

impl KeyShare {
    pub(crate) fn new(epoch: u32, index: u16, key: KeyPackage, public: PublicKeyPackage) -> Self {
        Self { epoch, index, key: key.into_even_y(None), public: public.into_even_y(None) }
    }

    /// The epoch whose key this is a share of.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// The member that holds it, 1 to n.
    pub fn index(&self) -> u16 {
        self.index
    }

    /// Members needed to sign.
    pub fn threshold(&self) -> u16 {
        *self.key.min_signers()
    }

    /// Members that hold a share.
    pub fn members(&self) -> u16 {
        u16::try_from(self.public.verifying_shares().len()).expect("identifiers are made from u16")
    }

    /// The group key: internal key of every deposit and vault output of the epoch.
    pub fn group_key(&self) -> XOnlyPublicKey {
        x_only(&self.public)
    }

    /// A member's public share as a compressed point.
    pub fn public_share(&self, member: u16) -> Option<[u8; 33]> {
        let share = self.public.verifying_shares().get(&identifier(member)?)?;
        share.serialize().ok()?.try_into().ok()
    }

    /// Everything, for storage. Secret: encrypt it.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let key = Zeroizing::new(self.key.serialize().expect("a key package always serializes"));
        let public = self.public.serialize().expect("a public key package always serializes");
        let mut bytes = Zeroizing::new(Vec::with_capacity(11 + key.len() + public.len()));
        bytes.push(KEY_SHARE_VERSION);
        bytes.extend_from_slice(&self.epoch.to_be_bytes());
        bytes.extend_from_slice(&self.index.to_be_bytes());
        bytes.extend_from_slice(&u32::try_from(key.len()).expect("a key package has some hundred bytes").to_be_bytes());
        bytes.extend_from_slice(&key);
        bytes.extend_from_slice(&public);
        bytes
    }

    /// Reads what [`KeyShare::to_bytes`] wrote and checks that its parts belong together.
    ///
    /// # Errors
    ///
    /// When the bytes are damaged, of another version, or the secret is not that of the public share.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ThresholdError> {
        let damaged = |why: &str| ThresholdError::Encoding { what: "key share", why: why.to_owned() };
        let (header, rest) = bytes.split_at_checked(11).ok_or_else(|| damaged("too short"))?;
        if header[0] != KEY_SHARE_VERSION {
            return Err(damaged(&format!("version {}, expected {KEY_SHARE_VERSION}", header[0])));
        }
        let epoch = u32::from_be_bytes(header[1..5].try_into().expect("four bytes"));
        let index = u16::from_be_bytes(header[5..7].try_into().expect("two bytes"));
        let key_len = u32::from_be_bytes(header[7..11].try_into().expect("four bytes"));
        let (key, public) = rest.split_at_checked(key_len as usize).ok_or_else(|| damaged("too short"))?;
        let key = KeyPackage::deserialize(key).map_err(encoding("key share"))?;
        let public = PublicKeyPackage::deserialize(public).map_err(encoding("public key package"))?;
        Self { epoch, index, key, public }.checked()
    }

    fn checked(self) -> Result<Self, ThresholdError> {
        if identifier(self.index) != Some(*self.key.identifier()) {
            return Err(ThresholdError::Inconsistent("its index is not the identifier of its secret"));
        }
        if self.key.verifying_key() != self.public.verifying_key() {
            return Err(ThresholdError::Inconsistent("its two group keys differ"));
        }
        let from_secret = frost_secp256k1_tr::keys::VerifyingShare::from(*self.key.signing_share());
        if self.public.verifying_shares().get(self.key.identifier()) != Some(&from_secret) {
            return Err(ThresholdError::Inconsistent("its secret is not that of its public share"));
        }
        if !self.key.has_even_y() {
            return Err(ThresholdError::Inconsistent("the group key has an odd y"));
        }
        Ok(self)
    }

    /// Fresh nonces for any one input of this key, hedged with the secret share against weak randomness (RFC 9591, section 4.1).
    pub fn commit<R: RngCore + CryptoRng>(&self, rng: &mut R) -> Nonces {
        Nonces(SigningNonces::new(self.key.signing_share(), rng))
    }

    /// The key of one output: the group key tweaked by the root of the output's script tree (BIP341).
    pub fn for_input(&self, merkle_root: &[u8; 32]) -> InputKey {
        let public = self.public.clone().tweak(Some(merkle_root));
        let output_key = x_only(&public);
        InputKey { index: self.index, key: self.key.clone().tweak(Some(merkle_root)), public, output_key }
    }
}

/// One member's share of one output's key.
#[derive(Clone, Debug)]
pub struct InputKey {
    index: u16,
    key: KeyPackage,
    public: PublicKeyPackage,
    output_key: XOnlyPublicKey,
}

impl InputKey {
    /// The key the output pays to.
    pub fn output_key(&self) -> XOnlyPublicKey {
        self.output_key
    }

    /// Fresh nonces, hedged with the secret share against weak randomness (RFC 9591, section 4.1).
    pub fn commit<R: RngCore + CryptoRng>(&self, rng: &mut R) -> Nonces {
        Nonces(SigningNonces::new(self.key.signing_share(), rng))
    }

    /// This member's share of the signature over `sighash` by the members of `set`, which includes it.
    ///
    /// # Errors
    ///
    /// When the nonces do not belong to this member's commitment, or the set is smaller than the threshold.
    pub fn sign(
        &self,
        sighash: &[u8; 32],
        set: &BTreeMap<u16, Commitment>,
        nonces: &Nonces,
    ) -> Result<Share, ThresholdError> {
        let package = signing_package(sighash, set);
        frost_secp256k1_tr::round2::sign(&package, &nonces.0, &self.key).map(Share).map_err(frost)
    }

    /// Whether a member's share fits its commitment and its public share (RFC 9591, section 5.4).
    pub fn share_is_valid(
        &self,
        sighash: &[u8; 32],
        set: &BTreeMap<u16, Commitment>,
        member: u16,
        share: &Share,
    ) -> bool {
        let Some(id) = identifier(member) else {
            return false;
        };
        let Some(public_share) = self.public.verifying_shares().get(&id) else {
            return false;
        };
        let package = signing_package(sighash, set);
        frost_core::verify_signature_share(id, public_share, &share.0, &package, self.public.verifying_key()).is_ok()
    }

    /// The signature: valid under the output key, checked by libsecp256k1.
    ///
    /// # Errors
    ///
    /// When a share is wrong or missing.
    pub fn aggregate(
        &self,
        sighash: &[u8; 32],
        set: &BTreeMap<u16, Commitment>,
        shares: &BTreeMap<u16, Share>,
    ) -> Result<schnorr::Signature, ThresholdError> {
        let package = signing_package(sighash, set);
        let shares = shares.iter().filter_map(|(member, share)| Some((identifier(*member)?, share.0))).collect();
        let signature = frost_secp256k1_tr::aggregate(&package, &shares, &self.public).map_err(frost)?;
        let bytes = signature.serialize().map_err(frost)?;
        let signature =
            schnorr::Signature::from_slice(&bytes).map_err(|_| ThresholdError::Signature(self.output_key))?;
        SECP256K1
            .verify_schnorr(&signature, &Message::from_digest(*sighash), &self.output_key)
            .map_err(|_| ThresholdError::Signature(self.output_key))?;
        Ok(signature)
    }

    /// The member whose share this is.
    pub fn index(&self) -> u16 {
        self.index
    }
}

impl Commitment {
    /// Hiding and binding commitment, as compressed points.
    pub fn to_bytes(&self) -> [u8; COMMITMENT_LEN] {
        let point =
            |commitment: &NonceCommitment| commitment.serialize().expect("a commitment is never the point at infinity");
        let bytes = [point(self.0.hiding()), point(self.0.binding())].concat();
        bytes.try_into().expect("two compressed points")
    }

    /// Reads what [`Commitment::to_bytes`] wrote.
    ///
    /// # Errors
    ///
    /// When a half is not a point of the curve, or the point at infinity.
    pub fn from_bytes(bytes: &[u8; COMMITMENT_LEN]) -> Result<Self, ThresholdError> {
        let point = |half: &[u8]| NonceCommitment::deserialize(half).map_err(encoding("nonce commitment"));
        Ok(Self(SigningCommitments::new(point(&bytes[..33])?, point(&bytes[33..])?)))
    }
}

impl Nonces {
    /// The public half, to publish before signing.
    pub fn commitment(&self) -> Commitment {
        Commitment(*self.0.commitments())
    }

    /// Both nonces, for storage until the share is made. Secret.
    pub fn to_bytes(&self) -> Zeroizing<[u8; NONCES_LEN]> {
        let halves = Zeroizing::new([self.0.hiding().serialize(), self.0.binding().serialize()].concat());
        Zeroizing::new(halves.as_slice().try_into().expect("two scalars"))
    }

    /// Reads what [`Nonces::to_bytes`] wrote.
    ///
    /// # Errors
    ///
    /// When a half is not a scalar.
    pub fn from_bytes(bytes: &[u8; NONCES_LEN]) -> Result<Self, ThresholdError> {
        let nonce = |half: &[u8]| Nonce::deserialize(half).map_err(encoding("nonce"));
        Ok(Self(SigningNonces::from_nonces(nonce(&bytes[..32])?, nonce(&bytes[32..])?)))
    }
}

impl Share {
    /// The share's scalar.
    pub fn to_bytes(&self) -> [u8; SHARE_LEN] {
        self.0.serialize().try_into().expect("a scalar")
    }

    /// Reads what [`Share::to_bytes`] wrote.
    ///
    /// # Errors
    ///
    /// When it is not below the group order.
    pub fn from_bytes(bytes: &[u8; SHARE_LEN]) -> Result<Self, ThresholdError> {
        SignatureShare::deserialize(bytes).map(Self).map_err(encoding("signature share"))
    }
}

/// A member's FROST identifier; none for 0, as members count from 1.
pub(crate) fn identifier(member: u16) -> Option<Identifier> {
    Identifier::try_from(member).ok()
}

fn signing_package(sighash: &[u8; 32], set: &BTreeMap<u16, Commitment>) -> SigningPackage {
    let commitments =
        set.iter().filter_map(|(member, commitment)| Some((identifier(*member)?, commitment.0))).collect();
    SigningPackage::new(commitments, sighash)
}

fn x_only(public: &PublicKeyPackage) -> XOnlyPublicKey {
    let point = public.verifying_key().serialize().expect("a group key is never the point at infinity");
    XOnlyPublicKey::from_slice(&point[1..]).expect("the x coordinate of a point")
}

/// Shares made by one trusted dealer, for tests and benchmarks that are not about key generation.
#[doc(hidden)]
pub fn deal<R: RngCore + CryptoRng>(epoch: u32, threshold: u16, members: u16, rng: &mut R) -> Vec<KeyShare> {
    use frost_secp256k1_tr::keys::{IdentifierList, generate_with_dealer};
    let (shares, public) =
        generate_with_dealer(members, threshold, IdentifierList::Default, &mut *rng).expect("a sound threshold");
    (1..=members)
        .map(|index| {
            let share = shares[&identifier(index).expect("a member")].clone();
            KeyShare::new(epoch, index, KeyPackage::try_from(share).expect("an honest dealer"), public.clone())
        })
        .collect()
}
