//! Trust-minimised reads: facts of the sidechain for which the node that tells them need not be trusted. The node is asked,
//! [`light`] checks its answers against the validators' keys.

use alloy_primitives::{Address, B256, U64, U256};
use alloy_rpc_types_eth::EIP1186AccountProofResponse;
use contracts::address::{FEDERATION, MICRO_CHANNEL, WRAPPED_BTC};
use light::facts::{Facts, FactsError, Question, Wanted};
use light::federation::{FederationKeys, key_slots};
use light::finality::Validators;
use light::micro_channel::{Channel, channel_slots};
use light::wrapped_btc::balance_slot;
use light::{FinalHeader, HeaderError, ProofError, ProvenAccount};
use serde_json::json;

use super::{Client, Error};
use crate::peg::Finality;

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
    NotInState { url: String, address: Address, number: u64, source: Box<ProofError> },
    /// The node is at fault.
    #[error("the node at {url} does not prove what is asked of the ledger in block {number}")]
    NoFacts { url: String, number: u64, source: FactsError },
}

/// The node's latest header, once its certificate holds.
///
/// # Errors
///
/// `Node`, `NotFinal`.
pub async fn latest(client: &Client, validators: &Validators) -> Result<FinalHeader, ProvenError> {
    finality(client, "latest", validators).await.map(|(_, header)| header)
}

/// A block's header (`latest`, or a number) with what shows that it is final, once that holds.
///
/// # Errors
///
/// `Node`, `NotFinal`.
pub async fn finality(
    client: &Client,
    block: &str,
    validators: &Validators,
) -> Result<(Finality, FinalHeader), ProvenError> {
    let answer = client.finality(block).await?;
    let header = FinalHeader::verify(&answer, validators).map_err(|source| ProvenError::NotFinal {
        url: client.url().to_owned(),
        number: answer.number,
        source,
    })?;
    Ok((answer, header))
}

/// Facts of the ledger in the state of `header`.
///
/// # Errors
///
/// `Node`, `NoFacts`.
pub async fn facts(client: &Client, header: &FinalHeader, wanted: &Wanted) -> Result<Facts, ProvenError> {
    facts_with_proofs(client, header, wanted).await.map(|(facts, _)| facts)
}

/// Facts of the ledger in the state of `header`, and the answers that prove them.
///
/// # Errors
///
/// `Node`, `NoFacts`.
pub async fn facts_with_proofs(
    client: &Client,
    header: &FinalHeader,
    wanted: &Wanted,
) -> Result<(Facts, Vec<EIP1186AccountProofResponse>), ProvenError> {
    let number = header.header.number;
    let mut answers = Vec::new();
    for Question { account, slots } in wanted.questions() {
        answers.push(proof(client, number, account, &slots).await?);
    }
    let facts = Facts::read(header.clone(), wanted, &answers);
    let facts = facts.map_err(|source| ProvenError::NoFacts { url: client.url().to_owned(), number, source })?;
    Ok((facts, answers))
}

async fn proof(
    client: &Client,
    number: u64,
    address: Address,
    slots: &[U256],
) -> Result<EIP1186AccountProofResponse, Error> {
    let keys: Vec<B256> = slots.iter().map(|slot| B256::from(*slot)).collect();
    client.request("eth_getProof", vec![json!(address), json!(keys), json!(U64::from(number))]).await
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
    let number = header.header.number;
    let answer = proof(client, number, address, slots).await?;
    header.verify_account(&answer, address, slots).map_err(|source| ProvenError::NotInState {
        url: client.url().to_owned(),
        address,
        number,
        source: Box::new(source),
    })
}

/// How many transactions an account sent, and its coins in wei, in the state of `header`; an account that nobody paid yet is not there, and has none.
///
/// # Errors
///
/// `Node`, `NotInState`.
pub async fn coins(client: &Client, header: &FinalHeader, address: Address) -> Result<(u64, U256), ProvenError> {
    let number = header.header.number;
    let answer = proof(client, number, address, &[]).await?;
    let state = header.verify_state(&answer, address, &[]).map_err(|source| ProvenError::NotInState {
        url: client.url().to_owned(),
        address,
        number,
        source: Box::new(source),
    });
    Ok(state?.0.map_or((0, U256::ZERO), |account| (account.nonce, account.balance)))
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
pub async fn channel(client: &Client, header: &FinalHeader, id: B256) -> Result<Option<Channel>, ProvenError> {
    let proven = account(client, header, MICRO_CHANNEL, &channel_slots(id)).await?;
    let channel = Channel::of(&proven).expect("a proven account has a value for each slot asked for");
    Ok((!channel.payer.is_zero()).then_some(channel))
}

/// What an account has of WrappedBtc in the state of `header`, in wei.
///
/// # Errors
///
/// `Node`, `NotInState`.
pub async fn wrapped_balance(client: &Client, header: &FinalHeader, holder: Address) -> Result<U256, ProvenError> {
    let proven = account(client, header, WRAPPED_BTC, &[balance_slot(holder)]).await?;
    Ok(*proven.slots.first().expect("a proven account has a value for each slot asked for"))
}
