//! Keystore files: written encrypted, read, opened by their passphrase.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bitcoin::secp256k1::SecretKey;
use bridge::io::sidechain::Account;
use bridge::keystore::{KdfParams, Keystore, OperatorKeys, VALIDATOR};
use eyre::{Result, WrapErr, eyre};
use files::write_atomic;
use sidechain::io::keys::ValidatorKeys;

/// Kind of a keystore with an account of the sidechain.
pub const ACCOUNT: &str = "account";

/// Opens a user's account. An operator's account works too, and that of a wallet's words: they are accounts.
///
/// # Errors
///
/// The file cannot be read, is another kind of keystore, or the passphrase is wrong.
pub fn open_account(path: &Path, passphrase: &str) -> Result<Account> {
    let keystore = read(path)?;
    let name = || path.display().to_string();
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
    let json = fs::read(path).wrap_err_with(|| format!("cannot read the keystore {}", path.display()))?;
    Keystore::parse(&json).wrap_err_with(|| path.display().to_string())
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
