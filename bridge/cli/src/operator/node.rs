//! `causeway node`: a validator of the sidechain, or a node that only follows.
//!
//! ```toml
//! # node.toml; paths are relative to this file
//! genesis = "genesis.json"
//! data_dir = "node"
//! rpc_listen = "127.0.0.1:8545"      # HTTP and WebSocket
//!
//! # a validator:
//! keystore = "validator.keystore"    # made by `causeway keys`, encrypted
//! p2p_listen = "0.0.0.0:30301"
//!
//! # [peers]                          # where another validator has another address than in the genesis file
//! # bob = "10.0.0.2:30301"
//!
//! # or a follower:
//! # follow = "http://node.example:8545"
//! ```

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use eyre::{Result, WrapErr, bail, eyre};
use serde::{Deserialize, Serialize};
use sidechain::io::node::{self, NodeConfig};

use crate::context::Context;
use crate::genesis_file::read_genesis;
use crate::keystores;
use crate::options::passphrase::PassphraseArgs;
use crate::options::stop::StopArgs;

/// Run a validator, or a node that only follows
///
/// A validator has a keystore and is listed in the genesis file. A follower has neither: it checks every block and its
/// finality certificate against the genesis file, so it need not trust the node it follows.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  causeway node --config node.toml
  causeway node --genesis genesis.json --data-dir follower --follow http://node.example:8545 --rpc-listen 127.0.0.1:9545

node.toml:
  genesis = \"genesis.json\"          # paths are relative to this file
  data_dir = \"node\"
  rpc_listen = \"127.0.0.1:8545\"     # HTTP and WebSocket
  keystore = \"validator.keystore\"   # a validator
  p2p_listen = \"0.0.0.0:30301\"
  # follow = \"http://node:8545\"     # or a follower, without keystore and p2p_listen")]
pub struct Args {
    /// Configuration; options below override it
    #[arg(long, value_name = "FILE", required_unless_present = "genesis")]
    config: Option<PathBuf>,
    /// The network's genesis file
    #[arg(long, value_name = "FILE")]
    genesis: Option<PathBuf>,
    /// Folder of the chain's data
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// Address of the JSON-RPC, HTTP and WebSocket
    #[arg(long, value_name = "ADDRESS:PORT")]
    rpc_listen: Option<SocketAddr>,
    /// Follow this node without voting
    #[arg(long, value_name = "URL")]
    follow: Option<String>,
    #[command(flatten)]
    passphrase: PassphraseArgs,
    #[command(flatten)]
    stop: StopArgs,
}

/// `node.toml`. Unknown keys are refused: a misspelt one must not silently mean its default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub genesis: PathBuf,
    pub data_dir: PathBuf,
    #[serde(default = "default_rpc_listen")]
    pub rpc_listen: SocketAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keystore: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p2p_listen: Option<SocketAddr>,
    /// Where to reach other validators, by name, where it differs from the genesis file.
    #[serde(default)]
    pub peers: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub follow: Option<String>,
}

impl Config {
    /// Reads a configuration; paths in it become relative to the file's folder.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, is not TOML, or has unknown or missing keys.
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).wrap_err_with(|| format!("cannot read {}", path.display()))?;
        let mut config: Self =
            toml::from_str(&text).wrap_err_with(|| format!("{} is not a node's configuration", path.display()))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        for inner in
            [Some(&mut config.genesis), Some(&mut config.data_dir), config.keystore.as_mut()].into_iter().flatten()
        {
            *inner = folder.join(&*inner);
        }
        Ok(config)
    }

    fn node(self) -> NodeConfig {
        let defaults = NodeConfig::new(self.data_dir);
        NodeConfig {
            rpc_listen: self.rpc_listen,
            p2p_listen: self.p2p_listen.unwrap_or(defaults.p2p_listen),
            peers: self.peers,
            follow: self.follow,
            ..defaults
        }
    }

    /// Says which of the two kinds of node it is.
    fn check(&self) -> Result<()> {
        match (&self.keystore, self.p2p_listen, &self.follow) {
            (Some(_), Some(_), None) | (None, None, Some(_)) => Ok(()),
            (Some(_), None, None) => {
                bail!("a validator wants p2p_listen: where the other validators reach it, e.g. \"0.0.0.0:30301\"")
            }
            (None, Some(_), None) => bail!(
                "a validator wants a keystore (causeway keys makes one); a follower wants `follow` instead of p2p_listen"
            ),
            (None, None, None) => {
                bail!("neither a validator (keystore and p2p_listen) nor a follower (follow) is configured")
            }
            (_, _, Some(_)) => {
                bail!("a follower has no keystore and no p2p_listen: it is `follow`, or these two")
            }
        }
    }
}

impl Args {
    /// The file's values, overridden by the options.
    fn config(&self) -> Result<Config> {
        let mut config = match (&self.config, &self.genesis) {
            (Some(path), _) => Config::load(path)?,
            (None, Some(genesis)) => Config {
                genesis: genesis.clone(),
                data_dir: self
                    .data_dir
                    .clone()
                    .ok_or_else(|| eyre!("where is the chain's data to go? --data-dir FOLDER"))?,
                rpc_listen: default_rpc_listen(),
                keystore: None,
                p2p_listen: None,
                peers: BTreeMap::new(),
                follow: None,
            },
            (None, None) => {
                bail!("which network? --config FILE, or --genesis FILE with --follow URL")
            }
        };
        config.genesis = self.genesis.clone().unwrap_or(config.genesis);
        config.data_dir = self.data_dir.clone().unwrap_or(config.data_dir);
        config.rpc_listen = self.rpc_listen.unwrap_or(config.rpc_listen);
        config.follow = self.follow.clone().or(config.follow);
        config.check()?;
        Ok(config)
    }
}

/// Runs `causeway node`.
///
/// # Errors
///
/// The configuration, the genesis file or the keystore cannot be read, or the node had to stop.
pub fn run(args: Args, _context: &Context) -> Result<()> {
    let config = args.config()?;
    let genesis = read_genesis(&config.genesis)?;
    let keys = match &config.keystore {
        Some(path) => {
            // Read before asking: a file that is not there is no reason to type a passphrase.
            keystores::read(path)?;
            let passphrase = args.passphrase.ask(&path.display().to_string())?;
            Some(keystores::open_validator(path, &passphrase)?)
        }
        None => None,
    };
    node::run(config.node(), genesis, keys, args.stop.stopped())?;
    Ok(())
}

fn default_rpc_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8545))
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALIDATOR: &str =
        "genesis = \"g.json\"\ndata_dir = \"/data\"\nkeystore = \"keys/v\"\np2p_listen = \"0.0.0.0:30301\"\n";

    fn load(text: &str) -> Result<Config> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("node.toml");
        std::fs::write(&path, text).expect("written");
        let mut config = Config::load(&path)?;
        config.genesis = config.genesis.strip_prefix(folder.path()).expect("relative to the file").to_owned();
        Ok(config)
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        let config = load(VALIDATOR).expect("good");
        assert_eq!((config.genesis.as_path(), config.data_dir.as_path()), (Path::new("g.json"), Path::new("/data")));
        assert_eq!(config.rpc_listen, default_rpc_listen());
        config.check().expect("a validator");
    }

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        let error = format!("{:#}", load(&VALIDATOR.replace("data_dir", "datadir")).expect_err("misspelt"));
        assert!(error.contains("datadir") && error.contains("line 2"), "{error}");
    }

    #[test]
    fn a_node_is_a_validator_or_a_follower() {
        let half = load(&VALIDATOR.replace("p2p_listen = \"0.0.0.0:30301\"\n", "")).expect("readable");
        assert!(half.check().expect_err("half a validator").to_string().contains("p2p_listen"));
        let both = load(&format!("{VALIDATOR}follow = \"http://127.0.0.1:1\"\n")).expect("readable");
        assert!(both.check().expect_err("both").to_string().contains("follower"));
    }
}
