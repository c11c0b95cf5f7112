//! Attacks on the JSON-RPC of a real node: those who did nothing are served all the while, and its memory keeps a bound.
//!
//! More of them, against a server in the test's own process, whose limits can be made small: `sidechain/src/io/rpc/tests/many_clients.rs`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::{Value, json};
use tests::validators::Validators;
use tests::{port, proc};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

/// Whoever did nothing, and asks now and then.
const BYSTANDER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

/// Longer than a cheap question takes while others attack.
const SOON: Duration = Duration::from_secs(5);

/// One of the two validators of a network, with the limits that a node has by itself.
struct World {
    network: Validators,
    address: SocketAddr,
}

impl World {
    fn start(configuration: &str) -> Self {
        let mut network = Validators::new(2);
        network.configure(0, configuration);
        (0..2).for_each(|index| network.start(index));
        network.wait("it makes blocks", |network| network.head(0) >= 2);
        let address = network.url(0).trim_start_matches("http://").parse().expect("an address");
        Self { network, address }
    }

    fn memory(&self) -> u64 {
        proc::memory(self.network.process(0))
    }

    /// Attacks while a bystander asks; by how many bytes memory grew at most. The bystander has every answer soon.
    fn attack(&self, attack: impl Future<Output = ()>) -> u64 {
        let before = self.memory();
        let (over, most) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(before)));
        let (process, address) = (self.network.process(0), self.address);
        let measured = {
            let (over, most) = (over.clone(), most.clone());
            std::thread::spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    most.fetch_max(proc::memory(process), Ordering::Relaxed);
                    std::thread::sleep(Duration::from_millis(5));
                }
            })
        };
        let head = self.network.head(0);
        let slowest = self.network.run(async {
            let bystander = tokio::spawn(stand_by(address, over.clone()));
            attack.await;
            // Somebody new is served as well.
            let begun = Instant::now();
            let answer = ask(address, Ipv4Addr::new(127, 0, 0, 4), "eth_blockNumber", json!([])).await;
            assert!(answer.contains("result") && begun.elapsed() < SOON, "{:?}: {answer}", begun.elapsed());
            over.store(true, Ordering::Relaxed);
            bystander.await.expect("the bystander is served")
        });
        measured.join().expect("it only measures");
        self.network.wait("blocks go on", |network| network.head(0) > head);
        let grown = most.load(Ordering::Relaxed) - before;
        println!(
            "memory {} MB, at most {} MB more; the bystander waited {slowest:?} at most",
            before / 1_000_000,
            grown / 1_000_000
        );
        grown
    }
}

/// Asks until it is over, over one connection while it lasts; the longest that an answer took.
async fn stand_by(address: SocketAddr, over: Arc<AtomicBool>) -> Duration {
    let (mut slowest, mut line, mut again) = (Duration::ZERO, None, 0);
    let text = post(&request("eth_blockNumber", json!([])), "");
    while !over.load(Ordering::Relaxed) {
        let begun = Instant::now();
        loop {
            let mut stream = match line.take() {
                Some(stream) => stream,
                None => connect(address, BYSTANDER).await,
            };
            if let Ok(answer) = converse(&mut stream, &text).await {
                assert!(answer.contains("result"), "{answer}");
                line = Some(stream);
                break;
            }
            // A connection that idled may be closed: every client opens another.
            again += 1;
            assert!(begun.elapsed() < SOON, "no answer, for the {again}th time");
        }
        slowest = slowest.max(begun.elapsed());
        assert!(slowest < SOON, "an answer took {slowest:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    slowest
}

async fn connect(address: SocketAddr, from: Ipv4Addr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(SocketAddr::new(IpAddr::V4(from), 0)).expect("all of 127.0.0.0/8 is this machine");
    socket.connect(address).await.expect("it listens")
}

fn request(method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params })
}

fn post(body: &Value, headers: &str) -> String {
    raw_post(&body.to_string(), headers)
}

fn raw_post(body: &str, headers: &str) -> String {
    let length = body.len();
    format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    )
}

/// One answer with a length, on a connection that stays open.
async fn converse(stream: &mut TcpStream, text: &str) -> std::io::Result<String> {
    stream.write_all(text.as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok(head + &String::from_utf8_lossy(&body))
}

/// All that the server says to these bytes until it closes; or until it says nothing for a while.
async fn exchange(address: SocketAddr, from: Ipv4Addr, bytes: &[u8]) -> String {
    let mut stream = connect(address, from).await;
    // A server that refuses may close before it has read all.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let mut chunk = [0; 64 << 10];
    while let Ok(Ok(count @ 1..)) = tokio::time::timeout(Duration::from_secs(2), stream.read(&mut chunk)).await {
        answer.extend_from_slice(&chunk[..count]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

async fn ask(address: SocketAddr, from: Ipv4Addr, method: &str, params: Value) -> String {
    exchange(address, from, post(&request(method, params), "Connection: close\r\n").as_bytes()).await
}

/// Raises the number of files that this process may have open; how many it may.
fn raise_open_files() -> u64 {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

// one half of them from one address, the other from one each; nobody asks anything
#[test]
fn ten_thousand_idle_connections_leave_others_their_answers_and_the_node_its_memory() {
    let count = raise_open_files().saturating_sub(500).min(10_000) as usize;
    let world = World::start("");
    let address = world.address;
    let stranger = Ipv4Addr::new(127, 0, 1, 1);
    let grown = world.attack(async {
        let (mut of_one, mut of_many) = (Vec::new(), Vec::new());
        for number in 0..count / 2 {
            let [.., high, low] = (number as u32).to_be_bytes();
            of_one.push(connect(address, stranger).await);
            of_many.push(connect(address, Ipv4Addr::new(127, 2, high, low)).await);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        let open = |held: &[TcpStream]| held.iter().filter(|stream| is_open(stream)).count();
        let refused = of_one.iter().filter(|stream| is_refused(stream)).count();
        let files = proc::open_files(world.network.process(0));
        println!(
            "of {count}: {} of one address are open, {refused} refused; {} of the others' are open; {files} files",
            open(&of_one),
            open(&of_many)
        );
        assert!(open(&of_one) <= 64 && refused >= count / 4, "one address has its share");
        assert!(open(&of_many) <= 512, "all have theirs");
        assert!(files < 1_000, "{files} files");
        for newcomer in 10..20 {
            let begun = Instant::now();
            let answer = ask(address, Ipv4Addr::new(127, 3, 0, newcomer), "eth_blockNumber", json!([])).await;
            assert!(answer.contains("result") && begun.elapsed() < SOON, "{:?}: {answer}", begun.elapsed());
        }
    });
    assert!(grown < 80_000_000, "{grown}");
}

/// Neither closed nor answered.
fn is_open(stream: &TcpStream) -> bool {
    stream.try_read(&mut [0; 1]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
}

fn is_closed(stream: &TcpStream) -> bool {
    matches!(stream.try_read(&mut [0; 1]), Ok(0))
}

fn is_refused(stream: &TcpStream) -> bool {
    let mut answer = [0; 1_024];
    let read = stream.try_read(&mut answer).unwrap_or(0);
    String::from_utf8_lossy(&answer[..read]).starts_with("HTTP/1.1 429")
}

// forty bytes each, answered by some hundred thousand
#[test]
fn batches_whose_answers_are_much_larger_than_they_are_keep_the_bound_of_answers_while_they_are_made() {
    let world = World::start("");
    let address = world.address;
    let batch = post(&Value::Array(vec![request("rpc.discover", json!([])); 1_000]), "Connection: close\r\n");
    let grown = world.attack(async {
        let mut attackers = JoinSet::new();
        for number in 0..=255 {
            let batch = batch.clone();
            attackers.spawn(async move {
                let mut stream = connect(address, Ipv4Addr::new(127, 0, 1, number % 4 + 1)).await;
                let _ = stream.write_all(batch.as_bytes()).await;
                let mut answer = Vec::new();
                // Cut off, it counts as far as it came.
                let _ = stream.read_to_end(&mut answer).await;
                answer.len()
            });
        }
        let answered: Vec<usize> = attackers.join_all().await;
        println!(
            "{} MB were answered to {} MB",
            answered.iter().sum::<usize>() / 1_000_000,
            256 * batch.len() / 1_000_000
        );
    });
    // 256 MiB by the bound of all clients, and what is put together at the moment.
    assert!(grown < 600_000_000, "{grown}");
}

/// A WebSocket, right after the answer to its upgrade.
async fn websocket(address: SocketAddr, from: Ipv4Addr) -> TcpStream {
    let mut stream = connect(address, from).await;
    let upgrade = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    let answer = converse(&mut stream, upgrade).await.expect("it is upgraded");
    assert!(answer.starts_with("http/1.1 101"), "{answer}");
    stream
}

/// A text message of a client (RFC 6455, section 5), masked with zeros, which says that it has `length` bytes.
fn message(length: usize, text: &str) -> Vec<u8> {
    [&[0x81, 0x80 | 127][..], &(length as u64).to_be_bytes(), &[0; 4], text.as_bytes()].concat()
}

// each says that 1.25 MiB come, and sends ten bytes of them
#[test]
fn websockets_that_promise_large_messages_cost_what_they_send() {
    let world = World::start("");
    let address = world.address;
    let grown = world.attack(async {
        let mut held = Vec::new();
        for number in 0..128 {
            let mut stream = websocket(address, Ipv4Addr::new(127, 0, 1, number % 4 + 1)).await;
            stream.write_all(&message(1_280 << 10, "0123456789")).await.expect("taken");
            held.push(stream);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!held.iter().any(is_closed), "they have some time");
    });
    assert!(grown < 40_000_000, "{grown}");
}

// 32 sockets of one address, each with eight subscriptions and a hundred questions with long answers
#[test]
fn websockets_that_read_nothing_hold_what_one_client_may() {
    let world = World::start("");
    let address = world.address;
    let grown = world.attack(async {
        let mut held = Vec::new();
        for _ in 0..32 {
            let mut stream = websocket(address, Ipv4Addr::new(127, 0, 1, 1)).await;
            for _ in 0..8 {
                let subscribe = request("eth_subscribe", json!(["newHeads"])).to_string();
                stream.write_all(&message(subscribe.len(), &subscribe)).await.expect("taken");
            }
            held.push(tokio::spawn(async move {
                let question = request("rpc.discover", json!([])).to_string();
                let question = message(question.len(), &question);
                for _ in 0..100 {
                    // Nothing is read from it any more when it has 16 questions that wait.
                    let sent = stream.write_all(&question);
                    if tokio::time::timeout(Duration::from_secs(1), sent).await.is_err() {
                        break;
                    }
                }
                tokio::time::sleep(Duration::from_secs(6)).await;
            }));
        }
        for each in held {
            each.await.expect("it holds its connection");
        }
    });
    assert!(grown < 250_000_000, "{grown}");
}

// code that loops, and every step of it recorded with the memory
#[test]
fn traces_keep_their_bounds_however_many_are_asked_for() {
    let world = World::start("");
    let address = world.address;
    // JUMPDEST, MSIZE, PUSH0, MSTORE8 at a place beyond what there is, PUSH0, JUMP.
    let call = json!([{ "input": "0x5b5f5960400153" .to_owned() + "5f56", "gas": "0x3938700" }, "latest", { "enableMemory": true, "enableReturnData": true }]);
    let grown = world.attack(async {
        let mut attackers = JoinSet::new();
        for number in 0..64 {
            let text = post(&request("debug_traceCall", call.clone()), "");
            attackers.spawn(async move {
                let mut stream = connect(address, Ipv4Addr::new(127, 0, 1, number % 4 + 1)).await;
                converse(&mut stream, &text).await.expect("an answer")
            });
        }
        for answer in attackers.join_all().await {
            assert!(answer.contains("-32005"), "{answer:.500}");
        }
    });
    assert!(grown < 600_000_000, "{grown}");
}

/// What is sent as a body; the code that answers it, or a result for 0.
fn bodies() -> Vec<(&'static str, Vec<u8>, i32)> {
    let deep = |open: &str, close: &str, times: usize| open.repeat(times) + "1" + &close.repeat(times);
    let with = |params: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"eth_getBalance","params":{params}}}"#);
    let trace = |config: String| {
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"debug_traceCall","params":[{{}},"latest",{config}]}}"#)
    };
    let text = |text: String| text.into_bytes();
    let mut not_utf8 = text(with(r#"["0x","latest"]"#));
    not_utf8[45] = 0xff;
    vec![
        ("nothing", Vec::new(), -32700),
        ("a NUL", vec![0], -32700),
        ("NULs", vec![0; 1_000_000], -32700),
        ("bytes that are not UTF-8", not_utf8, -32700),
        ("a number", text("1".into()), -32600),
        ("a string that does not end", text("\"".into()), -32700),
        ("half an object", text(r#"{"jsonrpc":"2.0","id":1"#.into()), -32700),
        ("an object with nothing", text("{}".into()), -32600),
        ("an empty batch", text("[]".into()), -32600),
        ("objects half a million deep", text(deep("{\"a\":", "}", 500_000)), -32600),
        ("lists two million deep", text(deep("[", "]", 2_000_000)), -32600),
        ("lists that do not end", text("[".repeat(4 << 20)), -32700),
        ("deep parameters", text(with(&deep("[", "]", 1_000_000))), -32602),
        ("deep parameters within", text(with(&format!("[{}]", deep("[", "]", 1_000_000)))), -32602),
        ("a deep tracer", text(trace(deep("{\"tracerConfig\":", "}", 100_000))), -32602),
        ("a deep override", text(trace(format!("{{\"stateOverrides\":{}}}", deep("[", "]", 100_000)))), -32602),
        ("parameters by name", text(with(r#"{"address":"0x"}"#)), -32602),
        ("a thousand parameters", text(with(&format!("[{}0]", "0,".repeat(1_000)))), -32602),
        ("a number beyond all", text(with("[1e999999999,1e-999999999]")), -32602),
        ("a number of a million digits", text(with(&format!("[{}]", "9".repeat(1_000_000)))), -32602),
        ("an address of a million digits", text(with(&format!("[\"0x{}\"]", "9".repeat(1_000_000)))), -32602),
        (
            "a block of many digits",
            text(with(&format!("[\"0x{}\",\"0x{}\"]", "1".repeat(40), "9".repeat(200)))),
            -32602,
        ),
        ("an id beyond all numbers", text(r#"{"jsonrpc":"2.0","id":1e999,"method":"eth_chainId"}"#.into()), -32600),
        ("an id that is a list", text(r#"{"jsonrpc":"2.0","id":[1],"method":"eth_chainId"}"#.into()), -32600),
        ("two ids", text(r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"eth_chainId"}"#.into()), -32600),
        (
            "two methods",
            text(r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId","method":"eth_chainId"}"#.into()),
            -32600,
        ),
        ("another version", text(r#"{"jsonrpc":"1.0","id":1,"method":"eth_chainId"}"#.into()), -32600),
        ("a NUL in a name", text(r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId\u0000"}"#.into()), -32601),
        ("half a surrogate", text(r#"{"jsonrpc":"2.0","id":1,"method":"\ud800"}"#.into()), -32600),
        ("what nobody knows", text(r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId","more":[[[{}]]]}"#.into()), 0),
        (
            "a key that is there twice",
            text(with(&format!("[{{\"address\":\"{0}\",\"address\":\"{0}\"}}]", "0x"))),
            -32602,
        ),
    ]
}

#[test]
fn whatever_is_in_a_body_is_answered_by_the_code_that_says_what_is_wrong() {
    let world = World::start("");
    let address = world.address;
    let mut wrong = Vec::new();
    let grown = world.attack(async {
        for (number, (name, body, code)) in (1..).zip(bodies()) {
            let head = format!(
                "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            // Each from an address of its own: large ones are work, too.
            let from = Ipv4Addr::new(127, 0, 2, number);
            let answer = exchange(address, from, &[head.as_bytes(), &body].concat()).await;
            let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
            let said: Value = serde_json::from_str(body).unwrap_or_default();
            let said = said.get(0).unwrap_or(&said);
            let got = said["error"]["code"].as_i64().unwrap_or_else(|| i64::from(said["result"].is_null()));
            wrong.extend((got != i64::from(code)).then(|| format!("{name}: {code} is wanted: {answer:.300}")));
            assert!(answer.len() < 2_000, "{name}: an error is short: {}", answer.len());
        }
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(grown < 200_000_000, "{grown}");
}

/// What is sent as HTTP; the statuses of what is answered, in order.
fn oddities() -> Vec<(&'static str, Vec<u8>, &'static [u16])> {
    let question = request("eth_chainId", json!([])).to_string();
    let (length, head) = (question.len(), "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n");
    let chunked = format!("{length:x}\r\n{question}\r\n0\r\n\r\n");
    let good = format!("{head}Content-Length: {length}\r\n\r\n{question}");
    let blanks = format!("400\r\n{}\r\n", " ".repeat(1_024));
    let hidden = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let text = |text: String| text.into_bytes();
    vec![
        ("chunks", text(format!("{head}Transfer-Encoding: chunked\r\n\r\n{chunked}")), &[200]),
        (
            "a length and chunks",
            text(format!("{head}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}{hidden}")),
            &[200],
        ),
        (
            "chunks and a length",
            text(format!("{head}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n{chunked}{hidden}")),
            &[200],
        ),
        (
            "chunks that are not the last coding",
            text(format!("{head}Transfer-Encoding: chunked, gzip\r\n\r\n{chunked}")),
            &[400],
        ),
        ("a coding that nobody knows", text(format!("{head}Transfer-Encoding: xchunked\r\n\r\n{chunked}")), &[400]),
        ("a space before the colon", text(format!("{head}Transfer-Encoding : chunked\r\n\r\n{chunked}")), &[400]),
        ("two lengths", text(format!("{head}Content-Length: 0\r\nContent-Length: {length}\r\n\r\n{question}")), &[400]),
        ("two lengths in one", text(format!("{head}Content-Length: 0, {length}\r\n\r\n{question}")), &[400]),
        ("a length with a sign", text(format!("{head}Content-Length: +{length}\r\n\r\n{question}")), &[400]),
        ("a negative length", text(format!("{head}Content-Length: -1\r\n\r\n{question}")), &[400]),
        ("a length beyond all", text(format!("{head}Content-Length: 99999999999999999999\r\n\r\n")), &[400]),
        ("a length that is too large", text(format!("{head}Content-Length: 99999999999\r\n\r\n")), &[413]),
        ("a chunk beyond all", text(format!("{head}Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n")), &[400]),
        (
            "chunks without end",
            text(format!("{head}Transfer-Encoding: chunked\r\n\r\n{}", blanks.repeat(5_000))),
            &[413],
        ),
        (
            "a chunk's extension without end",
            text(format!("{head}Transfer-Encoding: chunked\r\n\r\n1;{}", "x".repeat(1 << 20))),
            &[400],
        ),
        (
            "HTTP/1.0",
            text(format!(
                "POST / HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{question}"
            )),
            &[200],
        ),
        (
            "HTTP/1.0 in chunks",
            text(format!(
                "POST / HTTP/1.0\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}"
            )),
            &[400],
        ),
        ("HTTP/2", text("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into()), &[]),
        ("three at once", text(good.repeat(3)), &[200, 200, 200]),
        (
            "a wait for permission",
            text(format!("{head}Expect: 100-continue\r\nContent-Length: {length}\r\n\r\n{question}")),
            &[100, 200],
        ),
        (
            "a wait for permission of too much",
            text(format!("{head}Expect: 100-continue\r\nContent-Length: 99999999\r\n\r\n")),
            &[413],
        ),
        ("a thousand headers", text(format!("{head}{}\r\n", "a: b\r\n".repeat(1_000))), &[431]),
        ("a header of a mebibyte", text(format!("{head}a: {}\r\n\r\n", "b".repeat(1 << 20))), &[431]),
        (
            "a path of a mebibyte",
            text(format!("POST /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "b".repeat(1 << 20))),
            &[431],
        ),
        (
            "a header in two lines",
            text(format!("{head}a: b\r\n c\r\nContent-Length: {length}\r\n\r\n{question}")),
            &[400],
        ),
        ("a NUL in a header", text(format!("{head}a: b\0c\r\nContent-Length: {length}\r\n\r\n{question}")), &[400]),
        ("no text at all", (0..=255).collect(), &[400]),
        ("TLS", vec![0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3], &[400]),
        ("another method", text("TRACE / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".into()), &[405]),
        (
            "a way to somewhere else",
            text("CONNECT 192.0.2.1:25 HTTP/1.1\r\nHost: 192.0.2.1\r\nConnection: close\r\n\r\n".into()),
            &[405],
        ),
        (
            "a form of a page",
            text(format!(
                "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{question}"
            )),
            &[415],
        ),
        (
            "another upgrade",
            text(format!(
                "{head}Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nContent-Length: {length}\r\n\r\n{question}"
            )),
            &[200],
        ),
    ]
}

fn statuses(answer: &str) -> Vec<u16> {
    answer.split("HTTP/1.").skip(1).filter_map(|part| part.get(2..5)?.parse().ok()).collect()
}

#[test]
fn whatever_is_sent_as_http_is_one_request_or_refused_and_hides_no_other() {
    let world = World::start("");
    let address = world.address;
    let mut wrong = Vec::new();
    let grown = world.attack(async {
        for (name, bytes, wanted) in oddities() {
            let answer = exchange(address, Ipv4Addr::new(127, 0, 2, 1), &bytes).await;
            wrong.extend((statuses(&answer) != wanted).then(|| format!("{name}: {wanted:?} is wanted: {answer:.300}")));
        }
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(grown < 100_000_000, "{grown}");
}

#[test]
fn methods_of_the_operator_are_answered_at_the_private_port_only_and_other_names_are_not_answered() {
    let private: SocketAddr = ([127, 0, 0, 1], port::free()).into();
    let world = World::start(&format!(
        "rpc_private_listen = \"{private}\"\nrpc_private_methods = [\"debug\", \"txpool_content\"]\nrpc_hosts = [\"node.example\"]\n"
    ));
    let public = world.address;
    world.network.run(async {
        let trace = json!([{ "input": "0x00" }, "latest", {}]);
        for (method, params) in [("debug_traceCall", trace), ("txpool_content", json!([]))] {
            let refused = ask(public, BYSTANDER, method, params.clone()).await;
            assert!(refused.contains("-32601") && refused.contains("rpc_private_methods"), "{refused}");
            let answered = ask(private, BYSTANDER, method, params).await;
            assert!(answered.contains("result"), "{answered}");
        }
        assert!(ask(public, BYSTANDER, "txpool_status", json!([])).await.contains("result"), "the rest stays");
        for (method, word) in [("rpc_modules", "\"debug\""), ("rpc.discover", "debug_traceCall")] {
            assert!(!ask(public, BYSTANDER, method, json!([])).await.contains(word), "{method}");
            assert!(ask(private, BYSTANDER, method, json!([])).await.contains(word), "{method}");
        }
        for (host, status) in
            [("node.example", 200), ("127.0.0.1:8545", 200), ("localhost", 200), ("evil.example", 403)]
        {
            for text in [
                format!("GET /health HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"),
                post(&request("eth_chainId", json!([])), "Connection: close\r\n").replace("localhost", host),
            ] {
                let answer = exchange(public, BYSTANDER, text.as_bytes()).await;
                let got = statuses(&answer);
                assert!(got == [status] || (status == 200 && got == [503]), "{host}: {answer}");
            }
        }
    });
}
