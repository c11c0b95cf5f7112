//! The `peg` namespace.

use alloy_primitives::{B256, Bytes, U64};
use alloy_rlp::Decodable;
use bitcoin::hashes::Hash;
use bitcoin::key::Secp256k1;
use bitcoin::taproot::TapNodeHash;
use bitcoin::{TapTweakHash, XOnlyPublicKey};
use contracts::address::{BRIDGE, DEPOSITS, FEDERATION, VAULT, WRAPPED_BTC};
use contracts::alloy_sol_types::SolCall;
use contracts::{Bridge, Federation};
use serde_json::{Value, json};

use super::world::{CHAIN, World, call};
use crate::block::{Block, Header};
use crate::chain::{Origin, Registration};
use crate::execution::Stop;
use crate::io::{clock::now_ms, node_state::Gossip};
use crate::testing::{Key, genesis, member, network};

const GROUP: u64 = 4_000_000;

pub fn group_key() -> XOnlyPublicKey {
    XOnlyPublicKey::from_slice(&Key::new(GROUP).public()[1..]).unwrap()
}

/// A call that confirms a key of epoch 1.
pub fn confirm_key() -> Bytes {
    let secp = Secp256k1::verification_only();
    let leaf = genesis().federation.recovery_leaf().unwrap();
    let tweak = TapTweakHash::from_key_and_tweak(group_key(), Some(TapNodeHash::from_byte_array(leaf.0)));
    let (vault, parity) = group_key().add_tweak(&secp, &tweak.to_scalar()).unwrap();
    let point = vault.public_key(parity).serialize_uncompressed();
    Federation::confirmKeyCall {
        network: network(),
        epoch_: 1,
        groupKey_: B256::from(group_key().serialize()),
        vaultKeyX: B256::from_slice(&point[1..33]),
        vaultKeyY: B256::from_slice(&point[33..]),
    }
    .abi_encode()
    .into()
}

/// A header on the genesis block of regtest, with proof of work.
pub fn first_header() -> Vec<u8> {
    let genesis = bitcoin::constants::genesis_block(bitcoin::Network::Regtest).header;
    let mut header = bitcoin::block::Header {
        version: bitcoin::block::Version::from_consensus(0x2000_0000),
        prev_blockhash: genesis.block_hash(),
        time: genesis.time + 600,
        nonce: 0,
        ..genesis
    };
    while header.validate_pow(header.target()).is_err() {
        header.nonce += 1;
    }
    bitcoin::consensus::serialize(&header)
}

pub async fn with_key() -> World {
    key_in_force(World::new().await).await
}

pub async fn key_in_force(world: World) -> World {
    for index in 1..=4 {
        let confirmed = world.receipt(&member(index).free(CHAIN, 0, 1_000_000, FEDERATION, confirm_key())).await;
        assert_eq!(confirmed["status"], "0x1");
    }
    world
}

pub fn terms(recipient: u64) -> Value {
    json!({
        "recipient": Key::new(recipient).address,
        "claimant": Key::new(recipient).address,
        "reclaimKey": B256::from_slice(&Key::new(7).public()[1..]),
        "maxFeeSat": 5_000,
        "dataHash": B256::ZERO,
        "epoch": 1,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bridge_is_described() {
    let world = with_key().await;
    let info = world.get("peg_getInfo", json!([])).await;
    assert_eq!(info["chainId"], CHAIN);
    assert_eq!(info["bitcoinNetwork"], "regtest");
    assert_eq!(info["contracts"]["bridge"], json!(BRIDGE));
    assert_eq!(info["epoch"], 1);
    assert_eq!(info["groupKey"], json!(B256::from(group_key().serialize())));
    assert!(info["vaultKey"].is_string());
    assert_eq!(info["threshold"], 3);
    assert_eq!(info["members"][3], json!({ "index": 4, "name": "operator 4", "account": member(4).address }));
    assert_eq!(info["parameters"], json!(api::peg::Parameters::from(&genesis().bridge)));
    assert_eq!(info["contracts"]["deposits"], json!(DEPOSITS));
    assert_eq!(info["bitcoinTip"]["height"], 0);
    let (time, now) = (1_296_688_602, info["head"]["timestamp"].as_u64().unwrap());
    assert_eq!(
        (info["bitcoinTip"]["time"].clone(), &info["bitcoinTip"]["lagSeconds"]),
        (json!(time), &json!(now - time))
    );
    // The genesis block of regtest, as bitcoind shows it.
    assert_eq!(info["bitcoinTip"]["hash"], "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206");
    // Five accounts with a coin each, of which fees went to the proposer: supply only changes through the Bridge.
    assert_eq!(info["books"]["supplySat"], 5 * super::world::COIN_SAT);
    assert_eq!(info["books"]["vaultSat"], 5 * super::world::COIN_SAT);
}

#[tokio::test(flavor = "multi_thread")]
async fn registrations_are_not_listed_to_everybody() {
    let world = with_key().await;
    world.get("peg_registerDeposit", json!([terms(1)])).await;
    let (code, message) = world.refusal("peg_getRegisteredDeposits", json!([0, 10])).await;
    assert!(code == -32000 && message.contains("rpc_private_listen"), "{code} {message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deposit_is_registered_once_found_again_and_gossiped() {
    let unlimited = "127.0.0.0/8".parse().unwrap();
    let mut world = key_in_force(World::working(|settings| settings.access.unlimited.push(unlimited)).await).await;
    let registered = world.get("peg_registerDeposit", json!([terms(1)])).await;
    assert!(registered["address"].as_str().unwrap().starts_with("bcrt1p"), "{registered}");
    while !matches!(world.gossip.recv().await.unwrap(), Gossip::Registration(..)) {}
    assert_eq!(world.get("peg_registerDeposit", json!([terms(1)])).await, registered);
    assert!(world.gossip.try_recv().is_err(), "known ones are not gossiped again at once");
    world.get("peg_registerDeposit", json!([terms(2)])).await;
    let Gossip::Registration(second, None) = world.gossip.recv().await.unwrap() else { panic!("a registration") };

    let all = world.get("peg_getRegisteredDeposits", json!([0, 10])).await;
    assert_eq!(all["deposits"].as_array().unwrap().len(), 2);
    assert_eq!(all["deposits"][0]["outputKey"], registered["outputKey"]);
    assert_eq!(all["deposits"][0]["address"], registered["address"]);
    assert_eq!(all["deposits"][0]["maxFeeSat"], 5_000);
    let first_page = world.get("peg_getRegisteredDeposits", json!([0, 1])).await;
    let second_page = world.get("peg_getRegisteredDeposits", json!([first_page["next"], 1])).await;
    assert_eq!(second_page["deposits"][0], all["deposits"][1]);
    assert_eq!(
        world.get("peg_getRegisteredDeposits", json!([all["next"], 10])).await,
        json!({ "deposits": [], "next": all["next"] })
    );

    let report =
        json!({ "registered": true, "address": registered["address"], "deposits": [], "next": null, "sinceBlock": 0 });
    assert_eq!(world.get("peg_getDeposit", json!([registered["address"]])).await, report);
    assert_eq!(world.get("peg_getDeposit", json!([registered["outputKey"]])).await, report);
    let outpoint = format!("{}:0", "11".repeat(32));
    // Nothing is said of an address that the node does not know.
    let nothing = json!({ "deposits": [], "next": null, "sinceBlock": 0 });
    assert_eq!(world.get("peg_getDeposit", json!([outpoint])).await, nothing);

    // By gossip another node keeps it too, but only with the key that the terms make.
    let other = with_key().await;
    let forged = Registration { output_key: B256::repeat_byte(1), ..second.clone() };
    let refused = other.state.arrival(forged.clone(), Origin::peer(b"peer"), None, &Stop::never()).unwrap_err();
    assert!(refused.to_string().contains("does not belong to the terms"), "{refused}");
    other.state.register_gossiped(b"peer", vec![(forged, None), (second.clone(), None)], now_ms());
    other.state.registrar.write(&other.state.chain, now_ms());
    let kept = other.state.chain.registrations(0, 10).unwrap();
    assert_eq!(kept.into_iter().map(|(_, kept)| kept).collect::<Vec<_>>(), [second]);
}

#[tokio::test(flavor = "multi_thread")]
async fn terms_that_make_no_address_are_refused() {
    let keyless = World::halted(|_| ()).await;
    let (code, message) = keyless.refusal("peg_registerDeposit", json!([terms(1)])).await;
    assert_eq!((code, message.as_str()), (-32602, "epoch 1 has no group key yet"));
    let world = with_key().await;
    let cases = [
        ("epoch", json!(2), "epoch 2 has no group key yet"),
        ("maxFeeSat", json!(492), "maxFeeSat is 492, expected 493 to 100000000 sat"),
        ("maxFeeSat", json!(100_000_001), "maxFeeSat is 100000001, expected 493 to 100000000 sat"),
        ("reclaimKey", json!(B256::repeat_byte(0xff)), "is not an x-only public key"),
        ("recipient", json!(alloy_primitives::Address::ZERO), "the recipient is the zero address"),
        ("recipient", json!(VAULT), "is a contract of the ledger, which takes no coins"),
        ("recipient", json!(DEPOSITS), "is a contract of the ledger, which takes no coins"),
        ("claimant", json!(FEDERATION), "is a contract of the peg, which never fetches coins"),
        ("claimant", json!(WRAPPED_BTC), "is a contract of the peg, which never fetches coins"),
        ("typo", json!(1), "unknown field `typo`"),
    ];
    for (field, value, words) in cases {
        let mut bad = terms(1);
        bad[field] = value;
        let (code, message) = world.refusal("peg_registerDeposit", json!([bad])).await;
        assert!(code == -32602 && message.contains(words), "{code} {message}");
    }
    // Who would have to fetch them is the recipient, where nobody is named.
    for claimant in [WRAPPED_BTC, alloy_primitives::Address::ZERO] {
        let mut bad = terms(1);
        (bad["recipient"], bad["claimant"]) = (json!(WRAPPED_BTC), json!(claimant));
        let (code, message) = world.refusal("peg_registerDeposit", json!([bad])).await;
        assert!(code == -32602 && message.contains("never fetches coins"), "{code} {message}");
    }
    for (text, words) in [
        ("nonsense", "neither an address nor an outpoint"),
        ("bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr", "is not an address of regtest"),
        ("bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080", "is not a taproot address"),
    ] {
        let (code, message) = world.refusal("peg_getDeposit", json!([text])).await;
        assert!(code == -32602 && message.contains(words), "{code} {message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn registrations_have_a_pace() {
    let mut world = World::halted(|settings| settings.rules.registrations_per_minute = 1).await;
    for index in 1..=4 {
        world.send(&member(index).free(CHAIN, 0, 1_000_000, FEDERATION, confirm_key())).await.unwrap();
    }
    world.mine();
    world.get("peg_registerDeposit", json!([terms(1)])).await;
    let (code, message) = world.refusal("peg_registerDeposit", json!([terms(2)])).await;
    assert_eq!(code, -32005);
    assert!(
        message.starts_with("too many deposit registrations: one address (yours is 127.0.0.1) gets 1 a minute"),
        "{message}"
    );
    // What is known costs nothing.
    world.get("peg_registerDeposit", json!([terms(1)])).await;
    world.gossip.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawal_is_shown_from_the_ledger() {
    let world = with_key().await;
    let script: Bytes = [&[0x51, 0x20][..], &Key::new(8).public()[1..]].concat().into();
    let input = Bridge::withdrawCall { script: script.clone(), maxFeeSat: 2_000 }.abi_encode();
    let value = contracts::coin::wei(50_000);
    let receipt = world.receipt(&call(&Key::new(1), 0, BRIDGE, value, input)).await;
    assert_eq!(receipt["status"], "0x1");
    let block = world.get("eth_getBlockByNumber", json!([receipt["blockNumber"], false])).await;
    let asked_at: U64 = serde_json::from_value(block["timestamp"].clone()).unwrap();
    let asked_at: u64 = asked_at.to();
    let want = json!({
        "id": 1, "status": "queued", "owner": Key::new(1).address, "amountSat": 50_000, "maxFeeSat": 2_000,
        "askedAt": asked_at, "tie": null, "versions": [], "paidBy": null, "script": script,
    });
    assert_eq!(world.get("peg_getWithdrawal", json!([1])).await, want);
    assert_eq!(world.get("peg_getWithdrawal", json!([2])).await, Value::Null);
    assert_eq!(world.get("peg_getVaultTransaction", json!([1])).await, Value::Null);
    let info = world.get("peg_getInfo", json!([])).await;
    assert_eq!(info["books"]["owedSat"], 50_000);
    assert_eq!(info["books"]["supplySat"], 5 * super::world::COIN_SAT - 50_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn finality_links_a_block_to_the_next_certificate() {
    let world = World::halted(|_| ()).await;
    for _ in 0..3 {
        world.mine();
    }
    for block in ["0x1", "0x9"] {
        assert_eq!(world.refusal("peg_getFinality", json!([block])).await.0, -32001);
    }
    assert_eq!(world.get("peg_getBlock", json!([1])).await["finality"], Value::Null);
    world.state.chain.put_finality(3, b"certificate").unwrap();
    let finality = world.get("peg_getFinality", json!(["0x1"])).await;
    assert_eq!(finality["certified"]["number"], 3);
    assert_eq!(finality["certificate"], json!(Bytes::from_static(b"certificate")));
    let mut parent = decode(&finality["header"]).hash_slow();
    assert_eq!(finality["hash"], json!(parent));
    for descendant in finality["descendants"].as_array().unwrap() {
        let header = decode(descendant);
        assert_eq!(header.parent_hash, parent);
        parent = header.hash_slow();
    }
    assert_eq!(finality["certified"]["hash"], json!(parent));
    let own = world.get("peg_getFinality", json!(["latest"])).await;
    assert_eq!((own["number"].clone(), own["descendants"].clone()), (json!(3), json!([])));

    let followed = world.get("peg_getBlock", json!([2])).await;
    let bytes: Bytes = serde_json::from_value(followed["block"].clone()).unwrap();
    let block = Block::decode(&mut bytes.as_ref()).unwrap();
    assert_eq!((block.number(), followed["finality"]["hash"].clone()), (2, json!(block.hash())));
    assert_eq!(world.get("peg_getBlock", json!([9])).await, Value::Null);
}

fn decode(value: &Value) -> Header {
    let bytes: Bytes = serde_json::from_value(value.clone()).unwrap();
    Header::decode(&mut bytes.as_ref()).unwrap()
}
