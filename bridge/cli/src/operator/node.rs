//! `causeway node`: a validator of the sidechain, or a node that only follows.
//!
//! ```toml
//! # node.toml; paths are relative to this file
//! genesis = "genesis.json"
//! data_dir = "node"
//! rpc_listen = "127.0.0.1:8545"      # HTTP and WebSocket
//! rpc_private_listen = "127.0.0.1:8546"   # the same for this operator's relayer; not to be reached from outside
//! # rpc_trusted_proxies = ["10.0.0.5"]    # whose X-Forwarded-For is believed, so that limits hold for their clients
//! # rpc_unlimited = ["10.0.1.0/24"]       # clients that the limits of one address do not hold for
//! # rpc_origins = ["https://app.example"]  # pages in a browser that may ask, or ["*"] for all
//! # rpc_hosts = ["node.example"]          # names by which it may be asked, beside addresses and localhost; otherwise any
//! # page = true                          # serves the page for people at /; behind a name of DNS, rpc_hosts has to name it
//! # rpc_private_methods = ["debug", "txpool_content"]  # namespaces and methods that only rpc_private_listen answers
//!
//! # a validator:
//! keystore = "validator.keystore"    # made by `causeway keys`, encrypted
//! p2p_listen = "0.0.0.0:30301"
//!
//! # [peers]                          # where another validator has another address than in the genesis file
//! # bob = "10.0.0.2:30301"
//!
//! # [bitcoind]                       # this operator's: nothing is voted for by a clock that is far from Bitcoin's blocks
//! # url = "http://127.0.0.1:8332"
//! # cookie_file = "/var/lib/bitcoind/.cookie"   # or: user = "...", password_file = "..."
//!
//! # or a follower:
//! # follow = "http://node.example:8545"
//! # light = true                     # keeps headers only, and answers this machine's wallets by proofs; `follow` may name several nodes:
//! # follow = "http://a.example:8545,http://b.example:8545"
//!
//! cache_mib = 64                    # memory for what the database reads
//! # log = "info"                     # what is logged; read again at SIGHUP
//! # [metrics]                        # for this operator's monitoring; not to be reached from outside
//! # listen = "127.0.0.1:9101"
//! # archive = true                   # keeps all that ever was, in place of [retention]
//!
//! [retention]                        # how long what is old is kept: a number of blocks, or "all"
//! state = 50000                      # state can be read (eth_call, eth_getBalance)
//! proofs = 10000                     # state can be proved (eth_getProof)
//! blocks = "all"                     # transactions and receipts; those of the peg stay in any case
//!
//! # [sync]
//! # mode = "snapshot"                # copy a state when more than `behind` blocks are missing; or "full": execute every block,
//! #                                  # from the first on; an archive does that by itself
//! # from = ["http://a.example:8545"] # nodes to copy a snapshot from, besides the followed one
//! # behind = 10000                   # blocks that are executed rather than copied
//! # offer_every = 1024               # blocks between snapshots kept for others; 0: none
//! ```

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use bridge::io::config::Bitcoind;
use eyre::{Result, WrapErr, bail, eyre};
use mainchain::Network;
use serde::{Deserialize, Serialize};
use sidechain::access::{Access, Prefix};
use sidechain::chain::Retention;
use sidechain::io::node::{self, LightConfig, NodeConfig, SyncConfig};
use sidechain::io::rpc::private_methods;
use sidechain::origins::{Hosts, Origins};

use super::bitcoin_time;
use super::own_keys::{self, MadeFor};
use crate::context::Context;
use crate::genesis_file::read_genesis;
use crate::keystores;
use crate::log_filter;
use crate::options::passphrase::PassphraseArgs;
use crate::options::stop::StopArgs;

/// Run a validator, or a node that only follows
///
/// A validator has a keystore and is listed in the genesis file. A follower has neither: it checks every block and its
/// finality certificate against the genesis file, so it need not trust the node it follows. A light node (--light) keeps the newest header
/// with its certificate only: it starts in seconds, has some kilobytes on disk, and answers the wallets of its machine with what the nodes that
/// it asks prove. What cannot be proven (logs, subscriptions, traces) it refuses.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  causeway node --config node.toml
  causeway node --genesis genesis.json --data-dir follower --follow http://node.example:8545 --rpc-listen 127.0.0.1:9545
  causeway node --genesis genesis.json --data-dir light --light --follow http://a.example:8545,http://b.example:8545

node.toml:
  genesis = \"genesis.json\"          # paths are relative to this file
  data_dir = \"node\"
  rpc_listen = \"127.0.0.1:8545\"     # HTTP and WebSocket
  rpc_private_listen = \"127.0.0.1:8546\"  # the same for this operator's relayer only
  # rpc_trusted_proxies = [\"10.0.0.5\"]   # reverse proxies whose X-Forwarded-For is believed
  # rpc_unlimited = [\"10.0.1.0/24\"]      # clients without limits of their own
  # rpc_origins = [\"https://app.example\"]  # pages in a browser that may ask, or [\"*\"]
  # rpc_hosts = [\"node.example\"]          # names by which it may be asked, beside addresses; otherwise any
  # page = true                     # serves the page for people at http://ADDRESS:PORT/; where it has a name, rpc_hosts names it
  # rpc_private_methods = [\"debug\"]        # namespaces and methods that only rpc_private_listen answers
  keystore = \"validator.keystore\"   # a validator
  p2p_listen = \"0.0.0.0:30301\"
  # [bitcoind]                      # compares a validator's clock with Bitcoin's blocks
  # url = \"http://127.0.0.1:8332\"
  # cookie_file = \"/var/lib/bitcoind/.cookie\"
  # log = \"info\"                    # what is logged; read again at SIGHUP. Before the first [section]
  # [metrics]                       # /metrics for Prometheus, /livez, /readyz
  # listen = \"127.0.0.1:9101\"
  # follow = \"http://node:8545\"     # or a follower, without keystore and p2p_listen
  # light = true                    # that keeps headers only, and answers wallets of this machine by proofs
  cache_mib = 64                   # memory for what the database reads
  # archive = true                  # keeps all that ever was, in place of [retention]
  [retention]                       # numbers of blocks, or \"all\"; may be changed at any start
  state = 50000                     # old state can be read (eth_call); at least 128
  proofs = 10000                    # old state can be proved (eth_getProof); at least 128, at most as many as state
  blocks = \"all\"                    # transactions and receipts; at least 100000. Those of the peg stay in any case")]
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
    /// Serve /metrics for Prometheus, /livez and /readyz here; not to be reached from outside
    #[arg(long, value_name = "ADDRESS:PORT")]
    metrics: Option<SocketAddr>,
    /// Follow this node without voting; with --light one or several, with commas between
    #[arg(long, value_name = "URL")]
    follow: Option<String>,
    /// Keep headers only, and answer wallets of this machine by proofs
    #[arg(long)]
    light: bool,
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
    /// JSON-RPC for the operator's own relayer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rpc_private_listen: Option<SocketAddr>,
    /// Reverse proxies whose `X-Forwarded-For` is believed.
    #[serde(default)]
    pub rpc_trusted_proxies: Vec<String>,
    /// Clients that the limits of one address do not hold for.
    #[serde(default)]
    pub rpc_unlimited: Vec<String>,
    /// Pages in a browser that may ask, or `*` for all.
    #[serde(default)]
    pub rpc_origins: Vec<String>,
    /// Names by which it may be asked; none: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rpc_hosts: Option<Vec<String>>,
    /// Whether it serves the page for people.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub page: bool,
    /// Namespaces and methods that only `rpc_private_listen` answers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rpc_private_methods: Vec<String>,
    /// Whether the JSON-RPC signs for the developer accounts, as `causeway dev` wants it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub developer_accounts: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keystore: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p2p_listen: Option<SocketAddr>,
    /// Where to reach other validators, by name, where it differs from the genesis file.
    #[serde(default)]
    pub peers: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub follow: Option<String>,
    /// Whether it keeps headers only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub light: bool,
    /// The operator's bitcoind: its best block says whether a validator's clock is grossly wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bitcoind: Option<Bitcoind>,
    /// What is logged, unless the command line says it; read again at SIGHUP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    /// What tells the operator's monitoring how the node is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<MetricsConfig>,
    /// Memory for what the database reads, in MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_mib: Option<u16>,
    /// Whether all that ever was is kept, in place of `retention`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub archive: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention: Option<RetentionConfig>,
    /// The keys of this validator never voted, on any machine: it need not wait before it votes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub never_voted: bool,
    /// How it catches up, and what it offers to others that do.
    #[serde(default, skip_serializing_if = "is_default")]
    pub sync: SyncConfig,
}

/// `[metrics]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricsConfig {
    listen: SocketAddr,
}

fn is_default(sync: &SyncConfig) -> bool {
    *sync == SyncConfig::default()
}

/// `[retention]`: how long what is old is kept. What is not said has its default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<Kept>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proofs: Option<Kept>,
    #[serde(skip_serializing_if = "Option::is_none")]
    blocks: Option<Kept>,
}

/// A number of blocks, or `"all"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum Kept {
    Blocks(u64),
    All(All),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum All {
    All,
}

impl RetentionConfig {
    fn retention(self) -> Retention {
        let defaults = Retention::default();
        let kept = |kept: Option<Kept>, default| match kept {
            None => default,
            Some(Kept::Blocks(blocks)) => Some(blocks),
            Some(Kept::All(All::All)) => None,
        };
        Retention {
            state_blocks: kept(self.state, defaults.state_blocks),
            proof_blocks: kept(self.proofs, defaults.proof_blocks),
            body_blocks: kept(self.blocks, defaults.body_blocks),
        }
    }
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
        let bitcoind =
            config.bitcoind.as_mut().map(|bitcoind| [&mut bitcoind.cookie_file, &mut bitcoind.password_file]);
        for inner in bitcoind.into_iter().flatten().flatten() {
            *inner = folder.join(&*inner);
        }
        for inner in
            [Some(&mut config.genesis), Some(&mut config.data_dir), config.keystore.as_mut()].into_iter().flatten()
        {
            *inner = folder.join(&*inner);
        }
        Ok(config)
    }

    fn node(self) -> Result<NodeConfig> {
        let rpc_access = self.access()?;
        let retention = self.retention();
        let rpc_origins = Origins::new(self.rpc_origins).wrap_err("rpc_origins in node.toml")?;
        let rpc_hosts = self.rpc_hosts.map_or(Ok(Hosts::All), Hosts::new).wrap_err("rpc_hosts in node.toml")?;
        let rpc_private_methods =
            private_methods(self.rpc_private_methods).wrap_err("rpc_private_methods in node.toml")?;
        let defaults = NodeConfig::new(self.data_dir);
        Ok(NodeConfig {
            rpc_listen: self.rpc_listen,
            private_rpc_listen: self.rpc_private_listen,
            metrics_listen: self.metrics.map(|metrics| metrics.listen),
            rpc_access,
            rpc_origins,
            rpc_hosts,
            page: self.page,
            rpc_private_methods,
            developer_accounts: self.developer_accounts,
            p2p_listen: self.p2p_listen.unwrap_or(defaults.p2p_listen),
            peers: self.peers,
            follow: self.follow,
            retention,
            cache_bytes: self.cache_mib.map(|mib| usize::from(mib) << 20),
            sync: self.sync,
            never_voted: self.never_voted,
            ..defaults
        })
    }

    fn access(&self) -> Result<Access> {
        let read = |key: &str, networks: &[String]| -> Result<Vec<Prefix>> {
            networks.iter().map(|network| network.parse().wrap_err_with(|| format!("{key} in node.toml"))).collect()
        };
        Ok(Access {
            trusted_proxies: read("rpc_trusted_proxies", &self.rpc_trusted_proxies)?,
            unlimited: read("rpc_unlimited", &self.rpc_unlimited)?,
        })
    }

    /// How long what is old is kept.
    fn retention(&self) -> Retention {
        if self.archive { Retention::ARCHIVE } else { self.retention.unwrap_or_default().retention() }
    }

    /// Says which of the two kinds of node it is.
    ///
    /// # Errors
    ///
    /// It is neither, or both.
    pub fn check(&self) -> Result<()> {
        if self.archive && self.retention.is_some() {
            bail!("archive = true keeps everything, [retention] only some of it: it is one of the two");
        }
        self.retention().check().map_err(|reason| eyre!("[retention] {reason}"))?;
        if self.light {
            return self.check_light();
        }
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

impl Config {
    fn check_light(&self) -> Result<()> {
        if self.keystore.is_some() || self.p2p_listen.is_some() || self.rpc_private_listen.is_some() {
            bail!(
                "a light node has no keystore, no p2p_listen and no rpc_private_listen: it is `light` and `follow`, or these"
            );
        }
        if self.rpc_hosts.is_some() || !self.rpc_private_methods.is_empty() {
            bail!("a light node answers its own machine only: it has no rpc_hosts and no rpc_private_methods");
        }
        if self.metrics.is_some() {
            bail!("a light node has no metrics: GET /health of its rpc_listen says how it is");
        }
        if self.page {
            bail!(
                "a light node has no lists of deposits and withdrawals, which the page shows: `page` is for a node that keeps blocks"
            );
        }
        if self.archive {
            bail!("a light node keeps headers only: archive is for a node that keeps blocks");
        }
        if self.developer_accounts {
            bail!("a light node signs nothing: developer_accounts is for a node that keeps blocks");
        }
        if self.follow.is_none() {
            bail!("a light node asks others: name one or several by `follow`, with commas between");
        }
        Ok(())
    }

    fn light(self) -> Result<LightConfig> {
        let nodes = self.follow.unwrap_or_default();
        let nodes = nodes.split(',').map(str::trim).filter(|url| !url.is_empty()).map(str::to_owned).collect();
        let rpc_origins = Origins::new(self.rpc_origins).wrap_err("rpc_origins in node.toml")?;
        Ok(LightConfig { data_dir: self.data_dir, rpc_listen: self.rpc_listen, rpc_origins, nodes })
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
                rpc_private_listen: None,
                rpc_trusted_proxies: Vec::new(),
                rpc_unlimited: Vec::new(),
                rpc_origins: Vec::new(),
                rpc_hosts: None,
                page: false,
                rpc_private_methods: Vec::new(),
                developer_accounts: false,
                keystore: None,
                p2p_listen: None,
                peers: BTreeMap::new(),
                follow: None,
                light: false,
                bitcoind: None,
                metrics: None,
                log: None,
                cache_mib: None,
                archive: false,
                retention: None,
                never_voted: false,
                sync: SyncConfig::default(),
            },
            (None, None) => {
                bail!("which network? --config FILE, or --genesis FILE with --follow URL")
            }
        };
        config.genesis = self.genesis.clone().unwrap_or(config.genesis);
        config.data_dir = self.data_dir.clone().unwrap_or(config.data_dir);
        config.rpc_listen = self.rpc_listen.unwrap_or(config.rpc_listen);
        config.follow = self.follow.clone().or(config.follow);
        config.light |= self.light;
        config.metrics = self.metrics.map(|listen| MetricsConfig { listen }).or(config.metrics);
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
    log_filter::apply(config.log.as_deref())?;
    args.config.as_deref().map_or(Ok(()), log_filter::follow)?;
    let genesis = read_genesis(&config.genesis)?;
    if config.light {
        node::run_light(config.light()?, genesis, args.stop.stopped())?;
        return Ok(());
    }
    let keys = match &config.keystore {
        Some(path) => {
            // Read before asking: a file that is not there is no reason to type a passphrase.
            let keystore = keystores::read(path)?;
            let passphrase = args.passphrase.ask(&path.display().to_string())?;
            let keys = keystores::open_validator(path, &passphrase)?;
            own_keys::check_validator(&genesis, &keys.public(), &MadeFor::of(&keystore)?)
                .wrap_err_with(|| config.genesis.display().to_string())?;
            Some(keys)
        }
        None => None,
    };
    let network = genesis.bitcoin.network;
    let bitcoin = config.bitcoind.as_ref().map_or(Ok(None), |bitcoind| bitcoin_time::ask(bitcoind, network))?;
    if keys.is_some() && config.bitcoind.is_none() && network != Network::Regtest {
        tracing::warn!(
            "node.toml has no [bitcoind]: this validator's clock is compared with the other validators' only"
        );
    }
    let config = config.node()?;
    if let Some(address) = config.private_rpc_listen.filter(|address| !address.ip().is_loopback()) {
        tracing::warn!(%address, "rpc_private_listen has no limits: let nobody but this operator's relayer reach it");
    }
    node::run(config, genesis, keys, bitcoin, args.stop.stopped())?;
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
    fn networks_are_read_and_wrong_ones_are_named() {
        let with = |line: &str| load(&format!("{VALIDATOR}{line}\n")).expect("readable").access();
        let access = with("rpc_trusted_proxies = [\"10.0.0.5\"]\nrpc_unlimited = [\"10.0.1.0/24\"]").expect("good");
        assert_eq!(access.trusted_proxies[0].to_string(), "10.0.0.5/32");
        assert_eq!(access.unlimited[0].to_string(), "10.0.1.0/24");
        let error = format!("{:#}", with("rpc_unlimited = [\"10.0.1.0/99\"]").expect_err("too long"));
        assert!(error.contains("rpc_unlimited") && error.contains("10.0.1.0/99"), "{error}");
    }

    #[test]
    fn names_and_private_methods_are_read_and_a_misspelt_one_is_named() {
        let with = |line: &str| load(&format!("{VALIDATOR}{line}\n")).expect("readable").node();
        let node = with("rpc_hosts = [\"node.example\"]\nrpc_private_methods = [\"debug\", \"txpool_content\"]")
            .expect("good");
        assert!(node.rpc_hosts.has(Some("node.example")) && !node.rpc_hosts.has(Some("other.example")));
        assert_eq!(node.rpc_private_methods, ["debug", "txpool_content"].map(String::from).into());
        let plain = load(VALIDATOR).expect("good").node().expect("good");
        assert_eq!((plain.rpc_hosts, plain.rpc_private_methods), (Hosts::All, Default::default()));
        for (line, words) in [
            ("rpc_private_methods = [\"debugs\"]", ["rpc_private_methods", "debugs"]),
            ("rpc_hosts = [\"http://node.example\"]", ["rpc_hosts", "http://node.example"]),
        ] {
            let error = format!("{:#}", with(line).expect_err("misspelt"));
            assert!(words.iter().all(|word| error.contains(word)), "{error}");
        }
    }

    #[test]
    fn a_node_signs_for_developers_only_if_it_is_told_to() {
        assert!(!load(VALIDATOR).expect("good").node().expect("good").developer_accounts);
        let told = load(&format!("{VALIDATOR}developer_accounts = true\n")).expect("readable");
        assert!(told.node().expect("good").developer_accounts);
        let light = "genesis = \"g.json\"\ndata_dir = \"/data\"\nfollow = \"http://a\"\nlight = true\ndeveloper_accounts = true\n";
        let error = load(light).expect("readable").check().expect_err("it has no keys");
        assert!(error.to_string().contains("developer_accounts"), "{error}");
    }

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        let error = format!("{:#}", load(&VALIDATOR.replace("data_dir", "datadir")).expect_err("misspelt"));
        assert!(error.contains("datadir") && error.contains("line 2"), "{error}");
    }

    #[test]
    fn what_is_kept_is_a_number_of_blocks_or_all_and_never_too_little() {
        let read = |text: &str| load(&format!("{VALIDATOR}cache_mib = 64\n[retention]\n{text}"));
        let node = read("state = \"all\"\nproofs = 500\n").expect("good").node().expect("good");
        assert_eq!(node.retention, Retention { state_blocks: None, proof_blocks: Some(500), ..Retention::default() });
        assert_eq!(node.cache_bytes, Some(64 << 20));
        assert_eq!(load(VALIDATOR).expect("good").node().expect("good").retention, Retention::default());
        assert!(read("state = \"some\"\n").is_err(), "neither a number nor all");
        assert!(read("receipts = 5\n").is_err(), "unknown");
        let error = |text| read(text).expect("readable").check().expect_err("too little").to_string();
        assert!(error("blocks = 10\n").contains("at least 100000"), "{}", error("blocks = 10\n"));
        assert!(error("proofs = \"all\"\n").contains("state = \"all\""));
    }

    #[test]
    fn an_archive_keeps_all_and_is_not_told_to_keep_less() {
        let archive = load(&format!("{VALIDATOR}archive = true\n")).expect("readable");
        archive.check().expect("an archive");
        assert_eq!(archive.node().expect("good").retention, Retention::ARCHIVE);
        let both = load(&format!("{VALIDATOR}archive = true\n[retention]\nstate = 500\n")).expect("readable");
        assert!(both.check().expect_err("which of them?").to_string().contains("one of the two"));
        let light = "genesis = \"g.json\"\ndata_dir = \"/data\"\nfollow = \"http://a\"\nlight = true\narchive = true\n";
        let error = load(light).expect("readable").check().expect_err("it keeps no blocks");
        assert!(error.to_string().contains("archive"), "{error}");
    }

    #[test]
    fn a_node_is_a_validator_or_a_follower() {
        let half = load(&VALIDATOR.replace("p2p_listen = \"0.0.0.0:30301\"\n", "")).expect("readable");
        assert!(half.check().expect_err("half a validator").to_string().contains("p2p_listen"));
        let light = load(&format!("{VALIDATOR}light = true\n")).expect("readable");
        assert!(light.check().expect_err("a light validator").to_string().contains("light node has no keystore"));
        let light = "genesis = \"g.json\"\ndata_dir = \"/data\"\nlight = true\n";
        assert!(load(light).expect("readable").check().expect_err("asks nobody").to_string().contains("follow"));
        let light = load(&format!("{light}follow = \"http://a, http://b\"\n")).expect("readable");
        light.check().expect("a light node");
        assert_eq!(light.light().expect("good").nodes, ["http://a", "http://b"]);
        let both = load(&format!("{VALIDATOR}follow = \"http://127.0.0.1:1\"\n")).expect("readable");
        assert!(both.check().expect_err("both").to_string().contains("follower"));
    }
}
