//! Who makes way for whom when a server is full, and what others' transactions cost those who listen for them.

use std::time::Duration;

use jsonrpsee::core::client::{Subscription, SubscriptionClientT as _};
use jsonrpsee::rpc_params;
use jsonrpsee::ws_client::{WsClient, WsClientBuilder};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::many_clients::{ask, connect, endless, masked, message, post, request, until, websocket};
use super::world::{World, raw, transfer};
use crate::io::rpc::shares::Resource;
use crate::testing::Key;

async fn is_closed(stream: &mut TcpStream) -> bool {
    let read = tokio::time::timeout(Duration::from_millis(200), stream.read(&mut [0; 1])).await;
    read.is_ok_and(|read| !matches!(read, Ok(1..)))
}

// four places: a WebSocket, a request that runs, half a request, and a connection that asks nothing
#[tokio::test(flavor = "multi_thread")]
async fn whoever_keeps_a_full_server_waiting_longest_makes_way_and_nobody_else() {
    let world = World::halted(|settings| {
        settings.rules.in_all.connections = 4;
        settings.deadline = Duration::from_secs(60);
    })
    .await;
    let context = world.server.context();
    let open = || context.shares.count(Resource::Connections).1;
    let mut socket = websocket(&world, "127.0.0.2").await;
    let mut running = connect(&world, "127.0.0.3").await;
    running.write_all(post(&request("eth_call", endless(60_000_000)), "").as_bytes()).await.unwrap();
    until("it runs", || context.running_now() == 1).await;
    let mut half = connect(&world, "127.0.0.4").await;
    half.write_all(b"POST / HTTP/1.1\r\nHost: a").await.unwrap();
    until("half a request is there", || open() == 3).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut idle = connect(&world, "127.0.0.5").await;
    until("four are there", || open() == 4).await;

    assert!(ask(&world, "127.0.0.6", "eth_chainId", json!([])).await.contains("0xca05"), "the first newcomer");
    assert!(is_closed(&mut half).await && !is_closed(&mut idle).await);
    let mut seventh = connect(&world, "127.0.0.7").await;
    until("four are there", || open() == 4).await;
    assert!(ask(&world, "127.0.0.8", "eth_chainId", json!([])).await.contains("0xca05"), "the second");
    assert!(is_closed(&mut idle).await && !is_closed(&mut seventh).await);

    socket.write_all(&masked(request("eth_chainId", json!([])).to_string().as_bytes())).await.unwrap();
    assert!(message(&mut socket).await.contains("0xca05"), "a WebSocket stays");
    let mut answer = String::new();
    running.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("out of gas"), "what runs is answered: {answer}");
    drop((socket, seventh));
    until("all places are free again", || open() == 0).await;
}

// A client that has as many connections as one may takes nobody's place.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_more_than_one_may_by_others_making_way() {
    let world = World::halted(|settings| {
        settings.rules.by_address.connections = 3;
        settings.rules.in_all.connections = 4;
    })
    .await;
    let mut other = connect(&world, "127.0.0.3").await;
    let mut own = Vec::new();
    for _ in 0..20 {
        own.push(connect(&world, "127.0.0.2").await);
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!is_closed(&mut other).await, "somebody else's connection stays");
    assert_eq!(world.server.context().shares.count(Resource::Connections).1, 4);
}

/// Listens for transactions that enter the pool, so many times.
async fn listen(world: &World, from: &str, times: usize) -> (WsClient, Vec<Subscription<Value>>) {
    let stream = connect(world, from).await;
    let builder = WsClientBuilder::default().max_buffer_capacity_per_subscription(1_000);
    let client = builder.build_with_stream(format!("ws://{}", world.server.address), stream).await.unwrap();
    let mut subscriptions = Vec::new();
    for _ in 0..times {
        let parameters = rpc_params!["newPendingTransactions", true];
        subscriptions.push(client.subscribe("eth_subscribe", parameters, "eth_unsubscribe").await.unwrap());
    }
    (client, subscriptions)
}

/// How many messages come until none does for a while.
async fn heard(subscriptions: Vec<Subscription<Value>>) -> usize {
    let mut count = 0;
    for mut subscription in subscriptions {
        while let Ok(Some(message)) = tokio::time::timeout(Duration::from_millis(500), subscription.next()).await {
            assert!(message.unwrap()["hash"].is_string());
            count += 1;
        }
    }
    count
}

// 200 transactions, for one who listens once, and for one who listens 200 times
#[tokio::test(flavor = "multi_thread")]
async fn others_transactions_are_work_of_whoever_listens_for_them() {
    let world = World::halted(|settings| {
        settings.rules.work_per_second = Duration::from_millis(1);
        settings.rules.work_burst = Duration::from_millis(50);
    })
    .await;
    let (_greedy, of_greedy) = listen(&world, "127.0.0.2", 200).await;
    let (_modest, of_modest) = listen(&world, "127.0.0.3", 1).await;
    let key = Key::new(1);
    for nonce in 0..200 {
        world.state.admit(&raw(&transfer(&key, nonce)), 0).unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let (modest, greedy) = (heard(of_modest).await, heard(of_greedy).await);
    println!("heard of 200: once {modest}, 200 times {greedy}");
    assert_eq!(modest, 200);
    assert!((1..10_000).contains(&greedy), "{greedy} of 40,000");
}
