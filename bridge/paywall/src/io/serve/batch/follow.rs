//! Looks at what happens to channels on the chain, and claims what is due.
//!
//! A payer's withdrawal waits for the channel's delay; it is seen here within a second or two, and what the channel owes is claimed at once. After a start, and after a
//! gap too long to be read block by block, all channels with something to claim are read first.

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures::StreamExt as _;
use payments::payee::claims::ClaimRules;
use tokio::time::sleep;

use super::Channels;
use crate::io::serve::desk::now;
use crate::refusal::Refusal;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Blocks whose events are read one by one; after a longer gap the channels are read instead.
const MOST_BLOCKS: u64 = 20_000;
/// Channels that are read in one look: a hundred thousand, all there are, within minutes of a start.
const MOST_READ: usize = 500;
const READ_AT_A_TIME: usize = 16;
/// Channels in one claim: each takes some 45,000 gas of the 2^24 that a transaction may use.
const MOST_CLAIMS: usize = 100;
/// Gas of one channel's part of a claim.
const CLAIM_GAS: u64 = 45_000;

/// Follows channels, and claims what is due, until they are dropped. The first look is over when this returns.
pub async fn start(channels: &Arc<Channels>) {
    let known = look(channels, None).await.ok();
    tokio::spawn(follow(Arc::downgrade(channels), known));
    tokio::spawn(claim(Arc::downgrade(channels)));
}

/// `known`: the block up to which all is known.
async fn follow(channels: Weak<Channels>, mut known: Option<u64>) {
    while let Some(channels) = channels.upgrade() {
        match look(&channels, known).await {
            Ok(height) => known = Some(height),
            Err(refusal) => tracing::debug!(%refusal, "channels are not looked at"),
        }
        drop(channels);
        sleep(LOOK_EVERY).await;
    }
}

async fn look(channels: &Channels, known: Option<u64>) -> Result<u64, Refusal> {
    let chain = &channels.desk.chain;
    let height = chain.height().await?;
    match known.filter(|known| height.saturating_sub(*known) <= MOST_BLOCKS) {
        Some(known) => {
            for channel in chain.channels_in(known.saturating_add(1), height).await? {
                if channels.ledger().knows(channel) {
                    channels.look(channel).await;
                }
            }
        }
        None => channels.ledger().all_are_old(),
    }
    // Whoever comes meanwhile reads its own channel.
    channels.is_followed();
    let unread = channels.ledger().unread(MOST_READ);
    futures::stream::iter(unread).for_each_concurrent(READ_AT_A_TIME, |channel| channels.look(channel)).await;
    Ok(height)
}

async fn claim(channels: Weak<Channels>) {
    while let Some(channels) = channels.upgrade() {
        let (worth, wait_s) = (channels.claims.at, channels.claims.after.as_secs());
        channels.claim_due(worth, wait_s).await;
        drop(channels);
        sleep(LOOK_EVERY).await;
    }
}

impl Channels {
    /// Claims what is worth so much, has waited so long, or is about to be taken back.
    pub async fn claim_due(&self, worth: u128, wait_s: u64) {
        let _claiming = self.claiming.lock().await;
        loop {
            let Ok(head) = self.desk.chain.head() else { return };
            let cost = u128::try_from(head.fees.cost(CLAIM_GAS)).unwrap_or(u128::MAX);
            let rules = ClaimRules { cost, worth, wait_s };
            let due = self.ledger().due(&rules, now(), MOST_CLAIMS);
            if due.is_empty() {
                return;
            }
            // As they are now, so that none is claimed for more than it has.
            for row in &due {
                self.look(row.channel).await;
            }
            let rows: Vec<_> = due.iter().filter_map(|row| self.ledger().row(row.channel)).collect();
            if let Err(refusal) = self.claim(&rows).await {
                return tracing::warn!(%refusal, "vouchers are claimed later");
            }
            if due.len() < MOST_CLAIMS {
                return;
            }
        }
    }
}
