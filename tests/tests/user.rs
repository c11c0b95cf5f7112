//! What a user types: refused before anything is sent when it could not work, and carried through when it can.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use alloy_eips::Encodable2718 as _;
use alloy_primitives::{Address, keccak256};
use bridge::io::sidechain::Client;
use bridge::keystore::{KdfParams, Keystore};
use contracts::address::SIGNING_BOARD;
use mainchain::io::rpc::{Auth, BitcoinRpc};
use serde_json::Value;
use sidechain::testing::{genesis as lone_genesis, member, post};
use tests::binary;
use tests::bitcoind::Bitcoind;
use tests::known::{DEV_PASSPHRASE, DEVELOPER_0, DEVELOPER_1, MAINNET_ADDRESS, RECLAIM_KEY, REGTEST_ADDRESS};
use tests::lone_node::LoneNode;
use tests::network::{Network, Options};

#[path = "user/wallet.rs"]
mod wallet;

/// A node at which the developers have a coin each. It has no relayers: withdrawals stay queued.
fn lone_node() -> LoneNode {
    LoneNode::start(&[DEVELOPER_0, DEVELOPER_1])
}

/// Developer account 0 withdraws; `payee` is an option with its value.
fn peg_out<'a>(amount: &'a str, max_fee: &'a str, payee: [&'a str; 2]) -> Vec<&'a str> {
    let what = ["--amount", amount, "--max-fee", max_fee];
    [&["peg-out", "--no-wait", "--json", "--dev-account", "0"][..], &what, &payee].concat()
}

/// It waits until it is killed, for nobody pays here.
fn interrupted(node: &LoneNode, more: &[&str], until: &str) -> String {
    let (to, url) = (REGTEST_ADDRESS, node.url());
    let fixed =
        ["peg-out", "--amount", "0.1 BTC", "--max-fee", "5000 sat", "--to", to, "--dev-account", "0", "--rpc", &url];
    binary::interrupted(&node.home(), [&fixed[..], more].concat(), until)
}

#[test]
fn a_withdrawal_that_was_interrupted_while_it_waited_is_gone_on_with_and_not_made_twice() {
    let node = lone_node();
    assert_eq!(node.causeway(&["status", "bridge", "--json"], "").code, Some(0));
    std::fs::create_dir_all(node.home()).expect("a folder");
    interrupted(&node, &[], "Withdrawal 1 queued");
    let again = interrupted(&node, &[], "going on with it");
    assert!(again.contains("Withdrawal 1 of yours is the same") && !again.contains("Quote"), "{again}");
    node.causeway(&["status", "2"], "").fails_saying(&["there is no withdrawal 2"]);
    interrupted(&node, &["--again"], "Withdrawal 2 queued");
}

#[test]
fn a_payout_that_could_not_arrive_is_refused_before_it_is_sent() {
    let node = lone_node();
    node.causeway(&peg_out("0.1 BTC", "5000 sat", ["--to", MAINNET_ADDRESS]), "")
        .fails_saying(&[MAINNET_ADDRESS, "not an address of regtest"]);
    node.causeway(&peg_out("999 sat", "100 sat", ["--to", REGTEST_ADDRESS]), "")
        .fails_saying(&["0.00000999 BTC is below the smallest withdrawal, 0.000016 BTC"]);
    node.causeway(&peg_out("10000 sat", "665 sat", ["--to", REGTEST_ADDRESS]), "").fails_saying(&[
        "--max-fee 0.00000665 BTC",
        "the least that the bridge takes, 0.00000666 BTC",
        "1 sat/vB",
    ]);
    node.causeway(&peg_out("10000 sat", "9900 sat", ["--to", REGTEST_ADDRESS]), "")
        .fails_saying(&["would leave", "bitcoin nodes relay"]);
    node.causeway(&peg_out("0.1 BTC", "5000 sat", ["--script", "6a0474657374"]), "")
        .fails_saying(&["6a0474657374", "not a standard output"]);
    node.causeway(&peg_out("5 BTC", "5000 sat", ["--to", REGTEST_ADDRESS]), "")
        .fails_saying(&["1 BTC", "less than the 5 BTC"]);
    let nobody = node.causeway(
        &["peg-out", "--no-wait", "--amount", "0.1 BTC", "--max-fee", "1000 sat", "--to", REGTEST_ADDRESS],
        "",
    );
    nobody.fails_saying(&["which account?", "--keystore", "--dev-account"]);
    node.causeway(&["status", "1"], "").fails_saying(&["there is no withdrawal 1"]);
}

#[test]
fn a_queued_withdrawal_is_cancelled_by_its_owner_alone_and_comes_back() {
    let node = lone_node();
    let queued = node.causeway(&peg_out("0.25 BTC", "5000 sat", ["--to", REGTEST_ADDRESS]), "").json().remove(0);
    assert_eq!((&queued["id"], &queued["amountSat"]), (&1.into(), &25_000_000.into()));
    assert_eq!(node.causeway(&["status", "1", "--json"], "").json()[0]["status"], "queued");

    node.causeway(&["cancel", "1", "--dev-account", "1"], "").fails_saying(&["belongs to", &DEVELOPER_0.to_string()]);
    let cancelled = node.causeway(&["cancel", "1", "--dev-account", "0", "--json"], "").json().remove(0);
    assert_eq!((&cancelled["event"], &cancelled["amountSat"]), (&"cancelled".into(), &25_000_000.into()));
    node.causeway(&["cancel", "1", "--dev-account", "0"], "").fails_saying(&["cancelled already", "only a queued one"]);
    node.causeway(&["cancel", "2", "--dev-account", "0"], "").fails_saying(&["there is no withdrawal 2"]);
    // All but the gas is back: enough to ask for nearly everything again.
    assert_eq!(node.causeway(&peg_out("0.99 BTC", "5000 sat", ["--to", REGTEST_ADDRESS]), "").json()[0]["id"], 2);
}

#[test]
fn a_quote_is_shown_and_a_maximum_is_three_times_it_until_its_owner_raises_it() {
    let node = lone_node();
    let quoted =
        ["peg-out", "--no-wait", "--json", "--dev-account", "0", "--amount", "0.25 BTC", "--to", REGTEST_ADDRESS];
    let done = node.causeway(&quoted, "");
    // 66 vB at 1 sat/vB, the lowest rate, as nothing was bound yet; and 600 sat for the reserve.
    assert_eq!(done.json()[0]["maxFeeSat"], 1_998, "{done}");
    assert!(done.stderr.contains("at 1 sat/vB, the node's word, it costs 0.00000666 BTC"), "{done}");

    let raise = |max_fee: &str, account: &str| {
        node.causeway(&["raise", "1", "--json", "--max-fee", max_fee, "--dev-account", account], "")
    };
    raise("2900 sat", "1").fails_saying(&["belongs to", &DEVELOPER_0.to_string()]);
    raise("1998 sat", "0").fails_saying(&["is not more than its maximum of 0.00001998 BTC", "only be raised"]);
    raise("0.249999 BTC", "0").fails_saying(&["would leave", "bitcoin nodes relay"]);
    let raised = raise("2900 sat", "0").json().remove(0);
    assert_eq!((&raised["event"], &raised["maxFeeSat"]), (&"raised".into(), &2_900.into()));
    let status = node.causeway(&["status", "1", "--json"], "").json().remove(0);
    assert_eq!((&status["maxFeeSat"], &status["status"]), (&2_900.into(), &"queued".into()));
    // Nothing was ever swept here.
    assert_eq!(status["waitsFor"][0]["reason"], "root", "{status}");
    node.causeway(&["raise", "2", "--max-fee", "2900 sat", "--dev-account", "0"], "")
        .fails_saying(&["there is no withdrawal 2"]);
}

#[test]
fn what_is_too_early_nobodys_or_not_allowed_is_refused_with_what_would_help() {
    let node = lone_node();
    let queued = node.causeway(&peg_out("0.25 BTC", "5000 sat", ["--to", REGTEST_ADDRESS]), "").json().remove(0);
    assert_eq!(queued["id"], 1);
    node.causeway(&["refund", "1", "--dev-account", "1"], "").fails_saying(&[
        "by anybody from",
        "its owner alone",
        "causeway cancel 1",
    ]);
    node.causeway(&["refund", "7", "--dev-account", "1"], "").fails_saying(&["there is no withdrawal 7"]);
    node.causeway(&["claim", "--dev-account", "1"], "").fails_saying(&["no coins wait for", &DEVELOPER_1.to_string()]);
    node.causeway(&["pause", "--dev-account", "0"], "").fails_saying(&[&DEVELOPER_0.to_string(), "guardians"]);
    node.causeway(&["lift", "--dev-account", "0"], "").fails_saying(&["is no member of the federation"]);
    let shown = node.causeway(&["status", "1"], "");
    for told in ["queued for the next payout", "causeway cancel 1", "no vault output is 10 blocks deep yet"] {
        assert!(shown.stdout.contains(told), "{told:?} is not told: {shown}");
    }
}

/// A member's relayer in full work: free calls of the member's account, as fast as a node takes them.
struct BusyRelayer {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<u32>>,
}

impl BusyRelayer {
    fn start(node: &LoneNode) -> Self {
        let (stop, url) = (Arc::new(AtomicBool::new(false)), node.url());
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().expect("threads");
            runtime.block_on(async {
                let (client, member) = (Client::new(&url).expect("a URL"), member(1));
                let mut sent = 0;
                while !stopped.load(Ordering::Relaxed) {
                    let nonce = client.pending_nonce(member.address).await.expect("the node answers");
                    let input = post(0, vec![0; 32]);
                    let call = member.free(lone_genesis().chain_id, nonce, 120_000, SIGNING_BOARD, input);
                    sent += u32::from(client.send_raw(&call.encoded_2718().into()).await.is_ok());
                    tokio::time::sleep(Duration::from_millis(40)).await;
                }
                sent
            })
        });
        Self { stop, thread: Some(thread) }
    }

    /// How many of its calls the node took.
    fn stop(mut self) -> u32 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().expect("it is stopped once").join().expect("it sends until it is stopped")
    }
}

#[test]
fn a_pause_and_a_vote_get_through_beside_the_relayer_of_the_same_account() {
    let node = LoneNode::start(&[]);
    std::fs::create_dir_all(node.home()).expect("ours");
    let file = node.home().join("member.keystore");
    let secret = keccak256(1_000_001_u64.to_be_bytes());
    let quick = KdfParams { memory_kib: 64, passes: 1, lanes: 1 };
    let keystore =
        Keystore::seal("account", BTreeMap::new(), secret.as_slice(), DEV_PASSPHRASE, quick, &mut rand::thread_rng());
    std::fs::write(&file, keystore.expect("sealed").to_json()).expect("ours");
    let genesis = node.home().join("genesis.json");
    std::fs::write(&genesis, lone_genesis().to_json()).expect("ours");
    let run = |command: &str| {
        let (file, genesis) = (file.display().to_string(), genesis.display().to_string());
        node.causeway(
            &[
                &[command, "--own-node", "--json", "--yes", "--passphrase-stdin"][..],
                &["--keystore", &file, "--genesis", &genesis],
            ]
            .concat(),
            &format!("{DEV_PASSPHRASE}\n"),
        )
    };
    let relayer = BusyRelayer::start(&node);
    assert_eq!(run("pause").json()[0]["number"], 1);
    let vote = run("lift");
    assert_eq!((&vote.json()[0]["votes"], &vote.json()[0]["ended"]), (&1.into(), &false.into()), "{vote}");
    let sent = relayer.stop();
    assert!(sent > 5, "it was busy: {sent}");
}

/// The ledger refuses them; coins for the Bridge are its reserve's, and nobody's who mistook an address.
#[test]
fn an_address_is_made_for_nobody_who_could_not_have_the_coins() {
    let node = lone_node();
    let [bridge, vault] = [contracts::address::BRIDGE, contracts::address::VAULT].map(|account| account.to_string());
    let peg_in = |arguments: &[&str]| node.causeway(&[&["peg-in", "--no-wait"], arguments].concat(), "");
    peg_in(&["--to", &bridge]).fails_saying(&["its reserve's", "--reserve"]);
    peg_in(&["--to", &vault]).fails_saying(&["takes no coins"]);
    let to = DEVELOPER_1.to_string();
    let zero = Address::ZERO.to_string();
    peg_in(&["--to", &to, "--claimant", &zero]).fails_saying(&["--claimant is the zero address"]);
    let board = contracts::address::SIGNING_BOARD.to_string();
    peg_in(&["--to", &board]).fails_saying(&["is a contract", "--claimant"]);
    peg_in(&["--to", &to, "--claimant", &vault]).fails_saying(&["--claimant", "takes no coins"]);
}

#[test]
fn without_a_federation_key_no_address_is_shown() {
    let node = lone_node();
    let home = node.home();
    let to = DEVELOPER_1.to_string();
    node.causeway(&["peg-in", "--to", &to, "--home", home.to_str().expect("UTF-8")], "").fails_saying(&["no key yet"]);
    let records = home.join("deposits");
    assert!(
        !records.exists() || records.read_dir().expect("readable").next().is_none(),
        "a record was kept for an address that nobody saw"
    );
}

#[test]
fn coins_travel_in_and_out_by_commands_and_the_audit_finds_every_satoshi() {
    let mut network = Network::start(Options::default());
    below_the_minimum(&network);
    coins_come_in(&network);
    coins_go_out(&network);
    refused_coins_are_claimed(&network);
    payouts_are_paused_and_lifted(&network);
    audited_between_a_payouts_block_and_its_settlement(&network);
    audited(&network);
    another_networks_genesis_proves_nothing(&network);
    // The same after all of it was killed and started again.
    network.kill_all();
    network.resume();
    audited(&network);
}

// Of four members, three sign: with two dead nothing is approved by enough.
#[test]
fn status_names_the_dead_members_that_a_withdrawal_waits_for_until_they_are_back() {
    let network = Network::start(Options { fund: true, ..Options::default() });
    let status = |what: &[&str]| network.causeway(&[&["status", "--json"], what].concat()).json().remove(0);
    let named = || -> Vec<u64> {
        let status = status(&["bridge"]);
        let waited_for = status["waitedFor"].as_array().expect("a list");
        waited_for.iter().filter_map(|member| member["member"].as_u64()).collect()
    };
    assert_eq!(named(), [] as [u64; 0]);
    for dead in [3, 4] {
        network.kill(&format!("relayer-{dead}"));
    }
    let queued = network.causeway(&peg_out("0.2 BTC", "5000 sat", ["--to", REGTEST_ADDRESS])).json();
    let id = queued[0]["id"].to_string();
    network.until("the dead are named, and nobody else", || (named() == [3, 4]).then_some(()));
    let waits = status(&[&id])["waitsFor"].clone();
    let reasons: Vec<&str> =
        waits.as_array().expect("a list").iter().filter_map(|wait| wait["reason"].as_str()).collect();
    assert_eq!(reasons, ["approvals", "member", "member"], "{waits}");
    let shown = network.causeway(&["status", &id]).stdout;
    for told in
        ["for approvals of proposal", "of 3 members have", "for member 3 (", "for member 4 (", "has not approved"]
    {
        assert!(shown.contains(told), "{told:?} is not told: {shown}");
    }
    let bridge = network.causeway(&["status", "bridge"]).stdout;
    assert!(bridge.contains("WAITED FOR     member 3 (") && bridge.contains("can be paid"), "{bridge}");
    for dead in [3, 4] {
        network.restart(&format!("relayer-{dead}"));
    }
    network.mine_until("the withdrawal is paid", || (status(&[&id])["status"] == "paid").then_some(()));
    network.until("nobody is waited for", || named().is_empty().then_some(()));
}

/// The command shows the address, and follows until the coins are there.
fn coins_come_in(network: &Network) {
    let (to, genesis) = (DEVELOPER_0.to_string(), genesis(network));
    let (mut peg_in, events) = network.spawn(
        "peg-in",
        &["peg-in", "--json", "--to", &to, "--amount", "0.8 BTC", "--reclaim-key", RECLAIM_KEY, "--genesis", &genesis],
    );
    let shown = network.mine_until("an address is shown", || events().into_iter().next());
    let address = shown["address"].as_str().expect("an address").to_owned();
    assert_eq!(shown["uri"], format!("bitcoin:{address}?amount=0.8"));
    network.pay(&address, 80_000_000);
    let ended = network.mine_until("the coins are minted", || peg_in.ended());
    let last = events().pop().expect("the deposit's events");
    assert!(ended.success(), "{last}");
    assert_eq!((&last["status"], &last["amountSat"]), (&"minted".into(), &80_000_000.into()));
}

fn coins_go_out(network: &Network) {
    let queued = network.causeway(&peg_out("0.3 BTC", "5000 sat", ["--to", REGTEST_ADDRESS])).json();
    let id = queued[0]["id"].to_string();
    let paid = network.mine_until("the withdrawal is paid", || {
        let status = network.causeway(&["status", &id, "--json"]).json().remove(0);
        (status["status"] == "paid").then_some(status)
    });
    assert_eq!(paid["amountSat"], 30_000_000);
    let charge = paid["versions"][0]["chargeSat"].as_u64().expect("a charge");
    assert!(paid["paidBy"].is_u64() && (666..=5_000).contains(&charge), "{paid}");
    network.causeway(&["cancel", &id, "--dev-account", "0"]).fails_saying(&["is paid", "only a queued one"]);
    network
        .causeway(&["raise", &id, "--max-fee", "0.001 BTC", "--dev-account", "0"])
        .fails_saying(&["is paid", "of no use"]);
}

/// A contract that takes no coins: they wait for the claimant whom the address commits to, and for nobody else.
fn refused_coins_are_claimed(network: &Network) {
    let (board, claimant) = (contracts::address::SIGNING_BOARD.to_string(), DEVELOPER_0.to_string());
    let peg_in =
        ["peg-in", "--no-wait", "--json", "--reclaim-key", RECLAIM_KEY, "--to", &board, "--claimant", &claimant];
    let shown = network.causeway(&peg_in).json().remove(0);
    let address = shown["address"].as_str().expect("an address");
    network.pay(address, 3_000_000);
    let minted = network.mine_until("the coins are minted", || {
        let status = network.causeway(&["status", address, "--json"]).json().remove(0);
        status["deposits"].get(0).filter(|deposit| deposit["status"] == "minted").cloned()
    });
    assert_eq!(minted["claimableSat"], minted["mintedSat"], "{minted}");
    network.causeway(&["claim", "--dev-account", "1"]).fails_saying(&["no coins wait for"]);
    let to = DEVELOPER_1.to_string();
    let claimed = network.causeway(&["claim", "--json", "--to", &to, "--dev-account", "0"]).json().remove(0);
    assert_eq!((&claimed["amountSat"], &claimed["event"]), (&minted["mintedSat"], &"claimed".into()));
    network.causeway(&["claim", "--dev-account", "0"]).fails_saying(&["no coins wait for"]);
}

/// A guardian, who is a member and has no coins, pauses payouts; what is asked for meanwhile says so; members lift it.
fn payouts_are_paused_and_lifted(network: &Network) {
    let keystore = |index: usize| network.folder().join(format!("operators/{index}/operator.keystore"));
    let run = |command: &str, index: usize| {
        let keystore = keystore(index).display().to_string();
        let arguments = [command, "--json", "--yes", "--passphrase-stdin", "--keystore", &keystore, "--rpc"];
        let (rpc, genesis) = (network.rpc(1), genesis(network));
        let arguments = [&arguments[..], &[&rpc, "--genesis", &genesis]].concat();
        binary::run(network.home(), arguments, &format!("{DEV_PASSPHRASE}\n"))
    };
    run("lift", 1).fails_saying(&["payouts are not paused"]);
    assert_eq!(run("pause", 1).json()[0]["number"], 1);
    run("pause", 2).fails_saying(&["pause 1 is in force", "nobody can begin another before"]);
    let queued = network.causeway(&peg_out("0.1 BTC", "5000 sat", ["--to", REGTEST_ADDRESS])).json();
    let id = queued[0]["id"].to_string();
    let status = network.causeway(&["status", &id, "--json"]).json().remove(0);
    assert_eq!((&status["status"], &status["waitsFor"][0]["reason"]), (&"queued".into(), &"pause".into()), "{status}");
    assert!(network.causeway(&["status", "bridge"]).stdout.contains("PAUSE "));
    let votes: Vec<_> = (1..=3).map(|index| run("lift", index).json().remove(0)).collect();
    assert_eq!(votes.iter().map(|vote| vote["ended"] == true).collect::<Vec<_>>(), [false, false, true], "{votes:?}");
    network.mine_until("the withdrawal is paid", || {
        let status = network.causeway(&["status", &id, "--json"]).json().remove(0);
        (status["status"] == "paid").then_some(())
    });
    run("pause", 1).fails_saying(&["pause 1 has ended", "nobody can begin another before"]);
}

fn genesis(network: &Network) -> String {
    network.folder().join("genesis.json").display().to_string()
}

fn below_the_minimum(network: &Network) {
    let to = DEVELOPER_0.to_string();
    network
        .causeway(&["peg-in", "--no-wait", "--to", &to, "--amount", "999 sat"])
        .fails_saying(&["0.00000999 BTC is below the smallest deposit, 0.000014 BTC"]);
    network
        .causeway(&["peg-in", "--no-wait", "--to", &to, "--amount", "10000 sat", "--max-fee", "10000 sat"])
        .fails_saying(&["--max-fee", "would leave nothing"]);
    let zero = Address::ZERO.to_string();
    network.causeway(&["peg-in", "--no-wait", "--to", &zero]).fails_saying(&["zero address"]);
    // What the node would refuse is refused as a mistake, and leaves no record that `status` would tell somebody to pay.
    for (max_fee, told) in [("300 sat", "is below 0.00000493 BTC"), ("1.1 BTC", "is more than 1 BTC")] {
        let peg_in = ["peg-in", "--no-wait", "--json", "--to", &to, "--reclaim-key", RECLAIM_KEY, "--max-fee", max_fee];
        let refused = network.causeway(&peg_in);
        refused.fails_saying(&[told]);
        assert!(refused.stderr.contains("\"code\":\"failed\"") && !refused.stderr.contains("Quote"), "{refused}");
    }
    let status = network.causeway(&["status"]).stdout;
    assert!(status.contains("no deposits or withdrawals here yet"), "{status}");
}

/// The network's own bitcoind has every satoshi; one that never saw the vault's transactions has none.
fn audited(network: &Network) {
    let genesis = genesis(network);
    let report = network.causeway(&["audit", "--genesis", &genesis, "--json"]).json().remove(0);
    assert_eq!((&report["missingSat"], &report["covered"]), (&0.into(), &true.into()));
    assert!(report["vaultSat"].as_u64().expect("an amount") > 34_000_000);
    assert_eq!((&report["balanced"], &report["lostSat"], &report["unsweptSat"]), (&true.into(), &0.into(), &0.into()));
    assert!(report["reserveSat"].as_i64().expect("an amount") > 0, "the network began with a reserve: {report}");

    let runtime = tokio::runtime::Runtime::new().expect("threads");
    let other = runtime.block_on(Bitcoind::start());
    let (url, cookie) = (other.url(), other.cookie());
    let cookie = cookie.to_str().expect("UTF-8");
    let elsewhere = network.causeway(&["audit", "--genesis", &genesis, "--bitcoin", &url, "--bitcoin-cookie", cookie]);
    elsewhere.ends_with(3, &["are missing on Bitcoin"]);
    assert!(elsewhere.stdout.contains("MISSING"), "{elsewhere}");
}

/// A payout that a block has and the ledger has not settled: what it spent is not missing, it has moved.
fn audited_between_a_payouts_block_and_its_settlement(network: &Network) {
    let relayers: Vec<String> = (1..=4).map(|index| format!("relayer-{index}")).collect();
    let queued = network.causeway(&peg_out("0.05 BTC", "5000 sat", ["--to", REGTEST_ADDRESS])).json();
    let id = queued[0]["id"].to_string();
    let status = || network.causeway(&["status", &id, "--json"]).json().remove(0);
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    let (url, cookie) = network.bitcoin();
    let bitcoin = BitcoinRpc::new(url, Auth::Cookie(cookie), mainchain::Network::Regtest);
    let sent = network.until("the payout is sent to Bitcoin", || {
        let txid = status()["versions"].get(0)?["txid"].as_str()?.parse().ok()?;
        runtime.block_on(bitcoin.mempool_entry(txid)).ok().flatten().map(|_| txid.to_string())
    });
    relayers.iter().for_each(|relayer| network.kill(relayer));
    network.mine(1);
    let report = network.causeway(&["audit", "--genesis", &genesis(network), "--json"]).json().remove(0);
    let outputs = report["outputs"].as_array().expect("vault outputs");
    let moved = outputs.iter().filter(|output| output["found"]["state"] == "moved");
    assert!(moved.clone().count() > 0 && moved.clone().all(|output| output["found"]["txid"] == sent), "{report}");
    assert_eq!((&report["missingSat"], &report["covered"]), (&0.into(), &true.into()), "{report}");
    relayers.iter().for_each(|relayer| network.restart(relayer));
    network.mine_until("the withdrawal is paid", || (status()["status"] == "paid").then_some(()));
}

/// With a bitcoind of one's own, each state of a payment is told, from the address that nobody paid on; and all of one's own in one list.
#[test]
fn whatever_a_payment_waits_for_is_told_from_the_first_moment_on() {
    let network = Network::start(Options { fund: true, ..Options::default() });
    let to = DEVELOPER_0.to_string();
    let own = |words: &[&str]| network.causeway(&[&["status", "--json"], words].concat()).json().remove(0);
    let nothing = network.causeway(&["status"]).stdout;
    assert!(nothing.contains("no deposits or withdrawals here yet") && nothing.contains("Bridge: "), "{nothing}");

    let peg_in = ["peg-in", "--json", "--to", &to, "--reclaim-key", RECLAIM_KEY];
    let (mut following, events) = network.spawn("follow", &peg_in);
    let address = network.until("an address is shown", || Some(events().first()?["address"].as_str()?.to_owned()));
    let unseen = network.until("that nothing was seen is told", || events().get(1).cloned());
    assert_eq!((&unseen["event"], &unseen["address"]), (&"unseen".into(), &address.as_str().into()), "{unseen}");
    assert!(unseen["bitcoindBlocks"][1].is_u64() && unseen["minDepositSat"].is_u64(), "{unseen}");
    let told = network.causeway(&["status", &address]).stdout;
    assert!(told.contains("Seen nothing yet: waiting for a payment to") && told.contains("kept out"), "{told}");

    network.pay(&address, 330);
    network.pay(&address, 20_000_000);
    let reasons = |of: &Value| -> Vec<String> {
        let payments = of["payments"].as_array().cloned().unwrap_or_default();
        payments
            .iter()
            .map(|payment| payment["waitsFor"][0]["reason"].as_str().unwrap_or_default().to_owned())
            .collect()
    };
    let mut unconfirmed = reasons(&own(&[&address]));
    unconfirmed.sort();
    assert_eq!(unconfirmed, ["minimum", "unconfirmed"]);
    network.until("both are told to who follows", || (events().len() >= 4).then_some(()));
    for relayer in 1..=4 {
        network.kill(&format!("relayer-{relayer}"));
    }
    network.mine(1);
    assert!(reasons(&own(&[&address])).contains(&"headers".to_owned()), "nobody brings the block's header");
    for relayer in 1..=4 {
        network.restart(&format!("relayer-{relayer}"));
    }
    let listed = own(&[]);
    assert_eq!(listed["deposits"][0]["address"], address.as_str(), "{listed}");
    let ended = network.mine_until("the coins are minted", || following.ended());
    assert!(ended.success());
    let names: Vec<Value> = events().iter().map(|event| event["event"].clone()).collect();
    assert_eq!(names[..2], ["address", "unseen"]);
    assert!(names.contains(&"payment".into()) && names.last() == Some(&"deposit".into()), "{names:?}");
    // What is below the minimum is told with the way back, and keeps nobody waiting.
    let told = network.causeway(&["status", &address]).stdout;
    assert!(told.contains("below the smallest deposit") && told.contains("takes it back from block"), "{told}");

    let withdrawn = ["peg-out", "--all", "--to", REGTEST_ADDRESS, "--dev-account", "7", "--no-wait", "--json"];
    let queued = network.causeway(&withdrawn).json().remove(0);
    let sat = queued["amountSat"].as_u64().expect("an amount");
    assert!((999_000_000..1_000_000_000).contains(&sat), "{queued}");
    let id = queued["id"].to_string();
    let listed = own(&[]);
    assert_eq!(listed["withdrawals"][0]["id"], queued["id"], "{listed}");
    let (mut following, _) = network.spawn("withdrawal", &["status", &id, "--follow", "--json"]);
    assert!(network.mine_until("it is paid", || following.ended()).success());
    let done = network.causeway(&["status"]).stdout;
    assert!(done.contains("Nothing of yours is under way") && done.contains("2 done"), "{done}");
    assert_eq!(own(&["--all"])["withdrawals"][0]["status"], "paid");
    network.causeway(&["status", "bridge", "--follow"]).fails_saying(&["audit --watch"]);
    network.causeway(&["bump", &id, "--max-fee", "9000 sat"]).is_misused_saying(&["causeway raise", "--max-fee"]);
}

/// The reclaim delay of a local network, in blocks.
const RECLAIM_DELAY: u32 = 1008;

#[test]
fn a_deposit_that_the_federation_never_sweeps_is_the_users_again_after_the_timelock() {
    let network = Network::start(Options::default());
    (1..=4).for_each(|index| network.kill(&format!("relayer-{index}")));
    let home = network.home().join("user");
    let (rpc, (bitcoin, cookie)) = (network.rpc(1), network.bitcoin());
    let (home, cookie) = (home.to_str().expect("UTF-8"), cookie.to_str().expect("UTF-8"));
    let run = |arguments: &[&str], passphrase: &str| {
        let rest = ["--passphrase-stdin", "--json", "--home", home];
        binary::run(network.home(), [arguments, &rest].concat(), passphrase)
    };
    let reclaim = |address: &str, passphrase: &str| {
        let to = ["reclaim", address, "--to", REGTEST_ADDRESS, "--fee-rate", "5"];
        let with = ["--bitcoin", &bitcoin, "--bitcoin-cookie", cookie];
        run(&[&to[..], &with, &["--yes"]].concat(), passphrase)
    };

    let to = DEVELOPER_0.to_string();
    let peg_in = ["peg-in", "--no-wait", "--rpc", &rpc, "--to", &to];
    run(&peg_in, "short\n").fails_saying(&["at least 8"]);
    let shown = run(&peg_in, "correct horse\n").json();
    let address = shown[0]["address"].as_str().expect("an address").to_owned();
    let registered = binary::run(network.home(), ["register", &address, "--json", "--rpc", &rpc, "--home", home], "");
    assert_eq!(registered.json()[0]["event"], "registered");
    binary::run(network.home(), ["register", REGTEST_ADDRESS, "--rpc", &rpc, "--home", home], "")
        .fails_saying(&["no record of"]);
    // Dust from somebody else, in the same block.
    network.pay(&address, 330);
    network.pay(&address, 5_000_000);
    network.mine(RECLAIM_DELAY - 1);
    reclaim(&address, "correct horse\n").fails_saying(&["1 more block(s)"]);
    network.mine(1);
    // It is found in blocks that nobody looked at when they were new, from the one on that the address was made in.
    let at = ["--rpc", &rpc, "--bitcoin", &bitcoin, "--bitcoin-cookie", cookie, "--home", home];
    let status = binary::run(network.home(), [&["status", &address, "--json"][..], &at].concat(), "").json().remove(0);
    let payments = status["payments"].as_array().expect("a list");
    let mut paid: Vec<u64> = payments.iter().filter_map(|payment| payment["amountSat"].as_u64()).collect();
    paid.sort_unstable();
    assert_eq!(paid, [330, 5_000_000], "{status}");
    reclaim(&address, "battery staple\n").fails_saying(&["passphrase"]);
    // Nothing is sent before somebody agreed to where it goes and what it costs.
    let unasked = ["reclaim", &address, "--to", REGTEST_ADDRESS, "--bitcoin", &bitcoin, "--bitcoin-cookie", cookie];
    let told = ["take back 1 payment(s)", REGTEST_ADDRESS, "Amount", "Fee", "nobody is here to agree", "--yes"];
    run(&[&unasked[..], &["--fee-rate", "5"]].concat(), "correct horse\n").fails_saying(&told);

    let reclaimed = reclaim(&address, "correct horse\n").json().remove(0);
    let (amount, fee) = (&reclaimed["amountSat"], &reclaimed["feeSat"]);
    assert_eq!(amount.as_u64().expect("an amount") + fee.as_u64().expect("a fee"), 5_000_000, "{reclaimed}");
    assert_eq!((&reclaimed["leftOut"], reclaimed["outpoints"].as_array().map(Vec::len)), (&1.into(), Some(1)));
    network.mine(1);
    reclaim(&address, "correct horse\n").fails_saying(&["each payment holds less than", "costs to take it"]);
    // The payment that is asked for by name is the only one that is looked at.
    let spent = reclaimed["outpoints"][0].as_str().expect("an outpoint").to_owned();
    let only = ["reclaim", &address, "--to", REGTEST_ADDRESS, "--outpoint", &spent, "--yes"];
    run(&[&only[..], &["--bitcoin", &bitcoin, "--bitcoin-cookie", cookie]].concat(), "correct horse\n")
        .fails_saying(&["no confirmed unspent output"]);
}

/// The ledger has it proven, and too few members sweep: for the ledger it waits on, its owner's bitcoind knows better.
#[test]
fn a_proven_deposit_that_its_owner_took_back_waits_for_nothing_any_more() {
    let network = Network::start(Options::default());
    (3..=4).for_each(|index| network.kill(&format!("relayer-{index}")));
    let home = network.home().join("user");
    let (rpc, (bitcoin, cookie)) = (network.rpc(1), network.bitcoin());
    let (home, cookie) = (home.to_str().expect("UTF-8"), cookie.to_str().expect("UTF-8"));
    let at = ["--home", home, "--json"];
    let chain = ["--bitcoin", &bitcoin, "--bitcoin-cookie", cookie];
    let run = |arguments: &[&str], input: &str| binary::run(network.home(), [arguments, &at, &chain].concat(), input);
    let to = DEVELOPER_0.to_string();
    let peg_in = ["peg-in", "--no-wait", "--rpc", &rpc, "--to", &to, "--passphrase-stdin"];
    let shown = run(&peg_in, "correct horse\n").json().remove(0);
    let address = shown["address"].as_str().expect("an address").to_owned();
    let status = || run(&["status", &address, "--rpc", &rpc], "").json().remove(0)["deposits"][0].clone();
    network.pay(&address, 3_000_000);
    network.mine_until("it is proven", || (status()["status"] == "proven").then_some(()));
    assert_eq!(status()["takenBack"], false);
    network.mine(RECLAIM_DELAY);
    let reclaim = ["reclaim", &address, "--to", REGTEST_ADDRESS, "--fee-rate", "5", "--yes", "--passphrase-stdin"];
    assert_eq!(run(&reclaim, "correct horse\n").json()[0]["outpoints"].as_array().map(Vec::len), Some(1));
    assert_eq!(status()["takenBack"], false, "in no block yet");
    network.mine(1);
    let taken = status();
    assert_eq!((&taken["status"], &taken["takenBack"]), (&"proven".into(), &true.into()), "{taken}");
    assert_eq!(taken["waitsFor"], Value::Array(vec![]), "{taken}");
    let listed = run(&["status", "--rpc", &rpc], "").json().remove(0);
    assert_eq!((&listed["deposits"], &listed["done"]), (&Value::Array(vec![]), &1.into()), "{listed}");
}

/// Whoever has the genesis file of another network is told that this node does not belong to it.
fn another_networks_genesis_proves_nothing(network: &Network) {
    let genesis = std::fs::read_to_string(genesis(network)).expect("readable");
    let other = network.home().join("other.json");
    std::fs::write(&other, genesis.replace("51717", "51718")).expect("written");
    let other = other.to_str().expect("UTF-8");
    network.causeway(&["audit", "--genesis", other]).ends_with(5, &["does not prove that its block"]);
    let to = DEVELOPER_0.to_string();
    network
        .causeway(&["peg-in", "--no-wait", "--to", &to, "--reclaim-key", RECLAIM_KEY, "--genesis", other])
        .fails_saying(&["is of another network", "its network id is"]);
}
