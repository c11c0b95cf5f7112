//! A payer: fetches a page, and pays for it when it is asked to, in whichever of the two protocols.
//!
//! What it signed is kept before it is sent, until an answer came: whoever fetches the same again, after a lost connection or a kill, shows the same payment and
//! not a second one. An `Idempotency-Key` goes with it, so that a server gives its answer again.

mod adding;
mod kept;
pub mod purse;
pub mod sent;
pub mod session;
mod ticks;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use alloy_primitives::{Address, B256, U256, hex};
use bitcoin::hashes::{Hash as _, sha256};
use bridge::io::sidechain::Account;
use files::{make_private_folder, read_optional, write_atomic};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{Method, Request, Response, StatusCode, Uri};
use payments::io::journal::OpenError;
use payments::io::payer::PayerError;
use payments::payer::PayRefused;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::http::{Unread, read};
use super::upstream::{NoAnswer, Upstream};
use crate::mpp::{self, Receipt};
use crate::payer::tally::Stop;
use crate::sse::TooLong;
use crate::text::base64url;
use crate::wallet::{Bill, Limits, Unpayable, choose};
use crate::x402::{self, SettleResponse};

/// How often a payment is shown again when its answer is lost, or the server says that it is not done.
const MOST_TRIES: u32 = 5;
/// Before the second time; twice as long each further time.
const PAUSE: Duration = Duration::from_millis(500);

/// What is fetched.
#[derive(Clone, Debug)]
pub struct Page {
    pub url: Uri,
    pub method: Method,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// Bytes of the longest answer that is taken.
    pub most_bytes: usize,
}

/// Who pays, how much at the most, and where is kept what was signed.
pub struct Purse {
    pub account: Account,
    pub limits: Limits,
    pub folder: PathBuf,
    /// Whether another payment is signed while one that the server refused may still be carried out.
    pub again: bool,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Fetched {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    pub paid: Option<Paid>,
}

/// What was paid for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paid {
    pub protocol: String,
    pub amount: U256,
    pub payee: Address,
    /// As the server says.
    pub transaction: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error(transparent)]
    Unpayable(#[from] Unpayable),
    #[error("{0}")]
    NotPaid(String),
    #[error("the server does not answer: {0}")]
    NoAnswer(#[from] NoAnswer),
    #[error("the server refuses the payment: {problem}")]
    Refused { problem: String },
    #[error(
        "the server refused a payment of {} for this page, and can have it carried out all the same until {}: try again then, or sign another one beside it (--again)",
        bridge::amount::show_wei(*amount),
        crate::text::rfc3339(*until)
    )]
    RefusedBefore { amount: U256, until: u64 },
    #[error(
        "a payment of {} for this page was carried out, and the server gives nothing more for it: {problem}. Ask its operator; --again signs another one",
        bridge::amount::show_wei(*amount)
    )]
    UsedUp { amount: U256, problem: String },
    #[error(
        "the server has the payment and gave nothing for it yet ({status}): {problem}. The same command shows it the same payment again"
    )]
    NotServed { status: StatusCode, problem: String },
    #[error("the server answered {} and charged nothing for it", .0.status)]
    NotCharged(Box<Fetched>),
    #[error("{0}")]
    NoChannel(String),
    #[error("its answer is longer than {0} bytes")]
    TooLarge(usize),
    #[error("its answer broke off")]
    BrokenOff,
    #[error(
        "{url} is not encrypted: whoever is between could take the payment and give nothing (--insecure allows it)"
    )]
    NotEncrypted { url: String },
    #[error("the page came, and {0}. Nothing more is paid when the same command fetches it again within the hour")]
    NotTaken(io::Error),
    #[error("the payment cannot be kept, so nothing was sent: {0}")]
    NotKept(#[from] io::Error),
    #[error(transparent)]
    Stopped(#[from] Stop),
    #[error("{stop}; {bytes} bytes came for it, and each further {unit} costs {} (--max pays for more, --partial keeps what came)", crate::text::sat(*price))]
    PartOnly { stop: Stop, bytes: usize, unit: String, price: u128 },
    #[error("the channel's deposit of {} is used up, and nothing was added to it: {why}", bridge::amount::show_wei(U256::from(*deposit)))]
    NotAdded { deposit: u128, why: String },
    #[error("{}", told(.0))]
    Payer(#[from] PayerError),
    #[error("promises cannot be kept: {0}")]
    Promises(#[from] OpenError),
    #[error(transparent)]
    TooLong(#[from] TooLong),
}

/// As people read it: in coins, not in the library's units.
fn told(error: &PayerError) -> String {
    match error {
        PayerError::Refused(PayRefused::BeyondDeposit { got, deposit }) => {
            let [got, deposit] = [got, deposit].map(|wei| bridge::amount::show_wei(U256::from(*wei)));
            format!("{got} would be promised in all, the channel's deposit is {deposit}: open another one")
        }
        other => other.to_string(),
    }
}

/// A payment that was signed and for which no answer came yet.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Signed {
    field: String,
    value: String,
    key: String,
    protocol: String,
    amount: U256,
    payee: Address,
    valid_before: U256,
    /// The server said that it is no payment. It may carry it out all the same, as long as it is valid.
    #[serde(default)]
    is_refused: bool,
    /// The server said that it was carried out, and gives nothing more for it; in its words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    used_up: Option<String>,
}

/// Refuses what is sent in the clear to another machine.
///
/// # Errors
///
/// `NotEncrypted`.
pub fn check_encrypted(url: &Uri) -> Result<(), FetchError> {
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    let is_here = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    if url.scheme_str() == Some("https") || is_here {
        return Ok(());
    }
    Err(FetchError::NotEncrypted { url: bridge::foreign::shown(&url.to_string()) })
}

/// Fetches a page. `agree` is asked before anything is signed. `take` gets what was paid for before the payment is forgotten: what it cannot keep,
/// the same request fetches again, by the same payment.
///
/// # Errors
///
/// `FetchError`; what was signed stays kept unless an answer came.
pub async fn fetch(
    page: &Page,
    purse: &Purse,
    patience: Duration,
    agree: impl AsyncFnOnce(&Bill) -> Result<(), FetchError>,
    take: impl FnOnce(&Fetched) -> io::Result<()>,
) -> Result<Fetched, FetchError> {
    let upstream = Upstream::new(patience)?;
    let kept = Kept::of(page, purse);
    match kept.find(now())? {
        Some(Signed { amount, used_up: Some(problem), .. }) if !purse.again => {
            return Err(FetchError::UsedUp { amount, problem });
        }
        Some(signed) if signed.is_refused && !purse.again && signed.valid_before > U256::from(now()) => {
            return Err(FetchError::RefusedBefore {
                amount: signed.amount,
                until: signed.valid_before.saturating_to(),
            });
        }
        Some(signed) if !signed.is_refused && signed.used_up.is_none() => {
            return pay(page, &upstream, &kept, signed, take).await;
        }
        _ => {}
    }
    let response = upstream.ask(request(page, None)).await?;
    if response.status() != StatusCode::PAYMENT_REQUIRED {
        let fetched = fetched(response, page, patience, None).await?;
        take(&fetched).map_err(FetchError::NotTaken)?;
        return Ok(fetched);
    }
    let bill = bill(response.headers(), &purse.limits)?;
    agree(&bill).await?;
    let signed = purse.sign(&bill);
    kept.keep(&signed)?;
    pay(page, &upstream, &kept, signed, take).await
}

impl Fetched {
    /// An answer that nothing was paid for.
    ///
    /// # Errors
    ///
    /// It is too long, or breaks off.
    pub async fn read(response: Response<Incoming>, page: &Page, patience: Duration) -> Result<Self, FetchError> {
        fetched(response, page, patience, None).await
    }
}

/// Whether the same was signed for before, so that nothing new will be.
///
/// # Errors
///
/// Those of the disk.
pub fn goes_on(page: &Page, purse: &Purse) -> Result<bool, FetchError> {
    Ok(Kept::of(page, purse).find(now())?.is_some())
}

async fn pay(
    page: &Page,
    upstream: &Upstream,
    kept: &Kept,
    signed: Signed,
    take: impl FnOnce(&Fetched) -> io::Result<()>,
) -> Result<Fetched, FetchError> {
    let (mut pause, mut tries) = (PAUSE, 1);
    let fetched = loop {
        match show(page, upstream, &signed).await {
            Ok(fetched) if !is_unfinished(fetched.status) || tries >= most_tries(&fetched) => break fetched,
            Err(error @ FetchError::TooLarge(_)) => return Err(error),
            Err(error) if tries >= MOST_TRIES => return Err(error),
            Ok(_) | Err(_) => {}
        }
        sleep(pause).await;
        (pause, tries) = (pause * 2, tries + 1);
    };
    let is_replayed = code(&fetched.body).as_deref() == Some(REPLAYED);
    let (status, problem) = (fetched.status, bridge::foreign::shown(&problem(&fetched.body)));
    if is_unfinished(status) {
        return Err(FetchError::NotServed { status, problem });
    }
    if status == StatusCode::PAYMENT_REQUIRED && is_replayed {
        let amount = signed.amount;
        kept.keep(&Signed { used_up: Some(problem.clone()), ..signed })?;
        return Err(FetchError::UsedUp { amount, problem });
    }
    if status == StatusCode::PAYMENT_REQUIRED {
        kept.keep(&Signed { is_refused: true, ..signed })?;
        return Err(FetchError::Refused { problem });
    }
    take(&fetched).map_err(FetchError::NotTaken)?;
    // What it gave is an error: what was paid may be good for the same page once more.
    if !status.is_client_error() {
        kept.forget()?;
    }
    Ok(fetched)
}

async fn show(page: &Page, upstream: &Upstream, signed: &Signed) -> Result<Fetched, FetchError> {
    let response = upstream.ask(request(page, Some(signed))).await?;
    fetched(response, page, upstream.patience, Some(signed)).await
}

/// How often a payment is shown that such an answer came for. A paywall of ours ([`crate::refusal`]) asks a failing upstream a few times for each payment
/// before it lets it rest, so one command leaves some for the next.
fn most_tries(fetched: &Fetched) -> u32 {
    let says_when = fetched.headers.contains_key(RETRY_AFTER);
    match code(&fetched.body).as_deref() {
        Some("upstream-failing") => 1,
        Some("upstream-failed") => 2,
        // It is being settled.
        _ if says_when || fetched.status == StatusCode::CONFLICT => MOST_TRIES,
        _ => 2,
    }
}

/// The payment may be made, and its answer is not there yet.
fn is_unfinished(status: StatusCode) -> bool {
    status == StatusCode::CONFLICT || status.is_server_error()
}

fn bill(headers: &HeaderMap, limits: &Limits) -> Result<Bill, Unpayable> {
    let www_authenticate: Vec<&str> =
        headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok()).collect();
    let required = headers.get(x402::REQUIRED).and_then(|value| value.to_str().ok());
    choose(&www_authenticate, required, limits, now())
}

impl Purse {
    fn sign(&self, bill: &Bill) -> Signed {
        let authorization = bill.authorization(self.account.address(), random());
        let signature = self.account.sign_digest(self.limits.token.digest(&authorization));
        let bytes = alloy_primitives::Bytes::from(signature.as_bytes().to_vec());
        let (field, value) = bill.answer(&self.limits.token, authorization, bytes);
        Signed {
            field: field.to_owned(),
            value,
            key: base64url(random().as_slice()),
            protocol: bill.protocol().to_owned(),
            amount: bill.amount,
            payee: bill.payee,
            valid_before: authorization.valid_before,
            is_refused: false,
            used_up: None,
        }
    }
}

/// Where a signed payment is kept.
struct Kept(PathBuf);

impl Kept {
    /// One name for each payer and page.
    fn of(page: &Page, purse: &Purse) -> Self {
        let Page { url, method, body, .. } = page;
        let text = format!("{} {method} {url}\n", purse.account.address());
        let name = sha256::Hash::hash(&[text.as_bytes(), body].concat()).to_byte_array();
        Self(purse.folder.join(format!("{}.json", hex::encode(name))))
    }

    /// What was signed, if it may still be carried out, or was and gives its answer again.
    fn find(&self, now: u64) -> Result<Option<Signed>, FetchError> {
        let Some(json) = read_optional(&self.0)? else { return Ok(None) };
        let signed: Option<Signed> = serde_json::from_slice(&json).ok();
        let until = U256::from(now.saturating_sub(crate::book::REDEEMABLE_S));
        let signed = signed.filter(|signed| signed.valid_before > until);
        if signed.is_none() {
            self.forget()?;
        }
        Ok(signed)
    }

    fn keep(&self, signed: &Signed) -> Result<(), FetchError> {
        make_private_folder(self.0.parent().unwrap_or(Path::new(".")))?;
        Ok(write_atomic(&self.0, &serde_json::to_vec(signed).expect("text always serialises"))?)
    }

    fn forget(&self) -> Result<(), FetchError> {
        match std::fs::remove_file(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }
}

fn request(page: &Page, signed: Option<&Signed>) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(Bytes::from(page.body.clone())));
    *request.method_mut() = page.method.clone();
    *request.uri_mut() = page.url.clone();
    *request.headers_mut() = page.headers.clone();
    let mut set = |name: &str, value: &str| {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            request.headers_mut().insert(name, value);
        }
    };
    set("accept-payment", "evm/charge");
    if let Some(signed) = signed {
        set(&signed.field, &signed.value);
        set("idempotency-key", &signed.key);
    }
    request
}

async fn fetched(
    response: Response<Incoming>,
    page: &Page,
    patience: Duration,
    signed: Option<&Signed>,
) -> Result<Fetched, FetchError> {
    let (parts, body) = response.into_parts();
    let body = read(body, page.most_bytes, patience).await.map_err(|unread| match unread {
        Unread::TooLarge => FetchError::TooLarge(page.most_bytes),
        Unread::TooSlow | Unread::Broken => FetchError::BrokenOff,
    })?;
    let paid = signed.map(|signed| Paid {
        protocol: signed.protocol.clone(),
        amount: signed.amount,
        payee: signed.payee,
        transaction: transaction(&parts.headers),
    });
    Ok(Fetched { status: parts.status, headers: parts.headers, body, paid })
}

fn transaction(headers: &HeaderMap) -> Option<String> {
    let field = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let receipt = field(mpp::RECEIPT).and_then(|value| Receipt::decode(value).ok()).map(|receipt| receipt.reference);
    let settlement = || {
        field(x402::RESPONSE).and_then(|value| x402::decode::<SettleResponse>(value).ok()).map(|said| said.transaction)
    };
    receipt.or_else(settlement).filter(|said| !said.is_empty()).map(|said| bridge::foreign::shown(&said))
}

/// What a paywall of ours says of a payment that was carried out ([`crate::refusal`]).
const REPLAYED: &str = "replayed";

fn code(body: &[u8]) -> Option<String> {
    let json: serde_json::Value = serde_json::from_slice(body).ok()?;
    json["code"].as_str().map(str::to_owned)
}

/// What a problem document says, or the answer's own words.
fn problem(body: &[u8]) -> String {
    let json: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let detail = json.as_ref().and_then(|json| json["detail"].as_str()).map(str::to_owned);
    detail.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned())
}

fn random() -> B256 {
    use rand::RngCore as _;
    let mut bytes = B256::ZERO;
    rand::thread_rng().fill_bytes(bytes.as_mut_slice());
    bytes
}

fn now() -> u64 {
    bridge::io::clock::now().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payment_is_not_sent_in_the_clear_to_another_machine() {
        for url in ["https://api.example.com/x", "http://127.0.0.1:8402/x", "http://localhost/x", "http://[::1]:1/x"] {
            assert!(check_encrypted(&url.parse().expect("a URL")).is_ok(), "{url}");
        }
        for url in ["http://api.example.com/x", "http://10.0.0.1/x", "http://localhost.evil.example/x"] {
            assert!(check_encrypted(&url.parse().expect("a URL")).is_err(), "{url}");
        }
    }
}
