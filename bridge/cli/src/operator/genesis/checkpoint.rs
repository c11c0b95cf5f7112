//! The light client's first header, as an operator's own bitcoind has it.

use bitcoin::Work;
use eyre::{Result, WrapErr, bail, ensure, eyre};
use mainchain::io::rpc::BitcoinRpc;
use mainchain::params::PERIOD;
use mainchain::{Checkpoint, Network};
use serde::Deserialize;
use serde_json::json;
use sidechain::genesis::Bitcoin;

/// How many blocks deep the light client's first header is at least: no reorganisation has ever been near that.
const CHECKPOINT_DEPTH: u32 = 144;

/// A checkpoint for a new network: at `height`, or at the start of the last difficulty period that is deep enough.
///
/// # Errors
///
/// The block is not deep enough, or bitcoind does not answer.
pub async fn choose(bitcoin: &BitcoinRpc, network: Network, height: Option<u32>) -> Result<Bitcoin> {
    let deepest = deepest(bitcoin, network).await?;
    let height = height.unwrap_or(deepest / PERIOD * PERIOD);
    if height > deepest {
        bail!(
            "--checkpoint-height {height} is less than {CHECKPOINT_DEPTH} blocks deep: a reorganisation could leave it behind; at most {deepest}"
        );
    }
    Ok(Bitcoin { network, checkpoint: at(bitcoin, height).await? })
}

/// Compares a genesis file's checkpoint with one's own bitcoind: header, height, work of the chain, start of its difficulty period.
///
/// A header that is not on the best chain, or with a work or a time that is made up, would let false headers in, or none at all.
///
/// # Errors
///
/// They differ, the block is not deep enough, or bitcoind does not answer.
pub async fn verify(bitcoin: &BitcoinRpc, network: Network, file: &Checkpoint) -> Result<()> {
    if file.height > 0 {
        let deepest = deepest(bitcoin, network).await?;
        ensure!(
            file.height <= deepest,
            "the checkpoint at height {} is less than {CHECKPOINT_DEPTH} blocks deep by your bitcoind: at most {deepest}",
            file.height
        );
    }
    compare(file, &at(bitcoin, file.height).await?)
}

/// What differs first, in words.
fn compare(file: &Checkpoint, own: &Checkpoint) -> Result<()> {
    let facts = [
        ("block", file.header.block_hash().to_string(), own.header.block_hash().to_string()),
        ("work", format!("{:x}", file.work), format!("{:x}", own.work)),
        ("start of the difficulty period", file.epoch_time.to_string(), own.epoch_time.to_string()),
    ];
    match facts.iter().find(|(_, says, has)| says != has) {
        Some((what, says, has)) => bail!(
            "the checkpoint at height {} is false: its {what} is {says}, your bitcoind has {has}; do not start with this file",
            file.height
        ),
        None => Ok(()),
    }
}

/// The highest block that is deep enough.
async fn deepest(bitcoin: &BitcoinRpc, network: Network) -> Result<u32> {
    let (tip, _) = bitcoin.best_tip().await?;
    tip.checked_sub(CHECKPOINT_DEPTH)
        .ok_or_else(|| eyre!("the {network} chain of this bitcoind ends at height {tip}: it has not caught up"))
}

async fn at(bitcoin: &BitcoinRpc, height: u32) -> Result<Checkpoint> {
    #[derive(Deserialize)]
    struct Entry {
        chainwork: String,
    }
    let missing = || eyre!("bitcoind has no block at height {height}");
    let hash = bitcoin.block_hash(height).await?.ok_or_else(missing)?;
    let header = bitcoin.header(hash).await?.ok_or_else(missing)?;
    let first = bitcoin.headers(height / PERIOD * PERIOD..height / PERIOD * PERIOD + 1).await?;
    let entry: Entry = bitcoin.call("getblockheader", json!([hash])).await?;
    Ok(Checkpoint {
        header,
        height,
        work: Work::from_unprefixed_hex(&entry.chainwork).wrap_err("bitcoind's chainwork is not hex")?,
        epoch_time: first.first().ok_or_else(missing)?.time,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_false_header_work_or_time_is_named() {
        let own = Checkpoint::genesis(Network::Mainnet);
        compare(&own, &own).expect("the same");
        let said = |file: Checkpoint| compare(&file, &own).expect_err("differs").to_string();
        let other = Network::Testnet4.genesis();
        assert!(said(Checkpoint { header: other, ..own.clone() }).contains("its block is"));
        assert!(said(Checkpoint { work: own.work + own.work, ..own.clone() }).contains("its work is"));
        let late = said(Checkpoint { epoch_time: own.epoch_time + 1, ..own.clone() });
        assert!(late.contains("start of the difficulty period is 1231006506, your bitcoind has 1231006505"), "{late}");
    }
}
