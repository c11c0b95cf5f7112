//! The local network: the demo does the main job on it, end to end, and `causeway dev` owns it and leaves nothing behind.

use std::fs;
use std::time::Duration;

use tests::binary;
use tests::known::DEV_PASSPHRASE;
use tests::network::{Network, Options};
use tests::waiting::Patience;

/// How long children may take to see that their parent was killed.
const ENDING: Patience = Patience::new(Duration::from_secs(30), Duration::from_millis(100));

#[test]
fn the_demo_ends_with_every_amount_matching() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let folder = home.path().join("net");
    // As `make demo` does: the page is bought by npm's @x402/fetch.
    let buyer = concat!(env!("CARGO_MANIFEST_DIR"), "/clients/buy_page.mjs");
    let arguments = ["demo", "--buyer", buyer, "--data-dir", folder.to_str().expect("UTF-8")];
    let demo = binary::run(home.path(), arguments, "");
    assert_eq!(demo.code, Some(0), "{demo}");
    for shown in [
        "Every amount matches",
        "Every satoshi is there",
        "64 bytes",
        "vouchers signed and checked",
        "paid by",
        "buy_page.mjs",
        "caught up",
    ] {
        assert!(demo.stdout.contains(shown), "the demo does not show {shown:?}: {demo}");
    }
    assert!(!folder.exists(), "the demo leaves {} behind", folder.display());
}

#[test]
fn a_network_has_one_owner_leaves_nothing_behind_and_goes_on_where_it_was() {
    let mut network = Network::start(Options { operators: 2, threshold: 2, ..Options::default() });
    let folder = network.folder();
    let name = folder.to_str().expect("UTF-8").to_owned();
    binary::run(network.home(), ["dev", "--data-dir", &name, "--ports", "free"], "")
        .fails_saying(&["another `causeway dev` runs in"]);
    // The node's own folder is held too.
    let config = folder.join("operators/1/node.toml");
    let second = binary::run(
        network.home(),
        ["node", "--config", config.to_str().expect("UTF-8"), "--passphrase-stdin"],
        &format!("{DEV_PASSPHRASE}\n"),
    );
    second.fails_saying(&["in use by another process"]);

    let height = network.mine(7);
    assert!(processes_of(&name) >= 6, "the parent, bitcoind, two nodes and two relayers name their folder");
    network.kill_all();
    ENDING.until("no child outlives its killed parent", String::new, || (processes_of(&name) == 0).then_some(()));
    network.resume();
    assert_eq!(network.mine(1), height + 1);
    network.stop();
    assert_eq!(processes_of(&name), 0, "children outlive a stop");
}

#[test]
fn one_validator_serves_a_whole_federation() {
    let network = Network::start(Options { validators: Some(1), fund: true, ..Options::default() });
    let status = network.status();
    assert_eq!(status["rpc"].as_array().map(Vec::len), Some(1), "{status}");
    assert_eq!(status["running"].as_array().map(Vec::len), Some(6), "bitcoind, a validator, four relayers: {status}");
    let genesis = network.folder().join("genesis.json");
    let audit = network.causeway(&["audit", "--genesis", genesis.to_str().expect("UTF-8")]);
    assert_eq!(audit.code, Some(0), "{audit}");
    binary::run(network.home(), ["dev", "--data-dir", "other", "--validators", "5"], "")
        .fails_saying(&["--validators 5 of 4 operators: expected 1 to 4"]);
}

#[test]
fn a_bitcoind_that_is_killed_again_and_again_loses_no_block() {
    let network = Network::start(Options { operators: 2, threshold: 2, ..Options::default() });
    for blocks in [1, 15, 40] {
        let height = network.mine(blocks);
        network.kill("bitcoind");
        network.restart("bitcoind");
        assert_eq!(network.mine(1), height + 1, "after {blocks} blocks");
    }
}

/// Processes with the folder in their arguments.
fn processes_of(folder: &str) -> usize {
    let entries = fs::read_dir("/proc").expect("Linux").flatten();
    let names = entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    names.filter(|arguments| String::from_utf8_lossy(arguments).contains(folder)).count()
}
