//! A channel of the contract MicroChannel, as the node shows it.

use alloy_primitives::U256;
use bridge::io::sidechain::Client;
use bridge::micro_channel::Domain;
use contracts::{IMicroChannel, MicroChannel, address};
use eyre::{Result, WrapErr};

use crate::options::network::KnownNetwork;

/// Channel `id`, as it is at the head.
///
/// # Errors
///
/// There is no such channel, or the node does not answer.
pub async fn channel(client: &Client, id: u64) -> Result<IMicroChannel::Channel> {
    let call = MicroChannel::channelCall { id: U256::from(id) };
    client.call(address::MICRO_CHANNEL, &call).await.wrap_err_with(|| format!("cannot read channel {id}"))
}

/// What vouchers of this network are signed for.
pub fn domain(network: &KnownNetwork) -> Domain {
    Domain::new(network.chain_id, address::MICRO_CHANNEL, network.network_id)
}
