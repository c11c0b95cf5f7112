//! `causeway doctor`: looks at everything, and says what to do.

use std::path::PathBuf;

use eyre::Result;
use serde::Serialize;

use super::check::{Check, Level, sort};
use super::whose::{of_node, of_relayer, user, usual_place};
use crate::context::Context;
use crate::exit::{Exit, UNWELL};
use crate::options::bitcoin::BitcoinArgs;
use crate::options::network::NetworkArgs;
use crate::progress::Progress;

/// What is wrong with this machine's part of a network, and what to do
///
/// One line for each thing that was looked at, the worst first: configuration, genesis file, sidechain node, bitcoind (version, network,
/// pruned, lag, cookie), ports, peers, clock, disk, keystores. Whose they are it finds out: node.toml and relayer.toml are looked for here
/// and in /etc/causeway, a user's files in --home. Nothing is changed, and no passphrase is asked for. Exit status 3 if something is wrong.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  causeway doctor
  causeway doctor --node /etc/causeway/node.toml --relayer /etc/causeway/relayer.toml
  causeway doctor --rpc https://node.example --genesis genesis.json --json")]
pub struct Args {
    /// A node's configuration [default: node.toml here or in /etc/causeway, if it is there]
    #[arg(long, value_name = "FILE")]
    node: Option<PathBuf>,
    /// A relayer's configuration [default: relayer.toml here or in /etc/causeway, if it is there]
    #[arg(long, value_name = "FILE")]
    relayer: Option<PathBuf>,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    bitcoin: BitcoinArgs,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    worst: Level,
    checks: &'a [Check],
}

/// Runs `causeway doctor`.
///
/// # Errors
///
/// Something is wrong.
pub fn run(args: &Args, context: &Context) -> Result<()> {
    let progress = Progress::new(context);
    let looking = progress.during("looking at files, nodes, bitcoind and clocks", look(args));
    let checks = context.block_on(looking)?;
    let worst = checks.first().map_or(Level::Fine, |check| check.level);
    context.print(&Report { worst, checks: &checks }, || checks.iter().for_each(|check| println!("{}", check.line())));
    let wrong: Vec<&Check> = checks.iter().filter(|check| check.level == Level::Wrong).collect();
    match wrong.as_slice() {
        [] => Ok(()),
        [first, ..] => {
            let count = wrong.len();
            let error = eyre::eyre!("{count} of {} checks are wrong; first: {}", checks.len(), first.seen);
            Err(error.wrap_err(Exit { way: &UNWELL, words: "something is wrong here" }))
        }
    }
}

async fn look(args: &Args) -> Result<Vec<Check>> {
    let is_told = args.node.is_some() || args.relayer.is_some();
    let usual = |named: &Option<PathBuf>, name| if is_told { named.clone() } else { usual_place(name) };
    let (node, relayer) = (usual(&args.node, "node.toml"), usual(&args.relayer, "relayer.toml"));
    let mut checks = Vec::new();
    let is_operator = node.is_some() || relayer.is_some();
    // An operator's machine may have no user.
    if !is_operator || (!is_told && args.network.home.folder()?.is_dir()) {
        checks.extend(user(&args.network, &args.bitcoin).await?);
    }
    if let Some(path) = node {
        checks.extend(of_node(&path).await);
    }
    if let Some(path) = relayer {
        checks.extend(of_relayer(&path).await);
    }
    sort(&mut checks);
    Ok(checks)
}
