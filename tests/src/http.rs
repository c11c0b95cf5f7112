//! Requests of HTTP as they are on the wire: what a client would not send is sent, too.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use paywall::mpp::Challenge;
use paywall::session::receipt::SessionReceipt;
use paywall::wallet;
use serde_json::Value;

/// An answer, or as much of it as came.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    /// A header's value; empty if there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    /// Its body as JSON.
    ///
    /// # Panics
    ///
    /// When it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// The receipt of a session.
    ///
    /// # Panics
    ///
    /// There is none.
    #[must_use]
    pub fn receipt(&self) -> SessionReceipt {
        SessionReceipt::decode(self.header("payment-receipt")).unwrap_or_else(|| panic!("{self:?}"))
    }

    /// Status and code of a problem.
    ///
    /// # Panics
    ///
    /// It is none.
    #[must_use]
    pub fn problem(&self) -> (u16, String) {
        let problem: Value = serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{self:?}"));
        (self.status, problem["code"].as_str().unwrap_or_else(|| panic!("{problem}")).to_owned())
    }

    /// A number that a problem says.
    ///
    /// # Panics
    ///
    /// It says none.
    #[must_use]
    pub fn says(&self, member: &str) -> u128 {
        let problem: Value = serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{self:?}"));
        problem[member].as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{member}: {problem}"))
    }

    /// The challenge of a session.
    ///
    /// # Panics
    ///
    /// There is none.
    #[must_use]
    pub fn challenge(&self) -> Challenge {
        let fields = self.headers.iter().filter(|(name, _)| name == "www-authenticate");
        let mut challenges = fields.flat_map(|(_, value)| wallet::challenges(value));
        challenges.find(|challenge| challenge.intent == "session").unwrap_or_else(|| panic!("{self:?}"))
    }
}

/// # Panics
///
/// As [`send`].
#[must_use]
pub fn post(url: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    send(url, "POST", target, headers, body)
}

/// One request on a connection of its own.
///
/// # Panics
///
/// When nobody listens at the URL.
#[must_use]
pub fn send(url: &str, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut stream = begin(url, method, target, headers, body);
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes); // What broke off is seen by what is missing.
    read(&bytes)
}

/// A request whose answer is read by whoever asked.
///
/// # Panics
///
/// Nobody listens.
#[must_use]
pub fn begin(url: &str, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> TcpStream {
    let host = url.strip_prefix("http://").expect("a URL");
    let fields: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!(
        "{method} {target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {}\r\n{fields}\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(host).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(90))).expect("a time");
    let _ = stream.write_all(&[head.as_bytes(), body].concat()); // Who has enough of a request answers before its end.
    stream
}

/// What was read of an answer.
#[must_use]
pub fn read(bytes: &[u8]) -> Answer {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok());
    let field = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    Answer { status: status.unwrap_or(0), headers: lines.filter_map(field).collect(), body: body.to_owned() }
}
