//! A channel of the contract MicroChannel.

use std::fmt::{self, Display, Formatter};

use alloy_primitives::{Address, B256, U256};
use bridge::amount;
use bridge::io::sidechain::{Client, proven};
use contracts::{CloseGrace, IMicroChannel, MicroChannel, address};
use eyre::{Result, WrapErr, bail, ensure};
use light::FinalHeader;
use light::micro_channel::{Channel, CloseRequest};
use payments::channel::Closing;
use payments::typed_data::Domain;

use crate::options::network::KnownNetwork;

/// There is none of this id, in a block or as a node says.
#[derive(Debug)]
pub struct NoChannel {
    id: B256,
    block: Option<u64>,
}

impl Display for NoChannel {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "there is no channel {}", self.id)?;
        self.block.map_or(Ok(()), |number| write!(f, " in block {number}"))
    }
}

impl std::error::Error for NoChannel {}

/// A channel, as a node says that it is at the head: to be shown.
///
/// # Errors
///
/// There is no such channel, or the node does not answer.
async fn said(client: &Client, id: B256) -> Result<IMicroChannel::Channel> {
    let call = MicroChannel::getChannelCall { channelId: id };
    let said =
        client.call(address::MICRO_CHANNEL, &call).await.wrap_err_with(|| format!("cannot read channel {id}"))?;
    ensure!(!said.payer.is_zero(), NoChannel { id, block: None });
    Ok(said)
}

/// The same as others see it; none if there is no such channel.
///
/// # Errors
///
/// The node does not answer.
pub async fn shown(client: &Client, id: B256) -> Result<Option<Channel>> {
    let call = MicroChannel::getChannelCall { channelId: id };
    let said = client.call(address::MICRO_CHANNEL, &call).await?;
    Ok((!said.payer.is_zero()).then(|| told(&said)))
}

/// As [`channel`]; none if there is no such channel.
///
/// # Errors
///
/// The node does not answer, or does not prove it.
pub async fn find(network: &KnownNetwork, header: Option<&FinalHeader>, id: B256) -> Result<Option<Channel>> {
    let Some(header) = header else { return shown(&network.client, id).await };
    match proven::channel(&network.client, header, id).await? {
        Some(_) => channel(network, Some(header), id).await.map(Some),
        None => Ok(None),
    }
}

/// A channel, as it is in the state of [`KnownNetwork::final_header`]: what is signed for it pays this payee and nobody else.
/// Without one, as its node says.
///
/// # Errors
///
/// There is no such channel, or the node does not prove it.
pub async fn channel(network: &KnownNetwork, header: Option<&FinalHeader>, id: B256) -> Result<Channel> {
    let Some(header) = header else { return Ok(told(&said(&network.client, id).await?)) };
    let Some(channel) = proven::channel(&network.client, header, id).await? else {
        bail!(NoChannel { id, block: Some(header.header.number) })
    };
    // A node that says otherwise is better not used at all.
    let said = said(&network.client, id).await?;
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

fn told(said: &IMicroChannel::Channel) -> Channel {
    let requested = CloseRequest { at_unix_s: said.closeRequestedAt, at_block: said.closeRequestedAtBlock };
    Channel {
        payer: said.payer,
        payee: said.payee,
        token: said.token,
        signer: if said.authorizedSigner.is_zero() { said.payer } else { said.authorizedSigner },
        deposit: said.deposit,
        settled: said.settled,
        has_splits: !said.splitRecipients.is_empty(),
        close_requested: (requested.at_unix_s != 0).then_some(requested),
        finalized: said.finalized,
    }
}

/// The channel, as those see it who check vouchers.
pub fn for_vouchers(network: &KnownNetwork, id: B256, channel: &Channel) -> payments::channel::Channel {
    payments::channel::Channel {
        id,
        payee: channel.payee,
        token: channel.token,
        signer: channel.signer,
        deposit: channel.deposit,
        settled: channel.settled,
        signer_has_code: false,
        has_splits: channel.has_splits,
        closing: channel.close_requested.map(|requested| {
            let (from_unix_s, from_block) = closable_from(network, requested);
            Closing { from_unix_s, from_block }
        }),
        finalized: channel.finalized,
    }
}

/// What vouchers of this network are signed for.
pub fn domain(network: &KnownNetwork) -> Domain {
    Domain::new(network.chain_id, address::MICRO_CHANNEL)
}

/// The delays after a payer asks to close.
pub fn close_grace(network: &KnownNetwork) -> CloseGrace {
    CloseGrace::of(network.bitcoin == mainchain::Network::Regtest)
}

/// From when on a payer that asked to close can take the rest back: a Unix time in seconds, and a block.
pub fn closable_from(network: &KnownNetwork, requested: CloseRequest) -> (u64, u64) {
    let grace = close_grace(network);
    (requested.at_unix_s.saturating_add(grace.seconds), requested.at_block.saturating_add(grace.blocks))
}

/// What tells channels in wrapped coins from those in coins, whose amounts look the same.
pub fn kind(token: Address) -> &'static str {
    if token == address::WRAPPED_BTC { ", wrapped" } else { "" }
}

/// An amount in the channel's token: the coin and the wrapped coin in bitcoin, others in their smallest units.
pub fn shown_amount(token: Address, units: u128) -> String {
    if token.is_zero() || token == address::WRAPPED_BTC {
        amount::show_wei(U256::from(units))
    } else {
        format!("{units} units of {token}")
    }
}
