//! Deposit registrations under attack: by one client, by many of one network, by a peer; and what a proof of a payment is good for.

use std::time::Duration;

use alloy_primitives::{B256, Bytes};
use api::peg::PaymentProof;
use bitcoin::absolute::LockTime;
use bitcoin::hashes::Hash as _;
use bitcoin::transaction::Version;
use bitcoin::{Amount, Block, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Witness};
use contracts::BitcoinLightClient;
use contracts::address::LIGHT_CLIENT;
use contracts::alloy_sol_types::SolCall;
use mainchain::proof::{InclusionProof, strip};
use serde_json::{Value, json};

use super::peg::{confirm_key, terms};
use super::world::{CHAIN, World};
use crate::chain::{Origin, Registration};
use crate::execution::Stop;
use crate::io::clock::now_ms;
use crate::io::node_state::Gossip;
use crate::io::rpc::Settings;
use crate::testing::member;

/// A node whose federation has a key.
async fn keyed(adjust: impl FnOnce(&mut Settings)) -> World {
    let world = World::halted(adjust).await;
    for index in 1..=4 {
        let confirmed = member(index).free(CHAIN, 0, 1_000_000, contracts::address::FEDERATION, confirm_key());
        world.send(&confirmed).await.unwrap();
    }
    world.mine();
    world
}

fn transaction(input: OutPoint, output: TxOut) -> Transaction {
    let script_sig = if input.is_null() { ScriptBuf::from_bytes(vec![1, 1]) } else { ScriptBuf::new() };
    let input = TxIn { previous_output: input, script_sig, sequence: Sequence::MAX, witness: Witness::new() };
    Transaction { version: Version::TWO, lock_time: LockTime::ZERO, input: vec![input], output: vec![output] }
}

/// A block on regtest's genesis in which `value` is paid to an output key.
fn block_that_pays(output_key: B256, value: Amount) -> (Block, Transaction) {
    let coinbase = transaction(OutPoint::null(), TxOut { value: Amount::from_sat(1), script_pubkey: ScriptBuf::new() });
    let script_pubkey = ScriptBuf::from_bytes([&[0x51, 0x20][..], output_key.as_slice()].concat());
    let spent = OutPoint::new(bitcoin::Txid::from_byte_array([7; 32]), 0);
    let payment = transaction(spent, TxOut { value, script_pubkey });
    let mut header = bitcoin::consensus::deserialize::<bitcoin::block::Header>(&super::peg::first_header()).unwrap();
    let mut block = Block { header, txdata: vec![coinbase, payment.clone()] };
    header.merkle_root = block.compute_merkle_root().unwrap();
    while header.validate_pow(header.target()).is_err() {
        header.nonce += 1;
    }
    block.header = header;
    (block, payment)
}

fn prove(block: &Block, payment: &Transaction) -> PaymentProof {
    let proof = InclusionProof::build(block, payment.compute_txid()).unwrap();
    PaymentProof::new(strip(payment), 0, proof)
}

/// Tells the light client of a block.
async fn submit(world: &World, block: &Block) {
    let headers: Bytes = bitcoin::consensus::serialize(&block.header).into();
    let input: Bytes = BitcoinLightClient::submitCall { headers }.abi_encode().into();
    world.send(&member(1).free(CHAIN, 1, 1_000_000, LIGHT_CLIENT, input)).await.unwrap();
    world.mine();
    assert_eq!(world.get("peg_getInfo", json!([])).await["bitcoinTip"]["height"], 1);
}

async fn output_key(world: &World, terms: &Value) -> B256 {
    let terms = serde_json::from_value(terms.clone()).unwrap();
    crate::peg::registration(&world.state.chain, &terms, &Stop::never()).unwrap().output_key
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_with_a_payment_is_taken_when_all_quotas_are_used_up() {
    let mut world = keyed(|settings| settings.rules.registrations_per_minute = 1).await;
    let paid = terms(9);
    let key = output_key(&world, &paid).await;
    let (block, payment) = block_that_pays(key, Amount::from_sat(10_000));
    let proof = prove(&block, &payment);
    let early = world.refusal("peg_registerDeposit", json!([paid, proof])).await;
    assert!(early.0 == -32602 && early.1.contains("not in the light client's best chain"), "{early:?}");
    submit(&world, &block).await;
    world.get("peg_registerDeposit", json!([terms(1)])).await;
    assert_eq!(world.refusal("peg_registerDeposit", json!([paid])).await.0, -32005, "the minute is used up");
    let registered = world.get("peg_registerDeposit", json!([paid, proof])).await;
    assert_eq!(registered["outputKey"], json!(key));
    while world.gossip.try_recv().is_ok_and(|sent| !matches!(sent, Gossip::Registration(_, Some(_)))) {}

    // The others believe the proof, not the sender.
    let other = keyed(|_| ()).await;
    submit(&other, &block).await;
    let registration = Registration { terms: serde_json::from_value(paid).unwrap(), output_key: key };
    let forged = PaymentProof { vout: 1, ..proof.clone() };
    assert!(other.state.arrival(registration.clone(), Origin::peer(b"p"), Some(&forged), &Stop::never()).is_err());
    let believed = other.state.arrival(registration, Origin::peer(b"p"), Some(&proof), &Stop::never()).unwrap();
    assert_eq!(believed.payment.unwrap().txid, B256::from(payment.compute_txid().to_byte_array()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_proves_no_payment_is_refused_with_the_reason() {
    let world = keyed(|_| ()).await;
    let key = output_key(&world, &terms(1)).await;
    let (block, payment) = block_that_pays(key, Amount::from_sat(999));
    submit(&world, &block).await;
    let good = prove(&block, &payment);
    let changed = |change: &dyn Fn(&mut PaymentProof)| {
        let mut proof = good.clone();
        change(&mut proof);
        proof
    };
    let cases = [
        (terms(1), good.clone(), "the bridge takes 1400 sat or more"),
        (terms(2), good.clone(), "pays another address"),
        (terms(1), changed(&|proof| proof.vout = 1), "has no output 1"),
        (terms(1), changed(&|proof| proof.transaction = vec![0; 200].into()), "transaction"),
        (terms(1), changed(&|proof| proof.transaction = vec![0; 300_000].into()), "at most 200000 are looked at"),
    ];
    for (terms, proof, words) in cases {
        let (code, message) = world.refusal("peg_registerDeposit", json!([terms, proof])).await;
        assert!(code == -32602 && message.contains(words), "{message}");
    }
    let (block, payment) = block_that_pays(key, Amount::from_sat(20_000));
    let unknown = prove(&block, &payment);
    let (code, message) = world.refusal("peg_registerDeposit", json!([terms(1), unknown])).await;
    assert!(code == -32602 && message.contains("not in the light client's best chain"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_floods_is_bounded_and_costs_few_writes() {
    let world = keyed(|_| ()).await;
    let now = now_ms();
    let registrar = &world.state.registrar;
    let taken = (0..20_000).filter(|_| registrar.may_bring(b"flooding", false, now)).count();
    assert_eq!(taken, 8_192, "what a validator that was away may be told at once");
    let later = (0..20_000).filter(|_| registrar.may_bring(b"flooding", false, now + 60_000)).count();
    assert_eq!(later, 6_000);
    assert!(registrar.may_bring(b"honest", false, now) && registrar.may_bring(b"flooding", true, now));

    let brought = (1..=50).map(|number| {
        let terms = serde_json::from_value(terms(number)).unwrap();
        (crate::peg::registration(&world.state.chain, &terms, &Stop::never()).unwrap(), None)
    });
    world.state.register_gossiped(b"honest", brought.collect(), now);
    // No write for each: they wait for the server, which comes by a few times a second.
    for _ in 0..1_000 {
        if world.state.chain.registrations(0, 100).unwrap().len() == 50 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("gossiped registrations are not written");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_registrations_at_once_are_all_on_disk_when_they_are_answered() {
    let world = keyed(|settings| settings.rules.registrations_per_minute = 1_000).await;
    let answers = futures::future::join_all((1..=60).map(|number| {
        let world = &world;
        async move {
            let registered = world.get("peg_registerDeposit", json!([terms(number)])).await;
            let key = serde_json::from_value(registered["outputKey"].clone()).unwrap();
            assert!(world.state.chain.registration(key).unwrap().is_some(), "answered before it is kept");
        }
    }));
    answers.await;
    assert_eq!(world.state.chain.registrations(0, 100).unwrap().len(), 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_that_is_sent_again_goes_out_again_at_a_pace() {
    let mut world = keyed(|settings| settings.rules.registrations_per_minute = 2).await;
    while world.gossip.try_recv().is_ok() {}
    // It was kept before this server's start; the others may never have heard of it.
    let terms_of = |number| serde_json::from_value(terms(number)).unwrap();
    for number in 1..=3 {
        let known = crate::peg::registration(&world.state.chain, &terms_of(number), &Stop::never()).unwrap();
        world.state.chain.register_deposit(&known).unwrap();
    }
    let mut gossiped = async |number| {
        world.get("peg_registerDeposit", json!([terms(number)])).await;
        world.gossip.try_recv().is_ok()
    };
    assert!(gossiped(1).await, "again");
    for _ in 0..10 {
        assert!(!gossiped(1).await, "a storm of retries");
    }
    assert!(gossiped(2).await);
    assert!(!gossiped(3).await, "answered, but its client has used up what it may register");
}
