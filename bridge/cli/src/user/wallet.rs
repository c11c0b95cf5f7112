//! `causeway wallet`: one seed for both sides, synced from the user's own bitcoind.

mod account_blocks;
mod backup;
mod common;
mod export;
mod history;
mod overview;
mod recover;
mod send;
mod transfers;

use clap::Subcommand;
use eyre::Result;
use serde_json::json;

use crate::context::Context;

use common::Common;

/// One wallet for both sides, on regtest and testnets
///
/// One mnemonic of twelve words makes Bitcoin addresses (BIP86), an account on the sidechain and reclaim keys. It is kept
/// encrypted by a passphrase, which only signing asks for. Other commands sign with it unless another account is named, and `peg-in`
/// pays it. Before its first address is shown, its backup is checked; its words alone find every deposit to it again.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  causeway wallet create\n  causeway wallet create --backup /media/stick/wallet.json\n  causeway wallet check\n  causeway wallet address\n  causeway wallet restore && causeway wallet sync && causeway wallet recover\n  causeway wallet send --to bcrt1p... --amount '0.1 BTC'"
)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a wallet, show its words once, and ask for some of them again
    ///
    /// With --passphrase-stdin, -fd or -file the words that are asked for are the next line of standard input; without it the wallet is made
    /// all the same, and `causeway wallet check` asks later.
    Create(backup::Create),
    /// Make a wallet again from its words, which are asked for, or from its backup file
    Restore(backup::Restore),
    /// Whether you still have the words, or a backup file that opens
    ///
    /// Shows nothing of them: the words are compared with the wallet's public keys.
    Check(backup::Check),
    /// Find every deposit to the wallet again, and write its record
    Recover(recover::Args),
    /// A fresh address to be paid at
    Address(Common),
    /// What the wallet has on both sides, and what is on its way between them
    Balance(overview::Look),
    /// What came and went on both sides, newest first
    ///
    /// Bitcoin transactions, deposits, withdrawals, and payments on the sidechain with what they cost. No node keeps a list of the last: they are found
    /// by what the account had after earlier blocks, as far back as the nodes keep that; how far is said.
    History(history::Args),
    /// Pay somebody: a Bitcoin address, or an account on the sidechain (0x...)
    Send(Box<send::Args>),
    /// Read the blocks since the last time
    Sync(Common),
    /// What other wallets read: a Web3 keystore of the account, or public descriptors
    Export(export::Args),
    /// The account on the sidechain of the same words (m/44'/60'/0'/0/0)
    ///
    /// Other commands sign with it unless another is named.
    Account(Common),
}

/// Runs `causeway wallet`.
///
/// # Errors
///
/// The wallet is not there or does not open, bitcoind does not answer, or it does not take the payment.
pub fn run(args: Args, context: &Context) -> Result<()> {
    match args.command {
        Command::Create(args) => backup::create(&args, context),
        Command::Restore(args) => backup::restore(&args, context),
        Command::Check(args) => backup::check(&args, context),
        Command::Recover(args) => recover::run(&args, context),
        Command::Address(args) => address(&args, context),
        Command::Balance(args) => overview::balance(&args, context),
        Command::History(args) => history::run(&args, context),
        Command::Send(args) => send::run(&args, context),
        Command::Sync(args) => sync(&args, context),
        Command::Export(args) => export::run(&args, context),
        Command::Account(args) => account(&args, context),
    }
}

fn address(args: &Common, context: &Context) -> Result<()> {
    args.public()?.require_backup()?;
    let address = args.open()?.address()?;
    context.print(&json!({ "address": address.to_string() }), || println!("{address}"));
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
    let wallet = args.public()?;
    wallet.require_backup()?;
    let (account, keystore) = (wallet.account(), wallet.path());
    context.print(&json!({ "account": account, "keystore": keystore }), || {
        println!("{account}");
    });
    Ok(())
}
