//! Transactions that a test signs itself, and what bitcoind says to them.

use bitcoin::absolute::LockTime;
use bitcoin::secp256k1::{Keypair, SECP256K1, SecretKey, XOnlyPublicKey};
use bitcoin::transaction::Version;
use bitcoin::{FeeRate, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, Witness};
use mainchain::io::rpc::BitcoinRpc;
use tests::user::User;

/// The key pair of a secret that is `byte` repeated.
pub fn key(byte: u8) -> Keypair {
    Keypair::from_secret_key(SECP256K1, &SecretKey::from_slice(&[byte; 32]).expect("in range"))
}

pub fn x_only(byte: u8) -> XOnlyPublicKey {
    key(byte).x_only_public_key().0
}

pub fn rate(sat_per_vb: u32) -> FeeRate {
    FeeRate::from_sat_per_vb_u32(sat_per_vb)
}

/// Spends these outputs, with nothing out and nothing signed yet.
pub fn spend(outpoints: &[OutPoint], sequence: Sequence) -> Transaction {
    let input = |outpoint: &OutPoint| TxIn {
        previous_output: *outpoint,
        script_sig: ScriptBuf::new(),
        sequence,
        witness: Witness::new(),
    };
    Transaction {
        version: Version::TWO,
        lock_time: LockTime::ZERO,
        input: outpoints.iter().map(input).collect(),
        output: Vec::new(),
    }
}

/// Whether the mempool would take it, and why not.
pub async fn verdict(rpc: &BitcoinRpc, transaction: &Transaction) -> Result<u64, String> {
    let answer = rpc.test_accept(std::slice::from_ref(transaction)).await.expect("bitcoind answers");
    assert_eq!(answer[0].txid, transaction.compute_txid());
    answer[0].verdict.clone().map(|accepted| accepted.vsize)
}

/// Sends it, mines it, and finds it in the block.
pub async fn mined(user: &User, transaction: &Transaction) {
    let txid = user.rpc.broadcast(transaction).await.expect("accepted");
    assert_eq!(txid, transaction.compute_txid());
    let block = user.mine(1).await[0];
    assert!(user.rpc.transaction(txid, Some(block)).await.expect("answers").is_some(), "{txid} is in the block");
}
