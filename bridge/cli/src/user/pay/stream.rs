//! `causeway pay stream`: a streamed answer, paid for as it comes.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use bitcoin::Amount;
use bridge::amount;
use eyre::{Result, WrapErr, bail};
use paywall::io::fetch::check_encrypted;
use paywall::io::fetch::purse::SessionPurse;
use paywall::io::fetch::session::{Begun, Ended, Session};
use paywall::payer::tally::Stop;

use super::by_session::{BySession, OnChain};
use super::channel::shown_amount;
use super::event::Event;
use super::fetch::PageArgs;
use crate::context::Context;
use crate::options::account::AccountArgs;
use crate::options::network::NetworkArgs;
use crate::options::stop::StopArgs;

/// Read a streamed answer and pay for it as it comes, by a channel
///
/// The server counts what it delivers, and so does this command: it promises no more than --ahead beyond what came, and no more than
/// --max in all. The channel is the one that is kept for this server, or --channel; --deposit opens one where there is none, and tops one up that is
/// used up before --max, by as much as it says. Ctrl-C ends it: what was promised and not delivered stays in the channel, for the next request to the same server.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  causeway pay stream http://127.0.0.1:8402/tokens --max '500 sat' --deposit '10000 sat' --dev-account 0
  causeway pay stream http://127.0.0.1:8402/tokens --max '500 sat' --dev-account 0
  causeway pay stream https://api.example.com/v1/chat -d @question.json -H 'content-type: application/json' --max '0.0001 BTC' \\
      --channel 0x6b62... --seed payments.seed --ticks")]
pub struct StreamArgs {
    #[command(flatten)]
    page: PageArgs,
    /// The most that the answer may cost; more is not promised
    #[arg(long, value_name = "AMOUNT", value_parser = amount::parse)]
    max: Amount,
    #[command(flatten)]
    session: BySession,
    /// Pay by ticks: one signature, then 32 bytes a payment
    #[arg(long)]
    ticks: bool,
    /// Write the answer here instead of to standard output
    #[arg(short = 'o', long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    account: AccountArgs,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    stop: StopArgs,
}

/// Streams until the answer, the money or the reader ends it.
///
/// # Errors
///
/// The server does not answer, offers no session, asks for more than it delivered, or breaks off.
pub async fn stream(args: StreamArgs, context: &Context) -> Result<()> {
    let page = args.page.page()?;
    if !args.page.insecure {
        check_encrypted(&page.url)?;
    }
    let network = args.session.connect(&args.network, &args.account).await?;
    let purse = args.session.purse(&network, &args.account, args.max).await?;
    let purse = SessionPurse { supplies: true, by_ticks: args.ticks, ..purse };
    let chain = OnChain { network: &network, own: purse.account.address() };
    let begun = Session::begin(purse, &page, Duration::from_secs(args.page.timeout), chain).await?;
    let Begun::Asked(mut session) = begun else {
        bail!("the server asks for nothing: fetch it by `causeway pay fetch`, or curl");
    };
    let response = session.answer(&page).await?;
    let mut file = match &args.output {
        Some(path) => Some(std::fs::File::create(path).wrap_err_with(|| format!("cannot write {}", path.display()))?),
        None => None,
    };
    let mut show = |bytes: &[u8]| match &mut file {
        Some(file) => file.write_all(bytes),
        None if context.json => {
            context.print(&Event::Part { text: String::from_utf8_lossy(bytes).into_owned() }, || ());
            Ok(())
        }
        None => crate::terminal::page(bytes),
    };
    let ended = session.pass(response, &page, &mut show, args.stop.stopped()).await;
    let transaction = if args.session.close { session.close(&page).await.map(Some) } else { Ok(None) };
    tell(&session, ended.as_ref().ok(), transaction.as_ref().ok().cloned().flatten().flatten(), context);
    transaction?;
    match ended? {
        Ended::Stopped(stop @ Stop::AsksTooMuch { .. }) => Err(stop.into()),
        _ => Ok(()),
    }
}

/// What was paid, also of what broke off.
fn tell(session: &Session<OnChain<'_>>, ended: Option<&Ended>, closed: Option<String>, context: &Context) {
    let (tally, standing, demand) = (session.tally(), session.standing(), session.demand());
    let coins = |wei| shown_amount(alloy_primitives::Address::ZERO, wei);
    let why = match ended {
        None => "broken-off",
        Some(Ended::Whole) => "whole",
        Some(Ended::Interrupted) => "interrupted",
        Some(Ended::Stopped(Stop::Limit { .. })) => "limit",
        Some(Ended::Stopped(Stop::Deposit { .. })) => "deposit",
        Some(Ended::Stopped(Stop::AsksTooMuch { .. })) => "asks-too-much",
    };
    let cost = tally.cost().map(|cost| cost.saturating_sub(tally.cost_before()));
    let event = Event::Streamed {
        ended: why,
        channel: session.channel(),
        payee: demand.payee,
        events: tally.events(),
        promised: tally.promised().to_string(),
        cost: cost.map(|cost| cost.to_string()),
        signed: standing.signed.to_string(),
        deposit: standing.deposit.to_string(),
        receipt: session.receipt().cloned(),
        closed: closed.clone(),
    };
    if context.json {
        context.print(&event, || ());
        return;
    }
    let cost = cost.map_or_else(String::new, |cost| format!(", {} delivered by our own count", coins(cost)));
    eprintln!(
        "Promised {} to {} for {} event(s){cost}: {} of channel {}'s {} in all",
        coins(tally.promised()),
        demand.payee,
        tally.events(),
        coins(standing.signed),
        session.channel(),
        coins(standing.deposit)
    );
    match ended {
        Some(Ended::Stopped(stop @ Stop::Deposit { .. })) if let Some(why) = session.why_not_added() => {
            eprintln!("Stopped: {stop}, and nothing was added to it: {why}");
        }
        Some(Ended::Stopped(stop)) => eprintln!("Stopped: {stop}"),
        Some(Ended::Interrupted) => eprintln!("Stopped: what is left in the channel pays for the next request"),
        _ => {}
    }
    if let Some(transaction) = closed {
        eprintln!("Channel closed: transaction {transaction}");
    }
}
