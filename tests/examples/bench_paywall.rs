//! Paid HTTP requests through `causeway pay serve` before an HTTP server, over a whole network: `make bench`, or
//! `cargo run --release -p causeway-tests --example bench_paywall -- [PAYMENTS]`.
//!
//! Payments are signed and made into requests before the clock starts, by eight payers; whoever waits keeps its connection. Each row is
//! compared with the same pages from the server itself, so that what is added is the paywall's, and the chain's where a payment is settled
//! for each page. Asserts nothing about time.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use alloy_primitives::{B256, U256, hex};
use bridge::io::sidechain::Account;
use contracts::coin;
use paywall::authorization::{Authorization, Token};
use paywall::x402::{self, PaymentPayload, PaymentRequired};
use serde_json::json;
use tests::channel_payer::ChannelPayer;
use tests::http::send;
use tests::known::DEVELOPER_1;
use tests::load::SECRETS;
use tests::network::{Network, Options};
use tests::presigned::Connection;
use tests::shop::{Paywall, TEXT, Upstream};

/// Payments where the command line names no number.
const PAYMENTS: u64 = 4_000;
/// Requests without payment.
const PAGES: usize = 20_000;
/// Connections with a request each, without and with payment: below what the paywall settles at a time.
const READERS: usize = 16;
const BUYERS: usize = 128;
/// How long latency is measured at a tenth of the load.
const CALM: Duration = Duration::from_secs(10);
const PRICE_SAT: u64 = 25;

fn main() {
    let payments = std::env::args().nth(1).map_or(PAYMENTS, |text| text.parse().expect("a number"));
    let network = Network::start(Options { fund: true, ..Options::default() });
    let upstream = Upstream::start();
    let prices = ["--price", "/weather=25 sat", "--price", "/free=0 sat"];
    let paywall = Paywall::start(network.home(), &network.rpc(1), &upstream.url(), &prices);
    let payers = payers(&network);
    let [server, shop] = [upstream.url(), paywall.url.clone()].map(|url| address(&url));

    println!("{payments} payments of {PRICE_SAT} sat by {} payers, four validators", payers.len());
    println!("requests                                    a second   median      99th   added median      99th");
    let plain = load(server, pages("/free", PAGES), READERS, None);
    plain.print("the server itself", &plain);
    load(shop, pages("/free", PAGES), READERS, None).print("a page that is free", &plain);
    load(shop, pages("/weather", PAGES), READERS, None).print("a page that is asked for without payment", &plain);
    let full = load(shop, paid(&payers, &paywall.url, payments), BUYERS, None);
    full.print("a payment settled for each page", &plain);
    let by_voucher = load(shop, vouchers(&payers, &paywall.url, PAGES), BUYERS, None);
    by_voucher.print("a voucher of a session for each page", &plain);
    let rate = (full.rate / 10).max(1);
    let calm = load(shop, paid(&payers, &paywall.url, rate * CALM.as_secs()), BUYERS, Some(rate));
    calm.print("a payment settled, a tenth of that load", &plain);
    let rate = (by_voucher.rate / 10).max(1);
    let count = usize::try_from(rate * CALM.as_secs()).expect("few");
    load(shop, vouchers(&payers, &paywall.url, count), BUYERS, Some(rate))
        .print("a voucher, a tenth of that load", &plain);
}

/// Developer accounts with wrapped coins; the first two have other work.
fn payers(network: &Network) -> Vec<Account> {
    let wrap = |index: usize| {
        let account = index.to_string();
        let wrapped = network.causeway(&["pay", "wrap", "50000000 sat", "--dev-account", &account]);
        assert_eq!(wrapped.code, Some(0), "{wrapped}");
        let secret: [u8; 32] = hex::FromHex::from_hex(SECRETS[index]).expect("hex");
        Account::from_secret(&secret).expect("a known secret")
    };
    (2..SECRETS.len()).map(wrap).collect()
}

fn address(url: &str) -> SocketAddr {
    url.trim_start_matches("http://").parse().expect("an address")
}

fn pages(path: &str, count: usize) -> VecDeque<Vec<u8>> {
    std::iter::repeat_n(get(path, ""), count).collect()
}

/// Payments of x402 for what is demanded now, whose payers take turns.
fn paid(payers: &[Account], url: &str, count: u64) -> VecDeque<Vec<u8>> {
    let token = Token::wrapped_btc(sidechain::genesis::DEV_CHAIN_ID);
    let amount = coin::wei(PRICE_SAT);
    let demanded = send(url, "GET", "/weather", &[], b"");
    let required: PaymentRequired = x402::decode(demanded.header("payment-required")).expect("it demands");
    let accepted = &required.accepts[0];
    let until = bridge::io::clock::now().expect("after 1970") + 3_600;
    let payment = |payer: &Account| {
        let authorization = Authorization {
            from: payer.address(),
            to: DEVELOPER_1,
            value: amount,
            valid_after: U256::ZERO,
            valid_before: U256::from(until),
            nonce: B256::from(rand::random::<[u8; 32]>()),
        };
        let signature = payer.sign_digest(token.digest(&authorization));
        let payload =
            json!({ "authorization": authorization, "signature": hex::encode_prefixed(signature.as_bytes()) });
        let payment =
            PaymentPayload { x402_version: x402::VERSION, accepted: accepted.clone(), payload, resource: None };
        get("/weather", &format!("{}: {}\r\n", x402::SIGNATURE, x402::encode(&payment)))
    };
    payers.iter().cycle().take(usize::try_from(count).expect("few")).map(payment).collect()
}

/// Vouchers on channels that are opened for them, one of each payer, who take turns.
fn vouchers(payers: &[Account], url: &str, count: usize) -> VecDeque<Vec<u8>> {
    let price: u128 = coin::wei(PRICE_SAT).to();
    let rounds = u128::try_from(count.div_ceil(payers.len())).expect("few");
    let open = |account: &Account| {
        let payer = ChannelPayer::new(account, url, "/weather", DEVELOPER_1, sidechain::genesis::DEV_CHAIN_ID);
        let opened = payer.ask("HEAD", "/weather", payer.open(rounds * price, price));
        assert_eq!(opened.status, 200, "{opened:?}");
        payer
    };
    let channels: Vec<ChannelPayer> = payers.iter().map(open).collect();
    let paid = |total| channels.iter().map(move |payer| payer.credential(payer.voucher(total)));
    let all = (1..=rounds).flat_map(|round| paid(round * price).collect::<Vec<_>>());
    all.take(count).map(|credential| get("/weather", &format!("authorization: {credential}\r\n"))).collect()
}

fn get(path: &str, field: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n{field}\r\n").into_bytes()
}

/// How long answers took.
struct Measured {
    /// Answers a second.
    rate: u64,
    median: Duration,
    /// 99th percentile.
    worst: Duration,
}

impl Measured {
    fn print(&self, name: &str, plain: &Self) {
        let ms = |time: Duration| format!("{}.{:02} ms", time.as_millis(), time.as_micros() % 1_000 / 10);
        let added = [self.median.saturating_sub(plain.median), self.worst.saturating_sub(plain.worst)].map(ms);
        let [median, worst] = [self.median, self.worst].map(ms);
        println!("{name:<42} {:>9} {median:>9} {worst:>9} {:>14} {:>9}", self.rate, added[0], added[1]);
    }
}

/// Sends requests, each when its connection has the answer of the one before, and no more a second than `rate`.
fn load(server: SocketAddr, requests: VecDeque<Vec<u8>>, connections: usize, rate: Option<u64>) -> Measured {
    let is_paid = requests.front().is_some_and(|request| request.starts_with(b"GET /weather") && request.len() > 200);
    let is_asked = requests.front().is_some_and(|request| request.starts_with(b"GET /weather"));
    let pause = rate.map(|rate| Duration::from_secs(1) / u32::try_from(rate).expect("thousands"));
    let count = requests.len();
    let queue = Mutex::new((0_u32, requests));
    let started = Instant::now();
    let converse = || {
        let mut connection = Connection::open(server);
        let mut times = Vec::new();
        loop {
            let next = {
                let mut queue = queue.lock().expect("whole");
                let number = queue.0;
                queue.0 += 1;
                queue.1.pop_front().map(|request| (number, request))
            };
            let Some((number, request)) = next else { return times };
            let due = pause.map(|pause| started + pause * number);
            if let Some(due) = due {
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            let sent = Instant::now();
            connection.write(&request);
            let body = connection.answer();
            times.push(sent.elapsed());
            assert_eq!(body == TEXT, is_paid || !is_asked, "{body}");
        }
    };
    let mut times: Vec<Duration> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..connections).map(|_| scope.spawn(converse)).collect();
        all.into_iter().flat_map(|one| one.join().expect("it asks")).collect()
    });
    let took = started.elapsed();
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)];
    let rate = count as u128 * 1_000 / took.as_millis().max(1);
    Measured { rate: u64::try_from(rate).unwrap_or(u64::MAX), median: at(50), worst: at(99) }
}
