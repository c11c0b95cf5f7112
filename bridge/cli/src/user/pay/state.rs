//! Channels in the last final state, for a server of sessions.

use std::sync::Arc;

use bridge::io::sidechain::proven;
use eyre::Result;
use payments::channel::SeenAt;
use paywall::io::serve::{FinalState, Look, Looking};

use super::channel::{for_vouchers, shown};
use crate::options::network::KnownNetwork;

/// What the network's validators signed; of a development network that nobody named, what its node says.
pub struct ProvenState(pub Arc<KnownNetwork>);

impl FinalState for ProvenState {
    fn look<'a>(&'a self, channels: &'a [alloy_primitives::B256]) -> Looking<'a> {
        Box::pin(async move { self.read(channels).await.map_err(|error| format!("{error:#}")) })
    }
}

impl ProvenState {
    async fn read(&self, ids: &[alloy_primitives::B256]) -> Result<Look> {
        let network = &self.0;
        let mut channels = Vec::new();
        let at = match network.final_header().await? {
            Some(header) => {
                for id in ids {
                    let found = proven::channel(&network.client, &header, *id).await?;
                    channels.extend(found.map(|channel| (channel.payer, for_vouchers(network, *id, &channel))));
                }
                SeenAt { block: header.header.number, unix_s: header.header.timestamp }
            }
            None => {
                let head = network.client.head().await?;
                for id in ids {
                    let found = shown(&network.client, *id).await?;
                    channels.extend(found.map(|channel| (channel.payer, for_vouchers(network, *id, &channel))));
                }
                SeenAt { block: head.number, unix_s: head.timestamp }
            }
        };
        Ok(Look { at, channels })
    }
}
