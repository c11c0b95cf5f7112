//! `--bitcoin...`: the bitcoind to ask.

use std::path::{Path, PathBuf};

use eyre::{Result, WrapErr, eyre};
use mainchain::Network;
use mainchain::io::rpc::{Auth, BitcoinRpc};

/// The bitcoind to ask.
#[derive(Clone, Debug, clap::Args)]
pub struct BitcoinArgs {
    /// JSON-RPC of a bitcoind [default: this machine, the network's usual port]
    #[arg(long, env = "CAUSEWAY_BITCOIN", value_name = "URL")]
    pub bitcoin: Option<String>,
    /// Its cookie file [default: where bitcoind puts it for this user]
    #[arg(long, env = "CAUSEWAY_BITCOIN_COOKIE", value_name = "FILE", conflicts_with = "bitcoin_user")]
    pub bitcoin_cookie: Option<PathBuf>,
    /// Its RPC user, where there is no cookie
    #[arg(long, env = "CAUSEWAY_BITCOIN_USER", value_name = "NAME", requires = "bitcoin_password_file")]
    pub bitcoin_user: Option<String>,
    /// A file whose first line is that user's password
    #[arg(long, env = "CAUSEWAY_BITCOIN_PASSWORD_FILE", value_name = "FILE", requires = "bitcoin_user")]
    pub bitcoin_password_file: Option<PathBuf>,
}

impl BitcoinArgs {
    /// The bitcoind, which answers and is on `network`.
    pub async fn connect(&self, network: Network) -> Result<BitcoinRpc> {
        let bitcoin = self.rpc(network)?;
        bitcoin.chain_info().await.wrap_err_with(|| {
            format!("no usable bitcoind at {} (--bitcoin, or CAUSEWAY_BITCOIN, names another)", bitcoin.url())
        })?;
        Ok(bitcoin)
    }

    /// The bitcoind, for a command that can do without: none if nothing answers where one is by default. One that was named and does not answer
    /// is told.
    pub async fn if_there(&self, network: Network) -> Option<BitcoinRpc> {
        match self.connect(network).await {
            Ok(bitcoin) => Some(bitcoin),
            Err(error) if self.bitcoin.is_some() => {
                tracing::warn!("{error:#}; doing without");
                None
            }
            Err(_) => None,
        }
    }

    /// The bitcoind, not asked yet.
    pub fn rpc(&self, network: Network) -> Result<BitcoinRpc> {
        let url = self.bitcoin.clone().unwrap_or_else(|| format!("http://127.0.0.1:{}", default_port(network)));
        Ok(BitcoinRpc::new(url, self.auth(network)?, network))
    }

    fn auth(&self, network: Network) -> Result<Auth> {
        if let (Some(user), Some(file)) = (&self.bitcoin_user, &self.bitcoin_password_file) {
            let text = std::fs::read_to_string(file)
                .wrap_err_with(|| format!("cannot read the password of bitcoind in {}", file.display()))?;
            let password = text.lines().next().unwrap_or_default().to_owned();
            return Ok(Auth::UserPassword { user: user.clone(), password });
        }
        if let Some(cookie) = &self.bitcoin_cookie {
            return Ok(Auth::Cookie(cookie.clone()));
        }
        let home = std::env::var_os("HOME")
            .ok_or_else(|| eyre!("HOME is not set: say where bitcoind's cookie is by --bitcoin-cookie"))?;
        let usual = PathBuf::from(home).join(".bitcoin").join(data_folder(network)).join(".cookie");
        if network == Network::Regtest && !usual.exists() {
            return Ok(Auth::Cookie(development_cookie().unwrap_or(usual)));
        }
        Ok(Auth::Cookie(usual))
    }
}

/// In the user's home: where the cookie is of the bitcoind that `causeway dev` runs at the usual port.
const DEVELOPMENT_COOKIE: &str = "dev-bitcoin-cookie";

fn development_cookie() -> Option<PathBuf> {
    let home = super::home::HomeArgs::usual().folder().ok()?;
    let path = std::fs::read_to_string(home.join(DEVELOPMENT_COOKIE)).ok()?;
    Some(PathBuf::from(path.trim())).filter(|path| path.is_absolute())
}

/// Keeps where the cookie is of the bitcoind that `causeway dev` runs, so that other commands are let in without being told.
///
/// # Errors
///
/// Those of the disk.
pub fn keep_development_cookie(home: &Path, cookie: &Path) -> Result<()> {
    let cookie = std::path::absolute(cookie).wrap_err_with(|| format!("{} is no path", cookie.display()))?;
    Ok(files::write_atomic(&home.join(DEVELOPMENT_COOKIE), cookie.display().to_string().as_bytes())?)
}

/// Where bitcoind of this network listens for JSON-RPC.
fn default_port(network: Network) -> u16 {
    match network {
        Network::Mainnet => 8332,
        Network::Testnet4 => 48332,
        Network::Signet => 38332,
        Network::Regtest => 18443,
    }
}

/// The folder below bitcoind's data directory.
fn data_folder(network: Network) -> &'static str {
    match network {
        Network::Mainnet => "",
        Network::Testnet4 => "testnet4",
        Network::Signet => "signet",
        Network::Regtest => "regtest",
    }
}
