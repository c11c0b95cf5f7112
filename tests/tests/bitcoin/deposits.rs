//! Deposit addresses: taken back by their owner after the timelock, and open to the federation's key at once.

use std::num::NonZeroU16;

use bitcoin::key::TapTweak;
use bitcoin::secp256k1::{Message, SECP256K1, XOnlyPublicKey};
use bitcoin::sighash::{Prevouts, SighashCache, TapSighashType};
use bitcoin::{Amount, OutPoint, Sequence, TxOut, Witness};
use mainchain::deposit::{DepositTerms, Peg};
use tests::bitcoind::Bitcoind;
use tests::user::User;

use crate::spending::{key, mined, rate, spend, verdict, x_only};

/// Nobody's key: the federation that never sweeps.
const ABSENT_GROUP: u8 = 77;

pub fn peg(delay: u16) -> Peg {
    Peg { network_id: [5; 32], bridge: [4; 20], delay: NonZeroU16::new(delay).expect("not 0") }
}

pub fn terms(reclaim_key: XOnlyPublicKey) -> DepositTerms {
    DepositTerms {
        recipient: [0x11; 20],
        claimant: [0x11; 20],
        reclaim_key,
        max_fee: Amount::from_sat(20_000),
        data_hash: [0; 32],
        epoch: 1,
    }
}

#[tokio::test]
async fn a_deposit_is_reclaimed_by_its_owner_after_the_timelock_and_not_before() {
    let bitcoind = Bitcoind::start().await;
    let mut user = User::with_rewards(&bitcoind, 2).await;
    // 12 is pushed by one opcode, 144 needs two bytes.
    for (index, delay) in [(0, 12), (1, 144)] {
        let owner = user.seed.reclaim_key(index);
        let output = terms(owner.x_only_public_key().0).output(&peg(delay), x_only(ABSENT_GROUP));
        let amount = Amount::from_sat(1_000_000);
        let (payment, vout) = user.pay(&output.script_pubkey(), amount).await;
        let coin = (OutPoint::new(payment.compute_txid(), vout), amount);
        let home = user.address().script_pubkey();
        let reclaim = output.reclaim(&[coin], home.clone(), rate(2), &owner).expect("worth it");

        user.mine(u32::from(delay) - 1).await;
        assert_eq!(verdict(&user.rpc, &reclaim).await, Err("non-BIP68-final".into()), "one block early");
        user.mine(1).await;
        let vsize = verdict(&user.rpc, &reclaim).await.expect("the timelock is over");
        assert_eq!(vsize, reclaim.vsize() as u64);

        // Nobody else: another key's signature in the owner's place.
        let mut theft = reclaim.clone();
        theft.input[0].witness = output.reclaim_witness(&[7; 64]);
        let refused = verdict(&user.rpc, &theft).await.expect_err("not the owner's signature");
        assert!(refused.contains("Invalid Schnorr signature"), "{refused}");

        user.sync().await;
        let before = user.wallet.balance().confirmed;
        mined(&user, &reclaim).await;
        user.sync().await;
        assert_eq!(user.wallet.balance().confirmed - before, reclaim.output[0].value);
        let scan = user.rpc.scan(&[output.script_pubkey(), home]).await.expect("answers");
        assert_eq!(scan.unspents.len(), 1);
        assert_eq!((scan.unspents[0].value, scan.unspents[0].confirmations), (reclaim.output[0].value, 1));
    }
}

#[tokio::test]
async fn the_deposits_key_path_is_open_to_a_single_key() {
    let bitcoind = Bitcoind::start().await;
    let mut user = User::with_rewards(&bitcoind, 1).await;
    let output = terms(x_only(2)).output(&peg(1008), x_only(ABSENT_GROUP));
    let amount = Amount::from_sat(100_000);
    let (payment, vout) = user.pay(&output.script_pubkey(), amount).await;
    user.mine(1).await;
    let spent = TxOut { value: amount, script_pubkey: output.script_pubkey() };
    let mut sweep = spend(&[OutPoint::new(payment.compute_txid(), vout)], Sequence::ENABLE_RBF_NO_LOCKTIME);
    sweep.output.push(TxOut { value: Amount::from_sat(99_000), script_pubkey: user.address().script_pubkey() });
    let sighash = SighashCache::new(&sweep)
        .taproot_key_spend_signature_hash(0, &Prevouts::All(&[spent]), TapSighashType::Default)
        .expect("one input");
    let tweaked = key(ABSENT_GROUP).tap_tweak(SECP256K1, Some(output.merkle_root())).to_keypair();
    let signature = SECP256K1.sign_schnorr(&Message::from(sighash), &tweaked);
    sweep.input[0].witness = Witness::from_slice(&[signature.as_ref()]);
    mined(&user, &sweep).await;
}
