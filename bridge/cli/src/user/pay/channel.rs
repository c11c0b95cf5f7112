//! A channel of the contract MicroChannel.

use alloy_primitives::U256;
use bridge::io::sidechain::{Client, proven};
use bridge::micro_channel::Domain;
use contracts::{IMicroChannel, MicroChannel, address};
use eyre::{Result, WrapErr, ensure, eyre};
use light::FinalHeader;
use light::micro_channel::Channel;

use crate::options::network::KnownNetwork;

/// Channel `id`, as a node says that it is at the head: to be shown.
///
/// # Errors
///
/// There is no such channel, or the node does not answer.
pub async fn shown(client: &Client, id: u64) -> Result<IMicroChannel::Channel> {
    let call = MicroChannel::channelCall { id: U256::from(id) };
    client.call(address::MICRO_CHANNEL, &call).await.wrap_err_with(|| format!("cannot read channel {id}"))
}

/// Channel `id`, as it is in the state of [`KnownNetwork::final_header`]: what is signed for it pays this payee and nobody else.
/// Without one, as its node says.
///
/// # Errors
///
/// There is no such channel, or the node does not prove it.
pub async fn channel(network: &KnownNetwork, header: Option<&FinalHeader>, id: u64) -> Result<Channel> {
    let Some(header) = header else {
        let said = shown(&network.client, id).await?;
        return Ok(Channel {
            payer: said.payer,
            payee: said.payee,
            deposit: said.deposit,
            claimed: said.claimed,
            closable_at: said.closableAt,
            closable_at_block: said.closableAtBlock,
            closed: said.closed,
        });
    };
    let channel = proven::channel(&network.client, header, id).await?;
    let channel = channel.ok_or_else(|| eyre!("there is no channel {id} in block {}", header.header.number))?;
    // A node that says otherwise is better not used at all.
    let said = shown(&network.client, id).await?;
    ensure!(
        (said.payer, said.payee) == (channel.payer, channel.payee),
        "the node at {} says that channel {id} pays {} for {}, proven is that it pays {} for {}: do not use this node",
        network.client.url(),
        said.payee,
        said.payer,
        channel.payee,
        channel.payer
    );
    Ok(channel)
}

/// What vouchers of this network are signed for.
pub fn domain(network: &KnownNetwork) -> Domain {
    Domain::new(network.chain_id, address::MICRO_CHANNEL, network.network_id)
}
