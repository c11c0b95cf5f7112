//! What nobody has to believe: the audit and receipts on a whole network, seen through nodes that lie. Each lie is refused by its name.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::process::Stdio;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alloy_primitives::{Address, U256, keccak256};
use mainchain::io::rpc::{Auth, BitcoinRpc};
use serde_json::{Value, json};
use tests::binary::{self, Finished};
use tests::known::{DEVELOPER_0, RECLAIM_KEY, REGTEST_ADDRESS};
use tests::network::{Network, Options};
use tests::relay::Relay;
use tests::wrong_clock::WrongClock;

/// How an audit ends.
const MISSING: i32 = 3;
const LATE: i32 = 4;
const LIE: i32 = 5;
const NODE: i32 = 6;
const BITCOIN: i32 = 7;

/// A network with a deposit and a paid withdrawal.
struct Evidence {
    network: Network,
    deposit: String,
    withdrawal: String,
}

impl Evidence {
    fn new() -> Self {
        let network = Network::start(Options::default());
        let to = DEVELOPER_0.to_string();
        let peg_in = ["peg-in", "--no-wait", "--json", "--to", &to, "--reclaim-key", RECLAIM_KEY];
        let shown = network.causeway(&peg_in).json().remove(0);
        let address = shown["address"].as_str().expect("an address");
        network.pay(address, 40_000_000);
        let deposit = network.mine_until("the coins are minted", || {
            let status = network.causeway(&["status", address, "--json"]).json().remove(0);
            let minted = status["deposits"].get(0).filter(|deposit| deposit["status"] == "minted")?.clone();
            Some(format!("{}:{}", minted["txid"].as_str()?, minted["vout"]))
        });
        let ask = ["--amount", "0.1 BTC", "--max-fee", "5000 sat", "--to", REGTEST_ADDRESS, "--dev-account", "0"];
        let queued = network.causeway(&[&["peg-out", "--no-wait", "--json"][..], &ask].concat()).json().remove(0);
        let withdrawal = queued["id"].to_string();
        network.mine_until("the withdrawal is paid", || {
            let status = network.causeway(&["status", &withdrawal, "--json"]).json().remove(0);
            (status["status"] == "paid").then_some(())
        });
        Self { network, deposit, withdrawal }
    }

    fn file(&self, name: &str) -> String {
        self.network.home().join(name).display().to_string()
    }

    fn genesis(&self) -> String {
        self.network.folder().join("genesis.json").display().to_string()
    }

    /// A command with the network's genesis file.
    fn run(&self, command: &[&str]) -> Finished {
        self.network.causeway(&[command, &["--genesis", &self.genesis()]].concat())
    }

    /// An audit through a node that lies.
    fn audit_through(&self, lie: impl Fn(&str, &Value, &mut Value) + Send + Sync + 'static) -> Finished {
        let relay = Relay::before(&self.network.rpc(1), lie);
        self.run(&["audit", "--rpc", &relay.url])
    }
}

#[test]
fn an_audit_refuses_each_lie_by_name_and_receipts_show_the_same_to_anybody() {
    let evidence = Evidence::new();
    every_amount_is_said_with_what_proves_it(&evidence);
    lies_are_refused(&evidence);
    receipts_are_checked_offline(&evidence);
    what_is_done_is_proven_first(&evidence);
    nodes_of_others_are_believed_in_nothing_that_the_ledger_has(&evidence);
    what_is_old_is_late_and_no_receipt(&evidence);
    a_watch_ends_when_a_satoshi_is_missing(&evidence);
    a_watch_outlives_nodes_that_freeze_or_die(&evidence);
}

fn every_amount_is_said_with_what_proves_it(evidence: &Evidence) {
    let report = evidence.run(&["audit", "--json"]).json().remove(0);
    assert_eq!(report["findings"], json!([]), "{report}");
    for amount in ["supplyWei", "owedSat", "reserveSat", "vaultSat", "unmintedSat", "lostSat", "outputs"] {
        assert!(report["provenBy"][amount].as_str().is_some_and(|by| by.contains("proof")), "{amount}: {report}");
    }
    assert!(report["ageS"].as_u64().is_some_and(|age_s| age_s < 60), "{report}");
    let shown = evidence.run(&["audit"]);
    assert!(shown.stdout.contains("Every satoshi is there.") && shown.stdout.contains("s old, final by"), "{shown}");
}

/// Changes what a method answers.
fn of(
    method: &'static str,
    change: impl Fn(&Value, &mut Value) + Send + Sync + 'static,
) -> impl Fn(&str, &Value, &mut Value) + Send + Sync + 'static {
    move |asked, parameters, answer| {
        if asked == method {
            change(parameters, &mut answer["result"]);
        }
    }
}

fn lies_are_refused(evidence: &Evidence) {
    // Missing entries.
    let hidden = of("peg_getVaultTransaction", |asked, told| {
        if asked[0] == 1 {
            *told = Value::Null;
        }
    });
    evidence.audit_through(hidden).ends_with(LIE, &["hides vault transaction 1", "the ledger proves"]);
    // Duplicate outputs: another number, with the bytes of the first.
    let first = evidence.network.causeway(&["status", "vault:1", "--json"]).json().remove(0);
    let doubled = of("peg_getVaultTransaction", move |asked, told| {
        if asked[0] == 2 {
            told["transaction"] = first["transaction"].clone();
        }
    });
    evidence
        .audit_through(doubled)
        .ends_with(LIE, &["does not show the vault as the ledger has it", "under which the ledger has no such one"]);
    // Invented transactions.
    let invented = of("peg_getVaultTransaction", |_, told| told["transaction"] = json!("0x02000000000000000000"));
    evidence.audit_through(invented).ends_with(LIE, &["does not show the vault as the ledger has it"]);
    // Wrong proofs.
    let forged = of("eth_getProof", |_, proof| proof["storageProof"][0]["value"] = json!("0x1"));
    evidence.audit_through(forged).ends_with(LIE, &["does not prove what is asked of the ledger"]);
    let poorer = of("eth_getProof", |_, proof| proof["balance"] = json!("0x1"));
    evidence.audit_through(poorer).ends_with(LIE, &["does not prove what is asked of the ledger"]);
    let fewer = of("eth_getProof", |_, proof| drop(proof["storageProof"].as_array_mut().and_then(Vec::pop)));
    evidence.audit_through(fewer).ends_with(LIE, &["does not prove what is asked of the ledger", "asked for"]);
    // Other validators, or too few of them.
    let unsigned = of("peg_getFinality", |_, finality| finality["certificate"] = json!("0x00"));
    evidence.audit_through(unsigned).ends_with(LIE, &["does not prove that its block"]);
    // Old headers: whatever is asked, the block of the first answer.
    let first = Mutex::new(None);
    let stale = of("peg_getFinality", move |_, finality| {
        let mut first = first.lock().expect("nobody panics");
        *finality = first.get_or_insert_with(|| finality.clone()).clone();
    });
    let stale = Relay::before(&evidence.network.rpc(1), stale);
    let audit = |most: &str| evidence.run(&["audit", "--rpc", &stale.url, "--max-age", most]);
    assert_eq!(audit("5m").code, Some(0));
    std::thread::sleep(Duration::from_secs(4));
    audit("3s").ends_with(LATE, &["old, and may be 3s (--max-age)", "stands still, or the node hides"]);
    // Ids of withdrawals that there cannot be, and no end of them.
    let [offset, next, count, id] = [64, 5, 1, 7_777].map(|number: u64| format!("{number:064x}"));
    let endless = of("eth_call", move |_, answer| *answer = json!(format!("0x{offset}{next}{count}{id}")));
    evidence.audit_through(endless).ends_with(LIE, &["names 1 withdrawals from 0 on which are not"]);
    // Nobody there.
    let dead = "http://127.0.0.1:1";
    evidence.run(&["audit", "--rpc", dead]).ends_with(NODE, &["does not answer", dead]);
    evidence.run(&["audit", "--bitcoin", dead]).ends_with(BITCOIN, &["not reachable", dead]);
}

fn receipts_are_checked_offline(evidence: &Evidence) {
    let (deposit, withdrawal) = (evidence.file("deposit.json"), evidence.file("withdrawal.json"));
    let reserves = evidence.file("reserves.json");
    for written in [
        ["receipt", &evidence.deposit, &deposit],
        ["receipt", &evidence.withdrawal, &withdrawal],
        ["audit", "--receipt", &reserves],
    ] {
        let done = evidence.run(&written);
        assert_eq!(done.code, Some(0), "{done}");
    }
    let shown = evidence.run(&["verify", &deposit]);
    assert!(shown.stdout.contains(&evidence.deposit) && shown.stdout.contains("0.4 BTC in Bitcoin block"), "{shown}");
    let shown = evidence.run(&["verify", &withdrawal]);
    assert!(shown.stdout.contains("0.1 BTC by") && shown.stdout.contains("by vault transaction"), "{shown}");
    let shown = evidence.run(&["verify", &reserves]);
    assert!(shown.stdout.contains("0 BTC by the books") && shown.stdout.contains("vault output"), "{shown}");
    for file in [&deposit, &withdrawal, &reserves] {
        nothing_in_it_can_be_changed(evidence, file);
    }
    evidence.run(&["receipt", "99", &withdrawal]).fails_saying(&["there is no withdrawal 99"]);
}

/// Each part of a receipt, made another: none is taken.
fn nothing_in_it_can_be_changed(evidence: &Evidence, file: &str) {
    let honest: Value = serde_json::from_str(&std::fs::read_to_string(file).expect("written")).expect("JSON");
    let changed = evidence.file("changed.json");
    for part in ["/genesis", "/finality/header", "/finality/certificate", "/proofs/0/accountProof/0"] {
        let mut receipt = honest.clone();
        let value = receipt.pointer_mut(part).expect("every receipt has it");
        let text = value.as_str().expect("hex");
        let last = if text.ends_with('0') { "1" } else { "0" };
        *value = json!(format!("{}{last}", &text[..text.len() - 1]));
        std::fs::write(&changed, receipt.to_string()).expect("written");
        let refused = evidence.run(&["verify", &changed]);
        assert_eq!(refused.code, Some(1), "{part} of {file} can be changed: {refused}");
    }
    for part in ["/finality/hash", "/finality/certified/hash", "/proofs/0/address", "/proofs/0/storageProof/0/key"] {
        let mut receipt = honest.clone();
        let value = receipt.pointer_mut(part).expect("every receipt has it");
        let length = value.as_str().expect("hex").len() - 2;
        *value = json!(format!("0x{}", "7".repeat(length)));
        std::fs::write(&changed, receipt.to_string()).expect("written");
        evidence.run(&["verify", &changed]).fails_saying(&["shows nothing", "it calls"]);
    }
    for (part, words) in [("/finality/number", "shows nothing"), ("/finality/more", "says more than a receipt does")] {
        let mut receipt = honest.clone();
        receipt["finality"][part.trim_start_matches("/finality/")] = json!(1);
        std::fs::write(&changed, receipt.to_string()).expect("written");
        evidence.run(&["verify", &changed]).fails_saying(&[words]);
    }
    let mut richer = honest;
    richer["proofs"][0]["balance"] = json!(U256::from_be_bytes(keccak256(file).0));
    std::fs::write(&changed, richer.to_string()).expect("written");
    evidence.run(&["verify", &changed]).fails_saying(&["shows nothing", "its state is not proven"]);
}

/// A bitcoind that never saw the vault's transactions stands for one from which a satoshi was stolen.
fn a_watch_ends_when_a_satoshi_is_missing(evidence: &Evidence) {
    let gauges = evidence.file("audit.prom");
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    let other = runtime.block_on(tests::bitcoind::Bitcoind::start());
    let (url, cookie) = (other.url(), other.cookie().display().to_string());
    let watch = ["audit", "--watch", "--prometheus", &gauges, "--bitcoin", &url, "--bitcoin-cookie", &cookie];
    let ended = evidence.run(&watch);
    ended.ends_with(MISSING, &["are missing on Bitcoin"]);
    let text = std::fs::read_to_string(&gauges).expect("written");
    let line = text.lines().find(|line| line.starts_with("causeway_audit_safety_findings"));
    assert!(line.is_some_and(|line| !line.ends_with(" 0")), "{text}");
}

/// A node that says of everything that it is done, and proves nothing of it.
fn what_is_done_is_proven_first(evidence: &Evidence) {
    let queued = {
        let ask = ["--amount", "0.01 BTC", "--max-fee", "700 sat", "--to", REGTEST_ADDRESS, "--dev-account", "0"];
        // Its maximum is too low for any rate above the lowest, and nothing is mined: it stays open for a while.
        evidence.run(&[&["peg-out", "--no-wait", "--json"][..], &ask].concat()).json().remove(0)
    };
    let id = queued["id"].to_string();
    let paid = of("peg_getWithdrawal", |_, told| {
        (told["status"], told["paidBy"]) = (json!("paid"), json!(1));
    });
    let relay = Relay::before(&evidence.network.rpc(1), paid);
    evidence.network.causeway(&["status", &id, "--own-node", "--rpc", &relay.url]).fails_saying(&[
        &format!("says that withdrawal {id} is paid"),
        "does not prove it",
        "do not use this node",
    ]);
    type Lie = fn(&mut Value);
    let withdrawal: [(Lie, &str); 3] = [
        (|told| told["status"] = json!("cancelled"), "is cancelled"),
        (|told| told["amountSat"] = json!(1), "says that withdrawal"),
        (|told| told["script"] = json!("0x5120"), "says that withdrawal"),
    ];
    let deposit: [(Lie, &str); 3] = [
        (|told| told["deposits"][0]["status"] = json!("gone"), "is gone"),
        (|told| told["deposits"][0]["mintedSat"] = json!(1), "is minted"),
        (|told| told["deposits"][0]["recipient"] = json!(Address::ZERO), "is minted"),
    ];
    let outpoint = evidence.deposit.as_str();
    let of_withdrawal = withdrawal.map(|(lie, words)| ("peg_getWithdrawal", id.as_str(), lie, words));
    let of_deposit = deposit.map(|(lie, words)| ("peg_getDeposit", outpoint, lie, words));
    // All at once: a command waits for a proof for a while.
    std::thread::scope(|threads| {
        for (method, id, lie, words) in of_withdrawal.into_iter().chain(of_deposit) {
            threads.spawn(move || {
                let relay = Relay::before(&evidence.network.rpc(1), of(method, move |_, told| lie(told)));
                let told = evidence.network.causeway(&["status", id, "--own-node", "--rpc", &relay.url]);
                told.fails_saying(&[words, "does not prove it", "do not use this node", &relay.url]);
                assert!(told.stdout.is_empty(), "{told}");
            });
        }
    });
}

/// Several nodes are nobody's own: a light node in the command asks them.
fn nodes_of_others_are_believed_in_nothing_that_the_ledger_has(evidence: &Evidence) {
    let honest = evidence.network.rpc(1);
    let status = |nodes: &[&str], id: &[&str]| {
        evidence.network.causeway(&[&["status", "--json", "--rpc", &nodes.join(",")], id].concat())
    };
    let dead = "http://127.0.0.1:1";
    let hidden = Relay::before(&honest, of("peg_getVaultTransaction", |_, told| *told = Value::Null));
    status(&[&hidden.url, dead], &["vault:1"])
        .fails_saying(&["no node shows vault transaction 1, which the ledger has"]);
    let second = status(&[&honest], &["vault:2"]).json().remove(0);
    let (bytes, content) = (second["transaction"].clone(), second["content"].clone());
    let other =
        Relay::before(&honest, of("peg_getVaultTransaction", move |_, told| told["transaction"] = bytes.clone()));
    let refused = ["shows another vault transaction 1 than the ledger has", &other.url];
    status(&[&other.url, dead], &["vault:1"]).fails_saying(&refused);
    let other = Relay::before(&honest, of("peg_getVaultTransaction", move |_, told| told["content"] = content.clone()));
    let refused = ["shows another vault transaction 1 than the ledger has", &other.url];
    status(&[&other.url, dead], &["vault:1"]).fails_saying(&refused);
    let liars = [hidden.url.as_str(), &other.url, &honest];
    assert_eq!(
        status(&liars, &["vault:1"]).json(),
        status(&[&honest], &["vault:1"]).json(),
        "one honest node is enough"
    );

    let richer = Relay::before(&honest, of("peg_getVault", |_, told| told["outputs"][0]["amountSat"] = json!(1)));
    let [shown, known] = [&[&richer.url, dead][..], &[&honest]].map(|nodes| status(nodes, &[]).json().remove(0));
    assert_eq!(shown["vault"]["outputs"], known["vault"]["outputs"], "{shown}");
    let poorer = Relay::before(
        &honest,
        of("peg_getDeposit", |_, told| {
            (told["deposits"][0]["amountSat"], told["deposits"][0]["mintedSat"]) = (json!(1), json!(1));
        }),
    );
    let deposit = status(&[&poorer.url, dead], &[&evidence.deposit]).json().remove(0);
    assert_eq!(deposit["deposits"][0]["amountSat"], 40_000_000, "{deposit}");
    // The audit, which proves everything itself, by any of several nodes.
    let urls = format!("{dead},{honest}");
    assert_eq!(evidence.run(&["audit", "--json", "--rpc", &urls]).json()[0]["findings"], json!([]));
}

/// Ten minutes later by the clock of whoever asks: all that the node shows is old then.
fn what_is_old_is_late_and_no_receipt(evidence: &Evidence) {
    let clock = WrongClock::compile(evidence.network.home());
    let later = |command: &[&str]| -> Finished {
        let genesis = evidence.genesis();
        let mut command = binary::command(evidence.network.home(), [command, &["--genesis", &genesis]].concat());
        let (bitcoin, cookie) = evidence.network.bitcoin();
        command.env("CAUSEWAY_RPC", evidence.network.rpc(1));
        command.env("CAUSEWAY_BITCOIN", bitcoin).env("CAUSEWAY_BITCOIN_COOKIE", cookie);
        clock.give(&mut command, 600);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
        binary::end(child, "causeway").into()
    };
    let audit = later(&["audit"]);
    audit.ends_with(LATE, &["something is late", "old, and may be 1m (--max-age)"]);
    assert!(audit.stdout.contains("unspent,"), "bitcoind is asked in any case: {audit}");
    let old = evidence.file("old.json");
    for command in [["receipt", &evidence.deposit, &old], ["receipt", &evidence.withdrawal, &old]] {
        later(&command).fails_saying(&["no receipt is written", "s old"]);
    }
    later(&["audit", "--receipt", &old]).fails_saying(&["no receipt is written"]);
    assert!(!std::path::Path::new(&old).exists());
}

/// A node that shows one block for ever, then answers nothing, then is right again; a webhook that nobody takes from.
fn a_watch_outlives_nodes_that_freeze_or_die(evidence: &Evidence) {
    const HONEST: u8 = 0;
    const FROZEN: u8 = 1;
    const DEAD: u8 = 2;
    let (state, gauges) = (Arc::new(AtomicU8::new(HONEST)), evidence.file("watch.prom"));
    let (seen, frozen) = (state.clone(), Mutex::new(BTreeMap::<String, Value>::new()));
    let relay = Relay::before(&evidence.network.rpc(1), move |method, _, answer| match seen.load(Ordering::SeqCst) {
        DEAD => *answer = json!({ "jsonrpc": "2.0", "id": answer["id"], "error": { "code": -32603, "message": "no" } }),
        now if ["eth_blockNumber", "peg_getFinality"].contains(&method) => {
            let mut frozen = frozen.lock().expect("nobody panics");
            let id = answer["id"].clone();
            if now == HONEST {
                frozen.insert(method.to_owned(), answer.clone());
            }
            *answer = frozen.get(method).cloned().unwrap_or_else(|| answer.clone());
            answer["id"] = id;
        }
        _ => {}
    });
    // Takes connections, and never answers.
    let hangs = TcpListener::bind("127.0.0.1:0").expect("the machine has free ports");
    let webhook = format!("http://{}", hangs.local_addr().expect("it is bound"));
    let genesis = evidence.genesis();
    let watch = ["audit", "--watch", "--json", "--genesis", &genesis, "--rpc", &relay.url, "--max-age", "5s"];
    let options = ["--prometheus", &gauges, "--webhook", &webhook, "--alarm-after", "1s"];
    let (mut watch, reports) = evidence.network.spawn("watch", &[&watch[..], &options].concat());
    let is_old = |report: &Value| report["findings"][0]["finding"] == "headerOld";
    let last_is_old = || reports().last().map(is_old);
    let metric = |line: &str| std::fs::read_to_string(&gauges).is_ok_and(|text| text.lines().any(|has| has == line));
    evidence.network.until("an audit", || (last_is_old() == Some(false)).then_some(()));
    state.store(FROZEN, Ordering::SeqCst);
    evidence.network.until("the age of the frozen block is told", || (last_is_old() == Some(true)).then_some(()));
    state.store(HONEST, Ordering::SeqCst);
    evidence.network.until("it is young again", || (last_is_old() == Some(false)).then_some(()));
    state.store(DEAD, Ordering::SeqCst);
    evidence.network.until("it is down", || metric("causeway_audit_up 0").then_some(()));
    assert!(!metric("causeway_audit_failures_total 0"));
    assert!(watch.ended().is_none(), "no failure ends it");
    state.store(HONEST, Ordering::SeqCst);
    evidence.network.until("it is up again", || metric("causeway_audit_up 1").then_some(()));
    assert!(watch.ended().is_none(), "nor does a webhook that hangs");
}

/// A payout that a block has and that is not settled, whose change is gone: the other outputs of it are no comfort.
#[test]
fn the_change_of_a_payout_counts_and_nothing_else_of_it() {
    let evidence = Evidence::new();
    let network = &evidence.network;
    let ask = ["--amount", "0.05 BTC", "--max-fee", "9000 sat", "--to", REGTEST_ADDRESS, "--dev-account", "0"];
    let queued = network.causeway(&[&["peg-out", "--no-wait", "--json"][..], &ask].concat()).json().remove(0);
    let id = queued["id"].to_string();
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    let (url, cookie) = network.bitcoin();
    let bitcoin = BitcoinRpc::new(&url, Auth::Cookie(cookie), mainchain::Network::Regtest);
    let txid = network.until("the payout is sent to Bitcoin", || {
        let status = network.causeway(&["status", &id, "--json"]).json().remove(0);
        let txid = status["versions"].get(0)?["txid"].as_str()?.parse().ok()?;
        runtime.block_on(bitcoin.mempool_entry(txid)).ok().flatten().map(|_| txid.to_string())
    });
    (1..=4).for_each(|relayer| network.kill(&format!("relayer-{relayer}")));
    network.mine(1);
    let moved = evidence.run(&["audit", "--json"]).json().remove(0);
    let outputs = moved["outputs"].as_array().expect("vault outputs");
    assert!(outputs.iter().any(|output| output["found"]["txid"] == txid.as_str()), "{moved}");
    assert!(moved["onBitcoinSat"].as_u64() < moved["vaultSat"].as_u64(), "the payout has left: {moved}");
    let stolen = txid.clone();
    let thief = Relay::before(&url, move |method, asked, answer| {
        if method == "gettxout" && asked[0] == stolen.as_str() && asked[1] == 0 {
            answer["result"] = Value::Null;
        }
    });
    let audit = evidence.run(&["audit", "--bitcoin", &thief.url]);
    audit.ends_with(MISSING, &["a satoshi is missing", "are missing on Bitcoin", &format!("{txid}:0")]);
    assert!(!audit.stdout.contains("Every satoshi is there"), "{audit}");
    // Under a header of before, nobody can say: what spent it may have been bound since.
    let first = Mutex::new(None);
    let frozen = of("peg_getFinality", move |_, finality| {
        let mut first = first.lock().expect("nobody panics");
        *finality = first.get_or_insert_with(|| finality.clone()).clone();
    });
    let frozen = Relay::before(&network.rpc(1), frozen);
    assert_eq!(evidence.run(&["audit", "--rpc", &frozen.url]).code, Some(0));
    let audit = evidence.run(&["audit", "--rpc", &frozen.url, "--bitcoin", &thief.url, "--max-age", "10m"]);
    audit.ends_with(LATE, &["something is late", "its header is too old to judge"]);
}
