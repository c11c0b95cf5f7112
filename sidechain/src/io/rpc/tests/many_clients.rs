//! Many clients of one server: what one does, the others do not feel.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jsonrpsee::core::client::SubscriptionClientT;
use jsonrpsee::rpc_params;
use jsonrpsee::ws_client::WsClientBuilder;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::super::shares::{Bounds, Resource};
use super::world::{NOBODY, World, transfer};
use crate::io::clock::now_ms;
use crate::testing::Key;

/// Longer than anything takes, even when the machine is busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// JUMPDEST, PUSH0, JUMP: creation code that never ends.
const LOOP: &str = "0x5b5f56";

/// A connection from one of the addresses of this machine.
pub async fn connect(world: &World, from: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(from.parse::<IpAddr>().unwrap(), 0)).unwrap();
    socket.connect(world.server.address).await.unwrap()
}

pub fn request(method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params })
}

pub fn post(body: &Value, headers: &str) -> String {
    let body = body.to_string();
    let length = body.len();
    format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n{headers}Connection: close\r\n\r\n{body}"
    )
}

/// The whole answer to one request over a connection of its own.
pub async fn exchange(world: &World, from: &str, text: &str) -> String {
    let mut stream = connect(world, from).await;
    // A server that refuses may close before it has read all.
    let _ = stream.write_all(text.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

pub async fn ask(world: &World, from: &str, method: &str, params: Value) -> String {
    exchange(world, from, &post(&request(method, params), "")).await
}

/// A call that runs until its gas is used up.
pub fn endless(gas: u64) -> Value {
    json!([{ "input": LOOP, "gas": format!("{gas:#x}") }, "latest"])
}

/// How long another client waits for two cheap answers.
async fn waits(world: &World, from: &str) -> Duration {
    let begun = Instant::now();
    let id = ask(world, from, "eth_chainId", json!([])).await;
    assert!(id.contains("0xca05"), "{id}");
    let balance = ask(world, from, "eth_getBalance", json!([NOBODY, "latest"])).await;
    assert!(balance.contains("result"), "{balance}");
    begun.elapsed()
}

async fn median_wait(world: &World, from: &str, rounds: usize) -> (Duration, Duration) {
    let mut all = Vec::new();
    for _ in 0..rounds {
        all.push(waits(world, from).await);
    }
    all.sort_unstable();
    (all[rounds / 2], all[rounds - 1])
}

/// Waits until something holds.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

// client 2: four endless calls at a time, and thousands of requests in batches; client 3: a cheap question now and then
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_clients_flood_leaves_others_their_answers_and_the_chain_its_blocks() {
    let world = Arc::new(World::new().await);
    let (idle, _) = median_wait(&world, "127.0.0.3", 15).await;
    let over = Arc::new(AtomicBool::new(false));
    let served = Arc::new(AtomicU64::new(0));
    let mut flood = Vec::new();
    for number in 0..16 {
        let (world, over, served) = (world.clone(), over.clone(), served.clone());
        flood.push(tokio::spawn(async move {
            while !over.load(Ordering::Relaxed) {
                let body = if number < 4 {
                    request("eth_call", endless(30_000_000))
                } else {
                    Value::Array(vec![request("eth_getBalance", json!([NOBODY, "latest"])); 500])
                };
                let answer = exchange(&world, "127.0.0.2", &post(&body, "")).await;
                served.fetch_add(answer.len() as u64, Ordering::Relaxed);
            }
        }));
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let begun = world.state.chain.head().number;
    let mut nonce = 0;
    let (median, most) = {
        let sent = async {
            for _ in 0..10 {
                // Before it is there: its block may come at once.
                let head = world.state.chain.head().number;
                world.state.admit(&super::world::raw(&transfer(&Key::new(1), nonce)), now_ms()).unwrap();
                nonce += 1;
                until("no block while a client floods the server", || world.state.chain.head().number > head).await;
            }
        };
        let (waited, ()) = tokio::join!(median_wait(&world, "127.0.0.3", 30), sent);
        waited
    };
    let blocks = world.state.chain.head().number - begun;
    over.store(true, Ordering::Relaxed);
    for task in flood {
        task.await.unwrap();
    }
    println!(
        "idle {idle:?}, beside the flood {median:?}, at most {most:?}; {blocks} blocks; flood answered {served:?} bytes"
    );
    assert!(blocks >= 10, "{blocks} blocks");
    assert!(median < idle * 20 + Duration::from_millis(100), "idle {idle:?}, beside the flood {median:?}");
    assert!(most < Duration::from_secs(5), "{most:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_nobody_waits_for_stops_computing() {
    let world = World::halted(|_| ()).await;
    let context = world.server.context();
    let text = post(&request("eth_call", endless(60_000_000)), "");
    let mut whole = PATIENCE;
    for _ in 0..3 {
        let begun = Instant::now();
        assert!(exchange(&world, "127.0.0.1", &text).await.contains("error"));
        whole = whole.min(begun.elapsed());
    }
    let mut stopped = PATIENCE;
    for _ in 0..5 {
        let mut stream = connect(&world, "127.0.0.1").await;
        stream.write_all(text.as_bytes()).await.unwrap();
        until("the call begins", || context.running_now() > 0).await;
        drop(stream);
        let left = Instant::now();
        until("the call ends", || context.running_now() == 0).await;
        stopped = stopped.min(left.elapsed());
    }
    println!("a whole call takes {whole:?}, one whose client left ends after {stopped:?}");
    assert!(stopped < whole / 2, "a whole call takes {whole:?}, one whose client left ends after {stopped:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_ends_at_its_deadline() {
    let world = World::halted(|settings| {
        settings.deadline = Duration::from_millis(5);
        settings.long_workers = 1;
    })
    .await;
    let context = world.server.context();
    for method in ["eth_call", "eth_estimateGas"] {
        let answer = ask(&world, "127.0.0.2", method, endless(60_000_000)).await;
        assert!(answer.contains("-32005") && answer.contains("no answer within"), "{answer}");
        until("it stops computing", || context.running_now() == 0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_dear_calls_costs_its_sender_alone() {
    let world = World::halted(|settings| {
        settings.batch_deadline = Duration::from_millis(300);
        settings.rules.work_per_second = Duration::from_millis(1);
        settings.rules.work_burst = Duration::from_millis(200);
    })
    .await;
    let bomb = Value::Array(vec![request("eth_call", endless(30_000_000)); 1_000]);
    let begun = Instant::now();
    let answer = exchange(&world, "127.0.0.2", &post(&bomb, "")).await;
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert_eq!(answer.matches("\"error\"").count(), 1_000);
    assert!(answer.contains("too much work: one address (yours is 127.0.0.2)"), "what the limit is, and whose");
    assert!(ask(&world, "127.0.0.2", "eth_getBalance", json!([NOBODY])).await.contains("-32005"));
    assert!(ask(&world, "127.0.0.3", "eth_getBalance", json!([NOBODY])).await.contains("result"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_a_batch_has_a_bound_as_a_whole() {
    let world = World::halted(|settings| settings.max_response_bytes = 20_000).await;
    let batch = Value::Array(vec![request("eth_getBlockByNumber", json!(["latest", true])); 100]);
    let answer = exchange(&world, "127.0.0.1", &post(&batch, "")).await;
    assert!(answer.contains("-32011") && answer.len() < 25_000, "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_of_one_address_do_not_use_up_anothers() {
    let world = World::halted(|settings| {
        settings.rules.by_address.filters = 10;
        settings.rules.in_all.filters = 20;
    })
    .await;
    for _ in 0..10 {
        assert!(ask(&world, "127.0.0.2", "eth_newBlockFilter", json!([])).await.contains("result"));
    }
    let refused = ask(&world, "127.0.0.2", "eth_newBlockFilter", json!([])).await;
    assert!(refused.contains("too many filters: at most 10 for one address (yours is 127.0.0.2)"), "{refused}");
    // 64 topics are one filter more.
    let topics: Vec<_> = (0..700).map(|_| NOBODY.into_word()).collect();
    let large = ask(&world, "127.0.0.3", "eth_newFilter", json!([{ "topics": [topics] }])).await;
    assert!(large.contains("result"), "equal topics are one: {large}");
    for _ in 0..9 {
        assert!(ask(&world, "127.0.0.3", "eth_newBlockFilter", json!([])).await.contains("result"));
    }
    // The node is full: for those who filled it.
    assert!(ask(&world, "127.0.0.4", "eth_newBlockFilter", json!([])).await.contains("result"));
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_of_one_address_do_not_use_up_anothers() {
    let world = World::halted(|settings| settings.rules.by_address.subscriptions = 3).await;
    let url = format!("ws://{}", world.server.address);
    let open =
        async |from| WsClientBuilder::default().build_with_stream(&url, connect(&world, from).await).await.unwrap();
    let (one, other, stranger) = (open("127.0.0.2").await, open("127.0.0.2").await, open("127.0.0.3").await);
    let mut held = Vec::new();
    for client in [&one, &one, &other] {
        held.push(
            client.subscribe::<Value, _>("eth_subscribe", rpc_params!["newHeads"], "eth_unsubscribe").await.unwrap(),
        );
    }
    let refused = other.subscribe::<Value, _>("eth_subscribe", rpc_params!["newHeads"], "eth_unsubscribe").await;
    let refused = refused.expect_err("the fourth").to_string();
    assert!(refused.contains("too many subscriptions: at most 3 for one address"), "{refused}");
    let mut heads =
        stranger.subscribe::<Value, _>("eth_subscribe", rpc_params!["newHeads"], "eth_unsubscribe").await.unwrap();
    world.mine();
    assert_eq!(heads.next().await.unwrap().unwrap()["number"], "0x1");
    // Leaving gives back.
    drop((one, held));
    let context = world.server.context();
    until("the places are free again", || context.shares.count(Resource::Subscriptions).1 <= 2).await;
    other.subscribe::<Value, _>("eth_subscribe", rpc_params!["newHeads"], "eth_unsubscribe").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_of_one_address_do_not_use_up_anothers() {
    let world = World::halted(|settings| {
        settings.rules.by_address.connections = 5;
        settings.rules.in_all.connections = 8;
    })
    .await;
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(connect(&world, "127.0.0.2").await);
    }
    let context = world.server.context();
    until("five connections", || context.shares.count(Resource::Connections).1 == 5).await;
    // Nothing is sent, so that nothing disturbs the refusal on its way.
    for _ in 0..20 {
        let mut refused = connect(&world, "127.0.0.2").await;
        let mut answer = String::new();
        refused.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 429") && answer.contains("at most 5 for one address"), "{answer}");
    }
    // With the last ones there are more than eight: who holds less than an even share still gets in.
    for from in ["127.0.0.3", "127.0.0.4", "127.0.0.5", "127.0.0.6", "127.0.0.7"] {
        assert!(ask(&world, from, "eth_chainId", json!([])).await.contains("0xca05"), "{from}");
        held.push(connect(&world, from).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_too_slowly_is_cut() {
    let world = World::halted(|settings| {
        settings.receive_timeout = Duration::from_millis(200);
        settings.idle_timeout = Duration::from_millis(400);
    })
    .await;
    let body = post(&request("eth_chainId", json!([])), "");
    for sent in ["", "POST / HTTP/1.1\r\nHost: a\r\n", &body[..body.len() - 1]] {
        let mut stream = connect(&world, "127.0.0.2").await;
        let begun = Instant::now();
        let mut answer = Vec::new();
        // Byte by byte, as somebody who wants to hold the connection for long.
        let (mut reading, mut writing) = stream.split();
        let trickle = async {
            for byte in sent.as_bytes() {
                let pause = tokio::time::sleep(Duration::from_millis(10));
                let _ = writing.write_all(&[*byte]).await;
                pause.await;
            }
        };
        let _ = tokio::join!(tokio::time::timeout(PATIENCE, reading.read_to_end(&mut answer)), trickle);
        assert!(begun.elapsed() < Duration::from_secs(20), "{sent:?}: {:?}", begun.elapsed());
        assert!(!String::from_utf8_lossy(&answer).contains("0xca05"), "{sent:?}");
    }
    let context = world.server.context();
    until("all connections are gone", || context.shares.count(Resource::Connections).1 == 0).await;
    assert_eq!(context.shares.count(Resource::IncomingBytes).1, 0);
}

/// Bytes that may wait for one client of [`impatient`].
const MOST: u64 = 4 << 20;

/// A server that soon gives up who does not read.
async fn impatient() -> World {
    World::halted(|settings| {
        settings.patience = Duration::from_millis(500);
        settings.rules.by_address = Bounds { outgoing_bytes: MOST, ..Bounds::NONE };
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_holds_little_and_is_cut() {
    let world = impatient().await;
    let context = world.server.context();
    let held = || context.shares.count(Resource::OutgoingBytes).1;
    // An answer of about 1 MiB: 1,000 blocks of genesis, which are not small.
    let batch = Value::Array(vec![request("eth_getBlockByNumber", json!(["latest", true])); 1_000]);
    let mut silent = Vec::new();
    for _ in 0..20 {
        let mut stream = connect(&world, "127.0.0.2").await;
        stream.write_all(post(&batch, "").as_bytes()).await.unwrap();
        silent.push(stream);
    }
    let mut most = 0;
    let begun = Instant::now();
    while context.shares.count(Resource::Connections).1 > 0 {
        most = most.max(held());
        assert!(begun.elapsed() < PATIENCE, "connections stay");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(most <= MOST, "{most} bytes wait");
    until("nothing waits any more", || held() == 0).await;
    drop(silent);
}

// 2,000 requests, of which no answer is read
#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_that_is_not_read_holds_little_and_is_cut() {
    let world = impatient().await;
    let context = world.server.context();
    let mut stream = websocket(&world, "127.0.0.2").await;
    let batch = Value::Array(vec![request("eth_getBlockByNumber", json!(["latest", true])); 500]).to_string();
    let frame = masked(batch.as_bytes());
    let flood = async {
        // Ends when the server cuts the connection.
        for _ in 0..2_000 {
            if stream.write_all(&frame).await.is_err() {
                return;
            }
        }
    };
    let watched = async {
        let begun = Instant::now();
        let mut most = 0;
        while context.shares.count(Resource::Sockets).1 > 0 {
            most = most.max(context.shares.count(Resource::OutgoingBytes).1);
            assert!(begun.elapsed() < PATIENCE, "the connection stays");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        most
    };
    let ((), most) = tokio::join!(flood, watched);
    assert!(most <= MOST, "{most} bytes wait");
    until("nothing waits any more", || context.shares.count(Resource::OutgoingBytes).1 == 0).await;
    until("nothing is computed any more", || context.shares.count(Resource::Requests).1 == 0).await;
}

/// A WebSocket, right after the answer to its upgrade.
pub async fn websocket(world: &World, from: &str) -> TcpStream {
    let mut stream = connect(world, from).await;
    let upgrade = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    stream.write_all(upgrade.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101"));
    stream
}

/// A text message of a client (RFC 6455, section 5), masked with zeros.
pub fn masked(text: &[u8]) -> Vec<u8> {
    let length = (text.len() as u64).to_be_bytes();
    [&[0x81, 0x80 | 127][..], &length, &[0; 4], text].concat()
}

/// The next text message of the server.
pub async fn message(stream: &mut TcpStream) -> String {
    loop {
        let (kind, length) = (stream.read_u8().await.unwrap(), stream.read_u8().await.unwrap());
        let length = match length {
            126 => u64::from(stream.read_u16().await.unwrap()),
            127 => stream.read_u64().await.unwrap(),
            short => u64::from(short),
        };
        let mut text = vec![0; usize::try_from(length).unwrap()];
        stream.read_exact(&mut text).await.unwrap();
        // Anything else is a ping.
        if kind == 0x81 {
            return String::from_utf8(text).unwrap();
        }
    }
}

// 1.25 MiB, a byte more, and an ordinary question, over one socket
#[tokio::test(flavor = "multi_thread")]
async fn a_message_over_websocket_may_have_its_bound_and_not_a_byte_more() {
    let world = World::halted(|_| ()).await;
    let most = super::super::Settings::new(([127, 0, 0, 1], 0).into()).max_message_bytes as usize;
    assert_eq!(most, 1_280 << 10);
    let mut stream = websocket(&world, "127.0.0.1").await;
    let padded = |bytes: usize| {
        let empty = request("eth_sendRawTransaction", json!([""])).to_string();
        request("eth_sendRawTransaction", json!(["0".repeat(bytes - empty.len())])).to_string()
    };
    // Read as a whole, and refused for what is in it.
    stream.write_all(&masked(padded(most).as_bytes())).await.unwrap();
    let answer = message(&mut stream).await;
    assert!(answer.contains(r#""id":1"#) && answer.contains("error") && !answer.contains("max limit"), "{answer}");
    // Not read.
    stream.write_all(&masked(padded(most + 1).as_bytes())).await.unwrap();
    let answer = message(&mut stream).await;
    assert!(answer.contains(r#""id":null"#) && answer.contains("-32007"), "{answer}");
    assert!(answer.contains(&format!("Exceeded max limit of {most}")), "{answer}");
    // The socket goes on.
    stream.write_all(&masked(request("eth_chainId", json!([])).to_string().as_bytes())).await.unwrap();
    assert!(message(&mut stream).await.contains("0xca05"));
}

// the pool is held for 200 ms; a client that gets 1 ms a second asks how much is in it
#[tokio::test(flavor = "multi_thread")]
async fn what_is_answered_on_the_connection_s_thread_is_charged_by_the_time_it_takes() {
    let world = World::halted(|settings| {
        settings.rules.work_per_second = Duration::from_millis(1);
        settings.rules.work_burst = Duration::from_millis(100);
    })
    .await;
    for _ in 0..20 {
        assert!(ask(&world, "127.0.0.2", "txpool_status", json!([])).await.contains("result"));
    }
    let (state, (held, is_held)) = (world.state.clone(), std::sync::mpsc::channel());
    let holder = std::thread::spawn(move || {
        let pool = state.pool();
        held.send(()).unwrap();
        std::thread::sleep(Duration::from_millis(200));
        drop(pool);
    });
    is_held.recv().unwrap();
    assert!(ask(&world, "127.0.0.2", "txpool_status", json!([])).await.contains("result"));
    holder.join().unwrap();
    let refused = ask(&world, "127.0.0.2", "txpool_status", json!([])).await;
    assert!(refused.contains("too much work"), "{refused}");
    assert!(ask(&world, "127.0.0.3", "txpool_status", json!([])).await.contains("result"));
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_behind_a_trusted_proxy_are_told_apart() {
    let world = World::halted(|settings| {
        settings.access.trusted_proxies = vec!["127.0.0.9".parse().unwrap()];
        settings.rules.by_address.filters = 1;
        settings.rules.by_address.connections = 1;
    })
    .await;
    let ask_as = async |from: &str, forwarded: &str| {
        let headers = format!("X-Forwarded-For: {forwarded}\r\n");
        exchange(&world, from, &post(&request("eth_newBlockFilter", json!([])), &headers)).await
    };
    // A proxy may have many connections.
    let _held = [connect(&world, "127.0.0.9").await, connect(&world, "127.0.0.9").await];
    assert!(ask_as("127.0.0.9", "192.0.2.1").await.contains("result"));
    assert!(ask_as("127.0.0.9", "192.0.2.2").await.contains("result"));
    let refused = ask_as("127.0.0.9", "192.0.2.99, 192.0.2.1").await;
    assert!(refused.contains("yours is 192.0.2.1"), "what the client invents is not believed: {refused}");
    // Nobody else is believed.
    assert!(ask_as("127.0.0.2", "192.0.2.3").await.contains("result"));
    assert!(ask_as("127.0.0.2", "192.0.2.4").await.contains("yours is 127.0.0.2"));
}

// forty addresses, each with calls that use all their gas; then somebody's first call, which is cheap
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_newcomers_call_does_not_wait_until_the_endless_ones_of_many_addresses_have_ended() {
    let world = Arc::new(World::halted(|_| ()).await);
    let context = world.server.context();
    let over = Arc::new(AtomicBool::new(false));
    let flood: Vec<_> = (0..40)
        .map(|number| {
            let (world, over) = (world.clone(), over.clone());
            tokio::spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    let answer =
                        ask(&world, &format!("127.0.0.{}", 100 + number), "eth_call", endless(60_000_000)).await;
                    assert!(answer.contains("error"), "{answer}");
                }
            })
        })
        .collect();
    until("all of them are there", || context.shares.count(Resource::Requests).1 >= 40).await;
    let mut slowest = Duration::ZERO;
    // One below the others' addresses, and some above.
    for newcomer in ["127.0.0.3", "127.0.1.3", "127.0.2.3", "127.0.3.3", "127.200.0.7"] {
        let begun = Instant::now();
        let answer = ask(&world, newcomer, "eth_call", json!([{ "input": "0x00" }, "latest"])).await;
        assert!(answer.contains(r#""result":"0x""#), "{answer}");
        slowest = slowest.max(begun.elapsed());
    }
    over.store(true, Ordering::Relaxed);
    for task in flood {
        task.await.unwrap();
    }
    println!("a newcomer waited {slowest:?} at most");
    // All of the endless ones together take some twenty seconds of the two threads, and no request waits longer than ten.
    assert!(slowest < Duration::from_secs(7), "{slowest:?}");
}

// a loop of some ten times the first turn
#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_needs_more_than_a_moment_is_answered_as_well() {
    let world = World::halted(|settings| settings.deadline = PATIENCE).await;
    let begun = Instant::now();
    let answer = ask(&world, "127.0.0.2", "eth_call", endless(60_000_000)).await;
    println!("answered after {:?}", begun.elapsed());
    assert!(answer.contains("out of gas"), "what it says, not that it was stopped: {answer}");
}

// the public server has no thread left; the relayer asks the other
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_the_public_asks_does_not_slow_the_private_server() {
    let world = Arc::new(World::halted(|_| ()).await);
    let private = super::super::Settings::private(([127, 0, 0, 1], 0).into());
    let private = super::super::serve(world.state.clone(), private).unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let flood: Vec<_> = (0..8)
        .map(|number| {
            let (world, over) = (world.clone(), over.clone());
            tokio::spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    ask(&world, &format!("127.0.0.{}", 10 + number), "eth_call", endless(60_000_000)).await;
                }
            })
        })
        .collect();
    let context = world.server.context();
    until("the public server is busy", || context.running_now() >= 2).await;
    let begun = Instant::now();
    for _ in 0..20 {
        let mut stream = TcpStream::connect(private.address).await.unwrap();
        stream.write_all(post(&request("peg_getInfo", json!([])), "").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.contains("chainId"), "{answer}");
        assert!(!answer.contains("access-control-allow-origin"), "no page may ask here");
    }
    let took = begun.elapsed();
    over.store(true, Ordering::Relaxed);
    for task in flood {
        task.await.unwrap();
    }
    assert!(took < Duration::from_secs(10), "20 questions took {took:?}");
}
