//! `--keystore`, `--dev-account`: the account that signs.

use std::path::PathBuf;

use bridge::io::sidechain::Account;
use eyre::{Result, bail, ensure};
use mainchain::Network;

use super::passphrase::PassphraseArgs;
use crate::dev::accounts::{DEV_ACCOUNTS, dev_account};
use crate::keystores::open_account;

const UNNAMED: &str =
    "which account? --keystore FILE (made by `causeway keys`), or --dev-account 0 on a development network";

/// The account that signs.
#[derive(Clone, Debug, clap::Args)]
pub struct AccountArgs {
    /// Keystore of the account that signs, made by `causeway keys`
    #[arg(long, env = "CAUSEWAY_KEYSTORE", value_name = "FILE", conflicts_with = "dev_account")]
    pub keystore: Option<PathBuf>,
    /// Sign with an account of the well-known developer mnemonic (regtest only)
    #[arg(long, value_name = "0..9", value_parser = clap::value_parser!(u32).range(0..i64::from(DEV_ACCOUNTS)))]
    pub dev_account: Option<u32>,
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
}

impl AccountArgs {
    /// The account, on a network with this Bitcoin, after its passphrase was asked for.
    ///
    /// # Errors
    ///
    /// No account named; a developer account on a network of real coins; a keystore that does not open.
    pub fn open(&self, bitcoin: Network) -> Result<Account> {
        match (&self.keystore, self.dev_account) {
            (Some(path), _) => {
                let passphrase = self.passphrase.ask(&path.display().to_string())?;
                open_account(path, &passphrase)
            }
            (None, Some(_)) if bitcoin != Network::Regtest => bail!(
                "--dev-account is for regtest, this network is on {}: everybody knows the developer accounts' keys",
                bitcoin
            ),
            (None, Some(index)) => Ok(dev_account(index)),
            (None, None) => bail!(UNNAMED),
        }
    }

    /// An account is named, whichever.
    ///
    /// # Errors
    ///
    /// None is.
    pub fn check_named(&self) -> Result<()> {
        ensure!(self.keystore.is_some() || self.dev_account.is_some(), UNNAMED);
        Ok(())
    }
}
