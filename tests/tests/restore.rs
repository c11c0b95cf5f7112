//! An operator's machine is lost, and another one takes its place from a backup: it votes and signs again, and nothing of the lost one is said twice.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use alloy_primitives::{B256, hex};
use alloy_rpc_types_eth::Filter;
use alloy_sol_types::SolEvent as _;
use bridge::board::{Kind, split_names};
use bridge::io::sidechain::Client;
use bridge::peg::DepositStatus;
use contracts::SigningBoard;
use contracts::address::SIGNING_BOARD;
use serde_json::Value;
use tests::known::{DEVELOPER_0, RECLAIM_KEY, REGTEST_ADDRESS};
use tests::network::{Network, Options};

/// The operator whose machine is lost.
const LOST: u16 = 2;
/// What a restore may take until it signs.
const WITHIN: Duration = Duration::from_secs(15 * 60);
/// Bytes of one pair of nonce commitments.
const COMMITMENT: usize = 66;

/// A post on the signing board.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Post {
    session: B256,
    member: u16,
    kind: u8,
    payload: Vec<u8>,
    block: u64,
}

struct Peg {
    network: Network,
    runtime: tokio::runtime::Runtime,
    node: Client,
}

impl Peg {
    fn start() -> Self {
        let network = Network::start(Options::default());
        let runtime = tokio::runtime::Runtime::new().expect("threads");
        let node = Client::new(&network.rpc(1)).expect("a URL");
        Self { network, runtime, node }
    }

    /// Pays a fresh deposit address, and mines until its coins are there.
    fn deposit(&self, sat: u64) {
        let to = DEVELOPER_0.to_string();
        let made = self.network.causeway(&["peg-in", "--to", &to, "--reclaim-key", RECLAIM_KEY, "--no-wait", "--json"]);
        let address = made.json()[0]["address"].as_str().expect("an address").to_owned();
        self.network.pay(&address, sat);
        self.network.mine_until("the deposit is minted", || {
            let report = self.runtime.block_on(self.node.deposit(&address)).expect("the node answers");
            report.deposits.iter().any(|deposit| deposit.status == DepositStatus::Minted).then_some(())
        });
    }

    /// Asks for a payout; its id.
    fn withdraw(&self) -> String {
        let amount = ["--amount", "200000 sat", "--max-fee", "20000 sat", "--to", REGTEST_ADDRESS];
        let asked = [&["peg-out", "--no-wait", "--yes", "--json", "--dev-account", "0"][..], &amount].concat();
        self.network.causeway(&asked).json()[0]["id"].to_string()
    }

    fn status(&self, id: &str) -> Value {
        self.network.causeway(&["status", id, "--json"]).json().remove(0)
    }

    fn posts(&self) -> Vec<Post> {
        let head = self.runtime.block_on(self.node.block_number()).expect("the node answers");
        let filter = Filter::new().address(SIGNING_BOARD);
        let logs = self.runtime.block_on(self.node.logs(&filter, 0, head)).expect("the node answers");
        let post = |log: &alloy_rpc_types_eth::Log| {
            let SigningBoard::Posted { session, member, kind, payload } =
                SigningBoard::Posted::decode_log(&log.inner).ok()?.data;
            Some(Post { session, member, kind, payload: payload.to_vec(), block: log.block_number? })
        };
        logs.iter().filter_map(post).collect()
    }

    fn log(&self, name: &str) -> String {
        fs::read_to_string(self.network.folder().join(format!("logs/{name}.log"))).unwrap_or_default()
    }

    fn operator(&self) -> std::path::PathBuf {
        self.network.folder().join(format!("operators/{LOST}"))
    }
}

#[test]
fn a_lost_machine_signs_again_from_its_backup_and_says_nothing_twice() {
    let peg = Peg::start();
    peg.deposit(5_000_000);
    let (backup, folder) = (peg.network.home().join("operator.backup"), peg.operator());
    back_up(&peg, &folder, &backup);

    // It goes on: what it promises now is in no backup. The payout is signed, and waits for Bitcoin, when the machine is lost.
    peg.network.mine(6);
    let before = peg.withdraw();
    peg.network.mine_until("the payout is bound", || (peg.status(&before)["status"] != "queued").then_some(()));
    peg.network.until("its member has signed", || {
        let is_share = |post: &Post| post.member == LOST && post.kind == Kind::Shares as u8;
        peg.posts().iter().any(is_share).then_some(())
    });
    let lost_log = fs::read(folder.join("relayer/signed.log")).expect("it has promised");
    for name in ["relayer-2", "validator-2"] {
        peg.network.kill(name);
    }
    let votes = fs::read_dir(folder.join("node/consensus/votes")).expect("it has voted").count();
    assert!(votes > 0 && !lost_log.is_empty());
    fs::remove_dir_all(&folder).expect("lost");

    let began = Instant::now();
    restore(&peg, &backup, &folder);
    for name in ["validator-2", "relayer-2"] {
        peg.network.restart(name);
    }
    println!("from an empty folder to both services started: {} s", began.elapsed().as_secs());
    peg.network.until("it votes behind what it may have voted for", || {
        peg.log("validator-2").contains("votes in the rounds after this block's").then_some(())
    });
    peg.network.until("its record is made anew", || {
        peg.log("relayer-2").contains("what it may have signed is made anew").then_some(())
    });
    peg.network.until("it has its share", || {
        (!folder.join("relayer/restored.json").exists() && folder.join("relayer/signed.log").exists()).then_some(())
    });

    // Without it nothing comes about any more: three of four vote, and three of four sign.
    let head = peg.runtime.block_on(peg.node.block_number()).expect("the node answers");
    for name in ["relayer-4", "validator-4"] {
        peg.network.kill(name);
    }
    peg.deposit(3_000_000);
    let signs = |post: &Post| post.member == LOST && post.kind == Kind::Shares as u8 && post.block > head;
    peg.network.mine_until("it signs", || peg.posts().iter().any(signs).then_some(()));
    println!("from an empty folder to signing again: {} s", began.elapsed().as_secs());
    peg.network.mine_until("the payout of before is paid", || (peg.status(&before)["status"] == "paid").then_some(()));
    let after = peg.withdraw();
    peg.network.mine_until("one of now is paid", || (peg.status(&after)["status"] == "paid").then_some(()));
    assert!(began.elapsed() < WITHIN, "{:?}", began.elapsed());
    let posts = peg.posts();
    nothing_is_said_twice(&posts);
    for name in ["validator-1", "validator-3", "validator-4"] {
        assert!(
            !peg.log(name).contains("conflicting"),
            "{name} saw a vote that contradicts another:\n{}",
            peg.log(name)
        );
    }
}

fn back_up(peg: &Peg, folder: &Path, backup: &Path) {
    let make = of_the_page("causeway operator backup ", folder, backup);
    let make: Vec<&str> = make.iter().map(String::as_str).collect();
    let made = peg.network.causeway(&make).json().remove(0);
    let names =
        ["genesis.json", "node.toml", "operator.keystore", "relayer.toml", "relayer/key-1", "validator.keystore"];
    assert_eq!(made["files"], serde_json::json!(names));
    peg.network.causeway(&make).fails_saying(&["an older backup is not overwritten"]);
    let share = fs::read(folder.join("relayer/key-1")).expect("the share");
    let text = fs::read_to_string(backup).expect("written");
    assert!(text.contains(&hex::encode(share)), "the share is in it as it is on the disk: sealed");
}

fn restore(peg: &Peg, backup: &Path, folder: &Path) {
    let done = of_the_page("causeway operator restore ", folder, backup);
    let done: Vec<&str> = done.iter().map(String::as_str).collect();
    let unsaid: Vec<&str> = done.iter().filter(|word| **word != "--machine-is-lost").copied().collect();
    peg.network.causeway(&unsaid).fails_saying(&["--machine-is-lost", "two machines of one operator"]);
    assert!(!folder.exists(), "nothing is written before");
    assert_eq!(peg.network.causeway(&done).json()[0]["event"], "restored");
    peg.network.causeway(&done).fails_saying(&["is not empty", "never over what is there"]);
    for never in ["node", "relayer/signed.log"] {
        assert!(!folder.join(never).exists(), "{never} came back");
    }
}

/// A command of docs/operators.md, with this operator's files in the place of its own, and answers for programs.
fn of_the_page(command: &str, folder: &Path, backup: &Path) -> Vec<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operators.md");
    let page = fs::read_to_string(page).expect("in the repository");
    let line = page.lines().map(str::trim).find(|line| line.starts_with(command)).expect("it is on the page");
    let file = |word: &str| match word {
        "node.toml" | "relayer.toml" => folder.join(word).display().to_string(),
        "alice.backup" => backup.display().to_string(),
        "alice" => folder.display().to_string(),
        word => word.to_owned(),
    };
    line.split(' ').skip(1).map(file).chain(["--json".to_owned()]).collect()
}

/// No nonce has a second commitment, no session two answers of one member, and no session shares that were made anew.
fn nothing_is_said_twice(posts: &[Post]) {
    let mut nonces = BTreeMap::new();
    let mut said = BTreeMap::new();
    for post in posts.iter().filter(|post| post.member == LOST) {
        let before = said.insert((post.session, post.kind), post.payload.clone());
        assert!(before.is_none_or(|before| before == post.payload), "two answers in one session: {post:?}");
        if post.kind == Kind::Approval as u8 || post.kind == Kind::Commitments as u8 {
            let (commitments, _) = split_names(&post.payload).expect("its own");
            for pair in commitments.chunks(COMMITMENT) {
                let other = nonces.insert(pair.to_vec(), post.session);
                assert!(other.is_none_or(|other| other == post.session), "a nonce is used twice: {post:?}");
            }
        }
    }
    assert!(!nonces.is_empty(), "it never committed");
}
