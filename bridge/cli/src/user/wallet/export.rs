//! `causeway wallet export`: what other wallets read. The account's key for Ethereum wallets, encrypted; public descriptors for Bitcoin Core.

use std::path::{Path, PathBuf};

use bridge::io::wallet::open_seed;
use bridge::io::wallet::public::PublicWallet;
use bridge::web3_keystore::Web3Keystore;
use eyre::{Result, WrapErr, ensure};
use files::write_new;
use serde_json::{Value, json};

use super::common::Common;
use crate::context::Context;
use crate::options::passphrase::PassphraseArgs;
use crate::progress::Progress;

/// Addresses that an importing wallet looks for at once; Bitcoin Core's default.
const RANGE: u32 = 999;

#[derive(Debug, clap::Args)]
#[group(id = "what", required = true, multiple = false, args = ["keystore", "descriptors"])]
pub struct Args {
    /// The account's key for geth, MetaMask or cast: a Web3 keystore (version 3), which opens by the wallet's passphrase
    #[arg(long, value_name = "FILE")]
    keystore: Option<PathBuf>,
    /// How Bitcoin addresses are made, without secrets (BIP380): what Bitcoin Core's importdescriptors takes. Whoever has it sees all payments
    #[arg(long)]
    descriptors: bool,
    #[command(flatten)]
    passphrase: PassphraseArgs,
    #[command(flatten)]
    common: Common,
}

/// Writes it.
///
/// # Errors
///
/// The backup was not checked, the passphrase is wrong, or a file is there already.
pub fn run(args: &Args, context: &Context) -> Result<()> {
    let wallet = args.common.public()?;
    wallet.require_backup()?;
    match &args.keystore {
        Some(file) => keystore(args, &wallet, file, context),
        None => {
            let descriptors = descriptors(&wallet);
            context.print(&descriptors, || {
                println!("{}", serde_json::to_string_pretty(&descriptors).expect("text and numbers"))
            });
            Ok(())
        }
    }
}

fn keystore(args: &Args, wallet: &PublicWallet, file: &Path, context: &Context) -> Result<()> {
    ensure!(!file.exists(), "{} exists and is not overwritten", file.display());
    let passphrase = args.passphrase.ask("your wallet")?;
    let seed = open_seed(&wallet.path(), wallet.keystore(), &passphrase)?;
    let mut key = seed.account();
    let progress = Progress::new(context);
    progress.about("making the file slow to guess at, as scrypt does");
    let sealed = Web3Keystore::seal(&key, &passphrase, &mut rand::thread_rng());
    progress.clear();
    key.non_secure_erase();
    let written = write_new(file, sealed.to_json().as_bytes());
    ensure!(
        written.wrap_err_with(|| format!("cannot write {}", file.display()))?,
        "{} exists and is not overwritten",
        file.display()
    );
    context.print(&json!({ "account": wallet.account(), "keystore": file }), || {
        println!("{}\nin {}, which opens by the wallet's passphrase. It is the account alone: neither bitcoin nor reclaim keys", wallet.account(), file.display());
    });
    Ok(())
}

/// As importdescriptors wants them. `timestamp` 0: the whole chain is looked through.
fn descriptors(wallet: &PublicWallet) -> Vec<Value> {
    let one = |(descriptor, internal): (String, bool)| json!({ "desc": descriptor, "active": true, "internal": internal, "range": [0, RANGE], "timestamp": 0 });
    wallet.descriptors().into_iter().map(one).collect()
}
