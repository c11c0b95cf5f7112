//! `GET /metrics`, `/livez`, `/readyz`, and what else a service tells by HTTP to its operator's monitoring.
//!
//! It tells no secrets, and takes nothing from who asks but a path: each connection is read up to a bound, and closed after its answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::exposition::CONTENT_TYPE;
use crate::verdict::{Reason, line};

/// Bytes of a request that are read: its first line is enough.
const MOST_BYTES: usize = 2_048;
/// Connections at once; further ones wait in the system's queue.
const MOST_CONNECTIONS: usize = 16;
/// How long one connection may take.
const PATIENCE: Duration = Duration::from_secs(5);

const JSON: &str = "application/json";
const OK: &str = "200 OK";
const UNAVAILABLE: &str = "503 Service Unavailable";

/// A service that tells how it is. Each answer may block for as long as a read of its state takes.
pub trait Service: Send + Sync + 'static {
    /// Its metrics, as [`crate::exposition::Page`] writes them.
    fn metrics(&self) -> String;
    /// Why it has to be started again; nothing for as long as waiting may help.
    fn stuck(&self) -> Vec<Reason>;
    /// Why it cannot do its work now. Never that there is no work.
    fn unready(&self) -> Vec<Reason>;
    /// What it tells at another path: whether it is well, and a line of JSON.
    fn other(&self, _path: &str) -> Option<(bool, String)> {
        None
    }
}

/// Listens.
///
/// # Errors
///
/// The address cannot be listened on.
pub async fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    tracing::info!(%address, "metrics at /metrics, /livez and /readyz tell how this is");
    if !address.ip().is_loopback() {
        tracing::warn!(%address, "metrics are for this operator's monitoring: let nobody else reach them");
    }
    Ok(listener)
}

/// Listens and answers on a thread of its own, until the process ends: what else goes on does not keep it from answering.
///
/// # Errors
///
/// The address cannot be listened on, or the system gives no thread.
pub fn spawn(address: SocketAddr, service: Arc<dyn Service>) -> std::io::Result<SocketAddr> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listener = runtime.block_on(listen(address))?;
    let address = listener.local_addr()?;
    std::thread::Builder::new().name("metrics".to_owned()).spawn(move || runtime.block_on(serve(listener, service)))?;
    Ok(address)
}

/// Answers for as long as it is polled.
pub async fn serve(listener: TcpListener, service: Arc<dyn Service>) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            // As when too many files are open.
            Err(error) => {
                tracing::debug!(%error, "a connection was not taken");
                tokio::time::sleep(PATIENCE).await;
                continue;
            }
        };
        let service = Arc::clone(&service);
        tokio::spawn(async move {
            if let Ok(Err(error)) = tokio::time::timeout(PATIENCE, converse(stream, service)).await {
                tracing::debug!(%error, "a connection ended early");
            }
            drop(place);
        });
    }
}

async fn converse(mut stream: TcpStream, service: Arc<dyn Service>) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut part = [0; 512];
    while !request.windows(4).any(|bytes| bytes == b"\r\n\r\n") && request.len() < MOST_BYTES {
        match stream.read(&mut part).await? {
            0 => break,
            read => request.extend_from_slice(&part[..read]),
        }
    }
    let answer = tokio::task::spawn_blocking(move || answer(&request, &*service)).await;
    stream.write_all(answer.map_err(std::io::Error::other)?.as_bytes()).await?;
    stream.shutdown().await
}

/// The whole answer to a request's bytes.
#[must_use]
pub fn answer(request: &[u8], service: &dyn Service) -> String {
    let mut words = request.split(|byte| byte.is_ascii_whitespace());
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = std::str::from_utf8(target).ok().map(|target| target.split('?').next().unwrap_or_default());
    let (status, kind, body) = match (method, path) {
        (b"GET" | b"HEAD", Some("/metrics")) => (OK, CONTENT_TYPE, service.metrics()),
        (b"GET" | b"HEAD", Some("/livez")) => verdict("alive", &service.stuck()),
        (b"GET" | b"HEAD", Some("/readyz")) => verdict("ready", &service.unready()),
        (b"GET" | b"HEAD", Some(path)) if path.starts_with('/') => match service.other(path) {
            Some((well, body)) => (if well { OK } else { UNAVAILABLE }, JSON, body),
            None => ("404 Not Found", "text/plain", "there are /metrics, /livez and /readyz\n".to_owned()),
        },
        (b"GET" | b"HEAD", _) => ("400 Bad Request", "text/plain", "no path\n".to_owned()),
        _ => ("405 Method Not Allowed", "text/plain", "only GET\n".to_owned()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n",
        body.len()
    );
    if method == b"HEAD" { head } else { head + &body }
}

fn verdict(word: &str, reasons: &[Reason]) -> (&'static str, &'static str, String) {
    (if reasons.is_empty() { OK } else { UNAVAILABLE }, JSON, line(word, reasons))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Ill;

    impl Service for Ill {
        fn metrics(&self) -> String {
            "a 1\n".to_owned()
        }

        fn stuck(&self) -> Vec<Reason> {
            Vec::new()
        }

        fn unready(&self) -> Vec<Reason> {
            vec![Reason::new("bitcoind", "connection refused")]
        }

        fn other(&self, path: &str) -> Option<(bool, String)> {
            (path == "/health").then(|| (false, "{}\n".to_owned()))
        }
    }

    #[test]
    fn each_path_has_its_answer() {
        let ask = |path: &str| answer(format!("GET {path} HTTP/1.1\r\n\r\n").as_bytes(), &Ill);
        assert!(ask("/metrics").starts_with("HTTP/1.1 200 OK\r\n") && ask("/metrics").ends_with("\r\n\r\na 1\n"));
        assert!(ask("/livez").starts_with("HTTP/1.1 200 ") && ask("/livez?verbose").contains("alive"));
        assert!(ask("/readyz").starts_with("HTTP/1.1 503 ") && ask("/readyz").contains("connection refused"));
        assert!(ask("/health").starts_with("HTTP/1.1 503 "));
        assert!(ask("/").starts_with("HTTP/1.1 404 "));
        let head = answer(b"HEAD /metrics HTTP/1.1\r\n\r\n", &Ill);
        assert!(head.contains("Content-Length: 4") && head.ends_with("\r\n\r\n"));
    }

    #[test]
    fn whatever_else_is_asked_is_refused() {
        for request in [
            &b"POST /metrics HTTP/1.1\r\n\r\n"[..],
            b"",
            b"\xff\x00",
            b"GET",
            b"GET \xff HTTP/1.1\r\n\r\n",
            b"GET metrics",
        ] {
            assert!(answer(request, &Ill).starts_with("HTTP/1.1 40"), "{request:?}");
        }
    }

    #[test]
    fn it_answers_on_a_thread_of_its_own_and_closes() {
        use std::io::{Read as _, Write as _};
        let address = spawn(SocketAddr::from(([127, 0, 0, 1], 0)), Arc::new(Ill)).expect("free");
        for _ in 0..2 * MOST_CONNECTIONS {
            let mut stream = std::net::TcpStream::connect(address).expect("it listens");
            stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").expect("it reads");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).expect("it closes");
            assert!(answer.ends_with("a 1\n"), "{answer}");
        }
    }
}
