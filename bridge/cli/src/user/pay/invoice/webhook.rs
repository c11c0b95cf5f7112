//! Telling the merchant's shop: what `causeway audit --webhook` posts reports by (a JSON-RPC notification by HTTP POST), signed.
//!
//! ```text
//!   Causeway-Signature: t=<Unix seconds>,v1=<hex of HMAC-SHA256(secret, "<t>.<body>")>
//! ```
//! The receiver computes the same over the bytes that it got, compares in constant time, and refuses what is older than some minutes. An
//! event keeps its id however often it is posted. Only an answer of 2xx counts; a redirection is followed nowhere, and is none.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use bitcoin::hashes::{Hash as _, HashEngine as _, Hmac, HmacEngine, sha256};
use bridge::foreign::shown;
use eyre::{Result, WrapErr, ensure, eyre};
use jsonrpsee::core::client::ClientT as _;
use jsonrpsee::core::params::ArrayParams;
use jsonrpsee::http_client::{HeaderMap, HeaderValue, HttpClientBuilder};
use serde::Serialize;
use zeroize::Zeroizing;

use super::record::{Event, Hook, Invoice};
use super::store::Store;
use super::view::View;
use crate::clock::now;

/// What a receiver tells invoices from others by.
const METHOD: &str = "causeway_invoice";
const SIGNATURE: &str = "causeway-signature";
/// How long a receiver may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How often one event is tried by one command, twice as long after each time; the next command tries again.
const TRIES: u32 = 6;
const PAUSE: Duration = Duration::from_secs(1);
/// Bytes of a secret: less can be guessed, more is no secret but another file.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 16..=1_024;

/// What is posted.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Post<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: String,
    at: u64,
    invoice: View<'a>,
}

/// A secret that signs posts. Its file is read anew by each command, and it is shown nowhere.
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// From a file for its owner alone; what is around it (a line feed) does not count.
    ///
    /// # Errors
    ///
    /// It cannot be read, others may read it, or it is too short or long.
    pub fn read(path: &Path) -> Result<Self> {
        let cannot = || format!("cannot read the webhook's secret {}", path.display());
        let about = fs::metadata(path).wrap_err_with(cannot)?;
        ensure!(about.is_file() && about.len() <= 4_096, "{} is no file with a secret", path.display());
        ensure!(
            about.permissions().mode() & 0o077 == 0,
            "others than its owner may use {}: chmod 600 it",
            path.display()
        );
        let bytes = Zeroizing::new(fs::read(path).wrap_err_with(cannot)?);
        let trimmed = Zeroizing::new(bytes.trim_ascii().to_vec());
        ensure!(
            SECRET_BYTES.contains(&trimmed.len()),
            "the webhook's secret in {} has {} bytes, wanted are {} to {}: for example `openssl rand -hex 32`",
            path.display(),
            trimmed.len(),
            SECRET_BYTES.start(),
            SECRET_BYTES.end()
        );
        Ok(Self(trimmed))
    }

    fn sign(&self, at: u64, body: &str) -> String {
        let mut engine = HmacEngine::<sha256::Hash>::new(&self.0);
        engine.input(format!("{at}.{body}").as_bytes());
        format!("t={at},v1={}", Hmac::<sha256::Hash>::from_engine(engine))
    }
}

/// `url` can be posted to.
///
/// # Errors
///
/// It cannot.
pub fn check(url: &str) -> Result<()> {
    let client = HttpClientBuilder::default().build(url);
    client.map(drop).map_err(|error| eyre!("the webhook is no URL: {}", shown(&error.to_string())))
}

/// Posts what waits, one try at a time.
pub struct Courier {
    hook: Hook,
    secret: Secret,
    tries: u32,
    next: Instant,
}

impl Courier {
    /// None without a webhook.
    ///
    /// # Errors
    ///
    /// Its secret cannot be read.
    pub fn of(invoice: &Invoice) -> Result<Option<Self>> {
        let Some(hook) = invoice.webhook.clone() else { return Ok(None) };
        let secret = Secret::read(&hook.secret)?;
        Ok(Some(Self { hook, secret, tries: 0, next: Instant::now() }))
    }

    /// Whether something waits that this command still tries.
    pub fn is_busy(&self, invoice: &Invoice) -> bool {
        self.tries < TRIES && invoice.undelivered().next().is_some()
    }

    /// One try of the oldest event, if it is time; the invoice as it is then.
    ///
    /// # Errors
    ///
    /// Those of the disk: that it was taken could not be noted.
    pub async fn step(&mut self, store: &Store, invoice: Invoice) -> Result<Invoice> {
        let Some(event) = invoice.undelivered().next() else { return Ok(invoice) };
        if self.tries >= TRIES || Instant::now() < self.next {
            return Ok(invoice);
        }
        match post(&self.hook.url, &self.secret, event, &invoice).await {
            Ok(()) => {
                (self.tries, self.next) = (0, Instant::now());
                let id = event.id.clone();
                store.update(&invoice.reference, |kept| {
                    kept.events.iter_mut().filter(|event| event.id == id).for_each(|event| event.is_delivered = true);
                    true
                })
            }
            Err(error) => {
                self.tries += 1;
                self.next = Instant::now() + PAUSE * 2_u32.pow(self.tries - 1);
                if self.tries == TRIES {
                    tracing::warn!(
                        "the webhook does not take event {} of {}, and was asked {TRIES} times; the next command asks again: {error}",
                        event.id,
                        invoice.reference
                    );
                }
                Ok(invoice)
            }
        }
    }

    /// Posts all that waits, within the bound of tries.
    ///
    /// # Errors
    ///
    /// As [`Courier::step`].
    pub async fn finish(&mut self, store: &Store, mut invoice: Invoice) -> Result<Invoice> {
        while self.is_busy(&invoice) {
            tokio::time::sleep_until(self.next.into()).await;
            invoice = self.step(store, invoice).await?;
        }
        Ok(invoice)
    }
}

/// The address itself may be a secret: errors name it not.
async fn post(url: &str, secret: &Secret, event: &Event, invoice: &Invoice) -> Result<(), String> {
    let kind = format!("invoice.{}", event.state.name());
    let post = Post { id: &event.id, kind, at: event.at, invoice: View::of(invoice) };
    let post = serde_json::value::to_raw_value(&post).expect("text and numbers always serialise");
    let body = format!("{{\"jsonrpc\":\"2.0\",\"method\":\"{METHOD}\",\"params\":[{post}]}}");
    let at = now().map_err(|error| error.to_string())?;
    let signature = HeaderValue::from_str(&secret.sign(at, &body)).expect("digits and letters");
    let mut headers = HeaderMap::new();
    headers.insert(SIGNATURE, signature);
    let client = HttpClientBuilder::default().request_timeout(TIMEOUT).set_headers(headers).build(url);
    let client = client.map_err(|_| "it is no URL".to_owned())?;
    let mut params = ArrayParams::new();
    params.insert(&post).expect("a JSON value always serialises");
    let sent = client.notification(METHOD, params).await;
    // A receiver's words may hold anything, and are shown in a terminal.
    sent.map_err(|error| shown(&error.to_string()).replace(url, "…"))
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::sync::mpsc;

    use super::*;
    use crate::user::pay::invoice::record::Facts;
    use crate::user::pay::invoice::record::tests::{invoice, wei};

    /// Answers with these heads in turn, and says what it was asked.
    fn receiver(answers: &'static [&'static str]) -> (String, mpsc::Receiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("the machine has free ports");
        let url = format!("http://{}/hook?token=hidden", listener.local_addr().expect("it is bound"));
        let (sender, asked) = mpsc::channel();
        std::thread::spawn(move || {
            for (answer, client) in answers.iter().zip(listener.incoming()) {
                let mut client = client.expect("a client");
                let (mut bytes, mut length) = (vec![0; 65_536], 0);
                while !String::from_utf8_lossy(&bytes[..length]).ends_with("]}") {
                    length += client.read(&mut bytes[length..]).expect("a question");
                }
                let _ = sender.send(String::from_utf8_lossy(&bytes[..length]).into_owned());
                let _ = write!(client, "HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            }
        });
        (url, asked)
    }

    struct Shop {
        home: tempfile::TempDir,
        store: Store,
        courier: Courier,
        invoice: Invoice,
    }

    fn shop(url: &str) -> Shop {
        let home = tempfile::tempdir().expect("a temporary folder");
        let secret = home.path().join("secret");
        files::write_atomic(&secret, b"0123456789abcdef\n").expect("writable");
        let store = Store::new(home.path(), alloy_primitives::B256::repeat_byte(1));
        let mut paid = Invoice { webhook: Some(Hook { url: url.to_owned(), secret }), ..invoice() };
        paid.apply(&Facts { block: 1, block_time: 1, coin_wei: wei(1_000), ..Facts::default() });
        let invoice = store.add(&paid).expect("kept");
        let courier = Courier::of(&invoice).expect("a secret").expect("a webhook");
        Shop { home, store, courier, invoice }
    }

    /// Head and body.
    fn parts(request: &str) -> (&str, &str) {
        request.split_once("\r\n\r\n").expect("a head and a body")
    }

    fn id_of(request: &str) -> String {
        let body: serde_json::Value = serde_json::from_str(parts(request).1).expect("JSON");
        assert_eq!((&body["method"], &body["params"][0]["type"]), (&METHOD.into(), &"invoice.paid".into()));
        body["params"][0]["id"].as_str().expect("an id").to_owned()
    }

    #[tokio::test]
    async fn a_post_is_signed_over_the_very_bytes_that_arrive_and_tried_again_under_the_same_id() {
        let (url, asked) = receiver(&["500 Internal Server Error", "200 OK"]);
        let mut shop = shop(&url);
        let done = shop.courier.finish(&shop.store, shop.invoice).await.expect("noted");
        assert_eq!(done.undelivered().count(), 0);
        let (first, second) = (asked.recv().expect("asked"), asked.recv().expect("asked again"));
        assert_eq!(id_of(&first), id_of(&second));
        for request in [first, second] {
            let (head, body) = parts(&request);
            let signature = head.lines().find_map(|line| line.strip_prefix("causeway-signature: ")).expect("signed");
            let at = signature.strip_prefix("t=").and_then(|rest| rest.split_once(',')).expect("a time").0;
            let secret = Secret::read(&shop.home.path().join("secret")).expect("a secret");
            assert_eq!(signature, secret.sign(at.parse().expect("a time"), body));
        }
        assert!(shop.store.find("order-1").expect("readable").expect("kept").undelivered().next().is_none());
    }

    #[tokio::test]
    async fn a_redirection_is_followed_nowhere_and_counts_as_not_taken() {
        let elsewhere = TcpListener::bind("127.0.0.1:0").expect("a port");
        let target = elsewhere.local_addr().expect("it is bound");
        elsewhere.set_nonblocking(true).expect("it can be");
        let head: &'static str =
            Box::leak(format!("307 Temporary Redirect\r\nLocation: http://{target}/").into_boxed_str());
        let answers: &'static [&'static str] = Box::leak(vec![head].into_boxed_slice());
        let (url, asked) = receiver(answers);
        let mut shop = shop(&url);
        let after = shop.courier.step(&shop.store, shop.invoice).await.expect("noted");
        asked.recv().expect("asked");
        assert_eq!(after.undelivered().count(), 1);
        assert!(elsewhere.accept().is_err(), "nobody came");
    }

    #[tokio::test]
    async fn what_is_said_of_a_receiver_that_is_down_hides_its_address() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/hook?token=hidden", listener.local_addr().expect("it is bound"));
        drop(listener);
        let shop = shop(&url);
        let event = shop.invoice.undelivered().next().expect("one waits");
        let error = post(&url, &shop.courier.secret, event, &shop.invoice).await.expect_err("down");
        assert!(!error.contains("hidden") && !error.contains("0123456789abcdef"), "{error}");
    }

    #[test]
    fn a_secret_is_long_enough_and_for_its_owner_alone() {
        let home = tempfile::tempdir().expect("a temporary folder");
        let path = home.path().join("secret");
        files::write_atomic(&path, b"  too short  ").expect("writable");
        assert!(Secret::read(&path).err().expect("short").to_string().contains("has 9 bytes"));
        files::write_atomic(&path, b"0123456789abcdef\n").expect("writable");
        // HMAC-SHA256 of "7.{}" by Python's hmac module.
        assert_eq!(
            Secret::read(&path).expect("a secret").sign(7, "{}"),
            "t=7,v1=3cd0ad802237a2c96b7ee3b06705b7350cc8cf0ba4123033d13eda91ad9c4ec2"
        );
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("ours");
        assert!(Secret::read(&path).err().expect("open").to_string().contains("chmod 600"));
        assert!(check("not a url").is_err() && check("ftp://a").is_err());
    }
}
