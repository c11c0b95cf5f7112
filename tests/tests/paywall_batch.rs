//! Pages that are paid through channels of x402's scheme `batch-settlement`: `causeway pay serve` before a server, over a node, and clients of the registries, unmodified.
//!
//! What such a client would never send is made by hand.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::{SolCall, SolValue as _, sol};
use bridge::io::sidechain::{Account, Call, Client};
use contracts::address::WRAPPED_BTC;
use contracts::coin;
use contracts::standard::{X402_AUTHORIZED_DEPOSITS, X402_BATCH_SETTLEMENT};
use paywall::authorization::Token;
use paywall::batch::channel::{Config, DepositTerms, Domain};
use paywall::batch::contract::BatchSettlement;
use paywall::x402::{self, PaymentPayload, PaymentRequired, Requirements, SettleResponse};
use serde_json::{Value, json};
use tests::binary;
use tests::http::{Answer, send};
use tests::known::{CHAIN_ID, DEVELOPER_0, DEVELOPER_0_KEY, DEVELOPER_1};
use tests::lone_node::LoneNode;
use tests::shop::{Paywall, TEXT, Upstream, node_with_wrapped};
use tests::waiting::Patience;

#[path = "paywall_batch/unpaid.rs"]
mod unpaid;

sol! {
    function balanceOf(address account) external view returns (uint256);
}

/// What a page costs.
const PRICE_SAT: u64 = 25;
/// What a client deposits if it is told nothing else: the smallest that is taken.
const DEPOSIT_SAT: u64 = 100;
const PRICES: [&str; 8] = [
    "--price",
    "/weather=25 sat",
    "--price",
    "/failing=25 sat",
    "--price",
    "/hanging=25 sat",
    "--price",
    "/breaking=25 sat",
];
const SOON: Patience = Patience::new(Duration::from_secs(30), Duration::from_millis(100));

/// A node, a server and a paywall before it; developer account 0 has wrapped coins.
struct Shop {
    paywall: Paywall,
    upstream: Upstream,
    node: LoneNode,
}

/// A channel of developer account 0, filled and used by hand.
struct ByHand<'a> {
    shop: &'a Shop,
    config: Config,
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

    /// Ends the paywall as a user does, which claims, and starts another.
    fn restart(self, more: &[&str]) -> Self {
        let Self { paywall, upstream, node } = self;
        drop(paywall);
        let paywall = Self::start(&node, &upstream, more);
        Self { paywall, upstream, node }
    }

    /// Ends it as `kill -9` does, does something to its folder of channels, and starts another.
    fn killed(self, meanwhile: impl FnOnce(PathBuf)) -> Self {
        let Self { paywall, upstream, node } = self;
        paywall.kill();
        meanwhile(channels_below(&node.home()).expect("it was made"));
        let paywall = Self::start(&node, &upstream, &[]);
        Self { paywall, upstream, node }
    }

    fn run(&self, program: &Path, arguments: &[&str]) -> String {
        let client = Command::new(program)
            .args(arguments)
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("clients"))
            .env("CAUSEWAY_PAGE", format!("{}/weather", self.paywall.url))
            .env("CAUSEWAY_TEXT", TEXT)
            .env("CAUSEWAY_AMOUNT", wei(PRICE_SAT))
            .env("CAUSEWAY_CHAIN", CHAIN_ID.to_string())
            .env("CAUSEWAY_KEY", DEVELOPER_0_KEY.to_string())
            .env("CAUSEWAY_RPC", self.node.url())
            .env("CAUSEWAY_STATE", self.node.home().join("client"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let client = client.unwrap_or_else(|error| panic!("{}: {error}; run `make deps`", program.display()));
        let output = binary::end(client, &program.display().to_string());
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        text
    }

    /// npm's client does these steps, and remembers what it knows until the next.
    fn client(&self, steps: &[&str]) -> Vec<Value> {
        let text = self.run(Path::new("node"), &[&["x402_batch.mjs"], steps].concat());
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// Pays for so many pages by npm's client, and says what it was told of the last.
    fn pays(&self, pages: usize) -> Value {
        let said = self.client(&vec!["pay"; pages]);
        for page in &said {
            assert_eq!((&page["status"], &page["body"]), (&200.into(), &TEXT.into()), "{page:#}");
        }
        said[pages - 1].clone()
    }

    /// Satoshis of the token that an account has.
    fn tokens(&self, account: Address) -> u64 {
        let wei = self.ask(WRAPPED_BTC, &balanceOfCall { account });
        (wei / U256::from(coin::WEI_PER_SAT)).to()
    }

    fn ask<C: SolCall>(&self, contract: Address, call: &C) -> C::Return {
        let client = Client::new(&self.node.url()).expect("a URL");
        runtime().block_on(client.call(contract, call)).expect("it answers")
    }

    /// Developer account 0 sends a transaction.
    fn transact<C: SolCall>(&self, contract: Address, call: &C) {
        let client = Client::new(&self.node.url()).expect("a URL");
        let (payer, call) = (payer(), Call::new(contract, call));
        let sent = payer.transact(&client, &call, Duration::from_secs(20));
        runtime().block_on(sent).map(drop).unwrap_or_else(|error| panic!("it is carried out: {error}"));
    }

    fn get(&self, target: &str, headers: &[(&str, &str)]) -> Answer {
        send(&self.paywall.url, "GET", target, headers, b"")
    }

    fn metric(&self, name: &str) -> String {
        let url = self.paywall.metrics.strip_suffix("/metrics").expect("its path");
        let text = send(url, "GET", "/metrics", &[], b"").body;
        let line = text.lines().find(|line| line.starts_with(&format!("causeway_paywall_{name} ")));
        line.and_then(|line| line.split(' ').nth(1)).unwrap_or_default().to_owned()
    }

    /// A channel with this salt, which is filled by the first payment.
    fn by_hand(&self, salt: u8) -> ByHand<'_> {
        let config = Config {
            payer: DEVELOPER_0,
            payer_authorizer: DEVELOPER_0,
            receiver: DEVELOPER_1,
            receiver_authorizer: DEVELOPER_1,
            token: WRAPPED_BTC,
            withdraw_delay: 86_400,
            salt: B256::repeat_byte(salt),
        };
        ByHand { shop: self, config }
    }

    fn accepted(&self, target: &str) -> Requirements {
        self.accepted_by(target, "batch-settlement")
    }

    fn accepted_by(&self, target: &str, scheme: &str) -> Requirements {
        let demanded = self.get(target, &[]);
        let required: PaymentRequired = x402::decode(demanded.header("payment-required")).expect("ours");
        required.accepts.into_iter().find(|one| one.scheme == scheme).expect("it is offered")
    }
}

impl ByHand<'_> {
    fn id(&self) -> B256 {
        self.config.id(Domain::new(CHAIN_ID))
    }

    fn voucher(&self, total_sat: u64) -> Value {
        let max = coin::wei(total_sat).to();
        let signature = signed(Domain::new(CHAIN_ID).voucher(self.id(), max));
        let voucher = json!({ "channelId": self.id(), "maxClaimableAmount": max.to_string(), "signature": signature });
        json!({ "type": "voucher", "channelConfig": self.config, "voucher": voucher })
    }

    /// A voucher with a deposit.
    fn deposit(&self, total_sat: u64, deposit_sat: u64) -> Value {
        let salt = B256::from(rand::random::<[u8; 32]>());
        let (amount, until) = (coin::wei(deposit_sat).to(), now() + 200);
        let terms = DepositTerms { amount, valid_after: 0, valid_before: until, salt };
        let signature = signed(terms.digest(&Token::wrapped_btc(CHAIN_ID), self.id(), self.config.payer));
        let authorization =
            json!({ "validAfter": "0", "validBefore": until.to_string(), "salt": salt, "signature": signature });
        let mut payload = self.voucher(total_sat);
        payload["type"] = "deposit".into();
        payload["deposit"] =
            json!({ "amount": amount.to_string(), "authorization": { "erc3009Authorization": authorization } });
        payload
    }

    fn refund(&self, total_sat: u64, amount: Value) -> Value {
        let mut payload = self.voucher(total_sat);
        payload["type"] = "refund".into();
        payload["amount"] = amount;
        payload
    }

    fn header(&self, payload: Value) -> String {
        let accepted = self.shop.accepted("/weather");
        x402::encode(&PaymentPayload { x402_version: 2, accepted, payload, resource: None })
    }

    fn show(&self, target: &str, payload: Value) -> Answer {
        self.shop.get(target, &[("payment-signature", &self.header(payload))])
    }

    /// The code of the problem with which it is refused, and the specification's.
    fn refusal(&self, payload: Value) -> (String, String) {
        let answer = self.show("/weather", payload);
        assert_eq!((answer.status, answer.header("payment-response")), (402, ""), "{answer:?}");
        let required: PaymentRequired = x402::decode(answer.header("payment-required")).expect("ours");
        let reason = required.error.expect("a reason");
        let reason = reason.strip_prefix("invalid_batch_settlement_evm_").unwrap_or(&reason).to_owned();
        (answer.json()["code"].as_str().expect("a code").to_owned(), reason)
    }

    fn pays(&self, payload: Value) -> SettleResponse {
        let answer = self.show("/weather", payload);
        assert_eq!((answer.status, answer.body.as_str()), (200, TEXT), "{answer:?}");
        settled(&answer)
    }

    fn on_chain(&self) -> (u64, u64) {
        let state = self.shop.ask(X402_BATCH_SETTLEMENT, &BatchSettlement::channelsCall { channelId: self.id() });
        let sat = |wei: u128| u64::try_from(wei / u128::from(coin::WEI_PER_SAT)).expect("small");
        (sat(state.balance), sat(state.totalClaimed))
    }

    /// Its payer begins to take money back.
    fn withdraws(&self, sat: u64) {
        let (config, amount) = (self.config.contract(), coin::wei(sat).to());
        let call = BatchSettlement::initiateWithdrawCall { config, amount };
        self.shop.transact(X402_BATCH_SETTLEMENT, &call);
    }
}

/// The folder in which a paywall keeps its channels.
fn channels_below(folder: &Path) -> Option<PathBuf> {
    let inner = std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path()).filter(|path| path.is_dir());
    inner.into_iter().find_map(|path| if path.ends_with("channels") { Some(path) } else { channels_below(&path) })
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().expect("threads")
}

fn payer() -> Account {
    Account::from_secret(&DEVELOPER_0_KEY.0).expect("a key")
}

fn signed(digest: B256) -> String {
    alloy_primitives::hex::encode_prefixed(payer().sign_digest(digest).as_bytes())
}

fn now() -> u64 {
    bridge::io::clock::now().expect("after 1970")
}

fn wei(sat: u64) -> String {
    coin::wei(sat).to_string()
}

fn settled(answer: &Answer) -> SettleResponse {
    x402::decode(answer.header("payment-response")).unwrap_or_else(|_| panic!("no settlement: {answer:?}"))
}

/// What a client was told of its channel.
fn state<'a>(said: &'a Value, name: &str) -> &'a Value {
    &said["settled"]["extra"]["channelState"][name]
}

// ---------------------------------------------------------------- clients of the registries

#[test]
fn npms_client_deposits_once_pays_three_pages_and_tops_up_for_the_fifth() {
    let shop = Shop::open(&[]);
    for (number, page) in (1..).zip(&shop.client(&["pay", "pay", "pay"])) {
        assert_eq!((&page["status"], &page["body"]), (&200.into(), &TEXT.into()), "{page:#}");
        let settled = &page["settled"];
        assert_eq!((&settled["success"], &settled["extra"]["chargedAmount"]), (&true.into(), &wei(PRICE_SAT).into()));
        assert_eq!(state(page, "chargedCumulativeAmount"), &Value::from(wei(number * PRICE_SAT)));
        let is_first = number == 1;
        assert_eq!(settled["transaction"] == "", !is_first, "one transaction fills the channel: {settled}");
        assert_eq!(settled["amount"], if is_first { wei(DEPOSIT_SAT) } else { String::new() });
    }
    let fifth = shop.pays(2);
    assert_eq!(fifth["settled"]["amount"], wei(DEPOSIT_SAT), "it was topped up: {fifth:#}");
    assert_eq!(state(&fifth, "balance"), &Value::from(wei(2 * DEPOSIT_SAT)));
    assert_eq!(shop.upstream.asked("/weather"), 5);
    let shop = shop.restart(&[]);
    assert_eq!(shop.tokens(DEVELOPER_1), 5 * PRICE_SAT, "what was charged is claimed when the paywall stops, and paid");
    assert_eq!(shop.metric("channels"), "1");
    shop.pays(1);
}

#[test]
fn npms_client_gets_a_part_and_then_the_rest_back_and_uses_its_channel_again() {
    let shop = Shop::open(&[]);
    shop.pays(2);
    let before = shop.tokens(DEVELOPER_0);
    let part = shop.client(&[&format!("refund={}", wei(10))]).remove(0);
    assert_eq!((&part["settled"]["amount"], &part["settled"]["success"]), (&wei(10).into(), &true.into()), "{part:#}");
    assert_eq!(state(&part, "balance"), &Value::from(wei(DEPOSIT_SAT - 10)));
    assert_eq!(state(&part, "totalClaimed"), &Value::from(wei(2 * PRICE_SAT)), "what was charged is claimed before");
    shop.pays(1);
    let rest = shop.client(&["refund"]).remove(0);
    assert_eq!(rest["settled"]["amount"], wei(15), "{rest:#}");
    assert_eq!(shop.tokens(DEVELOPER_0) - before, 25);
    assert_eq!(shop.tokens(DEVELOPER_1), 3 * PRICE_SAT, "nothing of the payee's stays in the contract");
    assert_eq!(shop.metric("channels"), "0", "the chain knows all of it");
    let again = shop.pays(1);
    assert_eq!(again["settled"]["amount"], wei(DEPOSIT_SAT), "it is filled again: {again:#}");
    assert_eq!(state(&again, "chargedCumulativeAmount"), &Value::from(wei(4 * PRICE_SAT)));
    let poor = shop.client(&["refund"]).remove(0);
    assert!(poor["settled"]["success"] == true || poor["error"].is_string(), "{poor:#}");
}

#[test]
fn npms_client_that_lost_what_it_knew_is_told_and_goes_on() {
    let shop = Shop::open(&[]);
    shop.pays(2);
    shop.client(&["forget"]);
    let third = shop.pays(1);
    assert_eq!(third["settled"]["amount"], "", "no new deposit: {third:#}");
    assert_eq!(state(&third, "chargedCumulativeAmount"), &Value::from(wei(3 * PRICE_SAT)));
    shop.client(&["forget"]);
    let refunded = shop.client(&["refund"]).remove(0);
    assert_eq!(refunded["settled"]["amount"], wei(DEPOSIT_SAT - 3 * PRICE_SAT), "{refunded:#}");
}

#[test]
fn a_server_that_lost_its_channels_loses_what_it_had_not_claimed_and_goes_on() {
    let shop = Shop::open(&[]);
    shop.pays(3);
    let shop = shop.killed(|folder| std::fs::remove_dir_all(folder).expect("it is there"));
    let fourth = shop.pays(1);
    assert_eq!(state(&fourth, "chargedCumulativeAmount"), &Value::from(wei(PRICE_SAT)), "{fourth:#}");
    let shop = shop.killed(|_| ());
    let fifth = shop.pays(1);
    assert_eq!(
        state(&fifth, "chargedCumulativeAmount"),
        &Value::from(wei(2 * PRICE_SAT)),
        "nothing is lost: {fifth:#}"
    );
}

#[test]
fn a_client_that_knows_both_schemes_pays_exactly() {
    let shop = Shop::open(&[]);
    let said = shop.client(&["both"]).remove(0);
    assert_eq!((&said["status"], &said["settled"]["amount"]), (&200.into(), &wei(PRICE_SAT).into()), "{said:#}");
    assert_eq!((shop.tokens(DEVELOPER_1), shop.metric("channels").as_str()), (PRICE_SAT, "0"));
}

#[test]
fn pypis_client_deposits_once_and_pays_three_pages() {
    let shop = Shop::open(&[]);
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/web3/bin/python");
    shop.run(&python, &["x402_batch.py"]);
    assert_eq!(shop.upstream.asked("/weather"), 3);
}

#[test]
fn npms_server_side_asks_the_facilitator() {
    let shop = Shop::open(&["--facilitator"]);
    shop.run(Path::new("node"), &["x402_batch_facilitator.mjs"]);
    assert_eq!((shop.tokens(DEVELOPER_1), shop.upstream.asked("/weather")), (PRICE_SAT, 0));
}

// ---------------------------------------------------------------- one voucher, one page

#[test]
fn sixty_four_requests_with_one_voucher_get_one_page() {
    let shop = Shop::open(&[]);
    let channel = shop.by_hand(1);
    channel.pays(channel.deposit(25, 100));
    let header = channel.header(channel.voucher(50));
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let ask = || shop.get("/weather", &[("payment-signature", &header)]);
        let all: Vec<_> = (0..64).map(|_| scope.spawn(ask)).collect();
        all.into_iter().map(|one| one.join().expect("it asks")).collect()
    });
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        let code = answer.json()["code"].clone();
        assert!([json!("channel-busy"), json!("other-total")].contains(&code), "{answer:?}");
    }
    assert_eq!(shop.upstream.asked("/weather"), 2);
}

/// A voucher's signature pays for one page, with its deposit and without, and whatever process is asked.
#[test]
fn nine_requests_with_one_payment_get_one_page_also_after_a_restart() {
    let shop = Shop::open(&[]);
    let channel = shop.by_hand(1);
    let first = channel.header(channel.deposit(25, 100));
    assert_eq!(nine_at_once(&shop, &first), 1);
    assert_eq!((channel.on_chain(), shop.upstream.asked("/weather")), ((100, 0), 1), "one deposit, one page");
    let shop = shop.killed(|_| ());
    assert_eq!(nine_at_once(&shop, &first), 0, "it paid before the start");
    let channel = shop.by_hand(1);
    assert_eq!(nine_at_once(&shop, &channel.header(channel.voucher(50))), 1);
    assert_eq!((channel.on_chain().0, shop.upstream.asked("/weather")), (100, 2));
    let shop = shop.restart(&[]);
    assert_eq!(shop.tokens(DEVELOPER_1), 50);
}

/// How many pages they get.
fn nine_at_once(shop: &Shop, header: &str) -> usize {
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let ask = || shop.get("/weather", &[("payment-signature", header)]);
        let all: Vec<_> = (0..9).map(|_| scope.spawn(ask)).collect();
        all.into_iter().map(|one| one.join().expect("it asks")).collect()
    });
    let (pages, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
    for answer in refused {
        let code = answer.json()["code"].clone();
        assert!([json!("channel-busy"), json!("other-total")].contains(&code), "{answer:?}");
    }
    pages.len()
}

/// Another server of the same payee, with another delay, has its client's deposit brought by two requests at once.
#[test]
fn a_deposit_that_two_ask_the_facilitator_for_is_made_once_and_both_learn_the_same() {
    let shop = Shop::open(&["--facilitator"]);
    let mut channel = shop.by_hand(1);
    channel.config.withdraw_delay = 90_000;
    let mut accepted = shop.accepted("/weather");
    accepted.extra.as_mut().expect("more")["withdrawDelay"] = 90_000.into();
    let payload = channel.deposit(25, 100);
    let payment = PaymentPayload { x402_version: 2, accepted: accepted.clone(), payload, resource: None };
    let asked = json!({ "x402Version": 2, "paymentPayload": payment, "paymentRequirements": accepted }).to_string();
    let settle = || {
        let fields = [("content-type", "application/json")];
        send(&shop.paywall.url, "POST", "/settle", &fields, asked.as_bytes()).json()
    };
    let both: Vec<Value> = std::thread::scope(|scope| {
        let all = [scope.spawn(settle), scope.spawn(settle)];
        all.into_iter().map(|one| one.join().expect("it asks")).collect()
    });
    assert_eq!((&both[0]["success"], &both[0]["amount"]), (&true.into(), &wei(100).into()), "{both:#?}");
    assert_eq!(both[0], both[1]);
    assert_eq!(settle()["success"], false, "who asks later asks for what cannot be done twice");
    assert_eq!(channel.on_chain(), (100, 0));
}

#[test]
fn channels_do_not_wait_for_each_other() {
    let shop = Shop::open(&["--upstream-timeout", "20"]);
    let slow = shop.by_hand(0);
    slow.pays(slow.deposit(25, 100));
    std::thread::scope(|scope| {
        let hanging = scope.spawn(|| slow.show("/hanging", slow.voucher(50)));
        std::thread::sleep(Duration::from_millis(300));
        // As many at once as a payer is trusted with that paid for those before.
        for salts in [1..=5, 6..=15] {
            std::thread::scope(|scope| {
                for salt in salts {
                    let shop = &shop;
                    scope.spawn(move || {
                        let channel = shop.by_hand(salt);
                        let first = channel.pays(channel.deposit(25, 100));
                        assert!(!first.transaction.is_empty());
                        channel.pays(channel.voucher(50));
                    });
                }
            });
        }
        let busy = slow.show("/weather", slow.voucher(50));
        assert_eq!((busy.status, busy.json()["code"].as_str()), (409, Some("channel-busy")), "{busy:?}");
        assert_eq!(settled(&busy).error_reason.as_deref(), Some("invalid_batch_settlement_evm_channel_busy"));
        assert_eq!(busy.header("retry-after"), "1");
        assert_eq!(hanging.join().expect("it asks").status, 502);
    });
    slow.pays(slow.voucher(50));
    assert_eq!(shop.metric("channels"), "16");
}

#[test]
fn a_retry_with_its_key_gets_the_page_that_was_charged_once() {
    let shop = Shop::open(&[]);
    let channel = shop.by_hand(1);
    let header = channel.header(channel.deposit(25, 100));
    let keyed = [("payment-signature", header.as_str()), ("idempotency-key", "8e03978e-40d5-43dd-bc93-6894a57f9324")];
    for _ in 0..3 {
        let answer = shop.get("/weather", &keyed);
        assert_eq!((answer.status, answer.body.as_str()), (200, TEXT), "{answer:?}");
        assert_eq!(settled(&answer).extra.expect("more")["channelState"]["chargedCumulativeAmount"], wei(25));
    }
    assert_eq!((shop.upstream.asked("/weather"), shop.metric("repeated_total").as_str()), (1, "2"));
    let other = [keyed[0], ("idempotency-key", "another")];
    assert_eq!(shop.get("/weather", &other).json()["code"], "other-total");
    assert_eq!(shop.get("/weather?city=Oslo", &keyed).json()["code"], "other-total");
}

#[test]
fn nothing_is_charged_for_what_the_upstream_did_not_give() {
    let shop = Shop::open(&[]);
    shop.upstream.fail(3);
    let channel = shop.by_hand(1);
    let failed = channel.show("/failing", channel.deposit(25, 100));
    let told = settled(&failed);
    assert_eq!((failed.status, told.success, told.amount), (500, true, Some(wei(100))), "the deposit was made");
    let extra = told.extra.expect("more");
    assert_eq!(
        (&extra["chargedAmount"], &extra["channelState"]["chargedCumulativeAmount"]),
        (&"0".into(), &"0".into())
    );
    for status in [500, 500, 200] {
        assert_eq!(channel.show("/failing", channel.voucher(25)).status, status);
    }
    assert_eq!(channel.show("/breaking", channel.voucher(50)).status, 502);
    channel.pays(channel.voucher(50));
    // Whoever asks again and again for what fails pays nothing for it, and has to wait at last.
    let statuses: Vec<u16> = (0..9).map(|_| channel.show("/breaking", channel.voucher(75)).status).collect();
    assert_eq!(statuses, [502, 502, 502, 502, 502, 502, 502, 502, 503]);
    assert_eq!(shop.upstream.asked("/breaking"), 9);
}

#[test]
fn an_exact_payment_pays_no_channel_and_a_deposit_pays_for_no_page() {
    let shop = Shop::open(&[]);
    let channel = shop.by_hand(1);
    let accepted = shop.accepted("/weather");
    let exact = shop.accepted_by("/weather", "exact");
    let payload = channel.deposit(25, 100);
    let signed = &payload["deposit"]["authorization"]["erc3009Authorization"];
    // What was signed for the collector, as if it were a transfer to the payee.
    let authorization = json!({
        "from": DEVELOPER_0, "to": DEVELOPER_1, "value": wei(25), "validAfter": "0", "validBefore": signed["validBefore"], "nonce": signed["salt"],
    });
    let as_exact = json!({ "authorization": authorization, "signature": signed["signature"] });
    for (accepted, payload, want) in [
        (exact.clone(), as_exact.clone(), "wrong-signer"),
        (exact, payload, "malformed-payment"),
        (accepted, as_exact, "unknown-payload"),
    ] {
        let header = x402::encode(&PaymentPayload { x402_version: 2, accepted, payload, resource: None });
        let answer = shop.get("/weather", &[("payment-signature", &header)]);
        assert_eq!((answer.status, answer.json()["code"].as_str()), (402, Some(want)), "{answer:?}");
    }
    assert_eq!((shop.upstream.asked("/weather"), channel.on_chain()), (0, (0, 0)));
}

// ---------------------------------------------------------------- who cheats

#[test]
fn what_a_channel_does_not_cover_is_refused_by_the_specifications_own_words() {
    let shop = Shop::open(&[]);
    let channel = shop.by_hand(1);
    let refused = |payload: Value| channel.refusal(payload);
    let is = |code: &str, reason: &str| (code.to_owned(), reason.to_owned());
    assert_eq!(refused(channel.voucher(25)), is("no-channel", "channel_not_found"));
    assert_eq!(refused(channel.deposit(25, 99)), is("deposit-too-small", "deposit_below_min_deposit"));
    assert_eq!(refused(channel.deposit(50, 100)), is("other-total", "cumulative_amount_mismatch"));
    assert_eq!(refused(channel.deposit(25, 1_000_000)), is("deposit-unfunded", "insufficient_balance"));
    assert_eq!(channel.on_chain(), (0, 0), "nothing was sent for any of them");
    let deposit = channel.deposit(25, 100);
    channel.pays(deposit.clone());
    for wrong in [deposit, channel.voucher(25), channel.voucher(24), channel.voucher(51), channel.voucher(0)] {
        let answer = channel.show("/weather", wrong);
        let required: PaymentRequired = x402::decode(answer.header("payment-required")).expect("ours");
        assert_eq!(required.error.as_deref(), Some("invalid_batch_settlement_evm_cumulative_amount_mismatch"));
        let extra = required.accepts[1].extra.clone().expect("more");
        assert_eq!(extra["channelState"]["chargedCumulativeAmount"], wei(25));
        assert_eq!(extra["voucherState"]["signature"], channel.voucher(25)["voucher"]["signature"]);
    }
    // A stranger is told nothing of it.
    let mut foreign = channel.voucher(75);
    foreign["voucher"]["signature"] = shop.by_hand(2).voucher(75)["voucher"]["signature"].clone();
    assert_eq!(refused(foreign), is("voucher-wrong-signer", "voucher_signature"));
    for total in [50, 75, 100] {
        channel.pays(channel.voucher(total));
    }
    assert_eq!(refused(channel.voucher(125)), is("over-balance", "cumulative_exceeds_balance"));
    assert_eq!(refused(channel.refund(100, Value::Null)), is("nothing-to-refund", "refund_no_balance"));
    assert_eq!((channel.on_chain(), shop.upstream.asked("/weather")), ((100, 0), 4));
}

#[test]
fn what_is_sent_for_a_channel_is_paid_by_it() {
    let shop = Shop::open(&["--price", "/cheap=1 sat"]);
    let channel = shop.by_hand(1);
    let cheap = |payload: Value| {
        let accepted = shop.accepted("/cheap");
        let header = x402::encode(&PaymentPayload { x402_version: 2, accepted, payload, resource: None });
        shop.get("/cheap", &[("payment-signature", &header)])
    };
    assert_eq!(cheap(channel.deposit(1, 100)).status, 200);
    for payload in [channel.refund(1, Value::Null), channel.refund(1, wei(1).into()), channel.deposit(2, 100)] {
        let answer = cheap(payload);
        let code = answer.json()["code"].as_str().unwrap_or_default().to_owned();
        assert!(["gas-not-paid", "refund-gas-not-paid"].contains(&code.as_str()), "{answer:?}");
    }
    assert_eq!(channel.on_chain(), (100, 0));
    for amount in [json!("0"), json!("x"), json!(-1), json!("1.5")] {
        assert_eq!(cheap(channel.refund(1, amount)).json()["code"], "refund-amount");
    }
    channel.withdraws(99);
    // What is accepted until the withdrawal is seen is claimed before it.
    let refused = (2..90).map(|total| cheap(channel.voucher(total))).find(|answer| {
        std::thread::sleep(Duration::from_millis(100));
        answer.status != 200
    });
    assert_eq!(refused.expect("it is seen").json()["code"], "channel-closing");
}

#[test]
fn what_a_payer_begins_to_take_back_is_claimed_first_and_pays_for_nothing_more() {
    let shop = Shop::open(&[]);
    let channel = shop.by_hand(1);
    channel.pays(channel.deposit(25, 100));
    channel.pays(channel.voucher(50));
    assert_eq!(channel.on_chain(), (100, 0));
    channel.withdraws(100);
    SOON.until("it is claimed", String::new, || (channel.on_chain() == (100, 50)).then_some(()));
    assert_eq!(shop.tokens(DEVELOPER_1), 50, "and paid out by the same transaction");
    let refused = channel.refusal(channel.voucher(75));
    assert_eq!(refused, ("channel-closing".to_owned(), "cumulative_exceeds_balance".to_owned()));
    assert_eq!(shop.upstream.asked("/weather"), 2);
    // What comes on top pays again.
    channel.pays(channel.deposit(75, 100));
}

#[test]
fn what_is_worth_claiming_is_claimed_in_one_transaction() {
    let shop = Shop::open(&["--batch-claim-at", "60 sat", "--batch-claim-after", "6s"]);
    for salt in 1..=3 {
        let channel = shop.by_hand(salt);
        channel.pays(channel.deposit(25, 100));
        channel.pays(channel.voucher(50));
    }
    let large = shop.by_hand(1);
    large.pays(large.voucher(75));
    SOON.until("the largest is claimed", String::new, || (large.on_chain().1 == 75).then_some(()));
    SOON.until("all are", String::new, || (shop.tokens(DEVELOPER_1) == 175).then_some(()));
    let counted = || (shop.metric("claimed_wei_total"), shop.metric("unclaimed_wei"));
    SOON.until(
        "they are counted",
        || format!("{:?}", counted()),
        || (counted() == (wei(175), "0".to_owned())).then_some(()),
    );
    let claims = shop.metric("claims_total");
    assert!(claims.parse::<u64>().is_ok_and(|claims| (2..=4).contains(&claims)), "{claims} claims");
}

#[test]
fn whoever_brings_a_deposit_it_fills_the_channel_once() {
    let shop = Shop::open(&[]);
    let channel = shop.by_hand(1);
    let payload = channel.deposit(25, 100);
    let signed = &payload["deposit"]["authorization"]["erc3009Authorization"];
    let number = |name: &str| signed[name].as_str().expect("digits").parse::<U256>().expect("a number");
    let salt: B256 = signed["salt"].as_str().expect("hex").parse().expect("32 bytes");
    let signature: alloy_primitives::Bytes = signed["signature"].as_str().expect("hex").parse().expect("bytes");
    let proof = (number("validAfter"), number("validBefore"), U256::from_be_bytes(salt.0), signature);
    let call = BatchSettlement::depositCall {
        config: channel.config.contract(),
        amount: coin::wei(100).to(),
        collector: X402_AUTHORIZED_DEPOSITS,
        collectorData: proof.abi_encode_params().into(),
    };
    shop.transact(X402_BATCH_SETTLEMENT, &call);
    let settled = channel.pays(payload);
    assert_eq!((settled.transaction.as_str(), channel.on_chain()), ("", (100, 0)));
    channel.pays(channel.voucher(50));
}

// ---------------------------------------------------------------- a paywall that dies

/// Several channels pay as fast as they can while the paywall is killed. Each page that came was charged, and of each channel at most one page was charged that did not come.
#[test]
fn a_paywall_that_is_killed_at_any_moment_knows_each_page_that_it_gave() {
    const CHANNELS: u8 = 3;
    let mut shop = Shop::open(&["--upstream-timeout", "5"]);
    let mut given = vec![0; usize::from(CHANNELS)];
    for salt in 0..CHANNELS {
        let channel = shop.by_hand(salt);
        channel.pays(channel.deposit(25, 20_000));
        given[usize::from(salt)] = 25;
    }
    for round in 0..6 {
        let is_over = AtomicBool::new(false);
        let accepted = shop.accepted("/weather");
        let (url, before) = (shop.paywall.url.clone(), given.clone());
        let last = std::thread::scope(|scope| {
            let pay = |salt: u8| {
                let (shop, url, accepted, is_over) = (&shop, &url, &accepted, &is_over);
                let mut total = before[usize::from(salt)];
                move || {
                    let channel = shop.by_hand(salt);
                    while !is_over.load(Ordering::Relaxed) {
                        let payload = channel.voucher(total + PRICE_SAT);
                        let payment =
                            PaymentPayload { x402_version: 2, accepted: accepted.clone(), payload, resource: None };
                        let answer = asked(url, &x402::encode(&payment));
                        if answer.is_some_and(|answer| answer.status == 200) {
                            total += PRICE_SAT;
                        }
                    }
                    total
                }
            };
            let payers: Vec<_> = (0..CHANNELS).map(|salt| scope.spawn(pay(salt))).collect();
            std::thread::sleep(Duration::from_millis(150 + rand::random::<u64>() % 300 + round * 20));
            shop.paywall.kill_now();
            std::thread::sleep(Duration::from_millis(50));
            is_over.store(true, Ordering::Relaxed);
            payers.into_iter().map(|payer| payer.join().expect("it pays")).collect::<Vec<u64>>()
        });
        shop = shop.killed(|_| ());
        for (salt, total) in (0..CHANNELS).zip(last) {
            let channel = shop.by_hand(salt);
            let known = charged(&channel);
            let most = total + PRICE_SAT;
            assert!(known == total || known == most, "round {round}, channel {salt}: {known} charged, {total} given");
            given[usize::from(salt)] = known;
        }
    }
    let all: u64 = given.iter().sum();
    assert!(all > 25 * 30, "it was killed in the midst of many: {given:?}");
    let shop = shop.restart(&[]);
    assert_eq!(shop.tokens(DEVELOPER_1), all, "all of it is claimed");
}

/// What is charged of a channel, as the paywall tells its payer.
fn charged(channel: &ByHand<'_>) -> u64 {
    let wrong = SOON.until("it answers", String::new, || {
        Some(channel.show("/weather", channel.voucher(1))).filter(|answer| answer.status == 402)
    });
    let required: PaymentRequired = x402::decode(wrong.header("payment-required")).expect("ours");
    let state = required.accepts[1].extra.clone().expect("more")["channelState"].clone();
    let wei: U256 = state["chargedCumulativeAmount"].as_str().expect("digits").parse().expect("a number");
    (wei / U256::from(coin::WEI_PER_SAT)).to()
}

/// A request to a server that may die meanwhile.
fn asked(url: &str, header: &str) -> Option<Answer> {
    use std::io::{Read as _, Write as _};
    let host = url.strip_prefix("http://").expect("a URL");
    let mut stream = std::net::TcpStream::connect(host).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let head =
        format!("GET /weather HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\npayment-signature: {header}\r\n\r\n");
    stream.write_all(head.as_bytes()).ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    // A page that broke off did not come.
    let is_whole = body == TEXT || !head.starts_with("HTTP/1.1 200");
    let status = head.split(' ').nth(1)?.parse().ok()?;
    is_whole.then(|| Answer { status, headers: Vec::new(), body: body.to_owned() })
}
