//! `--home`: the folder with a user's files.

use std::path::{Path, PathBuf};

use eyre::{Result, eyre};
use mainchain::Network;

/// Of the wallets, one a network, in the user's folder.
const WALLETS: &str = "wallet";

/// Where a user's files are.
#[derive(Clone, Debug, clap::Args)]
pub struct HomeArgs {
    /// Folder of your wallet and your deposit records [default: ~/.local/share/causeway]
    #[arg(long, env = "CAUSEWAY_HOME", value_name = "FOLDER")]
    pub home: Option<PathBuf>,
}

impl HomeArgs {
    /// Where they are if nobody says otherwise on the command line.
    pub fn usual() -> Self {
        Self { home: std::env::var_os("CAUSEWAY_HOME").filter(|path| !path.is_empty()).map(PathBuf::from) }
    }

    /// The user's folder.
    pub fn folder(&self) -> Result<PathBuf> {
        match &self.home {
            Some(home) => Ok(home.clone()),
            None => data_home()
                .ok_or_else(|| eyre!("neither XDG_DATA_HOME nor HOME is set: say where records go by --home")),
        }
    }

    /// The folder of the user's Bitcoin wallet on a network.
    pub fn wallet(&self, network: Network) -> Result<PathBuf> {
        Ok(wallet_folder(&self.folder()?, network))
    }
}

/// The folder of a user's wallet on a network.
pub fn wallet_folder(home: &Path, network: Network) -> PathBuf {
    home.join(WALLETS).join(network.name())
}

/// Whether the user has a wallet, on whichever network.
pub fn has_wallet(home: &Path) -> bool {
    let wallets = std::fs::read_dir(home.join(WALLETS)).into_iter().flatten().flatten();
    wallets.into_iter().any(|folder| folder.path().join("seed.json").exists())
}

/// `$XDG_DATA_HOME/causeway`, usually `~/.local/share/causeway`.
fn data_home() -> Option<PathBuf> {
    let share = std::env::var_os("XDG_DATA_HOME").filter(|path| !path.is_empty()).map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share"));
    share.or_else(home).map(|folder| folder.join("causeway"))
}
