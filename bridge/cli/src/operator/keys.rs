//! `causeway keys`: secrets, made where they are used and encrypted before they touch a disk; their public parts in the open.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use alloy_primitives::{Address, B256, Bytes};
use bitcoin::secp256k1::{Keypair, SECP256K1, XOnlyPublicKey};
use bridge::io::sidechain::Account;
use bridge::keystore::{KdfParams, OperatorKeys, VALIDATOR};
use eyre::{Result, WrapErr, bail, ensure};
use files::write_atomic;
use serde::{Deserialize, Serialize};
use sidechain::genesis::Member;
use sidechain::io::keys::ValidatorKeys;
use zeroize::Zeroizing;

use crate::context::Context;
use crate::keystores::{ACCOUNT, read, seal, write};
use crate::options::passphrase::PassphraseArgs;

/// Kind of a keystore with a recovery key.
const RECOVERY: &str = "recovery";
/// Files of an operator.
pub const VALIDATOR_KEYSTORE: &str = "validator.keystore";
pub const OPERATOR_KEYSTORE: &str = "operator.keystore";
pub const RECOVERY_KEYSTORE: &str = "recovery.keystore";
pub const PUBLIC_FILE: &str = "public.json";

/// Make the keys of a validator, a relayer or a user
///
/// Every secret is made here and encrypted by a passphrase that nobody can reset. What others need of an operator is in
/// `public.json`, which holds no secret.
#[derive(Debug, clap::Args)]
#[command(
    arg_required_else_help = true,
    after_help = "Examples:
  causeway keys operator --name alice --p2p-address alice.example:30301 --dir alice
  causeway keys account --out me.keystore
  causeway keys show alice/validator.keystore"
)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// All keys of an operator: validator, relayer and recovery, and their public parts for the genesis file
    Operator {
        /// How the others call this operator
        #[arg(long)]
        name: String,
        /// Where the other validators reach this one
        #[arg(long, value_name = "HOST:PORT")]
        p2p_address: String,
        /// Folder for the files
        #[arg(long, value_name = "FOLDER")]
        dir: PathBuf,
        /// x-only key of a recovery key that is kept elsewhere [default: one is made here, to be moved offline]
        #[arg(long, value_name = "KEY")]
        recovery_key: Option<XOnlyPublicKey>,
        #[command(flatten)]
        passphrase: PassphraseArgs,
    },
    /// An account on the sidechain, for a user
    Account {
        /// The keystore file
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        #[command(flatten)]
        passphrase: PassphraseArgs,
    },
    /// What a keystore says of itself, without its passphrase
    Show {
        #[arg(value_name = "FILE")]
        keystore: PathBuf,
    },
}

/// What the others need of an operator: its place in the genesis file, and its recovery key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PublicPart {
    /// Its place in the genesis file.
    pub member: Member,
    /// What can spend the vault after a long timelock, with a majority of the others' ones; x-only.
    pub recovery_key: B256,
}

impl PublicPart {
    /// Reads an operator's `public.json`.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or is not a public part.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).wrap_err_with(|| format!("cannot read {}", path.display()))?;
        serde_json::from_str(&text).wrap_err_with(|| format!("{} is not an operator's public part", path.display()))
    }
}

/// Runs `causeway keys`.
///
/// # Errors
///
/// A file exists already, a passphrase is refused, or those of the disk.
pub fn run(args: Args, context: &Context) -> Result<()> {
    match args.command {
        Command::Operator { name, p2p_address, dir, recovery_key, passphrase } => {
            check_fresh(&operator_files(&dir))?;
            let passphrase = passphrase.choose("the operator's keys")?;
            let public = make_operator(&dir, &name, &p2p_address, recovery_key, &passphrase)?;
            context.print(&public, || show_operator(&dir, &public, recovery_key.is_none()));
        }
        Command::Account { out, passphrase } => {
            check_fresh(std::slice::from_ref(&out))?;
            let passphrase = passphrase.choose("the account")?;
            let address = make_account(&out, &passphrase)?;
            context.print(&serde_json::json!({ "address": address }), || {
                println!(
                    "{address}\nkept in {}; without that file and its passphrase the account is lost",
                    out.display()
                );
            });
        }
        Command::Show { keystore } => {
            let keystore = read(&keystore)?;
            let object = serde_json::json!({ "kind": keystore.kind(), "public": keystore.public() });
            context.print(&object, || {
                use bridge::foreign::shown;
                println!("{:<14} {}", "kind", shown(keystore.kind()));
                let line = |(name, value): (&String, &String)| println!("{:<14} {}", shown(name), shown(value));
                keystore.public().iter().for_each(line);
            });
        }
    }
    Ok(())
}

/// Makes all keys of an operator; writes the encrypted files and `public.json` into `dir`.
///
/// # Errors
///
/// A p2p address without a port; a folder that cannot be written.
pub fn make_operator(
    dir: &Path,
    name: &str,
    p2p_address: &str,
    recovery_key: Option<XOnlyPublicKey>,
    passphrase: &str,
) -> Result<PublicPart> {
    check_address(p2p_address)?;
    fs::create_dir_all(dir).wrap_err_with(|| format!("cannot make the folder {}", dir.display()))?;
    let (validator, operator) = (ValidatorKeys::generate(), OperatorKeys::generate(&mut rand::thread_rng()));
    let public = validator.public();
    let recovery_key = match recovery_key {
        Some(key) => key,
        None => make_recovery(&dir.join(RECOVERY_KEYSTORE), passphrase)?,
    };
    let part = PublicPart {
        member: Member {
            name: name.to_owned(),
            account: operator.address(),
            encryption_key: Bytes::copy_from_slice(&operator.encryption_key().serialize()),
            validator_key: Bytes::copy_from_slice(&public.validator_key),
            validator_proof: Bytes::copy_from_slice(&public.validator_proof),
            p2p_key: B256::from(public.p2p_key),
            p2p_address: p2p_address.to_owned(),
        },
        recovery_key: B256::from(recovery_key.serialize()),
    };
    let readable = BTreeMap::from([
        ("name".to_owned(), name.to_owned()),
        ("validatorKey".to_owned(), part.member.validator_key.to_string()),
    ]);
    seal(&dir.join(VALIDATOR_KEYSTORE), VALIDATOR, readable, &validator.to_bytes(), passphrase)?;
    write(&dir.join(OPERATOR_KEYSTORE), &operator.seal(passphrase, KdfParams::default(), &mut rand::thread_rng())?)?;
    let json = serde_json::to_string_pretty(&part).expect("text always serialises") + "\n";
    write_atomic(&dir.join(PUBLIC_FILE), json.as_bytes())?;
    Ok(part)
}

/// Makes a user's account.
///
/// # Errors
///
/// Those of the disk.
pub fn make_account(path: &Path, passphrase: &str) -> Result<Address> {
    let account = Account::random();
    let secret = Zeroizing::new(account.secret().secret_bytes());
    let public = BTreeMap::from([("address".to_owned(), account.address().to_string())]);
    seal(path, ACCOUNT, public, secret.as_slice(), passphrase)?;
    Ok(account.address())
}

fn make_recovery(path: &Path, passphrase: &str) -> Result<XOnlyPublicKey> {
    let key = Keypair::new(SECP256K1, &mut rand::thread_rng());
    let secret = Zeroizing::new(key.secret_bytes());
    let public = key.x_only_public_key().0;
    seal(
        path,
        RECOVERY,
        BTreeMap::from([("recoveryKey".to_owned(), public.to_string())]),
        secret.as_slice(),
        passphrase,
    )?;
    Ok(public)
}

/// Keys are never overwritten: there may be coins behind them.
fn check_fresh(files: &[PathBuf]) -> Result<()> {
    match files.iter().find(|path| path.exists()) {
        Some(path) => bail!("{} exists and is not overwritten: choose another place, or move it away", path.display()),
        None => Ok(()),
    }
}

fn operator_files(dir: &Path) -> Vec<PathBuf> {
    [VALIDATOR_KEYSTORE, OPERATOR_KEYSTORE, RECOVERY_KEYSTORE, PUBLIC_FILE].iter().map(|name| dir.join(name)).collect()
}

fn check_address(address: &str) -> Result<()> {
    let port =
        address.rsplit_once(':').filter(|(host, _)| !host.is_empty()).and_then(|(_, port)| port.parse::<u16>().ok());
    ensure!(port.is_some_and(|port| port > 0), "{address:?} is not HOST:PORT, e.g. alice.example:30301");
    Ok(())
}

fn show_operator(dir: &Path, public: &PublicPart, recovery_made: bool) {
    println!("Keys of {} in {}:", public.member.name, dir.display());
    println!("  {VALIDATOR_KEYSTORE:<20} for causeway node");
    println!("  {OPERATOR_KEYSTORE:<20} for causeway relayer, account {}", public.member.account);
    if recovery_made {
        println!("  {RECOVERY_KEYSTORE:<20} used only if the federation never returns: move it offline");
    }
    println!("  {PUBLIC_FILE:<20} no secret: for whoever makes the genesis file");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keystores::{open_account, open_validator};

    #[test]
    fn an_operators_keys_open_with_their_passphrase_only_and_match_the_public_part() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let part = make_operator(folder.path(), "alice", "127.0.0.1:30301", None, "correct horse").expect("made");
        let validator =
            open_validator(&folder.path().join(VALIDATOR_KEYSTORE), "correct horse").expect("its passphrase");
        assert_eq!(part.member.validator_key.as_ref(), validator.public().validator_key);
        let account = open_account(&folder.path().join(OPERATOR_KEYSTORE), "correct horse").expect("its passphrase");
        assert_eq!(part.member.account, account.address());
        let error =
            open_validator(&folder.path().join(VALIDATOR_KEYSTORE), "battery staple").expect_err("another passphrase");
        assert!(format!("{error:#}").contains("wrong passphrase"), "{error:#}");
        assert!(check_fresh(&operator_files(folder.path())).is_err());
    }

    #[test]
    fn an_address_wants_a_host_and_a_port() {
        check_address("alice.example:30301").expect("a host and a port");
        check_address("[::1]:30301").expect("a host and a port");
        for bad in ["alice.example", ":30301", "alice:0", "alice:70000"] {
            assert!(check_address(bad).is_err(), "{bad}");
        }
    }
}
