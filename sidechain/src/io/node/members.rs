//! The members of the genesis file, as engine, network and certificates want them.

use std::collections::BTreeMap;

use alloy_primitives::B256;
use light::finality::{self, FinalityError};

use super::{config::NodeConfig, error::NodeError};
use crate::{
    genesis::{Genesis, Member},
    io::consensus,
};

/// The validators in the genesis file.
pub(super) fn validators(genesis: &Genesis) -> Result<Vec<consensus::Validator>, NodeError> {
    let members = genesis.federation.validators().iter().enumerate();
    members
        .map(|(index, member)| {
            let key = member.validator_key.as_ref().try_into();
            Ok(consensus::Validator {
                p2p_key: member.p2p_key.0,
                validator_key: key.map_err(|_| FinalityError::BadKey { index })?,
                account: member.account,
            })
        })
        .collect()
}

/// The same, as certificates are checked against them.
pub(super) fn finality_keys(
    network: B256,
    validators: &[consensus::Validator],
) -> Result<finality::Validators, FinalityError> {
    let keys = validators.iter().map(|validator| (validator.p2p_key, validator.validator_key));
    finality::Validators::new(network, keys)
}

/// Where to reach each validator: the genesis file's address, or the configuration's.
pub(super) fn addresses(genesis: &Genesis, config: &NodeConfig) -> Result<BTreeMap<[u8; 32], String>, NodeError> {
    let members = &genesis.federation.members;
    if let Some(unknown) = config.peers.keys().find(|name| members.iter().all(|member| member.name != **name)) {
        return Err(NodeError::UnknownPeer(unknown.clone()));
    }
    let address = |member: &Member| config.peers.get(&member.name).unwrap_or(&member.p2p_address).clone();
    let validators = genesis.federation.validators();
    Ok(validators.iter().map(|member| (member.p2p_key.0, address(member))).collect())
}
