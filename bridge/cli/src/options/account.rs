//! `--keystore`, `--dev-account`: the account that signs.

use std::path::PathBuf;

use bridge::io::sidechain::Account;
use bridge::peg;
use eyre::{Result, bail};
use mainchain::Network;

use super::passphrase::PassphraseArgs;
use crate::dev::accounts::{DEV_ACCOUNTS, dev_account};
use crate::keystores::open_account;

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
    /// The account, after its passphrase was asked for.
    ///
    /// # Errors
    ///
    /// No account named; a developer account on a network of real coins; a keystore that does not open.
    pub fn open(&self, info: &peg::Info) -> Result<Account> {
        match (&self.keystore, self.dev_account) {
            (Some(path), _) => {
                let passphrase = self.passphrase.ask(&path.display().to_string())?;
                open_account(path, &passphrase)
            }
            (None, Some(_)) if info.bitcoin_network != Network::Regtest => bail!(
                "--dev-account is for regtest, this network is on {}: everybody knows the developer accounts' keys",
                info.bitcoin_network
            ),
            (None, Some(index)) => Ok(dev_account(index)),
            (None, None) => bail!(
                "which account? --keystore FILE (made by `causeway keys`), or --dev-account 0 on a development network"
            ),
        }
    }
}
