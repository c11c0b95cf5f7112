//! Paid HTTP requests: `causeway pay serve` before a server, over a node, and who pays.
//!
//! Clients are those of the registries, unmodified (`tests/clients`), `causeway pay fetch`, and requests made by hand where a client would not misbehave so.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use alloy_primitives::{Address, B256, U256, b256};
use bridge::io::sidechain::Account;
use contracts::coin;
use paywall::authorization::{Authorization, Token};
use paywall::mpp::{self, Challenge, Credential, Payload};
use paywall::wallet;
use paywall::x402::{self, PaymentPayload, PaymentRequired};
use serde_json::{Value, json};
use tests::binary;
use tests::known::{DEVELOPER_0, DEVELOPER_1};
use tests::lone_node::LoneNode;
use tests::shop::{Paywall, TEXT, Upstream};

/// Everybody knows it.
const DEVELOPER_0_KEY: B256 = b256!("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80");
const CHAIN: u64 = 51_717;
/// What `/weather` costs.
const PRICE_SAT: u64 = 25;

const PRICES: [&str; 12] = [
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
        let node = LoneNode::start(&[DEVELOPER_0, DEVELOPER_1]);
        let wrapped = node.causeway(&["pay", "wrap", "100000 sat", "--dev-account", "0"], "");
        assert_eq!(wrapped.code, Some(0), "{wrapped}");
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
        let params = json!([{ "to": contracts::address::WRAPPED_BTC, "input": call }, "latest"]);
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
    let signature = payer().sign_digest(Token::wrapped_btc(CHAIN).digest(authorization));
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
        nonce: B256::random(),
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

#[derive(Clone, Debug)]
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    }
}

fn post(url: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    send(url, "POST", target, headers, body)
}

/// One request on a connection of its own.
fn send(url: &str, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let host = url.strip_prefix("http://").expect("a URL");
    let fields: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!(
        "{method} {target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {}\r\n{fields}\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(host).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(90))).expect("a time");
    stream.write_all(&[head.as_bytes(), body].concat()).expect("it reads");
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes); // What broke off is seen by what is missing.
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok());
    let field = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    Answer { status: status.unwrap_or(0), headers: lines.filter_map(field).collect(), body: body.to_owned() }
}

// ---------------------------------------------------------------- clients

fn client_pays(program: &Path, script: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients");
    let shop = Shop::open(&[]);
    let client = Command::new(program)
        .arg(script)
        .current_dir(&folder)
        .env("CAUSEWAY_PAGE", format!("{}/weather", shop.paywall.url))
        .env("CAUSEWAY_TEXT", TEXT)
        .env("CAUSEWAY_AMOUNT", coin::wei(PRICE_SAT).to_string())
        .env("CAUSEWAY_CHAIN", CHAIN.to_string())
        .env("CAUSEWAY_KEY", DEVELOPER_0_KEY.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let output = binary::end(client.expect("it is installed"), script);
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{script}: {}\n{text}", output.status);
    let pages = shop.upstream.asked("/weather");
    assert!(pages > 0, "{text}");
    assert_eq!(shop.taken(), pages * PRICE_SAT, "each page was paid for once: {text}");
}

fn python() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/web3/bin/python")
}

#[test]
fn x402_from_npm_pays_and_gets_the_page() {
    client_pays(Path::new("node"), "x402_fetch.mjs");
}

#[test]
fn x402_from_pypi_pays_and_gets_the_page() {
    client_pays(&python(), "x402_client.py");
}

#[test]
fn mppx_from_npm_pays_and_gets_the_page() {
    client_pays(Path::new("node"), "mppx.mjs");
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
