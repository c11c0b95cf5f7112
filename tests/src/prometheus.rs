//! A real Prometheus that watches a network, and `promtool`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::process::Process;
use crate::waiting::Patience;
use crate::{http, port};

const START: Patience = Patience::new(Duration::from_secs(60), Duration::from_millis(100));

/// The folder with `prometheus` and `promtool`.
///
/// # Panics
///
/// When there is none and none can be had.
#[must_use]
pub fn programs() -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/prometheus");
    let said = Command::new(script).stderr(Stdio::inherit()).output().expect("a shell");
    assert!(said.status.success(), "scripts/prometheus finds no prometheus and promtool");
    let said = String::from_utf8(said.stdout).expect("a path");
    PathBuf::from(said.lines().last().expect("a path"))
}

/// Runs `promtool`; what it wrote.
///
/// # Errors
///
/// It complains, in its words.
///
/// # Panics
///
/// It does not start.
pub fn promtool(arguments: &[&str], input: &str) -> Result<String, String> {
    use std::io::Write as _;
    let mut command = Command::new(programs().join("promtool"));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let mut pipe = child.stdin.take().expect("piped");
    let _ = pipe.write_all(input.as_bytes()); // One that fails early does not read.
    drop(pipe);
    let said = child.wait_with_output().expect("our child");
    let text = String::from_utf8_lossy(&said.stdout).into_owned() + &String::from_utf8_lossy(&said.stderr);
    if said.status.success() { Ok(text) } else { Err(text) }
}

/// Rules in which every time that something has to last, or is looked back over, is a sixtieth of it: minutes are seconds.
#[must_use]
pub fn hurried(rules: &str) -> String {
    let mut text = String::new();
    for line in rules.lines() {
        let (head, rest) = match line.split_once("for: ") {
            Some((head, rest)) => (format!("{head}for: "), rest),
            None => (String::new(), line),
        };
        text += &head;
        let mut rest = if head.is_empty() { rest.to_owned() } else { shorter(rest) };
        while let Some((before, after)) = rest.split_once('[') {
            let Some((span, after)) = after.split_once(']') else { break };
            text += &format!("{before}[{}]", shorter(span));
            rest = after.to_owned();
        }
        text += &rest;
        text.push('\n');
    }
    text
}

/// `15m` is `15s`, `1h` is `60s`.
fn shorter(span: &str) -> String {
    let (number, unit) = span.split_at(span.len().saturating_sub(1));
    let number: Option<u64> = number.parse().ok();
    match (number, unit) {
        (Some(number), "m") => format!("{number}s"),
        (Some(number), "h") => format!("{}s", number * 60),
        (Some(number), "d") => format!("{}s", number * 24 * 60),
        _ => span.to_owned(),
    }
}

/// A running Prometheus. Dropping it kills it.
#[derive(Debug)]
pub struct Prometheus {
    process: Process,
    url: String,
}

impl Prometheus {
    /// Starts one that asks every second, with these rules in `rules.yml`, and with this configuration of rules and jobs.
    ///
    /// # Panics
    ///
    /// When it does not start.
    #[must_use]
    pub fn start(folder: &Path, rules: &str, configuration: &str) -> Self {
        std::fs::create_dir_all(folder).expect("writable");
        std::fs::write(folder.join("rules.yml"), rules).expect("writable");
        let config = format!("global:\n  scrape_interval: 1s\n  evaluation_interval: 1s\n{configuration}");
        std::fs::write(folder.join("prometheus.yml"), config).expect("writable");
        let address = format!("127.0.0.1:{}", port::free());
        let log = std::fs::File::create(folder.join("log")).expect("writable");
        let mut command = Command::new(programs().join("prometheus"));
        command
            .arg(format!("--config.file={}", folder.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let mut prometheus = Self { process: Process::start(&mut command), url: format!("http://{address}") };
        let log = || std::fs::read_to_string(folder.join("log")).unwrap_or_default();
        START.until("Prometheus is ready", log, || {
            assert!(prometheus.process.ended().is_none(), "it ended: {}", log());
            std::net::TcpStream::connect(&address).ok()?;
            (http::send(&prometheus.url, "GET", "/-/ready", &[], b"").status == 200).then_some(())
        });
        prometheus
    }

    /// The answer of its API.
    ///
    /// # Panics
    ///
    /// When it does not answer.
    #[must_use]
    pub fn api(&self, target: &str) -> Value {
        let answer = http::send(&self.url, "GET", target, &[], b"");
        let body = if answer.header("transfer-encoding") == "chunked" { joined(&answer.body) } else { answer.body };
        let whole: Result<Value, _> = serde_json::from_str(&body);
        whole.unwrap_or_else(|error| panic!("{target}: {error}: {body}"))["data"].clone()
    }

    /// Names of the alerts that fire now.
    #[must_use]
    pub fn firing(&self) -> Vec<String> {
        let alerts = self.api("/api/v1/alerts")["alerts"].as_array().cloned().unwrap_or_default();
        let firing = alerts.iter().filter(|alert| alert["state"] == "firing");
        firing.filter_map(|alert| alert["labels"]["alertname"].as_str().map(str::to_owned)).collect()
    }
}

/// A body that came in chunks (RFC 9112, section 7.1).
fn joined(mut chunks: &str) -> String {
    let mut body = String::new();
    while let Some((size, rest)) = chunks.split_once("\r\n") {
        let Some((chunk, next)) = usize::from_str_radix(size, 16).ok().and_then(|size| rest.split_at_checked(size))
        else {
            break;
        };
        body += chunk;
        chunks = next.trim_start_matches("\r\n");
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_become_seconds() {
        let rules =
            "        for: 2m\n          increase(a_total[15m]) > 0.5 * increase(b_total[1h])\n      - alert: A\n";
        let want =
            "        for: 2s\n          increase(a_total[15s]) > 0.5 * increase(b_total[60s])\n      - alert: A\n";
        assert_eq!(hurried(rules), want);
    }

    #[test]
    fn chunks_are_joined() {
        assert_eq!(joined("4\r\n{\"a\"\r\n3\r\n:1}\r\n0\r\n\r\n"), "{\"a\":1}");
    }
}
