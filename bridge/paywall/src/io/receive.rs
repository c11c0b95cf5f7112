//! Takes vouchers of the payers' choice: over HTTP, or one by one.
//!
//! Each is on disk, in the payee's books and in a file of vouchers that `pay claim` and `pay watch` read, before its receipt is given. The largest of each channel is all that
//! the file has to say, so it is written anew when it has become long.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use alloy_primitives::{Address, B256};
use files::{make_private_folder, read_optional, write_atomic};
use hyper::body::Incoming;
use hyper::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use hyper::{Method, Request, Response, StatusCode};
use payments::channel::{Channel, SeenAt};
use payments::io::payee::{DurablePayee, PayeeError};
use payments::payee::claims::{Claim, ClaimRules};
use payments::payee::{Offer, Refused};
use payments::receipt::SignedReceipt;
use payments::voucher::SignedVoucher;
use rand::RngCore as _;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use crate::io::http::{Body, value, whole};
use crate::io::listener::{self, Answers};
use crate::mpp;
use crate::receive::{Offering, Problem, request, voucher};

/// Connections at a time; more wait in the system's queue.
const MOST_CONNECTIONS: usize = 128;
/// Looks at the chain at a time: anybody can name a channel.
const MOST_LOOKS: usize = 8;
/// How long one waits for them, and takes.
const LOOK_PATIENCE: Duration = Duration::from_secs(10);
/// For so long a look at a channel counts: a small part of what a payer that closes has to wait.
const LOOKED: Duration = Duration::from_secs(2);
/// Channels of which is known when they were looked at.
const MOST_KNOWN: usize = 10_000;
/// Lines of the file of vouchers beyond one for each channel.
const MOST_LINES: usize = 1_000;

/// Tells what a final state says of a channel.
pub trait Channels: Send + Sync + 'static {
    /// None: there is none.
    ///
    /// # Errors
    ///
    /// The chain does not tell.
    fn look(&self, id: B256) -> impl Future<Output = Result<Option<Looked>, String>> + Send;
}

/// A channel, its payer, and when it was so.
#[derive(Clone, Copy, Debug)]
pub struct Looked {
    pub channel: Channel,
    pub payer: Address,
    pub at: SeenAt,
}

/// What was paid.
#[derive(Clone, Debug)]
pub struct Received {
    pub payer: Address,
    pub token: Address,
    /// What the voucher added.
    pub amount: u128,
    pub receipt: SignedReceipt,
    /// The same voucher came before.
    pub is_again: bool,
}

/// Takes vouchers.
pub struct Receiver<C> {
    payee: DurablePayee,
    chain: C,
    pub offering: Offering,
    /// One voucher at a time is measured against the largest before.
    measure: tokio::sync::Mutex<()>,
    looks: Semaphore,
    seen: Mutex<BTreeMap<B256, (Instant, Address)>>,
    vouchers: Mutex<Vouchers>,
}

/// A running server. Dropping it stops it.
pub struct Receiving {
    pub address: SocketAddr,
    stop: watch::Sender<()>,
    served: tokio::task::JoinHandle<()>,
}

/// The file of vouchers.
struct Vouchers {
    path: PathBuf,
    file: File,
    best: BTreeMap<B256, SignedVoucher>,
    lines: usize,
    /// The last line may have no end: nothing is put behind it.
    is_torn: bool,
}

impl<C: Channels> Receiver<C> {
    /// Opens the file, and adds what the books have and it has not: a process that died between both.
    ///
    /// # Errors
    ///
    /// Those of the disk, or the file has what is no voucher.
    pub async fn open(payee: DurablePayee, chain: C, offering: Offering, vouchers: &Path) -> io::Result<Self> {
        let receiver = Self {
            payee,
            chain,
            offering,
            measure: tokio::sync::Mutex::default(),
            looks: Semaphore::new(MOST_LOOKS),
            seen: Mutex::default(),
            vouchers: Mutex::new(Vouchers::open(vouchers)?),
        };
        for id in receiver.payee.channels() {
            if let Err(problem) = receiver.look(id).await {
                tracing::warn!(channel = %id, detail = problem.detail, "channel left out");
            }
        }
        let all = ClaimRules { cost: 0, worth: 1, wait_s: 0 };
        for due in receiver.payee.due(&all, now()) {
            if let Claim::Voucher(voucher) = due.claim {
                receiver.keep(&voucher)?;
            }
        }
        Ok(receiver)
    }

    /// Takes a voucher; its receipt, when it is on disk.
    ///
    /// # Errors
    ///
    /// [`Problem`]: nothing was taken.
    pub async fn take(&self, voucher: SignedVoucher, request: B256) -> Result<Received, Problem> {
        let id = voucher.voucher.channel_id;
        let payer = self.look(id).await?;
        let answer = {
            let _one = self.measure.lock().await;
            let before = self.payee.balance(id).map_or(0, |balance| balance.accepted);
            let price = voucher.voucher.cumulative_amount.saturating_sub(before).max(1);
            let Offering { chain_id, escrow: contract, .. } = self.offering;
            let offer = Offer { chain_id, contract, voucher: voucher.clone(), price, request };
            // A voucher is the payment: shown with another key it gets the receipt that it got.
            let accepted = match self.payee.accept(offer.clone(), now()) {
                Err(PayeeError::Refused(Refused::PaidForAnother { .. })) => {
                    self.payee.accept(Offer { request: B256::ZERO, ..offer }, now())
                }
                accepted => accepted,
            };
            accepted.map_err(|error| refused(&error))?
        };
        let is_again = answer.is_known();
        let receipt = answer.await.map_err(|error| refused(&error))?;
        self.keep(&voucher).map_err(|error| not_kept(&error))?;
        Ok(Received { payer, token: self.offering.token, amount: receipt.receipt.price, receipt, is_again })
    }

    /// Learns what the chain says of a channel, unless that was a moment ago; its payer.
    async fn look(&self, id: B256) -> Result<Address, Problem> {
        let seen = || self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, payer)) = seen().get(&id)
            && at.elapsed() < LOOKED
        {
            return Ok(*payer);
        }
        let asked = async {
            let _place = self.looks.acquire().await;
            self.chain.look(id).await
        };
        let down = |why: &str| {
            tracing::warn!(channel = %id, why, "the chain cannot be asked");
            Problem::new(503, "verification-failed", "chain-down", "the chain cannot be asked".to_owned())
        };
        let looked =
            timeout(LOOK_PATIENCE, asked).await.map_err(|_| down("it takes too long"))?.map_err(|why| down(&why))?;
        let looked = looked.ok_or_else(|| Problem::of(&Refused::UnknownChannel { id }))?;
        self.payee.observe(looked.channel, looked.at).map_err(|error| refused(&error))?;
        self.payee.advance(looked.at).map_err(|error| refused(&error))?;
        let mut seen = seen();
        if seen.len() >= MOST_KNOWN {
            seen.pop_first();
        }
        seen.insert(id, (Instant::now(), looked.payer));
        Ok(looked.payer)
    }

    fn keep(&self, voucher: &SignedVoucher) -> io::Result<()> {
        self.vouchers.lock().unwrap_or_else(PoisonError::into_inner).add(voucher)
    }
}

impl Vouchers {
    fn open(path: &Path) -> io::Result<Self> {
        let bytes = read_optional(path)?.unwrap_or_default();
        // What has no end was being written when its process died, and was answered for by nobody.
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let mut best: BTreeMap<B256, SignedVoucher> = BTreeMap::new();
        for line in bytes[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let voucher: SignedVoucher = serde_json::from_slice(line).map_err(|error| {
                let why = format!("{} has a line that is no voucher: {error}", path.display());
                io::Error::new(io::ErrorKind::InvalidData, why)
            })?;
            let id = voucher.voucher.channel_id;
            let known = best.get(&id).map_or(0, |known| known.voucher.cumulative_amount);
            if voucher.voucher.cumulative_amount > known {
                best.insert(id, voucher);
            }
        }
        let file = anew(path, &best)?;
        Ok(Self { path: path.to_owned(), file, lines: best.len(), best, is_torn: false })
    }

    /// Adds it if it is larger than what is there of its channel.
    fn add(&mut self, voucher: &SignedVoucher) -> io::Result<()> {
        let id = voucher.voucher.channel_id;
        let known = self.best.get(&id).map_or(0, |known| known.voucher.cumulative_amount);
        if voucher.voucher.cumulative_amount <= known {
            return Ok(());
        }
        let before = self.best.insert(id, voucher.clone());
        let written = self.write(voucher);
        self.is_torn = written.is_err();
        if self.is_torn {
            match before {
                Some(before) => self.best.insert(id, before),
                None => self.best.remove(&id),
            };
        }
        written
    }

    fn write(&mut self, voucher: &SignedVoucher) -> io::Result<()> {
        if self.is_torn || self.lines >= self.best.len() + MOST_LINES {
            self.file = anew(&self.path, &self.best)?;
            self.lines = self.best.len();
            return Ok(());
        }
        self.file.write_all(line(voucher).as_bytes())?;
        self.file.sync_data()?;
        self.lines += 1;
        Ok(())
    }
}

fn anew(path: &Path, best: &BTreeMap<B256, SignedVoucher>) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        make_private_folder(folder)?;
    }
    let lines: String = best.values().map(line).collect();
    write_atomic(path, lines.as_bytes())?;
    OpenOptions::new().append(true).mode(0o600).open(path)
}

fn line(voucher: &SignedVoucher) -> String {
    serde_json::to_string(voucher).expect("text and numbers always serialise") + "\n"
}

/// Serves until it is stopped. `told` is called after each voucher that was taken.
///
/// # Errors
///
/// The listener cannot be used.
pub fn start<C: Channels>(
    receiver: Receiver<C>,
    listener: std::net::TcpListener,
    told: impl Fn(&Received) + Send + Sync + 'static,
) -> io::Result<Receiving> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let address = listener.local_addr()?;
    let (stop, stopped) = watch::channel(());
    let counter = Counter { receiver, told };
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let served = tokio::spawn(listener::serve(listener, places, Arc::new(counter), stopped));
    Ok(Receiving { address, stop, served })
}

impl Receiving {
    /// Lets those finish who are being served.
    pub async fn stop(self) {
        drop(self.stop);
        let _ = self.served.await; // A panic was told by its own task.
    }
}

struct Counter<C, T> {
    receiver: Receiver<C>,
    told: T,
}

impl<C: Channels, T: Fn(&Received) + Send + Sync + 'static> Answers for Counter<C, T> {
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        let is_head = request.method() == Method::HEAD;
        let mut response = match self.respond(request.headers()).await {
            Ok(response) => response,
            Err(problem) => self.problem(&problem),
        };
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if is_head {
            *response.body_mut() = whole(Vec::new());
        }
        response
    }
}

impl<C: Channels, T: Fn(&Received) + Send + Sync + 'static> Counter<C, T> {
    async fn respond(&self, headers: &HeaderMap) -> Result<Response<Body>, Problem> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let Some(authorization) = text(AUTHORIZATION.as_str()).or_else(|| text(mpp::PAYMENT_AUTHORIZATION)) else {
            let detail = "an amount of your choice is taken, by a voucher (`causeway pay send`)".to_owned();
            return Err(Problem::new(402, "payment-required", "payment-required", detail));
        };
        let (voucher, challenge_id) = voucher(authorization)?;
        let received = self.receiver.take(voucher, request(text("idempotency-key"))?).await?;
        if !received.is_again {
            (self.told)(&received);
        }
        let receipt = &received.receipt;
        let said = json!({ "amount": received.amount.to_string(), "total": receipt.receipt.cumulative_amount.to_string(), "receipt": receipt });
        let mut response = answer(StatusCode::OK, "application/json", &said);
        if let Some(receipt) = value(&self.receiver.offering.receipt(&challenge_id, receipt, now())) {
            response.headers_mut().insert(mpp::RECEIPT, receipt);
        }
        Ok(response)
    }

    fn problem(&self, problem: &Problem) -> Response<Body> {
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = answer(status, "application/problem+json", &problem.json());
        let headers = response.headers_mut();
        if status == StatusCode::PAYMENT_REQUIRED {
            let mut id = [0; 16];
            rand::thread_rng().fill_bytes(&mut id);
            headers.extend(value(&self.receiver.offering.challenge(&id)).map(|value| (WWW_AUTHENTICATE, value)));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("2"));
        }
        response
    }
}

fn answer(status: StatusCode, kind: &'static str, said: &Value) -> Response<Body> {
    let mut response = Response::new(whole(said.to_string().into_bytes()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn refused(error: &PayeeError) -> Problem {
    match error {
        PayeeError::Refused(refused) => Problem::of(refused),
        other => not_kept(other),
    }
}

fn not_kept(error: &dyn std::fmt::Display) -> Problem {
    tracing::error!(%error, "a payment cannot be kept");
    Problem::new(503, "verification-failed", "not-kept", "payments cannot be kept here".to_owned())
}

fn now() -> u64 {
    bridge::io::clock::now().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use payments::voucher::Voucher;

    use super::*;

    fn voucher(channel: u8, total: u128) -> SignedVoucher {
        let voucher = Voucher { channel_id: B256::repeat_byte(channel), cumulative_amount: total };
        SignedVoucher { voucher, signature: vec![9; 65].into() }
    }

    #[test]
    fn the_largest_of_each_channel_is_there_again_and_half_a_line_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("vouchers.jsonl");
        let mut vouchers = Vouchers::open(&path).expect("fresh");
        for (channel, total) in [(1, 10), (2, 5), (1, 30), (1, 20)] {
            vouchers.add(&voucher(channel, total)).expect("a disk");
        }
        vouchers.file.write_all(b"{\"channelId\"").expect("a disk");
        let again = Vouchers::open(&path).expect("it reads");
        let totals: Vec<u128> = again.best.values().map(|signed| signed.voucher.cumulative_amount).collect();
        assert_eq!((totals, again.lines), (vec![30, 5], 2));
    }

    #[test]
    fn what_a_full_disk_did_not_take_is_taken_when_there_is_room_and_no_line_is_torn() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("vouchers.jsonl");
        let mut vouchers = Vouchers::open(&path).expect("fresh");
        vouchers.add(&voucher(1, 10)).expect("a disk");
        vouchers.file.write_all(b"{\"channelId\"").expect("as much as there was room for");
        vouchers.file = File::options().write(true).open("/dev/full").expect("it is there");
        assert!(vouchers.add(&voucher(1, 20)).is_err());
        vouchers.add(&voucher(1, 20)).expect("a disk that has room again");
        vouchers.add(&voucher(2, 5)).expect("a disk");
        let again = Vouchers::open(&path).expect("each line is whole");
        let totals: Vec<u128> = again.best.values().map(|signed| signed.voucher.cumulative_amount).collect();
        assert_eq!(totals, [20, 5]);
    }

    #[test]
    fn the_file_does_not_grow_for_ever() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("vouchers.jsonl");
        let mut vouchers = Vouchers::open(&path).expect("fresh");
        // Not a sync for each: what counts is how many lines there are.
        vouchers.lines = MOST_LINES;
        vouchers.add(&voucher(1, 1)).expect("a disk");
        vouchers.lines = MOST_LINES + 1;
        vouchers.add(&voucher(1, 2)).expect("a disk");
        let text = std::fs::read_to_string(&path).expect("it is there");
        assert_eq!((text.lines().count(), vouchers.lines), (1, 1));
    }
}
