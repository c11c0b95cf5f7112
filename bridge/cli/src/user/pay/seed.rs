//! `--seed`: the file behind all channels of a payer, and what the chain says of them.

use std::path::Path;

use alloy_primitives::{Address, B256};
use alloy_rpc_types_eth::Filter;
use alloy_sol_types::SolEvent as _;
use bridge::io::sidechain::Client;
use contracts::{MicroChannel, address};
use eyre::{Result, WrapErr, ensure, eyre};
use files::write_new;
use payments::seed::Seed;
use payments::terms::Terms;
use rand::RngCore as _;
use zeroize::Zeroizing;

/// Reads a seed: 64 hex digits.
///
/// # Errors
///
/// There is no such file, or it is no seed.
pub fn read(path: &Path) -> Result<Seed> {
    let shown = path.display();
    let text =
        std::fs::read_to_string(path).map(Zeroizing::new).wrap_err_with(|| format!("cannot read the seed {shown}"))?;
    let mut secret = Zeroizing::new([0; 32]);
    hex::decode_to_slice(text.trim(), secret.as_mut_slice())
        .map_err(|_| eyre!("{shown} is no seed: it has not 64 hex digits"))?;
    Ok(Seed::new(*secret))
}

/// As [`read`], and makes it when it is missing: only its owner can read it.
///
/// # Errors
///
/// It is no seed, or cannot be made.
pub fn read_or_make(path: &Path) -> Result<Seed> {
    if !path.exists() {
        let mut secret = Zeroizing::new([0; 32]);
        rand::thread_rng().fill_bytes(secret.as_mut_slice());
        let text = Zeroizing::new(format!("{}\n", hex::encode(secret.as_slice())));
        write_new(path, text.as_bytes()).wrap_err_with(|| format!("cannot make the seed {}", path.display()))?;
        eprintln!("Made {}: keep a copy, with it all channels and their keys are found again", path.display());
    }
    read(path)
}

/// Which side of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Payer,
    Payee,
}

/// A channel's id and terms, by the event of its opening.
pub struct Opened {
    pub id: B256,
    pub terms: Terms,
}

/// All channels that an account opened, or that were opened for it, the oldest first: by the node's events, so a node may leave some out, but adds none
/// (its name is a hash of its terms).
///
/// # Errors
///
/// The node does not answer, or tells of one whose name is not its own.
pub async fn opened(client: &Client, chain_id: u64, account: Address, side: Side) -> Result<Vec<Opened>> {
    let filter =
        Filter::new().address(address::MICRO_CHANNEL).event_signature(MicroChannel::ChannelOpened::SIGNATURE_HASH);
    let filter = match side {
        Side::Payer => filter.topic2(account.into_word()),
        Side::Payee => filter.topic3(account.into_word()),
    };
    let head = client.block_number().await?;
    let logs = client.logs(&filter, 0, head).await.wrap_err("cannot read which channels were opened")?;
    let domain = payments::typed_data::Domain::new(chain_id, address::MICRO_CHANNEL);
    let each = logs.iter().map(|log| {
        let event = MicroChannel::ChannelOpened::decode_log(&log.inner).wrap_err("an event is not of a channel")?;
        let terms = Terms {
            payer: event.payer,
            payee: event.payee,
            token: event.token,
            salt: event.salt,
            authorized_signer: event.authorizedSigner,
        };
        let (got, want) = (event.channelId, terms.channel_id(&domain));
        ensure!(got == want, "the node tells of a channel {got} whose name would be {want}: do not use this node");
        Ok(Opened { id: got, terms })
    });
    each.collect()
}
