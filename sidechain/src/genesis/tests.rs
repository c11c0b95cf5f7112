//! Files that are read, checked and built.

use std::collections::BTreeSet;

use alloy_primitives::B256;
use mainchain::Network;

use super::{Bitcoin, Genesis};
use crate::testing::genesis;

fn refused(change: impl FnOnce(&mut Genesis)) -> String {
    let mut genesis = genesis();
    change(&mut genesis);
    genesis.build().expect_err("changed").to_string()
}

#[test]
fn a_genesis_survives_its_file_and_makes_the_same_block_again() {
    let genesis = genesis();
    let text = genesis.to_json();
    let read = Genesis::from_json(&text).expect("our own");
    assert_eq!(read, genesis);
    let (first, second) = (genesis.build().expect("right"), read.build().expect("right"));
    assert_eq!(first.hash, second.hash);
    assert!(text.contains("\"network\": \"regtest\""), "{text}");
    assert!(text.contains("\"header\": \"0100000000"), "80 bytes as plain hex: {text}");
}

#[test]
fn whatever_the_network_agrees_on_changes_the_first_block() {
    let hash = |change: &dyn Fn(&mut Genesis)| {
        let mut genesis = genesis();
        change(&mut genesis);
        genesis.build().expect("right").hash
    };
    let hashes = BTreeSet::from([
        hash(&|_| {}),
        hash(&|genesis| genesis.chain_id += 1),
        hash(&|genesis| genesis.timestamp += 1),
        hash(&|genesis| genesis.federation.threshold = 2),
        hash(&|genesis| genesis.federation.members.swap(0, 1)),
        hash(&|genesis| genesis.federation.members[0].p2p_key = B256::repeat_byte(7)),
        hash(&|genesis| genesis.federation.recovery.delay += 1),
        hash(&|genesis| genesis.bridge.reclaim_delay += 1),
        hash(&|genesis| genesis.bridge.tiers[0].confirmations += 1),
        hash(&|genesis| genesis.block.gas_limit += 1),
    ]);
    assert_eq!(hashes.len(), 10);
}

#[test]
fn every_network_starts_from_its_first_header() {
    for network in Network::ALL {
        let genesis = Genesis { bitcoin: Bitcoin::start_of(network), ..genesis() };
        genesis.build().expect("right");
    }
}

#[test]
fn wrong_files_are_refused_with_what_was_wanted() {
    let unknown = genesis().to_json().replacen("\"chainId\"", "\"chainID\"", 1);
    assert!(Genesis::from_json(&unknown).expect_err("unknown key").to_string().contains("unknown field `chainID`"));
    assert!(Genesis::from_json("{").is_err());

    let said = refused(|genesis| genesis.federation.threshold = 5);
    assert_eq!(said, "genesis: federation threshold 5, expected 1 to 4");
    let said = refused(|genesis| genesis.federation.members.clear());
    assert!(said.contains("0 members, expected 1 to 100"), "{said}");
    let said = refused(|genesis| genesis.federation.members[2].account = genesis.federation.members[0].account);
    assert!(said.contains("account of member 3 is another member's too"), "{said}");
    let said = refused(|genesis| genesis.federation.members[1].p2p_address = "nowhere".to_owned());
    assert!(said.contains("\"nowhere\" is not host:port"), "{said}");
    let said = refused(|genesis| genesis.federation.members[1].validator_key = vec![1; 48].into());
    assert!(said.contains("48 bytes, expected 96"), "{said}");
    let said = refused(|genesis| genesis.federation.members[1].encryption_key = vec![9; 33].into());
    assert!(said.contains("not a compressed secp256k1 key"), "{said}");
    let said = refused(|genesis| genesis.federation.recovery.keys.clear());
    assert!(said.contains("federation.recovery"), "{said}");
    let said = refused(|genesis| genesis.bridge.tiers[0].up_to_sat = 5);
    assert!(said.contains("bridge.tiers"), "{said}");
    let said = refused(|genesis| genesis.bridge.min_deposit_sat = 100);
    assert!(said.contains("dust"), "{said}");
    let said = refused(|genesis| genesis.block.gas_limit = 30_000_000);
    assert!(said.contains("expected 33554432 to 1000000000"), "{said}");
    let said = refused(|genesis| genesis.block.interval_ms = 5_000);
    assert!(said.contains("expected 1 to heartbeatMs"), "{said}");
    let said = refused(|genesis| genesis.bitcoin.checkpoint.epoch_time += 1);
    assert!(said.contains("epochTime"), "{said}");
    let said = refused(|genesis| genesis.bitcoin = Bitcoin { network: Network::Mainnet, ..genesis.bitcoin.clone() });
    assert!(said.contains("block 0 of mainnet"), "{said}");
    let text = genesis().to_json();
    let said =
        Genesis::from_json(&text.replace("\"header\": \"0100", "\"header\": \"01")).expect_err("79 bytes").to_string();
    assert!(said.contains("checkpoint header"), "{said}");
    let said = refused(|genesis| genesis.chain_id = 0);
    assert!(said.contains("chainId 0"), "{said}");
}
