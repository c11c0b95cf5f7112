//! `causeway peg-in`: an address to pay, and the way of what is paid to it until the coins are there.

use std::time::{Duration, Instant};

use alloy_primitives::Address;
use bitcoin::Amount;
use bitcoin::secp256k1::XOnlyPublicKey;
use bridge::io::sidechain::Client;
use bridge::peg::{Deposit, DepositStatus, Info};
use eyre::{Result, bail};
use serde::Serialize;

use super::deposit_record::{self as deposits, ReclaimKey, Record, Records};
use super::registration::register;
use crate::context::Context;
use crate::options::network::NetworkArgs;
use crate::options::passphrase::PassphraseArgs;
use bridge::amount;

/// How often the node is asked how far a deposit is.
const POLL: Duration = Duration::from_millis(500);

/// Time between two tries to register an address that the node let go.
const REGISTER_AGAIN: Duration = Duration::from_secs(10);

/// A Bitcoin address to pay; the coins appear on the sidechain
///
/// Pay the address from any wallet, as often as you like. Each payment is swept into the vault by the federation, and
/// becomes coins of the same value, less its share of the sweep's fee, once the sweep has enough confirmations. Should the
/// federation never sweep it, `causeway reclaim` takes it back after the timelock. The address is computed here, from a key of the
/// federation that the genesis file's validators signed; only on regtest is a node believed without that file.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  causeway peg-in --to 0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266 --amount '0.1 BTC' --genesis genesis.json
  causeway peg-in --to 0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266 --max-fee '2000 sat' --reclaim-key 79be667e... --json --no-wait")]
pub struct Args {
    /// Who gets the coins on the sidechain
    #[arg(long, value_name = "ADDRESS", value_parser = crate::options::address::parse)]
    to: Address,
    /// What will be paid: put into the payment link; the address takes any amount
    #[arg(long, value_name = "AMOUNT", value_parser = amount::parse)]
    amount: Option<Amount>,
    /// The most that the sweep may cost a deposit to this address
    #[arg(long, value_name = "AMOUNT", value_parser = amount::parse, default_value = "20000 sat")]
    max_fee: Amount,
    /// Your own x-only key (64 hex digits) that can take an unswept deposit back [default: a fresh one, kept in --home,
    /// encrypted under a passphrase]
    #[arg(long, value_name = "KEY")]
    reclaim_key: Option<XOnlyPublicKey>,
    /// Print the address and stop, without following the deposit
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    passphrase: PassphraseArgs,
    #[command(flatten)]
    network: NetworkArgs,
}

/// What `--json` prints, one a line.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum Event<'a> {
    Address {
        address: &'a str,
        uri: &'a str,
        recipient: Address,
        max_fee_sat: u64,
        min_deposit_sat: u64,
        reclaim_delay: u16,
        record: String,
    },
    Deposit {
        #[serde(flatten)]
        deposit: &'a Deposit,
        confirmations: u32,
        required_confirmations: u32,
    },
}

/// Runs `causeway peg-in`.
///
/// # Errors
///
/// The node does not answer or contradicts the genesis file, the federation has no key yet, or no key to reclaim with can be kept.
pub fn run(args: Args, context: &Context) -> Result<()> {
    context.block_on(peg_in(&args, context))
}

async fn peg_in(args: &Args, context: &Context) -> Result<()> {
    let network = args.network.connect_to_pay().await?;
    let (client, info) = (&network.client, &network.info);
    args.check(info)?;
    deposits::group_key(info)?;
    network.prove_key().await?;
    let reclaim = match args.reclaim_key {
        Some(key) => ReclaimKey::Own(key),
        None => {
            let what = "the key that can reclaim the deposit";
            ReclaimKey::fresh(&args.passphrase.choose(what, network.bitcoin.into())?)?
        }
    };
    let record = Record::new(info, network.bitcoin, args.to, args.max_fee, reclaim)?;
    // First kept, then registered, then shown: at no moment could money reach an address that is not on disk.
    let path = Records::in_home(&network.home).keep(&record)?;
    register(client, &record).await?;

    let uri = uri(&record.address, args.amount);
    let event = Event::Address {
        address: &record.address,
        uri: &uri,
        recipient: record.recipient,
        max_fee_sat: record.max_fee_sat,
        min_deposit_sat: info.min_deposit_sat,
        reclaim_delay: info.reclaim_delay,
        record: path.display().to_string(),
    };
    context.print(&event, || show_address(&record, &uri, info));
    if args.no_wait { Ok(()) } else { follow(client, &record, context).await }
}

impl Args {
    fn check(&self, info: &Info) -> Result<()> {
        if self.to == Address::ZERO {
            bail!("--to is the zero address: nobody could ever use the coins");
        }
        if let Some(amount) = self.amount {
            let least = Amount::from_sat(info.min_deposit_sat);
            if amount < least {
                bail!(
                    "{} is below the smallest deposit, {}: the bridge would not take it",
                    amount::show(amount),
                    amount::show(least)
                );
            }
            if self.max_fee >= amount {
                bail!("--max-fee {} would leave nothing of {}", amount::show(self.max_fee), amount::show(amount));
            }
        }
        Ok(())
    }
}

/// A BIP21 payment link.
pub fn uri(address: &str, amount: Option<Amount>) -> String {
    match amount {
        Some(amount) => format!("bitcoin:{address}?amount={}", amount.to_string_in(bitcoin::Denomination::Bitcoin)),
        None => format!("bitcoin:{address}"),
    }
}

fn show_address(record: &Record, uri: &str, info: &Info) {
    if let Some(code) = qr(uri) {
        println!("{code}");
    }
    println!("Pay to      {}", record.address);
    println!("Link        {uri}");
    println!("At least    {}", amount::show(Amount::from_sat(info.min_deposit_sat)));
    println!("Goes to     {}", record.recipient);
    println!("Costs       at most {} of each deposit", amount::show(Amount::from_sat(record.max_fee_sat)));
    println!("Not swept?  after {} blocks: causeway reclaim {}", info.reclaim_delay, record.address);
}

/// The link as a code for a phone's camera; upper case makes it smaller (BIP173 allows it for the address).
fn qr(uri: &str) -> Option<String> {
    use qrcode::render::unicode::Dense1x2;
    let code = qrcode::QrCode::with_error_correction_level(uri.as_bytes(), qrcode::EcLevel::L).ok()?;
    // Dark on light, whatever the terminal's colours are: most terminals are light on dark.
    Some(code.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build())
}

/// Waits until a deposit to the address of `record` is minted, showing each change. Should the node let the address go
/// meanwhile, it is told again.
async fn follow(client: &Client, record: &Record, context: &Context) -> Result<()> {
    let address = &record.address;
    if !context.json {
        println!("\nWaiting for a payment (Ctrl-C stops waiting, nothing is lost: causeway status {address})");
    }
    let (mut shown, mut register_from) = (Vec::new(), Instant::now());
    loop {
        match client.deposit(address).await {
            Ok(report) => {
                if !report.registered && Instant::now() >= register_from {
                    again(client, record).await;
                    register_from = Instant::now() + REGISTER_AGAIN;
                }
                for deposit in &report.deposits {
                    show_news(client, deposit, &mut shown, context).await?;
                }
                if !report.deposits.is_empty()
                    && report.deposits.iter().all(|deposit| deposit.status == DepositStatus::Minted)
                {
                    return Ok(());
                }
            }
            Err(error) if error.retry() => tracing::warn!(%error, "asking again"),
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Registers an address that the node let go. A node that is busy is asked again at the next look.
async fn again(client: &Client, record: &Record) {
    match register(client, record).await {
        Ok(()) => tracing::info!(address = record.address, "registered again"),
        Err(error) => tracing::warn!("{error:#}"),
    }
}

/// Shows what is new about a deposit, once.
async fn show_news(
    client: &Client,
    deposit: &Deposit,
    shown: &mut Vec<(bitcoin::OutPoint, DepositStatus, u32)>,
    context: &Context,
) -> Result<()> {
    let vault = client.vault_transaction(deposit.number).await?;
    let (confirmations, required) =
        vault.as_ref().map_or((0, 0), |vault| (vault.confirmations, vault.required_confirmations));
    let news = (bitcoin::OutPoint::new(deposit.txid, deposit.vout), deposit.status, confirmations.min(required));
    if shown.contains(&news) {
        return Ok(());
    }
    shown.push(news);
    let event = Event::Deposit { deposit, confirmations, required_confirmations: required };
    let value = Amount::from_sat(deposit.amount_sat);
    context.print(&event, || match deposit.status {
        DepositStatus::Sweeping => println!(
            "{} sweeping {} by vault transaction {} ({}); the coins come when that has {required} confirmations",
            news.0,
            amount::show(value),
            deposit.number,
            vault.map_or_else(String::new, |vault| vault.txid.to_string()),
        ),
        DepositStatus::Minted => println!(
            "{} minted {} to {} ({} less its share of the fee, {})",
            news.0,
            amount::show(Amount::from_sat(deposit.amount_sat - deposit.share_sat)),
            deposit.recipient,
            amount::show(value),
            amount::show(Amount::from_sat(deposit.share_sat)),
        ),
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payment_link_names_the_amount_in_bitcoin() {
        assert_eq!(uri("bcrt1pxyz", None), "bitcoin:bcrt1pxyz");
        assert_eq!(uri("bcrt1pxyz", Some(Amount::from_sat(10_000_000))), "bitcoin:bcrt1pxyz?amount=0.1");
    }
}
