//! Paid HTTP requests: `causeway pay serve` before a server, over a node, and who pays.
//!
//! Clients are those of the registries, unmodified (`tests/clients`), `causeway pay fetch`, and requests made by hand where a client would not misbehave so.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use alloy_primitives::{B256, U256};
use bridge::io::sidechain::{Account, Call, Client, Fees, Pending};
use contracts::address::WRAPPED_BTC;
use contracts::{WrappedBtc, coin};
use paywall::authorization::{Authorization, Token};
use paywall::mpp::{self, Challenge, Credential, Payload};
use paywall::wallet;
use paywall::x402::{self, PaymentPayload, PaymentRequired};
use serde_json::{Value, json};
use tests::binary;
use tests::http::{Answer, post, send};
use tests::known::{CHAIN_ID, DEVELOPER_0, DEVELOPER_0_KEY, DEVELOPER_1};
use tests::lone_node::LoneNode;
use tests::shop::{Paywall, TEXT, Upstream, node_with_wrapped};

#[path = "paywall/discovery.rs"]
mod discovery;
#[path = "paywall/faults.rs"]
mod faults;
#[path = "paywall/settling.rs"]
mod settling;

/// What `/weather` costs.
const PRICE_SAT: u64 = 25;

const PRICES: [&str; 16] = [
    "--price",
    "/weather=25 sat",
    "--price",
    "/weather/*=30 sat",
    "--price",
    "/failing=25 sat",
    "--price",
    "/hanging=25 sat",
    "--price",
    "/breaking=25 sat",
    "--price",
    "/large=25 sat",
    "--price",
    "/asking=25 sat",
    "--price",
    "/free=0 sat",
];

/// A node, a server and a paywall before it; developer account 0 has wrapped coins.
struct Shop {
    paywall: Paywall,
    upstream: Upstream,
    node: LoneNode,
}

impl Shop {
    fn open(more: &[&str]) -> Self {
        let node = node_with_wrapped(100_000);
        let upstream = Upstream::start();
        let paywall = Self::start(&node, &upstream, more);
        Self { paywall, upstream, node }
    }

    fn start(node: &LoneNode, upstream: &Upstream, more: &[&str]) -> Paywall {
        Paywall::start(&node.home(), &node.url(), &upstream.url(), &[&PRICES[..], more].concat())
    }

    /// Satoshis of the token that the payee has.
    fn taken(&self) -> u64 {
        let call = format!("0x70a08231{:0>64}", alloy_primitives::hex::encode(DEVELOPER_1));
        let params = json!([{ "to": WRAPPED_BTC, "input": call }, "latest"]);
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_call", "params": params });
        let answer = post(&self.node.url(), "/", &[("content-type", "application/json")], body.to_string().as_bytes());
        let json: Value = serde_json::from_str(&answer.body).expect("JSON");
        let wei: U256 = json["result"].as_str().expect("a number").parse().expect("a number");
        (wei / U256::from(coin::WEI_PER_SAT)).to()
    }

    fn get(&self, target: &str, headers: &[(&str, &str)]) -> Answer {
        send(&self.paywall.url, "GET", target, headers, b"")
    }

    /// Demands a page, and gets both demands for it.
    fn demand(&self, target: &str) -> (Challenge, PaymentRequired) {
        let answer = self.get(target, &[]);
        assert_eq!(answer.status, 402, "{answer:?}");
        let challenge = wallet::challenges(answer.header("www-authenticate")).remove(0);
        (challenge, x402::decode(answer.header("payment-required")).expect("ours"))
    }

    fn by_mpp(&self, target: &str, change: impl FnOnce(&mut Challenge, &mut Authorization)) -> (&'static str, String) {
        let (mut challenge, required) = self.demand(target);
        let mut authorization = Authorization { nonce: challenge.nonce(), ..authorization(&required) };
        change(&mut challenge, &mut authorization);
        ("authorization", mpp(challenge, authorization))
    }

    fn by_x402(
        &self,
        target: &str,
        change: impl FnOnce(&mut PaymentPayload, &mut Authorization),
    ) -> (&'static str, String) {
        let (_, required) = self.demand(target);
        let mut authorization = authorization(&required);
        let mut payload = PaymentPayload {
            x402_version: 2,
            accepted: required.accepts[0].clone(),
            payload: Value::Null,
            resource: None,
        };
        change(&mut payload, &mut authorization);
        payload.payload = json!({ "authorization": authorization, "signature": signed(&authorization) });
        ("payment-signature", x402::encode(&payload))
    }

    /// The code of the problem with which this payment is refused.
    fn refusal(&self, target: &str, payment: (&str, String)) -> (u16, String) {
        let answer = self.get(target, &[(payment.0, &payment.1)]);
        let problem: Value = serde_json::from_str(&answer.body).unwrap_or_else(|_| panic!("{answer:?}"));
        assert_eq!(answer.header("content-type"), "application/problem+json");
        (answer.status, problem["code"].as_str().expect("a code").to_owned())
    }

    fn metric(&self, name: &str) -> String {
        let url = self.paywall.metrics.strip_suffix("/metrics").expect("its path");
        let text = send(url, "GET", "/metrics", &[], b"").body;
        let line = text.lines().find(|line| line.starts_with(&format!("causeway_paywall_{name} ")));
        line.and_then(|line| line.split(' ').nth(1)).unwrap_or_default().to_owned()
    }
}

fn payer() -> Account {
    Account::from_secret(&DEVELOPER_0_KEY.0).expect("a key")
}

fn signed(authorization: &Authorization) -> String {
    let signature = payer().sign_digest(Token::wrapped_btc(CHAIN_ID).digest(authorization));
    alloy_primitives::hex::encode_prefixed(signature.as_bytes())
}

fn authorization(required: &PaymentRequired) -> Authorization {
    let accepted = &required.accepts[0];
    Authorization {
        from: DEVELOPER_0,
        to: accepted.pay_to.parse().expect("an address"),
        value: accepted.amount,
        valid_after: U256::ZERO,
        valid_before: U256::from(now() + 200),
        nonce: B256::from(rand::random::<[u8; 32]>()),
    }
}

fn mpp(challenge: Challenge, authorization: Authorization) -> String {
    let signature = signed(&authorization).parse().expect("hex");
    let payload = Payload { kind: mpp::AUTHORIZATION.into(), authorization, signature };
    Credential { challenge, payload, source: None }.encode()
}

fn now() -> u64 {
    bridge::io::clock::now().expect("after 1970")
}

// ---------------------------------------------------------------- clients

/// A client pays for pages until it ends, and each was paid for once.
fn client_pays(program: &Path, arguments: &[&str]) {
    let shop = Shop::open(&[]);
    let text = client(&shop, program, arguments);
    let pages = shop.upstream.asked("/weather");
    assert!(pages > 0, "{text}");
    assert_eq!(shop.taken(), pages * PRICE_SAT, "each page was paid for once: {text}");
}

/// Runs a client of `tests/clients` against a shop, and gives what it wrote.
fn client(shop: &Shop, program: &Path, arguments: &[&str]) -> String {
    let client = Command::new(program)
        .args(arguments)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("clients"))
        .env("CAUSEWAY_PAGE", format!("{}/weather", shop.paywall.url))
        .env("CAUSEWAY_TEXT", TEXT)
        .env("CAUSEWAY_AMOUNT", coin::wei(PRICE_SAT).to_string())
        .env("CAUSEWAY_CHAIN", CHAIN_ID.to_string())
        .env("CAUSEWAY_KEY", DEVELOPER_0_KEY.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let client = client.unwrap_or_else(|error| panic!("{}: {error}; run `make deps`", program.display()));
    let output = binary::end(client, &program.display().to_string());
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{arguments:?}: {}\n{text}", output.status);
    text
}

fn python() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/web3/bin/python")
}

#[test]
fn x402_from_npm_pays_and_gets_the_page() {
    client_pays(Path::new("node"), &["x402_fetch.mjs"]);
}

#[test]
fn x402_from_pypi_pays_and_gets_the_page() {
    client_pays(&python(), &["x402_client.py"]);
}

#[test]
fn mppx_from_npm_pays_and_gets_the_page() {
    client_pays(Path::new("node"), &["mppx.mjs"]);
}

#[test]
fn mpp_from_crates_io_pays_and_gets_the_page() {
    // Beside this package's own binaries: `scripts/deps` builds it.
    let client = binary::path().ancestors().nth(2).expect("target/debug").join("clients/debug/causeway-mpp-client");
    client_pays(&client, &[]);
}

#[test]
fn x402_from_npm_asks_the_facilitator() {
    let shop = Shop::open(&["--facilitator"]);
    client(&shop, Path::new("node"), &["x402_facilitator.mjs"]);
    assert_eq!((shop.taken(), shop.upstream.asked("/weather")), (PRICE_SAT, 0));
}

#[test]
fn pay_fetch_pays_and_gets_the_page() {
    let shop = Shop::open(&[]);
    let url = format!("{}/weather", shop.paywall.url);
    let fetched = shop.node.causeway(&["--json", "pay", "fetch", &url, "--max", "25 sat", "--dev-account", "0"], "");
    let event = &fetched.json()[0];
    assert_eq!((&event["body"], &event["protocol"]), (&TEXT.into(), &"mpp".into()), "{event}");
    assert_eq!(event["amount"], coin::wei(PRICE_SAT).to_string());
    assert!(event["transaction"].as_str().is_some_and(|hash| hash.len() == 66), "{event}");
    let plain = shop.node.causeway(&["pay", "fetch", &url, "--max", "25 sat", "--dev-account", "0"], "");
    assert_eq!((plain.code, plain.stdout.as_str()), (Some(0), TEXT), "{plain}");
    assert_eq!(shop.taken(), 2 * PRICE_SAT);
    let dear = shop.node.causeway(&["pay", "fetch", &url, "--max", "24 sat", "--dev-account", "0"], "");
    dear.fails_saying(&["asks for", "the limit is"]);
    let poor = shop.node.causeway(&["pay", "fetch", &url, "--max", "25 sat", "--dev-account", "2"], "");
    poor.fails_saying(&["of wrapped coins", "causeway pay wrap"]);
    let free = format!("{}/free", shop.paywall.url);
    let free = shop.node.causeway(&["pay", "fetch", &free, "--max", "0 sat", "--dev-account", "0"], "");
    assert_eq!((free.code, free.stdout.as_str()), (Some(0), TEXT), "{free}");
    assert_eq!(shop.taken(), 2 * PRICE_SAT, "nothing more was paid");
}

// ---------------------------------------------------------------- one payment, one page

#[test]
fn what_was_paid_by_one_protocol_pays_nothing_by_the_other_nor_elsewhere() {
    let shop = Shop::open(&[]);
    let (challenge, required) = shop.demand("/weather");
    let authorization = Authorization { nonce: challenge.nonce(), ..authorization(&required) };
    let by_mpp = ("authorization", mpp(challenge, authorization));
    let payload = PaymentPayload {
        x402_version: 2,
        accepted: required.accepts[0].clone(),
        payload: json!({ "authorization": authorization, "signature": signed(&authorization) }),
        resource: None,
    };
    let by_x402 = ("payment-signature", x402::encode(&payload));
    let paid = shop.get("/weather", &[(by_mpp.0, &by_mpp.1)]);
    assert_eq!((paid.status, paid.body.as_str(), paid.header("cache-control")), (200, TEXT, "private"), "{paid:?}");
    assert!(!paid.header("payment-receipt").is_empty());
    for target in ["/weather", "/weather?city=Oslo", "/failing"] {
        assert_eq!(shop.refusal(target, by_x402.clone()), (402, "replayed".to_owned()), "{target}");
    }
    assert_eq!(shop.refusal("/weather", by_mpp.clone()), (402, "replayed".to_owned()));
    assert_eq!(shop.refusal("/failing", by_mpp.clone()), (402, "other-request".to_owned()));
    assert_eq!(shop.refusal("/weather/tomorrow", by_x402), (402, "too-little".to_owned()));
    assert_eq!((shop.taken(), shop.upstream.asked("/weather")), (PRICE_SAT, 1));
    let head = shop.upstream.heads().remove(0).to_lowercase();
    assert!(head.contains("causeway-payer: 0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"), "{head}");
    assert!(!head.contains("authorization:"), "the upstream is not shown the payment: {head}");
}

#[test]
fn nobody_forges_what_the_upstream_is_told_of_a_payment() {
    let shop = Shop::open(&[]);
    let (name, value) = shop.by_mpp("/weather", |_, _| ());
    let forged = [("Causeway_Payer", "0xdead"), ("causeway-Payment", "0xdead"), ("CAUSEWAY_PAYMENT", "0xdead")];
    assert_eq!(shop.get("/weather", &[&forged[..], &[(name, value.as_str())]].concat()).status, 200);
    let head = shop.upstream.heads().remove(0).to_lowercase();
    assert!(!head.contains("causeway_") && !head.contains("dead"), "{head}");
}

#[test]
fn what_was_paid_for_and_could_not_be_written_is_fetched_again_without_another_payment() {
    let shop = Shop::open(&[]);
    let url = format!("{}/weather", shop.paywall.url);
    let fetch = |file: &str| {
        shop.node.causeway(&["pay", "fetch", &url, "--max", "25 sat", "--dev-account", "0", "--output", file], "")
    };
    fetch("/nowhere/page").fails_saying(&["cannot write /nowhere/page", "nothing was paid"]);
    assert_eq!((shop.taken(), shop.upstream.asked("/weather")), (0, 0));
    // A disk that is full.
    fetch("/dev/full").fails_saying(&["the page came", "cannot be written", "Nothing more is paid"]);
    assert_eq!(shop.taken(), PRICE_SAT);
    let page = shop.node.home().join("page");
    assert_eq!(fetch(&page.display().to_string()).code, Some(0));
    assert_eq!(std::fs::read_to_string(&page).expect("written"), TEXT);
    assert_eq!((shop.taken(), shop.upstream.asked("/weather")), (PRICE_SAT, 1), "the answer was kept");
}

#[test]
fn an_upstream_that_asks_for_money_itself_makes_no_payer_pay_twice() {
    let shop = Shop::open(&[]);
    let url = format!("{}/asking", shop.paywall.url);
    let fetch = || shop.node.causeway(&["pay", "fetch", &url, "--max", "25 sat", "--dev-account", "0"], "");
    for _ in 0..2 {
        fetch().fails_saying(&["has the payment", "asks for money itself", "The same command"]);
    }
    assert_eq!(shop.taken(), PRICE_SAT, "once");
}

#[test]
fn sixty_four_requests_with_one_payment_get_one_page() {
    let shop = Shop::open(&[]);
    let (name, value) = shop.by_x402("/weather", |_, _| ());
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let ask = || shop.get("/weather", &[(name, &value)]).status;
        let all: Vec<_> = (0..64).map(|_| scope.spawn(ask)).collect();
        all.into_iter().map(|one| one.join().expect("it asks")).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| matches!(status, 200 | 402 | 409)), "{statuses:?}");
    assert_eq!((shop.taken(), shop.upstream.asked("/weather")), (PRICE_SAT, 1));
}

#[test]
fn sixty_four_requests_with_one_payment_and_one_key_all_get_the_page_that_was_paid_for_once() {
    let shop = Shop::open(&[]);
    let (name, value) = shop.by_x402("/weather", |_, _| ());
    let keyed = [(name, value.as_str()), ("idempotency-key", "8e03978e-40d5-43dd-bc93-6894a57f9324")];
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..64).map(|_| scope.spawn(|| shop.get("/weather", &keyed))).collect();
        all.into_iter().map(|one| one.join().expect("it asks")).collect()
    });
    for answer in &answers {
        assert_eq!((answer.status, answer.body.as_str()), (200, TEXT), "{answer:?}");
    }
    assert_eq!((shop.taken(), shop.upstream.asked("/weather")), (PRICE_SAT, 1));
    assert_eq!(shop.metric("repeated_total"), "63");
    let other = [(name, value.as_str()), ("idempotency-key", "another")];
    assert_eq!(shop.get("/weather", &other).status, 402);
}

/// The payer brings its authorization to the token itself, before the payee's transaction in the same block: that one fails, and the payee has the money.
#[test]
fn whoever_brings_a_payment_to_the_token_it_counts() {
    let shop = Shop::open(&[]);
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    let client = Client::new(&shop.node.url()).expect("a URL");
    for tries in 1..=40 {
        let (_, required) = shop.demand("/weather");
        let authorization = authorization(&required);
        let signature = signed(&authorization);
        let payload = json!({ "authorization": authorization, "signature": signature });
        let payment =
            PaymentPayload { x402_version: 2, accepted: required.accepts[0].clone(), payload, resource: None };
        let transaction = runtime.block_on(bring(&client, &authorization, &signature));
        let answer = std::thread::scope(|scope| {
            let asking = scope.spawn(|| shop.get("/weather", &[("payment-signature", &x402::encode(&payment))]));
            std::thread::sleep(Duration::from_millis(5 + tries * 3 % 40));
            runtime.block_on(client.send_raw(&transaction.raw)).expect("it is taken");
            asking.join().expect("it asks")
        });
        runtime.block_on(client.wait(&transaction, Duration::from_secs(20))).map(drop).unwrap_or_default();
        assert_eq!(shop.taken(), tries * PRICE_SAT, "it is paid once, whoever was first");
        let settled: x402::SettleResponse = x402::decode(answer.header("payment-response")).expect("ours");
        assert_eq!(settled.success, answer.status == 200, "{answer:?}");
        if settled.transaction == transaction.hash.to_string() {
            return;
        }
    }
    panic!("the payee was first each time");
}

/// The payer's own transaction, which pays far more for its place than the payee's.
async fn bring(client: &Client, authorization: &Authorization, signature: &str) -> Pending {
    let Authorization { from, to, value, valid_after, valid_before, nonce } = *authorization;
    let call = WrappedBtc::transferWithAuthorization_0Call {
        from,
        to,
        value,
        validAfter: valid_after,
        validBefore: valid_before,
        nonce,
        signature: signature.parse().expect("hex"),
    };
    let usual = client.fees().await.expect("a node");
    let fees = Fees { max_fee: usual.max_fee * 100, priority_fee: usual.max_fee * 50 };
    let own = client.pending_nonce(from).await.expect("a node");
    payer().sign(CHAIN_ID, own, 200_000, fees, &Call::new(WRAPPED_BTC, &call))
}

#[test]
fn many_payments_at_once_are_each_settled() {
    let shop = Shop::open(&[]);
    let payments: Vec<_> = (0..24).map(|_| shop.by_x402("/weather", |_, _| ())).collect();
    std::thread::scope(|scope| {
        for (name, value) in &payments {
            scope.spawn(|| assert_eq!(shop.get("/weather", &[(name, value)]).status, 200));
        }
    });
    assert_eq!(shop.taken(), 24 * PRICE_SAT);
    assert_eq!(shop.metric("paid_wei_total"), coin::wei(24 * PRICE_SAT).to_string());
}

#[test]
fn what_an_upstream_failed_to_give_is_asked_for_again_without_paying_again() {
    let shop = Shop::open(&[]);
    shop.upstream.fail(2);
    let (name, value) = shop.by_mpp("/failing", |_, _| ());
    for _ in 0..2 {
        let failed = shop.get("/failing", &[(name, &value)]);
        assert_eq!((failed.status, failed.header("payment-receipt")), (500, ""));
    }
    assert_eq!(shop.get("/failing", &[(name, &value)]).body, TEXT);
    assert_eq!(shop.refusal("/failing", (name, value)), (402, "replayed".to_owned()));
    assert_eq!(shop.taken(), PRICE_SAT);
    // The command does so by itself, and what it reads is whole.
    shop.upstream.fail(0);
    let payment = shop.by_x402("/breaking", |_, _| ());
    let broken = shop.get("/breaking", &[(payment.0, &payment.1)]);
    assert_eq!((broken.status, broken.header("retry-after")), (502, "1"), "{broken:?}");
    assert!(broken.body.contains("upstream-failed") && broken.header("www-authenticate").is_empty(), "{broken:?}");
}

#[test]
fn an_upstream_that_hangs_is_left_and_the_payment_stays_good() {
    let shop = Shop::open(&["--upstream-timeout", "1"]);
    let (name, value) = shop.by_x402("/hanging", |_, _| ());
    let left = shop.get("/hanging", &[(name, &value)]);
    assert_eq!(left.status, 502, "{left:?}");
    assert_eq!(shop.get("/hanging", &[(name, &value)]).status, 502);
    assert_eq!(shop.taken(), PRICE_SAT);
}

#[test]
fn a_paywall_that_is_killed_loses_no_payment_and_serves_none_twice() {
    let Shop { paywall, upstream, node } = Shop::open(&["--public-url", "http://shop.example"]);
    let shop = Shop { paywall, upstream, node };
    let delivered = shop.by_x402("/weather", |_, _| ());
    assert_eq!(shop.get("/weather", &[(delivered.0, &delivered.1)]).status, 200);
    let unserved = shop.by_mpp("/failing", |_, _| ());
    shop.upstream.fail(1);
    assert_eq!(shop.get("/failing", &[(unserved.0, &unserved.1)]).status, 500);
    // One is killed while it is settled: nobody knows how far it came.
    let pending = shop.by_x402("/weather", |_, _| ());
    let url = shop.paywall.url.clone();
    let asking = {
        let (url, value) = (url.clone(), pending.1.clone());
        std::thread::spawn(move || send(&url, "GET", "/weather", &[("payment-signature", &value)], b"").status)
    };
    std::thread::sleep(Duration::from_millis(60));
    let Shop { paywall, upstream, node } = shop;
    paywall.kill();
    let _ = asking.join().expect("it ended one way or the other");
    let paywall = Shop::start(&node, &upstream, &["--public-url", "http://shop.example"]);
    let shop = Shop { paywall, upstream, node };
    assert_eq!(shop.refusal("/weather", delivered), (402, "replayed".to_owned()));
    assert_eq!(shop.get("/failing", &[(unserved.0, &unserved.1)]).body, TEXT);
    let served = shop.get("/weather", &[(pending.0, &pending.1)]);
    assert!(served.body == TEXT || served.body.contains("replayed"), "{served:?}");
    assert_eq!(shop.taken(), 3 * PRICE_SAT);
    assert_eq!(shop.upstream.asked("/weather"), 2);
}

#[test]
fn whoever_has_the_key_of_a_payment_gets_the_page_again_after_a_kill_too() {
    let public = ["--public-url", "http://shop.example"];
    let shop = Shop::open(&public);
    let (name, value) = shop.by_mpp("/weather", |_, _| ());
    let keyed = [(name, value.as_str()), ("idempotency-key", "b1946ac92492d2347c6235b4d2611184")];
    assert_eq!(shop.get("/weather", &keyed).body, TEXT);
    assert_eq!((shop.get("/weather", &keyed).body.as_str(), shop.upstream.asked("/weather")), (TEXT, 1));
    let Shop { paywall, upstream, node } = shop;
    paywall.kill();
    let paywall = Shop::start(&node, &upstream, &public);
    let shop = Shop { paywall, upstream, node };
    assert_eq!(shop.get("/weather", &keyed).body, TEXT);
    assert_eq!(shop.refusal("/weather", (name, value.clone())), (402, "replayed".to_owned()), "not without the key");
    assert_eq!(shop.get("/weather", &keyed[1..]).status, 402, "nor with the key alone");
    assert_eq!(shop.taken(), PRICE_SAT);
}

#[test]
fn pay_fetch_shows_the_same_payment_until_it_is_served() {
    let shop = Shop::open(&[]);
    let url = format!("{}/failing", shop.paywall.url);
    let fetch = || shop.node.causeway(&["pay", "fetch", &url, "--max", "25 sat", "--dev-account", "0"], "");
    shop.upstream.fail(5);
    for _ in 0..2 {
        fetch().fails_saying(&["has the payment", "The same command"]);
    }
    let served = fetch();
    assert_eq!((served.code, served.stdout.as_str()), (Some(0), TEXT), "{served}");
    assert_eq!(shop.taken(), PRICE_SAT);
    assert_eq!(fetch().stdout, TEXT);
    assert_eq!(shop.taken(), 2 * PRICE_SAT, "what was served is paid for anew");
}

#[test]
fn an_upstream_that_fails_long_ends_no_payment_and_is_left_to_rest() {
    let shop = Shop::open(&[]);
    let url = format!("{}/failing", shop.paywall.url);
    let fetch = || shop.node.causeway(&["pay", "fetch", &url, "--max", "25 sat", "--dev-account", "0"], "");
    shop.upstream.fail(100);
    for _ in 0..4 {
        fetch().fails_saying(&["has the payment", "500", "The same command"]);
    }
    let asked = shop.upstream.asked("/failing");
    fetch().fails_saying(&["has the payment", "eight times", "asked again in", "The same command"]);
    assert_eq!((asked, shop.upstream.asked("/failing")), (8, 8), "it rests");
    assert_eq!(shop.taken(), PRICE_SAT);

    let (name, value) = shop.by_mpp("/failing", |_, _| ());
    for _ in 0..8 {
        assert_eq!(shop.get("/failing", &[(name, &value)]).status, 500, "as the upstream has it");
    }
    let resting = shop.get("/failing", &[(name, &value)]);
    assert_eq!(resting.problem(), (503, "upstream-failing".to_owned()), "{resting:?}");
    let wait_s: u64 = resting.header("retry-after").parse().expect("seconds");
    assert!((1..=60).contains(&wait_s), "{resting:?}");
    assert!(
        resting.header("www-authenticate").is_empty() && resting.header("payment-required").is_empty(),
        "paid already"
    );
}

// ---------------------------------------------------------------- what is refused

#[test]
fn what_is_wrong_with_a_payment_is_told_and_costs_nothing() {
    let shop = Shop::open(&[]);
    let at = "/weather";
    let cases = [
        ("other-chain", 402, shop.by_x402(at, |payload, _| payload.accepted.network = "eip155:8453".into())),
        ("other-token", 402, shop.by_x402(at, |payload, _| payload.accepted.asset = DEVELOPER_0.to_string())),
        ("other-recipient", 402, shop.by_x402(at, |_, authorization| authorization.to = DEVELOPER_0)),
        ("too-little", 402, shop.by_x402(at, |_, authorization| authorization.value -= U256::from(1))),
        ("too-much", 402, shop.by_x402(at, |_, authorization| authorization.value += U256::from(1))),
        ("expired", 402, shop.by_x402(at, |_, authorization| authorization.valid_before = U256::from(now()))),
        ("not-yet-valid", 402, shop.by_x402(at, |_, authorization| authorization.valid_after = U256::from(now() + 60))),
        ("wrong-signer", 402, shop.by_x402(at, |_, authorization| authorization.from = DEVELOPER_1)),
        ("unsupported", 400, shop.by_x402(at, |payload, _| payload.accepted.scheme = "upto".into())),
        ("malformed-payment", 402, ("payment-signature", "e30=".to_owned())),
        ("never-issued", 402, shop.by_mpp(at, |challenge, _| challenge.realm = "elsewhere".into())),
        ("never-issued", 402, shop.by_mpp(at, |challenge, _| challenge.id.push('A'))),
        ("other-nonce", 402, shop.by_mpp(at, |_, authorization| authorization.nonce = B256::repeat_byte(1))),
        ("malformed-payment", 402, ("authorization", "Payment !".to_owned())),
        ("unsupported", 400, ("authorization", "Payment e30".to_owned())),
    ];
    for (want, status, payment) in cases {
        let got = shop.refusal(at, payment.clone());
        let got_code = if want == "malformed-payment" && got.1 == "unsupported" { "malformed-payment" } else { &got.1 };
        assert!(
            got_code == want && (got.0 == status || want == "malformed-payment"),
            "{want}: {got:?} for {payment:?}"
        );
    }
    let fresh = shop.get(at, &[("payment-signature", "e30=")]);
    assert!(!fresh.header("www-authenticate").is_empty() && !fresh.header("payment-required").is_empty(), "{fresh:?}");
    assert_eq!(fresh.header("cache-control"), "no-store");
    let (name, value) = shop.by_x402(at, |_, _| ());
    let both = shop.get(at, &[(name, &value), ("authorization", "Payment e30")]);
    assert_eq!(both.status, 400);
    let poor = Account::from_secret(&[9; 32]).expect("a key").address();
    let unfunded = shop.by_x402(at, |_, authorization| authorization.from = poor);
    assert_eq!(shop.refusal(at, unfunded).1, "wrong-signer");
    assert_eq!((shop.taken(), shop.upstream.asked("/weather")), (0, 0));
}

#[test]
fn a_payer_who_promises_more_than_it_has_is_stopped_before_it_costs_gas() {
    let shop = Shop::open(&[]);
    let emptied = shop.node.causeway(&["pay", "unwrap", "99950 sat", "--dev-account", "0"], "");
    assert_eq!(emptied.code, Some(0), "{emptied}");
    let payments: Vec<_> = (0..8).map(|_| shop.by_x402("/weather", |_, _| ())).collect();
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let ask = |(name, value): &(&'static str, String)| shop.get("/weather", &[(name, value)]).status;
        let all: Vec<_> = payments.iter().map(|payment| scope.spawn(move || ask(payment))).collect();
        all.into_iter().map(|one| one.join().expect("it asks")).collect()
    });
    let (paid, refused) = (statuses.iter().filter(|status| **status == 200).count(), statuses.len());
    assert!(
        paid <= 2 && statuses.iter().all(|status| matches!(status, 200 | 402)),
        "{paid} of {refused}: {statuses:?}"
    );
    assert_eq!(shop.taken(), paid as u64 * PRICE_SAT);
}

#[test]
fn paths_that_can_be_read_in_two_ways_or_have_no_price_are_not_served() {
    let shop = Shop::open(&[]);
    for target in [
        "/free/../weather",
        "/free/%2e%2e/weather",
        "//weather",
        "/free%2f..%2fweather",
        "/free/..;/weather",
        "/weather;x",
        "/weather%3Bx",
    ] {
        assert_eq!(shop.get(target, &[]).status, 400, "{target}");
    }
    assert_eq!(shop.get("/secret", &[]).status, 404);
    assert_eq!(shop.get("/w%65ather", &[]).status, 402);
    assert_eq!(shop.get("/free", &[]).body, TEXT);
    assert_eq!(shop.upstream.asked("/weather"), 0);
}

#[test]
fn what_is_too_long_is_not_taken() {
    let shop = Shop::open(&["--max-body", "1000"]);
    let long = post(&shop.paywall.url, "/weather", &[], &[b'x'; 1_001]);
    assert_eq!(long.status, 413, "{long:?}");
    assert_eq!(post(&shop.paywall.url, "/weather", &[], &[b'x'; 1_000]).status, 402);
    let head = shop.get("/weather", &[("cookie", &"x".repeat(64 << 10))]);
    assert!(matches!(head.status, 0 | 431), "{head:?}");
}

#[test]
fn a_client_that_does_not_finish_its_request_is_left() {
    let shop = Shop::open(&[]);
    let mut stream = TcpStream::connect(shop.paywall.url.strip_prefix("http://").expect("a URL")).expect("it listens");
    stream.write_all(b"GET /weather HTTP/1.1\r\nhost: x\r\n").expect("it reads");
    stream.set_read_timeout(Some(Duration::from_secs(40))).expect("a time");
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).expect("it is closed");
    assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&rest));
}

// ---------------------------------------------------------------- beside the pages

#[test]
fn what_is_sold_is_told_to_whoever_looks_for_it() {
    let shop = Shop::open(&[]);
    let answer = shop.get("/openapi.json", &[]);
    let document: Value = serde_json::from_str(&answer.body).expect("JSON");
    let head = send(&shop.paywall.url, "HEAD", "/openapi.json", &[], b"");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    let offer = &document["paths"]["/weather"]["get"]["x-payment-info"]["offers"][0];
    assert_eq!(offer["amount"], coin::wei(PRICE_SAT).to_string());
    assert_eq!((shop.metric("chain_up"), shop.metric("settlements_in_flight")), ("1".into(), "0".into()));
    assert_eq!(shop.get("/supported", &[]).status, 404, "it is no facilitator unless it is told to");
}

#[test]
fn a_facilitator_verifies_and_settles_once() {
    let shop = Shop::open(&["--facilitator"]);
    let supported: Value = serde_json::from_str(&shop.get("/supported", &[]).body).expect("JSON");
    assert_eq!(supported["kinds"][0]["network"], format!("eip155:{CHAIN_ID}"));
    let (_, value) = shop.by_x402("/weather", |_, _| ());
    let payload: Value = x402::decode(&value).expect("ours");
    let asked = json!({ "x402Version": 2, "paymentPayload": payload, "paymentRequirements": payload["accepted"] });
    let ask = |path: &str, body: &Value| -> Value {
        let answer =
            post(&shop.paywall.url, path, &[("content-type", "application/json")], body.to_string().as_bytes());
        serde_json::from_str(&answer.body).unwrap_or_else(|_| panic!("{answer:?}"))
    };
    assert_eq!(ask("/verify", &asked)["isValid"], true);
    assert_eq!(shop.taken(), 0);
    let settled = ask("/settle", &asked);
    assert_eq!(settled["success"], true, "{settled}");
    assert_eq!(shop.taken(), PRICE_SAT);
    assert_eq!(ask("/settle", &asked)["errorReason"], "invalid_exact_evm_nonce_already_used");
    assert_eq!(ask("/verify", &asked)["isValid"], false);
    assert_eq!(shop.refusal("/weather", ("payment-signature", value)), (402, "replayed".to_owned()));
    let mut elsewhere = asked.clone();
    elsewhere["paymentRequirements"]["payTo"] = json!(DEVELOPER_0);
    assert_eq!(ask("/verify", &elsewhere)["isValid"], false);
    let malformed = ask("/verify", &json!({}));
    assert_eq!(
        (&malformed["code"], &malformed["status"]),
        (&json!("malformed-payment"), &json!(400)),
        "as its answer's status"
    );
}

/// One nonce, two amounts: the cheap one is settled and its caller hangs up; the dear one is asked for.
#[test]
fn a_facilitator_settles_what_it_says_and_no_other_amount_under_the_same_nonce() {
    let shop = Shop::open(&["--facilitator"]);
    let (_, value) = shop.by_x402("/weather", |_, _| ());
    let dear: PaymentPayload = x402::decode(&value).expect("ours");
    let signed_as: Authorization = serde_json::from_value(dear.payload["authorization"].clone()).expect("ours");
    let of = |amount: U256| {
        let authorization = Authorization { value: amount, ..signed_as };
        let payload = json!({ "authorization": authorization, "signature": signed(&authorization) });
        let accepted = x402::Requirements { amount, ..dear.accepted.clone() };
        let payment = PaymentPayload { payload, accepted: accepted.clone(), ..dear.clone() };
        json!({ "x402Version": 2, "paymentPayload": payment, "paymentRequirements": accepted }).to_string()
    };
    let cheap = coin::wei(PRICE_SAT);
    let (cheap_sat, cheap) = (PRICE_SAT, of(cheap));
    let dear = of(coin::wei(100 * PRICE_SAT));
    let host = shop.paywall.url.strip_prefix("http://").expect("a URL");
    let mut gone = TcpStream::connect(host).expect("it listens");
    let head = format!("POST /settle HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{cheap}", cheap.len());
    gone.write_all(head.as_bytes()).expect("it reads");
    std::thread::sleep(Duration::from_millis(30));
    drop(gone);
    for _ in 0..40 {
        let answer = post(&shop.paywall.url, "/settle", &[], dear.as_bytes());
        let settled: Value = serde_json::from_str(&answer.body).unwrap_or_else(|_| panic!("{answer:?}"));
        assert_eq!(settled["success"], false, "{settled}");
        if shop.taken() == cheap_sat {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(shop.taken(), cheap_sat);
}

#[test]
fn strangers_have_a_facilitator_settle_nothing_that_costs_more_gas_than_it_brings() {
    let token = "6c65742d6d652d696e21";
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("token");
    std::fs::write(&path, token).expect("written");
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("it is ours");
    let path = path.to_str().expect("text");
    let shop = Shop::open(&["--facilitator", "--facilitator-token", path, "--public-url", "http://shop.example"]);
    let asked = |amount: U256| {
        let (_, value) = shop.by_x402("/weather", |payload, authorization| {
            (payload.accepted.amount, authorization.value) = (amount, amount);
        });
        let payload: Value = x402::decode(&value).expect("ours");
        json!({ "x402Version": 2, "paymentPayload": payload, "paymentRequirements": payload["accepted"] }).to_string()
    };
    let bearer = format!("Bearer {token}");
    let settle =
        |amount: U256, fields: &[(&str, &str)]| post(&shop.paywall.url, "/settle", fields, asked(amount).as_bytes());
    for wei in [U256::ZERO, U256::from(1), coin::wei(2)] {
        let answer = settle(wei, &[("authorization", &bearer)]);
        assert!(answer.body.contains("costs more than it brings"), "{wei}: {answer:?}");
    }
    for fields in [&[][..], &[("authorization", "Bearer 6c65742d6d652d696e22")]] {
        let stranger = settle(coin::wei(PRICE_SAT), fields);
        assert_eq!((stranger.status, stranger.header("www-authenticate")), (401, "Bearer"), "{stranger:?}");
    }
    assert_eq!(shop.taken(), 0);
    let settled = settle(coin::wei(PRICE_SAT), &[("authorization", &bearer)]);
    assert!(settled.body.contains("\"success\":true"), "{settled:?}");
    assert_eq!(shop.taken(), PRICE_SAT);
    let serve = ["pay", "serve", "--upstream", "http://127.0.0.1:1", "--price", "/a=25 sat", "--dev-account", "1"];
    let open = [&serve[..], &["--facilitator", "--public-url", "http://shop.example"]].concat();
    shop.node.causeway(&open, "").fails_saying(&["--facilitator-token", "--facilitator-open"]);
}

/// What a stranger writes who reads the chain: authorization and signature are there, the rest is what everybody is told who asks for the page.
fn from_the_chain(shop: &Shop, target: &str, payment: &str) -> (&'static str, String) {
    let seen: PaymentPayload = x402::decode(payment).expect("ours");
    let (_, required) = shop.demand(target);
    let accepted = required.accepts[0].clone();
    ("payment-signature", x402::encode(&PaymentPayload { accepted, ..seen }))
}

#[test]
fn whoever_reads_the_chain_takes_no_page_that_is_owed_to_another() {
    let shop = Shop::open(&[]);
    shop.upstream.fail(1);
    let (name, value) = shop.by_x402("/failing", |_, _| ());
    let keyed = [(name, value.as_str()), ("idempotency-key", "1")];
    assert_eq!(shop.get("/failing", &keyed).status, 500, "settled, and nothing was given");
    let theirs = from_the_chain(&shop, "/failing", &value);
    let guess = [(theirs.0, theirs.1.as_str()), ("idempotency-key", "1")];
    for _ in 0..10 {
        assert_eq!(shop.refusal("/failing", theirs.clone()), (402, "replayed".to_owned()));
        assert_eq!(shop.get("/failing", &guess).status, 402);
    }
    assert_eq!(shop.get("/failing", &keyed).body, TEXT, "it has all its tries");
    assert_eq!(shop.get("/failing", &guess).status, 402, "and its kept answer is its own");
    assert_eq!(shop.get("/failing", &keyed).body, TEXT);
    let bare = shop.by_x402("/weather", |payload, _| payload.accepted.extra = None);
    assert_eq!(shop.refusal("/weather", bare), (402, "never-issued".to_owned()), "before anything is paid");
    assert_eq!((shop.taken(), shop.upstream.asked("/failing")), (PRICE_SAT, 2));
}

/// It is on the chain before the paywall hears of it. The challenge names the request, so nobody else can show it; x402's payment names none.
#[test]
fn what_somebody_brought_before_it_was_shown_is_paid_once_if_it_answers_a_challenge() {
    let shop = Shop::open(&[]);
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    let client = Client::new(&shop.node.url()).expect("a URL");
    let brought = |authorization: &Authorization| {
        runtime.block_on(async {
            let transaction = bring(&client, authorization, &signed(authorization)).await;
            client.send_raw(&transaction.raw).await.expect("it is taken");
            client.wait(&transaction, Duration::from_secs(20)).await.expect("it is carried out");
        });
    };
    let (name, value) = shop.by_mpp("/weather", |_, authorization| brought(authorization));
    let answer = shop.get("/weather", &[(name, &value)]);
    assert_eq!(answer.body, TEXT, "{answer:?}");
    assert_eq!(shop.refusal("/weather", (name, value)), (402, "replayed".to_owned()), "once");
    let less = shop.by_mpp("/weather", |_, authorization| {
        brought(&Authorization { value: U256::from(1), ..*authorization });
    });
    assert_eq!(shop.refusal("/weather", less), (402, "replayed".to_owned()), "what was moved is what counts");
    let unnamed = shop.by_x402("/weather", |_, authorization| brought(authorization));
    assert_eq!(shop.refusal("/weather", unnamed), (402, "replayed".to_owned()));
    assert_eq!((shop.taken(), shop.upstream.asked("/weather")), (2 * PRICE_SAT, 1));
}

/// It is longer than what is kept, so a key cannot have it again; and no fresh one either.
#[test]
fn a_long_page_is_given_once_whatever_key_comes_with_its_payment() {
    let shop = Shop::open(&[]);
    let (name, value) = shop.by_mpp("/large", |_, _| ());
    let keyed = [(name, value.as_str()), ("idempotency-key", "b1946ac92492d2347c6235b4d2611184")];
    assert_eq!(shop.get("/large", &keyed).status, 200);
    for _ in 0..8 {
        assert_eq!(shop.get("/large", &keyed).status, 402);
    }
    assert_eq!((shop.taken(), shop.upstream.asked("/large")), (PRICE_SAT, 1));
}

/// 40 payments at once, all good when they are tried; then its owner moves the balance away and pays more for its place.
#[test]
fn a_payer_who_empties_its_balance_costs_the_payee_a_few_settlements_and_is_settled_no_more() {
    let shop = Shop::open(&[]);
    let kept = shop.node.causeway(&["pay", "unwrap", "99000 sat", "--dev-account", "0"], "");
    assert_eq!(kept.code, Some(0), "{kept}");
    let payments: Vec<_> = (0..40).map(|_| shop.by_x402("/weather", |_, _| ())).collect();
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    let client = Client::new(&shop.node.url()).expect("a URL");
    let away = runtime.block_on(async {
        let usual = client.fees().await.expect("a node");
        let fees = Fees { max_fee: usual.max_fee * 100, priority_fee: usual.max_fee * 50 };
        let call = WrappedBtc::transferCall { to: DEVELOPER_1, value: coin::wei(1_000) };
        let own = client.pending_nonce(DEVELOPER_0).await.expect("a node");
        payer().sign(CHAIN_ID, own, 100_000, fees, &Call::new(WRAPPED_BTC, &call))
    });
    let codes: Vec<(u16, String)> = std::thread::scope(|scope| {
        let all: Vec<_> =
            payments.iter().map(|payment| scope.spawn(|| shop.get("/weather", &[(payment.0, &payment.1)]))).collect();
        std::thread::sleep(Duration::from_millis(20));
        let _ = runtime.block_on(client.send_raw(&away.raw)); // Too late for the balance is as good.
        all.into_iter().map(|one| one.join().expect("it asks")).map(|answer| (answer.status, answer.body)).collect()
    });
    let failed = codes.iter().filter(|(_, body)| body.contains("sent and not carried out")).count();
    let paid = codes.iter().filter(|(status, _)| *status == 200).count();
    assert!(failed <= 4 + paid, "{failed} failed after {paid} were paid: {codes:?}");
    assert!(codes.iter().all(|(status, _)| matches!(status, 200 | 402 | 429 | 503)), "{codes:?}");
}

#[test]
fn a_page_that_costs_more_gas_than_it_brings_is_sold_by_channels_alone() {
    let open = |more: &[&str]| Shop::open(&[&["--price", "/cheap=1 sat"][..], more].concat());
    let shop = open(&[]);
    let demand = shop.get("/cheap", &[]);
    let intents: Vec<String> =
        wallet::challenges(demand.header("www-authenticate")).into_iter().map(|challenge| challenge.intent).collect();
    assert_eq!((demand.status, intents), (402, vec!["session".to_owned()]), "{demand:?}");
    let required: PaymentRequired = x402::decode(demand.header("payment-required")).expect("ours");
    let schemes: Vec<_> = required.accepts.iter().map(|accepted| accepted.scheme.as_str()).collect();
    assert_eq!(schemes, ["batch-settlement"]);
    let (_, mut required) = shop.demand("/weather");
    required.accepts[0].amount = coin::wei(1);
    let authorization = authorization(&required);
    let payload = json!({ "authorization": authorization, "signature": signed(&authorization) });
    let payment = PaymentPayload { x402_version: 2, accepted: required.accepts[0].clone(), payload, resource: None };
    let code = shop.refusal("/cheap", ("payment-signature", x402::encode(&payment)));
    assert_eq!(code, (503, "below-cost".to_owned()));
    assert_eq!(shop.taken(), 0);
    drop(shop);
    // Sessions are paid to the account that signs alone.
    let shop = open(&["--no-batch", "--pay-to", &DEVELOPER_0.to_string()]);
    let none = shop.get("/cheap", &[]);
    assert!(none.status == 503 && none.body.contains("below-cost") && none.header("retry-after") == "60", "{none:?}");
    assert_eq!(shop.get("/weather", &[]).status, 402);
    drop(shop);
    let shop = open(&["--no-batch", "--at-a-loss"]);
    let (name, value) = shop.by_x402("/cheap", |_, _| ());
    assert_eq!(shop.get("/cheap", &[(name, &value)]).body, TEXT);
    assert_eq!(shop.taken(), 1);
}

#[test]
fn two_fields_with_payments_are_two_payments_and_nothing_asks_the_upstream_for_another_request() {
    let shop = Shop::open(&[]);
    let (name, value) = shop.by_x402("/weather", |_, _| ());
    let twice = shop.get("/weather", &[(name, &value), (name, &value)]);
    assert!(twice.status == 400 && twice.body.contains("two-payments"), "{twice:?}");
    let (field, credential) = shop.by_mpp("/weather", |_, _| ());
    let beside = shop.get("/weather", &[("authorization", "Bearer x"), (field, &credential)]);
    assert!(beside.status == 400 && beside.body.contains("two-payments"), "{beside:?}");
    assert_eq!(shop.taken(), 0);
    let others = [
        ("x-original-url", "/secret"),
        ("x-rewrite-url", "/secret"),
        ("x-http-method-override", "DELETE"),
        ("x-kept", "1"),
    ];
    assert_eq!(shop.get("/weather", &[&[(name, value.as_str())][..], &others[..]].concat()).body, TEXT);
    let head = shop.upstream.heads().remove(0).to_lowercase();
    assert!(head.contains("x-kept") && !head.contains("/secret") && !head.contains("override"), "{head}");
}

#[test]
fn an_upstream_that_asks_for_money_itself_is_not_heard_by_who_has_paid() {
    let shop = Shop::open(&[]);
    let (name, value) = shop.by_mpp("/asking", |_, _| ());
    let answer = shop.get("/asking", &[(name, &value)]);
    assert_eq!(
        (answer.problem(), answer.header("www-authenticate")),
        ((502, "upstream-failed".to_owned()), ""),
        "{answer:?}"
    );
    let long = shop.get("/free", &[("cookie", &"x".repeat(33 << 10))]);
    assert!(matches!(long.status, 0 | 431), "{long:?}");
}
