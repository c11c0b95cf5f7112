//! A real bitcoind on regtest, for one test: its own folder, free ports, gone when dropped.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bitcoin::{Address, Amount, BlockHash, ScriptBuf, Transaction, Txid};
use bridge::io::wallet::{Seed, Wallet};
use bridge::keystore::KdfParams;
use mainchain::Network;
use mainchain::io::rpc::{Auth, BitcoinRpc};
use tempfile::TempDir;

/// How long a start may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Blocks after which a coinbase can be spent.
const MATURITY: u32 = 100;

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

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("the machine has free ports");
    listener.local_addr().expect("a bound socket has an address").port()
}

/// A running bitcoind. Dropping it kills the process and deletes its data.
#[derive(Debug)]
pub struct Bitcoind {
    process: Child,
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
        let folder = tempfile::tempdir().expect("a temporary folder");
        let port = free_port();
        let process = Command::new(executable())
            .arg("-regtest")
            .arg(format!("-datadir={}", folder.path().display()))
            .arg(format!("-rpcport={port}"))
            .args(["-listen=0", "-dnsseed=0", "-printtoconsole=0", "-dbcache=16", "-maxmempool=50"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("bitcoind starts");
        let mut bitcoind = Self { process, port, folder };
        bitcoind.wait().await;
        bitcoind
    }

    async fn wait(&mut self) {
        let (rpc, start) = (self.rpc(), Instant::now());
        while let Err(error) = rpc.chain_info().await {
            let ended = self.process.try_wait().expect("a child can be asked");
            assert!(ended.is_none(), "bitcoind ended: {ended:?}; {error}");
            assert!(start.elapsed() < PATIENCE && error.retry(), "bitcoind does not answer: {error}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub fn rpc(&self) -> BitcoinRpc {
        BitcoinRpc::new(self.url(), Auth::Cookie(self.cookie()), Network::Regtest)
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn cookie(&self) -> PathBuf {
        self.folder.path().join("regtest/.cookie")
    }

    /// Kills it as `kill -9` does.
    pub fn kill(&mut self) {
        let _ = self.process.kill(); // It may have ended by itself.
        let _ = self.process.wait();
    }
}

impl Drop for Bitcoind {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Somebody with bitcoin: a wallet that mined enough to pay.
#[derive(Debug)]
pub struct Holder {
    pub rpc: BitcoinRpc,
    pub wallet: Wallet,
    pub seed: Seed,
    folder: TempDir,
    /// Advances with each sync, as evictions are ordered by it.
    now: u64,
}

/// Key derivation that takes no time: these secrets are worth nothing.
pub const QUICK: KdfParams = KdfParams { memory_kib: 64, passes: 1, lanes: 1 };

/// The passphrase of a [`Holder`]'s wallet.
pub const PASSPHRASE: &str = "correct horse";

impl Holder {
    /// A fresh wallet to which `blocks` spendable rewards of 50 BTC belong.
    pub async fn with_rewards(bitcoind: &Bitcoind, blocks: u32) -> Self {
        let mut rng = rand::thread_rng();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let seed = Seed::generate(&mut rng);
        let wallet = Wallet::create(folder.path(), Network::Regtest, &seed, 0, PASSPHRASE, QUICK, &mut rng);
        let mut holder =
            Self { rpc: bitcoind.rpc(), wallet: wallet.expect("a new wallet"), seed, folder, now: 1_700_000_000 };
        if blocks > 0 {
            let address = holder.address();
            holder.rpc.generate(blocks, &address).await.expect("regtest mines");
            holder.mine(MATURITY).await;
            holder.sync().await;
        }
        holder
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The wallet alone, with the folder that must outlive it.
    pub fn into_parts(self) -> (Wallet, BitcoinRpc, TempDir) {
        (self.wallet, self.rpc, self.folder)
    }

    pub fn address(&mut self) -> Address {
        self.wallet.address().expect("the disk is not full")
    }

    /// Mines to nobody.
    pub async fn mine(&self, blocks: u32) -> Vec<BlockHash> {
        let nobody = ScriptBuf::new_p2wsh(&bitcoin::WScriptHash::from_raw_hash(bitcoin::hashes::Hash::all_zeros()));
        let nobody = Address::from_script(&nobody, bitcoin::Network::Regtest).expect("a standard script");
        self.rpc.generate(blocks, &nobody).await.expect("regtest mines")
    }

    pub async fn sync(&mut self) {
        self.now += 1;
        self.wallet.sync(&self.rpc, self.now, |_| {}).await.expect("bitcoind answers");
    }

    /// Pays, and returns the transaction and which output of it pays `script`.
    pub async fn pay(&mut self, script: &ScriptBuf, amount: Amount) -> (Transaction, u32) {
        let rate = bitcoin::FeeRate::from_sat_per_vb_u32(2);
        self.now += 1;
        let sent = self.wallet.send(&self.rpc, &self.seed, script.clone(), Some(amount), rate, self.now).await;
        let txid: Txid = sent.expect("the holder has enough").txid;
        let transaction = self.rpc.transaction(txid, None).await.expect("bitcoind answers").expect("it was just sent");
        let vout = transaction.output.iter().position(|output| output.script_pubkey == *script);
        (transaction, vout.expect("it pays the script") as u32)
    }
}
