//! The account that signs: `--keystore`, `--dev-account`, or else that of the user's wallet.

use std::path::{Path, PathBuf};

use bridge::io::sidechain::Account;
use bridge::io::wallet::public::PublicWallet;
use eyre::{Result, bail, ensure, eyre};
use mainchain::Network;

use super::home::{has_wallet, wallet_folder};
use super::passphrase::PassphraseArgs;
use crate::dev::accounts::{DEV_ACCOUNTS, dev_account};
use crate::keystores::{self, open_account};

/// The account that signs.
#[derive(Clone, Debug, clap::Args)]
pub struct AccountArgs {
    /// Keystore of the account that signs, made by `causeway keys`, geth, MetaMask or cast [default: the account of your wallet]
    #[arg(long, env = "CAUSEWAY_KEYSTORE", value_name = "FILE", conflicts_with = "dev_account")]
    pub keystore: Option<PathBuf>,
    /// Sign with an account of the well-known developer mnemonic (regtest only)
    #[arg(long, value_name = "0..9", value_parser = clap::value_parser!(u32).range(0..i64::from(DEV_ACCOUNTS)))]
    pub dev_account: Option<u32>,
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
}

impl AccountArgs {
    /// The account, on a network with this Bitcoin, after its passphrase was asked for. Without a name it is that of the wallet in `home`.
    ///
    /// # Errors
    ///
    /// No account named and no wallet; a developer account on a network of real coins; a keystore that does not open.
    pub fn open(&self, home: &Path, bitcoin: Network) -> Result<Account> {
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
            (None, None) => {
                let folder = wallet_folder(home, bitcoin);
                let wallet = PublicWallet::find(&folder, bitcoin)?.ok_or_else(|| unnamed(&folder, bitcoin))?;
                open_account(&wallet.path(), &self.passphrase.ask(&format!("your wallet ({})", wallet.account()))?)
            }
        }
    }

    /// An account is named, whichever.
    pub fn is_named(&self) -> bool {
        self.keystore.is_some() || self.dev_account.is_some()
    }

    /// There is an account that can sign: one that is named, or a wallet's in `home`.
    ///
    /// # Errors
    ///
    /// There is none, or its file is not where it is said to be.
    pub fn check_named(&self, home: &Path) -> Result<()> {
        if let Some(path) = &self.keystore {
            keystores::check_there(path)?;
        }
        ensure!(self.is_named() || has_wallet(home), unnamed(home, Network::Regtest));
        Ok(())
    }
}

fn unnamed(place: &Path, bitcoin: Network) -> eyre::Report {
    match bitcoin {
        Network::Mainnet => eyre!("which account? --keystore FILE (made by `causeway keys account`)"),
        _ => eyre!(
            "which account? There is no wallet in {}: `causeway wallet create` makes one, which is then used by itself. Or --keystore FILE (made by `causeway keys`), or --dev-account 0 on a development network",
            place.display()
        ),
    }
}
