//! How a relayer is, for its operator's monitoring: `GET /health` and `GET /metrics` on `health_listen`.
//!
//! It tells no secrets, and takes nothing from who asks but a path: each connection is read up to a bound and closed after its answer.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::error::FatalError;
use super::health::{PegState, State, Vitals};

/// Bytes of a request that are read: its first line is enough.
const MOST_BYTES: usize = 2_048;
/// Connections at once; further ones wait in the system's queue.
const MOST_CONNECTIONS: usize = 16;
/// How long one connection may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Listens.
///
/// # Errors
///
/// The address cannot be listened on.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, FatalError> {
    let listener = TcpListener::bind(address).await;
    let listener = listener.map_err(|error| FatalError::Configuration(format!("health_listen {address}: {error}")))?;
    tracing::info!(%address, "telling how this relayer is");
    Ok(listener)
}

/// Answers for as long as it is polled.
pub async fn serve(listener: TcpListener, vitals: Vitals) -> Result<(), FatalError> {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return Ok(()) };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            // As when too many files are open.
            Err(error) => {
                tracing::debug!(%error, "a connection was not taken");
                tokio::time::sleep(PATIENCE).await;
                continue;
            }
        };
        let vitals = vitals.clone();
        tokio::spawn(async move {
            if let Ok(Err(error)) = tokio::time::timeout(PATIENCE, converse(stream, &vitals)).await {
                tracing::debug!(%error, "a connection ended early");
            }
            drop(place);
        });
    }
}

async fn converse(mut stream: TcpStream, vitals: &Vitals) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut part = [0; 512];
    while !request.windows(4).any(|bytes| bytes == b"\r\n\r\n") && request.len() < MOST_BYTES {
        match stream.read(&mut part).await? {
            0 => break,
            read => request.extend_from_slice(&part[..read]),
        }
    }
    let answer = answer(&request, &vitals.now());
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

fn answer(request: &[u8], state: &State) -> String {
    let mut words = request.split(|byte| byte.is_ascii_whitespace());
    let (status, kind, body) = match (words.next(), words.next()) {
        (Some(b"GET"), Some(b"/health")) => {
            let status = if state.troubles.is_empty() { "200 OK" } else { "503 Service Unavailable" };
            (status, "application/json", health(state))
        }
        (Some(b"GET"), Some(b"/metrics")) => ("200 OK", "text/plain; version=0.0.4", metrics(state)),
        (Some(b"GET"), _) => ("404 Not Found", "text/plain", "there are /health and /metrics\n".to_owned()),
        _ => ("405 Method Not Allowed", "text/plain", "only GET\n".to_owned()),
    };
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn health(state: &State) -> String {
    let waited_for: Vec<_> =
        state.waited_for.iter().map(|(member, what)| json!({ "member": member, "what": what })).collect();
    let ok = state.troubles.is_empty();
    let peg = state.peg.as_ref().map(peg);
    json!({ "ok": ok, "troubles": state.troubles, "waitedFor": waited_for, "peg": peg }).to_string() + "\n"
}

fn peg(peg: &PegState) -> serde_json::Value {
    json!({
        "stopped": peg.stopped,
        "pausedUntil": peg.paused_until,
        "alarmed": peg.alarmed,
        "missingSat": peg.missing_sat,
        "reserveSat": peg.reserve_sat,
        "waiting": peg.waiting,
        "oldestUnpaidS": peg.oldest_unpaid_s,
        "lateOutputs": peg.late_outputs,
    })
}

fn metrics(state: &State) -> String {
    let mut text = String::from(
        "# HELP causeway_relayer_troubles What this relayer waits for or does without.\n# TYPE causeway_relayer_troubles gauge\n",
    );
    let _ = writeln!(text, "causeway_relayer_troubles {}", state.troubles.len());
    for who in state.troubles.keys() {
        let _ = writeln!(text, "causeway_relayer_trouble{{with=\"{who}\"}} 1");
    }
    text += "# HELP causeway_relayer_waited_for Members that keep the others waiting.\n# TYPE causeway_relayer_waited_for gauge\n";
    for member in state.waited_for.keys() {
        let _ = writeln!(text, "causeway_relayer_waited_for{{member=\"{member}\"}} 1");
    }
    if let Some(peg) = &state.peg {
        text += &peg_metrics(peg);
    }
    text
}

fn peg_metrics(peg: &PegState) -> String {
    let gauges = [
        ("stopped", "Whether nothing is tied for the first time (pause, alarm, deficit).", i64::from(peg.stopped)),
        ("paused", "Whether a guardian has paused first ties.", i64::from(peg.paused_until.is_some())),
        ("alarmed", "Whether a theft from the vault is shown.", i64::from(peg.alarmed)),
        ("missing_sat", "Lost, unswept and overdrawn.", peg.missing_sat.try_into().unwrap_or(i64::MAX)),
        ("reserve_sat", "The reserve; negative while overdrawn.", peg.reserve_sat),
        ("waiting_withdrawals", "Withdrawals that wait.", peg.waiting.try_into().unwrap_or(i64::MAX)),
        (
            "oldest_unpaid_seconds",
            "How long the oldest of them has waited.",
            peg.oldest_unpaid_s.unwrap_or(0).try_into().unwrap_or(i64::MAX),
        ),
        (
            "late_outputs",
            "Vault outputs older than half of the recovery delay.",
            peg.late_outputs.len().try_into().unwrap_or(i64::MAX),
        ),
    ];
    let mut text = String::new();
    for (name, help, value) in gauges {
        let _ = writeln!(text, "# HELP causeway_peg_{name} {help}\n# TYPE causeway_peg_{name} gauge");
        let _ = writeln!(text, "causeway_peg_{name} {value}");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn health_and_metrics_name_what_is_wrong_and_who_is_waited_for() {
        let well = answer(b"GET /health HTTP/1.1\r\n\r\n", &State::default());
        assert!(well.starts_with("HTTP/1.1 200 OK\r\n") && well.contains(r#""ok":true"#), "{well}");
        let state = State {
            troubles: BTreeMap::from([("bitcoind", "not reachable; waiting for it".to_owned())]),
            waited_for: BTreeMap::from([(3, "its part of the key of epoch 1 is missing".to_owned())]),
            peg: Some(PegState {
                stopped: true,
                oldest_unpaid_s: Some(77),
                late_outputs: vec![4],
                ..PegState::default()
            }),
        };
        let ill = answer(b"GET /health HTTP/1.1\r\n\r\n", &state);
        assert!(
            ill.starts_with("HTTP/1.1 503 ") && ill.contains("not reachable") && ill.contains(r#""member":3"#),
            "{ill}"
        );
        assert!(ill.contains(r#""stopped":true"#) && ill.contains(r#""oldestUnpaidS":77"#), "{ill}");
        let metrics = answer(b"GET /metrics HTTP/1.1\r\n\r\n", &state);
        assert!(metrics.contains("causeway_relayer_trouble{with=\"bitcoind\"} 1\n"), "{metrics}");
        assert!(metrics.contains("causeway_relayer_waited_for{member=\"3\"} 1\n"), "{metrics}");
        for gauge in
            ["causeway_peg_stopped 1\n", "causeway_peg_oldest_unpaid_seconds 77\n", "causeway_peg_late_outputs 1\n"]
        {
            assert!(metrics.contains(gauge), "{metrics}");
        }
    }

    #[test]
    fn whatever_else_is_asked_is_refused() {
        for request in [&b"POST /health HTTP/1.1\r\n\r\n"[..], b"", b"\xff\x00", b"GET"] {
            assert!(answer(request, &State::default()).starts_with("HTTP/1.1 40"), "{request:?}");
        }
    }
}
