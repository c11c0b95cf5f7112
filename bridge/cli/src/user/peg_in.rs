//! `causeway peg-in`: an address to pay, and the way of what is paid to it until the coins are there.

use std::path::Path;

use alloy_primitives::Address;
use bitcoin::Amount;
use bitcoin::secp256k1::XOnlyPublicKey;
use bridge::io::sidechain::{Client, Error};
use bridge::io::wallet::public::PublicWallet;
use bridge::peg::{Info, Parameters};
use contracts::address;
use eyre::{Report, Result, bail, ensure, eyre};
use serde::Serialize;
use sidechain::peg::MAX_FEE_SAT;

use super::charge::{of_deposit, present_of_deposit, rate_shown, usual_of_deposit};
use super::deposit_follow::follow;
use super::deposit_record::{self as deposits, Receiver, ReclaimKey, Record, Records};
use super::fee_steps;
use super::own_wallet::{self, missing};
use super::payment_watch;
use super::registration::register;
use crate::context::Context;
use crate::options::bitcoin::BitcoinArgs;
use crate::options::home::has_wallet;
use crate::options::network::{KnownNetwork, NetworkArgs};
use crate::options::passphrase::PassphraseArgs;
use bridge::amount;

/// The code of an account that delegates to a contract (EIP-7702) begins so. Its key can still claim.
const DELEGATION: [u8; 3] = [0xef, 0x01, 0x00];

/// A Bitcoin address to pay; the coins appear on the sidechain
///
/// Pay the address from any wallet, as often as you like. Each payment is swept into the vault by the federation, and
/// becomes coins of the same value, less what its sweep costs at the rate of the day, once it has enough confirmations: the more it is
/// worth, the more. What is awaited, and why, is said at once and at each change; a bitcoind of yours shows a payment before the ledger does. Should the federation never sweep it, `causeway reclaim` takes it back after the timelock. The address is computed
/// here, from a key of the federation that the genesis file's validators signed; only on regtest is a node believed without that file.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  causeway peg-in                                   to your own wallet (causeway wallet create)
  causeway peg-in --to 0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266 --amount '0.1 BTC' --genesis genesis.json
  causeway peg-in --to 0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266 --max-fee '2000 sat' --reclaim-key 79be667e... --json --no-wait
  causeway peg-in --reserve --amount '0.01 BTC'     for the bridge's reserve: nobody gets coins for it")]
pub struct Args {
    /// Who gets the coins on the sidechain [default: the account of your wallet]
    #[arg(long, value_name = "ADDRESS", value_parser = crate::options::address::parse)]
    to: Option<Address>,
    /// Who can fetch the coins should the code of --to refuse them (causeway claim) [default: --to itself, unless it is a contract]
    #[arg(long, value_name = "ADDRESS", value_parser = crate::options::address::parse)]
    claimant: Option<Address>,
    /// Give what is paid to the bridge's reserve, which pays what charges do not: nobody gets coins for it
    #[arg(long, conflicts_with_all = ["to", "claimant"])]
    reserve: bool,
    /// What will be paid: put into the payment link; the address takes any amount
    #[arg(long, value_name = "AMOUNT", value_parser = amount::parse)]
    amount: Option<Amount>,
    /// The most that the sweep may cost a deposit to this address; it cannot be raised [default: three times what it costs now, at least
    /// 20000 sat, but no more than 300 sat/vB and a quarter of --amount]. To your wallet's account: rounded down to one digit and zeros,
    /// so that the wallet's words alone find the deposit again
    #[arg(long, value_name = "AMOUNT", value_parser = amount::parse)]
    max_fee: Option<Amount>,
    /// Your own x-only key (64 hex digits) that can take an unswept deposit back [default: the next one of your wallet;
    /// without a wallet a fresh one, kept in --home, encrypted under a passphrase]
    #[arg(long, value_name = "KEY")]
    reclaim_key: Option<XOnlyPublicKey>,
    /// Print the address and stop, without following the deposit
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    passphrase: PassphraseArgs,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    bitcoin: BitcoinArgs,
}

/// What `--json` prints, one a line.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum Event<'a> {
    Address {
        address: &'a str,
        uri: &'a str,
        recipient: Address,
        claimant: Address,
        max_fee_sat: u64,
        min_deposit_sat: u64,
        reclaim_delay: u16,
        record: String,
        /// The wallet's words find the address again; otherwise the record is needed.
        derived: bool,
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
    let home = args.network.home.folder()?;
    ensure!(
        args.reserve || args.to.is_some() || has_wallet(&home),
        "who gets the coins? --to names an account; without it your wallet's does, and there is none in {}: `causeway wallet create` makes one",
        home.display()
    );
    let network = args.network.connect_to_pay().await?;
    let (client, info) = (&network.client, &network.info);
    let named = args.reclaim_key.is_some() && (args.reserve || args.to.is_some());
    let wallet = if named { None } else { own_wallet::find(&network.home, network.bitcoin)? };
    let to = args.receiver(wallet.as_ref(), &network)?;
    args.check(info)?;
    args.check_code(client).await?;
    deposits::group_key(info)?;
    network.prove_key().await?;
    let records = Records::in_home(&network.home);
    let reclaim = args.reclaim(wallet.as_ref(), &network, &records).await?;
    let derived = wallet.as_ref().is_some_and(|wallet| args.is_derived(wallet, to));
    let max_fee = args.maximum(client, info, derived).await?;
    let record = Record::new(info, network.bitcoin, to, max_fee, reclaim)?;
    // First kept, then registered, then shown: at no moment could money reach an address that is not on disk.
    let is_new = !records.has(&record.address);
    let path = records.keep(&record)?;
    if let Err(error) = register(client, &record).await {
        // One that was there before may have been shown.
        if is_new {
            forget_refused(&records, &record, &error);
        }
        return Err(error);
    }
    // Without it `causeway status` reads the newest blocks alone.
    if let Err(error) = payment_watch::begin(&network.home, &record.address, info.bitcoin_tip.height) {
        tracing::warn!("{error:#}");
    }

    let uri = uri(&record.address, args.amount);
    let event = Event::Address {
        address: &record.address,
        uri: &uri,
        recipient: record.recipient,
        claimant: record.claimant,
        max_fee_sat: record.max_fee_sat,
        min_deposit_sat: info.parameters.min_deposit_sat,
        reclaim_delay: info.parameters.reclaim_delay,
        record: path.display().to_string(),
        derived,
    };
    context.print(&event, || {
        show_address(&record, &uri, info);
        show_backup(&record, derived, &path);
    });
    if args.no_wait {
        return Ok(());
    }
    if !context.json {
        println!();
    }
    follow(&network, &record, args.bitcoin.if_there(network.bitcoin).await, context).await
}

/// An address that the node refused was shown to nobody: without its record `causeway status` does not wait for it. A node that did not answer
/// may have taken it.
fn forget_refused(records: &Records, record: &Record, error: &Report) {
    if matches!(error.downcast_ref::<Error>(), Some(Error::Refused { .. }))
        && let Err(error) = records.remove(record)
    {
        tracing::warn!("{error:#}");
    }
}

impl Args {
    /// Whom the address commits to: nobody that the ledger would refuse, and no claimant who could do nothing.
    fn receiver(&self, wallet: Option<&PublicWallet>, network: &KnownNetwork) -> Result<Receiver> {
        if self.reserve {
            return Ok(Receiver::RESERVE);
        }
        let own = || wallet.map(PublicWallet::account);
        let recipient = self.to.or_else(own).ok_or_else(|| {
            eyre!(
                "who gets the coins? --to names an account; without it your wallet's does, but {}",
                missing(&network.home, network.bitcoin)
            )
        })?;
        let claimant = self.claimant.unwrap_or(recipient);
        for (option, account) in [("--to", recipient), ("--claimant", claimant)] {
            ensure!(!account.is_zero(), "{option} is the zero address: nobody could ever use the coins");
            ensure!(
                ![address::VAULT, address::DEPOSITS].contains(&account),
                "{option} is a contract of the bridge, {account}, which takes no coins"
            );
        }
        ensure!(
            recipient != address::BRIDGE,
            "--to is the contract Bridge: what is paid would be its reserve's, and nobody would get coins. If that is meant: --reserve"
        );
        Ok(Receiver { recipient, claimant })
    }

    /// A contract that takes no coins may be one that cannot claim them either: then they would wait for ever.
    async fn check_code(&self, client: &Client) -> Result<()> {
        let (Some(recipient), None) = (self.to, self.claimant) else { return Ok(()) };
        let code = client.code(recipient).await?;
        ensure!(
            code.is_empty() || code.starts_with(&DELEGATION),
            "{recipient} is a contract: name who can fetch the coins should its code refuse them, by --claimant (itself, if it can call the bridge's claim)"
        );
        Ok(())
    }

    /// Everything that the address commits to can be found again from the wallet's words.
    fn is_derived(&self, wallet: &PublicWallet, to: Receiver) -> bool {
        self.reclaim_key.is_none() && to == Receiver::account(wallet.account())
    }

    /// Who can take the deposit back. The wallet's key needs no passphrase here.
    async fn reclaim(
        &self,
        wallet: Option<&PublicWallet>,
        network: &KnownNetwork,
        records: &Records,
    ) -> Result<ReclaimKey> {
        match (self.reclaim_key, wallet) {
            (Some(key), _) => Ok(ReclaimKey::Own(key)),
            (None, Some(wallet)) => own_wallet::next_key(wallet, &network.client, records, network.network_id).await,
            (None, None) => {
                let what = "the key that can reclaim the deposit";
                ReclaimKey::fresh(&self.passphrase.choose(what, network.bitcoin.into())?)
            }
        }
    }

    fn check(&self, info: &Info) -> Result<()> {
        if let Some(amount) = self.amount {
            let least = Amount::from_sat(info.parameters.min_deposit_sat);
            if amount < least {
                bail!(
                    "{} is below the smallest deposit, {}: the bridge would not take it",
                    amount::show(amount),
                    amount::show(least)
                );
            }
            if let Some(max_fee) = self.max_fee.filter(|max_fee| *max_fee >= amount) {
                bail!("--max-fee {} would leave nothing of {}", amount::show(max_fee), amount::show(amount));
            }
        }
        Ok(())
    }

    /// The most that a sweep may cost: by --max-fee, or by what it costs now. Of a deposit that the wallet's words find again it is a step.
    async fn maximum(&self, client: &Client, info: &Info, derived: bool) -> Result<Amount> {
        let now = present_of_deposit(client, &info.parameters).await?;
        let asked = match self.max_fee {
            Some(max_fee) => max_fee,
            None => usual_of_deposit(self.amount, now, &info.parameters)?,
        };
        let max_fee = if derived { self.step(asked, now.amount)? } else { asked };
        check_maximum(asked, max_fee, derived, &info.parameters)?;
        let costs = amount::show(now.amount);
        eprintln!("Quote      at {} sat/vB, the node's word, a sweep costs {costs} of a deposit", rate_shown(now.rate));
        if max_fee < now.amount {
            eprintln!(
                "           that is more than the maximum of {}, which nobody can raise later: a deposit would wait for a lower rate",
                amount::show(max_fee)
            );
        }
        Ok(max_fee)
    }

    /// The next step below what was asked for: never more than that, unless nobody asked and less would not be swept now.
    fn step(&self, asked: Amount, now: Amount) -> Result<Amount> {
        let below = fee_steps::at_most(asked);
        if self.max_fee.is_none() {
            let enough = below.filter(|below| *below >= now).or_else(|| fee_steps::at_least(asked));
            return enough.ok_or_else(|| {
                eyre!("a sweep costs {} now: name the most that it may cost by --max-fee", amount::show(now))
            });
        }
        let below = below.ok_or_else(|| {
            let least = fee_steps::steps().next().unwrap_or_default();
            eyre!(
                "--max-fee {} is below {}, the least that your wallet finds again from its words",
                amount::show(asked),
                amount::show(least)
            )
        })?;
        if below < asked {
            eprintln!(
                "           a sweep may cost {} at most, rounded down, so that your wallet's words alone find the deposit again",
                amount::show(below)
            );
        }
        Ok(below)
    }
}

/// Whether a node registers an address with this maximum: one that no rate is low enough for, or that is a mistake, it does not.
fn check_maximum(asked: Amount, max_fee: Amount, derived: bool, parameters: &Parameters) -> Result<()> {
    let least = of_deposit(parameters.min_rate, parameters);
    let least = if derived { fee_steps::at_least(least).unwrap_or(least) } else { least };
    ensure!(
        max_fee >= least,
        "--max-fee {} is below {}, the least that a sweep costs at the lowest rate, {} sat/vB{}: nothing that is paid could ever be swept. Name more, or leave --max-fee out",
        amount::show(asked),
        amount::show(least),
        rate_shown(parameters.min_rate),
        if derived { ", in steps of one digit that your wallet's words find again" } else { "" }
    );
    let most = Amount::from_sat(MAX_FEE_SAT);
    ensure!(
        max_fee <= most,
        "--max-fee {} is more than {}, the most that a node takes: a sweep costs that at no rate",
        amount::show(asked),
        amount::show(most)
    );
    Ok(())
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
    println!("At least    {}", amount::show(Amount::from_sat(info.parameters.min_deposit_sat)));
    match record.recipient {
        address::BRIDGE => println!("Goes to     the reserve of the bridge: nobody gets coins for it"),
        recipient => println!("Goes to     {recipient}"),
    }
    if record.claimant != record.recipient && !record.claimant.is_zero() {
        println!("Refused?    {} can fetch the coins: causeway claim", record.claimant);
    }
    println!("Costs       at most {} of each deposit", amount::show(Amount::from_sat(record.max_fee_sat)));
    println!("Not swept?  after {} blocks: causeway reclaim {}", record.reclaim_delay, record.address);
}

/// What has to be kept, so that the deposit can be taken back whatever happens to this machine.
fn show_backup(record: &Record, derived: bool, path: &Path) {
    if derived {
        println!("Backup      your wallet's words find this address again (causeway wallet recover)");
    } else if record.reclaim_index.is_some() {
        println!(
            "Backup      your wallet's words and this file, as the coins go to another account than your wallet's: {}",
            path.display()
        );
    } else {
        println!("Backup      this file, and the key or passphrase that reclaims: {}", path.display());
    }
}

/// The link as a code for a phone's camera; upper case makes it smaller (BIP173 allows it for the address).
pub fn qr(uri: &str) -> Option<String> {
    use qrcode::render::unicode::Dense1x2;
    let code = qrcode::QrCode::with_error_correction_level(uri.as_bytes(), qrcode::EcLevel::L).ok()?;
    // Dark on light, whatever the terminal's colours are: most terminals are light on dark.
    Some(code.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build())
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
