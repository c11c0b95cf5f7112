//! A node that lies to the command line: it gets nothing signed but what the user asked for, on the network that the genesis file
//! names, within the cost that was shown; and what it says does nothing to the terminal.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use alloy_primitives::{Address, B256, U256, address};
use bridge::foreign::obeyed;
use bridge::io::sidechain::{Account, Client};
use bridge::keystore::Keystore;
use serde_json::{Value, json};
use sidechain::testing::genesis;
use tests::binary::{self, Finished};
use tests::known::{DEVELOPER_0, REGTEST_ADDRESS};
use tests::lone_node::LoneNode;
use tests::relay::Relay;
use tests::user::{PASSPHRASE, QUICK};
use tests::waiting::Patience;

/// Who would get the coins.
const THIEF: Address = address!("00000000000000000000000000000000000dead1");
const SENT: &str = "eth_sendRawTransaction";

/// How long a command may take until it has sent its transaction.
const SENDING: Patience = Patience::new(Duration::from_secs(60), Duration::from_millis(20));

/// Somebody with a coin, the network's genesis file, and keys that are worth something.
struct Victim {
    node: LoneNode,
    account: Address,
    keystore: PathBuf,
    genesis: PathBuf,
}

impl Victim {
    fn new() -> Self {
        let account = Account::random();
        let node = LoneNode::start(&[account.address(), DEVELOPER_0]);
        std::fs::create_dir_all(node.home()).expect("a folder");
        let secret = account.secret().secret_bytes();
        let sealed = Keystore::seal("account", BTreeMap::new(), &secret, PASSPHRASE, QUICK, &mut rand::thread_rng());
        let (keystore, named) = (node.home().join("me.keystore"), node.home().join("network.json"));
        std::fs::write(&keystore, sealed.expect("sealed").to_json()).expect("written");
        std::fs::write(&named, genesis().to_json()).expect("written");
        Self { node, account: account.address(), keystore, genesis: named }
    }

    /// The node seen through a liar. The coins of this network's accounts are in its first block, so that has another hash than
    /// the genesis file makes: here it is told as a real network's node tells it.
    fn through(&self, lie: impl Fn(&str, &Value, &mut Value) + Send + Sync + 'static) -> Relay {
        let first = genesis().build().expect("a genesis").hash;
        Relay::before(&self.node.url(), move |method, parameters, answer| {
            if method == "eth_getBlockByNumber" && parameters[0] == "0x0" {
                answer["result"]["hash"] = json!(first);
            }
            lie(method, parameters, answer);
        })
    }

    fn arguments(&self, relay: &Relay, command: &[&str]) -> Vec<String> {
        let own = [
            "--rpc".to_owned(),
            relay.url.clone(),
            "--keystore".to_owned(),
            self.keystore.display().to_string(),
            "--passphrase-stdin".to_owned(),
        ];
        command.iter().map(|word| (*word).to_owned()).chain(own).collect()
    }

    /// Runs a command with the own keys.
    fn run(&self, relay: &Relay, command: &[&str]) -> Finished {
        binary::run(&self.node.home(), self.arguments(relay, command), &format!("{PASSPHRASE}\n"))
    }

    /// Runs it on the network of the genesis file by a node that the user takes for their own, and agrees to what is shown.
    fn on_network(&self, relay: &Relay, command: &[&str]) -> Finished {
        let genesis = self.genesis.display().to_string();
        self.run(relay, &[command, &["--yes", "--own-node", "--genesis", &genesis]].concat())
    }

    /// The same at a terminal (util-linux' `script` is one), where `answers` are typed; what is shown.
    fn at_a_terminal(&self, relay: &Relay, command: &[&str], answers: &str) -> String {
        let words = self.arguments(relay, command);
        let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
        let line = format!("'{}' {}", binary::path().display(), quoted.join(" "));
        let mut terminal = std::process::Command::new("script");
        terminal.args(["--quiet", "--return", "--command", &line, "/dev/null"]).env("HOME", self.node.home());
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CAUSEWAY_")) {
            terminal.env_remove(name);
        }
        terminal.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = terminal.spawn().expect("util-linux is installed");
        let mut keyboard = child.stdin.take().expect("piped");
        std::io::Write::write_all(&mut keyboard, format!("{PASSPHRASE}\n{answers}").as_bytes()).expect("it reads");
        let ended = binary::end(child, "causeway at a terminal");
        drop(keyboard);
        Finished::from(ended).stdout
    }

    fn balance(&self, account: Address) -> U256 {
        let client = Client::new(&self.node.url()).expect("a URL");
        let runtime = tokio::runtime::Runtime::new().expect("threads");
        runtime.block_on(client.balance(account)).expect("the node answers")
    }
}

const PEG_OUT: [&str; 9] =
    ["peg-out", "--no-wait", "--json", "--amount", "0.3 BTC", "--max-fee", "5000 sat", "--to", REGTEST_ADDRESS];
const VOUCHER: [&str; 5] = voucher("0x0101010101010101010101010101010101010101010101010101010101010101");
const OPEN: [&str; 7] =
    ["--json", "pay", "open", "--payee", "0x70997970C51812dc3A010C7d01b50e0d17dc79C8", "--amount", "1000 sat"];

/// Five satoshis in all, through this channel.
const fn voucher(channel: &str) -> [&str; 5] {
    ["pay", "voucher", channel, "--total", "5 sat"]
}

/// Changes a part of what `method` answers.
fn of(
    method: &'static str,
    change: impl Fn(&mut Value) + Send + Sync,
) -> impl Fn(&str, &Value, &mut Value) + Send + Sync {
    move |asked, _, answer| {
        if asked == method {
            change(&mut answer["result"]);
        }
    }
}

#[test]
fn a_contract_that_the_node_names_is_never_paid() {
    let victim = Victim::new();
    for contract in ["bridge", "microChannel", "wrappedBtc"] {
        let relay = victim.through(of("peg_getInfo", move |info| info["contracts"][contract] = json!(THIEF)));
        for command in [&PEG_OUT[..], &OPEN, &VOUCHER] {
            let refused = victim.on_network(&relay, command);
            refused.fails_saying(&["says that the contracts", "do not use this node", &relay.url]);
            assert!(refused.stdout.is_empty(), "something was signed: {refused}");
        }
        assert!(relay.asked(SENT).is_empty(), "something was sent");
    }
    assert_eq!(victim.balance(THIEF), U256::ZERO);
}

#[test]
fn nothing_is_signed_for_another_chain_than_the_genesis_files() {
    let victim = Victim::new();
    let other_id = |method: &str, _: &Value, answer: &mut Value| match method {
        "eth_chainId" => answer["result"] = json!("0x1"),
        "peg_getInfo" => answer["result"]["chainId"] = json!(1),
        _ => {}
    };
    let half_told = of("peg_getInfo", |info| info["chainId"] = json!(1));
    let other_block = |method: &str, parameters: &Value, answer: &mut Value| {
        if method == "eth_getBlockByNumber" && parameters[0] == "0x0" {
            answer["result"]["hash"] = json!(alloy_primitives::B256::repeat_byte(7));
        }
    };
    let liars = [
        (victim.through(other_id), "its chain id is 1"),
        (victim.through(half_told), "says that the chain id is 1"),
        (victim.through(other_block), "its genesis block is 0x0707"),
    ];
    for (relay, told) in &liars {
        for command in [&PEG_OUT[..], &OPEN, &VOUCHER] {
            let refused = victim.on_network(relay, command);
            refused.fails_saying(&[told, &relay.url]);
            assert!(refused.stdout.is_empty(), "something was signed: {refused}");
        }
        assert!(relay.asked(SENT).is_empty(), "something was sent");
    }
    // A network that only the node names, for keys that are worth something.
    let relay = victim.through(|_, _, _| ());
    victim.run(&relay, &[&PEG_OUT[..], &["--yes"]].concat()).fails_saying(&["which network?", "--genesis"]);
}

#[test]
fn a_node_cannot_make_a_transaction_cost_more_than_the_bound() {
    let victim = Victim::new();
    let dear = victim.through(of("eth_getBlockByNumber", |block| block["baseFeePerGas"] = json!("0x38d7ea4c68000")));
    let refused = victim.on_network(&dear, &PEG_OUT);
    refused.fails_saying(&["for the transaction's gas", "--max-cost"]);
    assert!(dear.asked(SENT).is_empty(), "something was sent");
    let greedy = victim.through(of("eth_estimateGas", |gas| *gas = json!("0x1000000")));
    victim.on_network(&greedy, &[&PEG_OUT[..], &["--max-cost", "100 sat"]].concat()).fails_saying(&["--max-cost"]);
    assert!(greedy.asked(SENT).is_empty(), "something was sent");
}

/// As [`PEG_OUT`], without a maximum of the user's own.
fn peg_out_by_quote() -> Vec<&'static str> {
    PEG_OUT.iter().filter(|word| !["--max-fee", "5000 sat"].contains(word)).copied().collect()
}

/// A quote at another rate, with the numbers that this rate makes, so that nothing contradicts itself.
fn at_rate(victim: &Victim, rate: u64) -> impl Fn(&mut Value) + Send + Sync + use<> {
    let parameters = genesis().bridge;
    let script = 22;
    let payout = |rate: u64| rate * (9 + script + 35) / 1_000 + parameters.peg_out_fee_sat;
    assert!(rate.is_multiple_of(1_000) && !victim.account.is_zero());
    let (peg_in, peg_out) = ((rate * 185).div_ceil(2_000) + parameters.peg_in_fee_sat, payout(rate));
    move |quote| {
        quote["rate"] = json!(rate);
        quote["pegIn"]["chargeSat"] = json!(peg_in);
        quote["pegOut"]["chargeSat"] = json!(peg_out);
    }
}

// A lie about the rate of the day can make the maximum that nobody named as low as the floor, which its owner can raise, or as high as what
// 300 sat/vB cost; beyond, nothing is signed without the user's own word.
#[test]
fn a_lie_about_the_price_of_the_day_costs_no_more_than_is_shown_and_bounded() {
    let victim = Victim::new();
    let floor = genesis().bridge.floor_rate * (9 + 22 + 35) / 1_000 + genesis().bridge.peg_out_fee_sat;
    let most = 300 * (9 + 22 + 35) + genesis().bridge.peg_out_fee_sat;
    for (rate, ids) in [(1_000, 1), (250_000, 2), (300_000, 3)] {
        let relay = victim.through(of("peg_quote", at_rate(&victim, rate)));
        let done = victim.on_network(&relay, &peg_out_by_quote());
        let queued = &done.json()[0];
        let max_fee = queued["maxFeeSat"].as_u64().expect("a number");
        assert!((floor..=most).contains(&max_fee), "{rate}: {max_fee}");
        assert_eq!(queued["id"], ids, "{done}");
        let shown = format!("the payout costs at most {}", bridge::amount::show(bitcoin::Amount::from_sat(max_fee)));
        assert!(done.stderr.contains(&shown) && done.stderr.contains("the node's word"), "{done}");
    }
    let dear = victim.through(of("peg_quote", at_rate(&victim, 301_000)));
    let refused = victim.on_network(&dear, &peg_out_by_quote());
    refused.fails_saying(&["301 sat/vB", "what 300 sat/vB cost", "--max-fee"]);
    assert!(dear.asked(SENT).is_empty(), "something was sent");
    // Numbers that the rate does not make are nobody's price.
    for (what, field) in [("chargeSat", "pegOut"), ("floorFeeSat", "pegOut"), ("chargeSat", "pegIn")] {
        let liar = victim.through(of("peg_quote", move |quote| quote[field][what] = json!(12_345)));
        victim.on_network(&liar, &peg_out_by_quote()).fails_saying(&["12345 sat", "do not use this node"]);
        assert!(liar.asked(SENT).is_empty(), "something was sent");
    }
}

// The command is cut off, the price of the day changes, and it is given again: it is the same withdrawal, with the maximum that was signed.
#[test]
fn another_price_of_the_day_makes_no_second_withdrawal_of_the_first() {
    let victim = Victim::new();
    let silent = victim.through(of("eth_getTransactionReceipt", |receipt| *receipt = Value::Null));
    let genesis = victim.genesis.display().to_string();
    let command = [&peg_out_by_quote()[..], &["--yes", "--genesis", &genesis]].concat();
    let mut child = binary::spawn(&victim.node.home(), victim.arguments(&silent, &command));
    let mut input = child.stdin.take().expect("piped");
    std::io::Write::write_all(&mut input, format!("{PASSPHRASE}\n").as_bytes()).expect("it reads");
    SENDING.until("it is sent", String::new, || (!silent.asked(SENT).is_empty()).then_some(()));
    child.kill().expect("our child");
    binary::end(child, "causeway");

    let dearer = victim.through(of("peg_quote", at_rate(&victim, 50_000)));
    let resumed = victim.on_network(&dearer, &peg_out_by_quote());
    assert_eq!(resumed.json()[0]["id"], 1, "{resumed}");
    assert!(resumed.stderr.contains("nothing new is signed"), "{resumed}");
    victim.run(&dearer, &["cancel", "2", "--yes"]).fails_saying(&["there is no withdrawal 2"]);
}

#[test]
fn rules_of_the_peg_that_the_genesis_file_does_not_have_are_a_lie() {
    let victim = Victim::new();
    for rule in ["minWithdrawalSat", "pegOutFeeSat", "floorRate", "reclaimDelay", "refundAfter", "windowSat"] {
        let relay = victim.through(of("peg_getInfo", move |info| info["parameters"][rule] = json!(1_234)));
        victim.on_network(&relay, &PEG_OUT).fails_saying(&[rule, "1234", "do not use this node"]);
        assert!(relay.asked(SENT).is_empty(), "something was sent");
    }
}

#[test]
fn what_is_signed_is_shown_in_words_with_its_whole_cost_and_agreed_to_first() {
    let victim = Victim::new();
    let relay = victim.through(|_, _, _| ());
    let genesis = victim.genesis.display().to_string();
    let nobody = victim.run(&relay, &[&PEG_OUT[..], &["--genesis", &genesis]].concat());
    nobody.fails_saying(&["nobody is here to agree", "--yes"]);
    assert!(relay.asked(SENT).is_empty(), "something was sent");
    // The genesis file was kept: it need not be named again.
    let done = victim.run(&relay, &[&PEG_OUT[..], &["--yes"]].concat());
    assert_eq!(done.json()[0]["id"], 1);
    for told in ["pay out to", REGTEST_ADDRESS, "0.00005 BTC", "0.3 BTC", "In all     at most 0.30", "on chain 51717"] {
        assert!(done.stderr.contains(told), "{told:?} is not told: {done}");
    }
    assert!(victim.balance(victim.account) < bridge::amount::wei(bitcoin::Amount::from_sat(70_000_000)));
}

#[test]
fn a_person_at_a_terminal_is_asked_and_no_is_no() {
    let victim = Victim::new();
    let relay = victim.through(|_, _, _| ());
    let genesis = victim.genesis.display().to_string();
    let command = [&PEG_OUT[..], &["--genesis", &genesis]].concat();
    for no in ["n\n", "\n", "maybe\n"] {
        let shown = victim.at_a_terminal(&relay, &command, no);
        assert!(shown.contains("Do this? [y/N]") && shown.contains("you did not agree: nothing was sent"), "{shown}");
        assert!(relay.asked(SENT).is_empty(), "sent without a yes: {shown}");
    }
    let shown = victim.at_a_terminal(&relay, &command, "y\n");
    assert!(shown.contains(REGTEST_ADDRESS) && shown.contains("\"id\":1"), "{shown}");
}

#[test]
fn a_second_call_goes_on_with_a_withdrawal_whose_end_was_not_told() {
    let victim = Victim::new();
    // The node takes the transaction and tells nobody what became of it; the user gives up waiting.
    let silent = victim.through(of("eth_getTransactionReceipt", |receipt| *receipt = Value::Null));
    let genesis = victim.genesis.display().to_string();
    let command = [&PEG_OUT[..], &["--yes", "--genesis", &genesis]].concat();
    let mut child = binary::spawn(&victim.node.home(), victim.arguments(&silent, &command));
    let mut input = child.stdin.take().expect("piped");
    std::io::Write::write_all(&mut input, format!("{PASSPHRASE}\n").as_bytes()).expect("it reads");
    SENDING.until("it is sent", String::new, || (!silent.asked(SENT).is_empty()).then_some(()));
    child.kill().expect("our child");
    binary::end(child, "causeway");

    let honest = victim.through(|_, _, _| ());
    let resumed = victim.on_network(&honest, &PEG_OUT);
    assert_eq!(resumed.json()[0]["id"], 1, "{resumed}");
    assert!(resumed.stderr.contains("nothing new is signed"), "{resumed}");
    victim.run(&honest, &["cancel", "2", "--yes"]).fails_saying(&["there is no withdrawal 2"]);
    // What is done is forgotten: asked for again, it is another withdrawal.
    assert_eq!(victim.on_network(&honest, &PEG_OUT).json()[0]["id"], 2);
}

#[test]
fn a_false_receipt_makes_nobody_withdraw_twice() {
    let victim = Victim::new();
    let forged = victim.through(of("eth_getTransactionReceipt", |receipt| {
        if receipt.is_object() {
            receipt["logs"] = json!([]);
        }
    }));
    let failed = victim.through(of("eth_getTransactionReceipt", |receipt| {
        if receipt.is_object() {
            receipt["status"] = json!("0x0");
        }
    }));
    victim.on_network(&forged, &PEG_OUT).fails_saying(&["does not fit it", "signs nothing new"]);
    victim.on_network(&failed, &PEG_OUT).fails_saying(&["So says the node", "--again"]);
    assert!(failed.asked(SENT).is_empty(), "signed twice");
    let honest = victim.through(|_, _, _| ());
    assert_eq!(victim.on_network(&honest, &PEG_OUT).json()[0]["id"], 1);
    assert!(honest.asked(SENT).is_empty(), "signed twice");
}

// Two channels: a large one for one payee, a small one for another. The node tells of the small one whatever is asked for.
#[test]
fn a_voucher_pays_the_channels_own_payee_or_is_not_signed() {
    let victim = Victim::new();
    let honest = victim.through(|_, _, _| ());
    let opened = victim.on_network(&honest, &OPEN).json()[0]["channel"].clone();
    let large = opened.as_str().expect("an id").to_owned();
    let thief = THIEF.to_string();
    let open = ["--json", "pay", "open", "--payee", &thief, "--amount", "500 sat"];
    let small: B256 =
        serde_json::from_value(victim.on_network(&honest, &open).json()[0]["channel"].clone()).expect("an id");
    let small = {
        let client = Client::new(&victim.node.url()).expect("a URL");
        let call = contracts::MicroChannel::getChannelCall { channelId: small };
        let runtime = tokio::runtime::Runtime::new().expect("threads");
        let channel = runtime.block_on(client.call(contracts::address::MICRO_CHANNEL, &call)).expect("it is there");
        json!(alloy_primitives::Bytes::from(alloy_sol_types::SolValue::abi_encode(&channel)))
    };
    let liar = victim.through(of("eth_call", move |channel| *channel = small.clone()));
    let refused = victim.on_network(&liar, &voucher(&large));
    refused.fails_saying(&["proven is that it pays 0x70997970", "do not use this node"]);
    assert!(refused.stdout.is_empty(), "something was signed: {refused}");
    let signed = victim.on_network(&honest, &voucher(&large));
    assert!(signed.stderr.contains(&format!("through channel {large} to 0x70997970")), "{signed}");
    assert_eq!(signed.code, Some(0), "{signed}");
    // State that is not proven is no state.
    let liar = victim.through(of("eth_getProof", |proof| {
        if let Some(slot) = proof["storageProof"].get_mut(1) {
            slot["value"] = json!("0xdead");
        }
    }));
    victim.on_network(&liar, &voucher(&large)).fails_saying(&["does not prove the state"]);
}

// Done once, then asked for again through a node that keeps the transaction for itself and shows what became of the first.
#[test]
fn the_receipt_of_another_transaction_ends_nothing() {
    let victim = Victim::new();
    let honest = victim.through(|_, _, _| ());
    assert_eq!(victim.on_network(&honest, &PEG_OUT).json()[0]["id"], 1);
    let first = honest.asked("eth_getTransactionReceipt").into_keys().next().expect("it was asked for");
    let hash: Value = serde_json::from_str(&first).expect("parameters");
    let hash = hash[0].clone();
    let receipt = {
        let client = Client::new(&victim.node.url()).expect("a URL");
        let runtime = tokio::runtime::Runtime::new().expect("threads");
        runtime.block_on(client.request::<Value>("eth_getTransactionReceipt", vec![hash])).expect("it is there")
    };
    let liar = victim.through(of("eth_getTransactionReceipt", move |told| *told = receipt.clone()));
    victim.on_network(&liar, &PEG_OUT).fails_saying(&["the receipt is of transaction"]);
    let resumed = victim.on_network(&honest, &PEG_OUT);
    assert_eq!(resumed.json()[0]["id"], 2, "{resumed}");
    assert!(resumed.stderr.contains("nothing new is signed"), "signed twice: {resumed}");
}

// A node says that another transaction took the nonce; `--again` signs in the place of the first, not beside it.
#[test]
fn what_is_signed_again_takes_the_place_of_what_a_node_kept() {
    let victim = Victim::new();
    let first = genesis().build().expect("a genesis").hash;
    let kept = Relay::before_keeping(&victim.node.url(), SENT, move |method, parameters, answer| match method {
        "eth_getBlockByNumber" if parameters[0] == "0x0" => answer["result"]["hash"] = json!(first),
        // It names the hash that it should have computed, and says that the nonce went to somebody else.
        SENT => answer["result"] = json!(alloy_primitives::keccak256(raw(parameters))),
        "eth_getTransactionCount" if parameters[1] == "latest" => answer["result"] = json!("0x1"),
        _ => {}
    });
    let refused = victim.on_network(&kept, &PEG_OUT);
    refused.fails_saying(&["So says the node"]);
    victim.on_network(&kept, &[&PEG_OUT[..], &["--again"]].concat()).fails_saying(&["nonce"]);
    let sent = kept.asked(SENT);
    assert_eq!(sent.len(), 2, "the first, and the one in its place: {refused}");
    let nonces: std::collections::BTreeSet<u64> = sent
        .keys()
        .map(|parameters| {
            let raw = raw(&serde_json::from_str(parameters).expect("parameters"));
            let envelope = <alloy_consensus::TxEnvelope as alloy_eips::Decodable2718>::decode_2718(&mut raw.as_ref());
            alloy_consensus::Transaction::nonce(&envelope.expect("a transaction"))
        })
        .collect();
    assert_eq!(nonces.len(), 1, "both could be carried out: {nonces:?}");
}

/// The signed transaction in the parameters of [`SENT`].
fn raw(parameters: &Value) -> alloy_primitives::Bytes {
    serde_json::from_value(parameters[0].clone()).expect("bytes")
}

// What the ledger refuses stays refused, whatever a node says of whose it is or how old it is.
#[test]
fn a_node_that_says_that_a_withdrawal_may_be_given_back_gets_a_refusal() {
    let victim = Victim::new();
    let honest = victim.through(|_, _, _| ());
    assert_eq!(victim.on_network(&honest, &PEG_OUT).json()[0]["id"], 1);
    let old = victim.through(of("peg_getWithdrawal", |withdrawal| withdrawal["askedAt"] = json!(0)));
    victim.on_network(&old, &["refund", "1"]).fails_saying(&["TooEarly"]);
    let richer = victim.through(of("eth_call", |claimable| *claimable = json!(format!("0x{:064x}", 5))));
    victim.on_network(&richer, &["claim"]).fails_saying(&["NothingToClaim"]);
    assert!(old.asked(SENT).is_empty() && richer.asked(SENT).is_empty(), "something was sent");
}

#[test]
fn numbers_without_measure_are_answered_in_words() {
    let victim = Victim::new();
    let relay = victim.through(of("eth_estimateGas", |gas| *gas = json!("0xffffffffffffffff")));
    let refused = victim.on_network(&relay, &PEG_OUT);
    assert_eq!(refused.code, Some(1), "it broke: {refused}");
    assert!(relay.asked(SENT).is_empty());
}

#[test]
fn no_address_to_pay_comes_from_a_node_alone_where_bitcoin_is_worth_something() {
    let victim = Victim::new();
    let mainnet = victim.through(of("peg_getInfo", |info| info["bitcoinNetwork"] = json!("mainnet")));
    let to = DEVELOPER_0.to_string();
    let peg_in = ["peg-in", "--no-wait", "--to", &to, "--rpc", &mainnet.url];
    binary::run(&victim.node.home(), peg_in, "").fails_saying(&["which network?", "--genesis"]);
    binary::run(&victim.node.home(), ["peg-in", "--to", "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92267"], "")
        .is_misused_saying(&["--to", "EIP-55"]);
}

#[test]
fn what_a_node_says_moves_no_cursor() {
    let victim = Victim::new();
    let screen = "\u{1b}[2J\u{1b}[HPay to bc1qthief\nWaiting for a payment \u{9b}2J\u{202e}\u{200b}";
    let refusing = victim.through(move |method, _, answer| {
        if method == "peg_getInfo" {
            answer.as_object_mut().expect("an answer").remove("result");
            answer["error"] = json!({ "code": -32000, "message": screen });
        }
    });
    let telling = victim.through(of("peg_getInfo", move |info| info["version"] = json!(screen)));
    let home = victim.node.home();
    for (relay, json) in [(&refusing, false), (&refusing, true), (&telling, false), (&telling, true)] {
        let arguments = ["status", "bridge", "--rpc", &relay.url].into_iter().chain(json.then_some("--json"));
        let shown = binary::run(&home, arguments, "");
        let all = format!("{}{}", shown.stdout, shown.stderr);
        assert!(!all.chars().any(|c| obeyed(c) && c != '\n'), "{all:?}");
        assert!(!all.lines().any(|line| line.starts_with("Waiting")), "{all:?}");
    }
    // For scripts nothing is lost.
    let told = binary::run(&home, ["status", "bridge", "--json", "--rpc", &telling.url], "").json().remove(0);
    assert_eq!(told["version"], screen);
    // A genesis file from somebody else.
    let mut forged: Value = serde_json::from_str(&genesis().to_json()).expect("JSON");
    forged["federation"]["members"][0]["name"] = json!("bob\u{1b}[1A\u{1b}[2KGenesis block  0xgood");
    let path = home.join("forged.json");
    std::fs::write(&path, forged.to_string()).expect("written");
    let shown = binary::run(&home, ["genesis", "--show", path.to_str().expect("UTF-8")], "");
    let all = format!("{}{}", shown.stdout, shown.stderr);
    assert!(!all.chars().any(|c| obeyed(c) && c != '\n'), "{all:?}");
}
