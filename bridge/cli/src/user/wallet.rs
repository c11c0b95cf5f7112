//! `causeway wallet`: a small Bitcoin wallet, synced from the user's own bitcoind.

use std::io::IsTerminal;
use std::path::PathBuf;

use bitcoin::address::NetworkUnchecked;
use bitcoin::{Address, Amount};
use bridge::io::wallet::{Seed, SyncProgress, Wallet};
use bridge::keystore::KdfParams;
use clap::Subcommand;
use eyre::{Result, WrapErr, eyre};
use indicatif::{ProgressBar, ProgressStyle};
use mainchain::Network;
use mainchain::io::rpc::BitcoinRpc;
use serde_json::json;

use crate::clock::now;
use crate::context::Context;
use crate::options::bitcoin::BitcoinArgs;
use crate::options::fee_rate::FeeRateArgs;
use crate::options::home::HomeArgs;
use crate::options::passphrase::{PassphraseArgs, Stake};
use bridge::amount;

/// A small Bitcoin wallet for regtest and testnets
///
/// One mnemonic of twelve words makes Bitcoin addresses (BIP86), an account on the sidechain and reclaim keys. It is kept
/// encrypted by a passphrase, which only signing asks for.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  causeway wallet create\n  causeway wallet address\n  causeway wallet send --to bcrt1p... --amount '0.1 BTC'"
)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a wallet, and show its words once
    Create(Create),
    /// Make a wallet again from its words, which are asked for
    Restore(Restore),
    /// A fresh address to be paid at
    Address(Common),
    /// What the wallet has
    Balance(Look),
    /// Its transactions, newest first
    History(Look),
    /// Pay somebody
    Send(Send),
    /// Read the blocks since the last time
    Sync(Common),
    /// The account on the sidechain of the same words (m/44'/60'/0'/0/0)
    ///
    /// Other commands sign with it by `--keystore FOLDER/wallet/regtest/seed.json`.
    Account(Common),
}

#[derive(Debug, clap::Args)]
struct Common {
    /// regtest, testnet4 or signet
    #[arg(long, value_name = "NET", default_value = "regtest")]
    network: Network,
    #[command(flatten)]
    bitcoin: BitcoinArgs,
    #[command(flatten)]
    home: HomeArgs,
}

#[derive(Debug, clap::Args)]
struct Create {
    /// Block before which there are no payments to it [default: bitcoind's newest]
    #[arg(long, value_name = "HEIGHT")]
    birthday: Option<u32>,
    #[command(flatten)]
    passphrase: PassphraseArgs,
    #[command(flatten)]
    common: Common,
}

/// With --passphrase-stdin the words are the second line.
#[derive(Debug, clap::Args)]
struct Restore {
    /// Block before which there are no payments to it
    #[arg(long, value_name = "HEIGHT", default_value_t = 0)]
    birthday: u32,
    #[command(flatten)]
    passphrase: PassphraseArgs,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, clap::Args)]
struct Look {
    /// As of the last sync, without asking bitcoind
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, clap::Args)]
struct Send {
    /// Whom to pay
    #[arg(long, value_name = "ADDRESS")]
    to: Address<NetworkUnchecked>,
    /// How much, e.g. '0.1 BTC' or '10000000 sat'
    #[arg(long, value_name = "AMOUNT", value_parser = amount::parse, required_unless_present = "all")]
    amount: Option<Amount>,
    /// Everything the wallet has, less the fee
    #[arg(long, conflicts_with = "amount")]
    all: bool,
    #[command(flatten)]
    fee_rate: FeeRateArgs,
    #[command(flatten)]
    passphrase: PassphraseArgs,
    #[command(flatten)]
    common: Common,
}

/// Runs `causeway wallet`.
///
/// # Errors
///
/// The wallet is not there or does not open, bitcoind does not answer, or it does not take the payment.
pub fn run(args: Args, context: &Context) -> Result<()> {
    match args.command {
        Command::Create(args) => create(&args, context),
        Command::Restore(args) => restore(&args, context),
        Command::Address(args) => address(&args, context),
        Command::Balance(args) => balance(&args, context),
        Command::History(args) => history(&args, context),
        Command::Send(args) => send(&args, context),
        Command::Sync(args) => sync(&args, context),
        Command::Account(args) => account(&args, context),
    }
}

fn create(args: &Create, context: &Context) -> Result<()> {
    let birthday = match args.birthday {
        Some(birthday) => birthday,
        None => context.block_on(args.common.newest_block())?,
    };
    let passphrase = args.passphrase.choose("the wallet", Stake::Coins)?;
    let seed = Seed::generate(&mut rand::thread_rng());
    let wallet = args.common.make(&seed, birthday, &passphrase)?;
    let object = json!({
        "network": wallet.network(),
        "birthday": birthday,
        "account": seed.account_address(),
        "mnemonic": seed.words(),
    });
    context.print(&object, || {
        println!("Write these words down. They are shown this once, and whoever has them has the coins:\n");
        println!("  {}\n", seed.words());
        println!("network            {}", wallet.network());
        println!("sidechain account  {}", seed.account_address());
    });
    Ok(())
}

fn restore(args: &Restore, context: &Context) -> Result<()> {
    let passphrase = args.passphrase.choose("the wallet", Stake::Coins)?;
    let seed = Seed::parse(&args.passphrase.ask_next("wallet's words")?)?;
    let wallet = args.common.make(&seed, args.birthday, &passphrase)?;
    let object = json!({
        "network": wallet.network(),
        "birthday": args.birthday,
        "account": seed.account_address(),
    });
    context.print(&object, || {
        println!("network            {}", wallet.network());
        println!("sidechain account  {}", seed.account_address());
        println!("`causeway wallet sync` finds its coins from block {} on.", args.birthday);
    });
    Ok(())
}

fn address(args: &Common, context: &Context) -> Result<()> {
    let address = args.open()?.address()?;
    context.print(&json!({ "address": address.to_string() }), || println!("{address}"));
    Ok(())
}

fn balance(args: &Look, context: &Context) -> Result<()> {
    let wallet = args.open(context)?;
    let balance = wallet.balance();
    let object = json!({
        "confirmedSat": balance.confirmed.to_sat(),
        "pendingSat": (balance.trusted_pending + balance.untrusted_pending).to_sat(),
        "immatureSat": balance.immature.to_sat(),
        "spendableSat": balance.trusted_spendable().to_sat(),
        "height": wallet.height(),
    });
    context.print(&object, || {
        println!("confirmed  {}", amount::show(balance.confirmed));
        println!("pending    {}", amount::show(balance.trusted_pending + balance.untrusted_pending));
        if balance.immature > Amount::ZERO {
            println!("immature   {}", amount::show(balance.immature));
        }
        println!("as of block {}", wallet.height());
    });
    Ok(())
}

fn history(args: &Look, context: &Context) -> Result<()> {
    let wallet = args.open(context)?;
    let movements = wallet.history();
    let object = movements.iter().map(|movement| {
        json!({
            "txid": movement.txid,
            "height": movement.height,
            "sentSat": movement.sent.to_sat(),
            "receivedSat": movement.received.to_sat(),
        })
    });
    context.print(&object.collect::<Vec<_>>(), || {
        for movement in &movements {
            let height = movement.height.map_or("pending".to_owned(), |height| height.to_string());
            let (sign, change) = match movement.received.checked_sub(movement.sent) {
                Some(gain) => ('+', gain),
                None => ('-', movement.sent - movement.received),
            };
            println!("{height:>8}  {}  {sign}{}", movement.txid, amount::show(change));
        }
    });
    Ok(())
}

fn send(args: &Send, context: &Context) -> Result<()> {
    let network = args.common.network;
    let to = args
        .to
        .clone()
        .require_network(network.bitcoin())
        .map_err(|_| eyre!("{} is not an address of {network}", args.to.clone().assume_checked()))?;
    let mut wallet = args.common.open()?;
    let passphrase = args.passphrase.ask("the wallet")?;
    let seed = wallet.unlock(&passphrase)?;
    let sent = context.block_on(async {
        let bitcoin = args.common.sync(&mut wallet, context).await?;
        let fee_rate = args.fee_rate.choose(&bitcoin).await?;
        let prepared = wallet.prepare(&seed, to.script_pubkey(), args.amount, fee_rate);
        let (transaction, sent) = prepared.wrap_err("nothing was sent")?;
        args.fee_rate.check_fee(sent.fee, sent.amount)?;
        let submitted = wallet.submit(&bitcoin, transaction, args.fee_rate.bound(fee_rate), now()?).await;
        submitted.wrap_err("nothing was sent")?;
        Ok(sent)
    })?;
    let object = json!({ "txid": sent.txid, "amountSat": sent.amount.to_sat(), "feeSat": sent.fee.to_sat() });
    context.print(&object, || {
        println!("Sent {} to {to}", amount::show(sent.amount));
        println!("txid  {}", sent.txid);
        println!("fee   {}", amount::show(sent.fee));
    });
    Ok(())
}

fn sync(args: &Common, context: &Context) -> Result<()> {
    let mut wallet = args.open()?;
    let from = wallet.height();
    context.block_on(args.sync(&mut wallet, context))?;
    let height = wallet.height();
    context.print(&json!({ "height": height }), || match height.checked_sub(from) {
        Some(0) => println!("up to date at block {height}"),
        _ => println!("read up to block {height}"),
    });
    Ok(())
}

fn account(args: &Common, context: &Context) -> Result<()> {
    let wallet = args.open()?;
    let account = wallet.account().ok_or_else(|| eyre!("the wallet's file does not name its account"))?;
    let keystore = args.folder()?.join("seed.json");
    context.print(&json!({ "account": account, "keystore": keystore }), || {
        println!("{account}");
    });
    Ok(())
}

impl Look {
    /// The wallet, synced unless it is to be looked at as it is.
    fn open(&self, context: &Context) -> Result<Wallet> {
        let mut wallet = self.common.open()?;
        if !self.offline {
            context.block_on(self.common.sync(&mut wallet, context))?;
        }
        Ok(wallet)
    }
}

impl Common {
    fn folder(&self) -> Result<PathBuf> {
        self.home.wallet(self.network)
    }

    fn make(&self, seed: &Seed, birthday: u32, passphrase: &str) -> Result<Wallet> {
        let (folder, kdf, rng) = (self.folder()?, KdfParams::default(), &mut rand::thread_rng());
        Ok(Wallet::create(&folder, self.network, seed, birthday, passphrase, kdf, rng)?)
    }

    fn open(&self) -> Result<Wallet> {
        Ok(Wallet::open(&self.folder()?, self.network)?)
    }

    async fn newest_block(&self) -> Result<u32> {
        let bitcoin = self.bitcoin.connect(self.network).await;
        let bitcoin = bitcoin.wrap_err("the wallet's birthday is asked of bitcoind; without one, give --birthday")?;
        Ok(bitcoin.best_tip().await?.0)
    }

    async fn sync(&self, wallet: &mut Wallet, context: &Context) -> Result<BitcoinRpc> {
        let bitcoin = self.bitcoin.connect(self.network).await?;
        let bar = progress(context);
        let show = |at: SyncProgress| {
            bar.set_length(at.tip.into());
            bar.set_position(at.height.into());
        };
        let synced = wallet.sync(&bitcoin, now()?, show).await;
        bar.finish_and_clear();
        synced.wrap_err("the wallet cannot be synced")?;
        Ok(bitcoin)
    }
}

/// Shown only to people, and only while there is something to wait for.
fn progress(context: &Context) -> ProgressBar {
    if context.json || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("reading blocks {bar:30} {pos}/{len}").expect("a valid template");
    ProgressBar::new(0).with_style(style)
}
