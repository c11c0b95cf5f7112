//! Where everything of a local network is: folders, files and ports. Written once, kept for the next start.
//!
//! ```text
//! <folder>/network.json            what this file decides: how many operators, which ports
//!          genesis.json            made by the same code as `causeway genesis`
//!          operators/1/            one operator: keys by the same code as `causeway keys`, node.toml, relayer.toml, data
//!          bitcoin/  wallet/       bitcoind's data, the miner's wallet
//!          logs/                   one file each
//!          lock  control.sock      of the running network
//! ```

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use eyre::{Result, WrapErr, bail, eyre};
use files::{DirectoryLock, LockError};
use serde::{Deserialize, Serialize};

/// Ports of the network that people use: bitcoind's usual regtest port, the port every Ethereum tool tries first.
const BITCOIN_RPC: u16 = 18443;
const BITCOIN_P2P: u16 = 18444;
const NODE_RPC: u16 = 8545;
const NODE_P2P: u16 = 30301;
/// Of the servers that the relayers use.
const NODE_PRIVATE_RPC: u16 = 18545;

/// Decided at the first start in a folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Layout {
    /// Operators: each runs one relayer, and the first ones, as many as there are validators, a validator.
    pub operators: u16,
    /// Left out: as many as operators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validators: Option<u16>,
    /// Relayers that must sign together.
    pub threshold: u16,
    pub ports: Ports,
    #[serde(skip)]
    folder: PathBuf,
}

/// On 127.0.0.1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ports {
    pub bitcoin_rpc: u16,
    pub bitcoin_p2p: u16,
    /// Of each operator's node.
    pub rpc: Vec<u16>,
    pub p2p: Vec<u16>,
    /// Of the server that each operator's node keeps for its own relayer.
    pub private_rpc: Vec<u16>,
}

/// How to choose the ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortChoice {
    /// The usual ones.
    Usual,
    /// A block of them from this one on.
    From(u16),
    /// Whatever is free now.
    Free,
}

impl std::str::FromStr for PortChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "usual" => Ok(Self::Usual),
            "free" => Ok(Self::Free),
            _ => text
                .parse()
                .map(Self::From)
                .map_err(|_| "expected `usual`, `free`, or the first port of a block".into()),
        }
    }
}

impl Layout {
    /// The layout kept in `folder`; none before the first start was complete.
    pub fn load(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join("network.json");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(error).wrap_err_with(|| format!("cannot read {}", path.display()));
            }
        };
        let mut layout: Self = serde_json::from_str(&text)
            .wrap_err_with(|| format!("{} is not of this version; remove the folder to start anew", path.display()))?;
        layout.folder = folder.to_owned();
        Ok(Some(layout))
    }

    /// A layout that nobody kept yet; without a number of `validators`, every operator has one.
    pub fn new(
        folder: &Path,
        operators: u16,
        validators: Option<u16>,
        threshold: u16,
        ports: PortChoice,
    ) -> Result<Self> {
        let ports = match ports {
            PortChoice::Usual => Ports::usual(operators),
            PortChoice::From(first) => Ports::from(first, operators)?,
            PortChoice::Free => Ports::free(operators)?,
        };
        Ok(Self { operators, validators, threshold, ports, folder: folder.to_owned() })
    }

    /// Keeps it: from now on, the next start continues here.
    pub fn keep(&self) -> Result<()> {
        let path = self.folder.join("network.json");
        let text = serde_json::to_string_pretty(self).expect("numbers always serialise");
        fs::write(&path, text).wrap_err_with(|| format!("cannot write {}", path.display()))
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn genesis(&self) -> PathBuf {
        self.folder.join("genesis.json")
    }

    /// Whether the first node is where commands look for one.
    pub fn is_usual(&self) -> bool {
        self.ports.rpc.first() == Some(&NODE_RPC)
    }

    /// Folder of operator `index`, from 1.
    pub fn operator(&self, index: u16) -> PathBuf {
        self.folder.join("operators").join(index.to_string())
    }

    pub fn bitcoin(&self) -> PathBuf {
        self.folder.join("bitcoin")
    }

    pub fn cookie(&self) -> PathBuf {
        self.bitcoin().join("regtest").join(".cookie")
    }

    pub fn bitcoin_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.bitcoin_rpc)
    }

    /// The operators with a validator, from 1.
    pub fn validators(&self) -> std::ops::RangeInclusive<u16> {
        1..=self.validators.unwrap_or(self.operators)
    }

    /// The operator whose node the relayer of operator `index`, from 1, uses: its own where it has one.
    pub fn node_of(&self, index: u16) -> u16 {
        (index - 1) % self.validators().end() + 1
    }

    /// JSON-RPC of the node of operator `index`, from 1.
    pub fn rpc_url(&self, index: u16) -> String {
        format!("http://127.0.0.1:{}", self.ports.rpc[usize::from(index) - 1])
    }

    /// JSON-RPC that the node of operator `index`, from 1, keeps for its own relayer.
    pub fn private_rpc_url(&self, index: u16) -> String {
        format!("http://127.0.0.1:{}", self.ports.private_rpc[usize::from(index) - 1])
    }

    pub fn log(&self, name: &str) -> PathBuf {
        self.folder.join("logs").join(format!("{name}.log"))
    }

    /// A process that works in this folder: a child of the process that held it before. Where there is no /proc, none is found.
    pub fn process_left(&self) -> Option<u32> {
        let marks = [self.bitcoin(), self.folder.join("operators")].map(|path| path.display().to_string());
        let works_here = |entry: &fs::DirEntry| {
            let arguments = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let arguments = String::from_utf8_lossy(&arguments);
            marks.iter().any(|mark| arguments.contains(mark))
        };
        let mut processes = fs::read_dir("/proc").ok()?.flatten().filter(works_here);
        processes.find_map(|entry| entry.file_name().to_str()?.parse().ok())
    }

    /// Holds the folder for this process.
    ///
    /// # Errors
    ///
    /// Another process has it.
    pub fn lock(folder: &Path) -> Result<DirectoryLock> {
        DirectoryLock::acquire(folder).map_err(|error| match error {
            LockError::InUse(_) => eyre!(
                "another `causeway dev` runs in {}: stop it first (causeway dev stop), or use another --data-dir",
                folder.display()
            ),
            error => error.into(),
        })
    }
}

impl Ports {
    fn usual(operators: u16) -> Self {
        let series = |first: u16| (0..operators).map(|index| first + index).collect();
        Self {
            bitcoin_rpc: BITCOIN_RPC,
            bitcoin_p2p: BITCOIN_P2P,
            rpc: series(NODE_RPC),
            p2p: series(NODE_P2P),
            private_rpc: series(NODE_PRIVATE_RPC),
        }
    }

    /// One after another: bitcoind's two, the nodes' RPC, the nodes' p2p, the nodes' private RPC.
    fn from(first: u16, operators: u16) -> Result<Self> {
        let Some(_last) =
            operators.checked_mul(3).and_then(|count| count.checked_add(1)).and_then(|count| first.checked_add(count))
        else {
            bail!("--ports {first} leaves too few ports below 65536");
        };
        let rpc: Vec<u16> = (0..operators).map(|index| first + 2 + index).collect();
        let p2p: Vec<u16> = rpc.iter().map(|port| port + operators).collect();
        let private_rpc = p2p.iter().map(|port| port + operators).collect();
        Ok(Self { bitcoin_rpc: first, bitcoin_p2p: first + 1, rpc, p2p, private_rpc })
    }

    /// Ports that are free now, all held until all are found.
    fn free(operators: u16) -> Result<Self> {
        let count = 2 + 3 * usize::from(operators);
        let held: Vec<TcpListener> = (0..count)
            .map(|_| TcpListener::bind(("127.0.0.1", 0)))
            .collect::<std::io::Result<_>>()
            .wrap_err("no free ports on 127.0.0.1")?;
        let ports: Vec<u16> = held
            .iter()
            .map(|listener| listener.local_addr().map(|address| address.port()))
            .collect::<std::io::Result<_>>()
            .wrap_err("no free ports on 127.0.0.1")?;
        let series = |number: usize| ports[2 + number * usize::from(operators)..][..usize::from(operators)].to_vec();
        Ok(Self {
            bitcoin_rpc: ports[0],
            bitcoin_p2p: ports[1],
            rpc: series(0),
            p2p: series(1),
            private_rpc: series(2),
        })
    }

    /// Fails when something else listens on one of them, before anything is started.
    pub fn expect_free(&self) -> Result<()> {
        let bitcoin = [self.bitcoin_rpc, self.bitcoin_p2p];
        for port in bitcoin.iter().chain(&self.rpc).chain(&self.p2p).chain(&self.private_rpc) {
            TcpListener::bind(("127.0.0.1", *port)).map_err(|error| {
                eyre::eyre!("port {port} is taken ({error}): another network or bitcoind runs; stop it, or choose others by --ports free in a new --data-dir")
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_held_by_one_process_and_its_layout_is_kept() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        assert_eq!(Layout::load(folder.path()).expect("readable"), None);
        let layout = Layout::new(folder.path(), 4, None, 3, PortChoice::Free).expect("free ports");
        layout.keep().expect("written");
        assert_eq!(Layout::load(folder.path()).expect("readable"), Some(layout));
        let held = Layout::lock(folder.path()).expect("free");
        assert!(Layout::lock(folder.path()).expect_err("held").to_string().contains("another `causeway dev` runs"));
        drop(held);
    }

    #[test]
    fn ports_of_a_block_do_not_overlap() {
        let ports = Ports::from(20000, 4).expect("far from the end");
        assert_eq!((ports.bitcoin_rpc, ports.bitcoin_p2p), (20000, 20001));
        assert_eq!(ports.rpc, [20002, 20003, 20004, 20005]);
        assert_eq!(ports.p2p, [20006, 20007, 20008, 20009]);
        assert_eq!(ports.private_rpc, [20010, 20011, 20012, 20013]);
        assert!(Ports::from(65523, 4).is_err());
    }
}
