//! Nodes that are new, or were away, as processes: they copy a snapshot from others, who may lie, and go on.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::relay::Relay;
use tests::validators::Validators;

/// Snapshots of every eighth block.
const OFFER: &str = "[sync]\noffer_every = 8\n";

/// Four validators that keep snapshots, past some blocks with posts in them.
fn network() -> Validators {
    let mut network = Validators::new(4);
    (0..4).for_each(|index| network.configure(index, OFFER));
    (0..4).for_each(|index| network.start(index));
    grow(&network, 26);
    // On a busy machine three may have begun without one, which waits before it votes as one without a journal does.
    network.wait("all vote", |network| (0..4).all(|node| network.head(node) >= 26 && !waits_to_vote(network, node)));
    network
}

/// Whether a node waits for a later block before it votes.
fn waits_to_vote(network: &Validators, node: usize) -> bool {
    let log = network.log(node);
    let waits = log.rfind("waits for wait=a final block");
    waits.is_some_and(|waits| log.rfind("votes in the rounds after").is_none_or(|votes| votes < waits))
}

/// Posts until the chain has a height.
fn grow(network: &Validators, height: u64) {
    network.wait("it has blocks", |network| network.head(0) >= 1);
    while network.head(0) < height {
        network.post_until_final(0, 0, &[0]);
    }
}

fn result(network: &Validators, node: usize, method: &str, parameters: Value) -> Value {
    network.ask(node, method, parameters)["result"].clone()
}

/// The number in an answer of a node.
fn number(value: &Value) -> u64 {
    let text = value.as_str().unwrap_or_default();
    u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap_or_default()
}

/// Block from which on a follower has blocks, by its own log.
fn began_at(network: &Validators, node: usize) -> u64 {
    let log = network.log(node);
    let line = log.lines().find(|line| line.contains("the snapshot is whole")).expect("it copied one");
    let digits = line.split("number").nth(1).expect("it says which").trim_start_matches(|c: char| !c.is_ascii_digit());
    digits.split(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse().ok()).expect("a number")
}

/// Both have the same block and the same state at the head of the second.
fn agree(network: &Validators, left: usize, right: usize) {
    let height = network.head(right);
    network.wait("the other has it too", |network| network.head(left) >= height);
    let tag = format!("{height:#x}");
    for (method, parameters) in [
        ("eth_getBlockByNumber", json!([tag, true])),
        ("eth_getProof", json!([contracts::address::BRIDGE, ["0x0"], tag])),
        ("eth_getCode", json!([contracts::address::FEDERATION, tag])),
    ] {
        let [here, there] = [left, right].map(|node| result(network, node, method, parameters.clone()));
        assert!(!here.is_null(), "{method}");
        assert_eq!(here, there, "{method} at block {height}");
    }
}

#[test]
fn a_follower_that_comes_late_copies_a_snapshot_and_fetches_each_later_block_once() {
    let mut network = network();
    let relay = Relay::before(network.url(0), |_, _, _| ());
    let started = Instant::now();
    let follower = network.follow_with(&relay.url, "[sync]\nbehind = 5\noffer_every = 8\n");
    network.wait("it copied one", |network| network.log(follower).contains("the snapshot is whole"));
    println!("a new follower has the state of block {} after {:?}", began_at(&network, follower), started.elapsed());
    let posted = network.post_until_final(1, 1, &[1]);
    network.wait_for_post(&posted, &[follower]);
    agree(&network, 0, follower);

    let began = began_at(&network, follower);
    assert!(began >= 16 && began.is_multiple_of(8), "it began with block {began}");
    for (number, count) in relay.asked("peg_getBlock") {
        let number: u64 = number.trim_matches(['[', ']']).parse().expect("a number");
        assert!(number > began || number == 0, "block {number} was asked for");
        assert!(count == 1 || number == 0, "block {number} was asked for {count} times");
    }
    assert!(relay.asked("peg_getBlock").len() > 1);
    for (part, count) in relay.asked("peg_getSnapshotPart") {
        assert_eq!(count, 1, "part {part}");
    }
    // What was before says from where on there is something.
    let earlier = network.ask(follower, "eth_getBlockByNumber", json!([format!("{:#x}", began - 1), false]));
    let message = earlier["error"]["message"].as_str().unwrap_or_default();
    assert!(message.contains(&began.to_string()), "{earlier}");
    assert!(network.ask(follower, "eth_getBalance", json!([contracts::address::BRIDGE, "0x1"]))["error"].is_object());
    // It offers snapshots itself, and a follower of the follower begins with one.
    let upstream = network.url(follower).to_owned();
    let second = network.follow_with(&upstream, "[sync]\nbehind = 5\n");
    let posted = network.post_until_final(2, 2, &[2]);
    network.wait_for_post(&posted, &[second]);
    agree(&network, 0, second);
    // After a restart it goes on from its own chain.
    network.kill(follower);
    network.start(follower);
    let posted = network.post_until_final(3, 3, &[3]);
    network.wait_for_post(&posted, &[follower]);
    assert_eq!(began_at(&network, follower), began);
}

/// What an archive has to answer about block 1: its state, a proof of it, and what ran in the block.
fn has_the_first_block(network: &Validators, node: usize) {
    for (method, parameters) in [
        ("eth_getBalance", json!([contracts::address::BRIDGE, "0x1"])),
        ("eth_getProof", json!([contracts::address::BRIDGE, ["0x0"], "0x1"])),
        ("debug_traceBlockByNumber", json!(["0x2"])),
        ("eth_getBlockReceipts", json!(["0x1"])),
    ] {
        let answer = network.ask(node, method, parameters);
        assert!(
            answer["result"].is_string() || answer["result"].is_object() || answer["result"].is_array(),
            "{method}: {answer}"
        );
    }
}

#[test]
fn an_archive_executes_every_block_however_far_it_is_behind_and_gives_up_nothing_that_it_has() {
    let mut network = network();
    let url = network.url(0).to_owned();
    let archive = network.follow_with(&url, "archive = true\n[sync]\nbehind = 5\n");
    // One that is told to begin with a copy, because its operator has no time.
    let late = network.follow_with(&url, "archive = true\n[sync]\nmode = \"snapshot\"\nbehind = 5\n");
    let posted = network.post_until_final(1, 1, &[1]);
    network.wait_for_post(&posted, &[archive, late]);
    has_the_first_block(&network, archive);
    let began = began_at(&network, late);
    // Both are away for longer than a node waits before it copies.
    [archive, late].into_iter().for_each(|node| network.kill(node));
    let height = network.head(0) + 20;
    grow(&network, height);
    [archive, late].into_iter().for_each(|node| network.start(node));
    let posted = network.post_until_final(2, 2, &[2]);
    network.wait_for_post(&posted, &[archive, late]);
    has_the_first_block(&network, archive);
    agree(&network, 0, archive);
    assert!(!network.log(archive).contains("copies a snapshot"), "{}", network.log(archive));
    let state = network.ask(late, "eth_getBalance", json!([contracts::address::BRIDGE, format!("{began:#x}")]));
    assert!(state["result"].is_string(), "what it began with: {state}");
    assert_eq!(network.log(late).matches("the snapshot is whole").count(), 1);
}

#[test]
fn whoever_lies_about_a_snapshot_is_named_and_left_for_another_source() {
    let mut network = network();
    let flipped = |answer: &mut Value, at: fn(usize) -> usize| {
        let Some(text) = answer["result"].as_str() else { return };
        let mut text = text.as_bytes().to_vec();
        let at = at(text.len());
        text[at] = if text[at] == b'0' { b'1' } else { b'0' };
        answer["result"] = String::from_utf8(text).expect("hex").into();
    };
    let is = |part: &str, parameters: &Value| !parameters[1][part].is_null();
    type Lie = Box<dyn Fn(&str, &Value, &mut Value) + Send + Sync>;
    let of_part = move |part: &'static str, lie: fn(&mut Value)| -> Lie {
        Box::new(move |method, parameters, answer| {
            if method == "peg_getSnapshotPart" && is(part, parameters) {
                lie(answer);
            }
        })
    };
    let nothing: fn(&mut Value) = |answer| answer["result"] = "0xc4c3c0c0c0".into();
    let lies: [(&str, Lie); 7] = [
        ("an empty state", of_part("accounts", nothing)),
        ("an empty storage", of_part("slots", nothing)),
        (
            "another balance",
            of_part("accounts", |answer| {
                // The wei of the Bridge: 21 million coins.
                let told = answer["result"].as_str().unwrap_or_default();
                let changed = told.replace("115eec47f6cf7e35000000", "115eec47f6cf7e35000001");
                answer["result"] = changed.into();
            }),
        ),
        (
            "other code",
            of_part("codes", |answer| {
                let told = answer["result"].as_str().unwrap_or_default().replacen("6080", "6081", 1);
                answer["result"] = told.into();
            }),
        ),
        ("another block", of_part("block", |answer| answer["result"] = "0xc3c0c0c0".into())),
        (
            "half an answer",
            of_part("slots", |answer| {
                let told = answer["result"].as_str().unwrap_or_default();
                answer["result"] = told[..told.len() / 4 * 2].into();
            }),
        ),
        (
            "a byte in the middle",
            Box::new(move |method, _, answer| {
                if method == "peg_getSnapshotPart" {
                    flipped(answer, |length| length / 2);
                }
            }),
        ),
    ];
    let honest = network.url(1).to_owned();
    let mut followers = Vec::new();
    for (name, lie) in lies {
        let liar = Relay::before(network.url(0), lie);
        let from = format!("[sync]\nbehind = 5\nfrom = [\"{}\"]\n", liar.url);
        followers.push((name, liar.url.clone(), network.follow_with(&honest, &from)));
    }
    for (name, liar, follower) in followers {
        network.wait(&format!("{name}: it has caught up"), |network| network.head(follower) >= 26);
        let log = network.log(follower);
        let named = log.lines().any(|line| line.contains("lies") && line.contains(&liar));
        assert!(named, "{name}: the liar {liar} is not named in\n{log}");
        assert!(!log.lines().any(|line| line.contains("lies") && line.contains(&honest)), "{name}: {log}");
        assert!(log.contains("the snapshot is whole"), "{name}: {log}");
        agree(&network, 0, follower);
        network.kill(follower);
    }
}

#[test]
fn who_offers_a_snapshot_and_gives_nothing_of_it_keeps_nobody_from_starting() {
    let mut network = network();
    let head = network.head(0);
    // It offers a block that nobody else does, proves it, and has reasons for ever.
    let miser = Relay::before(network.url(0), move |method, _, answer| match method {
        "peg_getSnapshots" => answer["result"] = json!([{ "number": head - 1 }]),
        "peg_getSnapshotPart" => {
            *answer = json!({ "jsonrpc": "2.0", "id": answer["id"], "error": { "code": -32005, "message": "later" } })
        }
        _ => {}
    });
    let honest = network.url(1).to_owned();
    let follower = network.follow_with(&honest, &format!("[sync]\nbehind = 5\nfrom = [\"{}\"]\n", miser.url));
    network.wait("it has caught up by another's snapshot", |network| network.head(follower) >= head);
    let log = network.log(follower);
    assert!(log.lines().any(|line| line.contains("gives nothing of it") && line.contains(&miser.url)), "{log}");
    assert_ne!(began_at(&network, follower), head - 1);
    agree(&network, 0, follower);
}

#[test]
fn a_follower_without_anybody_to_follow_says_so_and_one_of_another_network_ends() {
    let mut network = Validators::started(4);
    let nobody = format!("http://127.0.0.1:{}", tests::port::free());
    let follower = network.follow_with(&nobody, "");
    network.wait("it says what it waits for", |network| {
        let (status, health) = network.http(follower, "GET", "/health", "");
        status == 503 && health.contains("does not answer")
    });
    let mut others = Validators::new(4);
    others.start(0);
    let lost = network.follow_with(others.url(0), "");
    network
        .wait("it ends and says why", |network| network.log(lost).contains("the followed node is of another network"));
}

/// Whether it copies a snapshot, and says that it cannot serve anything else yet.
fn copies(network: &Validators, node: usize) -> bool {
    let (status, health) = network.http(node, "GET", "/health", "");
    let copies = health.contains("copying");
    assert!(!copies || status == 503, "{health}");
    copies
}

#[test]
fn a_copy_that_is_killed_at_any_moment_goes_on_where_it_was() {
    let mut network = network();
    let relay = Relay::before(network.url(0), |method, _, _| {
        if method == "peg_getSnapshotPart" {
            std::thread::sleep(Duration::from_millis(400));
        }
    });
    let follower = network.follow_with(&relay.url, "[sync]\nbehind = 5\n");
    let mut kills = 0;
    let mut seen_syncing = false;
    while !network.log(follower).contains("the snapshot is whole") && kills < 15 {
        std::thread::sleep(Duration::from_millis(1_500 + 330 * (kills % 5)));
        if copies(&network, follower) {
            let syncing = result(&network, follower, "eth_syncing", json!([]));
            let peers = result(&network, follower, "net_peerCount", json!([]));
            // The copy may have ended between two requests, and its server with it.
            if copies(&network, follower) {
                assert_eq!(peers, "0x1", "its source answers");
                seen_syncing |= number(&syncing["highestBlock"]) >= 16;
            }
        }
        network.kill(follower);
        network.start(follower);
        kills += 1;
    }
    println!("killed {kills} times");
    assert!(kills > 1 && seen_syncing);
    network.wait("it has caught up", |network| network.head(follower) >= 26);
    agree(&network, 0, follower);
    // Only what was on its way when it was killed was asked for again.
    let parts = relay.asked("peg_getSnapshotPart");
    let again: u64 = parts.values().map(|count| count - 1).sum();
    assert!(again <= kills, "{parts:?}");
}

/// Whether a node said that it does not vote yet, and since then that it does.
fn waits_before_it_votes(network: &Validators, node: usize) -> bool {
    let log = network.log(node);
    // The last of each: on a busy machine it may have waited in an earlier life too, when the others began without it.
    let (waits, votes) = (log.rfind("does not vote yet"), log.rfind("votes in the rounds after"));
    waits.zip(votes).is_some_and(|(waits, votes)| waits < votes)
}

#[test]
fn a_validator_that_lost_its_disk_copies_a_snapshot_and_votes_again_when_it_may() {
    let mut network = network();
    let sources = [2, 3].map(|index| format!("\"{}\"", network.url(index)));
    network.kill(1);
    std::fs::remove_dir_all(network.data(1)).expect("it had a disk");
    let more = format!("behind = 5\nfrom = [{}, {}]\n", sources[0], sources[1]);
    network.configure(1, &more);
    network.start(1);
    network.wait("it has caught up", |network| network.head(1) >= 26);
    network.wait("it votes", |network| waits_before_it_votes(network, 1));
    assert!(began_at(&network, 1) >= 16);
    // Its vote is needed: with another one dead, three are a quorum.
    network.kill(0);
    let posted = network.post_until_final(2, 2, &[1, 2, 3]);
    assert!(network.has(1, &posted));
    agree(&network, 2, 1);
    // Killed and started again it knows its votes, and need not wait.
    network.kill(1);
    network.start(1);
    network.post_until_final(3, 3, &[1, 2, 3]);
    network.start(0);
    network.wait("it answers", |network| network.head(0) > 0);
    network.post_until_final(0, 0, &[0, 1]);
}

#[test]
fn a_validator_that_was_away_for_long_copies_a_snapshot_and_votes_on_by_its_journal() {
    let mut network = network();
    network.kill(1);
    let height = network.head(0) + 24;
    grow(&network, height);
    let before = network.log(1).len();
    network.configure(1, &format!("behind = 5\nfrom = [\"{}\"]\n", network.url(2)));
    network.start(1);
    network.wait("it has caught up", |network| network.head(1) >= height);
    assert!(began_at(&network, 1) > 26, "from a block after it was killed");
    // Its vote is needed: with another one dead, three are a quorum.
    network.kill(0);
    let posted = network.post_until_final(2, 2, &[1, 2, 3]);
    assert!(network.has(1, &posted));
    agree(&network, 2, 1);
    assert!(!network.log(1)[before..].contains("does not vote yet"), "its journal was there");
    // What it was away for is not there, and it says so.
    let missing = network.ask(1, "eth_getBlockByNumber", json!(["0x1b", false]));
    assert!(missing["error"]["message"].as_str().is_some_and(|told| told.contains("block")), "{missing}");
    network.kill(1);
    network.start(1);
    network.post_until_final(3, 3, &[1, 2, 3]);
}

#[test]
fn a_validator_that_lost_its_disk_and_has_no_source_fetches_all_blocks_and_votes_again_when_it_may() {
    let mut network = Validators::started(4);
    network.kill(3);
    std::fs::remove_dir_all(network.data(3)).expect("it had a disk");
    grow(&network, 8);
    network.configure(3, "[sync]\nbehind = 5\n");
    network.start(3);
    network.wait("it says that it waits", |network| {
        let (status, health) = network.http(3, "GET", "/health", "");
        status == 503 && health.contains("waits for a final block")
    });
    network.wait("it says how it would be faster", |network| network.log(3).contains("fetches every block"));
    network.wait("it votes", |network| waits_before_it_votes(network, 3));
    network.kill(0);
    network.post_until_final(1, 1, &[1, 2, 3]);
    agree(&network, 1, 3);
}

#[test]
fn health_and_peers_tell_the_truth() {
    let mut network = Validators::started(4);
    let follower = network.follow(0);
    let is_well = |network: &Validators, node| {
        let (status, health) = network.http(node, "GET", "/health", "");
        println!("{node}: {status} {health}");
        status == 200
    };
    network.wait("all are well", |network| (0..=follower).all(|node| is_well(network, node)));
    network.wait("all see each other", |network| {
        (0..4).all(|node| number(&result(network, node, "net_peerCount", json!([]))) == 3)
    });
    assert_eq!(result(&network, follower, "net_peerCount", json!([])), "0x1");
    assert_eq!(result(&network, 0, "eth_syncing", json!([])), false);
    assert_eq!(result(&network, follower, "eth_syncing", json!([])), false);
    network.kill(1);
    network.wait("it sees two", |network| number(&result(network, 0, "net_peerCount", json!([]))) == 2);
    assert!(is_well(&network, 2), "three are a quorum");
    network.kill(0);
    network.wait("the follower says whom it misses", |network| {
        let (status, health) = network.http(follower, "GET", "/health", "");
        status == 503 && health.contains("peers")
    });
    assert_eq!(result(&network, follower, "net_peerCount", json!([])), "0x0");
    network.wait("a validator without a quorum is not well", |network| {
        let (status, health) = network.http(2, "GET", "/health", "");
        status == 503 && health.contains("peers")
    });
}
