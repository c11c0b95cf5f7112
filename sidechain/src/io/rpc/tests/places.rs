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
use crate::io::clock::now_ms;
use crate::io::rpc::shares::Resource;
use crate::testing::Key;

async fn is_closed(stream: &mut TcpStream) -> bool {
    // A WebSocket gets a ping first.
    let closed = async { while let Ok(1..) = stream.read(&mut [0; 64]).await {} };
    tokio::time::timeout(Duration::from_millis(200), closed).await.is_ok()
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

// 200 transactions, for one who listens once, and for one who listens 100 times
#[tokio::test(flavor = "multi_thread")]
async fn others_transactions_are_work_of_whoever_listens_for_them() {
    let world = World::halted(|settings| {
        settings.rules.work_per_second = Duration::from_millis(1);
        settings.rules.work_burst = Duration::from_millis(100);
    })
    .await;
    let (_greedy, of_greedy) = listen(&world, "127.0.0.2", 100).await;
    let (_modest, of_modest) = listen(&world, "127.0.0.3", 1).await;
    let key = Key::new(1);
    for nonce in 0..200 {
        world.state.admit(&raw(&transfer(&key, nonce)), now_ms()).unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let (modest, greedy) = (heard(of_modest).await, heard(of_greedy).await);
    println!("heard of 200: once {modest}, 100 times {greedy}");
    assert_eq!(modest, 200);
    assert!((1..10_000).contains(&greedy), "{greedy} of 20,000");
}

// six places for WebSockets and six clients: the second and third have subscribed, the fourth asks now and then
#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_gets_the_place_of_the_websocket_that_is_cheapest_to_lose() {
    let world = World::halted(|settings| {
        settings.rules.in_all.sockets = 6;
        settings.access.unlimited = vec!["127.0.0.100".parse().unwrap()];
    })
    .await;
    let context = world.server.context();
    let open = || context.shares.count(Resource::Sockets).1;
    let mut operator = websocket(&world, "127.0.0.100").await;
    let mut sockets = Vec::new();
    for number in 1..=6 {
        sockets.push(websocket(&world, &format!("127.0.0.1{number}")).await);
    }
    let asks = masked(request("eth_chainId", json!([])).to_string().as_bytes());
    let subscribes = masked(request("eth_subscribe", json!(["newHeads"])).to_string().as_bytes());
    for socket in &mut sockets[1..3] {
        socket.write_all(&subscribes).await.unwrap();
        assert!(message(socket).await.contains("result"));
    }
    let mut newcomers = Vec::new();
    for (number, goes) in [0, 4, 5, 1, 2].into_iter().enumerate() {
        // First it asks, then it listens too: then nobody is quiet, and those go that asked nothing for longer.
        sockets[3].write_all(if number < 3 { &asks } else { &subscribes }).await.unwrap();
        assert!(message(&mut sockets[3]).await.contains("result"));
        let mut newcomer = websocket(&world, &format!("127.0.0.2{number}")).await;
        newcomer.write_all(&subscribes).await.unwrap();
        assert!(message(&mut newcomer).await.contains("result"), "a newcomer is served");
        newcomers.push(newcomer);
        assert!(is_closed(&mut sockets[goes]).await, "{goes} goes");
        until("its place is the newcomer's", || open() == 7).await;
    }
    for socket in &mut newcomers {
        assert!(!is_closed(socket).await, "who came last stays");
    }
    operator.write_all(&asks).await.unwrap();
    assert!(message(&mut operator).await.contains("0xca05"), "no outsider takes the place of the operator's own");
    for _ in 0..5 {
        drop(websocket(&world, "127.0.0.100").await);
    }
}

// The attack: three addresses hold all places but one, and newcomers come one after the other until there is none for more. The subscriber asks for nothing.
#[tokio::test(flavor = "multi_thread")]
async fn who_has_one_websocket_keeps_it_while_others_have_more() {
    let world = World::halted(|settings| settings.rules.in_all.sockets = 6).await;
    let mut quiet = websocket(&world, "127.0.0.9").await;
    quiet.write_all(&masked(request("eth_subscribe", json!(["newHeads"])).to_string().as_bytes())).await.unwrap();
    assert!(message(&mut quiet).await.contains("result"));
    let asks = masked(request("eth_chainId", json!([])).to_string().as_bytes());
    let mut held = Vec::new();
    for number in 0..5 {
        let mut socket = websocket(&world, &format!("127.0.0.1{}", number % 3)).await;
        socket.write_all(&asks).await.unwrap();
        assert!(message(&mut socket).await.contains("0xca05"));
        held.push(socket);
    }
    let mut newcomers = Vec::new();
    for number in 0..4 {
        newcomers.push(websocket(&world, &format!("127.0.0.2{number}")).await);
    }
    let mut gone = 0;
    for socket in &mut held {
        gone += usize::from(is_closed(socket).await);
    }
    assert_eq!(gone, 2, "two come beside the others, and two have a place of those who have several");
    assert!(!is_closed(&mut quiet).await);
}

// four places, all of one client's; another comes, and then the first wants one more
#[tokio::test(flavor = "multi_thread")]
async fn who_has_a_websocket_takes_none_from_others() {
    let world = World::halted(|settings| settings.rules.in_all.sockets = 4).await;
    let context = world.server.context();
    let mut own = Vec::new();
    for _ in 0..4 {
        own.push(websocket(&world, "127.0.0.2").await);
    }
    let mut other = websocket(&world, "127.0.0.3").await;
    let upgrade = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    let mut refused = connect(&world, "127.0.0.2").await;
    refused.write_all(upgrade.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    refused.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 429");
    assert!(!is_closed(&mut other).await && !is_closed(&mut own[0]).await);
    assert_eq!(context.shares.count(Resource::Sockets).1, 5);
}

// The attack: empty pings, pongs, and parts of a message without a byte, as fast as they go. Each is read by the server, and each ping answered.
#[tokio::test(flavor = "multi_thread")]
async fn frames_that_ask_for_nothing_are_work_and_slow_their_client_down() {
    for frame in [[0x89_u8, 0x80, 0, 0, 0, 0], [0x8a, 0x80, 0, 0, 0, 0], [0x00, 0x80, 0, 0, 0, 0]] {
        let world = World::halted(|settings| {
            settings.rules.work_per_second = Duration::from_millis(1);
            settings.rules.work_burst = Duration::from_millis(50);
        })
        .await;
        let context = world.server.context();
        let mut stream = websocket(&world, "127.0.0.2").await;
        let client = context.settings.access.peer("127.0.0.2".parse().unwrap());
        if frame[0] == 0 {
            stream.write_all(&[0x01, 0x80, 0, 0, 0, 0]).await.unwrap();
        }
        // 20,000 of them are 200 ms of work; some 5,000 are read at once.
        let (mut reading, mut writing) = stream.into_split();
        let reads = tokio::spawn(async move { tokio::io::copy(&mut reading, &mut tokio::io::sink()).await });
        let flood = tokio::spawn(async move {
            for _ in 0..200 {
                let _ = writing.write_all(&frame.repeat(100)).await;
            }
            writing
        });
        until("its work is used up", || context.shares.may_work(client).is_err()).await;
        let refused = ask(&world, "127.0.0.2", "eth_chainId", json!([])).await;
        assert!(refused.contains("too much work"), "{refused}");
        assert!(ask(&world, "127.0.0.3", "eth_chainId", json!([])).await.contains("0xca05"), "another is served");
        let debt = context.shares.debt(client);
        tokio::time::sleep(Duration::from_millis(500)).await;
        let later = context.shares.debt(client);
        assert!(
            later <= debt + Duration::from_millis(1),
            "no more than ten frames in half a second: {debt:?}, {later:?}"
        );
        flood.abort();
        reads.abort();
    }
}

// A client without limits leaves answers of 40 MiB unread over one connection, and asks over another.
#[tokio::test(flavor = "multi_thread")]
async fn what_one_websocket_leaves_unread_leaves_room_for_others_of_its_client() {
    const MOST: u64 = 2 << 20;
    let world = World::halted(|settings| {
        settings.max_unread_per_socket = MOST;
        settings.rules.in_all.outgoing_bytes = 2 * MOST;
        settings.access.unlimited = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    let context = world.server.context();
    let mut stream = websocket(&world, "127.0.0.2").await;
    let batch = Value::Array(vec![request("eth_getBlockByNumber", json!(["latest", true])); 500]).to_string();
    let frame = masked(batch.as_bytes());
    let flood = tokio::spawn(async move {
        for _ in 0..100 {
            let _ = stream.write_all(&frame).await;
        }
        stream
    });
    let unread = || context.shares.count(Resource::OutgoingBytes).1;
    until("it has what one may", || unread() > MOST / 2).await;
    for _ in 0..100 {
        assert!(ask(&world, "127.0.0.2", "eth_getBlockByNumber", json!(["latest", true])).await.contains("stateRoot"));
        assert!(unread() <= MOST + (64 << 10), "{} bytes wait", unread());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    flood.abort();
}

// Eight connections of a client without limits leave twice the room unread; it asks over another, and subscribes over one more.
#[tokio::test(flavor = "multi_thread")]
async fn what_many_websockets_leave_unread_leaves_room_for_others_of_their_client() {
    const ALL: u64 = 4 << 20;
    let world = World::halted(|settings| {
        settings.max_unread_per_socket = ALL / 4;
        settings.rules.in_all.outgoing_bytes = ALL;
        settings.access.unlimited = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    let context = world.server.context();
    let batch = Value::Array(vec![request("eth_getBlockByNumber", json!(["latest", true])); 500]).to_string();
    let mut floods = Vec::new();
    for _ in 0..8 {
        let (mut stream, frame) = (websocket(&world, "127.0.0.2").await, masked(batch.as_bytes()));
        floods.push(tokio::spawn(async move {
            for _ in 0..100 {
                let _ = stream.write_all(&frame).await;
            }
            stream
        }));
    }
    let unread = || context.shares.count(Resource::OutgoingBytes).1;
    until("they have what there is", || unread() > ALL * 3 / 4).await;
    for _ in 0..100 {
        let answer = ask(&world, "127.0.0.2", "eth_getBlockByNumber", json!(["latest", true])).await;
        assert!(answer.contains("stateRoot"), "{answer}");
        assert!(unread() <= 2 * ALL, "{} bytes wait", unread());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    floods.iter().for_each(tokio::task::JoinHandle::abort);
}
