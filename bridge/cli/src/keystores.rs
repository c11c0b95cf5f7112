//! Keystore files: written encrypted, read, opened by their passphrase.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::Path;

use alloy_primitives::Address;
use bitcoin::secp256k1::SecretKey;
use bridge::io::sidechain::Account;
use bridge::keystore::{KdfParams, Keystore, OperatorKeys, VALIDATOR};
use bridge::web3_keystore::Web3Keystore;
use eyre::{Result, WrapErr, ensure, eyre};
use files::write_atomic;
use sidechain::io::keys::ValidatorKeys;

/// Bytes of the largest file that is read: a keystore has one or two thousand.
const MOST_BYTES: u64 = 64 * 1024;

/// Kind of a keystore with an account of the sidechain.
pub const ACCOUNT: &str = "account";

/// Opens a user's account. An operator's account works too, and that of a wallet's words: they are accounts. So does a file of geth, MetaMask
/// or cast.
///
/// # Errors
///
/// The file cannot be read, is another kind of keystore, or the passphrase is wrong.
pub fn open_account(path: &Path, passphrase: &str) -> Result<Account> {
    let name = || path.display().to_string();
    let json = read_bytes(path)?;
    if Web3Keystore::is_meant(&json) {
        let key = Web3Keystore::parse(&json).and_then(|keystore| keystore.open(passphrase));
        return Ok(Account::from_key(key.wrap_err_with(name)?));
    }
    let keystore = Keystore::parse(&json).wrap_err_with(name)?;
    if keystore.kind() == bridge::keystore::OPERATOR {
        let keys = OperatorKeys::open(&keystore, passphrase).wrap_err_with(name)?;
        return Ok(Account::from_key(*keys.account()));
    }
    if keystore.kind() == bridge::io::wallet::WALLET {
        let seed = bridge::io::wallet::open_seed(path, &keystore, passphrase)?;
        return Ok(Account::from_key(seed.account()));
    }
    let secret = keystore.open(ACCOUNT, passphrase).wrap_err_with(name)?;
    let secret = SecretKey::from_slice(&secret)
        .map_err(|_| eyre!("{}: what it holds is not an account's key", path.display()))?;
    Ok(Account::from_key(secret))
}

/// What a file says of itself without its passphrase: its kind, and what it has that is public. One of geth, MetaMask or cast says its address, or
/// nothing.
///
/// # Errors
///
/// The file cannot be read, or is no keystore.
pub fn public_part(path: &Path) -> Result<(String, BTreeMap<String, String>)> {
    let json = read_bytes(path)?;
    if Web3Keystore::is_meant(&json) {
        let keystore = Web3Keystore::parse(&json).wrap_err_with(|| path.display().to_string())?;
        let address = keystore.address().map(|address| ("address".to_owned(), address.to_string()));
        return Ok(("Web3 keystore".to_owned(), address.into_iter().collect()));
    }
    let keystore = Keystore::parse(&json).wrap_err_with(|| path.display().to_string())?;
    Ok((keystore.kind().to_owned(), keystore.public().clone()))
}

/// Opens a validator's keys.
///
/// # Errors
///
/// As [`open_account`].
pub fn open_validator(path: &Path, passphrase: &str) -> Result<ValidatorKeys> {
    let secret = read(path)?.open(VALIDATOR, passphrase).wrap_err_with(|| path.display().to_string())?;
    ValidatorKeys::from_bytes(&secret).wrap_err_with(|| path.display().to_string())
}

/// Reads a keystore file, without opening it.
///
/// # Errors
///
/// The file cannot be read, or is not a keystore.
pub fn read(path: &Path) -> Result<Keystore> {
    Keystore::parse(&read_bytes(path)?).wrap_err_with(|| path.display().to_string())
}

/// Which account a keystore says that it holds; nobody vouches for it until it is open.
///
/// # Errors
///
/// As [`read`].
pub fn named_account(path: &Path) -> Result<Option<Address>> {
    let json = read_bytes(path)?;
    if Web3Keystore::is_meant(&json) {
        return Ok(Web3Keystore::parse(&json).wrap_err_with(|| path.display().to_string())?.address());
    }
    let keystore = Keystore::parse(&json).wrap_err_with(|| path.display().to_string())?;
    let public = keystore.public();
    Ok(public.get("address").or_else(|| public.get("account")).and_then(|text| text.parse().ok()))
}

/// A file can be read where a keystore is said to be: asked before anything else is.
///
/// # Errors
///
/// It cannot.
pub fn check_there(path: &Path) -> Result<()> {
    fs::File::open(path).map(drop).wrap_err_with(|| unreadable(path))
}

fn unreadable(path: &Path) -> String {
    let shown = path.display();
    format!(
        "cannot read the keystore {shown}: is it the right place? (`causeway keys account --out FILE` makes one of an account)"
    )
}

fn read_bytes(path: &Path) -> Result<Vec<u8>> {
    let cannot = || unreadable(path);
    let mut json = Vec::new();
    let file = fs::File::open(path).wrap_err_with(cannot)?;
    file.take(MOST_BYTES + 1).read_to_end(&mut json).wrap_err_with(cannot)?;
    ensure!(json.len() as u64 <= MOST_BYTES, "{} is no keystore: it has more than {MOST_BYTES} bytes", path.display());
    Ok(json)
}

/// Encrypts a secret into a file; `public` can be read without the passphrase.
///
/// # Errors
///
/// Those of the disk.
pub fn seal(path: &Path, kind: &str, public: BTreeMap<String, String>, secret: &[u8], passphrase: &str) -> Result<()> {
    write(path, &Keystore::seal(kind, public, secret, passphrase, KdfParams::default(), &mut rand::thread_rng())?)
}

/// Writes a keystore, durably.
pub fn write(path: &Path, keystore: &Keystore) -> Result<()> {
    Ok(write_atomic(path, keystore.to_json().as_bytes())?)
}
