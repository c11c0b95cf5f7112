//! `causeway keys`: secrets, made where they are used and encrypted before they touch a disk; their public parts in the open.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use alloy_primitives::{Address, B256, Bytes};
use bitcoin::secp256k1::XOnlyPublicKey;
use bridge::io::sidechain::Account;
use bridge::keystore::{KdfParams, OperatorKeys, VALIDATOR};
use eyre::{Result, WrapErr, bail};
use files::write_atomic;
use mainchain::Network;
use sidechain::genesis::{DEV_CHAIN_ID, Member, check_address, check_chain_id, check_name};
use sidechain::io::keys::ValidatorKeys;
use zeroize::Zeroizing;

use super::own_keys::MadeFor;
use super::public_part::{Operator, PublicPart};
use super::recovery_key::{RECOVERY_KEYSTORE, check_alone, check_apart, make_recovery};
use crate::context::Context;
use crate::keystores::{ACCOUNT, open_account, public_part, seal, write};
use crate::options::passphrase::{PassphraseArgs, Stake, check_strength};

/// Files of an operator.
pub const VALIDATOR_KEYSTORE: &str = "validator.keystore";
pub const OPERATOR_KEYSTORE: &str = "operator.keystore";
pub const PUBLIC_FILE: &str = "public.json";
/// Where a recovery key is made beside the others, on regtest.
const RECOVERY_FOLDER: &str = "recovery";

/// Make the keys of a validator, a relayer or a user
///
/// Every secret is made here and encrypted by a passphrase that nobody can reset. What others need of an operator is in
/// `public.json`, which holds no secret. Where coins have a value, a passphrase that is guessed with fewer than 10^10 attempts is
/// refused, and the recovery key is made first and apart: it is for the day when the other keys are gone.
#[derive(Debug, clap::Args)]
#[command(
    arg_required_else_help = true,
    after_help = "Examples:
  causeway keys recovery --dir recovery-alice          # best on another machine; it shows KEY
  causeway keys operator --network testnet4 --chain-id 51718 --name alice --p2p-address alice.example:30301 --dir alice --recovery-key KEY
  causeway keys account --out me.keystore
  causeway keys show alice/validator.keystore"
)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// The keys that an operator signs with, validator's and relayer's, and their public parts for the genesis file
    Operator {
        /// How the others call this operator
        #[arg(long)]
        name: String,
        /// Where the other validators reach this one
        #[arg(long, value_name = "HOST:PORT")]
        p2p_address: String,
        /// The Bitcoin network of the peg that the keys are for: mainnet, testnet4, signet or regtest
        #[arg(long, value_name = "NETWORK")]
        network: Network,
        /// Number of the sidechain (EIP-155), the same for all operators; one that no other chain has [default on regtest: 51717]
        #[arg(
            long,
            value_name = "N",
            required_if_eq_any([("network", "mainnet"), ("network", "testnet4"), ("network", "signet")])
        )]
        chain_id: Option<u64>,
        /// Folder for the files
        #[arg(long, value_name = "FOLDER")]
        dir: PathBuf,
        /// The recovery key, x-only, as `keys recovery` showed it [default on regtest: one is made here, in recovery/]
        #[arg(long, value_name = "KEY")]
        recovery_key: Option<XOnlyPublicKey>,
        #[command(flatten)]
        passphrase: PassphraseArgs,
    },
    /// The key of an operator that, with those of others, takes the vault when the federation never returns
    Recovery {
        /// Folder for the keystore, with none of the other keys in it
        #[arg(long, value_name = "FOLDER")]
        dir: PathBuf,
        /// The Bitcoin network of the peg; regtest takes any passphrase [default: one where coins have a value]
        #[arg(long, value_name = "NETWORK")]
        network: Option<Network>,
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
    /// An account from a file of geth, MetaMask or cast (Web3 keystore), encrypted anew under the same passphrase
    ///
    /// Commands also read such a file itself (--keystore).
    Import {
        /// The Web3 keystore
        #[arg(long, value_name = "FILE")]
        from: PathBuf,
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

/// Runs `causeway keys`.
///
/// # Errors
///
/// A file exists already, a passphrase is refused, or those of the disk.
pub fn run(args: Args, context: &Context) -> Result<()> {
    match args.command {
        Command::Operator { name, p2p_address, network, chain_id, dir, recovery_key, passphrase } => {
            let new = NewOperator { name, p2p_address, network, chain_id: chain_id.unwrap_or(DEV_CHAIN_ID) };
            operator(&dir, &new, recovery_key, passphrase, context)
        }
        Command::Recovery { dir, network, passphrase } => recovery(&dir, network, passphrase, context),
        Command::Account { out, passphrase } => account(&out, passphrase, context),
        Command::Import { from, out, passphrase } => import(&from, &out, &passphrase, context),
        Command::Show { keystore } => show(&keystore, context),
    }
}

fn operator(
    dir: &Path,
    new: &NewOperator,
    recovery_key: Option<XOnlyPublicKey>,
    passphrase: PassphraseArgs,
    context: &Context,
) -> Result<()> {
    check_fresh(&operator_files(dir))?;
    new.check()?;
    check_apart(new.network, recovery_key)?;
    let passphrase = passphrase.choose("the operator's keys", new.network.into())?;
    let public = make_operator(dir, new, recovery_key, &passphrase)?;
    context.print(&public, || show_operator(dir, &public, recovery_key.is_none()));
    Ok(())
}

fn recovery(dir: &Path, network: Option<Network>, passphrase: PassphraseArgs, context: &Context) -> Result<()> {
    check_fresh(&[dir.join(RECOVERY_KEYSTORE)])?;
    check_alone(dir, &[VALIDATOR_KEYSTORE, OPERATOR_KEYSTORE, PUBLIC_FILE])?;
    let passphrase = passphrase.choose("the recovery key", network.map_or(Stake::Coins, Stake::from))?;
    let (path, key) = make_recovery(dir, &passphrase)?;
    context.print(&serde_json::json!({ "recoveryKey": key.to_string(), "keystore": path }), || {
        println!("{key}\nkept in {}: keep copies of it offline, and its passphrase apart from them", path.display());
        println!("next: causeway keys operator --recovery-key {key} ...");
    });
    Ok(())
}

fn account(out: &Path, passphrase: PassphraseArgs, context: &Context) -> Result<()> {
    check_fresh(&[out.to_owned()])?;
    let passphrase = passphrase.choose("the account", Stake::Coins)?;
    let address = make_account(out, &passphrase)?;
    context.print(&serde_json::json!({ "address": address }), || {
        println!("{address}\nkept in {}; without that file and its passphrase the account is lost", out.display());
    });
    Ok(())
}

fn import(from: &Path, out: &Path, passphrase: &PassphraseArgs, context: &Context) -> Result<()> {
    check_fresh(&[out.to_owned()])?;
    let passphrase = passphrase.ask(&from.display().to_string())?;
    check_strength(&passphrase, Stake::Coins)?;
    let address = keep_account(out, &open_account(from, &passphrase)?, &passphrase)?;
    context.print(&serde_json::json!({ "address": address }), || {
        println!("{address}\nkept in {}; it opens by the same passphrase", out.display());
    });
    Ok(())
}

fn show(keystore: &Path, context: &Context) -> Result<()> {
    let (kind, public) = public_part(keystore)?;
    context.print(&serde_json::json!({ "kind": kind, "public": public }), || {
        use bridge::foreign::shown;
        println!("{:<14} {}", "kind", shown(&kind));
        public.iter().for_each(|(name, value)| println!("{:<14} {}", shown(name), shown(value)));
    });
    Ok(())
}

/// An operator that has no keys yet.
#[derive(Clone, Debug)]
pub struct NewOperator {
    /// How the others call it.
    pub name: String,
    /// "host:port" of its validator.
    pub p2p_address: String,
    /// The Bitcoin network of the peg.
    pub network: Network,
    /// The sidechain's, by EIP-155.
    pub chain_id: u64,
}

impl NewOperator {
    /// On regtest.
    #[cfg(test)]
    pub fn example(name: &str, port: u16) -> Self {
        let (name, p2p_address) = (name.to_owned(), format!("127.0.0.1:{port}"));
        Self { name, p2p_address, network: Network::Regtest, chain_id: DEV_CHAIN_ID }
    }

    /// What the genesis file's rules would refuse later is refused before keys are made for it.
    fn check(&self) -> Result<()> {
        check_name(&self.name).wrap_err("--name")?;
        check_address(&self.p2p_address).wrap_err("--p2p-address wants HOST:PORT")?;
        check_chain_id(self.chain_id, self.network).wrap_err("--chain-id")?;
        Ok(())
    }
}

/// Makes all keys of an operator; writes the encrypted files and `public.json` into `dir`.
///
/// # Errors
///
/// A name, an address or a chain id that no genesis file may have; no recovery key, where one has to be made apart; a folder that
/// cannot be written.
pub fn make_operator(
    dir: &Path,
    new: &NewOperator,
    recovery_key: Option<XOnlyPublicKey>,
    passphrase: &str,
) -> Result<PublicPart> {
    new.check()?;
    check_apart(new.network, recovery_key)?;
    files::make_private_folder(dir).wrap_err_with(|| format!("cannot make the folder {}", dir.display()))?;
    let (validator, operator) = (ValidatorKeys::generate(), OperatorKeys::generate(&mut rand::thread_rng()));
    let recovery_key = match recovery_key {
        Some(key) => key,
        None => make_recovery(&dir.join(RECOVERY_FOLDER), passphrase)?.1,
    };
    let recovery_key = B256::from(recovery_key.serialize());
    let made_for = MadeFor { network: new.network, chain_id: new.chain_id, recovery_key };
    let part = Operator {
        network: new.network,
        chain_id: new.chain_id,
        member: member(new, &validator, &operator),
        recovery_key,
    }
    .sign(&operator);
    write_operator(dir, &part, &made_for, (&validator, &operator), passphrase)?;
    Ok(part)
}

/// The public parts of an operator's keys, as the genesis file lists them.
fn member(new: &NewOperator, validator: &ValidatorKeys, operator: &OperatorKeys) -> Member {
    let public = validator.public();
    Member {
        name: new.name.clone(),
        account: operator.address(),
        encryption_key: Bytes::copy_from_slice(&operator.encryption_key().serialize()),
        validator_key: Bytes::copy_from_slice(&public.validator_key),
        validator_proof: Bytes::copy_from_slice(&public.validator_proof),
        p2p_key: B256::from(public.p2p_key),
        p2p_address: new.p2p_address.clone(),
    }
}

fn write_operator(
    dir: &Path,
    part: &PublicPart,
    made_for: &MadeFor,
    (validator, operator): (&ValidatorKeys, &OperatorKeys),
    passphrase: &str,
) -> Result<()> {
    let member = &part.operator.member;
    let mut readable = made_for.readable();
    readable.insert("name".to_owned(), member.name.clone());
    readable.insert("validatorKey".to_owned(), member.validator_key.to_string());
    seal(&dir.join(VALIDATOR_KEYSTORE), VALIDATOR, readable, &validator.to_bytes(), passphrase)?;
    let rng = &mut rand::thread_rng();
    let sealed = operator.seal(made_for.readable(), passphrase, KdfParams::default(), rng)?;
    write(&dir.join(OPERATOR_KEYSTORE), &sealed)?;
    let json = serde_json::to_string_pretty(part).expect("text always serialises") + "\n";
    write_atomic(&dir.join(PUBLIC_FILE), json.as_bytes())?;
    Ok(())
}

/// Makes a user's account.
///
/// # Errors
///
/// Those of the disk.
pub fn make_account(path: &Path, passphrase: &str) -> Result<Address> {
    keep_account(path, &Account::random(), passphrase)
}

fn keep_account(path: &Path, account: &Account, passphrase: &str) -> Result<Address> {
    let secret = Zeroizing::new(account.secret().secret_bytes());
    let public = BTreeMap::from([("address".to_owned(), account.address().to_string())]);
    seal(path, ACCOUNT, public, secret.as_slice(), passphrase)?;
    Ok(account.address())
}

/// Keys are never overwritten: there may be coins behind them.
fn check_fresh(files: &[PathBuf]) -> Result<()> {
    match files.iter().find(|path| path.exists()) {
        Some(path) => bail!("{} exists and is not overwritten: choose another place, or move it away", path.display()),
        None => Ok(()),
    }
}

fn operator_files(dir: &Path) -> Vec<PathBuf> {
    let beside = [VALIDATOR_KEYSTORE, OPERATOR_KEYSTORE, RECOVERY_KEYSTORE, PUBLIC_FILE].map(|name| dir.join(name));
    beside.into_iter().chain([dir.join(RECOVERY_FOLDER).join(RECOVERY_KEYSTORE)]).collect()
}

fn show_operator(dir: &Path, public: &PublicPart, recovery_made: bool) {
    let operator = &public.operator;
    println!(
        "Keys of {} in {}, for {}, chain id {}:",
        operator.member.name,
        dir.display(),
        operator.network,
        operator.chain_id
    );
    println!("  {VALIDATOR_KEYSTORE:<20} for causeway node");
    println!("  {OPERATOR_KEYSTORE:<20} for causeway relayer, account {}", operator.member.account);
    if recovery_made {
        println!(
            "  {RECOVERY_FOLDER:<20} used only if the federation never returns: here for regtest, else it is made apart"
        );
    }
    println!("  {PUBLIC_FILE:<20} no secret, signed: for whoever makes the genesis file; keep it, to verify that file");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keystores::open_validator;

    fn alice() -> NewOperator {
        NewOperator::example("alice", 30_301)
    }

    #[test]
    fn no_keys_are_made_for_a_chain_id_or_a_name_that_no_network_may_have() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let refused = |new: NewOperator| {
            let error = make_operator(folder.path(), &new, None, "correct horse").expect_err("refused");
            assert!(std::fs::read_dir(folder.path()).expect("readable").next().is_none(), "nothing was made");
            format!("{error:#}")
        };
        let said = refused(NewOperator { chain_id: 1, ..alice() });
        assert!(said.contains("that of Ethereum"), "{said}");
        let said = refused(NewOperator { network: Network::Mainnet, ..alice() });
        assert!(said.contains("every network on regtest"), "{said}");
        let said = refused(NewOperator { network: Network::Mainnet, chain_id: 51_718, ..alice() });
        assert!(said.contains("causeway keys recovery --dir"), "{said}");
        let said = refused(NewOperator { name: "\x1b[2Jalice".to_owned(), ..alice() });
        assert!(said.contains("printable ASCII") && !said.contains('\x1b'), "{said}");
    }

    #[test]
    fn an_operators_keys_open_with_their_passphrase_only_and_match_the_public_part() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let part = make_operator(folder.path(), &alice(), None, "correct horse").expect("made");
        let validator =
            open_validator(&folder.path().join(VALIDATOR_KEYSTORE), "correct horse").expect("its passphrase");
        assert_eq!(part.operator.member.validator_key.as_ref(), validator.public().validator_key);
        let account = open_account(&folder.path().join(OPERATOR_KEYSTORE), "correct horse").expect("its passphrase");
        assert_eq!(part.operator.member.account, account.address());
        let error =
            open_validator(&folder.path().join(VALIDATOR_KEYSTORE), "battery staple").expect_err("another passphrase");
        assert!(format!("{error:#}").contains("wrong passphrase"), "{error:#}");
        assert!(check_fresh(&operator_files(folder.path())).is_err());
    }
}
