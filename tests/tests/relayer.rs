//! Relayers that die, bitcoinds that go away, and blocks that leave the best chain: the job completes all the same. Each
//! test is a whole network of real processes.

use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::time::Duration;

use alloy_primitives::U256;
use bitcoin::BlockHash;
use bridge::io::{clock, sidechain::Client};
use bridge::peg::{DepositStatus, VaultStatus, VaultTransaction};
use contracts::coin::WEI_PER_SAT;
use mainchain::io::rpc::{Auth, BitcoinRpc};
use serde_json::{Value, json};
use tests::binary::{self, Finished};
use tests::known::{DEV_PASSPHRASE, RECIPIENT, RECLAIM_KEY, REGTEST_ADDRESS};
use tests::network::{Network, Options};
use tests::process::Process;
use tests::{bitcoind, port};

/// Seconds that a relayer of the local network is on duty.
const DUTY_WINDOW_S: u64 = 10;
/// How a process ends that aborts, as a relayer does for `--crash-after-writes`.
const SIGABRT: i32 = 6;

/// A network, with what asks its first node and its bitcoind.
struct Peg {
    network: Network,
    runtime: tokio::runtime::Runtime,
    /// The first operator's node.
    node: Client,
    bitcoin: BitcoinRpc,
}

impl Peg {
    fn start(options: Options) -> Self {
        let network = Network::start(options);
        let runtime = tokio::runtime::Runtime::new().expect("threads");
        let node = Client::new(&network.rpc(1)).expect("a URL");
        let (url, cookie) = network.bitcoin();
        let bitcoin = BitcoinRpc::new(url, Auth::Cookie(cookie), mainchain::Network::Regtest);
        Self { network, runtime, node, bitcoin }
    }

    /// A deposit address, registered with the first node.
    fn deposit_address(&self) -> String {
        let to = RECIPIENT.to_string();
        let answer =
            self.network.causeway(&["peg-in", "--to", &to, "--reclaim-key", RECLAIM_KEY, "--no-wait", "--json"]).json();
        answer[0]["address"].as_str().expect("an address").to_owned()
    }

    /// Pays a fresh deposit address in the next block; the address.
    fn deposit(&self, sat: u64) -> String {
        let address = self.deposit_address();
        self.network.pay(&address, sat);
        self.network.mine(1);
        address
    }

    fn is_minted(&self, address: &str) -> bool {
        let report = self.runtime.block_on(self.node.deposit(address)).expect("the node answers");
        report.deposits.iter().any(|deposit| deposit.status == DepositStatus::Minted)
    }

    /// The newest vault transaction that sweeps a deposit.
    fn sweep(&self, address: &str) -> Option<VaultTransaction> {
        let report = self.runtime.block_on(self.node.deposit(address)).expect("the node answers");
        let deposit = report.deposits.first()?;
        let outpoint = bitcoin::OutPoint { txid: deposit.txid, vout: deposit.vout };
        let all = (1..).map_while(|number| self.vault_transaction(number));
        all.filter(|bound| bound.content.deposits.contains(&outpoint)).last()
    }

    fn vault_transaction(&self, number: u32) -> Option<VaultTransaction> {
        self.runtime.block_on(self.node.vault_transaction(number)).expect("the node answers")
    }

    fn until_minted(&self, address: &str) {
        self.network.mine_until("the deposit is minted", || self.is_minted(address).then_some(()));
    }

    /// Satoshis that the recipient of all deposits here has.
    fn minted_sat(&self) -> u64 {
        let wei = self.runtime.block_on(self.node.balance(RECIPIENT)).expect("the node answers");
        (wei / U256::from(WEI_PER_SAT)).to()
    }

    /// Every coin outside the bridge is backed: the ledger's invariant, with nothing lost.
    fn require_balance(&self) {
        let books = self.runtime.block_on(self.node.info()).expect("the node answers").books;
        let owed = [books.supply_sat, books.unclaimed_sat, books.owed_sat, books.unminted_sat].map(i128::from);
        let backed = [books.vault_sat, books.unswept_sat, books.lost_sat].map(i128::from);
        let reserve = i128::from(books.reserve_sat);
        assert_eq!(owed.iter().sum::<i128>() + reserve, backed.iter().sum::<i128>(), "{books:?}");
        assert_eq!((books.lost_sat, books.unswept_sat), (0, 0), "{books:?}");
    }

    fn bitcoin(&self, method: &'static str, params: Value) -> Value {
        self.runtime.block_on(self.bitcoin.call(method, params)).expect("bitcoind answers")
    }

    fn best_block(&self) -> BlockHash {
        self.runtime.block_on(self.bitcoin.best_tip()).expect("bitcoind answers").1
    }

    /// Takes a block and all after it out of the best chain, and mines a longer one with what was in them.
    fn reorganise(&self, first: BlockHash) {
        let (height, _) = self.runtime.block_on(self.bitcoin.best_tip()).expect("bitcoind answers");
        self.bitcoin("invalidateblock", json!([first]));
        let (fork, _) = self.runtime.block_on(self.bitcoin.best_tip()).expect("bitcoind answers");
        // To another address: the miner would make the same blocks again.
        let address = REGTEST_ADDRESS.parse::<bitcoin::Address<_>>().expect("an address").assume_checked();
        self.runtime.block_on(self.bitcoin.generate(height - fork + 1, &address)).expect("bitcoind mines");
    }

    fn operator(&self, index: u16) -> PathBuf {
        self.network.folder().join(format!("operators/{index}"))
    }

    fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.network.folder().join(format!("logs/{name}.log"))).unwrap_or_default()
    }

    /// Starts an operator's relayer by hand, with more arguments; its log goes to `by-hand.log`. It ends when its input is
    /// closed.
    fn relayer(&self, config: &str, arguments: &[&str]) -> (Process, ChildStdin) {
        let mut all = vec!["relayer", "--config", config, "--passphrase-stdin", "--exit-with-parent"];
        all.extend(arguments);
        let log = std::fs::File::create(self.network.folder().join("logs/by-hand.log")).expect("writable");
        let mut process = Process::start(binary::command(self.network.home(), all).stdin(Stdio::piped()).stderr(log));
        let mut input = process.stdin();
        writeln!(input, "{DEV_PASSPHRASE}").expect("it reads");
        (process, input)
    }

    /// Starts an operator's relayer, which is to refuse.
    fn refusal(&self, config: &str, passphrase: &str) -> Finished {
        binary::run(
            self.network.home(),
            ["relayer", "--config", config, "--passphrase-stdin"],
            &format!("{passphrase}\n"),
        )
    }
}

/// A bitcoind on signet that talks to nobody, its URL, and a file with the password of its user `relayer`.
fn signet(folder: &Path) -> (Process, String, PathBuf) {
    let (data, password, port) = (folder.join("signet"), folder.join("password"), port::free());
    std::fs::create_dir_all(&data).expect("writable");
    std::fs::write(&password, "swordfish\n").expect("writable");
    let mut command = Command::new(bitcoind::executable());
    command
        .args(["-signet", "-connect=0", "-listen=0", "-printtoconsole=0", "-rpcuser=relayer", "-rpcpassword=swordfish"])
        .arg(format!("-datadir={}", data.display()))
        .arg(format!("-rpcport={port}"))
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    (Process::start(&mut command), format!("http://127.0.0.1:{port}"), password)
}

/// The relayer whose turn it is now, or is soon: all are asked to sign in any case.
fn on_duty(peg: &Peg) -> u64 {
    let config = std::fs::read_to_string(peg.operator(1).join("relayer.toml")).expect("readable");
    assert!(config.contains(&format!("window_s = {DUTY_WINDOW_S}\n")), "another window: {config}");
    let now = clock::now().expect("after 1970");
    (now / DUTY_WINDOW_S) % 4 + 1
}

#[test]
fn one_dead_relayer_of_four_stops_nothing_even_the_one_on_duty() {
    let peg = Peg::start(Options::default());
    // Each in turn, so that one of them is on duty when it dies.
    for _ in 0..2 {
        let address = peg.deposit_address();
        let dead = format!("relayer-{}", on_duty(&peg));
        peg.network.kill(&dead);
        peg.network.pay(&address, 1_000_000);
        peg.until_minted(&address);
        peg.network.restart(&dead);
    }
    peg.require_balance();
}

// A relayer writes four times for a vault transaction: its nonces, its promise, its shares, the signed transaction.
// All three are needed here, so that nothing completes without the one that dies.
#[test]
fn a_relayer_killed_between_any_two_writes_of_a_signing_goes_on_where_it_was() {
    let peg = Peg::start(Options { operators: 3, threshold: 3, ..Options::default() });
    let config = peg.operator(2).join("relayer.toml").display().to_string();
    for writes in 1..=4u32 {
        let address = peg.deposit_address();
        peg.network.kill("relayer-2");
        let (mut dying, _input) = peg.relayer(&config, &["--crash-after-writes", &writes.to_string()]);
        peg.network.pay(&address, 1_000_000);
        peg.network.mine(1);
        let status = peg.network.until("the relayer has died", || dying.ended());
        assert_eq!(status.signal(), Some(SIGABRT), "it died of something else: {}", peg.log("by-hand"));
        peg.network.restart("relayer-2");
        peg.until_minted(&address);
    }
    peg.require_balance();
    let report = peg.network.causeway(&["status", "bridge", "--json"]);
    assert_eq!(report.code, Some(0), "{report}");
}

// best    0 - 1[deposit] - 2[vault tx]               both leave the chain
// rival    \ 1b - 2b - 3b ...                        both are mined again
#[test]
fn a_reorg_before_settlement_only_delays_it() {
    let peg = Peg::start(Options::default());
    let address = peg.deposit(1_000_000);
    let deposit_block = peg.best_block();
    let txid = peg.network.until("it is swept", || peg.sweep(&address)).txid;
    peg.network.until("the sweep is broadcast", || {
        peg.runtime.block_on(peg.bitcoin.mempool_entry(txid)).expect("bitcoind answers")
    });
    peg.network.mine(1);
    peg.reorganise(deposit_block);
    peg.until_minted(&address);
    peg.require_balance();
}

// best    0 - 1[vault tx] - 2                         settled
// rival    \ 1b - 2b - 3b[vault tx] - 4b             unsettled, then settled again
#[test]
fn a_reorg_after_settlement_unsettles_the_vault_transaction_and_it_settles_again() {
    let peg = Peg::start(Options::default());
    let address = peg.deposit(1_000_000);
    peg.until_minted(&address);
    let minted = peg.minted_sat();
    let settled = peg.sweep(&address).expect("it was swept");
    assert_eq!(settled.status, VaultStatus::Settled);
    let height = settled.height.expect("it is settled");
    let block = peg.runtime.block_on(peg.bitcoin.block_hash(height)).expect("bitcoind answers").expect("it has it");

    peg.reorganise(block);
    let again = peg.network.until("it settles elsewhere", || {
        let vault_transaction = peg.sweep(&address)?;
        let elsewhere = vault_transaction.block_head.is_some_and(|now| Some(now) != settled.block_head);
        (vault_transaction.status == VaultStatus::Settled && elsewhere).then_some(vault_transaction)
    });
    assert_eq!(again.txid, settled.txid);
    assert_eq!(peg.minted_sat(), minted, "nothing is minted twice");
    let said = (1..=4).any(|relayer| peg.log(&format!("relayer-{relayer}")).contains("left the best chain"));
    assert!(said, "{}", peg.network.logs());
    peg.require_balance();
}

#[test]
fn relayers_wait_for_a_bitcoind_that_is_down_and_say_so_once() {
    let peg = Peg::start(Options::default());
    let address = peg.deposit_address();
    peg.network.pay(&address, 1_000_000);
    peg.network.kill("bitcoind");
    peg.network.until("it is noticed", || peg.log("relayer-1").contains("waiting for it").then_some(()));
    std::thread::sleep(Duration::from_secs(3));
    let complaints = peg.log("relayer-1").matches("waiting for it").count();
    assert!((1..=2).contains(&complaints), "{complaints} complaints: {}", peg.network.logs());
    peg.network.restart("bitcoind");
    peg.network.until("bitcoind is back", || peg.log("relayer-1").contains("bitcoind is back").then_some(()));
    peg.network.pay(&peg.deposit_address(), 1_000_000); // The mempool may not have survived the kill.
    let second = peg.deposit(2_000_000);
    peg.until_minted(&second);
    peg.require_balance();
}

#[test]
fn what_a_relayer_cannot_work_with_it_says() {
    let peg = Peg::start(Options { operators: 3, threshold: 2, ..Options::default() });
    let config = peg.operator(3).join("relayer.toml");
    let path = config.display().to_string();

    // While one runs, a second one is refused.
    peg.refusal(&path, DEV_PASSPHRASE).fails_saying(&["in use by another process"]);
    peg.network.kill("relayer-3");
    peg.refusal(&path, "not the passphrase").fails_saying(&["wrong passphrase"]);
    with_file_changed(&config, |text| {
        waits_for_a_bitcoind_of_its_network(&peg, &path, text);
        std::fs::write(&config, format!("polling_ms = 5\n{text}")).expect("writable");
        peg.refusal(&path, DEV_PASSPHRASE).fails_saying(&["polling_ms"]);
    });
    a_damaged_share_is_named(&peg, &path);

    // It works with what it had.
    peg.network.restart("relayer-3");
    let address = peg.deposit(1_000_000);
    peg.until_minted(&address);
}

/// Lets `change` write to a text file, and puts back what was in it.
fn with_file_changed(path: &Path, change: impl FnOnce(&str)) {
    let text = std::fs::read_to_string(path).expect("readable");
    change(&text);
    std::fs::write(path, text).expect("writable");
}

/// Its bitcoind is on another network: it says so and waits.
fn waits_for_a_bitcoind_of_its_network(peg: &Peg, config: &str, text: &str) {
    let (_signet, url, password) = signet(&peg.operator(3));
    let (own, _) = text.split_once("[bitcoind]").expect("a section");
    let login = format!("[bitcoind]\nurl = \"{url}\"\nuser = \"relayer\"\npassword_file = {:?}\n", password.display());
    std::fs::write(config, format!("{own}{login}")).expect("writable");
    let (mut waiting, _input) = peg.relayer(config, &[]);
    peg.network.until("the relayer names the wrong network", || {
        peg.log("by-hand").contains("is on signet, expected regtest").then_some(())
    });
    assert!(waiting.ended().is_none(), "it does not wait: {}", peg.log("by-hand"));
}

fn a_damaged_share_is_named(peg: &Peg, config: &str) {
    let share = peg.operator(3).join("relayer/key-1");
    let whole = std::fs::read(&share).expect("the share is there");
    std::fs::write(&share, &whole[..whole.len() - 1]).expect("writable");
    peg.refusal(config, DEV_PASSPHRASE).fails_saying(&["key-1", "damaged"]);
    std::fs::write(&share, &whole).expect("writable");
}
