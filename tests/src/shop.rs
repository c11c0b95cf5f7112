//! A shop: an HTTP server with a paywall before it (`causeway pay serve`), over a node. Developer account 1 is paid.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

use crate::binary;

/// What is on each page.
pub const TEXT: &str = "Sunny, 21 degrees.";

/// The server behind the paywall. Its pages:
///
/// ```text
///   /weather...    what there is to sell
///   /failing       fails as often as it is told to, then is as the others
///   /hanging       never answers
///   /breaking      breaks off in the midst of its answer
/// ```
pub struct Upstream {
    port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// Requests, by path.
    asked: Mutex<BTreeMap<String, u64>>,
    /// Heads of requests, as they came.
    heads: Mutex<Vec<String>>,
    failures: AtomicU64,
}

impl Upstream {
    /// Starts one, until the process ends.
    ///
    /// # Panics
    ///
    /// When the machine has no port.
    #[must_use]
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let state = Arc::new(State::default());
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = shared.clone();
                std::thread::spawn(move || converse(&stream, &state));
            }
        });
        Self { port, state }
    }

    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// How often a path was asked for.
    ///
    /// # Panics
    ///
    /// When a conversation panicked.
    #[must_use]
    pub fn asked(&self, path: &str) -> u64 {
        self.state.asked.lock().expect("whole").get(path).copied().unwrap_or_default()
    }

    /// Heads of all requests.
    ///
    /// # Panics
    ///
    /// As [`Self::asked`].
    #[must_use]
    pub fn heads(&self) -> Vec<String> {
        self.state.heads.lock().expect("whole").clone()
    }

    /// How often `/failing` fails from now on.
    pub fn fail(&self, times: u64) {
        self.state.failures.store(times, Ordering::SeqCst);
    }
}

/// One request a connection.
fn converse(stream: &TcpStream, state: &State) {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap_or(0);
        }
        if line.trim().is_empty() {
            break;
        }
        head += &line;
    }
    let mut body = vec![0; length];
    let _ = reader.read_exact(&mut body); // Whoever breaks off gets no answer.
    let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let path = target.split('?').next().unwrap_or_default();
    *state.asked.lock().expect("whole").entry(path.to_owned()).or_default() += 1;
    state.heads.lock().expect("whole").push(head);
    let good = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{TEXT}",
        TEXT.len()
    );
    let answer = match path {
        "/failing"
            if state.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() =>
        {
            "HTTP/1.1 500 Internal Server Error\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".to_owned()
        }
        "/hanging" => {
            std::thread::sleep(Duration::from_secs(600));
            return;
        }
        "/breaking" => "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 1000\r\n\r\nhalf".to_owned(),
        _ => good,
    };
    let _ = { stream }.write_all(answer.as_bytes());
}

/// `causeway pay serve`, running. Ends when dropped.
pub struct Paywall {
    child: Child,
    /// Where clients connect.
    pub url: String,
    pub metrics: String,
}

impl Paywall {
    /// Starts one before `upstream`, over the node at `rpc`.
    ///
    /// # Panics
    ///
    /// When it does not start.
    #[must_use]
    pub fn start(home: &Path, rpc: &str, upstream: &str, more: &[&str]) -> Self {
        let fixed =
            ["--json", "pay", "serve", "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--dev-account", "1"];
        let named = ["--rpc", rpc, "--upstream", upstream];
        let mut child = binary::spawn(home, [&fixed[..], &named, more].concat());
        let mut line = String::new();
        let said = BufReader::new(child.stdout.as_mut().expect("piped")).read_line(&mut line);
        let Ok(serving) = serde_json::from_str::<Value>(&line) else {
            let _ = child.kill();
            let mut why = String::new();
            let _ = child.stderr.take().expect("piped").read_to_string(&mut why);
            panic!("it does not serve ({said:?}): {line}{why}")
        };
        let at = |name: &str| format!("http://{}", serving[name].as_str().expect("an address"));
        let (url, metrics) = (at("address"), at("metrics") + "/metrics");
        Self { child, url, metrics }
    }

    /// Ends it as `kill -9` does.
    ///
    /// # Panics
    ///
    /// When it ended already.
    pub fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("our child");
    }
}

impl Drop for Paywall {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}
