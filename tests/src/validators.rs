//! Validators as real processes, without bitcoind and relayers: each operator makes its own keys by `causeway keys`, one
//! collects the public parts by `causeway genesis`, and each starts `causeway node`.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use alloy_primitives::B256;
use bridge::io::sidechain::{Account, Call, Client, Fees, Pending};
use bridge::keystore::{Keystore, OperatorKeys};
use contracts::address::SIGNING_BOARD;
use contracts::signing_board::SigningBoard;
use tempfile::TempDir;

use crate::process::Process;
use crate::waiting::Patience;
use crate::wrong_clock::WrongClock;
use crate::{binary, port};

/// What every keystore here is encrypted with.
pub const PASSPHRASE: &str = "of a test network";

/// Longer than anything takes, even on a machine that is busy with other tests.
const PATIENCE: Patience = Patience::new(LONGEST, Duration::from_millis(50));
const LONGEST: Duration = Duration::from_secs(120);

/// A network of validators, and followers of them. Dropping it kills all of it.
#[derive(Debug)]
pub struct Validators {
    /// Dropped before their folder.
    nodes: Vec<Node>,
    folder: TempDir,
    runtime: tokio::runtime::Runtime,
}

#[derive(Debug)]
struct Node {
    folder: PathBuf,
    rpc: String,
    /// Validators open their keystores, followers have none.
    has_keys: bool,
    process: Option<Process>,
}

impl Validators {
    /// Makes keys, genesis and configurations for `count` operators; starts nothing.
    ///
    /// # Panics
    ///
    /// When a command fails.
    #[must_use]
    pub fn new(count: usize) -> Self {
        let folder = tempfile::Builder::new().prefix("causeway-validators-").tempdir().expect("a temporary folder");
        let nodes = (1..=count).map(|number| operator(folder.path(), number)).collect();
        let genesis = folder.path().join("genesis.json");
        let mut arguments = vec!["genesis".into(), "--out".into(), genesis.clone().into_os_string()];
        arguments.extend((1..=count).map(|number| {
            let operator = folder.path().join(format!("operator-{number}"));
            operator.join("public.json").into_os_string()
        }));
        let made = binary::run(folder.path(), &arguments, "");
        assert_eq!(made.code, Some(0), "{made}");
        let runtime = tokio::runtime::Runtime::new().expect("threads");
        Self { folder, nodes, runtime }
    }

    /// As [`Validators::new`], all started and past their first blocks.
    ///
    /// # Panics
    ///
    /// When there are no blocks.
    #[must_use]
    pub fn started(count: usize) -> Self {
        let mut network = Self::new(count);
        (0..count).for_each(|index| network.start(index));
        for index in 0..count {
            network.wait("it has the first blocks", |network| network.head(index) >= 2);
        }
        network
    }

    /// Adds a node that follows another, and starts it; its index.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    pub fn follow(&mut self, followed: usize) -> usize {
        let url = self.nodes[followed].rpc.clone();
        self.follow_with(&url, "")
    }

    /// As [`Validators::follow`], with more lines in its configuration.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    pub fn follow_with(&mut self, url: &str, configuration: &str) -> usize {
        let index = self.nodes.len();
        let folder = self.folder.path().join(format!("follower-{index}"));
        let rpc = port::free();
        write_config(
            &folder,
            &format!(
                "genesis = \"../genesis.json\"\ndata_dir = \"data\"\nrpc_listen = \"127.0.0.1:{rpc}\"\nfollow = \"{url}\"\n{configuration}"
            ),
        );
        self.nodes.push(Node { folder, rpc: format!("http://127.0.0.1:{rpc}"), has_keys: false, process: None });
        self.start(index);
        index
    }

    /// Adds lines to a node's configuration; they count from its next start on.
    ///
    /// # Panics
    ///
    /// When the file cannot be written.
    pub fn configure(&self, index: usize, configuration: &str) {
        let path = self.config(index);
        let text = fs::read_to_string(&path).expect("written by us");
        fs::write(path, format!("{text}{configuration}")).expect("written");
    }

    /// URL of a node's RPC.
    #[must_use]
    pub fn url(&self, index: usize) -> &str {
        &self.nodes[index].rpc
    }

    /// The folder of what a node keeps.
    #[must_use]
    pub fn data(&self, index: usize) -> PathBuf {
        self.nodes[index].folder.join("data")
    }

    /// The answer of a node's RPC: `{"result": ...}` or `{"error": ...}`; null when it does not answer.
    #[must_use]
    pub fn ask(&self, index: usize, method: &str, parameters: serde_json::Value) -> serde_json::Value {
        let body = serde_json::json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": parameters }).to_string();
        let (_, answer) = self.http(index, "POST", "/", &body);
        serde_json::from_str(&answer).unwrap_or_default()
    }

    /// Status and body of an HTTP answer; 0 when there is none.
    #[must_use]
    pub fn http(&self, index: usize, method: &str, path: &str, body: &str) -> (u16, String) {
        let address = self.nodes[index].rpc.trim_start_matches("http://");
        let exchange = || -> std::io::Result<String> {
            let mut stream = std::net::TcpStream::connect(address)?;
            stream.set_read_timeout(Some(Duration::from_secs(20)))?;
            write!(
                stream,
                "{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )?;
            let mut answer = Vec::new();
            // A server that does not read a body may reset the connection after its answer.
            let _ = std::io::Read::read_to_end(&mut stream, &mut answer);
            Ok(String::from_utf8_lossy(&answer).into_owned())
        };
        let answer = exchange().unwrap_or_default();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.unwrap_or(0), body.to_owned())
    }

    /// Starts a node.
    ///
    /// # Panics
    ///
    /// When the process cannot be started.
    pub fn start(&mut self, index: usize) {
        self.start_as(index, |_| ());
    }

    /// Starts a node whose clock is so many seconds ahead.
    ///
    /// # Panics
    ///
    /// When the process cannot be started.
    pub fn start_with_clock(&mut self, index: usize, clock: &WrongClock, ahead_s: i64) {
        self.start_as(index, |command| clock.give(command, ahead_s));
    }

    fn start_as(&mut self, index: usize, adjust: impl FnOnce(&mut Command)) {
        let node = &mut self.nodes[index];
        let log = fs::File::options().create(true).append(true).open(node.folder.join("log")).expect("writable");
        let mut arguments = vec!["node".into(), "--config".into(), node.folder.join("node.toml").into_os_string()];
        arguments.extend(node.has_keys.then(|| "--passphrase-stdin".into()));
        let mut command = binary::command(self.folder.path(), &arguments);
        adjust(&mut command);
        command.stdin(Stdio::piped()).stdout(log.try_clone().expect("a file can be shared")).stderr(log);
        let mut process = Process::start(&mut command);
        if node.has_keys {
            writeln!(process.stdin(), "{PASSPHRASE}").expect("it reads its passphrase");
        }
        node.process = Some(process);
    }

    /// kill -9.
    ///
    /// # Panics
    ///
    /// When it does not run.
    pub fn kill(&mut self, index: usize) {
        let mut process = self.nodes[index].process.take().expect("it runs");
        assert!(process.ended().is_none(), "it ended by itself: {}", self.log(index));
        process.kill();
    }

    /// SIGTERM; waits for the end and returns its status.
    ///
    /// # Panics
    ///
    /// When it does not end.
    pub fn stop(&mut self, index: usize) -> std::process::ExitStatus {
        let mut process = self.nodes[index].process.take().expect("it runs");
        let id = process.id().to_string();
        let sent = std::process::Command::new("kill").args(["-TERM", &id]).status();
        assert!(sent.expect("kill is there").success());
        PATIENCE.until("it stops", || self.log(index), || process.ended())
    }

    /// The id of its process.
    ///
    /// # Panics
    ///
    /// When it does not run.
    #[must_use]
    pub fn process(&self, index: usize) -> u32 {
        self.nodes[index].process.as_ref().expect("it runs").id()
    }

    /// What it printed.
    #[must_use]
    pub fn log(&self, index: usize) -> String {
        fs::read_to_string(self.nodes[index].folder.join("log")).unwrap_or_default()
    }

    /// Its configuration file.
    #[must_use]
    pub fn config(&self, index: usize) -> PathBuf {
        self.nodes[index].folder.join("node.toml")
    }

    /// A folder for the test's own files.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.folder.path()
    }

    /// A client of its RPC.
    ///
    /// # Panics
    ///
    /// Never: the URL is good.
    #[must_use]
    pub fn client(&self, index: usize) -> Client {
        Client::new(&self.nodes[index].rpc).expect("a good URL")
    }

    /// Runs something async.
    pub fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Its last block; 0 when it does not answer.
    #[must_use]
    pub fn head(&self, index: usize) -> u64 {
        self.run(self.client(index).block_number()).unwrap_or_default()
    }

    /// Hash of a block at one node.
    #[must_use]
    pub fn hash(&self, index: usize, number: u64) -> Option<B256> {
        self.run(self.client(index).block(number)).ok().flatten().map(|block| block.hash)
    }

    /// Posts a message of operator `operator` (an index) on the signing board, through a node. Free of gas, so it works without coins.
    ///
    /// # Panics
    ///
    /// When the node does not take it.
    pub fn post(&self, operator: usize, through: usize) -> Pending {
        let account = self.account(operator);
        let client = self.client(through);
        self.run(async {
            let network = client.info().await.expect("it answers").network_id;
            // Of making the first key, while none is in force.
            let (epoch, attempt, payload) = (1, 0, vec![7; 200].into());
            let call = SigningBoard::postKeygenCall { network, epoch, attempt, kind: 1, payload };
            let nonce = client.pending_nonce(account.address()).await.expect("it answers");
            account
                .send_with(&client, &Call::new(SIGNING_BOARD, &call), Fees::FREE, nonce)
                .await
                .expect("a member may post")
        })
    }

    /// Whether a node has a transaction in a final block.
    #[must_use]
    pub fn has(&self, index: usize, transaction: &Pending) -> bool {
        matches!(self.run(self.client(index).receipt(transaction.hash)), Ok(Some(_)))
    }

    fn account(&self, operator: usize) -> Account {
        let path = self.nodes[operator].folder.join("operator.keystore");
        let keystore = Keystore::parse(&fs::read(path).expect("made by causeway keys")).expect("a keystore");
        Account::from_key(*OperatorKeys::open(&keystore, PASSPHRASE).expect("our passphrase").account())
    }

    /// Posts as [`Validators::post`] does, and waits until all of `nodes` have it in a final block. While there are no blocks a node forgets it
    /// (`free_lifetime_ms`), and it is sent again, as a relayer does.
    ///
    /// # Panics
    ///
    /// When the node does not take it, or it does not become final.
    pub fn post_until_final(&self, operator: usize, through: usize, nodes: &[usize]) -> Pending {
        let posted = self.post(operator, through);
        if let Err(error) = self.run(self.client(through).wait(&posted, LONGEST)) {
            panic!("the post {} is not final: {error}\n{}", posted.hash, self.logs());
        }
        self.wait_for_post(&posted, nodes);
        posted
    }

    /// Waits until all of `nodes` have a transaction in a final block.
    ///
    /// # Panics
    ///
    /// When it does not become final.
    pub fn wait_for_post(&self, posted: &Pending, nodes: &[usize]) {
        let what = format!("nodes {nodes:?} have the post {} in a final block", posted.hash);
        self.wait(&what, |network| nodes.iter().all(|node| network.has(*node, posted)));
    }

    /// Waits until something holds.
    ///
    /// # Panics
    ///
    /// When it does not come to hold; shows what the nodes printed.
    pub fn wait(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        PATIENCE.until(what, || self.logs(), || holds(self).then_some(()));
    }

    /// What all logs warn of, and their ends.
    fn logs(&self) -> String {
        let end = |index| {
            let log = self.log(index);
            let lines: Vec<_> = log.lines().collect();
            let (earlier, end) = lines.split_at(lines.len().saturating_sub(20));
            let warned: Vec<_> = earlier.iter().filter(|line| !line.contains(" INFO ")).take(40).copied().collect();
            format!("node {index}:\n{}\n", [&warned, end].concat().join("\n"))
        };
        (0..self.nodes.len()).map(end).collect()
    }
}

/// An operator makes its keys in a folder of its own.
fn operator(folder: &Path, number: usize) -> Node {
    let name = format!("operator-{number}");
    let folder_of = folder.join(&name);
    let (p2p, rpc) = (port::free(), port::free());
    let address = format!("127.0.0.1:{p2p}");
    let dir = folder_of.to_str().expect("UTF-8");
    let made = binary::run(
        folder,
        [
            "keys",
            "operator",
            "--network",
            "regtest",
            "--name",
            &name,
            "--p2p-address",
            &address,
            "--dir",
            dir,
            "--passphrase-stdin",
        ],
        &format!("{PASSPHRASE}\n"),
    );
    assert_eq!(made.code, Some(0), "{made}");
    write_config(
        &folder_of,
        &format!(
            "genesis = \"../genesis.json\"\ndata_dir = \"data\"\nrpc_listen = \"127.0.0.1:{rpc}\"\nkeystore = \"validator.keystore\"\np2p_listen = \"{address}\"\n"
        ),
    );
    Node { folder: folder_of, rpc: format!("http://127.0.0.1:{rpc}"), has_keys: true, process: None }
}

fn write_config(folder: &Path, text: &str) {
    fs::create_dir_all(folder).expect("a folder");
    fs::write(folder.join("node.toml"), text).expect("written");
}
