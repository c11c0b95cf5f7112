//! What goes wrong with a node: each trouble has its error, which says whether to try again.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use bitcoin::hashes::Hash;
use bitcoin::{Amount, BlockHash, OutPoint, ScriptBuf, Sequence, Transaction, TxOut, Txid};
use mainchain::Network;
use mainchain::io::rpc::{Auth, BitcoinRpc, RpcError};
use serde_json::json;
use tests::bitcoind::Bitcoind;

use crate::spending::{spend, verdict, x_only};

#[tokio::test]
async fn a_node_of_another_network_and_a_login_it_does_not_know_are_named() {
    let bitcoind = Bitcoind::start().await;
    let url = bitcoind.url();

    let other = BitcoinRpc::new(&url, Auth::Cookie(bitcoind.cookie()), Network::Testnet4);
    let error = other.chain_info().await.expect_err("it is a regtest node");
    assert_eq!(error.to_string(), format!("bitcoind at {url} is on regtest, expected testnet4"));
    assert!(!error.retry());

    let wrong = Auth::UserPassword { user: "nobody".into(), password: "nothing".into() };
    let error = BitcoinRpc::new(&url, wrong, Network::Regtest).chain_info().await.expect_err("no such user");
    assert_eq!(error, RpcError::Unauthorized { url: url.clone() });
    assert!(!error.retry());

    let missing = Auth::Cookie("/nonexistent/.cookie".into());
    let error = BitcoinRpc::new(&url, missing, Network::Regtest).chain_info().await.expect_err("no cookie");
    assert!(matches!(error, RpcError::NoCookie { .. }) && error.retry(), "{error}");
}

/// Spends what does not exist.
fn orphan() -> Transaction {
    let mut orphan = spend(&[OutPoint::new(Txid::from_byte_array([9; 32]), 0)], Sequence::MAX);
    let script_pubkey = ScriptBuf::new_p2tr(bitcoin::secp256k1::SECP256K1, x_only(5), None);
    orphan.output.push(TxOut { value: Amount::from_sat(1_000), script_pubkey });
    orphan
}

#[tokio::test]
async fn what_a_node_refuses_comes_with_its_code() {
    let bitcoind = Bitcoind::start().await;
    let rpc = bitcoind.rpc();
    let error = rpc.broadcast(&orphan()).await.expect_err("spends nothing that exists");
    assert_eq!(error.code(), Some(-25), "{error}");
    assert!(!error.retry());
    assert_eq!(verdict(&rpc, &orphan()).await, Err("missing-inputs".into()));
    let unknown = rpc.call::<String>("nosuchmethod", json!([])).await.expect_err("no such method");
    assert_eq!(unknown.code(), Some(-32601));
}

#[tokio::test]
async fn what_a_node_does_not_have_is_none_and_not_an_error() {
    let bitcoind = Bitcoind::start().await;
    let rpc = bitcoind.rpc();
    assert_eq!(rpc.block_hash(1).await, Ok(None));
    assert_eq!(rpc.block(BlockHash::all_zeros()).await, Ok(None));
    assert_eq!(rpc.transaction(orphan().compute_txid(), None).await, Ok(None));
    assert_eq!(rpc.unspent(OutPoint::null(), true).await, Ok(None));
    assert_eq!(rpc.fee_rate(6).await, Ok(None), "regtest has no estimate");
}

#[tokio::test]
async fn a_node_that_is_gone_is_tried_again() {
    let mut bitcoind = Bitcoind::start().await;
    let rpc = bitcoind.rpc();
    rpc.chain_info().await.expect("it answers");
    bitcoind.kill();
    let error = rpc.chain_info().await.expect_err("it is gone");
    assert!(matches!(error, RpcError::Unreachable { .. }) && error.retry(), "{error}");
}

// The answers are those of bitcoind: to a call while it reads its chain, and to one more call than its queue holds.
#[tokio::test]
async fn a_node_that_starts_or_has_too_much_to_do_is_tried_again() {
    let warming = r#"{"result":null,"error":{"code":-28,"message":"Loading block index..."},"id":1}"#;
    let error = answered("500 Internal Server Error", warming).await;
    assert!(matches!(&error, RpcError::Starting { reason, .. } if reason == "Loading block index..."), "{error}");
    assert!(error.retry());
    let error = answered("503 Service Unavailable", "Work queue depth exceeded").await;
    assert!(matches!(&error, RpcError::Busy { .. }) && error.retry(), "{error}");
}

#[tokio::test]
async fn a_node_that_never_answers_times_out() {
    let (_silent, rpc) = listener();
    let error = rpc.call_within::<String>("uptime", json!([]), Duration::from_millis(300)).await.expect_err("silence");
    assert!(matches!(error, RpcError::Timeout { .. }) && error.retry(), "{error}");
}

/// What a call makes of this answer over HTTP.
async fn answered(status: &str, body: &str) -> RpcError {
    let (listener, rpc) = listener();
    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a call");
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).expect("a request");
        stream.write_all(answer.as_bytes()).expect("listened to");
    });
    let error = rpc.chain_info().await.expect_err("no answer to use");
    server.join().expect("it answered");
    error
}

/// Something that listens, and a client of it.
fn listener() -> (TcpListener, BitcoinRpc) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    (listener, BitcoinRpc::new(format!("http://{address}"), Auth::None, Network::Regtest))
}
