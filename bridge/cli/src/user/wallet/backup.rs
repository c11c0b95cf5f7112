//! Words and files that a wallet is made again from: shown once, and checked before anything can be paid to the wallet.
//!
//! ```text
//!   create            12 words shown ──▶ three of them asked for ──▶ addresses are shown
//!   create --backup   an encrypted copy elsewhere ──▶ opened again ──▶ addresses are shown; the words are not
//!   check             all words, or the file, at any time
//!   interrupted       no address is shown; every command says that nobody may have the words, and what to do
//!   restore           has just been given them: nothing more is asked
//! ```

use std::path::{Path, PathBuf};

use bridge::io::wallet::public::{Backup, PublicWallet};
use bridge::io::wallet::{Seed, WalletError, open_seed};
use eyre::{Result, WrapErr, bail, ensure};
use files::write_new;
use rand::seq::SliceRandom as _;
use serde_json::json;

use super::common::Common;
use crate::clock::now;
use crate::context::Context;
use crate::keystores;
use crate::options::passphrase::{PassphraseArgs, Stake};

/// Words that are asked for again: whoever wrote down none has one chance in 2^33, and nobody types twelve.
const ASKED: usize = 3;
/// How often they are asked for at the terminal.
const TRIES: u32 = 3;

#[derive(Debug, clap::Args)]
pub struct Create {
    /// Block before which there are no payments to it [default: bitcoind's newest]
    #[arg(long, value_name = "HEIGHT")]
    birthday: Option<u32>,
    /// Write an encrypted copy there, best on another disk, and open it again, instead of showing the words. It opens by the same passphrase
    #[arg(long, value_name = "FILE")]
    backup: Option<PathBuf>,
    #[command(flatten)]
    passphrase: PassphraseArgs,
    #[command(flatten)]
    common: Common,
}

/// With --passphrase-stdin the words are the second line.
#[derive(Debug, clap::Args)]
pub struct Restore {
    /// Block before which there are no payments to it [default: 0, or what the backup file says]
    #[arg(long, value_name = "HEIGHT")]
    birthday: Option<u32>,
    /// From this backup file, which opens by its passphrase, instead of the words
    #[arg(long, value_name = "FILE")]
    backup: Option<PathBuf>,
    #[command(flatten)]
    passphrase: PassphraseArgs,
    #[command(flatten)]
    common: Common,
}

/// With --passphrase-stdin the words are the first line, or with --backup the passphrase. A wallet that an earlier version made wants its
/// passphrase too, as the first line.
#[derive(Debug, clap::Args)]
pub struct Check {
    /// This file instead of the words
    #[arg(long, value_name = "FILE")]
    backup: Option<PathBuf>,
    #[command(flatten)]
    passphrase: PassphraseArgs,
    #[command(flatten)]
    common: Common,
}

/// Makes a wallet.
///
/// # Errors
///
/// There is one, the passphrase is refused, the backup cannot be written, or the words that were asked for are others.
pub fn create(args: &Create, context: &Context) -> Result<()> {
    if let Some(file) = &args.backup {
        ensure!(!file.exists(), "{} exists already: a backup replaces no file", file.display());
    }
    refuse_beside_another(&args.common)?;
    let birthday = match args.birthday {
        Some(birthday) => birthday,
        None => context.block_on(args.common.newest_block())?,
    };
    let passphrase = args.passphrase.choose("the wallet", Stake::Coins)?;
    let seed = Seed::generate(&mut rand::thread_rng());
    drop(args.common.make(&seed, birthday, &passphrase)?);
    let wallet = args.common.public()?;
    if let Some(file) = &args.backup {
        write_backup(&wallet, file)?;
        check_file(&wallet, file, &passphrase)?;
        wallet.note_backup(Backup::File, now()?)?;
        let object = json!({ "network": args.common.network, "birthday": birthday, "account": wallet.account(), "backup": file, "checked": true });
        context.print(&object, || {
            println!("backup             {}, opened again: it opens by the same passphrase alone", file.display());
            show_made(&wallet, args);
        });
        return Ok(());
    }
    let asked = positions();
    // The account is an address that could be paid: it comes after the check.
    let object =
        json!({ "network": args.common.network, "birthday": birthday, "mnemonic": seed.words(), "asked": asked });
    context.print(&object, || {
        println!("Write these words down. They are shown this once, and whoever has them has the coins:\n");
        println!("  {}\n", seed.words());
    });
    ask_words(args, &seed, &asked)?;
    wallet.note_backup(Backup::Words, now()?)?;
    let object = json!({ "account": wallet.account(), "checked": true });
    context.print(&object, || show_made(&wallet, args));
    Ok(())
}

/// No wallet takes another's place. One whose backup was never checked says what to do about that, before a passphrase is asked for.
fn refuse_beside_another(common: &Common) -> Result<()> {
    let folder = common.folder()?;
    match PublicWallet::find(&folder, common.network)? {
        Some(wallet) => {
            wallet.require_backup()?;
            Err(WalletError::Exists(folder).into())
        }
        None => Ok(()),
    }
}

fn show_made(wallet: &PublicWallet, args: &Create) {
    println!("network            {}", args.common.network);
    println!("sidechain account  {}", wallet.account());
    println!(
        "`causeway wallet address` shows where to pay bitcoin, `causeway peg-in` where to pay for coins on the sidechain."
    );
}

/// Which words are asked for, counted from 1, ascending.
fn positions() -> Vec<usize> {
    let mut all: Vec<usize> = (1..=12).collect();
    all.shuffle(&mut rand::thread_rng());
    let mut asked: Vec<usize> = all.into_iter().take(ASKED).collect();
    asked.sort_unstable();
    asked
}

fn ask_words(args: &Create, seed: &Seed, asked: &[usize]) -> Result<()> {
    let numbers: Vec<String> = asked.iter().map(usize::to_string).collect();
    let what = format!("words {} again, with blanks between", numbers.join(", "));
    let later = format!(
        "the wallet is made, and shows no address before `causeway wallet check` was given all of its words. If you do not have them: nobody \
         paid it yet, so remove {} and make another",
        args.common.folder()?.display()
    );
    let tries = if args.passphrase.is_given() { 1 } else { TRIES };
    for left in (0..tries).rev() {
        let typed = args.passphrase.ask_next(&what)?;
        if typed.trim().is_empty() {
            bail!("the words were not given again: {later}");
        }
        if is_same(&typed, seed, asked) {
            return Ok(());
        }
        if left > 0 {
            eprintln!("These are not words {}: look at what you wrote down.", numbers.join(", "));
        }
    }
    bail!("these are not words {}: {later}", numbers.join(", "))
}

fn is_same(typed: &str, seed: &Seed, asked: &[usize]) -> bool {
    let words: Vec<&str> = seed.words().split(' ').collect();
    let want = asked.iter().filter_map(|position| words.get(position - 1).copied());
    typed.split_whitespace().map(str::to_lowercase).eq(want.map(str::to_owned))
}

/// Makes a wallet again.
///
/// # Errors
///
/// There is one, the passphrase is refused or wrong, or the words are none.
pub fn restore(args: &Restore, context: &Context) -> Result<()> {
    let (seed, passphrase, birthday, by) = match &args.backup {
        Some(file) => {
            let keystore = keystores::read(file)?;
            let passphrase = args.passphrase.ask(&file.display().to_string())?;
            let seed = open_seed(file, &keystore, &passphrase)?;
            let birthday = keystore.public().get("birthday").and_then(|birthday| birthday.parse().ok());
            (seed, passphrase, birthday, Backup::File)
        }
        None => {
            let passphrase = args.passphrase.choose("the wallet", Stake::Coins)?;
            (Seed::parse(&args.passphrase.ask_next("wallet's words")?)?, passphrase, None, Backup::Words)
        }
    };
    let birthday = args.birthday.or(birthday).unwrap_or(0);
    drop(args.common.make(&seed, birthday, &passphrase)?);
    let wallet = args.common.public()?;
    wallet.note_backup(by, now()?)?;
    let object = json!({ "network": args.common.network, "birthday": birthday, "account": wallet.account() });
    context.print(&object, || {
        println!("network            {}", args.common.network);
        println!("sidechain account  {}", wallet.account());
        println!(
            "`causeway wallet sync` finds its coins from block {birthday} on, `causeway wallet recover` its deposits."
        );
    });
    Ok(())
}

/// Whether the owner has what makes the wallet again.
///
/// # Errors
///
/// Something else was given.
pub fn check(args: &Check, context: &Context) -> Result<()> {
    let wallet = args.common.public()?;
    let by = match &args.backup {
        Some(file) => {
            check_file(&wallet, file, &args.passphrase.ask(&file.display().to_string())?)?;
            Backup::File
        }
        None => {
            upgrade(args, &wallet)?;
            let words = args.passphrase.ask_next("wallet's words")?;
            let seed = Seed::parse(&words).wrap_err("the wallet and its file are as they were")?;
            ensure!(
                seed.fits(wallet.keystore()),
                "these are words of another wallet than the one in {}, whose account is {}: look for the right ones while the wallet still opens",
                wallet.path().display(),
                wallet.account()
            );
            Backup::Words
        }
    };
    wallet.note_backup(by, now()?)?;
    let object = json!({ "account": wallet.account(), "checked": true });
    context.print(&object, || match by {
        Backup::Words => println!("These words make the wallet again. Its account is {}", wallet.account()),
        Backup::File => println!("The file opens and makes the wallet again. Its account is {}", wallet.account()),
    });
    Ok(())
}

/// A file of an earlier version gets its reclaim keys, by its passphrase.
fn upgrade(args: &Check, wallet: &PublicWallet) -> Result<()> {
    match wallet.reclaim_key(0) {
        Err(WalletError::NoReclaimKeys(_)) => {
            let passphrase = args.passphrase.ask("your wallet")?;
            Ok(args.common.open()?.unlock(&passphrase).map(drop)?)
        }
        other => Ok(other.map(drop)?),
    }
}

/// A copy of the encrypted file, where there is none.
fn write_backup(wallet: &PublicWallet, file: &Path) -> Result<()> {
    let later = "the wallet is made, and shows no address before `causeway wallet check` was given a backup";
    let new = write_new(file, wallet.keystore().to_json().as_bytes());
    let new = new.wrap_err_with(|| format!("the backup cannot be written to {}: {later}", file.display()))?;
    ensure!(new, "{} exists already: a backup replaces no file; {later}", file.display());
    Ok(())
}

/// The file is read from the disk, opens, and has the words of this wallet.
fn check_file(wallet: &PublicWallet, file: &Path, passphrase: &str) -> Result<()> {
    let own = |path: &Path| path.canonicalize().ok();
    ensure!(
        own(file) != own(&wallet.path()),
        "{} is the wallet's own file: a backup is a copy elsewhere, that is there when this disk is not",
        file.display()
    );
    let seed = open_seed(file, &keystores::read(file)?, passphrase)?;
    ensure!(
        seed.fits(wallet.keystore()),
        "{} opens, and it is of another wallet: its account is {}, yours is {}",
        file.display(),
        seed.account_address(),
        wallet.account()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_different_words_are_asked_for_in_their_order() {
        for _ in 0..100 {
            let asked = positions();
            assert_eq!(asked.len(), ASKED);
            assert!(
                asked.is_sorted_by(|earlier, later| earlier < later) && asked[0] >= 1 && asked[2] <= 12,
                "{asked:?}"
            );
        }
    }

    #[test]
    fn only_the_words_that_were_asked_for_will_do_in_any_spelling_of_case_and_blanks() {
        let seed = Seed::parse("legal winner thank year wave sausage worth useful legal winner thank yellow")
            .expect("BIP39's");
        assert!(is_same(" winner\tSausage  yellow\n", &seed, &[2, 6, 12]));
        for wrong in ["winner sausage", "sausage winner yellow", "winner sausage yellow legal", ""] {
            assert!(!is_same(wrong, &seed, &[2, 6, 12]), "{wrong}");
        }
    }
}
