//! What is typed, and what it does.

use std::path::PathBuf;

use eyre::{Result, ensure};
use files::write_atomic;
use mainchain::Network;
use serde_json::json;
use sidechain::genesis::{Bitcoin, Genesis};

use super::agreement::{Agreement, RECOVERY_DELAY, collect, common, count, default_threshold};
use super::rules::RulesArgs;
use super::{checkpoint, show, verify};
use crate::clock::now;
use crate::context::Context;
use crate::genesis_file::read_genesis;
use crate::operator::public_part::PublicPart;
use crate::options::bitcoin::BitcoinArgs;
use crate::progress::Progress;

/// Collect the public parts of all operators into a genesis file, show one, or verify one
///
/// Every operator gets the same file, verifies it (causeway genesis verify), and compares the block hash in the last line with the
/// others, by voice. The position of an operator on the command line is its number. Network and chain id are those that all public
/// parts were made for.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "Examples:
  causeway genesis --threshold 3 --out genesis.json alice/public.json bob/public.json carol/public.json dave/public.json
  causeway genesis --cap '10 BTC' --guardian 0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266 alice/public.json bob/public.json
  causeway genesis --rules rules.json alice/public.json bob/public.json carol/public.json
  causeway genesis --show genesis.json
  causeway genesis verify genesis.json --mine alice/public.json --bitcoin http://127.0.0.1:48332"
)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// The operators' public parts, made by `causeway keys operator`
    #[arg(value_name = "PUBLIC.JSON", required_unless_present = "show")]
    members: Vec<PathBuf>,
    /// Check a genesis file, print all of it in words, and its block hash
    #[arg(long, value_name = "FILE", conflicts_with_all = ["members", "out"])]
    show: Option<PathBuf>,
    /// The Bitcoin network: mainnet, testnet4, signet or regtest [default: that of the public parts]
    #[arg(long, value_name = "NETWORK")]
    network: Option<Network>,
    /// Relayers that must sign together [default: more than two thirds]
    #[arg(long, value_name = "N")]
    threshold: Option<u16>,
    /// Number of the chain (EIP-155) [default: that of the public parts]
    #[arg(long, value_name = "N")]
    chain_id: Option<u64>,
    /// Height of the first Bitcoin header the ledger knows [default: start of a difficulty period, at least a day deep; 0 on regtest]
    #[arg(long, value_name = "HEIGHT")]
    checkpoint_height: Option<u32>,
    #[command(flatten)]
    rules: RulesArgs,
    /// Blocks after which the recovery keys can spend a vault output: 4320 or more, on regtest any
    #[arg(long, default_value_t = RECOVERY_DELAY, value_name = "BLOCKS")]
    recovery_delay: u16,
    /// The file to write
    #[arg(long, default_value = "genesis.json", value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    bitcoin: BitcoinArgs,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Verify(verify::Args),
}

/// Runs `causeway genesis`.
///
/// # Errors
///
/// A file cannot be read or written, bitcoind does not answer, or the members do not make a genesis block.
pub fn run(mut args: Args, context: &Context) -> Result<()> {
    if let Some(Command::Verify(args)) = args.command.take() {
        return verify::run(args, context);
    }
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
    let shown = json!({
        "hash": hash,
        "networkId": genesis.network_id(),
        "chainId": genesis.chain_id,
        "members": members,
        "threshold": threshold,
    });
    context.print(&shown, || show::lines(&genesis, hash).iter().for_each(|line| println!("{line}")));
    Ok(())
}

impl Args {
    fn collect(&self, context: &Context) -> Result<Genesis> {
        let parts = self.members.iter().map(|path| PublicPart::read(path)).collect::<Result<Vec<_>>>()?;
        let (network, chain_id) = common(&parts)?;
        let (wanted, wanted_id) = (self.network.unwrap_or(network), self.chain_id.unwrap_or(chain_id));
        ensure!(
            (network, chain_id) == (wanted, wanted_id),
            "the operators made their keys for {network}, chain id {chain_id}, and not for {wanted}, chain id {wanted_id}"
        );
        let threshold = match self.threshold {
            Some(threshold) => threshold,
            None => default_threshold(count(&parts)?),
        };
        let agreement = Agreement {
            threshold,
            validators: None,
            bridge: self.rules.choose(network, &parts)?,
            recovery_delay: self.recovery_delay,
            bitcoin: context
                .block_on(Progress::new(context).during("asking bitcoind for the first header", self.start(network)))?,
            timestamp: now()?,
        };
        collect(&parts, &agreement)
    }

    /// The light client's first header.
    async fn start(&self, network: Network) -> Result<Bitcoin> {
        match (network, self.checkpoint_height) {
            (Network::Regtest, None) | (_, Some(0)) => Ok(Bitcoin::start_of(network)),
            (network, height) => checkpoint::choose(&self.bitcoin.connect(network).await?, network, height).await,
        }
    }
}
