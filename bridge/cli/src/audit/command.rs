//! `causeway audit`: what is typed, and the audit itself, once or for each block.

use std::path::PathBuf;
use std::time::Duration;

use alloy_primitives::B256;
use bridge::io::sidechain::Client;
use eyre::{Result, WrapErr, ensure, eyre};
use files::write_atomic;
use light::finality::Validators;
use mainchain::io::rpc::BitcoinRpc;

use super::findings::{Deadlines, Kind};
use super::outputs::find;
use super::prometheus;
use super::report::{Moment, Report};
use super::sidechain::Ledger;
use super::webhook;
use crate::clock::now;
use crate::context::Context;
use crate::genesis_file::read_genesis;
use crate::options::bitcoin::BitcoinArgs;
use crate::options::sidechain::SidechainArgs;

/// How often the audit starts anew because a block of Bitcoin came in between.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(300);
/// Between two looks for a new block.
const LOOK: Duration = Duration::from_secs(1);
/// Blocks behind the last tier of confirmations in which a deposit gets its coins.
const MINTING_BLOCKS: u32 = 6;

/// Every satoshi on the sidechain matched with an output on Bitcoin
///
/// Trusts the genesis file and your own bitcoind, and nothing else: each amount says by what it is proven. Exit status 1 if a satoshi is
/// missing, on Bitcoin or by the bridge's own books. What is only late is said, and is no error.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  causeway audit --genesis genesis.json --rpc http://127.0.0.1:8545 --bitcoin http://127.0.0.1:8332
  causeway audit --genesis genesis.json --receipt today.json     and then anywhere: causeway verify today.json --genesis genesis.json
  causeway audit --genesis genesis.json --watch --prometheus /var/lib/node_exporter/causeway.prom --webhook https://alarm.example/causeway")]
pub struct Args {
    /// The network's genesis file: whose signatures make a block final
    #[arg(long, env = "CAUSEWAY_GENESIS", value_name = "FILE")]
    pub genesis: PathBuf,
    #[command(flatten)]
    pub sidechain: SidechainArgs,
    #[command(flatten)]
    pub bitcoin: BitcoinArgs,
    #[command(flatten)]
    pub rules: Rules,
    /// Audit again at each block, until a satoshi is missing
    #[arg(long)]
    pub watch: bool,
    /// Post the report there when a satoshi is missing (a JSON-RPC notification `causeway_audit`), and go on with --watch
    #[arg(long, value_name = "URL")]
    pub webhook: Option<String>,
    /// Write the report as gauges of Prometheus (for node_exporter's textfile collector)
    #[arg(long, value_name = "FILE")]
    pub prometheus: Option<PathBuf>,
    /// Write what proves the report: `causeway verify` checks it offline
    #[arg(long, value_name = "FILE", conflicts_with = "watch")]
    pub receipt: Option<PathBuf>,
}

/// When something counts as too old, or late.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Rules {
    /// The oldest that the node's latest final block may be
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = humantime::parse_duration)]
    pub max_age: Duration,
    /// A withdrawal that waits for longer is late
    #[arg(long, value_name = "TIME", default_value = "2h", value_parser = humantime::parse_duration)]
    pub deadline: Duration,
}

impl Default for Rules {
    fn default() -> Self {
        Self { max_age: Duration::from_secs(300), deadline: Duration::from_secs(7_200) }
    }
}

/// Whom to ask, and by what to check the answers.
struct Auditor {
    client: Client,
    bitcoin: BitcoinRpc,
    validators: Validators,
    genesis: B256,
    max_age: Duration,
    deadlines: Deadlines,
}

/// Runs `causeway audit`.
///
/// # Errors
///
/// A satoshi is missing, or one of the nodes does not answer or prove what it says.
pub fn run(args: Args, context: &Context) -> Result<()> {
    context.block_on(async {
        let auditor = Auditor::new(&args).await?;
        if args.watch {
            return watch(&auditor, &args, context).await;
        }
        let (report, ledger) = auditor.audit().await?;
        if let Some(path) = &args.receipt {
            let json = serde_json::to_string(&ledger.receipt)? + "\n";
            write_atomic(path, json.as_bytes()).wrap_err_with(|| format!("cannot write {}", path.display()))?;
        }
        tell(&report, &args, context).await?;
        judge(&report)
    })
}

/// Audits once.
///
/// # Errors
///
/// One of the nodes does not answer, or the sidechain's does not prove what it says.
pub async fn audit(args: &Args) -> Result<Report> {
    Auditor::new(args).await?.audit().await.map(|(report, _)| report)
}

/// An error if a satoshi is missing.
///
/// # Errors
///
/// Says where.
pub fn judge(report: &Report) -> Result<()> {
    let missing = report.findings.iter().find(|objection| objection.kind == Kind::Safety);
    missing.map_or(Ok(()), |objection| Err(eyre!("{}", objection.finding.line())))
}

/// Prints a report, and writes and posts it where that is wanted. Who watches reads a line a block, while nothing is missing or late.
async fn tell(report: &Report, args: &Args, context: &Context) -> Result<()> {
    let lines = if args.watch && report.findings.is_empty() { vec![report.line()] } else { report.lines() };
    context.print(report, || lines.iter().for_each(|line| println!("{line}")));
    if let Some(path) = &args.prometheus {
        write_atomic(path, prometheus::text(report).as_bytes())
            .wrap_err_with(|| format!("cannot write {}", path.display()))?;
    }
    match &args.webhook {
        Some(url) if report.is_unsafe() => webhook::post(url, report).await,
        _ => Ok(()),
    }
}

/// Audits at each block, until a satoshi is missing; with a webhook, which was told then, for ever.
async fn watch(auditor: &Auditor, args: &Args, context: &Context) -> Result<()> {
    let mut last = None;
    loop {
        let block = auditor.client.block_number().await;
        match block {
            Ok(number) if last == Some(number) => {}
            Ok(number) => {
                let (report, _) = auditor.audit().await?;
                tell(&report, args, context).await?;
                if args.webhook.is_none() {
                    judge(&report)?;
                }
                last = Some(number);
            }
            Err(error) if error.retry() => tracing::warn!("asking again: {error}"),
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(LOOK).await;
    }
}

impl Auditor {
    async fn new(args: &Args) -> Result<Self> {
        let genesis = read_genesis(&args.genesis)?;
        let deposit_confirmations = genesis.bridge.final_blocks.saturating_add(MINTING_BLOCKS);
        Ok(Self {
            client: args.sidechain.client(Some(&genesis))?,
            bitcoin: args.bitcoin.connect(genesis.bitcoin.network).await?,
            validators: genesis.validators()?,
            genesis: genesis.build()?.hash,
            max_age: args.rules.max_age,
            deadlines: Deadlines { withdrawal_s: args.rules.deadline.as_secs(), deposit_confirmations },
        })
    }

    /// Audits; anew when a block of Bitcoin came in between: then bitcoind's answers are not all of one tip.
    async fn audit(&self) -> Result<(Report, Ledger)> {
        let mut last = Err(eyre!("a new Bitcoin block came in between, {ATTEMPTS} times: try again"));
        for _ in 0..ATTEMPTS {
            let tip = self.bitcoin.best_tip().await?;
            match Ledger::read(&self.client, self.genesis, &self.validators).await {
                Ok(ledger) => {
                    let outputs = find(&self.bitcoin, &ledger, tip.0).await?;
                    if self.bitcoin.best_tip().await? == tip {
                        return self.report(ledger, tip, outputs);
                    }
                }
                Err(error) => last = Err(error),
            }
            tokio::time::sleep(PAUSE).await;
        }
        last
    }

    fn report(
        &self,
        ledger: Ledger,
        (bitcoin_height, bitcoin_tip): (u32, bitcoin::BlockHash),
        outputs: Vec<super::outputs::Output>,
    ) -> Result<(Report, Ledger)> {
        let moment = Moment { now: now()?, bitcoin_height, bitcoin_tip };
        let report = Report::new(&ledger, moment, outputs, self.deadlines);
        let (age, most) = (Duration::from_secs(report.age_s), self.max_age);
        ensure!(
            age <= most,
            "the latest final block that the node at {} shows, {}, is {} old, and may be {} (--max-age): the chain stands still, or the node hides what is newer",
            self.client.url(),
            report.block,
            humantime::format_duration(age),
            humantime::format_duration(most)
        );
        Ok((report, ledger))
    }
}
