//! Who signs votes, and how signatures become a certificate: BLS12-381 signatures of single validators, aggregated.

use alloy_primitives::B256;
use commonware_codec::{Copying, DecodeExt as _};
use commonware_consensus::simplex::scheme::bls12381_multisig;
use commonware_cryptography::{
    bls12381::primitives::{
        group::Private,
        variant::{MinSig, Variant},
    },
    ed25519::PublicKey,
};
use commonware_utils::{TryFromIterator as _, ordered::BiMap};
use light::finality;

use super::{application::Validator, error::ConsensusError};
use crate::io::keys::ValidatorKeys;

/// The engine's signing scheme, with all validators' keys and this one's secret.
pub(super) type Scheme = bls12381_multisig::Scheme<PublicKey, MinSig>;

/// The validators' keys as the engine wants them. Their proofs of possession were checked with the genesis file.
///
/// # Errors
///
/// `BadKey`, `DuplicateKey`: the genesis file is wrong. `NotValidator`: `keys` are not of one of `validators`.
pub(super) fn signer(network: B256, validators: &[Validator], keys: &ValidatorKeys) -> Result<Scheme, ConsensusError> {
    let participants = validators
        .iter()
        .enumerate()
        .map(|(index, validator)| public_keys(validator).map_err(|_| ConsensusError::BadKey { index }));
    let participants = participants.collect::<Result<Vec<_>, _>>()?;
    let participants = BiMap::try_from_iter(participants).map_err(|_| ConsensusError::DuplicateKey)?;
    let secret = Private::decode(Copying(keys.bls_bytes())).map_err(|_| ConsensusError::NotValidator)?;
    Scheme::signer(&finality::namespace(network), participants, secret).ok_or(ConsensusError::NotValidator)
}

fn public_keys(validator: &Validator) -> Result<(PublicKey, <MinSig as Variant>::Public), commonware_codec::Error> {
    let p2p = PublicKey::decode(Copying(&validator.p2p_key))?;
    let bls = <MinSig as Variant>::Public::decode(Copying(&validator.validator_key))?;
    Ok((p2p, bls))
}
