//! `causeway dev`: a whole network on this machine, as one command.
//!
//! ```text
//!   causeway dev ---- bitcoind (regtest), mined by this process
//!       |---- node 1..n      validators           each a child process of its own,
//!       '---- relayer 1..n   the federation       made from the same keys, genesis and configuration files
//!                                                 that separate operators would make
//! ```
//! Nothing is ever minted without bitcoin behind it: the developer accounts are funded by real peg-ins at the first start.

mod control;
mod fund;
mod layout;
mod miner;
mod network;
mod process;
pub mod setup;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bitcoin::Amount;
use eyre::{Result, WrapErr, bail, eyre};
use serde_json::{Value, json};
use tokio::sync::mpsc;

pub use control::{Control, Payment, Request, Status};
use layout::Layout;
pub use layout::PortChoice;
use network::Network;

use crate::amount;
use crate::context::Context;
use crate::endpoints::{DEV_ACCOUNTS, DEV_MNEMONIC, dev_account};
use crate::service::interrupted;

/// How often children are looked after.
const WATCH: Duration = Duration::from_millis(250);

/// A whole local network, until Ctrl-C
///
/// bitcoind on regtest, four validators, four relayers that sign 3 of 4, and ten funded developer accounts. Everything is
/// in one folder, and the next start continues there.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  causeway dev
  causeway dev --data-dir /tmp/peg --ports free --block-interval 0s
  causeway dev mine 6
  causeway dev kill relayer-2 && causeway dev start relayer-2")]
pub struct Args {
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    folder: FolderArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Args)]
struct FolderArgs {
    /// Folder of the network: keys, chains, logs
    #[arg(long, env = "CAUSEWAY_DEV_DIR", default_value = "causeway-dev", value_name = "FOLDER", global = true)]
    data_dir: PathBuf,
}

#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Time between Bitcoin blocks; 0s mines only on demand
    #[arg(long, default_value = "2s", value_parser = humantime::parse_duration, value_name = "TIME")]
    block_interval: Duration,
    /// Operators, each a validator and a relayer (first start only)
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(2..=16), value_name = "N")]
    operators: u16,
    /// Relayers that must sign together (first start only) [default: more than two thirds]
    #[arg(long, value_name = "N")]
    threshold: Option<u16>,
    /// `usual` (18443, 8545, ...), `free`, or the first port of a block (first start only)
    #[arg(long, default_value = "usual", value_name = "PORTS")]
    ports: PortChoice,
    /// Do not fund the developer accounts
    #[arg(long)]
    no_fund: bool,
    /// The bitcoind to run [default: one on PATH, or the one that `make bitcoind` built]
    #[arg(long, env = "BITCOIND_EXE", value_name = "FILE")]
    bitcoind: Option<PathBuf>,
    /// Stop when standard input closes
    #[arg(long, hide = true)]
    exit_with_parent: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Mine Bitcoin blocks on the running network
    Mine { blocks: u32 },
    /// Pay from the miner's wallet, which has more than enough
    Pay {
        /// A regtest address
        to: String,
        #[arg(value_parser = amount::parse)]
        amount: Amount,
    },
    /// Kill a process of the running network as kill -9 does: bitcoind, validator-1, relayer-1, ...
    Kill { name: String },
    /// Start a process again
    Start { name: String },
    /// What runs, and where
    Status,
    /// Stop the running network
    Stop,
}

pub fn run(args: Args, context: &Context) -> Result<()> {
    let folder = &args.folder.data_dir;
    match args.command {
        None => context.block_on(serve(folder, &args.options, context)),
        Some(command) => context.block_on(tell(&Control::of(folder), command, context)),
    }
}

/// Passes a subcommand on to the running network.
async fn tell(control: &Control, command: Command, context: &Context) -> Result<()> {
    match command {
        Command::Mine { blocks } => {
            let mined: Value = control.ask(&Request::Mine { blocks }).await?;
            context.print(&mined, || println!("{blocks} block(s) mined, height {}", mined["height"]));
        }
        Command::Pay { to, amount } => {
            let payment = Payment { address: to, amount_sat: amount.to_sat() };
            let paid: Value = control.ask(&Request::Pay { to: vec![payment] }).await?;
            context.print(&paid, || {
                println!("paid by {}, confirmed by the next block", paid["txid"].as_str().unwrap_or_default())
            });
        }
        Command::Kill { name } => control.ask::<()>(&Request::Kill { name }).await?,
        Command::Start { name } => control.ask::<()>(&Request::Start { name }).await?,
        Command::Stop => control.ask::<()>(&Request::Stop).await?,
        Command::Status => {
            let status: Status = control.ask(&Request::Status).await?;
            context.print(&status, || show_status(&status));
        }
    }
    Ok(())
}

/// Runs the network until it is told to stop.
async fn serve(folder: &Path, options: &Options, context: &Context) -> Result<()> {
    let _held = Layout::lock(folder)?;
    // Absolute: children and later readers of the status have other working directories.
    let folder = &folder.canonicalize().wrap_err_with(|| format!("cannot use {}", folder.display()))?;
    let (layout, fresh) = options.layout(folder)?;
    let status = Arc::new(Mutex::new(Status::default()));
    let mut requests = control::serve(folder, Arc::clone(&status))?;
    let progress = Progress { status: Arc::clone(&status), json: context.json };
    progress.endpoints(&layout);

    let mut network = Network::new(layout, options.bitcoind()?, context.log_format)?;
    let started = tokio::select! {
        started = start(&mut network, fresh, options, &progress) => started,
        () = asked_to_stop(&mut requests) => Err(eyre!("stopped before the network was ready; the next start continues")),
        () = ended(options) => Err(eyre!("stopped before the network was ready; the next start continues")),
    };
    let result = match started {
        Ok(()) => {
            progress.ready(&network, options);
            watch(&mut network, &mut requests, options, &status).await
        }
        Err(error) => Err(error),
    };
    if let Err(error) = &result {
        status.lock().expect("no holder panics").failed = Some(format!("{error:#}"));
    }
    progress.step("stopping");
    network.stop();
    result
}

async fn start(network: &mut Network, fresh: bool, options: &Options, progress: &Progress) -> Result<()> {
    network.start(fresh, progress).await?;
    if !options.no_fund {
        fund::developer_accounts(network, progress).await?;
    }
    Ok(())
}

/// Looks after a network that is up: mines, answers requests, reports children that end.
async fn watch(
    network: &mut Network,
    requests: &mut mpsc::Receiver<control::Pending>,
    options: &Options,
    status: &Mutex<Status>,
) -> Result<()> {
    let mut look = tokio::time::interval(WATCH);
    // An interval of zero is no interval: blocks come on demand.
    let pause = if options.block_interval.is_zero() { Duration::MAX / 4 } else { options.block_interval };
    let mut next_block = tokio::time::Instant::now().checked_add(pause);
    let stop = ended(options);
    tokio::pin!(stop);
    loop {
        status.lock().expect("no holder panics").running = network.running();
        tokio::select! {
            () = &mut stop => return Ok(()),
            _ = look.tick() => network.report_ended(),
            () = sleep_until(next_block) => {
                if let Err(error) = network.mine(1).await {
                    tracing::warn!("no block was mined: {error:#}");
                }
                next_block = tokio::time::Instant::now().checked_add(pause);
            }
            request = requests.recv() => {
                let Some((request, reply)) = request else { return Ok(()) };
                let stopping = request == Request::Stop;
                let answer = perform(network, request).await.map_err(|error| format!("{error:#}"));
                status.lock().expect("no holder panics").running = network.running();
                let _ = reply.send(answer); // Whoever asked may be gone.
                if stopping {
                    return Ok(());
                }
            }
        }
    }
}

async fn perform(network: &mut Network, request: Request) -> Result<Value> {
    match request {
        Request::Mine { blocks } => Ok(json!({ "height": network.mine(blocks).await? })),
        Request::Kill { name } => network.process(&name).map(|process| process.kill()).map(|()| Value::Null),
        Request::Start { name } => network.process(&name)?.start().map(|()| Value::Null),
        Request::Pay { to } => Ok(json!({ "txid": network.pay(&to).await? })),
        Request::Status | Request::Stop => Ok(Value::Null),
    }
}

async fn asked_to_stop(requests: &mut mpsc::Receiver<control::Pending>) {
    while let Some((request, reply)) = requests.recv().await {
        let stop = request == Request::Stop;
        let _ = reply.send(if stop {
            Ok(Value::Null)
        } else {
            Err("the network is still starting; `causeway dev status` tells when it is ready".into())
        });
        if stop {
            return;
        }
    }
}

/// Ends when this process is to stop.
fn ended(options: &Options) -> impl Future<Output = ()> + use<> {
    let service = crate::service::ServiceArgs { exit_with_parent: options.exit_with_parent, ..Default::default() };
    async move { if service.exit_with_parent { service.stop().await } else { interrupted().await } }
}

async fn sleep_until(time: Option<tokio::time::Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

impl Options {
    /// The layout of the folder, and whether this is its first start.
    fn layout(&self, folder: &Path) -> Result<(Layout, bool)> {
        if let Some(layout) = Layout::load(folder)? {
            return Ok((layout, false));
        }
        let threshold = self.threshold.unwrap_or(self.operators * 2 / 3 + 1);
        if threshold < 2 || threshold > self.operators {
            bail!("--threshold {threshold} of {} operators: expected 2 to {}", self.operators, self.operators);
        }
        Ok((Layout::new(folder, self.operators, threshold, self.ports)?, true))
    }

    /// The bitcoind to run: named, on PATH, or built by `make bitcoind`.
    fn bitcoind(&self) -> Result<PathBuf> {
        if let Some(path) = &self.bitcoind {
            return path.canonicalize().wrap_err_with(|| format!("there is no bitcoind at {}", path.display()));
        }
        let on_path =
            std::env::var_os("PATH").into_iter().flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
        let executable = std::env::current_exe().wrap_err("cannot tell where this program is")?;
        // target/debug/causeway stands beside target/bitcoin/bin/bitcoind.
        let built = executable.ancestors().nth(2).map(|target| target.join("bitcoin/bin"));
        built.into_iter().chain(on_path).map(|folder| folder.join("bitcoind")).find(|path| path.is_file()).ok_or_else(|| {
            eyre!("no bitcoind found: run `make bitcoind` (it builds one), install Bitcoin Core 28 or later, or name it by --bitcoind or BITCOIND_EXE")
        })
    }
}

/// Tells how far the network is: on the terminal, and to whoever asks by the socket.
pub struct Progress {
    status: Arc<Mutex<Status>>,
    json: bool,
}

impl Progress {
    pub fn step(&self, text: impl Into<String>) {
        let text = text.into();
        if self.json {
            println!("{}", json!({ "event": "step", "text": text }));
        } else {
            println!("{text}");
        }
        self.status.lock().expect("no holder panics").step = text;
    }

    fn endpoints(&self, layout: &Layout) {
        let mut status = self.status.lock().expect("no holder panics");
        status.rpc = (1..=layout.operators).map(|index| layout.rpc_url(index)).collect();
        status.bitcoin = layout.bitcoin_url();
        status.bitcoin_cookie = layout.cookie();
        status.genesis = layout.genesis();
    }

    fn ready(&self, network: &Network, options: &Options) {
        let status = {
            let mut status = self.status.lock().expect("no holder panics");
            status.ready = true;
            status.step = "ready".into();
            status.running = network.running();
            status.clone()
        };
        if self.json {
            println!("{}", json!({ "event": "ready", "status": status }));
        } else {
            show_ready(&status, options);
        }
    }
}

/// As the tools that developers know do it.
fn show_ready(status: &Status, options: &Options) {
    if !options.no_fund {
        println!("\nAccounts, each funded by a peg-in of {}\n", amount::show(fund::EACH));
        for index in 0..DEV_ACCOUNTS {
            let account = dev_account(index);
            println!("({index}) {}  0x{}", account.address(), account.secret().display_secret());
        }
        println!("\nMnemonic  {DEV_MNEMONIC}\nPath      m/44'/60'/0'/0/");
    }
    println!();
    show_status(status);
    if options.block_interval.is_zero() {
        println!("\nBitcoin blocks come on demand: causeway dev mine 1");
    } else {
        println!(
            "\nA Bitcoin block every {}; more: causeway dev mine 1",
            humantime::format_duration(options.block_interval)
        );
    }
    println!("Ctrl-C stops; the next start continues.");
}

fn show_status(status: &Status) {
    for (index, rpc) in status.rpc.iter().enumerate() {
        println!("Node {}    {rpc}  {}", index + 1, rpc.replacen("http", "ws", 1));
    }
    println!("Bitcoin   {}  cookie {}", status.bitcoin, status.bitcoin_cookie.display());
    println!("Genesis   {}", status.genesis.display());
    println!("Running   {}", status.running.join(" "));
    if !status.ready {
        println!("Not ready {}", status.step);
    }
}
