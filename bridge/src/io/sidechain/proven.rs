//! Trust-minimised reads: facts of the sidechain for which the node that tells them need not be trusted. The node is asked,
//! [`light`] checks its answers against the validators' keys.

use alloy_primitives::{Address, B256, U64, U256};
use alloy_rpc_types_eth::EIP1186AccountProofResponse;
use contracts::address::{FEDERATION, MICRO_CHANNEL};
use light::federation::{FederationKeys, key_slots};
use light::finality::Validators;
use light::micro_channel::{Channel, channel_slots};
use light::{FinalHeader, HeaderError, ProofError, ProvenAccount};
use serde_json::json;

use super::{Client, Error};

/// Why something of the sidechain is not proven.
#[derive(Debug, thiserror::Error)]
pub enum ProvenError {
    /// The node does not answer, or refuses: see [`Error::retry`].
    #[error(transparent)]
    Node(#[from] Error),
    /// The node is at fault.
    #[error("the node at {url} does not prove that its block {number} is final")]
    NotFinal { url: String, number: u64, source: HeaderError },
    /// The node is at fault.
    #[error("the node at {url} does not prove the state of {address} in block {number}")]
    NotInState { url: String, address: Address, number: u64, source: ProofError },
}

/// The node's latest header, once its certificate holds.
///
/// # Errors
///
/// `Node`, `NotFinal`.
pub async fn latest(client: &Client, validators: &Validators) -> Result<FinalHeader, ProvenError> {
    let answer = client.finality("latest").await?;
    FinalHeader::verify(&answer, validators).map_err(|source| ProvenError::NotFinal {
        url: client.url().to_owned(),
        number: answer.number,
        source,
    })
}

/// An account and its `slots` in the state of `header`.
///
/// # Errors
///
/// `Node`, `NotInState`.
pub async fn account(
    client: &Client,
    header: &FinalHeader,
    address: Address,
    slots: &[U256],
) -> Result<ProvenAccount, ProvenError> {
    let keys: Vec<B256> = slots.iter().map(|slot| B256::from(*slot)).collect();
    let number = header.header.number;
    let params = vec![json!(address), json!(keys), json!(U64::from(number))];
    let answer: EIP1186AccountProofResponse = client.request("eth_getProof", params).await?;
    header.verify_account(&answer, address, slots).map_err(|source| ProvenError::NotInState {
        url: client.url().to_owned(),
        address,
        number,
        source,
    })
}

/// The federation's keys of an epoch in the state of `header`.
///
/// # Errors
///
/// `Node`, `NotInState`.
pub async fn federation_keys(client: &Client, header: &FinalHeader, epoch: u32) -> Result<FederationKeys, ProvenError> {
    let proven = account(client, header, FEDERATION, &key_slots(epoch)).await?;
    Ok(FederationKeys::of(&proven).expect("a proven account has a value for each slot asked for"))
}

/// A payment channel in the state of `header`; none when there is no such channel.
///
/// # Errors
///
/// `Node`, `NotInState`.
pub async fn channel(client: &Client, header: &FinalHeader, id: u64) -> Result<Option<Channel>, ProvenError> {
    let proven = account(client, header, MICRO_CHANNEL, &channel_slots(id)).await?;
    let channel = Channel::of(&proven).expect("a proven account has a value for each slot asked for");
    Ok((!channel.payer.is_zero()).then_some(channel))
}
