//! `--genesis`: which network is meant. What is signed follows from it, and never from what a node tells.
//!
//! ```text
//!   --genesis FILE, or CAUSEWAY_GENESIS      kept in the home folder at its first use
//!   else HOME/genesis.json                   the network that was named first
//!   else HOME/dev-genesis.json               the network that `causeway dev` runs on this machine's usual ports
//!   else, for keys that everybody knows      the chain id of all development networks, on regtest
//!   --trust-node                             whatever the node says
//! ```
//! The contracts' addresses are the same on all networks: constants of this program.

use std::path::{Path, PathBuf};

use alloy_primitives::B256;
use bridge::foreign::shown;
use bridge::io::sidechain::{Client, Error, proven};
use bridge::peg::{Contracts, Info, Parameters};
use eyre::{Result, WrapErr, bail, ensure, eyre};
use files::{make_private_folder, write_atomic, write_new};
use light::FinalHeader;
use sidechain::genesis::{DEV_CHAIN_ID, Genesis};

use super::account::AccountArgs;
use super::home::HomeArgs;
use super::sidechain::SidechainArgs;
use crate::evidence::witness::{Witness, old, young};
use crate::genesis_file::read_genesis;
use crate::progress::Progress;

const PINNED: &str = "genesis.json";
const PINNED_DEVELOPMENT: &str = "dev-genesis.json";

/// Which network is meant, and a node of it.
#[derive(Clone, Debug, clap::Args)]
pub struct NetworkArgs {
    /// The network's genesis file [default: the one that was given first, kept in --home]
    #[arg(long, env = "CAUSEWAY_GENESIS", value_name = "FILE")]
    pub genesis: Option<PathBuf>,
    /// Believe the node instead: which network it is, the federation's key, what is paid and final
    #[arg(long, conflicts_with = "genesis")]
    pub trust_node: bool,
    #[command(flatten)]
    pub sidechain: SidechainArgs,
    #[command(flatten)]
    pub home: HomeArgs,
}

/// A network, by what its members agreed on, and a node that does not contradict it.
#[derive(Debug)]
pub struct KnownNetwork {
    pub client: Client,
    /// What the node says: to be shown and to choose by, never to be signed.
    pub info: Info,
    pub chain_id: u64,
    pub bitcoin: mainchain::Network,
    /// The genesis block's hash.
    pub id: B256,
    /// Hash of all that its members agreed on: what vouchers are signed for.
    pub network_id: B256,
    /// None: a development network that nobody named.
    pub genesis: Option<Genesis>,
    /// Whether what the client answers is proven, where it can be: by a light node.
    pub is_proven: bool,
    /// The user's folder.
    pub home: PathBuf,
}

/// A genesis file, and where it is.
struct Named {
    genesis: Genesis,
    path: PathBuf,
}

impl NetworkArgs {
    /// The network for which `account` signs.
    ///
    /// # Errors
    ///
    /// No genesis file for keys that are worth something, or a node of another network.
    pub async fn connect(&self, account: &AccountArgs) -> Result<KnownNetwork> {
        account.check_named(&self.home.folder()?)?;
        match (&self.genesis, account.dev_account) {
            (None, Some(_)) => self.reach(None).await,
            _ => self.connect_to_sign().await,
        }
    }

    /// The network on which the wallet's account signs.
    ///
    /// # Errors
    ///
    /// As [`NetworkArgs::connect`].
    pub async fn connect_to_sign(&self) -> Result<KnownNetwork> {
        if self.trust_node {
            return self.reach(None).await;
        }
        self.reach(Some(self.named()?.ok_or_else(unnamed)?)).await
    }

    /// The network whose deposit address is paid, or whose money is shown. Only where bitcoin is worth nothing may it be unnamed.
    ///
    /// # Errors
    ///
    /// As [`NetworkArgs::connect`].
    pub async fn connect_to_pay(&self) -> Result<KnownNetwork> {
        self.reach(self.named()?).await
    }

    /// The genesis that was named now, or before.
    fn named(&self) -> Result<Option<Named>> {
        let path = self.path(&self.home.folder()?).filter(|_| !self.trust_node);
        path.map(|path| Ok(Named { genesis: read_genesis(&path)?, path })).transpose()
    }

    /// Where it is, if it was named now, or before.
    pub fn path(&self, home: &Path) -> Option<PathBuf> {
        self.genesis.clone().or_else(|| kept_path(home))
    }

    /// What to say rather than that a node proves nothing: it is of another network.
    async fn other_network(&self, named: &Named) -> Option<eyre::Report> {
        let want = named.genesis.network_id();
        for client in self.sidechain.each() {
            let Ok(info) = client.info().await else { continue };
            if info.network_id != want {
                let (url, got, path) = (client.url(), info.network_id, named.path.display());
                return Some(eyre!(
                    "the node at {url} is of another network: its network id is {got}, that of {path} is {want} (--genesis names the genesis file of another one)"
                ));
            }
        }
        None
    }

    async fn reach(&self, named: Option<Named>) -> Result<KnownNetwork> {
        let home = self.home.folder()?;
        let is_proven = named.is_some() && !self.sidechain.is_own();
        let connecting = self.sidechain.connect(named.as_ref().map(|named| &named.genesis), &home);
        let connected = Progress::of_this_command().during("asking the sidechain's nodes", connecting).await;
        let (client, info) = match (connected, &named) {
            (Err(error), Some(named)) => return Err(self.other_network(named).await.unwrap_or(error)),
            (connected, _) => connected?,
        };
        let network = match named {
            Some(named) => {
                let id = named.genesis.build()?.hash;
                check_chain_id(&client, named.genesis.chain_id, &named.path.display().to_string()).await?;
                check_genesis_block(&client, &named, id).await?;
                let (chain_id, bitcoin) = (named.genesis.chain_id, named.genesis.bitcoin.network);
                let network_id = named.genesis.network_id();
                let genesis = Some(named.genesis);
                KnownNetwork { client, info, chain_id, bitcoin, id, network_id, genesis, is_proven, home }
            }
            None if self.trust_node => {
                let (chain_id, id) = (client.chain_id().await?, genesis_block(&client).await?.unwrap_or_default());
                let (bitcoin, network_id) = (info.bitcoin_network, info.network_id);
                eprintln!(
                    "--trust-node: the node at {} is believed, it could name a network and keys of its own: {bitcoin}, chain {chain_id}",
                    client.url()
                );
                KnownNetwork { client, info, chain_id, bitcoin, id, network_id, genesis: None, is_proven, home }
            }
            None => {
                ensure!(info.bitcoin_network == mainchain::Network::Regtest, unnamed());
                check_chain_id(&client, DEV_CHAIN_ID, "all development networks").await?;
                let id = genesis_block(&client).await?.unwrap_or_default();
                let (bitcoin, network_id) = (mainchain::Network::Regtest, info.network_id);
                let chain_id = DEV_CHAIN_ID;
                KnownNetwork { client, info, chain_id, bitcoin, id, network_id, genesis: None, is_proven, home }
            }
        };
        network.check_info()?;
        if let Some(old) = old(network.info.head.timestamp, &network.client)? {
            eprintln!("Warning: {old}");
        }
        if let (Some(_), Some(genesis)) = (&self.genesis, &network.genesis) {
            keep(&network.home, genesis)?;
        }
        Ok(network)
    }
}

fn kept_path(home: &Path) -> Option<PathBuf> {
    [PINNED, PINNED_DEVELOPMENT].map(|name| home.join(name)).into_iter().find(|path| path.exists())
}

/// The genesis that was named before, in a home folder.
///
/// # Errors
///
/// The file cannot be read.
pub fn kept_genesis(home: &Path) -> Result<Option<Genesis>> {
    kept_path(home).map(|path| read_genesis(&path)).transpose()
}

async fn check_chain_id(client: &Client, want: u64, whose: &str) -> Result<()> {
    let (url, got) = (client.url(), client.chain_id().await?);
    ensure!(got == want, "the node at {url} is of another network: its chain id is {got}, that of {whose} is {want}");
    Ok(())
}

/// A node that has not the first block any more must show a later one that the genesis file's validators signed.
async fn check_genesis_block(client: &Client, named: &Named, want: B256) -> Result<()> {
    match genesis_block(client).await? {
        Some(got) if got != want => bail!(
            "the node at {} is of another network: its genesis block is {got}, that of {} is {want} (--genesis names the genesis file of another one)",
            client.url(),
            named.path.display()
        ),
        Some(_) => Ok(()),
        None => proven::latest(client, &named.genesis.validators()?).await.map(drop).map_err(Into::into),
    }
}

async fn genesis_block(client: &Client) -> Result<Option<B256>> {
    match client.block(0).await {
        Ok(block) => Ok(block.map(|block| block.hash)),
        Err(Error::Refused { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

impl KnownNetwork {
    /// The node's description contradicts nothing that is known already.
    fn check_info(&self) -> Result<()> {
        let info = &self.info;
        self.agree(&[
            ("chain id", info.chain_id.to_string(), self.chain_id.to_string()),
            ("network id", info.network_id.to_string(), self.network_id.to_string()),
            ("Bitcoin network", info.bitcoin_network.to_string(), self.bitcoin.to_string()),
            ("contracts", format!("{:?}", info.contracts), format!("{:?}", Contracts::GENESIS)),
        ])?;
        let Some(genesis) = &self.genesis else { return Ok(()) };
        let (says, known) = (&info.parameters, Parameters::from(&genesis.bridge));
        let differing = differences(says, &known);
        let facts: Vec<_> =
            differing.iter().map(|(what, says, known)| (what.as_str(), says.clone(), known.clone())).collect();
        self.agree(&facts)
    }

    /// The node's latest header that the genesis file's validators signed; none on a development network that nobody named.
    ///
    /// # Errors
    ///
    /// The node does not prove it, or it is old: a key, a channel or a nonce could be another by now.
    pub async fn final_header(&self) -> Result<Option<FinalHeader>> {
        let Some(genesis) = &self.genesis else { return Ok(None) };
        let header = proven::latest(&self.client, &genesis.validators()?).await?;
        young(header, &self.client).map(Some)
    }

    /// Who checks what is shown as done; none for a network that nobody named.
    ///
    /// # Errors
    ///
    /// The genesis file has no valid keys.
    pub fn witness(&self) -> Result<Option<Witness>> {
        self.genesis.as_ref().map(Witness::of).transpose()
    }

    /// Checks what a deposit address is made of against what the genesis file's validators signed.
    ///
    /// # Errors
    ///
    /// The node does not prove its answers, or contradicts them.
    pub async fn prove_key(&self) -> Result<()> {
        let Some(header) = self.final_header().await? else { return Ok(()) };
        let keys = proven::federation_keys(&self.client, &header, self.info.epoch).await?;
        self.agree(&[("group key", format!("{:?}", self.info.group_key), format!("{:?}", Some(keys.group)))])
    }

    fn agree(&self, facts: &[(&str, String, String)]) -> Result<()> {
        match facts.iter().find(|(_, says, known)| says != known) {
            Some((what, says, known)) => bail!(
                "the node at {} says that the {what} is {}, known is {known}: do not use this node",
                self.client.url(),
                shown(says)
            ),
            None => Ok(()),
        }
    }
}

/// The rules of the peg in which a node differs from what is known: name, what it says, what is known.
fn differences(says: &Parameters, known: &Parameters) -> Vec<(String, String, String)> {
    let fields = |parameters: &Parameters| match serde_json::to_value(parameters) {
        Ok(serde_json::Value::Object(fields)) => fields,
        other => unreachable!("a struct of numbers and lists is an object of JSON: {other:?}"),
    };
    let (says, known) = (fields(says), fields(known));
    let both = known.iter().map(|(name, known)| (name, says.get(name).unwrap_or(&serde_json::Value::Null), known));
    both.filter(|(_, says, known)| says != known)
        .map(|(name, says, known)| (format!("rule {name}"), says.to_string(), known.to_string()))
        .collect()
}

/// Keeps the first genesis file that is named and that a node agrees with, so that later commands mean the same network.
fn keep(home: &Path, genesis: &Genesis) -> Result<()> {
    let path = home.join(PINNED);
    make_private_folder(home).wrap_err_with(|| format!("cannot use {}", home.display()))?;
    if write_new(&path, (genesis.to_json() + "\n").as_bytes())? {
        eprintln!("This genesis file is kept at {}: commands mean its network from now on", path.display());
    } else if read_genesis(&path)? != *genesis {
        eprintln!("--genesis names another network than {}: for this command only", path.display());
    }
    Ok(())
}

/// Keeps the genesis of the development network at this machine's usual ports; of the last one that was started.
///
/// # Errors
///
/// Those of the disk.
pub fn pin_development(home: &Path, genesis: &str) -> Result<()> {
    make_private_folder(home).wrap_err_with(|| format!("cannot use {}", home.display()))?;
    Ok(write_atomic(&home.join(PINNED_DEVELOPMENT), genesis.as_bytes())?)
}

fn unnamed() -> eyre::Report {
    eyre!(
        "which network? --genesis FILE (or CAUSEWAY_GENESIS) names its genesis file, which its operators publish with the genesis block's hash; a node alone could name a network, contracts and keys of its own. It is kept for the next time. (--trust-node believes the node)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_that_was_named_goes_before_the_development_network_of_this_machine() {
        let home = tempfile::tempdir().expect("a temporary folder");
        let home = home.path();
        let sidechain = SidechainArgs { rpc: "http://127.0.0.1:1".into(), own_node: false };
        let named = |genesis: Option<&str>| {
            let home_args = HomeArgs { home: Some(home.to_owned()) };
            let args = NetworkArgs {
                genesis: genesis.map(PathBuf::from),
                trust_node: false,
                sidechain: sidechain.clone(),
                home: home_args,
            };
            args.path(home)
        };
        assert_eq!(named(None), None);
        pin_development(home, "{}").expect("written");
        assert_eq!(named(None), Some(home.join(PINNED_DEVELOPMENT)));
        std::fs::write(home.join(PINNED), "{}").expect("written");
        assert_eq!(named(None), Some(home.join(PINNED)));
        assert_eq!(named(Some("other.json")), Some(PathBuf::from("other.json")));
    }
}
