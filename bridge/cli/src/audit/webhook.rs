//! Telling somebody that something is missing: the report as a JSON-RPC notification, by HTTP POST.
//!
//! Posts wait in a queue of their own, so that no receiver holds up an audit: each has a time to be taken in, and is tried some times.

use std::time::Duration;

use bridge::foreign::shown;
use eyre::{Result, eyre};
use jsonrpsee::core::client::ClientT as _;
use jsonrpsee::core::params::ArrayParams;
use jsonrpsee::http_client::{HttpClient, HttpClientBuilder};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// What a receiver tells reports from others by.
const METHOD: &str = "causeway_audit";
/// How long a receiver may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Posts that wait. A receiver that does not take these has to be looked at anyway.
const QUEUE: usize = 16;
/// How often one is tried, twice as long after each time.
const TRIES: u32 = 6;
const PAUSE: Duration = Duration::from_secs(1);

/// Posts on their way.
pub struct Posts {
    url: String,
    queue: mpsc::Sender<Value>,
    sender: JoinHandle<()>,
}

impl Posts {
    /// To be called within a runtime.
    ///
    /// # Errors
    ///
    /// `url` is none.
    pub fn start(url: &str) -> Result<Self> {
        let client = HttpClientBuilder::default().request_timeout(TIMEOUT).build(url);
        let client = client.map_err(|error| eyre!("the webhook {url} is no URL: {}", shown(&error.to_string())))?;
        let (queue, posts) = mpsc::channel(QUEUE);
        let sender = tokio::spawn(send(client, url.to_owned(), posts));
        Ok(Self { url: url.to_owned(), queue, sender })
    }

    /// Posts a report, some time. What cannot be posted is told.
    pub fn post(&self, report: &impl Serialize) {
        let report = serde_json::to_value(report).expect("our own types always serialise");
        if self.queue.try_send(report).is_err() {
            tracing::warn!("the webhook {} is not told: {QUEUE} reports wait for it", self.url);
        }
    }

    /// Waits until all are posted, or given up.
    pub async fn end(self) {
        drop(self.queue);
        if self.sender.await.is_err() {
            tracing::warn!("the webhook {} is not told: its sender broke", self.url);
        }
    }
}

async fn send(client: HttpClient, url: String, mut posts: mpsc::Receiver<Value>) {
    while let Some(report) = posts.recv().await {
        if let Err(error) = try_to_send(&client, &report).await {
            tracing::warn!("the webhook {url} does not take a report, and was asked {TRIES} times: {error}");
        }
    }
}

async fn try_to_send(client: &HttpClient, report: &Value) -> Result<(), String> {
    let mut pause = PAUSE;
    for left in (0..TRIES).rev() {
        let mut params = ArrayParams::new();
        params.insert(report).expect("a JSON value always serialises");
        match client.notification(METHOD, params).await {
            Ok(()) => return Ok(()),
            // A receiver's words may hold anything, and are shown in a terminal.
            Err(error) if left == 0 => return Err(shown(&error.to_string())),
            Err(_) => tokio::time::sleep(pause).await,
        }
        pause *= 2;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::sync::mpsc as std_mpsc;

    /// Answers with these status lines in turn, and says what it was asked.
    fn receiver(answers: &'static [&'static str]) -> (String, std_mpsc::Receiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("the machine has free ports");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let (sender, asked) = std_mpsc::channel();
        std::thread::spawn(move || {
            for (answer, client) in answers.iter().zip(listener.incoming()) {
                let mut client = client.expect("a client");
                let mut bytes = vec![0; 65_536];
                let length = client.read(&mut bytes).expect("a question");
                let _ = sender.send(String::from_utf8_lossy(&bytes[..length]).into_owned());
                let _ = write!(client, "HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            }
        });
        (url, asked)
    }

    #[tokio::test]
    async fn a_receiver_that_answers_500_is_asked_again() {
        let (url, asked) = receiver(&["500 Internal Server Error", "200 OK"]);
        let posts = Posts::start(&url).expect("a URL");
        posts.post(&serde_json::json!({ "missingSat": 1 }));
        posts.end().await;
        for _ in 0..2 {
            assert!(asked.recv().expect("asked twice").contains(METHOD));
        }
    }

    #[tokio::test]
    async fn a_receiver_that_hangs_holds_nobody_up_and_its_queue_is_bounded() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("the machine has free ports");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let posts = Posts::start(&url).expect("a URL");
        let begun = std::time::Instant::now();
        (0..10 * QUEUE).for_each(|number| posts.post(&number));
        assert!(begun.elapsed() < Duration::from_secs(5));
        assert_eq!(posts.queue.capacity(), 0);
        assert!(Posts::start("not a url").is_err());
    }
}
