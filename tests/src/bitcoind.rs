//! A real bitcoind on regtest, for one test: its own folder, free ports, gone when dropped.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use mainchain::Network;
use mainchain::io::rpc::{Auth, BitcoinRpc};
use tempfile::TempDir;

use crate::port;
use crate::process::Process;
use crate::waiting::Patience;

/// How long a start may take on a loaded machine.
const PATIENCE: Patience = Patience::new(Duration::from_secs(60), Duration::from_millis(50));

/// The bitcoind to run: `BITCOIND_EXE`, or the one built into the target directory, or the one on `PATH`.
///
/// # Panics
///
/// If there is none.
pub fn executable() -> PathBuf {
    if let Some(path) = std::env::var_os("BITCOIND_EXE") {
        return path.into();
    }
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace.join("target"), PathBuf::from);
    let built = target.join("bitcoin/bin/bitcoind");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|folder| folder.join("bitcoind"));
    [built]
        .into_iter()
        .chain(on_path)
        .find(|path| path.is_file())
        .expect("no bitcoind: run `make bitcoind`, or set BITCOIND_EXE")
}

/// A running bitcoind. Dropping it kills the process and deletes its data.
#[derive(Debug)]
pub struct Bitcoind {
    arguments: Vec<String>,
    /// Dropped before its folder.
    process: Process,
    port: u16,
    folder: TempDir,
}

impl Bitcoind {
    /// Starts one that checks transactions as on mainnet: default policy, which regtest alone leaves off.
    pub async fn start() -> Self {
        Self::start_with(&["-acceptnonstdtxn=0"]).await
    }

    /// Starts one with further arguments.
    ///
    /// # Panics
    ///
    /// If it does not answer in time.
    pub async fn start_with(arguments: &[&str]) -> Self {
        let (folder, port) = (tempfile::tempdir().expect("a temporary folder"), port::free());
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let process = Self::process(&folder, port, &arguments);
        let mut bitcoind = Self { arguments, process, port, folder };
        bitcoind.require_answer().await;
        bitcoind
    }

    /// Starts it again after [`Bitcoind::kill`], with its data.
    ///
    /// # Panics
    ///
    /// If it does not answer in time.
    pub async fn start_again(&mut self) {
        self.process = Self::process(&self.folder, self.port, &self.arguments);
        self.require_answer().await;
    }

    fn process(folder: &TempDir, port: u16, arguments: &[String]) -> Process {
        let mut command = Command::new(executable());
        command
            .arg("-regtest")
            .arg(format!("-datadir={}", folder.path().display()))
            .arg(format!("-rpcport={port}"))
            .args(["-listen=0", "-dnsseed=0", "-printtoconsole=0", "-dbcache=16", "-maxmempool=50"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Process::start(&mut command)
    }

    async fn require_answer(&mut self) {
        let (rpc, wait) = (self.rpc(), PATIENCE.begin("bitcoind answers"));
        while let Err(error) = rpc.chain_info().await {
            let ended = self.process.ended();
            assert!(ended.is_none(), "bitcoind ended: {ended:?}; {error}");
            assert!(error.retry(), "bitcoind does not answer: {error}");
            wait.pause_async(|| error.to_string()).await;
        }
    }

    /// Where to ask it, and how to log in.
    #[must_use]
    pub fn login(&self) -> (String, Auth) {
        (self.url(), Auth::Cookie(self.cookie()))
    }

    /// A client of its JSON-RPC.
    pub fn rpc(&self) -> BitcoinRpc {
        BitcoinRpc::new(self.url(), Auth::Cookie(self.cookie()), Network::Regtest)
    }

    /// Where its JSON-RPC is.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The file with which it is asked.
    pub fn cookie(&self) -> PathBuf {
        self.folder.path().join("regtest/.cookie")
    }

    /// Kills it as `kill -9` does.
    pub fn kill(&mut self) {
        self.process.kill();
    }
}
