//! Validators as processes: killed by kill -9, stopped, restarted, followed. No bitcoind is needed.

use std::time::{Duration, Instant};

use serde_json::json;
use tests::binary;
use tests::relay::Relay;
use tests::validators::{PASSPHRASE, Validators};
use tests::wrong_clock::WrongClock;

/// All nodes have the same block at the height that the lowest of them has.
fn agree(network: &Validators, nodes: &[usize]) {
    let height = nodes.iter().map(|node| network.head(*node)).min().expect("some nodes");
    let hashes: Vec<_> = nodes.iter().map(|node| network.hash(*node, height)).collect();
    assert!(hashes[0].is_some());
    assert!(hashes.iter().all(|hash| *hash == hashes[0]), "block {height}: {hashes:?}");
}

#[test]
fn any_validator_killed_comes_back_and_catches_up() {
    let mut network = Validators::started(4);
    for killed in 0..4 {
        let other = (killed + 1) % 4;
        network.kill(killed);
        // Three of four go on, also with transactions.
        let posted = network.post_until_final(other, other, &[other]);
        network.start(killed);
        network.wait_for_post(&posted, &[killed]);
    }
    // All three that returned make the quorum.
    network.kill(3);
    network.post_until_final(0, 1, &[2]);
    agree(&network, &[0, 1, 2]);
}

#[test]
fn all_killed_at_once_go_on_where_they_were() {
    let mut network = Validators::started(4);
    let posted = network.post_until_final(0, 0, &[0, 1, 2, 3]);
    let (height, hash) = (network.head(0), network.hash(0, network.head(0)));
    (0..4).for_each(|node| network.kill(node));
    (0..4).for_each(|node| network.start(node));
    network.wait("all have new blocks", |network| (0..4).all(|node| network.head(node) > height + 1));
    for node in 0..4 {
        assert_eq!(network.hash(node, height), hash, "what was final stays");
        assert!(network.has(node, &posted));
    }
}

#[test]
fn a_lost_state_is_filled_up_again() {
    let mut network = Validators::started(4);
    let posted = network.post_until_final(0, 0, &[1]);
    network.kill(1);
    let chain = network.config(1).with_file_name("data").join("chain");
    std::fs::remove_dir_all(chain).expect("the state was there");
    network.start(1);
    network.wait_for_post(&posted, &[1]);
    // Its vote counts: with another one dead, it is needed.
    network.kill(0);
    network.post_until_final(2, 2, &[1]);
    agree(&network, &[1, 2, 3]);
}

#[test]
fn without_a_quorum_nothing_is_final_and_with_it_again_all_goes_on() {
    let mut network = Validators::started(4);
    network.kill(0);
    network.kill(1);
    std::thread::sleep(Duration::from_secs(1)); // what was under way ends
    let height = network.head(2);
    let posted = network.post(2, 2);
    std::thread::sleep(Duration::from_secs(8));
    assert!(!network.has(2, &posted), "two of four are no quorum");
    assert_eq!(network.head(2), height);
    network.start(0);
    network.wait("three are a quorum", |network| network.head(2) > height);
    // Not the one from before: a free transaction waits ten seconds in the pool, then its sender has to send it anew.
    network.post_until_final(3, 2, &[2]);
}

#[test]
fn a_follower_knows_of_no_block_that_the_followed_node_does_not_prove() {
    let mut network = Validators::started(4);
    let liar = Relay::before(network.url(0), |method, _, answer| {
        if method == "eth_blockNumber" {
            answer["result"] = "0xffffff".into();
        }
    });
    let follower = network.follow_with(&liar.url, "[sync]\nmode = \"full\"\n");
    network.wait("it has blocks", |network| network.head(follower) >= 3);
    assert_eq!(network.ask(follower, "eth_syncing", json!([]))["result"], json!(false));
    assert!(network.log(follower).contains("does not prove its head"));
}

#[test]
fn a_node_that_only_follows_joins_with_the_genesis_file_and_one_address() {
    let mut network = Validators::started(4);
    let before = network.post_until_final(0, 0, &[0]);
    let follower = network.follow(0);
    network.wait_for_post(&before, &[follower]);
    // What users send to the follower reaches the validators.
    let through = network.post_until_final(1, follower, &[follower]);
    // A follower of the follower.
    let second = network.follow(follower);
    network.wait_for_post(&through, &[second]);
    // The followed node dies and returns; the follower waits for it.
    network.kill(0);
    let meanwhile = network.post_until_final(2, 1, &[1]);
    assert!(!network.has(follower, &meanwhile));
    network.start(0);
    network.wait_for_post(&meanwhile, &[second]);
    // The follower itself is killed.
    network.kill(follower);
    network.start(follower);
    network.wait_for_post(&meanwhile, &[follower]);
    agree(&network, &[0, 1, 2, 3, follower, second]);
}

#[test]
fn a_dead_validator_costs_one_timeout_and_then_little() {
    let mut network = Validators::started(4);
    network.kill(2);
    std::thread::sleep(Duration::from_secs(20)); // its first round times out; after that it is skipped
    let mut slowest = Duration::ZERO;
    for _ in 0..8 {
        let started = Instant::now();
        network.post_until_final(0, 0, &[0]);
        slowest = slowest.max(started.elapsed());
    }
    println!("slowest of eight transactions with a dead validator: {slowest:?}");
    assert!(slowest < Duration::from_secs(10), "{slowest:?}");
}

#[test]
fn a_stop_is_clean_and_a_second_process_is_refused() {
    let mut network = Validators::started(4);
    let config = network.config(0);
    let second = binary::run(
        network.home(),
        ["node", "--config", config.to_str().expect("UTF-8"), "--passphrase-stdin"],
        &format!("{PASSPHRASE}\n"),
    );
    second.fails_saying(&["in use by another process", "data"]);
    let status = network.stop(0);
    assert!(status.success(), "{status}: {}", network.log(0));
    network.start(0);
    let height = network.head(1);
    network.wait("it goes on", |network| network.head(0) > height);
}

// Three clocks are right. The fourth is a minute ahead, then eight seconds behind; no bitcoind is named.
#[test]
fn a_validator_with_a_wrong_clock_hears_the_others_says_what_is_wrong_and_returns_when_it_is_right() {
    let mut network = Validators::new(4);
    let clock = WrongClock::compile(network.home());
    (0..3).for_each(|index| network.start(index));
    let mut heard = 0;
    for (ahead_s, said) in [(61, "ahead of the median of"), (-8, "behind the median of")] {
        network.start_with_clock(3, &clock, ahead_s);
        network.wait(&format!("it says that its clock is {said} the others"), |network| {
            network.log(3)[heard..].contains(said)
        });
        let log = network.log(3);
        assert!(log[heard..].contains("Look at the machine's time service"), "{log}");
        heard = log.len();
        let head = network.head(0);
        network.wait("the others go on", |network| network.head(0) > head + 3);
        network.kill(3);
    }
    network.start(3);
    network.wait("it follows again", |network| network.head(3) > 0);
    network.post_until_final(0, 3, &[0, 1, 2, 3]);
}
