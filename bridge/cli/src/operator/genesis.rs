//! `causeway genesis`: collects the public parts of all operators into the file that all of them start from.

use std::path::PathBuf;

use alloy_primitives::B256;
use bitcoin::Work;
use eyre::{Result, WrapErr, bail, ensure, eyre};
use files::write_atomic;
use mainchain::io::rpc::BitcoinRpc;
use mainchain::params::PERIOD;
use mainchain::{Checkpoint, Network};
use serde::Deserialize;
use serde_json::json;
use sidechain::genesis::{Bitcoin, BlockRules, Bridge, Federation, Genesis, Recovery, Tier};

use super::keys::PublicPart;
use crate::clock::now;
use crate::context::Context;
use crate::genesis_file::read_genesis;
use crate::options::bitcoin::BitcoinArgs;

/// How many blocks deep the light client's first header is at least: no reorganisation has ever been near that.
const CHECKPOINT_DEPTH: u32 = 144;
/// Bitcoin blocks after which a depositor can take an unswept deposit back: a week, long enough for a stalled federation to
/// return.
pub const RECLAIM_DELAY: u16 = 1008;
/// Bitcoin blocks after which the recovery keys can spend a vault output: a year.
pub const RECOVERY_DELAY: u16 = 52_560;
/// The chain id of networks on regtest.
pub const DEV_CHAIN_ID: u64 = 51_717;

/// Collect the public parts of all operators into a genesis file
///
/// Every operator gets the same file, and compares the block hash that this prints with the others. The position of an
/// operator on the command line is its number.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  causeway genesis --network testnet4 --chain-id 517174 --threshold 3 --out genesis.json alice/public.json bob/public.json carol/public.json dave/public.json
  causeway genesis --show genesis.json")]
pub struct Args {
    /// The operators' public parts, made by `causeway keys operator`
    #[arg(value_name = "PUBLIC.JSON", required_unless_present = "show")]
    members: Vec<PathBuf>,
    /// Check a genesis file and print its block hash
    #[arg(long, value_name = "FILE", conflicts_with_all = ["members", "out"])]
    show: Option<PathBuf>,
    /// The Bitcoin network: mainnet, testnet4, signet or regtest
    #[arg(long, default_value = "regtest", value_name = "NETWORK")]
    network: Network,
    /// Relayers that must sign together [default: more than two thirds]
    #[arg(long, value_name = "N")]
    threshold: Option<u16>,
    /// Number of the chain (EIP-155); choose one that no other chain uses [default on regtest: 51717]
    #[arg(long, value_name = "N", required_if_eq_any([("network", "mainnet"), ("network", "testnet4"), ("network", "signet")]))]
    chain_id: Option<u64>,
    /// Height of the first Bitcoin header the ledger knows [default: start of a difficulty period, at least a day deep; 0 on regtest]
    #[arg(long, value_name = "HEIGHT")]
    checkpoint_height: Option<u32>,
    /// Blocks after which a depositor can take an unswept deposit back
    #[arg(long, default_value_t = RECLAIM_DELAY, value_name = "BLOCKS")]
    reclaim_delay: u16,
    /// Blocks after which the recovery keys can spend a vault output
    #[arg(long, default_value_t = RECOVERY_DELAY, value_name = "BLOCKS")]
    recovery_delay: u16,
    /// The file to write
    #[arg(long, default_value = "genesis.json", value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    bitcoin: BitcoinArgs,
}

/// What the operators agree on besides their keys.
#[derive(Clone, Debug)]
pub struct Agreement {
    /// EIP-155.
    pub chain_id: u64,
    /// Relayers that must sign together.
    pub threshold: u16,
    /// Bitcoin blocks.
    pub reclaim_delay: u16,
    /// Bitcoin blocks.
    pub recovery_delay: u16,
    /// Where the light client starts.
    pub bitcoin: Bitcoin,
    /// Of the genesis block, in unix seconds.
    pub timestamp: u64,
}

/// Runs `causeway genesis`.
///
/// # Errors
///
/// A file cannot be read or written, bitcoind does not answer, or the members do not make a genesis block.
pub fn run(args: Args, context: &Context) -> Result<()> {
    let genesis = match &args.show {
        Some(path) => read_genesis(path)?,
        None => {
            ensure!(!args.out.exists(), "{} exists and is not overwritten", args.out.display());
            let genesis = args.collect(context)?;
            write_atomic(&args.out, (genesis.to_json() + "\n").as_bytes())?;
            genesis
        }
    };
    let hash = genesis.build()?.hash;
    let (members, threshold) = (genesis.federation.members.len(), genesis.federation.threshold);
    let shown = json!({ "hash": hash, "chainId": genesis.chain_id, "members": members, "threshold": threshold });
    context.print(&shown, || show(&genesis, hash));
    Ok(())
}

fn show(genesis: &Genesis, hash: B256) {
    println!("Genesis block  {hash}");
    println!("Chain id       {}", genesis.chain_id);
    println!("Bitcoin        {}, from block {}", genesis.bitcoin.network, genesis.bitcoin.checkpoint.height);
    println!("Federation     {} of {} sign", genesis.federation.threshold, genesis.federation.members.len());
    for (index, member) in (1..).zip(&genesis.federation.members) {
        println!("  {index:>2} {:<16} {} at {}", member.name, member.account, member.p2p_address);
    }
}

impl Args {
    fn collect(&self, context: &Context) -> Result<Genesis> {
        let parts = self.members.iter().map(|path| PublicPart::read(path)).collect::<Result<Vec<_>>>()?;
        let threshold = match self.threshold {
            Some(threshold) => threshold,
            None => default_threshold(count(&parts)?),
        };
        let agreement = Agreement {
            chain_id: self.chain_id.unwrap_or(DEV_CHAIN_ID),
            threshold,
            reclaim_delay: self.reclaim_delay,
            recovery_delay: self.recovery_delay,
            bitcoin: context.block_on(self.start())?,
            timestamp: now()?,
        };
        collect(&parts, &agreement)
    }

    /// The light client's first header.
    async fn start(&self) -> Result<Bitcoin> {
        match (self.network, self.checkpoint_height) {
            (Network::Regtest, None) | (_, Some(0)) => Ok(Bitcoin::start_of(self.network)),
            (network, height) => checkpoint(&self.bitcoin.connect(network).await?, network, height).await,
        }
    }
}

/// Makes the genesis of a network of these operators, in this order.
///
/// # Errors
///
/// What the genesis block's rules refuse: a key twice, a proof of possession that is another key's, a threshold out of range.
pub fn collect(parts: &[PublicPart], agreement: &Agreement) -> Result<Genesis> {
    let count = count(parts)?;
    ensure!(
        agreement.threshold >= 2,
        "a threshold of {} with {count} operator(s): a threshold key is made by at least 2 who sign together",
        agreement.threshold
    );
    let genesis = Genesis {
        chain_id: agreement.chain_id,
        timestamp: agreement.timestamp,
        federation: Federation {
            threshold: agreement.threshold,
            members: parts.iter().map(|part| part.member.clone()).collect(),
            recovery: Recovery {
                // A majority: what the operators could decide anyway if they started over.
                threshold: count / 2 + 1,
                delay: agreement.recovery_delay,
                keys: parts.iter().map(|part| part.recovery_key).collect(),
            },
        },
        bridge: Bridge {
            reclaim_delay: agreement.reclaim_delay,
            tiers: tiers(agreement.bitcoin.network),
            ..Bridge::dev()
        },
        block: BlockRules::dev(),
        bitcoin: agreement.bitcoin.clone(),
    };
    genesis.check()?;
    Ok(genesis)
}

fn count(parts: &[PublicPart]) -> Result<u16> {
    u16::try_from(parts.len()).wrap_err("too many operators")
}

/// More than two thirds: a minority can neither steal nor, alone, stop payouts.
pub fn default_threshold(operators: u16) -> u16 {
    operators - operators.div_ceil(3) + 1
}

/// Confirmations by value: deeper for what would be worth a reorganisation.
fn tiers(network: Network) -> Vec<Tier> {
    let tier = |up_to_sat, confirmations| Tier { up_to_sat, confirmations };
    match network {
        Network::Regtest => vec![tier(u64::MAX, 2)],
        _ => vec![tier(10_000_000, 2), tier(100_000_000, 6), tier(1_000_000_000, 30), tier(u64::MAX, 100)],
    }
}

/// Reads the checkpoint from the operator's own bitcoind.
async fn checkpoint(bitcoin: &BitcoinRpc, network: Network, height: Option<u32>) -> Result<Bitcoin> {
    #[derive(Deserialize)]
    struct Entry {
        chainwork: String,
    }
    let (tip, _) = bitcoin.best_tip().await?;
    let deepest = tip
        .checked_sub(CHECKPOINT_DEPTH)
        .ok_or_else(|| eyre!("the {network} chain of this bitcoind ends at height {tip}: it has not caught up"))?;
    let height = height.unwrap_or(deepest / PERIOD * PERIOD);
    if height > deepest {
        bail!(
            "--checkpoint-height {height} is less than {CHECKPOINT_DEPTH} blocks deep (tip {tip}): a reorganisation could leave it behind; at most {deepest}"
        );
    }
    let missing = || eyre!("bitcoind has no block at height {height}");
    let hash = bitcoin.block_hash(height).await?.ok_or_else(missing)?;
    let header = bitcoin.header(hash).await?.ok_or_else(missing)?;
    let first = bitcoin.headers(height / PERIOD * PERIOD..height / PERIOD * PERIOD + 1).await?;
    let entry: Entry = bitcoin.call("getblockheader", json!([hash])).await?;
    Ok(Bitcoin {
        network,
        checkpoint: Checkpoint {
            header,
            height,
            work: Work::from_unprefixed_hex(&entry.chainwork).wrap_err("bitcoind's chainwork is not hex")?,
            epoch_time: first.first().ok_or_else(missing)?.time,
        },
    })
}
