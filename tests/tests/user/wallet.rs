//! One wallet for both sides: used without being named, shown to have a backup first, and found again from its words.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};

use alloy_primitives::{Address, U256};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use bitcoin::hashes::Hash as _;
use bitcoin::secp256k1::SECP256K1;
use bitcoin::{PrivateKey, Psbt};
use bridge::io::wallet::Seed;
use serde_json::{Value, json};
use tests::binary::{self, Finished};
use tests::known::{DEVELOPER_0, DEVELOPER_1, RECLAIM_KEY, REGTEST_ADDRESS};
use tests::lone_node::LoneNode;
use tests::network::{Network, Options};
use tests::relay::Relay;

/// The developers' mnemonic: account 0 of it is rich on a development network.
const DEVELOPERS: &str = "test test test test test test test test test test test junk";
const OTHER: &str = "legal winner thank year wave sausage worth useful legal winner thank yellow";
/// Taken before coins.
const PASSPHRASE: &str = "lunar pocket anvil mustard tram";

/// `causeway wallet ...` of a home folder, for scripts.
fn wallet(home: &Path, arguments: &[&str], input: &str) -> Finished {
    binary::run(home, [&["wallet"], arguments, &["--passphrase-stdin", "--json"]].concat(), input)
}

/// Makes a wallet as a script does that reads which words are asked for, and answers; the words.
fn create(home: &Path, answer: impl FnOnce(&[&str], &[usize]) -> String) -> (String, Finished) {
    let mut child = binary::spawn(home, ["wallet", "create", "--birthday", "0", "--passphrase-stdin", "--json"]);
    let mut input = child.stdin.take().expect("piped");
    input.write_all(format!("{PASSPHRASE}\n").as_bytes()).expect("it reads");
    let mut line = String::new();
    let mut output = BufReader::new(child.stdout.take().expect("piped"));
    output.read_line(&mut line).expect("it writes");
    let shown: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let words = shown["mnemonic"].as_str().expect("words").to_owned();
    assert!(shown.get("account").is_none(), "an address before the check: {shown}");
    let asked: Vec<usize> = serde_json::from_value(shown["asked"].clone()).expect("numbers");
    let listed: Vec<&str> = words.split(' ').collect();
    input.write_all(format!("{}\n", answer(&listed, &asked)).as_bytes()).expect("it reads");
    drop(input);
    (words, binary::end(child, "causeway").into())
}

fn account_in(shown: &Value) -> Address {
    shown["account"].as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("no account: {shown}"))
}

fn succeeds(finished: &Finished) {
    assert_eq!(finished.code, Some(0), "{finished}");
}

fn right(words: &[&str], asked: &[usize]) -> String {
    asked.iter().map(|position| words[position - 1]).collect::<Vec<_>>().join(" ")
}

#[test]
fn no_address_is_shown_before_the_backup_was_checked_and_then_it_is() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let home = folder.path();
    binary::run(home, ["wallet", "address"], "").fails_saying(&["there is no wallet", "causeway wallet create"]);
    let (words, unchecked) = create(home, |_, _| String::new());
    unchecked.fails_saying(&["were not given again", "causeway wallet check"]);
    for command in ["address", "account"] {
        binary::run(home, ["wallet", command], "")
            .fails_saying(&["never shown to have a backup", "causeway wallet check"]);
    }
    wallet(home, &["check"], &format!("{OTHER}\n")).fails_saying(&["words of another wallet"]);
    wallet(home, &["check"], "lunar pocket\n").fails_saying(&["not the words of a mnemonic"]);
    binary::run(home, ["wallet", "address"], "").fails_saying(&["causeway wallet check"]);
    let checked = wallet(home, &["check"], &format!("  {}\n", words.to_uppercase())).json().remove(0);
    let account = Seed::parse(&words).expect("its words").account_address();
    assert_eq!((&checked["checked"], account_in(&checked)), (&true.into(), account));
    let shown = binary::run(home, ["wallet", "address"], "");
    assert!(shown.code == Some(0) && shown.stdout.starts_with("bcrt1p"), "{shown}");
    assert_eq!(binary::run(home, ["wallet", "account"], "").stdout.trim(), account.to_string());
}

/// Nobody had time to write the words down, and no address was shown that anybody could pay.
#[test]
fn a_wallet_whose_making_was_interrupted_shows_no_address_and_says_what_to_do() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let home = folder.path();
    let making = ["wallet", "create", "--birthday", "0", "--passphrase-stdin", "--json"];
    let mut child = binary::spawn(home, making);
    let mut input = child.stdin.take().expect("piped");
    input.write_all(format!("{PASSPHRASE}\n").as_bytes()).expect("it reads");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("it writes");
    assert!(line.contains("mnemonic"), "{line}");
    child.kill().expect("it waits for words");
    child.wait().expect("it ends");

    let told = ["interrupted", "nobody was shown an address", "mv '", "causeway wallet check"];
    for command in
        [&["address"][..], &["account"], &["balance"], &["history"], &["export", "--descriptors"], &making[1..]]
    {
        binary::run(home, [&["wallet"], command].concat(), "").fails_saying(&told);
    }
    let kept = home.join(".local/share/causeway");
    let refused = wallet(home, &["create", "--birthday", "0"], "").stderr;
    let moves = refused.split("move it away (").nth(1).and_then(|rest| rest.split(')').next()).expect("a command");
    let moved = std::process::Command::new("sh").args(["-c", moves]).status().expect("a shell");
    assert!(moved.success() && kept.is_dir(), "{moves}");
    let (_, done) = create(home, right);
    succeeds(&done);
    wallet(home, &["create", "--birthday", "0"], "").fails_saying(&["already a wallet"]);
}

#[test]
fn three_words_of_those_shown_are_enough_and_wrong_ones_are_not() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (wrong, made) = (folder.path().join("wrong"), folder.path().join("right"));
    let (_, refused) = create(&wrong, |words, asked| right(words, &[asked[1], asked[0], asked[2]]) + " zoo");
    refused.fails_saying(&["these are not words", "shows no address before"]);
    binary::run(&wrong, ["wallet", "account"], "").fails_saying(&["causeway wallet check"]);
    let (_, done) = create(&made, right);
    succeeds(&done);
    succeeds(&binary::run(&made, ["wallet", "account"], ""));
}

#[test]
fn a_backup_file_is_opened_again_and_makes_the_wallet_anew() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (home, lost) = (folder.path().join("home"), folder.path().join("lost"));
    let file = folder.path().join("stick.json").display().to_string();
    let create = ["create", "--birthday", "7", "--backup", &file];
    let made = wallet(&home, &create, &format!("{PASSPHRASE}\n")).json().remove(0);
    assert!(made.get("mnemonic").is_none(), "{made}");
    assert_eq!(binary::run(&home, ["wallet", "account"], "").stdout.trim(), account_in(&made).to_string());

    wallet(&lost, &create, &format!("{PASSPHRASE}\n")).fails_saying(&["exists already", "replaces no file"]);
    wallet(&home, &["check", "--backup", &file], "wrong horse\n").fails_saying(&["wrong passphrase"]);
    succeeds(&wallet(&home, &["check", "--backup", &file], &format!("{PASSPHRASE}\n")));
    let own = home.join(".local/share/causeway/wallet/regtest/seed.json").display().to_string();
    wallet(&home, &["check", "--backup", &own], &format!("{PASSPHRASE}\n")).fails_saying(&["the wallet's own file"]);

    let restored = wallet(&lost, &["restore", "--backup", &file], &format!("{PASSPHRASE}\n")).json().remove(0);
    assert_eq!((&restored["account"], &restored["birthday"]), (&made["account"], &7.into()));
    let (other, refused) = (folder.path().join("other"), &["check", "--backup", &file]);
    succeeds(&wallet(&other, &["restore"], &format!("{PASSPHRASE}\n{OTHER}\n")));
    wallet(&other, refused, &format!("{PASSPHRASE}\n")).fails_saying(&["of another wallet"]);
}

#[test]
fn a_command_without_an_account_signs_with_the_wallet_and_says_how_to_make_one() {
    let node = LoneNode::start(&[DEVELOPER_0]);
    let pay_out = ["peg-out", "--no-wait", "--json", "--trust-node", "--yes", "--amount", "0.1 BTC"];
    let pay_out = [&pay_out[..], &["--max-fee", "5000 sat", "--to", REGTEST_ADDRESS]].concat();
    node.causeway(&pay_out, "").fails_saying(&["which account?", "causeway wallet create"]);
    succeeds(&wallet(&node.home(), &["restore"], &format!("{PASSPHRASE}\n{DEVELOPERS}\n")));
    let signed = |option: &[&str], input: &str| node.causeway(&[&pay_out[..], option].concat(), input);
    signed(&["--passphrase-stdin"], "wrong horse\n").fails_saying(&["wrong passphrase"]);
    assert_eq!(signed(&["--passphrase-stdin"], &format!("{PASSPHRASE}\n")).json()[0]["id"], 1);

    // A service's passphrase, from a file that others cannot read.
    let file = node.home().join("passphrase");
    std::fs::write(&file, format!("{PASSPHRASE}\n")).expect("written");
    let by_file =
        ["cancel", "1", "--json", "--trust-node", "--yes", "--passphrase-file", file.to_str().expect("UTF-8")];
    node.causeway(&by_file, "").fails_saying(&["chmod 600"]);
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("ours");
    assert_eq!(node.causeway(&by_file, "").json()[0]["event"], "cancelled");

    // Coins just go to somebody; the cost is shown, and agreed to.
    let to = DEVELOPER_1.to_string();
    let send = ["wallet", "send", "--to", &to, "--trust-node", "--json", "--passphrase-stdin"];
    let send = |more: &[&str]| node.causeway(&[&send[..], more].concat(), &format!("{PASSPHRASE}\n"));
    send(&["--amount", "5 BTC", "--yes"]).fails_saying(&["less than the 5 BTC"]);
    send(&["--amount", "0.01 BTC"]).fails_saying(&["nobody is here to agree", "--yes"]);
    let sent = send(&["--amount", "0.01 BTC", "--yes"]);
    assert_eq!(sent.json()[0]["amountSat"], 1_000_000, "{sent}");
    assert!(
        sent.stderr.contains("send coins, and call nothing") && sent.stderr.contains("Gas        at most"),
        "{sent}"
    );
    let bridge = contracts::address::BRIDGE.to_string();
    let astray = ["wallet", "send", "--to", &bridge, "--amount", "1 sat", "--trust-node", "--passphrase-stdin"];
    node.causeway(&astray, "").fails_saying(&["causeway peg-out"]);

    // Of a developer's account nobody is asked.
    let by_name = ["peg-out", "--no-wait", "--json", "--dev-account", "0", "--amount", "0.2 BTC"];
    let by_name = [&by_name[..], &["--max-fee", "5000 sat", "--to", REGTEST_ADDRESS]].concat();
    assert_eq!(node.causeway(&by_name, "").json()[0]["id"], 2);
}

/// Nobody answers there.
const NO_BITCOIND: [&str; 2] = ["--bitcoin", "http://127.0.0.1:1"];

/// Wei in a line of the history.
fn wei(line: &Value, name: &str) -> U256 {
    let digits = text(line, name);
    assert!(digits.bytes().all(|digit| digit.is_ascii_digit()), "{name} is not decimal: {line}");
    digits.parse().unwrap_or_else(|error| panic!("{error}: {line}"))
}

#[test]
fn payments_on_the_sidechain_are_in_the_history_to_the_wei_and_an_account_is_emptied_to_the_wei() {
    let node = LoneNode::start(&[DEVELOPER_0]);
    succeeds(&wallet(&node.home(), &["restore"], &format!("{PASSPHRASE}\n{DEVELOPERS}\n")));
    let friend = node.home().join("friend");
    let of_friend = ["--home", friend.to_str().expect("UTF-8")];
    let made = wallet(&node.home(), &[&["restore"][..], &of_friend].concat(), &format!("{PASSPHRASE}\n{OTHER}\n"));
    let friends = account_in(&made.json()[0]).to_string();
    let send = |to: &str, what: &[&str]| {
        let arguments = ["wallet", "send", "--to", to, "--trust-node", "--json", "--passphrase-stdin"];
        node.causeway(&[&arguments[..], what].concat(), &format!("{PASSPHRASE}\n"))
    };
    let history = |more: &[&str]| {
        let arguments = ["wallet", "history", "--trust-node", "--json"];
        node.causeway(&[&arguments[..], &NO_BITCOIND, more].concat(), "").json().remove(0)
    };
    let nothing = history(&of_friend);
    assert_eq!((&nothing["movements"], &nothing["more"]), (&Value::Array(vec![]), &false.into()), "{nothing}");
    assert!(nothing["unseen"][0].as_str().is_some_and(|why| why.starts_with("Bitcoin after block 0")), "{nothing}");
    let empty = send(&DEVELOPER_0.to_string(), &[&["--all", "--yes"][..], &of_friend].concat());
    empty.fails_saying(&["has 0 BTC", "nothing would arrive"]);

    // There and back: nothing stays.
    succeeds(&send(&friends, &["--amount", "0.01 BTC", "--yes"]));
    let all = [&["--all"][..], &of_friend].concat();
    let unasked = send(&DEVELOPER_0.to_string(), &all);
    unasked.fails_saying(&["All        0.0099", "of 0.01 BTC", "nobody is here to agree", "--yes"]);
    let back = send(&DEVELOPER_0.to_string(), &[&all[..], &["--yes"]].concat());
    let sent = back.json().remove(0);
    assert_eq!(wei(&sent, "leftWei"), U256::ZERO, "{back}");
    let seen = history(&of_friend);
    let [out, income] = &seen["movements"].as_array().expect("a list")[..] else { panic!("two lines: {seen}") };
    assert_eq!((text(out, "transaction"), wei(out, "sentWei")), (text(&sent, "transaction"), wei(&sent, "amountWei")));
    assert_eq!(text(income, "from").to_lowercase(), DEVELOPER_0.to_string().to_lowercase());
    assert_eq!(wei(income, "receivedWei"), U256::from(10).pow(U256::from(16)), "{seen}");
    assert_eq!(wei(out, "sentWei") + wei(out, "feeWei"), wei(income, "receivedWei"), "{seen}");

    // A withdrawal is one line; what comes back when it is cancelled is another, and what that cost a third.
    let pay_out = ["peg-out", "--no-wait", "--json", "--trust-node", "--yes", "--amount", "0.1 BTC", "--to"];
    let pay_out = [&pay_out[..], &[REGTEST_ADDRESS, "--passphrase-stdin"]].concat();
    succeeds(&node.causeway(&pay_out, &format!("{PASSPHRASE}\n")));
    let cancel = ["cancel", "1", "--json", "--trust-node", "--yes", "--passphrase-stdin"];
    succeeds(&node.causeway(&cancel, &format!("{PASSPHRASE}\n")));
    let seen = history(&[]);
    let lines = seen["movements"].as_array().expect("a list");
    let sides: Vec<&str> = lines.iter().map(|line| text(line, "side")).collect();
    assert_eq!(sides.iter().filter(|side| **side == "withdrawal").count(), 1, "{seen}");
    assert_eq!((sides.len(), &seen["more"]), (5, &false.into()), "{seen}");
    assert!(lines.is_sorted_by_key(|line| std::cmp::Reverse(line["time"].as_u64())), "{seen}");
    let by_contracts: Vec<_> =
        lines.iter().filter(|line| line["side"] == "sidechain" && line["transaction"].is_null()).collect();
    assert_eq!(by_contracts.len(), 1, "{seen}");
    assert_eq!(wei(by_contracts[0], "receivedWei"), U256::from(10).pow(U256::from(17)), "{seen}");
    assert_eq!(by_contracts[0]["returned"], json!([1]), "{seen}");
    let asked: Vec<&Value> = lines.iter().filter_map(|line| line.get("asked")).collect();
    assert_eq!(asked, [&json!({ "call": "cancel", "id": 1 })], "{seen}");

    // A page has the newest, and says that there are others.
    let page = history(&["--limit", "2"]);
    assert_eq!((&page["movements"].as_array().map(Vec::len), &page["more"]), (&Some(2), &true.into()), "{page}");
    assert_eq!(page["movements"][0], lines[0]);
    let arguments = [&["wallet", "history", "--trust-node"][..], &NO_BITCOIND].concat();
    let shown = node.causeway(&arguments, "");
    for told in [
        "to 0x",
        "from 0x",
        ", gas 0.000000",
        "+0.1 BTC            back from withdrawal 1, in block",
        "gas of the cancel of withdrawal 1 (0x",
        "number 1 cancelled",
        "Not in this list: Bitcoin",
    ] {
        assert!(shown.stdout.contains(told), "{told:?} is not told: {shown}");
    }
    assert!(!shown.stdout.contains("-0 BTC"), "a movement of nothing: {shown}");
}

/// Between a user and a node, for one transaction: hands it in to nobody, and says then that another one took its nonce.
fn keeping(node: &LoneNode) -> Relay {
    const SENT: &str = "eth_sendRawTransaction";
    let (is_sent, honest) = (AtomicBool::new(false), node.url());
    Relay::before_keeping(&honest, SENT, move |method, parameters, answer| match method {
        SENT => {
            is_sent.store(true, Ordering::Relaxed);
            let raw: alloy_primitives::Bytes = serde_json::from_value(parameters[0].clone()).expect("bytes");
            answer["result"] = json!(alloy_primitives::keccak256(raw));
        }
        "eth_getTransactionCount" if is_sent.load(Ordering::Relaxed) => answer["result"] = json!("0x1"),
        _ => {}
    })
}

// The fee of the second is another, and so is its amount: it takes the place of the first all the same.
#[test]
fn an_account_that_is_emptied_is_emptied_once_whether_the_first_goes_on_or_is_signed_anew() {
    let node = LoneNode::start(&[DEVELOPER_0]);
    let friend = node.home().join("friend");
    let of_friend = ["--home", friend.to_str().expect("UTF-8")];
    succeeds(&wallet(&node.home(), &["restore"], &format!("{PASSPHRASE}\n{DEVELOPERS}\n")));
    let made = wallet(&node.home(), &[&["restore"][..], &of_friend].concat(), &format!("{PASSPHRASE}\n{OTHER}\n"));
    let friends = account_in(&made.json()[0]).to_string();
    let send = |rpc: &str, to: &str, more: &[&str]| {
        let arguments =
            ["wallet", "send", "--all", "--to", to, "--trust-node", "--json", "--yes", "--passphrase-stdin"];
        binary::run(&node.home(), [&arguments[..], &["--rpc", rpc], more].concat(), &format!("{PASSPHRASE}\n"))
    };
    let kept_in = |home: &Path| std::fs::read_dir(home.join("requests")).map_or(0, |files| files.flatten().count());
    let own = node.home().join(".local/share/causeway");

    send(&keeping(&node).url, &friends, &[]).fails_saying(&["So says the node"]);
    assert_eq!(kept_in(&own), 1);
    let anew = send(&node.url(), &friends, &["--again"]);
    assert_eq!(wei(&anew.json()[0], "leftWei"), U256::ZERO, "{anew}");
    assert_eq!(kept_in(&own), 0, "the first is forgotten: {anew}");

    let back = DEVELOPER_0.to_string();
    send(&keeping(&node).url, &back, &of_friend).fails_saying(&["So says the node"]);
    let on = send(&node.url(), &back, &of_friend);
    assert!(on.stderr.contains("The same was sent before"), "{on}");
    assert_eq!((wei(&on.json()[0], "leftWei"), kept_in(&friend)), (U256::ZERO, 0), "{on}");
    // A contract's gas is not known to the wei.
    let contract = contracts::address::MICRO_CHANNEL.to_string();
    assert_ne!(send(&node.url(), &contract, &[]).code, Some(0));
}

#[test]
fn a_passphrase_comes_through_a_file_descriptor_that_a_service_leaves_open() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("words");
    std::fs::write(&file, format!("{OTHER}\n")).expect("written");
    let script = format!(
        "exec 7<<END\n{PASSPHRASE}\nEND\nexec {} wallet restore --json --passphrase-fd 7 < {}",
        binary::path().display(),
        file.display()
    );
    let mut shell = std::process::Command::new("bash");
    shell.args(["-c", &script]).env("HOME", folder.path()).env_remove("XDG_DATA_HOME");
    let child = shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("bash");
    let made = Finished::from(binary::end(child, "causeway")).json().remove(0);
    assert_eq!(account_in(&made), Seed::parse(OTHER).expect("BIP39's").account_address());
    let closed = std::fs::File::open(&file).map(|file| file.as_raw_fd().max(50)).expect("there").to_string();
    binary::run(folder.path(), ["wallet", "send", "--to", REGTEST_ADDRESS, "--all", "--passphrase-fd", &closed], "")
        .fails_saying(&["file descriptor", "cannot be read"]);
}

/// The reclaim delay of a local network, in blocks.
const RECLAIM_DELAY: u32 = 1008;

/// A user with a wallet on a network, whose home folder can be lost.
struct Owner<'a> {
    network: &'a Network,
    home: std::path::PathBuf,
}

impl Owner<'_> {
    fn run(&self, arguments: &[&str], input: &str) -> Finished {
        let (rpc, (bitcoin, cookie)) = (self.network.rpc(1), self.network.bitcoin());
        let mut command = binary::command(&self.home, arguments);
        command.env("CAUSEWAY_RPC", rpc).env("CAUSEWAY_BITCOIN", bitcoin).env("CAUSEWAY_BITCOIN_COOKIE", cookie);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let _ = child.stdin.take().expect("piped").write_all(input.as_bytes()); // One that fails early does not read.
        binary::end(child, "causeway").into()
    }

    /// An address, for which no passphrase is asked.
    fn peg_in(&self, more: &[&str]) -> Value {
        let genesis = self.network.folder().join("genesis.json").display().to_string();
        let arguments = ["peg-in", "--no-wait", "--json", "--genesis", &genesis];
        self.run(&[&arguments[..], more].concat(), "").json().remove(0)
    }

    fn restore(&self) {
        let restored =
            self.run(&["wallet", "restore", "--passphrase-stdin", "--json"], &format!("{PASSPHRASE}\n{OTHER}\n"));
        succeeds(&restored);
    }

    /// All that is found again from the words.
    fn recover(&self) -> Vec<Value> {
        let genesis = self.network.folder().join("genesis.json").display().to_string();
        self.run(&["wallet", "recover", "--json", "--genesis", &genesis], "").json()
    }

    fn lose_everything(&self) {
        std::fs::remove_dir_all(self.home.join(".local")).expect("there");
    }
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("{name} of {value}"))
}

#[test]
fn the_words_alone_find_every_deposit_again_and_take_back_what_was_not_swept() {
    let network = Network::start(Options::default());
    let owner = Owner { network: &network, home: network.home().join("owner") };
    let account = Seed::parse(OTHER).expect("BIP39's").account_address().to_string().to_lowercase();
    owner.run(&["peg-in", "--no-wait"], "").fails_saying(&["who gets the coins?", "causeway wallet create"]);
    owner.restore();

    // Swept: key 0, with the usual maximum. To somebody else: key 1, and what the ledger has proven tells its terms.
    let (swept, given) = (owner.peg_in(&["--amount", "0.5 BTC"]), owner.peg_in(&["--to", &DEVELOPER_1.to_string()]));
    assert_eq!((text(&swept, "recipient"), &swept["derived"]), (account.as_str(), &true.into()));
    assert_eq!(
        (text(&given, "claimant"), &given["derived"]),
        (DEVELOPER_1.to_string().to_lowercase().as_str(), &false.into())
    );
    network.pay(text(&swept, "address"), 50_000_000);
    network.pay(text(&given, "address"), 20_000_000);
    let is_minted = |address: &str| {
        let status = owner.run(&["status", address, "--json"], "").json().remove(0);
        (status["deposits"][0]["status"] == "minted").then_some(())
    };
    network.mine_until("the coins are minted", || is_minted(text(&swept, "address")));
    network.mine_until("the other's coins are minted", || is_minted(text(&given, "address")));

    // Not swept: a maximum that is rounded, several keys further on.
    (1..=4).for_each(|index| network.kill(&format!("relayer-{index}")));
    for _ in 2..9 {
        owner.peg_in(&[]);
    }
    let unswept = owner.peg_in(&["--max-fee", "3456 sat"]);
    assert_eq!((&unswept["maxFeeSat"], &unswept["derived"]), (&3_000.into(), &true.into()));
    let record: Value = serde_json::from_slice(&std::fs::read(text(&unswept, "record")).expect("kept")).expect("JSON");
    assert_eq!(record["reclaimIndex"], 9);
    let address = text(&unswept, "address").to_owned();
    network.pay(&address, 5_000_000);
    // To somebody else, which the words do not tell.
    let astray = owner.peg_in(&["--to", &DEVELOPER_1.to_string()]);
    network.pay(text(&astray, "address"), 3_000_000);
    // Also not swept: one that a key elsewhere can take back, as hardware does.
    let elsewhere = owner.peg_in(&["--reclaim-key", RECLAIM_KEY]);
    assert_eq!(elsewhere["derived"], false);
    let kept = std::fs::read(text(&elsewhere, "record")).expect("kept");
    network.pay(text(&elsewhere, "address"), 4_000_000);
    network.mine(1);

    owner.lose_everything();
    let reclaim =
        ["reclaim", &address, "--to", REGTEST_ADDRESS, "--fee-rate", "5", "--json", "--yes", "--passphrase-stdin"];
    owner.run(&reclaim, "").fails_saying(&["no record of"]);
    owner.restore();
    let found = owner.recover();
    let of =
        |address: &str| found.iter().find(|event| event["address"] == address).unwrap_or_else(|| panic!("{found:?}"));
    let back = of(&address);
    assert_eq!((&back["index"], &back["unspent"][0]["valueSat"]), (&9.into(), &5_000_000.into()), "{back}");
    assert_eq!(back["unspent"][0]["wait"], RECLAIM_DELAY - 1, "{back}");
    let deposit = |address: &str| of(address)["deposits"][0].clone();
    assert_eq!(deposit(text(&swept, "address"))["status"], "minted");
    assert_eq!(deposit(text(&given, "address"))["recipient"], DEVELOPER_1.to_string().to_lowercase());
    let last = found.last().expect("a summary");
    assert_eq!((&last["addresses"], &last["unspentSat"], &last["keys"]), (&3.into(), &5_000_000.into(), &30.into()));
    // Both sides at a glance.
    let genesis = network.folder().join("genesis.json").display().to_string();
    let look = |what| owner.run(&["wallet", what, "--json", "--genesis", &genesis], "").json().remove(0);
    let (balance, minted) = (look("balance"), deposit(text(&swept, "address"))["mintedSat"].as_u64().expect("minted"));
    let coins = (u128::from(minted) * 10_000_000_000).to_string();
    assert_eq!(
        (text(&balance["sidechain"], "coinWei"), &balance["sidechain"]["proven"]),
        (coins.as_str(), &true.into())
    );
    assert_eq!((&balance["confirmedSat"], &balance["sidechain"]["comingSat"]), (&0.into(), &0.into()), "{balance}");
    let history = look("history");
    // The deposit is one line: its coins are no payment besides.
    let listed = history["movements"].as_array().expect("a list");
    assert_eq!((listed.len(), &listed[0]["side"], &listed[0]["mintedSat"]), (1, &"deposit".into(), &minted.into()));
    assert!(listed[0]["time"].as_u64().is_some_and(|time| time > 1_600_000_000), "{history}");
    assert_eq!((&history["unseen"], &history["more"]), (&Value::Array(vec![]), &false.into()), "{history}");
    // A second time changes nothing, and new keys are used behind those that were found.
    assert_eq!(owner.recover(), found);
    let next = owner.peg_in(&[]);
    let record: Value = serde_json::from_slice(&std::fs::read(text(&next, "record")).expect("kept")).expect("JSON");
    assert_eq!(record["reclaimIndex"], 10);

    network.mine(RECLAIM_DELAY - 2);
    owner.run(&reclaim, &format!("{PASSPHRASE}\n")).fails_saying(&["1 more block(s)"]);
    network.mine(1);
    owner.run(&reclaim, "wrong horse\n").fails_saying(&["wrong passphrase"]);
    let reclaimed = owner.run(&reclaim, &format!("{PASSPHRASE}\n")).json().remove(0);
    assert_eq!(reclaimed["amountSat"].as_u64().expect("sat") + reclaimed["feeSat"].as_u64().expect("sat"), 5_000_000);

    let to = DEVELOPER_1.to_string();
    let named = ["wallet", "recover", "--json", "--genesis", &genesis, "--to", &to];
    let found = owner.run(&named, "").json();
    let is_astray =
        |event: &Value| event["address"] == astray["address"] && event["unspent"][0]["valueSat"] == 3_000_000;
    assert!(found.iter().any(is_astray), "{found:?}");
    // What was found is not forgotten: `status` reads new blocks only, and this one is a week old.
    let too_old =
        found.iter().find(|event| is_astray(event)).map(|event| &event["unspent"][0]["unsweepable"]["reason"]);
    assert_eq!(too_old, Some(&"tooOld".into()), "{found:?}");
    let status = owner.run(&["status", text(&astray, "address"), "--json"], "").json().remove(0);
    assert_eq!((&status["payments"][0]["amountSat"], status.get("unseen")), (&3_000_000.into(), None), "{status}");

    std::fs::write(text(&elsewhere, "record"), kept).expect("written");
    a_key_elsewhere_signs_a_psbt(&owner, text(&elsewhere, "address"));
    bitcoin_is_sent_when_somebody_agreed_to_what_was_shown(&owner);
}

fn bitcoin_is_sent_when_somebody_agreed_to_what_was_shown(owner: &Owner<'_>) {
    let own = owner.run(&["wallet", "address", "--json"], "").json().remove(0);
    owner.network.pay(text(&own, "address"), 1_000_000);
    owner.network.mine(1);
    let send = ["wallet", "send", "--to", REGTEST_ADDRESS, "--amount", "0.002 BTC", "--fee-rate", "5", "--json"];
    let send =
        |more: &[&str]| owner.run(&[&send[..], &["--passphrase-stdin"], more].concat(), &format!("{PASSPHRASE}\n"));
    send(&[]).fails_saying(&["send bitcoin", REGTEST_ADDRESS, "0.002 BTC", "Fee", "nobody is here to agree", "--yes"]);
    let sent = send(&["--yes"]).json().remove(0);
    assert_eq!(sent["amountSat"], 200_000, "{sent}");
}

/// The transaction goes out unsigned and comes back signed: by the right key, and to the right address, or it is not sent.
fn a_key_elsewhere_signs_a_psbt(owner: &Owner<'_>, address: &str) {
    let file = |name: &str| owner.home.join(name).display().to_string();
    let reclaim = ["reclaim", address, "--to", REGTEST_ADDRESS, "--fee-rate", "5", "--json"];
    let run = |more: &[&str]| owner.run(&[&reclaim[..], more].concat(), "");
    let (unsigned, signed) = (file("unsigned.psbt"), file("signed.psbt"));
    let written = run(&["--psbt", &unsigned]).json().remove(0);
    assert_eq!(written["amountSat"].as_u64().expect("sat") + written["feeSat"].as_u64().expect("sat"), 4_000_000);
    run(&["--psbt", &unsigned]).fails_saying(&["exists and is not overwritten"]);
    run(&["--signed", &unsigned]).fails_saying(&["is not signed by the reclaim key", RECLAIM_KEY]);

    let psbt = std::fs::read_to_string(&unsigned).expect("written");
    let psbt = Psbt::deserialize(&BASE64_STANDARD.decode(psbt.trim()).expect("base64")).expect("a PSBT");
    let sign = |mut psbt: Psbt, secret: u8| {
        let mut key = [0; 32];
        key[31] = secret;
        let key = PrivateKey::from_slice(&key, bitcoin::NetworkKind::Test).expect("a key");
        let keys = BTreeMap::from([(key.public_key(SECP256K1), key)]);
        let _ = psbt.sign(&keys, SECP256K1); // A key that is not asked for signs nothing.
        psbt
    };
    let keep = |psbt: &Psbt| std::fs::write(&signed, psbt.serialize()).expect("written");
    keep(&sign(psbt.clone(), 2));
    run(&["--signed", &signed]).fails_saying(&["is not signed by the reclaim key"]);
    let mut astray = psbt.clone();
    astray.unsigned_tx.output[0].script_pubkey = bitcoin::ScriptBuf::new_p2wpkh(&bitcoin::WPubkeyHash::all_zeros());
    keep(&sign(astray.clone(), 1));
    run(&["--signed", &signed]).fails_saying(&["pays somebody else than", REGTEST_ADDRESS]);
    let mut lying = psbt.clone();
    lying.inputs[0].witness_utxo.as_mut().expect("there").value += bitcoin::Amount::from_sat(1);
    keep(&sign(lying, 1));
    run(&["--signed", &signed]).fails_saying(&["spent, not ripe, or another amount"]);
    let right = sign(psbt, 1);
    let mut replayed = astray;
    replayed.inputs = right.inputs.clone();
    keep(&replayed);
    run(&["--signed", &signed]).fails_saying(&["the signature of input 0 is not one of"]);
    keep(&right);
    let sent = run(&["--signed", &signed, "--yes"]).json().remove(0);
    assert_eq!((&sent["amountSat"], &sent["feeSat"]), (&written["amountSat"], &written["feeSat"]));
}

#[test]
fn an_account_goes_to_ethereum_wallets_and_back_as_a_web3_keystore() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let home = folder.path();
    let file = |name: &str| home.join(name).display().to_string();
    let (ours, theirs, imported) = (file("ours.json"), file("theirs.json"), file("imported.keystore"));
    succeeds(&wallet(home, &["restore"], &format!("{PASSPHRASE}\n{OTHER}\n")));
    let account = Seed::parse(OTHER).expect("BIP39's").account_address();
    succeeds(&wallet(home, &["export", "--keystore", &ours], &format!("{PASSPHRASE}\n")));
    wallet(home, &["export", "--keystore", &ours], &format!("{PASSPHRASE}\n")).fails_saying(&["exists"]);

    // ethers reads what was written here, and writes what is read here.
    let script = "import { Wallet } from 'ethers'; import { readFileSync, writeFileSync } from 'fs';
        const [ours, theirs, passphrase] = process.argv.slice(1);
        const wallet = Wallet.fromEncryptedJsonSync(readFileSync(ours, 'utf8'), passphrase);
        writeFileSync(theirs, wallet.encryptSync(passphrase)); console.log(wallet.address);";
    let clients = concat!(env!("CARGO_MANIFEST_DIR"), "/clients");
    let mut node = std::process::Command::new("node");
    node.args(["--input-type=module", "-e", script, &ours, &theirs, PASSPHRASE])
        .current_dir(clients)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let node = node.spawn().expect("node");
    let shown = Finished::from(binary::end(node, "node"));
    assert_eq!(shown.stdout.trim(), account.to_string(), "{shown}");

    let shown = binary::run(home, ["keys", "show", &theirs, "--json"], "").json().remove(0);
    let address = shown["public"]["address"].as_str().and_then(|text| text.parse().ok());
    assert_eq!((&shown["kind"], address), (&"Web3 keystore".into(), Some(account)), "{shown}");
    let import = ["keys", "import", "--from", &theirs, "--out", &imported, "--passphrase-stdin", "--json"];
    binary::run(home, import, "wrong horse battery staple mustard\n").fails_saying(&["wrong passphrase"]);
    let done = binary::run(home, import, &format!("{PASSPHRASE}\n")).json().remove(0);
    assert_eq!(done["address"].as_str().and_then(|text| text.parse().ok()), Some(account));
    // Either signs.
    let node = LoneNode::start(&[account]);
    let pay_out =
        ["peg-out", "--no-wait", "--json", "--trust-node", "--yes", "--max-fee", "5000 sat", "--to", REGTEST_ADDRESS];
    for (id, (keystore, amount)) in [(&theirs, "0.1 BTC"), (&imported, "0.2 BTC")].into_iter().enumerate() {
        let more = ["--amount", amount, "--keystore", keystore, "--passphrase-stdin"];
        let queued = node.causeway(&[&pay_out[..], &more].concat(), &format!("{PASSPHRASE}\n")).json().remove(0);
        assert_eq!(queued["id"], id + 1);
    }
}
