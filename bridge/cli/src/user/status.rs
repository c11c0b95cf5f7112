//! `causeway status`: where one's own deposits and withdrawals stand, or one of them, a vault transaction, or the bridge itself.

use std::str::FromStr;
use std::time::Duration;

use bitcoin::{Amount, OutPoint};
use bridge::foreign;
use bridge::io::sidechain::{Client, WaitedFor};
use bridge::peg::{DepositPlace, DepositReport, Info, Limits, OutputStatus, Vault, VaultStatus, VaultTransaction};
use eyre::{Result, bail, eyre};
use serde::Serialize;

use crate::context::Context;
use crate::options::bitcoin::BitcoinArgs;
use crate::options::network::{KnownNetwork, NetworkArgs};
use crate::options::sidechain::is_temporary;
use crate::user::bridge_waits::{Now, now, on_the_way, payable, stopped};
use crate::user::charge::rate_shown;
use crate::user::deposit::{self, Progress};
use crate::user::deposit_follow::{self, outpoints};
use crate::user::deposit_record::Records;
use crate::user::outlook::{Lookout, Outlook};
use crate::user::own::{Own, payments};
use crate::user::payment::{Awaited, Terms, Unseen};
use crate::user::payment_watch::{self, Watch};
use crate::user::registration::{Unregistered, prove, register};
use crate::user::withdrawal;
use bridge::amount;

/// Where your deposits and withdrawals, or one of them, or the bridge itself stands
///
/// Says of each what is awaited and why, and what you can do. Your own are those that commands in this --home made.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  causeway status                   your deposits and withdrawals that are under way, and the bridge in a line
  causeway status --follow          the same, again at each change
  causeway status bridge            the bridge: reserves, limits, the federation, what stops payouts
  causeway status bcrt1p...         the deposits to an address; registers one of yours again that the node let go
  causeway status bcrt1p... --prove shows the node what your bitcoind knows of payments to it
  causeway status <txid>:<vout>     one deposit
  causeway status 7                 withdrawal 7
  causeway status vault:3           vault transaction 3")]
pub struct Args {
    /// A deposit address, an outpoint, a withdrawal's number, vault:NUMBER, or bridge; nothing for your own deposits and withdrawals
    #[arg(value_name = "ID")]
    id: Option<Id>,
    /// Go on, and show each change, until it is done
    #[arg(long, conflicts_with = "prove")]
    follow: bool,
    /// Show those of your own that are done, too, and however many there are
    #[arg(long, conflicts_with = "id")]
    all: bool,
    /// Prove payments to an address of yours to the node: a busy one takes proofs when it takes nothing else
    #[arg(long, requires = "id")]
    prove: bool,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    bitcoin: BitcoinArgs,
}

/// How often what is followed is looked at.
const POLL: Duration = Duration::from_secs(1);

/// The bridge, with whom it waits for.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Bridge<'a> {
    #[serde(flatten)]
    info: &'a Info,
    limits: &'a Limits,
    vault: &'a Vault,
    now: Now,
    waited_for: &'a [WaitedFor],
    /// Whether it follows from what the genesis file's validators signed: then the node's word is only which vault transactions and proposals there are.
    proven: bool,
    node: &'a str,
}

/// Deposits to an address, or at an outpoint, with what they wait for.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Deposits {
    #[serde(skip_serializing_if = "Option::is_none")]
    registered: Option<bool>,
    /// Of an address of one's own that the node does not take.
    #[serde(skip_serializing_if = "Option::is_none")]
    unregistered: Option<Unregistered>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    deposits: Vec<Progress>,
    /// Payments to an address of one's own that the ledger does not have, as one's own bitcoind sees them.
    payments: Vec<Awaited>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unseen: Option<Unseen>,
    next: Option<DepositPlace>,
    since_block: u64,
}

/// One answer, for scripts and for people.
struct Answer {
    json: serde_json::Value,
    lines: Vec<String>,
    /// What has to change for it to be shown again.
    news: Vec<String>,
    has_ended: bool,
}

impl Answer {
    /// One that is shown again whenever a line of it changes.
    fn of(shown: &impl Serialize, lines: Vec<String>, has_ended: bool) -> Self {
        Self { json: json_of(shown), news: lines.clone(), lines, has_ended }
    }
}

/// What can be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Id {
    Bridge,
    Withdrawal(u64),
    Vault(u32),
    /// An address or an outpoint.
    Deposit(String),
}

impl FromStr for Id {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "bridge" {
            return Ok(Self::Bridge);
        }
        if let Some(number) = text.strip_prefix("vault:") {
            return number.parse().map(Self::Vault).map_err(|_| format!("vault:{number} wants a number, e.g. vault:3"));
        }
        if let Ok(id) = text.parse() {
            return Ok(Self::Withdrawal(id));
        }
        let is_address = bitcoin::Address::from_str(text).is_ok();
        if is_address || OutPoint::from_str(text).is_ok() {
            return Ok(Self::Deposit(text.to_owned()));
        }
        Err("neither a withdrawal's number, a Bitcoin address, an outpoint (txid:vout), vault:NUMBER, nor bridge"
            .into())
    }
}

/// Runs `causeway status`.
///
/// # Errors
///
/// There is nothing of that number, or the node does not answer.
pub fn run(args: Args, context: &Context) -> Result<()> {
    context.block_on(async {
        let network = args.network.connect_to_pay().await?;
        let bitcoin = args.bitcoin.if_there(network.bitcoin).await;
        let mut asked = Asked {
            args: &args,
            network: &network,
            lookout: Lookout::new(&network.client, bitcoin.clone(), network.witness()?),
            watch: None,
        };
        match &args.id {
            Some(Id::Bridge) if args.follow => bail!(
                "--follow follows deposits and withdrawals, which end. The bridge does not: causeway audit --watch looks at it again and again"
            ),
            Some(Id::Bridge | Id::Withdrawal(_) | Id::Vault(_)) if args.prove => {
                bail!("--prove wants the address of a deposit")
            }
            Some(Id::Bridge) => bridge(&mut asked.lookout, &network, context).await,
            Some(Id::Withdrawal(id)) if args.follow => withdrawal::follow(&network, *id, bitcoin, context).await,
            Some(Id::Deposit(id)) if args.follow => match Records::in_home(&network.home).find(id) {
                Ok(record) => deposit_follow::follow(&network, &record, bitcoin, context).await,
                Err(_) => asked.follow(context).await,
            },
            _ if args.follow => asked.follow(context).await,
            _ => {
                if let (Some(Id::Deposit(id)), true) = (&args.id, args.prove) {
                    args.prove_payments(&network, id).await?;
                }
                let answer = asked.answer().await?;
                context.print(&answer.json, || answer.lines.iter().for_each(|line| println!("{line}")));
                Ok(())
            }
        }
    })
}

/// What is asked for, by whom, of whom.
struct Asked<'a> {
    args: &'a Args,
    network: &'a KnownNetwork,
    lookout: Lookout<'a>,
    watch: Option<Watch>,
}

impl Asked<'_> {
    async fn answer(&mut self) -> Result<Answer> {
        match &self.args.id {
            None => {
                let own = Own::look(&mut self.lookout, self.network, &mut self.watch, self.args.all).await?;
                Ok(Answer { json: json_of(&own), lines: own.describe(), news: own.news(), has_ended: own.has_ended() })
            }
            Some(Id::Withdrawal(id)) => withdrawal(&mut self.lookout, &self.network.info, *id).await,
            Some(Id::Vault(number)) => vault(&self.network.client, *number).await,
            Some(Id::Deposit(id)) => deposit(&mut self.lookout, self.network, &mut self.watch, id).await,
            Some(Id::Bridge) => unreachable!("the bridge has an answer of its own shape"),
        }
    }

    /// Shows the answer at each change, until it cannot change any more.
    async fn follow(&mut self, context: &Context) -> Result<()> {
        let mut shown = Vec::new();
        loop {
            match self.answer().await {
                Ok(answer) => {
                    if answer.news != shown {
                        if !context.json && !shown.is_empty() {
                            println!();
                        }
                        context.print(&answer.json, || answer.lines.iter().for_each(|line| println!("{line}")));
                        shown = answer.news;
                    }
                    if answer.has_ended {
                        return Ok(());
                    }
                }
                Err(error) if is_temporary(&error) => tracing::warn!("asking again: {error:#}"),
                Err(error) => return Err(error),
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

fn json_of(answer: &impl Serialize) -> serde_json::Value {
    serde_json::to_value(answer).expect("our own types always serialise")
}

async fn bridge(lookout: &mut Lookout<'_>, network: &KnownNetwork, context: &Context) -> Result<()> {
    let outlook = lookout.look().await?;
    let Outlook { info, limits, vault, waited_for, .. } = outlook;
    let (proven, node) = (network.is_proven, network.client.url());
    let bridge = Bridge { info, limits, vault, now: now(outlook), waited_for, proven, node };
    context.print(&bridge, || show_bridge(&bridge));
    Ok(())
}

async fn withdrawal(lookout: &mut Lookout<'_>, info: &Info, id: u64) -> Result<Answer> {
    let progress = withdrawal::progress(lookout, &info.parameters, id).await?;
    let progress = progress.ok_or_else(|| eyre!("there is no withdrawal {id}"))?;
    let has_ended = withdrawal::has_ended(progress.withdrawal.status);
    Ok(Answer::of(&progress, withdrawal::describe(&progress), has_ended))
}

async fn vault(client: &Client, number: u32) -> Result<Answer> {
    let vault =
        client.vault_transaction(number).await?.ok_or_else(|| eyre!("there is no vault transaction {number}"))?;
    let replaced = replaced(client, &vault).await?;
    let has_ended = vault.status != VaultStatus::Bound;
    Ok(Answer::of(&vault, describe_vault(&vault, replaced), has_ended))
}

/// The settled vault transaction that spends what a bound one spends.
async fn replaced(client: &Client, vault: &VaultTransaction) -> Result<Option<u32>> {
    if vault.status != VaultStatus::Bound {
        return Ok(None);
    }
    for output in &vault.content.outputs {
        if let Some(by) = client.vault_transaction(*output).await?.and_then(|output| output.spent_by) {
            return Ok(Some(by));
        }
    }
    for outpoint in &vault.content.deposits {
        let found = client.deposit(&outpoint.to_string()).await?.deposits;
        if let Some(by) = found.first().and_then(|deposit| deposit.swept_by) {
            return Ok(Some(by));
        }
    }
    Ok(None)
}

/// Deposits, and payments that are none yet. An address that the user has a record of and the node does not know is registered again.
async fn deposit(
    lookout: &mut Lookout<'_>,
    network: &KnownNetwork,
    watch: &mut Option<Watch>,
    id: &str,
) -> Result<Answer> {
    let client = lookout.client;
    let mut report = client.deposit(id).await?;
    let record = Records::in_home(&network.home).find(id).ok();
    let mut unregistered = None;
    if let (Some(false), Some(record)) = (report.registered, &record) {
        match register(client, record).await {
            Ok(()) => report = client.deposit(id).await?,
            // What was paid, and the way to take it back, is told all the same.
            Err(error) => unregistered = Some(Unregistered::by(error)?),
        }
    }
    let parameters = &network.info.parameters;
    let DepositReport { registered, address, deposits, next, since_block } = report;
    if let Some(record) = &record {
        deposit::expect_of(client, record, &deposits)?;
    }
    let deposits = deposit::progress(lookout, parameters, deposits).await?;
    let records = record.as_slice();
    let payments = payments(lookout, watch, &network.home, records, &outpoints(&deposits)).await?;
    let unseen = match &record {
        Some(record) if unregistered.is_none() && deposits.is_empty() && payments.is_empty() => {
            let blocks = watch.as_ref().and_then(|watch| watch.asked(&record.address));
            Some(Unseen::new(id, Terms::of(record), lookout.look().await?, blocks))
        }
        _ => None,
    };
    let shown = Deposits { registered, unregistered, address, deposits, payments, unseen, next, since_block };
    let has_ended = !shown.deposits.is_empty() && shown.deposits.iter().all(Progress::has_ended);
    Ok(Answer::of(&shown, describe_deposits(id, &shown), has_ended))
}

impl Args {
    async fn prove_payments(&self, network: &KnownNetwork, id: &str) -> Result<()> {
        let record = Records::in_home(&network.home).find(id)?;
        let bitcoin = self.bitcoin.connect(network.bitcoin).await?;
        let least = Amount::from_sat(network.info.parameters.min_deposit_sat);
        let (shown, scan) = prove(&network.client, &bitcoin, &record, least).await?;
        shown.describe(least).iter().for_each(|line| eprintln!("{line}"));
        // What was found is told from now on without looking through all coins again; that it was proven does not depend on it.
        if let Err(error) = payment_watch::remember(&bitcoin, &network.home, &scan, &[record]).await {
            tracing::warn!("`causeway status` does not know of these payments: {error:#}");
        }
        Ok(())
    }
}

fn describe_deposits(id: &str, shown: &Deposits) -> Vec<String> {
    let mut lines: Vec<String> = shown.unregistered.iter().flat_map(|refusal| refusal.describe(id)).collect();
    if lines.is_empty() && shown.deposits.is_empty() && shown.payments.is_empty() {
        match (&shown.unseen, shown.registered) {
            (Some(unseen), _) => lines.extend(unseen.describe()),
            (None, Some(true)) => lines.push(format!(
                "{id} is registered with the federation; no payment to it is in the ledger yet. It is of no record of yours in --home, so nobody can be asked for more"
            )),
            (None, Some(false)) => lines.push(format!("{id} is not known here: neither registered nor in the ledger")),
            (None, None) => lines.push(format!(
                "{id} is not in the ledger: it is not in a Bitcoin block yet, nobody has proven it, or it paid no deposit address. Its address says more: causeway status ADDRESS"
            )),
        }
    }
    lines.extend(shown.payments.iter().flat_map(Awaited::describe));
    let address = shown.address.as_deref().map(foreign::shown);
    lines.extend(shown.deposits.iter().flat_map(|progress| deposit::describe(progress, address.as_deref())));
    if shown.since_block > 0 {
        lines.push(format!(
            "this node knows no deposits that were proven before sidechain block {}: for an earlier payment give its outpoint, or ask another node",
            shown.since_block
        ));
    }
    lines
}

fn describe_vault(vault: &VaultTransaction, replaced: Option<u32>) -> Vec<String> {
    let sat = |sat| amount::show(Amount::from_sat(sat));
    let status = match (vault.status, replaced) {
        (VaultStatus::Bound, Some(by)) => format!("bound, but vault transaction {by} was mined in its place"),
        (VaultStatus::Bound, None) => "bound: for Bitcoin to confirm".to_owned(),
        (VaultStatus::Settled, _) if vault.confirmations == 0 => {
            "settled in a block that left Bitcoin's best chain".to_owned()
        }
        (VaultStatus::Settled, _) => "settled".to_owned(),
        (VaultStatus::Void, _) => "void: it can never confirm".to_owned(),
    };
    let content = &vault.content;
    vec![
        format!("Vault transaction {}: {status}", vault.number),
        format!("  txid           {}", vault.txid),
        format!("  confirmations  {}", vault.confirmations),
        format!("  rate           {} sat/vB, fee {}", rate_shown(content.rate), sat(vault.fee_sat)),
        format!("  spends         {} deposits, vault outputs {:?}", content.deposits.len(), content.outputs),
        format!("  pays           withdrawals {:?}", content.withdrawals),
        format!("  back to vault  {}, {}", sat(vault.change_sat), output(vault)),
    ]
}

fn output(vault: &VaultTransaction) -> String {
    match vault.output {
        OutputStatus::None => "no output".to_owned(),
        OutputStatus::Pending => "not there yet".to_owned(),
        OutputStatus::Live if vault.rooted => "live".to_owned(),
        OutputStatus::Live => "live, pays no withdrawal first before it is final".to_owned(),
        OutputStatus::Spent => format!("spent by vault transaction {}", vault.spent_by.unwrap_or_default()),
        OutputStatus::Gone => "GONE: spent for good by something that is no vault transaction".to_owned(),
        OutputStatus::Void => "void".to_owned(),
    }
}

fn show_bridge(Bridge { info, limits, vault, now, waited_for, proven, node }: &Bridge<'_>) {
    println!("Causeway on {}, chain id {}, block {}", info.bitcoin_network, info.chain_id, info.head.number);
    match proven {
        true => println!(
            "  proven         by the validators of the genesis file; which vault transactions there are says {node}"
        ),
        false => println!("  not proven     {node} says so (causeway audit proves the reserves)"),
    }
    println!("  bitcoin        block {} ({})", info.bitcoin_tip.height, info.bitcoin_tip.hash);
    show_federation(info, waited_for);
    show_books(info);
    show_limits(info, limits);
    show_now(now);
    for pending in &vault.pending {
        println!("  on the way     {}", on_the_way(pending, info.head.timestamp));
    }
    if limits.paused_until > info.head.timestamp {
        println!(
            "  pause {:<8} {} of {} members want it lifted (causeway lift {})",
            limits.pause_number, limits.lift_votes, info.threshold, limits.pause_number
        );
    }
    println!("  Bridge         {}", info.contracts.bridge);
}

fn show_federation(info: &Info, waited_for: &[WaitedFor]) {
    let (threshold, members, epoch) = (info.threshold, info.members.len(), info.epoch);
    match info.group_key {
        Some(key) => println!("  federation     {threshold} of {members} sign; epoch {epoch}, group key {key:x}"),
        None => println!("  federation     {threshold} of {members} will sign; making the key of epoch {epoch}"),
    }
    for WaitedFor { member, name, what } in waited_for {
        println!("  WAITED FOR     member {member} ({}): {what}", foreign::shown(name));
    }
}

fn show_books(info: &Info) {
    let (sat, books) = (|sat| amount::show(Amount::from_sat(sat)), &info.books);
    println!("  supply         {}", sat(books.supply_sat));
    println!("  vault          {}", sat(books.vault_sat));
    println!("  owed           {} to withdrawals on their way", sat(books.owed_sat));
    println!("  unminted       {} for deposits that are not deep enough", sat(books.unminted_sat));
    println!("  reserve        {}", amount::show_signed(books.reserve_sat));
    if books.unclaimed_sat > 0 {
        println!("  unclaimed      {} wait for their owners (causeway claim)", sat(books.unclaimed_sat));
    }
    for (name, missing) in [("UNSWEPT", books.unswept_sat), ("LOST", books.lost_sat)] {
        if missing > 0 {
            println!("  {name:<14} {}", sat(missing));
        }
    }
}

fn show_limits(info: &Info, limits: &Limits) {
    let sat = |sat| amount::show(Amount::from_sat(sat));
    let parameters = &info.parameters;
    println!(
        "  deposits       from {}; the peg holds {} of at most {}",
        sat(parameters.min_deposit_sat),
        sat(limits.cap_used_sat),
        sat(limits.cap_sat)
    );
    println!(
        "  withdrawals    from {}; the payout window has {} of {} left, and gets as much again in {}",
        sat(parameters.min_withdrawal_sat),
        sat(limits.window_left_sat),
        sat(limits.window_sat),
        humantime::format_duration(std::time::Duration::from_secs(limits.window_seconds.into()))
    );
}

/// What can be paid now, and what stops more.
fn show_now(now: &Now) {
    println!("  can be paid    {}", payable(now));
    for wait in &now.stopped_by {
        println!("  {:<14} {}", wait.name().to_uppercase(), stopped(wait));
    }
    println!("  rate           {}", now.rate.shown());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_told_by_its_form() {
        assert_eq!("7".parse(), Ok(Id::Withdrawal(7)));
        assert_eq!("bridge".parse(), Ok(Id::Bridge));
        assert_eq!("vault:3".parse(), Ok(Id::Vault(3)));
        let address = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";
        assert_eq!(address.parse(), Ok(Id::Deposit(address.into())));
        let outpoint = format!("{}:0", "ab".repeat(32));
        assert_eq!(outpoint.parse(), Ok(Id::Deposit(outpoint.clone())));
        assert!("nonsense".parse::<Id>().is_err());
        assert!("vault:x".parse::<Id>().is_err());
    }
}
