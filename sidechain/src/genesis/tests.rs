//! Files that are read, checked and built.

use std::collections::BTreeSet;

use alloy_primitives::{Address, B256, b256};
use mainchain::Network;
use serde_json::Value;

use super::{Bitcoin, Bridge, DEV_CHAIN_ID, Genesis, MIN_RECOVERY_DELAY, Tier};
use crate::testing::{genesis, genesis_on, stranger};

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

/// Every number and text in a file, by its path (RFC 6901).
fn leaves(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, inner)| leaves(inner, &format!("{path}/{name}"), found))
        }
        Value::Array(items) => {
            (0..).zip(items).for_each(|(index, inner)| leaves(inner, &format!("{path}/{index}"), found));
        }
        _ => found.push(path.to_owned()),
    }
}

/// Other values for a number or a text, near it: one more, one less, other digits at each end, one letter more.
fn others(leaf: &Value) -> Vec<Value> {
    if let Some(number) = leaf.as_u64() {
        return [number.checked_add(1), number.checked_sub(1)].into_iter().flatten().map(Value::from).collect();
    }
    let text = leaf.as_str().expect("a number or a text");
    let (first, last) = (if text.starts_with("0x") { 2 } else { 0 }, text.len() - 1);
    let at = |at: usize, digit| format!("{}{digit}{}", &text[..at], &text[at + 1..]);
    // Several at the end: not every number is a key.
    let changed = (0..10).flat_map(|digit| [at(first, digit), at(last, digit)]).chain([format!("{text}1")]);
    changed.filter(|changed| changed != text).map(Value::from).collect()
}

/// The hash of the first block that a file makes; none when it is refused.
fn hash(file: &Value) -> Option<B256> {
    Genesis::from_json(&file.to_string()).ok()?.build().ok().map(|built| built.hash)
}

#[test]
fn no_field_of_a_file_can_be_changed_without_another_hash_or_a_refusal() {
    let file: Value = serde_json::from_str(&genesis().to_json()).expect("JSON");
    let before = hash(&file).expect("right");
    let mut paths = Vec::new();
    leaves(&file, "", &mut paths);
    let mut accepted = BTreeSet::new();
    for path in &paths {
        for other in others(file.pointer(path).expect("its own path")) {
            let mut changed = file.clone();
            *changed.pointer_mut(path).expect("its own path") = other.clone();
            let Some(after) = hash(&changed) else { continue };
            assert_ne!(after, before, "{path} changed to {other}");
            accepted.insert(path.as_str());
        }
    }
    // Refused whatever they are changed to: what belongs to another field, and what is checked by itself.
    let refused: Vec<&str> = paths.iter().map(String::as_str).filter(|path| !accepted.contains(path)).collect();
    let fixed = [
        "/bitcoin/",
        "/validatorKey",
        "/validatorProof",
        "/federation/recovery/threshold",
        "/bridge/finalBlocks",
        "/bridge/tiers/3",
    ];
    let unexpected: Vec<_> = refused.iter().filter(|path| !fixed.iter().any(|fixed| path.contains(fixed))).collect();
    assert!(unexpected.is_empty(), "nothing else may be there: {unexpected:?}");
    for free in
        ["/block/intervalMs", "/block/heartbeatMs", "/federation/members/0/p2pAddress", "/chainId", "/timestamp"]
    {
        assert!(accepted.contains(free), "{free} may have another value");
    }
}

#[test]
fn lists_cannot_be_put_in_another_order_or_shortened_without_another_hash() {
    let file: Value = serde_json::from_str(&genesis().to_json()).expect("JSON");
    let before = hash(&file);
    for path in ["/federation/members", "/federation/recovery/keys", "/bridge/guardians"] {
        let changed = |change: &dyn Fn(&mut Vec<Value>)| {
            let mut changed = file.clone();
            change(changed.pointer_mut(path).and_then(Value::as_array_mut).expect("a list"));
            hash(&changed)
        };
        assert!(changed(&|list| list.swap(0, 1)).is_some_and(|after| Some(after) != before), "{path}");
        assert_ne!(changed(&|list| drop(list.pop())), before, "{path}");
    }
}

#[test]
fn the_first_header_and_the_contracts_know_the_network() {
    let genesis = genesis();
    let first = genesis.build().expect("right");
    assert_eq!(first.block.header.extra_data[..], genesis.network_id()[..]);
    // A second network of the same operators, a second later.
    let second = Genesis { timestamp: genesis.timestamp + 1, ..genesis.clone() };
    assert_ne!(second.network_id(), genesis.network_id());
    let codes = |genesis: &Genesis| genesis.build().expect("right").overlay.codes.into_keys().collect::<BTreeSet<_>>();
    // All have it in their code; the light client knows facts of Bitcoin alone.
    assert_eq!(codes(&genesis).difference(&codes(&second)).count(), 6);
}

#[test]
fn the_network_id_of_a_file_never_changes() {
    // Frozen: it is in addresses on Bitcoin and in whatever was signed.
    assert_eq!(genesis().network_id(), b256!("9595c33a88ae30adcc33c6c98224fe6176963c9f9a8879b6167bab6ca7bf6e86"));
}

#[test]
fn every_network_starts_from_its_first_header() {
    for network in Network::ALL {
        genesis_on(network).build().expect("right");
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
    let said = refused(|genesis| genesis.block.gas_limit = 30_000_000);
    assert!(said.contains("expected 33554432 to 1000000000"), "{said}");
    let said = refused(|genesis| genesis.block.interval_ms = 5_000);
    assert!(said.contains("expected 1 to heartbeatMs"), "{said}");
    let said = refused(|genesis| genesis.bitcoin.checkpoint.epoch_time += 1);
    assert!(said.contains("epochTime"), "{said}");
    let said = refused(|genesis| {
        genesis.chain_id = 51_718;
        genesis.bitcoin.network = Network::Mainnet;
    });
    assert!(said.contains("block 0 of mainnet"), "{said}");
    let text = genesis().to_json();
    let said =
        Genesis::from_json(&text.replace("\"header\": \"0100", "\"header\": \"01")).expect_err("79 bytes").to_string();
    assert!(said.contains("checkpoint header"), "{said}");
    let said = refused(|genesis| genesis.chain_id = 0);
    assert!(said.contains("chainId 0"), "{said}");
}

#[test]
fn fewer_validators_than_members_are_for_regtest_alone_and_sign_its_certificates_alone() {
    let said = refused(|genesis| genesis.federation.validators = Some(0));
    assert!(said.contains("validators 0, expected 1 to 4"), "{said}");
    let said = refused(|genesis| genesis.federation.validators = Some(5));
    assert!(said.contains("validators 5, expected 1 to 4"), "{said}");
    let of = |network, validators| {
        let mut genesis = genesis_on(network);
        genesis.federation.validators = Some(validators);
        genesis
    };
    for network in Network::ALL.into_iter().filter(|network| *network != Network::Regtest) {
        let said = of(network, 4).check().expect_err("not regtest").to_string();
        assert!(said.contains("all members are validators"), "{network}: {said}");
    }
    let lone = of(Network::Regtest, 1);
    lone.check().expect("regtest");
    assert_eq!(lone.validators().expect("right").len(), 1);
    assert_eq!(lone.federation.validators(), &lone.federation.members[..1]);
    assert_ne!(lone.network_id(), genesis_on(Network::Regtest).network_id());
}

#[test]
fn a_recovery_that_is_easier_than_the_federation_is_refused() {
    let said = refused(|genesis| genesis.federation.recovery.threshold = 2);
    assert!(said.contains("2 recovery keys could take what needs 3 members"), "{said}");
    // One block of delay, the maker's own key, one of one: what took the vault.
    let said = refused(|genesis| {
        genesis.federation.recovery.threshold = 1;
        genesis.federation.recovery.delay = 1;
        genesis.federation.recovery.keys.truncate(1);
    });
    assert!(said.contains("federation.recovery"), "{said}");
    // All members' keys are in it, and one more.
    let said = refused(|genesis| {
        let stranger = B256::from_slice(&genesis.federation.members[0].encryption_key[1..]);
        genesis.federation.recovery.keys.push(stranger);
    });
    assert!(said.contains("5 keys, expected one of each of the 4 members"), "{said}");
    let said = refused(|genesis| genesis.federation.recovery.keys.truncate(3));
    assert!(said.contains("3 keys, expected one of each of the 4 members"), "{said}");
    let on = |network, delay| {
        let mut genesis = genesis_on(network);
        genesis.federation.recovery.delay = delay;
        genesis.check().map_err(|error| error.to_string())
    };
    assert_eq!(on(Network::Regtest, 1), Ok(()));
    for network in [Network::Mainnet, Network::Testnet4, Network::Signet] {
        assert_eq!(on(network, MIN_RECOVERY_DELAY), Ok(()));
        let said = on(network, MIN_RECOVERY_DELAY - 1).expect_err("too soon");
        assert!(said.contains("a delay of 4319 blocks, expected 4320 or more"), "{said}");
    }
}

#[test]
fn where_bitcoin_is_worth_something_a_majority_signs() {
    let of = |threshold, network| {
        let mut genesis = genesis_on(network);
        genesis.federation.threshold = threshold;
        genesis.check().map_err(|error| error.to_string())
    };
    assert_eq!(of(2, Network::Regtest), Ok(()));
    assert_eq!(of(3, Network::Mainnet), Ok(()));
    let said = of(2, Network::Mainnet).expect_err("two groups of two");
    assert!(said.contains("threshold 2 of 4 members: expected a majority"), "{said}");
}

// Block 1 of mainnet (difficulty 1), said to be at height 806,400 with a work to fit.
#[test]
fn a_checkpoint_that_costs_nothing_to_make_up_is_refused_on_mainnet() {
    let mut genesis = genesis_on(Network::Mainnet);
    let header = "010000006fe28c0ab6f1b372c1a6a246ae63f74f931e8365e15a089c68d6190000000000982051fd1e4ba744bbbe680e1fee14677ba1a3c3540bf7b1cdb606e857233e0e61bc6649ffff001d01e36299";
    let header: bitcoin::block::Header = bitcoin::consensus::encode::deserialize_hex(header).expect("a header");
    let checkpoint = &mut genesis.bitcoin.checkpoint;
    (checkpoint.header, checkpoint.height, checkpoint.epoch_time) = (header, 806_400, header.time);
    let said = genesis.check().expect_err("anybody can make it").to_string();
    assert!(said.contains("height 806400 with difficulty bits 1d00ffff"), "{said}");
    genesis.bitcoin.checkpoint.height = 1;
    genesis.check().expect_err("and a light client starts behind block 500,000");
}

#[test]
fn chain_ids_of_other_networks_are_refused() {
    for taken in [1, 10, 137, 8_453, 31_337, 11_155_111] {
        let said = refused(|genesis| genesis.chain_id = taken);
        assert!(said.contains("could be repeated here"), "{said}");
    }
    let said = refused(|genesis| genesis.bitcoin = Bitcoin::start_of(Network::Mainnet));
    assert!(said.contains(&format!("chainId {DEV_CHAIN_ID} is that of every network on regtest")), "{said}");
}

#[test]
fn text_that_a_terminal_acts_on_is_refused() {
    for text in ["\x1b[2J\x1b[H", "a\nGenesis block 0x00", "\u{202e}ecila", "", &"x".repeat(65)] {
        refused(|genesis| genesis.federation.members[0].name = text.to_owned());
        refused(|genesis| genesis.federation.members[0].p2p_address = format!("{text}\x1b[2J:30301"));
    }
}

/// What is wrong with rules of the peg, and what is said of it.
type Wrong = (fn(&mut Bridge), &'static str);

#[test]
fn rules_of_the_peg_that_contradict_each_other_are_refused_with_what_was_wanted() {
    let wrong: [Wrong; 29] = [
        (|bridge| bridge.reclaim_delay = 19, "reclaimDelay is 19, expected 20 or more: twice finalBlocks"),
        (|bridge| bridge.final_blocks = 0, "finalBlocks is 0, expected 1 or more on regtest"),
        (|bridge| bridge.final_blocks = 9, "expected finalBlocks (9)"),
        (|bridge| bridge.alarm_blocks = 0, "alarmBlocks is 0, expected 1 to finalBlocks (10)"),
        (|bridge| bridge.alarm_blocks = 11, "alarmBlocks is 11"),
        (
            |bridge| (bridge.peg_in_fee_sat, bridge.min_deposit_sat) = (0, 329),
            "minDepositSat is 329, expected 330 (dust",
        ),
        (|bridge| bridge.min_deposit_sat = 493, "minDepositSat is 493, expected 494 (dust"),
        (|bridge| bridge.peg_in_fee_sat = 1_307, "minDepositSat is 1400, expected 1401"),
        (|bridge| bridge.min_deposit_sat = u64::MAX, "to capSat (2100000000000000)"),
        (|bridge| bridge.min_withdrawal_sat = 1_214, "minWithdrawalSat is 1214, expected 1215"),
        (|bridge| bridge.peg_out_fee_sat = u64::MAX, "minWithdrawalSat"),
        (|bridge| bridge.window_sat = 999, "to windowSat (999)"),
        (|bridge| bridge.floor_rate = 999, "floorRate is 999, expected minRate to maxRate (1000 to 1000000)"),
        (|bridge| bridge.floor_rate = 1_000_001, "floorRate is 1000001"),
        (|bridge| bridge.min_rate = 99, "minRate 99 and maxRate 1000000, expected 100 to 10000000"),
        (|bridge| bridge.max_rate = 999, "minRate 1000 and maxRate 999"),
        (|bridge| bridge.max_rate = 10_000_001, "maxRate 10000001"),
        (|bridge| bridge.stop_sat = 0, "stopSat is 0, expected 1 to"),
        (|bridge| bridge.useful_sat = 329, "usefulSat is 329, expected 330 to 100000"),
        (|bridge| bridge.cap_sat = 2_100_000_000_000_001, "capSat is 2100000000000001"),
        (|bridge| bridge.window_seconds = 0, "windowSeconds is 0"),
        (|bridge| bridge.refund_after = 0, "refundAfter is 0 seconds, expected 1 or more on regtest"),
        (|bridge| bridge.pause_seconds = 0, "pauseSeconds is 0"),
        (|bridge| bridge.pause_gap_seconds = 86_399, "expected pauseSeconds (86400) or more"),
        (|bridge| bridge.max_inputs = 101, "maxInputs is 101, expected 1 to 100"),
        (|bridge| bridge.max_payouts = 0, "maxPayouts is 0, expected 1 to 220"),
        (|bridge| bridge.guardians.push(Address::ZERO), "the zero address is nobody's"),
        (|bridge| bridge.guardians.push(bridge.guardians[0]), "one is named twice"),
        (|bridge| bridge.guardians = (1..=101).map(stranger).collect(), "guardians has 101, expected at most 100"),
    ];
    for (change, words) in wrong {
        let said = refused(|genesis| change(&mut genesis.bridge));
        assert!(said.starts_with("genesis: bridge") && said.contains(words), "{words}: {said}");
    }
}

#[test]
fn tiers_that_leave_a_depth_or_an_amount_without_a_rule_are_refused() {
    let tier = |confirmations, up_to_sat| Tier { confirmations, up_to_sat };
    let last = tier(10, u64::MAX);
    let wrong: [(Vec<Tier>, &str); 8] = [
        (Vec::new(), "is empty"),
        (vec![tier(0, 5), last], "at least 1"),
        (vec![tier(1, 5), tier(1, 6), last], "must both ascend"),
        (vec![tier(1, 5), tier(2, 5), last], "must both ascend"),
        (vec![tier(1, 5), tier(11, u64::MAX)], "expected finalBlocks (10)"),
        (vec![tier(1, 5), tier(9, u64::MAX)], "expected finalBlocks (10)"),
        (vec![tier(1, 5), tier(10, u64::MAX - 1)], "expected finalBlocks (10)"),
        ((1..=17).map(|number| tier(number, number.into())).collect(), "has 17, expected at most 16"),
    ];
    for (tiers, words) in wrong {
        let said = refused(|genesis| genesis.bridge.tiers = tiers);
        assert!(said.starts_with("genesis: bridge.tiers") && said.contains(words), "{words}: {said}");
    }
}

/// Whoever joins one of these takes what it says for money.
#[test]
fn where_bitcoin_is_worth_something_finality_is_deep_and_nobody_is_refunded_at_once() {
    let on = |network, change: fn(&mut Bridge)| {
        let mut genesis = genesis_on(network);
        change(&mut genesis.bridge);
        genesis.check().map_err(|error| error.to_string())
    };
    for network in [Network::Mainnet, Network::Testnet4, Network::Signet] {
        assert_eq!(on(network, |_| ()), Ok(()), "the defaults of {network}");
        let said = on(network, |bridge| bridge.final_blocks = 99).expect_err("a night of a miner");
        assert!(said.contains("finalBlocks is 99, expected 100 or more"), "{said}");
        let said = on(network, |bridge| bridge.refund_after = 86_399).expect_err("before it is paid");
        assert!(said.contains("expected 86400 or more"), "{said}");
    }
    assert_eq!(on(Network::Regtest, |bridge| bridge.refund_after = 1), Ok(()));
}

#[test]
fn a_field_of_the_peg_that_nobody_knows_or_that_is_missing_is_refused() {
    let file = genesis().to_json();
    let Value::Object(bridge) = serde_json::from_str::<Value>(&file).expect("JSON")["bridge"].clone() else {
        panic!("an object")
    };
    assert_eq!(bridge.len(), 22, "one for each parameter of the contract");
    for name in bridge.keys() {
        let misspelt = file.replacen(&format!("\"{name}\""), &format!("\"{name}s\""), 1);
        assert!(Genesis::from_json(&misspelt).is_err(), "{name}");
    }
}
