//! A shop: an HTTP server with a paywall before it (`causeway pay serve`), over a node. Developer account 1 is paid.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::Value;

use crate::binary;
use crate::known::{DEVELOPER_0, DEVELOPER_1};
use crate::lone_node::LoneNode;

/// What is on each page.
pub const TEXT: &str = "Sunny, 21 degrees.";
/// Bytes of the largest page.
const LARGE: usize = 64 << 20;

/// A node on which developer account 0 has so much in wrapped coins, and account 1 can pay for its claims.
///
/// # Panics
///
/// When the coins cannot be wrapped.
#[must_use]
pub fn node_with_wrapped(sat: u64) -> LoneNode {
    let node = LoneNode::start(&[DEVELOPER_0, DEVELOPER_1]);
    let wrapped = node.causeway(&["pay", "wrap", &format!("{sat} sat"), "--dev-account", "0"], "");
    assert_eq!(wrapped.code, Some(0), "{wrapped}");
    node
}

/// The server behind the paywall. Its pages:
///
/// ```text
///   /weather...    what there is to sell
///   /failing       fails as often as it is told to, then is as the others
///   /gone          404, in words of its own
///   /hanging       never answers
///   /breaking      breaks off in the midst of its answer
///   /large         64 MiB
///   /events        twenty server-sent events, one by one
///   /slow-events   the same, ten a second, without end
///   /counted       says that it has seven units
///   /bytes         ten thousand bytes
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

/// Answers the requests of one connection.
fn converse(stream: &TcpStream, state: &State) {
    let _ = stream.set_nodelay(true); // If not, answers come a little later.
    let mut reader = BufReader::new(stream);
    while let Some(head) = head_of_request(&mut reader) {
        let path = state.note(head);
        if let "/events" | "/slow-events" = path.as_str() {
            return give_events(stream, path == "/slow-events");
        }
        let (answer, goes_on) = state.answer(&path);
        if { stream }.write_all(answer.as_bytes()).is_err() || !goes_on {
            return;
        }
    }
}

/// The head of the next request, whose body is passed over.
fn head_of_request(reader: &mut impl BufRead) -> Option<String> {
    let mut head = String::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return None;
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
    reader.read_exact(&mut vec![0; length]).ok()?;
    Some(head)
}

impl State {
    /// Counts a request; its path.
    fn note(&self, head: String) -> String {
        let target = head.split(' ').nth(1).unwrap_or_default();
        let path = target.split('?').next().unwrap_or_default().to_owned();
        *self.asked.lock().expect("whole").entry(path.clone()).or_default() += 1;
        self.heads.lock().expect("whole").push(head);
        path
    }

    /// What a request gets, and whether its connection goes on.
    fn answer(&self, path: &str) -> (String, bool) {
        let failure = || self.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        let good = |fields: &str, body: &str| {
            format!("HTTP/1.1 200 OK\r\n{fields}content-length: {}\r\n\r\n{body}", body.len())
        };
        let failed = "HTTP/1.1 500 Internal Server Error\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        match path {
            "/failing" if failure().is_ok() => (failed.to_owned(), false),
            "/gone" => {
                let body = "it was here yesterday";
                let head = format!(
                    "HTTP/1.1 404 Not Found\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                (head + body, true)
            }
            "/hanging" => {
                std::thread::sleep(Duration::from_secs(600));
                (String::new(), false)
            }
            "/large" => (good("", &"x".repeat(LARGE)), true),
            "/asking" => {
                let head = "HTTP/1.1 402 Payment Required\r\nwww-authenticate: Payment id=\"x\"\r\nwww-authenticate: Basic realm=\"x\"\r\n";
                (format!("{head}cache-control: no-store\r\ncontent-length: 0\r\n\r\n"), true)
            }
            "/breaking" => {
                ("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 1000\r\n\r\nhalf".to_owned(), false)
            }
            "/bytes" => (good("", &"x".repeat(10_000)), true),
            "/counted" => (good("causeway-units: 7\r\n", TEXT), true),
            _ => (good("content-type: text/plain\r\n", TEXT), true),
        }
    }
}

/// Server-sent events; those that never end stop when nobody reads.
fn give_events(mut stream: &TcpStream, without_end: bool) {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    let mut written = stream.write_all(head.as_bytes());
    let mut number = 0;
    while written.is_ok() && (without_end || number < 20) {
        number += 1;
        written = stream.write_all(format!("data: {number}\n\n").as_bytes());
        if without_end {
            std::thread::sleep(Duration::from_millis(100));
        }
    }
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
        Self::start_as(home, rpc, upstream, more, |_| ())
    }

    /// The same, with what its process is given beside.
    ///
    /// # Panics
    ///
    /// When it does not start.
    #[must_use]
    pub fn start_as(home: &Path, rpc: &str, upstream: &str, more: &[&str], give: impl FnOnce(&mut Command)) -> Self {
        let fixed =
            ["--json", "pay", "serve", "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--dev-account", "1"];
        let named = ["--rpc", rpc, "--upstream", upstream];
        let mut command = binary::command(home, [&fixed[..], &named, more].concat());
        give(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()));
        let mut child = command.spawn().expect("the binary starts");
        let mut line = String::new();
        let said = BufReader::new(child.stdout.as_mut().expect("piped")).read_line(&mut line);
        let Ok(serving) = serde_json::from_str::<Value>(&line) else {
            let _ = child.kill();
            let mut why = String::new();
            let _ = child.stderr.take().expect("piped").read_to_string(&mut why);
            panic!("it does not serve ({said:?}): {line}{why}")
        };
        // What it says is read to its end: a pipe that nobody reads would stop it.
        let (mut said, mut told) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
        std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        std::thread::spawn(move || std::io::copy(&mut told, &mut std::io::sink()));
        let at = |name: &str| format!("http://{}", serving[name].as_str().expect("an address"));
        let (url, metrics) = (at("address"), at("metrics") + "/metrics");
        Self { child, url, metrics }
    }

    /// From now on none of its files can grow beyond so many bytes, as on a disk that is full. For one that was started by [`ignoring_full_files`].
    ///
    /// # Panics
    ///
    /// When it ended already.
    pub fn limit_files(&self, bytes: u64) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let limit = Rlimit { current: Some(bytes), maximum: Some(bytes) };
        prlimit(pid, Resource::Fsize, limit).expect("it runs, and is ours");
    }

    /// How it ended, when it did.
    ///
    /// # Panics
    ///
    /// When it is not our child.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("our child")
    }

    /// Sends it `kill -9`, while others still talk to it.
    pub fn kill_now(&self) {
        let _ = Command::new("kill").args(["-9", &self.child.id().to_string()]).status();
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

/// Makes of a command one whose writes beyond its limit for files fail, instead of that they end it.
pub fn ignoring_full_files(command: &mut Command) {
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    *command = shell;
}

impl Drop for Paywall {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}
