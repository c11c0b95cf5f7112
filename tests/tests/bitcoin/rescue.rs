//! The ways in which others' rescue of a transaction that waits could not fire: the version or child that is made raises nothing, weighs
//! more than was charged, is refused by peers, is too large, or stands on too much that waits. Each against a real mempool.

use bitcoin::consensus::serialize;
use bitcoin::{Amount, ScriptBuf, Transaction, TxOut, consensus};
use bridge::child::{MAX_CHILD_VSIZE, Parent};
use bridge::io::wallet::Seed;
use bridge::peg::Content;
use bridge::plan::{Replaced, payout, sweep, version};
use bridge::vault_tx::MAX_VSIZE;
use bridge::vault_tx::draft::Built;
use mainchain::io::rpc::BitcoinRpc;
use tests::bitcoind::Bitcoind;

use crate::spending::rate;
use crate::vault::{Vault, at, waiting};

/// The least that a vault transaction pays, in satoshis per 1,000 vB.
const FLOOR: u64 = 1_000;
const OUTPUT: Amount = Amount::from_sat(50_000_000);

/// A P2WPKH script, and the longest that a withdrawal may pay to.
fn scripts() -> [ScriptBuf; 2] {
    [(0x00, 20), (0x60, 40)].map(|(version, length): (u8, u8)| {
        ScriptBuf::from_bytes([&[version, length][..], &vec![7; length.into()]].concat())
    })
}

/// A signed child with which both pay this rate.
fn child(vault: &mut Vault, (built, signed): &(Built, Transaction), sat_per_vb: u32) -> Transaction {
    let seed = Seed::parse(vault.user.seed.words()).expect("its own words");
    let parent = Parent { transaction: signed.clone(), fee: built.fee };
    vault.user.wallet.prepare_child(&seed, &parent, rate(sat_per_vb)).expect("the user has enough").0
}

/// One payout of three withdrawals that waits at the floor rate, where 0.5 BTC were there.
async fn waits_at_the_floor(vault: &mut Vault) -> (Built, Transaction) {
    vault.output(OUTPUT).await;
    vault.withdraw(3, &scripts()[0]);
    let content = payout(&vault.ledger, &at(FLOOR)).expect("it can be paid");
    assert_eq!((content.rate, content.withdrawals.len()), (FLOOR, 3));
    vault.send(&content).await
}

// 1 sat/vB - 1.05, which raises too little: 2 are taken - 3 - 40: each is taken, and only as it raises enough
#[tokio::test]
async fn each_version_replaces_the_one_before_and_one_that_raises_nothing_is_not_made() {
    let bitcoind = Bitcoind::start().await;
    let mut vault = Vault::new(&bitcoind).await;
    let (mut last, _) = waits_at_the_floor(&mut vault).await;
    for estimate in [1_050, 3_000, 40_000] {
        let content = Content { rate: last.content.rate + 20, reserve_sat: 1_000_000, ..last.content.clone() };
        let (slight, before) = (vault.built(&content), last.transaction.compute_txid());
        let slight = vault.signed(&slight);
        let refused = vault.accepted(&slight).await.expect_err("it raises next to nothing");
        assert!(refused.contains("insufficient fee"), "{refused}");
        let next = version(&waiting(&last), &vault.ledger, &at(estimate))
            .unwrap_or_else(|| panic!("there is room at {estimate} after {}", last.content.rate));
        assert!(next.rate >= estimate && next.rate > content.rate, "{next:?}");
        last = vault.send(&next).await.0;
        assert_eq!(vault.user.rpc.mempool_entry(before).await, Ok(None), "replaced");
    }
    vault.ledger.rules.max_rate = last.content.rate;
    assert_eq!(version(&waiting(&last), &vault.ledger, &at(80_000)), None, "nothing higher may be bound");
}

#[tokio::test]
async fn the_fee_is_of_the_size_that_bitcoind_measures_with_all_signatures() {
    let bitcoind = Bitcoind::start().await;
    let mut vault = Vault::new(&bitcoind).await;
    for count in [1, 10, 64] {
        vault.ledger.deposits.clear();
        vault.deposit(count, Amount::from_sat(100_000)).await;
        let content = sweep(&vault.ledger, &at(FLOOR)).expect("deposits wait");
        assert_eq!(content.deposits.len(), count as usize);
        pays_what_it_weighs(&mut vault, &content).await;
    }
    for count in [1, 10, 100] {
        vault.output(OUTPUT).await;
        vault.ledger.withdrawals.clear();
        vault.withdraw(count, &scripts()[0]);
        let content = payout(&vault.ledger, &at(FLOOR)).expect("withdrawals wait");
        assert_eq!(content.withdrawals.len() as u64, count);
        pays_what_it_weighs(&mut vault, &content).await;
    }
}

async fn pays_what_it_weighs(vault: &mut Vault, content: &Content) {
    let built = vault.built(content);
    let signed = vault.signed(&built);
    let accepted = vault.accepted(&signed).await.expect("it pays what nodes relay");
    assert_eq!((accepted.vsize, accepted.fee), (built.vsize, built.fee));
    assert!(built.vsize > built.transaction.vsize() as u64, "signatures weigh something");
    assert!(accepted.fee.to_sat() * 1_000 >= content.rate * accepted.vsize, "{accepted:?}");
}

/// A bitcoind that has seen the same blocks.
async fn peer(of: &BitcoinRpc, arguments: &[&str]) -> Bitcoind {
    let peer = Bitcoind::start_with(&[&["-acceptnonstdtxn=0"], arguments].concat()).await;
    let (rpc, tip) = (peer.rpc(), of.best_tip().await.expect("it answers").0);
    for height in 1..=tip {
        let hash = of.block_hash(height).await.expect("it answers").expect("it has it");
        let block = of.block(hash).await.expect("it answers").expect("it has it");
        rpc.submit_block(&block).await.expect("it is valid");
    }
    peer
}

// our mempool    payout at 1 sat/vB            a peer    nothing below 10 sat/vB
#[tokio::test]
async fn a_peer_that_refuses_a_payout_takes_it_with_a_child_that_raises_both() {
    let bitcoind = Bitcoind::start().await;
    let mut vault = Vault::new(&bitcoind).await;
    let waits = waits_at_the_floor(&mut vault).await;
    let peer = peer(&vault.user.rpc, &["-minrelaytxfee=0.0001"]).await;
    let peer = peer_rpc(&peer, &waits.1).await;

    let too_cheap = child(&mut vault, &waits, 5);
    let alone = peer.broadcast(&too_cheap).await.expect_err("its parent is not there");
    assert!(!alone.retry() && alone.to_string().contains("missingorspent"), "{alone}");
    let refused = peer.submit_package(&[&waits.1, &too_cheap]).await.expect_err("both pay 5 sat/vB");
    assert!(!refused.retry() && refused.to_string().contains("min relay fee not met"), "{refused}");

    let dearer = child(&mut vault, &waits, 20);
    peer.submit_package(&[&waits.1, &dearer]).await.expect("both pay 20 sat/vB");
    peer.submit_package(&[&waits.1, &dearer]).await.expect("sent already: no error");
    for transaction in [&waits.1, &dearer] {
        assert!(peer.mempool_entry(transaction.compute_txid()).await.expect("answers").is_some());
    }
}

/// A peer that does not take it alone.
async fn peer_rpc(peer: &Bitcoind, waits: &Transaction) -> BitcoinRpc {
    let rpc = peer.rpc();
    let refused = rpc.broadcast(waits).await.expect_err("it pays less than the peer wants");
    assert!(!refused.retry() && refused.to_string().contains("min relay fee not met"), "{refused}");
    rpc
}

#[tokio::test]
async fn the_largest_plans_are_taken_and_raised_and_nothing_larger_would_be() {
    let bitcoind = Bitcoind::start().await;
    let mut vault = Vault::new(&bitcoind).await;
    vault.deposit(110, Amount::from_sat(1_000_000)).await;
    let content = sweep(&vault.ledger, &at(200_000)).expect("each pays for itself, whatever the rate");
    assert!((64..=100).contains(&content.deposits.len()), "{}", content.deposits.len());
    is_taken_and_raised(&mut vault, &content, 300).await;
    for (script, most) in scripts().iter().zip([220, 195]) {
        vault.output(OUTPUT).await;
        vault.ledger.withdrawals.clear();
        vault.withdraw(300, script);
        let content = payout(&vault.ledger, &at(FLOOR)).expect("withdrawals wait");
        assert!((most - 10..=most).contains(&content.withdrawals.len()), "{}", content.withdrawals.len());
        let larger = with_more_payouts(&vault.built(&content), script);
        let refused = vault.accepted(&larger).await.expect_err("larger than version 3 may be");
        assert!(refused.contains("TRUC-violation"), "{refused}");
        is_taken_and_raised(&mut vault, &content, 30).await;
    }
}

async fn is_taken_and_raised(vault: &mut Vault, content: &Content, sat_per_vb: u32) {
    let waits = vault.send(content).await;
    assert!(waits.0.vsize <= MAX_VSIZE, "{}", waits.0.vsize);
    let child = child(vault, &waits, sat_per_vb);
    assert!(child.vsize() as u64 <= MAX_CHILD_VSIZE);
    vault.user.rpc.submit_package(&[&waits.1, &child]).await.expect("both are taken");
    vault.user.mine(1).await;
    vault.user.sync().await;
}

/// As many more as pass the limit, from the change.
fn with_more_payouts(built: &Built, script: &ScriptBuf) -> Transaction {
    let mut larger: Transaction = consensus::deserialize(&serialize(&built.transaction)).expect("its own bytes");
    while larger.vsize() as u64 <= MAX_VSIZE {
        let value = Amount::from_sat(1_000);
        larger.output[0].value -= value;
        larger.output.push(TxOut { value, script_pubkey: script.clone() });
    }
    larger
}

// [vault output] - payout, 1 sat/vB - child, 30 sat/vB        bitcoind takes no second child, and a version pays more than both
#[tokio::test]
async fn nothing_is_planned_on_what_waits_and_a_version_pays_more_than_the_child_of_what_it_replaces() {
    let bitcoind = Bitcoind::start().await;
    let mut vault = Vault::new(&bitcoind).await;
    let waits = waits_at_the_floor(&mut vault).await;
    let child = child(&mut vault, &waits, 30);
    vault.user.rpc.submit_package(&[&waits.1, &child]).await.expect("both are taken");
    vault.withdraw(1, &scripts()[0]);
    assert_eq!(payout(&vault.ledger, &at(FLOOR)), None, "what it would spend waits");
    let refused = on_its_change(&mut vault, &waits).await;
    // BIP431: one child at most; another one may only take its place.
    assert!(refused.contains("sibling eviction"), "{refused}");

    let (txid, child) = (waits.1.compute_txid(), child.compute_txid());
    let blind = version(&waiting(&waits.0), &vault.ledger, &at(2_000)).expect("it pays more than the parent");
    let blind = vault.built(&blind);
    let blind = vault.signed(&blind);
    let refused = vault.accepted(&blind).await.expect_err("it pays less than parent and child");
    assert!(refused.contains("insufficient fee"), "{refused}");
    let entry = vault.user.rpc.mempool_entry(txid).await.expect("answers").expect("it waits");
    let replaced = Replaced { fee: entry.descendant_fee, ..waiting(&waits.0) };
    let content = version(&replaced, &vault.ledger, &at(2_000)).expect("it pays more than both");
    vault.send(&content).await;
    for gone in [txid, child] {
        assert_eq!(vault.user.rpc.mempool_entry(gone).await, Ok(None), "replaced");
    }
}

/// What bitcoind says to a payout that spends the change of what waits.
async fn on_its_change(vault: &mut Vault, (built, signed): &(Built, Transaction)) -> String {
    let ledger = vault.ledger.clone();
    vault.live(signed.compute_txid(), built.change);
    let content = payout(&vault.ledger, &at(FLOOR)).expect("if that were live");
    let grandchild = vault.built(&content);
    vault.ledger = ledger;
    let grandchild = vault.signed(&grandchild);
    vault.accepted(&grandchild).await.expect_err("a transaction has one child at most")
}
