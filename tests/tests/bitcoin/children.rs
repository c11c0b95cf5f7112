//! Children that pay for a transaction that waits, against the mempool of a real bitcoind.

use std::path::PathBuf;

use bitcoin::consensus::encode::serialize_hex;
use bitcoin::hashes::Hash as _;
use bitcoin::secp256k1::{Message, SECP256K1};
use bitcoin::sighash::{Prevouts, SighashCache};
use bitcoin::transaction::Version;
use bitcoin::{Amount, OutPoint, ScriptBuf, Sequence, TapSighashType, Transaction, TxOut, Witness};
use bridge::child::{NoChild, Parent};
use bridge::io::wallet::{Seed, WalletError};
use bridge::vault_tx::{ANCHOR, ANCHOR_SCRIPT};
use tests::binary;
use tests::bitcoind::Bitcoind;
use tests::user::{PASSPHRASE, User};

use crate::spending::{key, rate, spend, verdict};

/// A version 3 transaction with an anchor that pays `fee`, as a vault transaction is built; not sent.
async fn parent(user: &mut User, fee: u64) -> Parent {
    let (coin_key, amount) = (key(41), Amount::from_sat(1_000_000));
    let script = ScriptBuf::new_p2tr_tweaked(bitcoin::key::TweakedPublicKey::dangerous_assume_tweaked(
        coin_key.x_only_public_key().0,
    ));
    let (payment, vout) = user.pay(&script, amount).await;
    user.mine(1).await;
    user.sync().await;
    let mut transaction = spend(&[OutPoint::new(payment.compute_txid(), vout)], Sequence::ENABLE_RBF_NO_LOCKTIME);
    transaction.version = Version(3);
    let (fee, value) = (Amount::from_sat(fee), amount - ANCHOR - Amount::from_sat(fee));
    transaction.output = vec![
        TxOut { value, script_pubkey: script.clone() },
        TxOut { value: ANCHOR, script_pubkey: ScriptBuf::from(ANCHOR_SCRIPT.to_vec()) },
    ];
    let spent = [TxOut { value: amount, script_pubkey: script }];
    let sighash = SighashCache::new(&transaction)
        .taproot_key_spend_signature_hash(0, &Prevouts::All(&spent), TapSighashType::Default)
        .expect("one input");
    let signature = SECP256K1.sign_schnorr(&Message::from_digest(sighash.to_byte_array()), &coin_key);
    transaction.input[0].witness = Witness::from_slice(&[signature.as_ref()]);
    Parent { transaction, fee }
}

/// What both pay together, in sat for 1,000 vB.
fn together(parent: &Parent, child: &Transaction, fee: Amount) -> u64 {
    (parent.fee + fee).to_sat() * 1_000 / (parent.transaction.vsize() + child.vsize()) as u64
}

#[tokio::test]
async fn a_transaction_that_nobody_relays_gets_in_with_a_child_and_a_second_child_replaces_the_first() {
    let bitcoind = Bitcoind::start().await;
    let mut user = User::with_rewards(&bitcoind, 3).await;
    let parent = parent(&mut user, 0).await;
    let refused = verdict(&user.rpc, &parent.transaction).await.expect_err("it pays nothing");
    assert!(refused.contains("min relay fee not met"), "{refused}");

    let (seed, rpc) = (Seed::parse(user.seed.words()).expect("its own words"), user.rpc.clone());
    let mut children = Vec::new();
    for asked in [20, 60] {
        let prepared = user.wallet.prepare_child(&seed, &parent, rate(asked));
        let (child, fee) = prepared.expect("the user has enough");
        let paid = together(&parent, &child, fee);
        assert!((u64::from(asked) * 1_000..u64::from(asked) * 1_020).contains(&paid), "{paid} sat/kvB for {asked}");
        user.wallet.submit_child(&rpc, &parent.transaction, child.clone(), 1).await.expect("taken");
        children.push(child);
    }
    let [first, second] = [&children[0], &children[1]].map(Transaction::compute_txid);
    assert_eq!(rpc.mempool_entry(first).await.expect("answers"), None, "replaced");
    let entry = rpc.mempool_entry(second).await.expect("answers").expect("in the mempool");
    assert_eq!(entry.vsize, children[1].vsize() as u64);

    let refused = user.wallet.prepare_child(&seed, &parent, rate(30)).expect_err("no cheaper one").to_string();
    assert!(refused.contains(&second.to_string()) && refused.contains("--fee-rate"), "{refused}");

    let block = user.mine(1).await[0];
    for txid in [parent.transaction.compute_txid(), second] {
        assert!(rpc.transaction(txid, Some(block)).await.expect("answers").is_some(), "{txid} is mined");
    }
    let spent = user.wallet.submit_child(&rpc, &parent.transaction, children.remove(0), 3).await;
    spent.expect_err("its parent is mined, and the anchor spent");
}

#[tokio::test]
async fn who_has_one_coin_alone_raises_a_child_that_spends_it_again_and_again() {
    let bitcoind = Bitcoind::start().await;
    let mut rich = User::with_rewards(&bitcoind, 2).await;
    let parent = parent(&mut rich, 300).await;
    rich.rpc.broadcast(&parent.transaction).await.expect("it pays what nodes relay");
    let mut poor = User::with_rewards(&bitcoind, 0).await;
    let address = poor.wallet.address().expect("an address").script_pubkey();
    rich.pay(&address, Amount::from_sat(100_000)).await;
    rich.rpc.generate(1, &any_address()).await.expect("regtest mines");
    // The block took the parent, too: another that waits.
    let parent = self::parent(&mut rich, 300).await;
    rich.rpc.broadcast(&parent.transaction).await.expect("it pays what nodes relay");
    let (seed, rpc) = (Seed::parse(poor.seed.words()).expect("its own words"), rich.rpc.clone());
    let mut before: Option<(bitcoin::Txid, Amount)> = None;
    for asked in [5, 20, 21, 100] {
        poor.sync().await;
        let own = poor.wallet.own_child(&parent).map(|child| (child.txid, child.fee));
        assert_eq!(own, before, "it knows what it paid");
        let (child, fee) = poor.wallet.prepare_child(&seed, &parent, rate(asked)).expect("the same coin is enough");
        assert_eq!(child.input.len(), 2, "the anchor, and its one coin");
        let paid = together(&parent, &child, fee);
        assert!((u64::from(asked) * 1_000..u64::from(asked) * 1_020).contains(&paid), "{paid} sat/kvB for {asked}");
        poor.wallet.submit_child(&rpc, &parent.transaction, child.clone(), 1).await.expect("taken");
        if let Some((txid, _)) = before {
            assert_eq!(rpc.mempool_entry(txid).await.expect("answers"), None, "replaced");
        }
        before = Some((child.compute_txid(), fee));
    }
    poor.sync().await;
    let refused = poor.wallet.prepare_child(&seed, &parent, rate(100)).expect_err("it pays that already");
    assert!(matches!(refused, WalletError::NoChild(NoChild::PaysLess { .. })), "{refused}");
    let refused = poor.wallet.prepare_child(&seed, &parent, rate(900)).expect_err("more than the coin");
    assert!(matches!(refused, WalletError::TooLittle { .. }), "{refused}");
    let last = before.expect("the last child").0;
    let block = rpc.generate(1, &any_address()).await.expect("regtest mines")[0];
    assert!(rpc.transaction(last, Some(block)).await.expect("answers").is_some(), "the last one is mined");
}

#[tokio::test]
async fn a_child_is_not_made_for_what_pays_enough_or_cannot_be_helped() {
    let bitcoind = Bitcoind::start().await;
    let mut user = User::with_rewards(&bitcoind, 2).await;
    let dear = parent(&mut user, 10_000).await;
    let seed = Seed::parse(user.seed.words()).expect("its own words");
    let refused = user.wallet.prepare_child(&seed, &dear, rate(10)).expect_err("it pays more");
    assert!(matches!(refused, WalletError::NoChild(NoChild::PaysEnough { .. })), "{refused}");
    let mut bare = parent(&mut user, 0).await;
    bare.transaction.output.pop();
    let refused = user.wallet.prepare_child(&seed, &bare, rate(10)).expect_err("it has no anchor");
    assert!(matches!(refused, WalletError::NoChild(NoChild::NoAnchor)), "{refused}");
    let mut poor = User::with_rewards(&bitcoind, 0).await;
    poor.sync().await;
    let seed = Seed::parse(poor.seed.words()).expect("its own words");
    let refused = poor.wallet.prepare_child(&seed, &parent(&mut user, 0).await, rate(10)).expect_err("it has nothing");
    assert!(matches!(refused, WalletError::TooLittle { .. }), "{refused}");
}

/// `causeway bump`, as it is typed.
fn bump(home: &std::path::Path, bitcoind: &Bitcoind, arguments: &[&str]) -> binary::Finished {
    let (url, cookie) = (bitcoind.url(), bitcoind.cookie().display().to_string());
    let fixed = ["--bitcoin", &url, "--bitcoin-cookie", &cookie, "--passphrase-stdin", "--json"];
    binary::run(home, ["bump"].iter().chain(arguments).chain(&fixed), &format!("{PASSPHRASE}\n"))
}

#[tokio::test]
async fn an_outsider_pays_for_a_payout_that_waits_and_for_one_that_the_mempool_dropped() {
    let bitcoind = Bitcoind::start().await;
    let mut user = User::with_rewards(&bitcoind, 3).await;
    let waits = parent(&mut user, 300).await;
    let dropped = parent(&mut user, 0).await;
    let rpc = user.rpc.clone();
    rpc.broadcast(&waits.transaction).await.expect("it pays what nodes relay");
    let (wallet, _, folder) = user.into_parts();
    drop(wallet);
    let home = tempfile::tempdir().expect("a temporary folder");
    let wallets = home.path().join("causeway/wallet");
    std::fs::create_dir_all(&wallets).expect("ours");
    std::os::unix::fs::symlink(folder.path(), wallets.join("regtest")).expect("ours");
    let home_option = home.path().join("causeway").display().to_string();

    let txid = waits.transaction.compute_txid().to_string();
    let done = bump(home.path(), &bitcoind, &[&txid, "--fee-rate", "25", "--home", &home_option]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let done: serde_json::Value = serde_json::from_str(&done.stdout).expect("JSON");
    let child = done["child"].as_str().expect("a txid").parse().expect("a txid");
    assert!(rpc.mempool_entry(child).await.expect("answers").is_some());
    assert!(done["replaced"].is_null(), "{done}");
    let higher = bump(home.path(), &bitcoind, &[&txid, "--fee-rate", "50", "--home", &home_option]);
    assert_eq!(higher.code, Some(0), "{}", higher.stderr);
    let higher: serde_json::Value = serde_json::from_str(&higher.stdout).expect("JSON");
    assert_eq!((&higher["replaced"], &higher["replacedFeeSat"]), (&done["child"], &done["feeSat"]), "{higher}");
    assert_eq!(rpc.mempool_entry(child).await.expect("answers"), None, "replaced by its own");

    let txid = dropped.transaction.compute_txid().to_string();
    let refused = bump(home.path(), &bitcoind, &[&txid, "--fee-rate", "25", "--home", &home_option]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("--transaction FILE"), "what to do: {}", refused.stderr);
    let file: PathBuf = home.path().join("payout.hex");
    std::fs::write(&file, serialize_hex(&dropped.transaction)).expect("ours");
    let file = file.display().to_string();
    let mined = rpc.generate(1, &any_address()).await.expect("regtest mines");
    assert_eq!(mined.len(), 1);
    let done =
        bump(home.path(), &bitcoind, &[&txid, "--fee-rate", "25", "--transaction", &file, "--home", &home_option]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(rpc.mempool_entry(dropped.transaction.compute_txid()).await.expect("answers").is_some(), "it is back");
}

fn any_address() -> bitcoin::Address {
    bitcoin::Address::p2tr(SECP256K1, key(42).x_only_public_key().0, None, bitcoin::KnownHrp::Regtest)
}
