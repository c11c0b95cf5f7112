//! Relayers that die, bitcoinds that go away, and blocks that leave the best chain: the job completes all the same. Each
//! test is a whole network of real processes.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use alloy_primitives::{Address, U256, address};
use bitcoin::BlockHash;
use bridge::io::sidechain::Client;
use bridge::peg::{DepositStatus, VaultStatus, VaultTransaction};
use mainchain::io::rpc::{Auth, BitcoinRpc};
use serde_json::{Value, json};
use tests::binary::{self, Finished};
use tests::bitcoind;
use tests::network::{Network, Options};

/// How long a deposit or a payout may take, on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(150);
/// What the local network's keystores are encrypted with.
const PASSPHRASE: &str = "causeway-dev";
/// Seconds that a relayer of the local network is on duty.
const DUTY_WINDOW_S: u64 = 10;
/// An x-only key whose secret nobody needs: the generator of secp256k1.
const RECLAIM_KEY: &str = "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
const SOMEBODY: Address = address!("000000000000000000000000000000000000b0b0");
/// A regtest address (BIP173's example program).
const NOBODY: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";

/// A network with somebody who uses it.
struct World {
    network: Network,
    runtime: tokio::runtime::Runtime,
    /// The first operator's node.
    node: Client,
    bitcoin: BitcoinRpc,
}

impl World {
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
        let to = SOMEBODY.to_string();
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

    /// The vault transaction that sweeps a deposit.
    fn sweep(&self, address: &str) -> Option<VaultTransaction> {
        let report = self.runtime.block_on(self.node.deposit(address)).expect("the node answers");
        let number = report.deposits.first()?.number;
        self.runtime.block_on(self.node.vault_transaction(number)).expect("the node answers")
    }

    fn until_minted(&self, address: &str) {
        self.network.mine_until("the deposit is minted", PATIENCE, || self.is_minted(address).then_some(()));
    }

    /// Waits without mining.
    fn until<T>(&self, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            if let Some(answer) = ask() {
                return answer;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "waited {} s until {what}; logs: {}",
                PATIENCE.as_secs(),
                self.network.logs()
            );
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Satoshis that the recipient of all deposits here has.
    fn minted_sat(&self) -> u64 {
        let wei = self.runtime.block_on(self.node.balance(SOMEBODY)).expect("the node answers");
        (wei / U256::from(contracts::coin::WEI_PER_SAT)).to()
    }

    /// Every coin outside the bridge is backed: the ledger's invariant, with nothing lost.
    fn expect_whole(&self) {
        let ledger = self.runtime.block_on(self.node.info()).expect("the node answers").ledger;
        assert_eq!(ledger.supply_sat + ledger.owed_sat + ledger.held_sat, ledger.vault_sat, "{ledger:?}");
        assert_eq!(ledger.deficit_sat, 0);
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
        let address = NOBODY.parse::<bitcoin::Address<_>>().expect("an address").assume_checked();
        self.runtime.block_on(self.bitcoin.generate(height - fork + 1, &address)).expect("bitcoind mines");
    }

    fn operator(&self, index: u16) -> PathBuf {
        self.network.folder().join(format!("operators/{index}"))
    }

    fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.network.folder().join(format!("logs/{name}.log"))).unwrap_or_default()
    }

    /// Starts an operator's relayer by hand, with more arguments; its log goes to `by-hand.log`. It ends with the test.
    fn relayer(&self, config: &str, arguments: &[&str]) -> Child {
        let mut all = vec!["relayer", "--config", config, "--passphrase-stdin", "--exit-with-parent"];
        all.extend(arguments);
        let log = std::fs::File::create(self.network.folder().join("logs/by-hand.log")).expect("writable");
        let mut child = binary::command(self.network.home(), all)
            .stdin(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the binary starts");
        writeln!(child.stdin.as_mut().expect("piped"), "{PASSPHRASE}").expect("it reads");
        child
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
fn signet(folder: &Path) -> (Child, String, PathBuf) {
    let (data, password, port) = (folder.join("signet"), folder.join("password"), bitcoind::free_port());
    std::fs::create_dir_all(&data).expect("writable");
    std::fs::write(&password, "swordfish\n").expect("writable");
    let child = Command::new(bitcoind::executable())
        .args(["-signet", "-connect=0", "-listen=0", "-printtoconsole=0", "-rpcuser=relayer", "-rpcpassword=swordfish"])
        .arg(format!("-datadir={}", data.display()))
        .arg(format!("-rpcport={port}"))
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("bitcoind starts");
    (child, format!("http://127.0.0.1:{port}"), password)
}

/// The relayer whose turn it is now.
fn on_duty() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    (now / DUTY_WINDOW_S) % 4 + 1
}

#[test]
fn one_dead_relayer_of_four_stops_nothing_even_the_one_on_duty() {
    let world = World::start(Options::default());
    // Each in turn, so that one of them is on duty when it dies.
    for _ in 0..2 {
        let address = world.deposit_address();
        let dead = format!("relayer-{}", on_duty());
        world.network.kill(&dead);
        world.network.pay(&address, 1_000_000);
        world.until_minted(&address);
        world.network.restart(&dead);
    }
    world.expect_whole();
}

// A relayer writes four times for a vault transaction: its promise, its nonces, its shares, the signed transaction.
// All three are needed here, so that nothing completes without the one that dies.
#[test]
fn a_relayer_killed_between_any_two_writes_of_a_signing_goes_on_where_it_was() {
    let world = World::start(Options { operators: 3, threshold: 3, ..Options::default() });
    let config = world.operator(2).join("relayer.toml").display().to_string();
    for writes in 1..=4u32 {
        let address = world.deposit_address();
        world.network.kill("relayer-2");
        let mut dying = world.relayer(&config, &["--crash-after-writes", &writes.to_string()]);
        world.network.pay(&address, 1_000_000);
        world.network.mine(1);
        world.until("the relayer has died", || dying.try_wait().expect("our child"));
        world.network.restart("relayer-2");
        world.until_minted(&address);
    }
    world.expect_whole();
    let report = world.network.causeway(&["status", "--json"]);
    assert_eq!(report.code, Some(0), "{report}");
}

// best    0 - 1[deposit] - 2[vault tx]               not deep enough
// rival    \\ 1b - 2b - 3b ...                        both are mined again
#[test]
fn a_reorg_before_settlement_only_delays_it() {
    let world = World::start(Options::default());
    let address = world.deposit(1_000_000);
    let deposit_block = world.best_block();
    let txid = world.until("it is swept", || world.sweep(&address)).txid;
    world.until("the sweep is broadcast", || {
        world.runtime.block_on(world.bitcoin.mempool_entry(txid)).expect("bitcoind answers")
    });
    world.network.mine(1);
    world.reorganise(deposit_block);
    world.until_minted(&address);
    world.expect_whole();
}

// best    0 - 1[vault tx] - 2                         settled
// rival    \\ 1b - 2b - 3b[vault tx] - 4b             unsettled, then settled again
#[test]
fn a_reorg_after_settlement_unsettles_the_vault_transaction_and_it_settles_again() {
    let world = World::start(Options::default());
    let address = world.deposit(1_000_000);
    world.until_minted(&address);
    let minted = world.minted_sat();
    let settled = world.sweep(&address).expect("it was swept");
    let block = settled.block_hash.expect("it is settled");
    assert_eq!(settled.status, VaultStatus::Settled);

    world.reorganise(block);
    let again = world.until("it settles elsewhere", || {
        let vault_transaction = world.sweep(&address)?;
        let elsewhere = vault_transaction.block_hash.is_some_and(|now| now != block);
        (vault_transaction.status == VaultStatus::Settled && elsewhere).then_some(vault_transaction)
    });
    assert_eq!(again.txid, settled.txid);
    assert_eq!(world.minted_sat(), minted, "nothing is minted twice");
    let said = (1..=4).any(|relayer| world.log(&format!("relayer-{relayer}")).contains("left the best chain"));
    assert!(said, "{}", world.network.logs());
    world.expect_whole();
}

#[test]
fn relayers_wait_for_a_bitcoind_that_is_down_and_say_so_once() {
    let world = World::start(Options::default());
    let address = world.deposit_address();
    world.network.pay(&address, 1_000_000);
    world.network.kill("bitcoind");
    world.until("it is noticed", || world.log("relayer-1").contains("waiting for it").then_some(()));
    std::thread::sleep(Duration::from_secs(3));
    let complaints = world.log("relayer-1").matches("waiting for it").count();
    assert!((1..=2).contains(&complaints), "{complaints} complaints: {}", world.network.logs());
    world.network.restart("bitcoind");
    world.until("bitcoind is back", || world.log("relayer-1").contains("bitcoind is back").then_some(()));
    world.network.pay(&world.deposit_address(), 1_000_000); // The mempool may not have survived the kill.
    let second = world.deposit(2_000_000);
    world.until_minted(&second);
    world.expect_whole();
}

#[test]
fn what_a_relayer_cannot_work_with_it_says() {
    let world = World::start(Options { operators: 3, threshold: 2, ..Options::default() });
    let folder = world.operator(3);
    let config = folder.join("relayer.toml");
    let path = config.display().to_string();

    // While one runs, a second one is refused.
    world.refusal(&path, PASSPHRASE).fails_saying(&["in use by another process"]);
    world.network.kill("relayer-3");
    world.refusal(&path, "not the passphrase").fails_saying(&["wrong passphrase"]);

    // bitcoind on another network: it says so and waits.
    let text = std::fs::read_to_string(&config).expect("readable");
    let (mut signet, url, password) = signet(&folder);
    let (own, _) = text.split_once("[bitcoind]").expect("a section");
    let login = format!("[bitcoind]\nurl = \"{url}\"\nuser = \"relayer\"\npassword_file = {:?}\n", password.display());
    std::fs::write(&config, format!("{own}{login}")).expect("writable");
    let mut waiting = world.relayer(&path, &[]);
    world.until("it says so", || world.log("by-hand").contains("is on signet, expected regtest").then_some(()));
    assert!(waiting.try_wait().expect("our child").is_none(), "it does not wait: {}", world.log("by-hand"));
    for child in [&mut waiting, &mut signet] {
        child.kill().expect("our child");
        child.wait().expect("our child");
    }
    std::fs::write(&config, &text).expect("writable");

    // A damaged share.
    let share = folder.join("relayer/key-1");
    let whole = std::fs::read(&share).expect("the share is there");
    std::fs::write(&share, &whole[..whole.len() - 1]).expect("writable");
    world.refusal(&path, PASSPHRASE).fails_saying(&["key-1", "damaged"]);
    std::fs::write(&share, &whole).expect("writable");

    // A misspelt key.
    std::fs::write(&config, format!("polling_ms = 5\n{text}")).expect("writable");
    world.refusal(&path, PASSPHRASE).fails_saying(&["polling_ms"]);
    std::fs::write(&config, text).expect("writable");
    world.network.restart("relayer-3");
    let address = world.deposit(1_000_000);
    world.until_minted(&address);
}
