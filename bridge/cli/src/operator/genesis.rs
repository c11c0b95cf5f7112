//! `causeway genesis`: collects the public parts of all operators into the file that all of them start from.

use std::fs;
use std::path::PathBuf;

use alloy_primitives::U256;
use bitcoin::consensus::serialize;
use bridge::io::file::write_atomic;
use eyre::{Result, WrapErr, bail, ensure, eyre};
use mainchain::Network;
use mainchain::io::rpc::BitcoinRpc;
use mainchain::params::PERIOD;
use serde::Deserialize;
use serde_json::json;
use sidechain::genesis::{Bitcoin, BlockRules, Bridge, Checkpoint, Federation, Genesis, Recovery, Tier};

use crate::clock::now;
use crate::context::Context;
use crate::operator::keys::PublicPart;
use crate::options::bitcoin::BitcoinArgs;

/// Blocks that the light client's first header is at least deep: no reorganisation has ever been near that.
const CHECKPOINT_DEPTH: u32 = 144;
/// Bitcoin blocks a vault output must be old before the recovery keys can spend it: a year.
const RECOVERY_DELAY: u16 = 52_560;
/// The chain id of networks on regtest.
const DEV_CHAIN_ID: u64 = 51_717;

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
    #[arg(long, default_value_t = 1008, value_name = "BLOCKS")]
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
pub struct Terms {
    pub chain_id: u64,
    pub threshold: u16,
    pub reclaim_delay: u16,
    pub recovery_delay: u16,
    pub bitcoin: Bitcoin,
    pub timestamp: u64,
}

pub fn run(args: Args, context: &Context) -> Result<()> {
    let genesis = match &args.show {
        Some(path) => crate::genesis_file::read_genesis(path)?,
        None => {
            ensure!(!args.out.exists(), "{} exists and is not overwritten", args.out.display());
            let genesis = args.collect(context)?;
            write_atomic(&args.out, (genesis.to_json() + "\n").as_bytes())?;
            genesis
        }
    };
    let hash = genesis.build()?.hash;
    let shown = json!({ "hash": hash, "chainId": genesis.chain_id, "members": genesis.federation.members.len(), "threshold": genesis.federation.threshold });
    context.print(&shown, || {
        println!("Genesis block  {hash}");
        println!("Chain id       {}", genesis.chain_id);
        println!("Bitcoin        {}, from block {}", genesis.bitcoin.network, genesis.bitcoin.checkpoint.height);
        println!("Federation     {} of {} sign", genesis.federation.threshold, genesis.federation.members.len());
        for (index, member) in (1..).zip(&genesis.federation.members) {
            println!("  {index:>2} {:<16} {} at {}", member.name, member.account, member.p2p_address);
        }
    });
    Ok(())
}

impl Args {
    fn collect(&self, context: &Context) -> Result<Genesis> {
        let parts = self.members.iter().map(|path| {
            let text = fs::read_to_string(path).wrap_err_with(|| format!("cannot read {}", path.display()))?;
            serde_json::from_str(&text).wrap_err_with(|| format!("{} is not an operator's public part", path.display()))
        });
        let parts = parts.collect::<Result<Vec<PublicPart>>>()?;
        let terms = Terms {
            chain_id: self.chain_id.unwrap_or(DEV_CHAIN_ID),
            threshold: self.threshold.map_or_else(|| default_threshold(parts.len()), Ok)?,
            reclaim_delay: self.reclaim_delay,
            recovery_delay: self.recovery_delay,
            bitcoin: context.block_on(self.start())?,
            timestamp: now()?,
        };
        collect(&parts, &terms)
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
pub fn collect(parts: &[PublicPart], terms: &Terms) -> Result<Genesis> {
    let count = u16::try_from(parts.len()).wrap_err("too many operators")?;
    ensure!(
        terms.threshold >= 2,
        "a threshold of {} with {count} operator(s): a threshold key is made by at least 2 who sign together",
        terms.threshold
    );
    let genesis = Genesis {
        chain_id: terms.chain_id,
        timestamp: terms.timestamp,
        federation: Federation {
            threshold: terms.threshold,
            members: parts.iter().map(|part| part.member.clone()).collect(),
            recovery: Recovery {
                // A majority: what the operators could decide anyway if they started over.
                threshold: count / 2 + 1,
                delay: terms.recovery_delay,
                keys: parts.iter().map(|part| part.recovery_key).collect(),
            },
        },
        bridge: Bridge { reclaim_delay: terms.reclaim_delay, tiers: tiers(terms.bitcoin.network), ..Bridge::dev() },
        block: BlockRules::dev(),
        bitcoin: terms.bitcoin.clone(),
    };
    genesis.check()?;
    Ok(genesis)
}

/// More than two thirds: a minority can neither steal nor, alone, stop payouts.
pub fn default_threshold(operators: usize) -> Result<u16> {
    u16::try_from(operators * 2 / 3 + 1).wrap_err("too many operators")
}

/// Confirmations by value (design 6): deeper for what would be worth a reorganisation.
fn tiers(network: Network) -> Vec<Tier> {
    let tier = |up_to_sat, confirmations| Tier { up_to_sat, confirmations };
    match network {
        Network::Regtest => vec![tier(u64::MAX, 2)],
        _ => vec![tier(10_000_000, 2), tier(100_000_000, 6), tier(1_000_000_000, 30), tier(u64::MAX, 100)],
    }
}

/// Reads the checkpoint from the own bitcoind.
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
            header: serialize(&header).into(),
            height,
            work: U256::from_str_radix(&entry.chainwork, 16).wrap_err("bitcoind's chainwork is not hex")?,
            epoch_time: first.first().ok_or_else(missing)?.time,
        },
    })
}
