//! How a running `causeway dev` is spoken to: one request and one answer, each a line of JSON, over a socket in its folder.
//!
//! ```text
//!   {"do":"mine","blocks":3}            ->  {"ok":{"height":117}}
//!   {"do":"kill","name":"relayer-2"}    ->  {"ok":null}
//!   {"do":"kill","name":"nobody"}       ->  {"error":"..."}
//! ```
//! Whoever may write in the folder may speak to the network; nobody else.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use eyre::{Result, WrapErr, bail};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};

/// What can be asked of a running network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Request {
    /// Answered with [`Status`], at any time.
    Status,
    /// Mines Bitcoin blocks; answered with the new height.
    Mine { blocks: u32 },
    /// Kills a process as `kill -9` does.
    Kill { name: String },
    /// Starts a process again.
    Start { name: String },
    /// Pays from the miner's wallet; answered with the txid.
    Pay { to: Vec<Payment> },
    /// Stops the whole network.
    Stop,
}

/// One output of the miner's payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Payment {
    pub address: String,
    pub amount_sat: u64,
}

/// How far the network is, and how to reach it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// All of it runs, and the developer accounts are funded.
    pub ready: bool,
    /// What it is doing, for people.
    pub step: String,
    /// Why it could not start.
    pub failed: Option<String>,
    /// JSON-RPC of each validator.
    pub rpc: Vec<String>,
    /// JSON-RPC of bitcoind.
    pub bitcoin: String,
    /// bitcoind's cookie file.
    pub bitcoin_cookie: PathBuf,
    /// The genesis file.
    pub genesis: PathBuf,
    /// Names of the children that run.
    pub running: Vec<String>,
}

/// The status of a network: written by the process that runs it, read by whoever asks.
#[derive(Clone, Debug, Default)]
pub struct SharedStatus(Arc<Mutex<Status>>);

impl SharedStatus {
    pub fn get(&self) -> Status {
        self.lock().clone()
    }

    /// Changes it, and returns what it is then.
    pub fn update(&self, change: impl FnOnce(&mut Status)) -> Status {
        let mut status = self.lock();
        change(&mut status);
        status.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Status> {
        self.0.lock().expect("no change of the status panics")
    }
}

/// A request on its way to the network, with where its answer goes.
pub type Pending = (Request, oneshot::Sender<Result<Value, String>>);

/// A running network, from outside.
#[derive(Clone, Debug)]
pub struct Control {
    socket: PathBuf,
}

impl Control {
    /// Of the network in `folder`, which may not run.
    pub fn of(folder: &Path) -> Self {
        Self { socket: socket(folder) }
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    ///
    /// No network runs there, it ends while it is asked, or it refuses, saying why.
    pub async fn ask<T: DeserializeOwned>(&self, request: &Request) -> Result<T> {
        let stream = UnixStream::connect(&self.socket).await.wrap_err_with(|| {
            format!(
                "no network runs in {} (start one with `causeway dev`, or name its folder by --data-dir)",
                self.socket.parent().unwrap_or(Path::new(".")).display()
            )
        })?;
        let mut stream = BufReader::new(stream);
        stream.write_all(format!("{}\n", json!(request)).as_bytes()).await?;
        let mut line = String::new();
        stream.read_line(&mut line).await.wrap_err("the network ended while it was asked")?;
        let answer: Value = serde_json::from_str(&line).wrap_err("the network ended while it was asked")?;
        if let Some(error) = answer.get("error").and_then(Value::as_str) {
            bail!("{error}");
        }
        serde_json::from_value(answer["ok"].clone()).wrap_err("the network runs another version of causeway")
    }
}

/// Listens in `folder`. Status is answered here, everything else is handed on.
pub fn serve(folder: &Path, status: SharedStatus) -> Result<mpsc::Receiver<Pending>> {
    let path = socket(folder);
    let _ = std::fs::remove_file(&path); // Of a network that was killed; the folder's lock says that none runs.
    let listener = UnixListener::bind(&path).wrap_err_with(|| {
        format!("cannot listen at {} (a socket's path may have about 100 characters)", path.display())
    })?;
    let (requests, waiting) = mpsc::channel(16);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, status.clone(), requests.clone()));
        }
    });
    Ok(waiting)
}

async fn answer(stream: UnixStream, status: SharedStatus, requests: mpsc::Sender<Pending>) {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    while stream.read_line(&mut line).await.is_ok_and(|read| read > 0) {
        let answer = match serde_json::from_str(&line) {
            Ok(Request::Status) => Ok(json!(status.get())),
            Ok(request) => hand_on(request, &requests).await,
            Err(error) => Err(format!("not a request: {error}")),
        };
        let answer = match answer {
            Ok(value) => json!({ "ok": value }),
            Err(error) => json!({ "error": error }),
        };
        if stream.write_all(format!("{answer}\n").as_bytes()).await.is_err() {
            return;
        }
        line.clear();
    }
}

async fn hand_on(request: Request, requests: &mpsc::Sender<Pending>) -> Result<Value, String> {
    let (reply, answer) = oneshot::channel();
    let stopping = || "the network is stopping".to_owned();
    requests.send((request, reply)).await.map_err(|_| stopping())?;
    answer.await.map_err(|_| stopping())?
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("control.sock")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_reaches_the_network_and_its_answer_comes_back() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let status = SharedStatus::default();
        status.update(|status| status.step = "starting".into());
        let mut requests = serve(folder.path(), status).expect("a short path");
        tokio::spawn(async move {
            while let Some((request, reply)) = requests.recv().await {
                let answer = if request == (Request::Mine { blocks: 3 }) {
                    Ok(json!({ "height": 3 }))
                } else {
                    Err("no".into())
                };
                reply.send(answer).expect("asked for");
            }
        });
        let control = Control::of(folder.path());
        assert_eq!(control.ask::<Status>(&Request::Status).await.expect("served").step, "starting");
        assert_eq!(control.ask::<Value>(&Request::Mine { blocks: 3 }).await.expect("mined")["height"], 3);
        let error = control.ask::<Value>(&Request::Stop).await.expect_err("refused");
        assert_eq!(error.to_string(), "no");
    }

    #[tokio::test]
    async fn a_network_that_does_not_run_is_said_so() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let error = Control::of(folder.path()).ask::<Value>(&Request::Stop).await.expect_err("nobody listens");
        assert!(error.to_string().contains("no network runs in"), "{error}");
    }
}
