//! A node's JSON-RPC seen through somebody in between, who counts the questions, and changes the answers as a liar would.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

/// Changes an answer (`{"result": ...}` or `{"error": ...}`) to a method with parameters.
type Change = dyn Fn(&str, &Value, &mut Value) + Send + Sync;

/// Somebody in between.
#[derive(Debug)]
pub struct Relay {
    /// Where to ask.
    pub url: String,
    counts: Arc<Mutex<BTreeMap<String, u64>>>,
}

impl Relay {
    /// Stands before the node at `url` ("http://host:port") until the process ends.
    ///
    /// # Panics
    ///
    /// When the machine has no port.
    #[must_use]
    pub fn before(url: &str, change: impl Fn(&str, &Value, &mut Value) + Send + Sync + 'static) -> Self {
        Self::before_keeping(url, "", change)
    }

    /// The same; what it is asked by the method `kept` it passes on to nobody, and answers null.
    ///
    /// # Panics
    ///
    /// When the machine has no port.
    #[must_use]
    pub fn before_keeping(
        url: &str,
        kept: &'static str,
        change: impl Fn(&str, &Value, &mut Value) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("the machine has free ports");
        let own = format!("http://{}", listener.local_addr().expect("it is bound"));
        let node = url.trim_start_matches("http://").to_owned();
        let counts = Arc::<Mutex<BTreeMap<String, u64>>>::default();
        let (counted, change) = (counts.clone(), Arc::<Change>::from(Box::new(change) as Box<Change>));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (node, counted, change) = (node.clone(), counted.clone(), change.clone());
                // Whoever goes away in the middle of it is not answered.
                std::thread::spawn(move || converse(client, (&node, kept), &counted, &*change));
            }
        });
        Self { url: own, counts }
    }

    /// How often a method was asked with which parameters.
    #[must_use]
    pub fn asked(&self, method: &str) -> BTreeMap<String, u64> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let of_method = counts.iter().filter_map(|(asked, count)| {
            let parameters = asked.strip_prefix(method)?.strip_prefix(' ')?;
            Some((parameters.to_owned(), *count))
        });
        of_method.collect()
    }
}

fn converse(
    client: TcpStream,
    (node, kept): (&str, &str),
    counts: &Mutex<BTreeMap<String, u64>>,
    change: &Change,
) -> Option<()> {
    let (login, body) = message(&mut BufReader::new(client.try_clone().ok()?))?;
    let question: Value = serde_json::from_slice(&body).ok()?;
    let (method, parameters) = (question["method"].as_str().unwrap_or_default(), &question["params"]);
    *counts.lock().unwrap_or_else(PoisonError::into_inner).entry(format!("{method} {parameters}")).or_default() += 1;
    // Questions in a batch have no method of their own.
    let mut answer = if method == kept && !kept.is_empty() {
        serde_json::json!({ "jsonrpc": "2.0", "id": question["id"], "result": null })
    } else {
        ask(node, &login, &body)?
    };
    change(method, parameters, &mut answer);
    let answer = answer.to_string();
    let mut client = client;
    write!(
        client,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{answer}",
        answer.len()
    )
    .ok()
}

/// The line with the login of an HTTP message with a length, if it has one, and its body.
fn message(message: &mut BufReader<TcpStream>) -> Option<(String, Vec<u8>)> {
    let (mut login, mut length) = (String::new(), None);
    loop {
        let mut line = String::new();
        if message.read_line(&mut line).ok()? == 0 || line == "\r\n" {
            break;
        }
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().ok();
        }
        if lower.starts_with("authorization:") {
            login = line;
        }
    }
    let mut body = vec![0; length?];
    message.read_exact(&mut body).ok()?;
    Some((login, body))
}

/// The node's answer.
fn ask(node: &str, login: &str, question: &[u8]) -> Option<Value> {
    let mut server = TcpStream::connect(node).ok()?;
    write!(
        server,
        "POST / HTTP/1.1\r\nHost: {node}\r\nContent-Type: application/json\r\nConnection: close\r\n{login}Content-Length: {}\r\n\r\n",
        question.len()
    )
    .ok()?;
    server.write_all(question).ok()?;
    serde_json::from_slice(&message(&mut BufReader::new(server))?.1).ok()
}
