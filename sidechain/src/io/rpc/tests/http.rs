//! The server as HTTP clients and browsers use it: bounds, batches, other origins.

use std::time::Duration;

use alloy_primitives::{B256, U256};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::world::{World, call, create};
use crate::io::rpc::Settings;
use crate::origins::Origins;
use crate::testing::Key;

#[tokio::test(flavor = "multi_thread")]
async fn questions_have_bounds() {
    let world = World::halted(|settings| {
        settings.log_limits.logs = 2;
        settings.max_batch = 2;
        settings.max_request_bytes = 200_000;
    })
    .await;
    let key = Key::new(1);
    let counter = key.address.create(0);
    world.send(&create(&key, 0)).await.unwrap();
    world.send(&call(&key, 1, counter, U256::ZERO, [])).await.unwrap();
    world.send(&call(&key, 2, counter, U256::ZERO, [])).await.unwrap();
    world.mine();
    world.send(&call(&key, 3, counter, U256::ZERO, [])).await.unwrap();
    for _ in 0..4 {
        world.mine();
    }
    let (code, message) = world.refusal("eth_getLogs", json!([{ "fromBlock": "0x0", "toBlock": "0x4" }])).await;
    let words = "query returned more than 2 results or must read too much. Try with this block range [0x0, 0x1].";
    assert_eq!((code, message.as_str()), (-32005, words));
    let range = json!([{ "fromBlock": "0x0", "toBlock": "0x1" }]);
    assert_eq!(world.get("eth_getLogs", range).await.as_array().unwrap().len(), 2);
    let values: Vec<_> = (0..1_001).map(|number| B256::from(U256::from(number))).collect();
    let thousand = json!(values[1..]);
    for topics in [json!([values]), json!([thousand, thousand, ["0x".to_owned() + &"11".repeat(32)]])] {
        let (code, message) = world.refusal("eth_getLogs", json!([{ "topics": topics }])).await;
        assert!(code == -32005 && message.starts_with("exceed max addresses or topics"), "{code} {message}");
    }
    let matching = json!([{ "fromBlock": "0x0", "toBlock": "0x1", "topics": [thousand] }]);
    assert_eq!(world.get("eth_getLogs", matching).await.as_array().unwrap().len(), 2);
    let (code, _) = world.refusal("eth_getLogs", json!([{ "fromBlock": "0x3", "toBlock": "0x2" }])).await;
    assert_eq!(code, -32602);
    for beyond in [json!({ "fromBlock": "0x9" }), json!({ "fromBlock": "0x0", "toBlock": "0x9" })] {
        let (code, message) = world.refusal("eth_getLogs", json!([beyond])).await;
        assert_eq!((code, message.as_str()), (-32602, "block range extends beyond current head block 5"));
    }

    let question = r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[]}"#;
    assert!(post(&world, &format!("[{question},{question}]")).await.contains("0xca05"));
    assert!(post(&world, &format!("[{question},{question},{question}]")).await.contains("-32010"));
    assert!(post(&world, &"x".repeat(200_001)).await.contains("413"));
    // No parameters at all, null for optional ones, and parameters by name.
    assert!(post(&world, r#"{"jsonrpc":"2.0","id":1,"method":"eth_blockNumber"}"#).await.contains("0x5"));
    assert!(
        post(&world, r#"{"jsonrpc":"2.0","id":1,"method":"eth_getBlockByNumber","params":["0x0",null]}"#)
            .await
            .contains("stateRoot")
    );
    assert!(
        post(&world, r#"{"jsonrpc":"2.0","id":1,"method":"eth_getCode","params":{"a":1}}"#).await.contains("-32602")
    );
    assert!(post(&world, r#"{"jsonrpc":"2.0","id":1,"method":"eth_nothing","params":[]}"#).await.contains("-32601"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_may_ask_from_pages_that_the_operator_names_and_from_no_other() {
    let preflight = |page: &str| {
        format!(
            "OPTIONS / HTTP/1.1\r\nHost: localhost\r\nOrigin: {page}\r\nAccess-Control-Request-Method: POST\r\nConnection: close\r\n\r\n"
        )
    };
    let socket = |page: &str| {
        format!(
            "GET / HTTP/1.1\r\nHost: node.example\r\nOrigin: {page}\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
    };
    let named = Origins::new(vec!["https://app.example".into()]).expect("an origin");
    // A connection that asked for a WebSocket in vain stays open for another question.
    let adjust = |settings: &mut Settings| (settings.origins, settings.idle_timeout) = (named, Duration::from_secs(1));
    let world = World::halted(adjust).await;
    let asked = exchange(&world, &preflight("https://app.example")).await;
    assert!(asked.starts_with("HTTP/1.1 200"), "{asked}");
    assert!(asked.contains("access-control-allow-origin: https://app.example\r\n"), "{asked}");
    assert!(asked.contains("access-control-allow-headers: *") && asked.contains("vary: origin"), "{asked}");
    let other = exchange(&world, &preflight("https://evil.example")).await;
    assert!(other.starts_with("HTTP/1.1 403") && !other.contains("access-control"), "{other}");
    assert!(exchange(&world, &socket("https://evil.example")).await.starts_with("HTTP/1.1 403"));

    let closed = World::halted(|_| ()).await;
    let asked = exchange(&closed, &preflight("https://app.example")).await;
    assert!(asked.starts_with("HTTP/1.1 403") && !asked.contains("access-control"), "{asked}");
    // One whose name leads here by DNS: its browser thinks that it asks its own server.
    let rebound = |origin: &str, host: &str| {
        let body = r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}"#;
        format!(
            "POST / HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
    };
    let refused = exchange(&world, &rebound("http://evil.example:8545", "evil.example:8545")).await;
    assert!(refused.starts_with("HTTP/1.1 403") && !refused.contains("0xca05"), "{refused}");
    let own = exchange(&world, &rebound("http://127.0.0.1:8545", "127.0.0.1:8545")).await;
    assert!(own.contains("0xca05"), "a page of this machine's own server: {own}");
    let open = World::halted(|settings| settings.origins = Origins::All).await;
    assert!(exchange(&open, &preflight("null")).await.contains("access-control-allow-origin: null\r\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn health_answers_over_http() {
    let world = World::halted(|_| ()).await;
    let health = exchange(&world, "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
    assert!(health.starts_with("HTTP/1.1 503") && health.contains("oldHead"), "{health}");
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_sync_say_what_is_wrong_and_nothing_else() {
    let world = World::halted(|_| ()).await;
    world.state.facts().needed_peers = 2;
    world.state.heard_of(1_000);
    let ask = "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let ill = exchange(&world, ask).await;
    assert!(ill.starts_with("HTTP/1.1 503") && ill.contains("application/json"), "{ill}");
    for reason in ["behind", "peers", "oldHead", "block 1000 is final"] {
        assert!(ill.contains(reason), "{reason} is not in {ill}");
    }
    let syncing = json!({ "startingBlock": "0x0", "currentBlock": "0x0", "highestBlock": "0x3e8" });
    assert_eq!(world.get("eth_syncing", json!([])).await, syncing);
    assert_eq!(world.get("net_peerCount", json!([])).await, "0x0");
    *world.state.facts() = crate::standing::Facts { peers: 3, ..Default::default() };
    assert_eq!(world.get("eth_syncing", json!([])).await, false);
    assert_eq!(world.get("net_peerCount", json!([])).await, "0x3");
}

/// The whole HTTP answer to a body.
async fn post(world: &World, body: &str) -> String {
    let length = body.len();
    exchange(world, &format!("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")).await
}

pub async fn exchange(world: &World, request: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(world.server.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A server that refuses a body early may reset the connection after its answer.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}
