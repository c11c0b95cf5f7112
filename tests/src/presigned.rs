//! Transfers that are signed and made into HTTP requests before the clock starts, and sent over sockets that stay open: whoever
//! sends them needs next to no processor, so that what is measured is the node.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    ops::Range,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use alloy_primitives::{Address, B256, U256, hex, keccak256};
use bridge::io::sidechain::{Account, Call, Pending};
use serde_json::{Value, json};

use crate::load::{FEES, SECRETS};

/// Transactions of one account that wait at most, so that no pool is full.
const MOST_WAITING: u64 = 1_500;

/// Requests that are written before their answers are read, and transactions in them.
const PIPELINED: usize = 20;
const PIPELINED_TRANSACTIONS: usize = 200;

/// How often it is asked what is included.
const LOOK: Duration = Duration::from_millis(50);

/// A developer account's transfers, each to an account that is new, by nonce.
pub struct Presigned {
    pub sender: Address,
    transfers: Vec<Pending>,
}

/// The transfers of all developer accounts, `each` of one, from nonce 0. The same for every chain with this id.
#[must_use]
pub fn sign(chain_id: u64, each: u64) -> Vec<Presigned> {
    std::thread::scope(|scope| {
        let signing = SECRETS.map(|secret| scope.spawn(move || Presigned::new(secret, chain_id, each)));
        signing.into_iter().map(|thread| thread.join().expect("signing does not fail")).collect()
    })
}

impl Presigned {
    fn new(secret: &str, chain_id: u64, each: u64) -> Self {
        let secret: [u8; 32] = hex::FromHex::from_hex(secret).expect("hex");
        let account = Account::from_secret(&secret).expect("a known secret");
        let sender = account.address();
        let transfer = |nonce: u64| {
            let receiver = Address::from_word(keccak256([sender.as_slice(), &nonce.to_be_bytes()].concat()));
            account.sign(chain_id, nonce, 21_000, FEES, &Call::transfer(receiver, U256::ONE))
        };
        Self { sender, transfers: (0..each).map(transfer).collect() }
    }

    /// The hash and the whole HTTP request of one transfer.
    #[must_use]
    pub fn single(&self, nonce: u64) -> (B256, Vec<u8>) {
        let transfer = &self.transfers[usize::try_from(nonce).expect("small")];
        (transfer.hash, http(&call(0, transfer)))
    }

    /// The HTTP requests of some nonces, `batch` transactions in each.
    fn requests(&self, nonces: Range<u64>, batch: usize) -> Vec<Vec<u8>> {
        let [start, end] = [nonces.start, nonces.end].map(|nonce| usize::try_from(nonce).expect("small"));
        let bodies = self.transfers[start..end].chunks(batch).map(|chunk| match chunk {
            [one] => call(0, one),
            many => many.iter().enumerate().map(|(id, transfer)| call(id, transfer)).collect(),
        });
        bodies.map(|body: Value| http(&body)).collect()
    }
}

fn call(id: usize, transfer: &Pending) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": "eth_sendRawTransaction", "params": [transfer.raw] })
}

fn http(body: &Value) -> Vec<u8> {
    let body = body.to_string();
    let length = body.len();
    format!(
        "POST / HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// Sends these nonces of all accounts, `batch` in a request, each account to the node whose turn it is; returns how long it took until
/// all of them are in blocks.
///
/// # Panics
///
/// When a transfer is refused.
#[must_use]
pub fn send(accounts: &[Presigned], nodes: &[SocketAddr], nonces: &Range<u64>, batch: usize) -> Duration {
    let requests: Vec<_> = accounts.iter().map(|account| account.requests(nonces.clone(), batch)).collect();
    let included: Vec<_> = accounts.iter().map(|_| AtomicU64::new(nonces.start)).collect();
    let started = Instant::now();
    std::thread::scope(|scope| {
        for (index, (requests, included)) in requests.iter().zip(&included).enumerate() {
            let node = nodes[index % nodes.len()];
            scope.spawn(move || send_all(node, requests, nonces.start, batch as u64, included));
        }
        let mut connection = Connection::open(nodes[0]);
        while included.iter().any(|included| included.load(Ordering::Relaxed) < nonces.end) {
            std::thread::sleep(LOOK);
            for (account, included) in accounts.iter().zip(&included) {
                included.store(connection.nonce(account.sender), Ordering::Relaxed);
            }
        }
    });
    started.elapsed()
}

/// Sends an account's requests in their order, while not too many of its transfers wait.
fn send_all(node: SocketAddr, requests: &[Vec<u8>], first: u64, batch: u64, included: &AtomicU64) {
    let mut connection = Connection::open(node);
    let mut next = first;
    let pipelined = PIPELINED.min(PIPELINED_TRANSACTIONS / usize::try_from(batch).expect("small")).max(1);
    for some in requests.chunks(pipelined) {
        while next >= included.load(Ordering::Relaxed) + MOST_WAITING {
            std::thread::sleep(LOOK / 5);
        }
        connection.write(&some.concat());
        for _ in some {
            let answer = connection.answer();
            assert!(
                !answer.contains("\"error\""),
                "refused: {:.300}",
                answer.split_once("\"error\"").unwrap_or_default().1
            );
        }
        next += some.len() as u64 * batch;
    }
}

/// A connection that stays open.
pub struct Connection {
    stream: TcpStream,
    /// What came behind the last answer.
    read: Vec<u8>,
}

impl Connection {
    /// # Panics
    ///
    /// When nobody listens.
    #[must_use]
    pub fn open(node: SocketAddr) -> Self {
        let stream = TcpStream::connect(node).expect("the node listens");
        stream.set_nodelay(true).expect("a TCP socket");
        Self { stream, read: Vec::new() }
    }

    /// The answer's result.
    ///
    /// # Panics
    ///
    /// When it is an error.
    pub fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.write(&http(&json!({ "jsonrpc": "2.0", "id": 0, "method": method, "params": params })));
        let answer = self.answer();
        let mut answer: Value = serde_json::from_str(&answer).expect("JSON");
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].take()
    }

    /// Writes a whole request.
    ///
    /// # Panics
    ///
    /// When the node closed the connection.
    pub fn write(&mut self, request: &[u8]) {
        self.stream.write_all(request).expect("the node reads");
    }

    fn nonce(&mut self, account: Address) -> u64 {
        let nonce = self.ask("eth_getTransactionCount", &json!([account, "latest"]));
        u64::from_str_radix(nonce.as_str().unwrap_or_default().trim_start_matches("0x"), 16).expect("a number")
    }

    /// The body of the next answer.
    ///
    /// # Panics
    ///
    /// When it is not HTTP with a length.
    pub fn answer(&mut self) -> String {
        let head = loop {
            if let Some(end) = self.read.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            self.more();
        };
        let headers = String::from_utf8_lossy(&self.read[..head]).to_ascii_lowercase();
        let length = headers.lines().find_map(|line| line.strip_prefix("content-length:"));
        let length: usize = length.and_then(|length| length.trim().parse().ok()).expect("an answer says its length");
        while self.read.len() < head + length {
            self.more();
        }
        let body = String::from_utf8_lossy(&self.read[head..head + length]).into_owned();
        self.read.drain(..head + length);
        body
    }

    fn more(&mut self) {
        let mut buffer = [0; 16_384];
        let count = self.stream.read(&mut buffer).expect("the node answers");
        assert!(count > 0, "the node closed the connection");
        self.read.extend_from_slice(&buffer[..count]);
    }
}
