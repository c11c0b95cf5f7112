//! The recovery key: with those of other operators it takes the vault when the federation never returns.
//!
//! It is used once or never, so it has nothing to do on the machine that signs every day. Whoever reads that machine's disk and learns
//! its passphrase must not have this key too: off regtest it is made apart, and the operator's keys are told its public part only.
//!
//! ```text
//!   elsewhere                                       the operator's machine
//!   keys recovery --dir recovery-alice  ── KEY ──▶  keys operator --recovery-key KEY --dir alice
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bitcoin::secp256k1::{Keypair, SECP256K1, XOnlyPublicKey};
use eyre::{Result, WrapErr, ensure};
use mainchain::Network;
use zeroize::Zeroizing;

use crate::keystores::seal;

/// Kind of a keystore with a recovery key.
const RECOVERY: &str = "recovery";
pub const RECOVERY_KEYSTORE: &str = "recovery.keystore";

/// Makes a recovery key in a folder; the keystore's path and the public key, x-only.
///
/// # Errors
///
/// Those of the disk.
pub fn make_recovery(dir: &Path, passphrase: &str) -> Result<(PathBuf, XOnlyPublicKey)> {
    files::make_private_folder(dir).wrap_err_with(|| format!("cannot make the folder {}", dir.display()))?;
    let mut key = Keypair::new(SECP256K1, &mut rand::thread_rng());
    let (public, _) = key.x_only_public_key();
    let secret = Zeroizing::new(key.secret_bytes());
    key.non_secure_erase();
    let readable = BTreeMap::from([("recoveryKey".to_owned(), public.to_string())]);
    let path = dir.join(RECOVERY_KEYSTORE);
    seal(&path, RECOVERY, readable, secret.as_slice(), passphrase)?;
    Ok((path, public))
}

/// Checks that an operator's keys are not made together with a recovery key of value.
///
/// # Errors
///
/// No key is given, and the network's coins are not those that everybody can mine.
pub fn check_apart(network: Network, given: Option<XOnlyPublicKey>) -> Result<()> {
    ensure!(
        given.is_some() || network == Network::Regtest,
        "--recovery-key is missing: on {network} the key that can take the vault is kept apart from those that sign. Run \
         `causeway keys recovery --dir FOLDER`, best on another machine and under a passphrase of its own, and give the key that it shows \
         (--recovery-key KEY)"
    );
    Ok(())
}

/// Checks that a recovery key is not put beside an operator's other keys.
///
/// # Errors
///
/// Names the file that is there.
pub fn check_alone(dir: &Path, others: &[&str]) -> Result<()> {
    match others.iter().map(|name| dir.join(name)).find(|path| path.exists()) {
        Some(path) => {
            eyre::bail!("{} is there: a recovery key has a folder of its own, best on another machine", path.display())
        }
        None => Ok(()),
    }
}
