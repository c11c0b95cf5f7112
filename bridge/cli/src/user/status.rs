//! `causeway status`: where a deposit, a withdrawal, a vault transaction, or the bridge itself stands.

use std::str::FromStr;

use bitcoin::{Amount, OutPoint};
use bridge::foreign;
use bridge::io::sidechain::{Client, WaitedFor};
use bridge::peg::{Deposit, DepositReport, DepositStatus, Info, VaultStatus, VaultTransaction};
use eyre::{Result, bail, eyre};
use serde::Serialize;

use crate::context::Context;
use crate::options::bitcoin::BitcoinArgs;
use crate::options::home::HomeArgs;
use crate::options::sidechain::SidechainArgs;
use crate::user::deposit_record::Records;
use crate::user::registration::{describe as describe_proven, prove, register};
use crate::user::withdrawal;
use bridge::amount;

/// Where a deposit, a withdrawal or the bridge itself stands
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  causeway status                   the bridge
  causeway status bcrt1p...         the deposits to an address; registers one of yours again that the node let go
  causeway status bcrt1p... --prove shows the node what your bitcoind knows of payments to it
  causeway status <txid>:<vout>     one deposit
  causeway status 7                 withdrawal 7
  causeway status vault:3           vault transaction 3")]
pub struct Args {
    /// A deposit address, an outpoint, a withdrawal's number, or vault:NUMBER; nothing for the bridge
    #[arg(value_name = "ID")]
    id: Option<Id>,
    /// Prove payments to an address of yours to the node: a busy one takes proofs when it takes nothing else
    #[arg(long, requires = "id")]
    prove: bool,
    #[command(flatten)]
    sidechain: SidechainArgs,
    #[command(flatten)]
    bitcoin: BitcoinArgs,
    #[command(flatten)]
    home: HomeArgs,
}

/// The bridge, with whom it waits for.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Bridge<'a> {
    #[serde(flatten)]
    info: &'a Info,
    waited_for: &'a [WaitedFor],
}

/// What can be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Id {
    Withdrawal(u64),
    Vault(u64),
    /// An address or an outpoint.
    Deposit(String),
}

impl FromStr for Id {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
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
        Err("neither a withdrawal's number, a Bitcoin address, an outpoint (txid:vout), nor vault:NUMBER".into())
    }
}

/// Runs `causeway status`.
///
/// # Errors
///
/// There is nothing of that number, or the node does not answer.
pub fn run(args: Args, context: &Context) -> Result<()> {
    context.block_on(async {
        let (client, info) = args.sidechain.connect().await?;
        match &args.id {
            None => {
                let waited_for = client.waited_for(&info).await?;
                let bridge = Bridge { info: &info, waited_for: &waited_for };
                context.print(&bridge, || show_bridge(&info, &waited_for));
                Ok(())
            }
            Some(Id::Withdrawal(_) | Id::Vault(_)) if args.prove => bail!("--prove wants the address of a deposit"),
            Some(Id::Withdrawal(id)) => withdrawal(&client, *id, context).await,
            Some(Id::Vault(number)) => vault(&client, *number, context).await,
            Some(Id::Deposit(id)) => {
                if args.prove {
                    args.prove_payments(&client, &info, id).await?;
                }
                args.deposit(&client, id, context).await
            }
        }
    })
}

async fn withdrawal(client: &Client, id: u64, context: &Context) -> Result<()> {
    let withdrawal = client.withdrawal(id).await?.ok_or_else(|| eyre!("there is no withdrawal {id}"))?;
    context.print(&withdrawal, || println!("{}", withdrawal::describe(&withdrawal)));
    Ok(())
}

async fn vault(client: &Client, number: u64, context: &Context) -> Result<()> {
    let vault =
        client.vault_transaction(number).await?.ok_or_else(|| eyre!("there is no vault transaction {number}"))?;
    context.print(&vault, || show_vault(&vault));
    Ok(())
}

impl Args {
    /// Shows deposits. An address that the user has a record of and the node does not know is registered again.
    async fn deposit(&self, client: &Client, id: &str, context: &Context) -> Result<()> {
        let mut report = client.deposit(id).await?;
        let record = self.home.folder().and_then(|home| Records::in_home(&home).find(id));
        if let (false, Ok(record)) = (report.registered, record) {
            register(client, &record).await?;
            report = client.deposit(id).await?;
        }
        context.print(&report, || show_deposits(id, &report));
        Ok(())
    }

    async fn prove_payments(&self, client: &Client, info: &Info, id: &str) -> Result<()> {
        let record = Records::in_home(&self.home.folder()?).find(id)?;
        let bitcoin = self.bitcoin.connect(info.bitcoin_network).await?;
        for (outpoint, value) in prove(client, &bitcoin, &record).await? {
            tracing::info!("{}", describe_proven(outpoint, value));
        }
        Ok(())
    }
}

fn show_deposits(id: &str, report: &DepositReport) {
    if report.deposits.is_empty() && report.registered {
        println!("{id} is registered with the federation; no payment to it is in the ledger yet");
    } else if report.deposits.is_empty() {
        println!("{id} is not known here: neither registered nor in the ledger");
    }
    for deposit in &report.deposits {
        println!("{}", describe(deposit));
    }
    if report.since_block > 0 {
        println!(
            "this node knows no sweeps before sidechain block {}: for an earlier payment give its outpoint, or ask another node",
            report.since_block
        );
    }
}

fn describe(deposit: &Deposit) -> String {
    let Deposit { txid, vout, number, recipient, .. } = deposit;
    let gross = amount::show(Amount::from_sat(deposit.amount_sat));
    let net = amount::show(Amount::from_sat(deposit.amount_sat.saturating_sub(deposit.share_sat)));
    match deposit.status {
        DepositStatus::Sweeping => {
            format!("{txid}:{vout}: sweeping {gross} by vault transaction {number}; {net} will go to {recipient}")
        }
        DepositStatus::Minted => {
            format!("{txid}:{vout}: {gross} swept by vault transaction {number}, {net} minted to {recipient}")
        }
    }
}

fn show_vault(vault: &VaultTransaction) {
    let status = match vault.status {
        VaultStatus::Proposed => "proposed",
        VaultStatus::Settled => "settled",
        VaultStatus::Unsettled => "unsettled by a reorganisation",
    };
    println!("Vault transaction {}: {status}", vault.number);
    println!("  txid           {}", vault.txid);
    println!("  confirmations  {} of {}", vault.confirmations, vault.required_confirmations);
    println!("  moves          {}", amount::show(Amount::from_sat(vault.value_sat)));
    println!("  back to vault  {}", amount::show(Amount::from_sat(vault.change_sat)));
    println!("  fee            {}", amount::show(Amount::from_sat(vault.fee_sat)));
    println!("  inputs         {}", vault.inputs.len());
}

fn show_bridge(info: &Info, waited_for: &[WaitedFor]) {
    let sat = |sat| amount::show(Amount::from_sat(sat));
    let ledger = &info.ledger;
    println!("Causeway on {}, chain id {}, block {}", info.bitcoin_network, info.chain_id, info.head.number);
    println!("  bitcoin        block {} ({})", info.bitcoin_tip.height, info.bitcoin_tip.hash);
    match info.group_key {
        Some(key) => println!(
            "  federation     {} of {} sign; epoch {}, group key {key:x}",
            info.threshold,
            info.members.len(),
            info.epoch
        ),
        None => println!(
            "  federation     {} of {} will sign; making the key of epoch {}",
            info.threshold,
            info.members.len(),
            info.epoch
        ),
    }
    for WaitedFor { member, name, what } in waited_for {
        println!("  WAITED FOR     member {member} ({}): {what}", foreign::shown(name));
    }
    println!("  supply         {}", sat(ledger.supply_sat));
    println!("  vault          {}", sat(ledger.vault_sat));
    println!("  owed           {} to withdrawals on their way", sat(ledger.owed_sat));
    println!("  held           {} for fees", sat(ledger.held_sat));
    if ledger.deficit_sat > 0 {
        println!("  DEFICIT        {}: payouts stand still until it is covered", sat(ledger.deficit_sat));
    }
    println!("  deposits       from {}", sat(info.min_deposit_sat));
    println!("  withdrawals    from {}", sat(info.min_withdrawal_sat));
    println!("  Bridge         {}", info.contracts.bridge);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_told_by_its_form() {
        assert_eq!("7".parse(), Ok(Id::Withdrawal(7)));
        assert_eq!("vault:3".parse(), Ok(Id::Vault(3)));
        let address = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";
        assert_eq!(address.parse(), Ok(Id::Deposit(address.into())));
        let outpoint = format!("{}:0", "ab".repeat(32));
        assert_eq!(outpoint.parse(), Ok(Id::Deposit(outpoint.clone())));
        assert!("nonsense".parse::<Id>().is_err());
        assert!("vault:x".parse::<Id>().is_err());
    }
}
