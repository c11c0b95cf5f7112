//! A channel of the contract MicroChannel, as the node shows it.

use alloy_primitives::U256;
use alloy_rpc_types_eth::TransactionReceipt;
use alloy_sol_types::SolEvent;
use bridge::io::sidechain::Client;
use bridge::micro_channel::Domain;
use bridge::peg::Info;
use contracts::{IMicroChannel, MicroChannel};
use eyre::{Result, WrapErr, eyre};

/// Channel `id`, as it is at the head.
///
/// # Errors
///
/// There is no such channel, or the node does not answer.
pub async fn channel(client: &Client, info: &Info, id: u64) -> Result<IMicroChannel::Channel> {
    let call = MicroChannel::channelCall { id: U256::from(id) };
    client.call(info.contracts.micro_channel, &call).await.wrap_err_with(|| format!("cannot read channel {id}"))
}

/// What vouchers of this network are signed for.
pub fn domain(info: &Info) -> Domain {
    Domain::new(info.chain_id, info.contracts.micro_channel)
}

/// The event that a transaction must have emitted.
///
/// # Errors
///
/// The transaction emitted no such event.
pub fn emitted<E: SolEvent>(receipt: &TransactionReceipt) -> Result<E> {
    let found = receipt.inner.logs().iter().find_map(|log| E::decode_log(&log.inner).ok());
    let found = found
        .ok_or_else(|| eyre!("transaction {} succeeded, but did not do what it should", receipt.transaction_hash))?;
    Ok(found.data)
}
