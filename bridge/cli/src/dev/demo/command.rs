//! `causeway demo`: its arguments, and the steps in their order.

use std::path::{Path, PathBuf};

use bridge::amount;
use bridge::io::sidechain::Account;
use bridge::peg::Info;
use eyre::{Result, bail};

use super::amounts::{PAGE, PAYMENT, PAYMENTS, PEG_IN, PEG_OUT};
use super::audit::{check_user, run_audit};
use super::micropayments::micropayments;
use super::network::Network;
use super::outage::{KILLED_OPERATOR, kill_operator, restart_operator};
use super::paid_page::paid_page;
use super::peg_in::peg_in;
use super::peg_out::peg_out;
use super::story::Story;
use super::user::User;
use crate::context::Context;

/// The main job shown step by step on a local network
///
/// Starts bitcoind (regtest), four validators and four relayers; pegs 1 BTC in, makes 1,000 micropayments, buys a
/// page over HTTP, kills an operator, pegs 0.5 BTC out, brings the operator back, and audits. Exit status 0 only if every amount matches.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  causeway demo
  causeway demo --keep     leaves the network up, and says how to reach it")]
pub struct Args {
    /// Leave the network up
    #[arg(long)]
    keep: bool,
    /// Folder of the network; it must not exist [default: a new temporary folder]
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// Program that buys the page, any client of x402 or MPP: it is told CAUSEWAY_PAGE, CAUSEWAY_KEY, CAUSEWAY_CHAIN and CAUSEWAY_AMOUNT, and prints what it got [default: this
    /// program buys it]
    #[arg(long, value_name = "PROGRAM")]
    buyer: Option<PathBuf>,
}

/// Runs `causeway demo`.
///
/// # Errors
///
/// A step fails, or an amount does not match.
pub fn run(args: Args, context: &Context) -> Result<()> {
    context.block_on(demo(&args))
}

async fn demo(args: &Args) -> Result<()> {
    let mut story = Story::new();
    let folder = args.folder()?;
    story.step("A network on this machine");
    let network = Network::start(&folder, args.keep, &mut story).await?;
    let done = main_job(&network, args.buyer.as_deref(), &mut story).await;
    match (&done, args.keep) {
        (Ok(()), true) => network.show(),
        (Ok(()), false) => {
            network.stop().await;
            let _ = std::fs::remove_dir_all(&folder); // Only tidiness: it is in the temporary folder.
        }
        (Err(_), _) => {
            eprintln!("\nlogs: {}", folder.join("logs").display());
            network.stop().await;
        }
    }
    done?;
    story.end();
    Ok(())
}

async fn main_job(network: &Network, buyer: Option<&Path>, story: &mut Story) -> Result<()> {
    let info = network.client.info().await?;
    show_federation(&info, story);
    let mut user = User::new(network).await?;
    let payee = Account::random();

    story.step(format!("Peg in {}", amount::show(PEG_IN)));
    let minted = peg_in(network, &mut user, &info, story).await?;

    story.step(format!("{PAYMENTS} micropayments of {}", amount::show(PAYMENT)));
    let mut spent_wei = micropayments(&network.client, &user.account, &payee, story).await?;

    story.step(format!("A page over HTTP for {}", amount::show(PAGE)));
    spent_wei += paid_page(network, &user.account, &payee, buyer, story).await?;

    story.step(format!("Kill operator {KILLED_OPERATOR}: its validator and its relayer, with -9"));
    kill_operator(network, story).await?;

    story.step(format!("Peg out {} while they are dead", amount::show(PEG_OUT)));
    let out = peg_out(network, &mut user, &info, story).await?;

    story.step(format!("Bring operator {KILLED_OPERATOR} back"));
    restart_operator(network, story).await?;

    story.step("Audit");
    let left_wei = amount::wei(minted) - spent_wei - amount::wei(PEG_OUT) - out.gas;
    check_user(network, &mut user, left_wei, out.received, story).await?;
    run_audit(network, story).await
}

fn show_federation(info: &Info, story: &mut Story) {
    let (threshold, members, key) = (info.threshold, info.members.len(), info.group_key.unwrap_or_default());
    story.fact("federation", format!("{threshold} of {members} sign, group key {key:x}"));
}

impl Args {
    fn folder(&self) -> Result<PathBuf> {
        match &self.data_dir {
            Some(folder) if folder.exists() => {
                bail!("{} exists: the demo starts from nothing, name a folder that does not exist", folder.display())
            }
            Some(folder) => Ok(folder.clone()),
            None => Ok(std::env::temp_dir().join(format!("causeway-demo-{}", std::process::id()))),
        }
    }
}
