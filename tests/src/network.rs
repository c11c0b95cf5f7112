//! A whole network of real processes: bitcoind, validators, relayers. It is `causeway dev` on free ports in a folder of its
//! own, spoken to over its control socket, exactly as a user's `causeway dev kill relayer-2` does.
//!
//! Blocks come only when a test asks for them, unless it wants an interval.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::binary::{self, Finished};
use crate::process::Process;
use crate::waiting::Patience;

/// How long a network may take to start. Four validators, four relayers and a key: seconds; much more on a loaded machine.
const START: Patience = Patience::new(Duration::from_secs(240), Duration::from_millis(100));
/// How long it may take to stop, or to answer on its control socket: mining a thousand blocks is the longest request.
const ANSWER: Duration = Duration::from_secs(120);
const STOP: Patience = Patience::new(ANSWER, Duration::from_millis(100));

/// How long a deposit or a payout may take, on a machine that does much else.
const PATIENCE: Patience = Patience::new(Duration::from_secs(150), Duration::from_millis(200));
/// The same while blocks are mined: not faster than the relayers look at them.
const MINING: Patience = Patience::new(Duration::from_secs(150), Duration::from_millis(700));

/// What a network is started with.
#[derive(Clone, Debug)]
pub struct Options {
    pub operators: u16,
    pub threshold: u16,
    /// As `causeway dev --validators`; none: every operator has one.
    pub validators: Option<u16>,
    /// As `causeway dev --block-interval`.
    pub block_interval: &'static str,
    /// Fund the developer accounts.
    pub fund: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { operators: 4, threshold: 3, validators: None, block_interval: "0s", fund: false }
    }
}

/// A running network. Dropping it kills its parent process; the children see their input close, and end.
#[derive(Debug)]
pub struct Network {
    /// Dropped before its folder.
    dev: Option<Process>,
    folder: TempDir,
    options: Options,
}

impl Network {
    /// Starts one and waits until it is ready.
    ///
    /// # Panics
    ///
    /// When it does not become ready.
    #[must_use]
    pub fn start(options: Options) -> Self {
        let folder = tempfile::Builder::new().prefix("causeway-").tempdir().expect("a temporary folder");
        let mut network = Self { folder, options, dev: None };
        network.resume();
        network
    }

    /// Starts it again after [`Network::stop`] or [`Network::kill_all`].
    ///
    /// # Panics
    ///
    /// When it does not become ready.
    pub fn resume(&mut self) {
        let mut arguments: Vec<String> = ["dev", "--ports", "free", "--exit-with-parent"].map(String::from).to_vec();
        arguments.extend(["--data-dir".into(), self.folder.path().join("net").display().to_string()]);
        arguments.extend(["--operators".into(), self.options.operators.to_string()]);
        arguments.extend(["--threshold".into(), self.options.threshold.to_string()]);
        arguments.extend(["--block-interval".into(), self.options.block_interval.into()]);
        let validators = self.options.validators.map(|validators| ["--validators".into(), validators.to_string()]);
        arguments.extend(validators.into_iter().flatten());
        arguments.extend((!self.options.fund).then(|| "--no-fund".into()));
        let log = std::fs::File::create(self.folder.path().join("dev.log")).expect("writable");
        let mut command = binary::command(self.folder.path(), &arguments);
        command.stdin(Stdio::piped()).stdout(log.try_clone().expect("a file can be shared")).stderr(log);
        self.dev = Some(Process::start(&mut command));
        self.require_ready();
    }

    fn require_ready(&mut self) {
        let wait = START.begin("the network is ready");
        while !self.try_ask(&json!({ "do": "status" })).is_ok_and(|answer| answer["ok"]["ready"] == true) {
            let ended = self.dev.as_mut().expect("just started").ended();
            let log = || std::fs::read_to_string(self.folder.path().join("dev.log")).unwrap_or_default();
            assert!(ended.is_none(), "the network ended: {}", log());
            wait.pause(log);
        }
    }

    /// The network's folder: genesis, logs, operators.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.folder.path().join("net")
    }

    /// A folder for this test's own files.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.folder.path()
    }

    /// How many validators it has.
    #[must_use]
    pub fn operators(&self) -> usize {
        self.options.operators.into()
    }

    /// As `causeway dev status --json` shows it.
    #[must_use]
    pub fn status(&self) -> Value {
        self.ask(&json!({ "do": "status" }))
    }

    /// JSON-RPC of the node of operator `index`, from 1.
    #[must_use]
    pub fn rpc(&self, index: usize) -> String {
        self.status()["rpc"][index - 1].as_str().expect("a URL").to_owned()
    }

    /// URL and cookie file of its bitcoind.
    #[must_use]
    pub fn bitcoin(&self) -> (String, PathBuf) {
        let status = self.status();
        let text = |name: &str| status[name].as_str().expect("a string").to_owned();
        (text("bitcoin"), text("bitcoinCookie").into())
    }

    /// Mines; the new height.
    pub fn mine(&self, blocks: u32) -> u64 {
        self.ask(&json!({ "do": "mine", "blocks": blocks }))["height"].as_u64().expect("a height")
    }

    /// Pays from the miner, unconfirmed; the txid.
    pub fn pay(&self, address: &str, amount_sat: u64) -> String {
        let to = [json!({ "address": address, "amountSat": amount_sat })];
        self.ask(&json!({ "do": "pay", "to": to }))["txid"].as_str().expect("a txid").to_owned()
    }

    /// kill -9: `bitcoind`, `validator-1`, `relayer-1`, ...
    pub fn kill(&self, name: &str) {
        self.ask(&json!({ "do": "kill", "name": name }));
    }

    /// Starts one that was killed.
    pub fn restart(&self, name: &str) {
        self.ask(&json!({ "do": "start", "name": name }));
    }

    /// Stops all of it in order.
    ///
    /// # Panics
    ///
    /// When it does not end well.
    pub fn stop(&mut self) {
        self.ask(&json!({ "do": "stop" }));
        let mut dev = self.dev.take().expect("running");
        let status = STOP.until("the network stops", || self.logs(), || dev.ended());
        assert!(status.success(), "the network stopped with {status}");
    }

    /// kill -9 of the parent; its children die with it.
    ///
    /// # Panics
    ///
    /// When it did not run.
    pub fn kill_all(&mut self) {
        self.dev.take().expect("running").kill();
    }

    /// Runs `causeway` against this network: the first node, its bitcoind, this test's home.
    ///
    /// # Panics
    ///
    /// When it cannot be started, or does not end.
    #[must_use]
    pub fn causeway(&self, arguments: &[&str]) -> Finished {
        let child = self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        binary::end(child.expect("the binary starts"), "causeway").into()
    }

    /// Starts `causeway` against this network, and gives what reads the JSON lines it has printed so far.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    pub fn spawn(&self, name: &str, arguments: &[&str]) -> (Process, impl Fn() -> Vec<Value> + use<>) {
        let path = self.folder.path().join(format!("{name}.out"));
        let out = std::fs::File::create(&path).expect("writable");
        let child = Process::start(self.command(arguments).stdout(out));
        let events = move || {
            let text = std::fs::read_to_string(&path).expect("readable");
            text.split_inclusive('\n').filter_map(|line| serde_json::from_str(line).ok()).collect()
        };
        (child, events)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let (bitcoin, cookie) = self.bitcoin();
        let mut command = binary::command(self.folder.path(), arguments);
        command
            .env("CAUSEWAY_RPC", self.rpc(1))
            .env("CAUSEWAY_BITCOIN", bitcoin)
            .env("CAUSEWAY_BITCOIN_COOKIE", cookie)
            .env("CAUSEWAY_HOME", self.folder.path().join("user"));
        command
    }

    /// Waits until `ask` has an answer; mines nothing.
    ///
    /// # Panics
    ///
    /// When it has none in time.
    pub fn until<T>(&self, what: &str, ask: impl FnMut() -> Option<T>) -> T {
        PATIENCE.until(what, || self.logs(), ask)
    }

    /// Mines a block now and then until `ask` has an answer.
    ///
    /// # Panics
    ///
    /// When it has none in time.
    pub fn mine_until<T>(&self, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
        let wait = MINING.begin(what);
        loop {
            if let Some(answer) = ask() {
                return answer;
            }
            self.mine(1);
            wait.pause(|| self.logs());
        }
    }

    /// The ends of all logs, for a failure's message.
    #[must_use]
    pub fn logs(&self) -> String {
        let mut text = "logs:".to_owned();
        let entries = std::fs::read_dir(self.folder().join("logs")).into_iter().flatten().flatten();
        for path in entries.map(|entry| entry.path()).filter(|path| !path.ends_with("bitcoind.log")) {
            let log = std::fs::read_to_string(&path).unwrap_or_default();
            let lines: Vec<_> = log.lines().collect();
            let from = lines.len().saturating_sub(8);
            text.push_str(&format!("\n{}:\n  {}", path.display(), lines[from..].join("\n  ")));
        }
        text
    }

    fn ask(&self, request: &Value) -> Value {
        let answer = self.try_ask(request).unwrap_or_else(|error| panic!("{request}: {error}"));
        assert!(answer.get("error").is_none(), "{request}: {answer}");
        answer["ok"].clone()
    }

    fn try_ask(&self, request: &Value) -> std::io::Result<Value> {
        let mut stream = UnixStream::connect(self.folder().join("control.sock"))?;
        stream.set_read_timeout(Some(ANSWER))?;
        stream.write_all(format!("{request}\n").as_bytes())?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line)?;
        Ok(serde_json::from_str(&line)?)
    }
}
