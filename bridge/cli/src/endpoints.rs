//! Whom a command talks to: a sidechain node, a bitcoind, and with which account.

use std::path::PathBuf;

use bitcoin::bip32::{DerivationPath, Xpriv};
use bridge::io::sidechain::{Account, Client};
use bridge::peg;
use eyre::{Result, WrapErr, bail, eyre};
use mainchain::Network;
use mainchain::io::rpc::{Auth, BitcoinRpc};

use crate::keys::open_account;
use crate::service::ServiceArgs;

/// The mnemonic every Ethereum developer tool knows. Its accounts belong to everybody.
pub const DEV_MNEMONIC: &str = "test test test test test test test test test test test junk";
/// How many of its accounts a development network funds.
pub const DEV_ACCOUNTS: u32 = 10;

/// The sidechain node to ask.
#[derive(Clone, Debug, clap::Args)]
pub struct SidechainArgs {
    /// JSON-RPC of a sidechain node
    #[arg(long, env = "CAUSEWAY_RPC", default_value = "http://127.0.0.1:8545", value_name = "URL")]
    pub rpc: String,
}

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

/// The account that signs.
#[derive(Clone, Debug, clap::Args)]
pub struct AccountArgs {
    /// Keystore of the account that signs, made by `causeway keys`
    #[arg(long, env = "CAUSEWAY_KEYSTORE", value_name = "FILE", conflicts_with = "dev_account")]
    pub keystore: Option<PathBuf>,
    /// Sign with an account of the well-known developer mnemonic (regtest only)
    #[arg(long, value_name = "0..9", value_parser = clap::value_parser!(u32).range(0..i64::from(DEV_ACCOUNTS)))]
    pub dev_account: Option<u32>,
    /// Read the keystore's passphrase from the first line of standard input instead of asking for it
    #[arg(long)]
    pub passphrase_stdin: bool,
}

impl SidechainArgs {
    pub fn client(&self) -> Result<Client> {
        Client::new(&self.rpc).wrap_err("--rpc wants the URL of a sidechain node, e.g. http://127.0.0.1:8545")
    }

    /// The client, and what the node says of the bridge.
    pub async fn connect(&self) -> Result<(Client, peg::Info)> {
        let client = self.client()?;
        let info = client.info().await.wrap_err_with(|| {
            format!(
                "no answer from the sidechain; is a node running at {}? (--rpc, or CAUSEWAY_RPC, names another)",
                self.rpc
            )
        })?;
        Ok((client, info))
    }
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
        let folder = PathBuf::from(home).join(".bitcoin").join(data_folder(network));
        Ok(Auth::Cookie(folder.join(".cookie")))
    }
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
                let service = ServiceArgs { passphrase_stdin: self.passphrase_stdin, ..ServiceArgs::default() };
                let passphrase = service.passphrase(&path.display().to_string())?;
                open_account(path, &passphrase)
            }
            (None, Some(_)) if info.bitcoin_network != "regtest" => bail!(
                "--dev-account is for regtest, this network stands on {}: everybody knows the developer accounts' keys",
                info.bitcoin_network
            ),
            (None, Some(index)) => Ok(dev_account(index)),
            (None, None) => bail!(
                "which account? --keystore FILE (made by `causeway keys`), or --dev-account 0 on a development network"
            ),
        }
    }
}

/// Account `index` of the developer mnemonic, by the usual path m/44'/60'/0'/0/index.
pub fn dev_account(index: u32) -> Account {
    let seed = bip39::Mnemonic::parse(DEV_MNEMONIC).expect("a valid mnemonic").to_seed("");
    let path: DerivationPath = format!("m/44'/60'/0'/0/{index}").parse().expect("a valid path");
    let secp = bitcoin::secp256k1::Secp256k1::new();
    let master = Xpriv::new_master(bitcoin::Network::Bitcoin, &seed).expect("64 bytes of seed are enough");
    let key = master.derive_priv(&secp, &path).expect("the index is small");
    Account::from_secret(&key.private_key.secret_bytes()).expect("a derived key is valid")
}

/// The network of a node's answer.
pub fn network(info: &peg::Info) -> Result<Network> {
    info.bitcoin_network.parse().map_err(|_| {
        eyre!(
            "the node says it stands on the Bitcoin network {:?}, which this version does not know",
            info.bitcoin_network
        )
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn developer_accounts_are_the_ones_every_tool_shows() {
        // Source: the accounts that anvil and hardhat print.
        assert_eq!(dev_account(0).address().to_string(), "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
        assert_eq!(dev_account(9).address().to_string(), "0xa0Ee7A142d267C1f36714E4a8F75612F20a79720");
    }
}
