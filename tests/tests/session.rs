//! Sessions: requests that are paid by channels, as draft-evm-session-00 has them, over `causeway pay serve` and a node. By npm's mppx, and by hand where no client would behave so.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use alloy_primitives::{Address, B256, Bytes, U256};
use bridge::io::sidechain::{Account, Call, Client, Fees};
use contracts::address::{MICRO_CHANNEL, WRAPPED_BTC};
use contracts::{MicroChannel, WrappedBtc, coin};
use payments::stream::chain;
use paywall::mpp;
use paywall::session::credential::{Credential, Open, Payload, Signed, TopUp, WithDeposit};
use serde_json::{Value, json};
use tests::binary;
use tests::channel_payer::{ChannelPayer, begin, read, send};
use tests::known::{CHAIN_ID, DEVELOPER_0, DEVELOPER_0_KEY, DEVELOPER_1, DEVELOPER_1_KEY};
use tests::lone_node::LoneNode;
use tests::relay::Relay;
use tests::shop::{Paywall, TEXT, Upstream, ignoring_full_files, node_with_wrapped};
use tests::waiting::Patience;

/// A satoshi, in wei.
const SAT: u128 = 10_000_000_000;
/// What `/weather` costs.
const PRICE: u128 = 25 * SAT;
const DEPOSIT: u128 = 10_000 * SAT;

const PRICES: [&str; 16] = [
    "--price",
    "/weather=25 sat",
    "--price",
    "/weather/*=30 sat",
    "--price",
    "/failing=25 sat",
    "--price",
    "/events=1 sat per event",
    "--price",
    "/slow-events=1 sat per event",
    "--price",
    "/counted=2 sat per token, at least 3",
    "--price",
    "/bytes=10 sat per kilobyte",
    "--price",
    "/call=5 sat per request",
];

/// A node, a server and a paywall before it; developer account 0 has wrapped coins.
struct Shop {
    paywall: Option<Paywall>,
    upstream: Upstream,
    node: LoneNode,
    more: Vec<String>,
}

impl Shop {
    fn open(more: &[&str]) -> Self {
        let node = node_with_wrapped(1_000_000);
        let upstream = Upstream::start();
        let more = more.iter().map(ToString::to_string).collect();
        let mut shop = Self { paywall: None, upstream, node, more };
        shop.start();
        shop
    }

    fn start(&mut self) {
        let patience: &[&str] =
            if self.more.iter().any(|option| option == "--patience") { &[] } else { &["--patience", "3s"] };
        let more = self.more.iter().map(String::as_str);
        let more: Vec<&str> = PRICES.into_iter().chain(patience.iter().copied()).chain(more).collect();
        self.paywall = Some(Paywall::start(&self.node.home(), &self.node.url(), &self.upstream.url(), &more));
    }

    fn kill(&mut self) {
        self.paywall.take().expect("it runs").kill();
    }

    fn url(&self) -> &str {
        &self.paywall.as_ref().expect("it runs").url
    }

    fn payer(&self) -> ChannelPayer {
        let account = Account::from_secret(&DEVELOPER_0_KEY.0).expect("a key");
        ChannelPayer::new(&account, self.url(), "/weather", DEVELOPER_1, CHAIN_ID)
    }

    /// A payer whose channel is open, with so much paid ahead.
    fn opened(&self, total: u128) -> ChannelPayer {
        let payer = self.payer();
        let opened = payer.ask("HEAD", "/weather", payer.open(DEPOSIT, total));
        assert_eq!(opened.status, 200, "{opened:?}");
        payer
    }

    fn metric(&self, name: &str) -> u128 {
        let metrics = &self.paywall.as_ref().expect("it runs").metrics;
        let text = send(metrics.strip_suffix("/metrics").expect("its path"), "GET", "/metrics", &[], b"").body;
        let line = text.lines().find(|line| line.starts_with(&format!("causeway_paywall_{name} ")));
        line.and_then(|line| line.split(' ').nth(1)?.parse().ok()).unwrap_or_else(|| panic!("{name}: {text}"))
    }

    fn read<T>(&self, read: impl AsyncFn(&Client) -> T) -> T {
        let runtime = tokio::runtime::Runtime::new().expect("threads");
        runtime.block_on(read(&Client::new(&self.node.url()).expect("a URL")))
    }

    /// Wei of the token that an account has.
    fn balance(&self, account: Address) -> u128 {
        let call = WrappedBtc::balanceOfCall { account };
        self.read(async |client: &Client| client.call(WRAPPED_BTC, &call).await).expect("a node").saturating_to()
    }

    fn settled(&self, payer: &ChannelPayer) -> u128 {
        let call = MicroChannel::getChannelCall { channelId: payer.id() };
        self.read(async |client: &Client| client.call(MICRO_CHANNEL, &call).await).expect("a node").settled
    }

    /// Until something is so.
    fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let start = Instant::now();
        while !is_so() {
            assert!(start.elapsed() < Duration::from_secs(60), "{what}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

#[test]
fn mppx_from_npm_pays_by_a_session_and_reads_a_stream() {
    let shop = Shop::open(&[]);
    let url = shop.url();
    let client = Command::new("node")
        .arg("mpp_session.mjs")
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("clients"))
        .env("CAUSEWAY_PAGE", format!("{url}/weather"))
        .env("CAUSEWAY_EVENTS", format!("{url}/events"))
        .env("CAUSEWAY_TEXT", TEXT)
        .env("CAUSEWAY_AMOUNT", coin::wei(25).to_string())
        .env("CAUSEWAY_CHAIN", CHAIN_ID.to_string())
        .env("CAUSEWAY_KEY", DEVELOPER_0_KEY.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let client = client.expect("node; run `make deps`");
    let output = binary::end(client, "node");
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{text}");
    for line in
        ["paid for three pages", "paid as it went", "when the money stopped", "closed", "charge is paid as before"]
    {
        assert!(text.contains(line), "{line}: {text}");
    }
}

#[test]
fn a_channel_is_opened_by_an_authorization_pays_and_is_closed() {
    let shop = Shop::open(&[]);
    let payer = shop.payer();
    let before = shop.balance(DEVELOPER_0);
    let first = payer.ask("GET", "/weather", payer.open(DEPOSIT, PRICE));
    assert_eq!((first.status, first.body.as_str()), (200, TEXT), "{first:?}");
    assert_eq!((first.receipt().accepted_cumulative, first.receipt().spent), (PRICE, PRICE));
    assert_eq!(shop.balance(DEVELOPER_0), before - DEPOSIT);
    let second = payer.ask("GET", "/weather", payer.voucher(2 * PRICE));
    assert_eq!((second.status, second.receipt().spent), (200, 2 * PRICE));
    let lacking = payer.ask("GET", "/weather", payer.voucher(2 * PRICE));
    assert_eq!(lacking.problem(), (402, "insufficient-balance".to_owned()));
    assert_eq!((lacking.says("requiredCumulative"), lacking.says("deposit")), (3 * PRICE, DEPOSIT));
    let ahead = payer.ask("HEAD", "/weather", payer.voucher(5 * PRICE));
    assert_eq!((ahead.status, ahead.receipt().spent, ahead.body.as_str()), (200, 2 * PRICE, ""));
    let closed = payer.ask("GET", "/weather", payer.close(3 * PRICE));
    assert_eq!(closed.status, 200, "{closed:?}");
    assert_eq!(shop.balance(DEVELOPER_1), 3 * PRICE, "the payer's last word covers what was spent");
    assert_eq!(shop.balance(DEVELOPER_0), before - 3 * PRICE);
    let again = payer.ask("GET", "/weather", payer.close(3 * PRICE));
    assert_eq!((again.status, again.receipt().reference), (200, closed.receipt().reference));
    assert_eq!(payer.ask("GET", "/weather", payer.voucher(9 * PRICE)).problem().1, "channel-finalized");
    assert_eq!(shop.upstream.asked("/weather"), 2);
    let head = shop.upstream.heads().remove(0).to_lowercase();
    assert!(head.contains("causeway-payer: 0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"), "{head}");
    assert!(!head.contains("authorization:"), "the upstream is not shown the payment: {head}");
}

// ---------------------------------------------------------------- many at once

#[test]
fn a_paywall_whose_books_of_sessions_cannot_be_written_ends_and_says_so() {
    let mut shop = Shop::open(&[]);
    shop.kill();
    let (home, node, upstream) = (shop.node.home(), shop.node.url(), shop.upstream.url());
    shop.paywall = Some(Paywall::start_as(&home, &node, &upstream, &PRICES, ignoring_full_files));
    let payer = shop.opened(PRICE);
    let paywall = shop.paywall.as_mut().expect("it runs");
    assert!(paywall.ended().is_none());
    paywall.limit_files(1);
    let refused = payer.ask("GET", "/weather", payer.voucher(2 * PRICE));
    assert_ne!(refused.status, 200, "what is not on disk buys nothing: {refused:?}");
    let patience = Patience::new(Duration::from_secs(30), Duration::from_millis(100));
    let ended = patience.until("it ends", String::new, || paywall.ended());
    assert_eq!(ended.code(), Some(1), "by itself, and not by a signal: {ended}");
}

#[test]
fn sixty_four_requests_at_once_on_one_channel_each_pay_once() {
    let shop = Shop::open(&[]);
    let payer = shop.opened(0);
    // Each by a voucher of its own, in whatever order they arrive.
    let paid: Vec<u16> = at_once(64, |number| payer.ask("GET", "/weather", payer.voucher(PRICE * (number + 1))).status);
    assert!(paid.iter().all(|status| *status == 200), "{paid:?}");
    let balance = payer.ask("HEAD", "/weather", payer.voucher(64 * PRICE)).receipt();
    assert_eq!((balance.accepted_cumulative, balance.spent), (64 * PRICE, 64 * PRICE));
    // By one voucher, which pays for half of them.
    let voucher = payer.voucher(96 * PRICE);
    let paid: Vec<u16> = at_once(64, |_| payer.ask("GET", "/weather", voucher.clone()).status);
    assert_eq!(paid.iter().filter(|status| **status == 200).count(), 32, "{paid:?}");
    assert!(paid.iter().all(|status| matches!(status, 200 | 402)), "{paid:?}");
    let balance = payer.ask("HEAD", "/weather", voucher).receipt();
    assert_eq!(balance.spent, balance.accepted_cumulative);
    assert_eq!(shop.upstream.asked("/weather"), 96);
}

fn at_once<T: Send>(count: u128, ask: impl Fn(u128) -> T + Sync) -> Vec<T> {
    std::thread::scope(|scope| {
        let ask = &ask;
        let all: Vec<_> = (0..count).map(|number| scope.spawn(move || ask(number))).collect();
        all.into_iter().map(|one| one.join().expect("it asks")).collect()
    })
}

#[test]
fn a_request_that_comes_again_by_its_key_is_charged_for_once() {
    let shop = Shop::open(&[]);
    let payer = shop.opened(3 * PRICE);
    let key = [("idempotency-key", "8e03978e-40d5-43dd-bc93-6894a57f9324")];
    let answers = at_once(8, |_| payer.ask_with("GET", "/weather", payer.voucher(3 * PRICE), &key));
    for answer in &answers {
        assert!(matches!((answer.status, answer.body.as_str()), (200, TEXT) | (409, _)), "{answer:?}");
    }
    let again = payer.ask_with("GET", "/weather", payer.voucher(3 * PRICE), &key);
    assert_eq!((again.status, again.body.as_str(), again.receipt().spent), (200, TEXT, PRICE));
    assert_eq!(shop.upstream.asked("/weather"), 1);
    let other = payer.ask_with("GET", "/weather?city=Oslo", payer.voucher(3 * PRICE), &key);
    assert_eq!(other.receipt().spent, 2 * PRICE, "the key is this request's alone");
}

// ---------------------------------------------------------------- what is wrong

#[test]
fn what_a_session_has_wrong_is_told() {
    let shop = Shop::open(&[]);
    let payer = shop.payer();
    let code = |payload: Payload| payer.ask("GET", "/weather", payload).problem();
    let open = |change: &dyn Fn(&mut ChannelPayer), deposit, total| {
        let mut other = payer.clone();
        change(&mut other);
        other.ask("GET", "/weather", other.open(deposit, total)).problem().1
    };
    assert_eq!(open(&|payer| payer.payee = DEVELOPER_0, DEPOSIT, 0), "other-channel-id");
    assert_eq!(open(&|payer| payer.chain_id = 1, DEPOSIT, 0), "other-chain");
    assert_eq!(open(&|payer| payer.signer = DEVELOPER_1, DEPOSIT, 0), "unbound-authorization");
    assert_eq!(open(&|_| (), 999 * SAT, 0), "deposit-too-small");
    assert_eq!(open(&|_| (), DEPOSIT, DEPOSIT + 1), "amount-exceeds-deposit");
    assert_eq!(open(&|payer| payer.account = Account::random(), DEPOSIT, 0), "contract-refuses");
    assert_eq!(open(&|payer| payer.challenge.id = "AAAA".into(), DEPOSIT, 0), "never-issued");
    assert_eq!(open(&|other| other.challenge = payer.at("/call").challenge, DEPOSIT, 0), "price-changed");
    assert_eq!(code(payer.voucher(PRICE)), (410, "channel-not-found".to_owned()));
    assert_eq!(code(payer.close(PRICE)), (410, "channel-not-found".to_owned()));
    let Payload::Open(Open::Transaction { authorization, signature, .. }) = payer.open(DEPOSIT, 0) else { panic!() };
    let moved = Payload::Open(Open::Transaction {
        channel_id: payer.id(),
        authorization: authorization.clone(),
        signature,
        cumulative_amount: 0,
        voucher_signature: payer.signature(1),
        authorized_signer: None,
        salt: payer.salt,
    });
    assert_eq!(code(moved).1, "signer-mismatch", "the first voucher is looked at before gas is paid");
    assert_eq!(shop.metric("session_opened_total"), 0);

    assert_eq!(payer.ask("HEAD", "/weather", payer.open(DEPOSIT, 2 * PRICE)).status, 200);
    assert_eq!(code(payer.voucher(DEPOSIT + 1)), (402, "amount-exceeds-deposit".to_owned()));
    let with = |total: u128, signature: Bytes| {
        let signed = Signed { channel_id: payer.id(), cumulative_amount: total, signature };
        code(Payload::Voucher(WithDeposit { signed, deposit: None })).1
    };
    assert_eq!(with(3 * PRICE, payer.signature(4 * PRICE)), "signer-mismatch");
    assert_eq!(with(PRICE, payer.signature(4 * PRICE)), "signer-mismatch", "a falling total has to be signed, too");
    let good = payer.signature(3 * PRICE);
    assert_eq!(with(3 * PRICE, good[..64].to_vec().into()), "invalid-signature");
    let mut high = good.to_vec();
    high[32] = 0xff;
    assert_eq!(with(3 * PRICE, high.into()), "invalid-signature");
    let elsewhere = ChannelPayer { chain_id: 1, ..payer.clone() };
    let signed = Signed { signature: elsewhere.signature(3 * PRICE), ..payer.signed(3 * PRICE) };
    assert_eq!(with(3 * PRICE, signed.signature), "signer-mismatch");
    let falling = payer.ask("HEAD", "/weather", payer.voucher(PRICE));
    assert_eq!((falling.status, falling.receipt().accepted_cumulative, falling.receipt().spent), (200, 2 * PRICE, 0));
    assert_eq!(code(payer.close(PRICE)), (403, "close-too-dear".to_owned()), "who spends nothing has no gas paid");
    let topped = payer.ask("GET", "/weather", payer.top_up(DEPOSIT));
    assert_eq!(topped.problem().1, "deposit-too-small", "nor has who spends nothing a top-up brought");
    let paid = payer.ask("GET", "/weather", payer.voucher(2 * PRICE));
    assert_eq!((paid.status, paid.receipt().spent), (200, PRICE));
    assert_eq!(shop.upstream.asked("/weather"), 1);
}

#[test]
fn a_top_up_that_comes_again_is_known_and_each_has_to_be_paid_for_before_the_next() {
    let shop = Shop::open(&[]);
    let payer = shop.opened(4 * PRICE);
    for total in [4 * PRICE, 4 * PRICE + 1] {
        assert_eq!(payer.ask("GET", "/weather", payer.voucher(total)).status, 200);
    }
    let first = payer.top_up(DEPOSIT);
    for _ in 0..2 {
        let topped = payer.ask("HEAD", "/weather", first.clone());
        assert_eq!(topped.status, 200, "its answer may be lost: {topped:?}");
    }
    assert_eq!(shop.metric("session_topped_up_total"), 1);
    // Two pages were paid, as much as opening and one top-up cost: who only tops up would have the payee's gas spent for nothing.
    let mut taken = 0;
    while payer.ask("HEAD", "/weather", payer.top_up(DEPOSIT)).status == 200 {
        taken += 1;
        assert!(taken < 4, "there is no end to it");
    }
}

/// Who opens one after the other and never pays would have the payee's gas spent for nothing.
#[test]
fn a_payer_has_four_channels_opened_until_some_have_paid_for_it() {
    let shop = Shop::open(&[]);
    let open = |payer: &ChannelPayer| payer.ask("GET", "/weather", payer.open(DEPOSIT, 4 * PRICE));
    let payers: Vec<ChannelPayer> = (0..4).map(|_| shop.opened(4 * PRICE)).collect();
    let next = shop.payer();
    assert_eq!(open(&next).problem(), (429, "unpaid-openings".to_owned()));
    assert_eq!(shop.metric("session_opened_total"), 4);
    for _ in 0..2 {
        assert_eq!(payers[0].ask("GET", "/weather", payers[0].voucher(4 * PRICE)).status, 200);
    }
    assert_eq!(open(&next).status, 200, "two pages are worth an opening");
    // Whoever closes before is not trusted any more.
    for payer in &payers[1..] {
        let id = payer.id().to_string();
        let closing = shop.node.causeway(&["pay", "close", &id, "--dev-account", "0", "--yes"], "");
        assert_eq!(closing.code, Some(0), "{closing}");
    }
    let is_claimed = |payer: &ChannelPayer| shop.settled(payer) == 4 * PRICE;
    shop.until("they are seen to close", || payers[1..].iter().all(is_claimed));
    for _ in 0..2 {
        assert_eq!(next.ask("GET", "/weather", next.voucher(4 * PRICE)).status, 200);
    }
    assert_eq!(open(&shop.payer()).problem(), (429, "unpaid-openings".to_owned()));
}

#[test]
fn openings_that_did_not_pay_for_themselves_count_after_a_restart() {
    let mut shop = Shop::open(&[]);
    for _ in 0..4 {
        shop.opened(4 * PRICE);
    }
    shop.kill();
    shop.start();
    let next = shop.payer();
    let fifth = next.ask("GET", "/weather", next.open(DEPOSIT, 4 * PRICE));
    assert_eq!(fifth.problem(), (429, "unpaid-openings".to_owned()));
}

#[test]
fn a_payee_gives_away_what_costs_more_to_claim_than_it_is_worth_and_no_more() {
    let mut shop = Shop::open(&[]);
    let [small, large] = ["/call", "/weather"].map(|path| {
        let payer = shop.opened(40 * PRICE).at(path);
        // For 5 satoshis, and for a thousand.
        for _ in 0..if path == "/call" { 1 } else { 40 } {
            assert_eq!(payer.ask("GET", path, payer.voucher(40 * PRICE)).status, 200);
        }
        payer.id().to_string()
    });
    shop.kill();
    let close = |id: &str, more: &[&str]| {
        let fixed = ["pay", "close", id, "--dev-account", "1", "--yes"];
        shop.node.causeway(&[&fixed[..], more].concat(), "")
    };
    close(&small, &[]).fails_saying(&["name your last voucher", "--forfeit"]);
    close(&large, &["--forfeit"]).fails_saying(&["paywall sold", "holds vouchers for it"]);
    let given = close(&small, &["--forfeit"]);
    assert_eq!(given.code, Some(0), "{given}");
}

/// Its payer signs the request to close beforehand, and sends it as soon as the opening is on its way: the channel is closing when it is first seen.
#[test]
fn who_closes_a_channel_in_the_block_that_opens_it_has_no_more_opened() {
    let Shop { upstream, node, more, .. } = Shop::open(&[]);
    let account = Account::from_secret(&DEVELOPER_0_KEY.0).expect("a key");
    let prepared: Arc<Mutex<Option<Bytes>>> = Arc::default();
    let (next, url) = (prepared.clone(), node.url());
    let relay = Relay::before(&node.url(), move |method, _, _| {
        let raw = if method == "eth_sendRawTransaction" { next.lock().expect("whole").take() } else { None };
        if let Some(raw) = raw {
            let runtime = tokio::runtime::Runtime::new().expect("threads");
            let sent = runtime.block_on(Client::new(&url).expect("a URL").send_raw(&raw));
            sent.expect("it is taken");
        }
    });
    let paywall = Paywall::start(&node.home(), &relay.url, &upstream.url(), &PRICES);
    let shop = Shop { paywall: Some(paywall), upstream, node, more };
    let codes: Vec<String> = (0..6)
        .map(|_| {
            let payer = shop.payer();
            let call = Call::new(MICRO_CHANNEL, &MicroChannel::requestCloseCall { channelId: payer.id() });
            let pending = shop.read(async |client: &Client| {
                let nonce = client.pending_nonce(account.address()).await.expect("a node");
                let usual = client.fees().await.expect("a node");
                account.sign(CHAIN_ID, nonce, 200_000, Fees { priority_fee: 0, ..usual }, &call)
            });
            *prepared.lock().expect("whole") = Some(pending.raw);
            let told = payer.ask("GET", "/weather", payer.open(DEPOSIT, PRICE));
            if told.status == 200 { "served".to_owned() } else { told.problem().1 }
        })
        .collect();
    assert_eq!(codes.last().expect("six").as_str(), "unpaid-openings", "{codes:?}");
}

#[test]
fn nothing_is_given_for_what_could_not_be_claimed() {
    let shop = Shop::open(&[]);
    // More than is asked for until the account's balance is looked at.
    let ahead = 100 * PRICE;
    let payer = shop.opened(ahead);
    assert_eq!(payer.ask("GET", "/weather", payer.voucher(ahead)).status, 200);
    let payee = Account::from_secret(&DEVELOPER_1_KEY.0).expect("a key");
    let rest = U256::from(18 * SAT);
    let give = |from: &Account, to: Address, value: U256| {
        let call = Call { to: Some(to), value, input: Bytes::new() };
        shop.read(async |client: &Client| {
            from.transact(client, &call, Duration::from_secs(20)).await.expect("it is taken")
        });
    };
    let balance = shop.read(async |client: &Client| client.balance(payee.address()).await.expect("a node"));
    give(&payee, DEVELOPER_0, balance - rest - U256::from(20 * SAT));
    let ask = || payer.ask("GET", "/weather", payer.voucher(ahead));
    shop.until("it is seen that there is no gas", || ask().status == 503);
    assert_eq!(ask().problem().1, "no-gas");
    give(&Account::from_secret(&DEVELOPER_0_KEY.0).expect("a key"), payee.address(), U256::from(100_000 * SAT));
    shop.until("it goes on", || ask().status == 200);
}

#[test]
fn a_top_up_that_is_shown_to_the_next_process_is_known() {
    let mut shop = Shop::open(&[]);
    let payer = shop.opened(4 * PRICE);
    for total in [4 * PRICE, 4 * PRICE + 1] {
        assert_eq!(payer.ask("GET", "/weather", payer.voucher(total)).status, 200);
    }
    let top_up = payer.top_up(DEPOSIT);
    assert_eq!(payer.ask("HEAD", "/weather", top_up.clone()).status, 200);
    shop.kill();
    shop.start();
    let payer = ChannelPayer { url: shop.url().to_owned(), ..payer }.at("/weather");
    assert_eq!(payer.ask("HEAD", "/weather", top_up).status, 200, "its answer was lost");
    assert_eq!(payer.ask("GET", "/weather", payer.voucher(DEPOSIT + PRICE)).status, 200);
}

#[test]
fn channels_of_others_and_in_other_tokens_do_not_pay() {
    let shop = Shop::open(&[]);
    let payer = shop.payer();
    let opened = |payee: Address, token: &str| -> B256 {
        let payee = payee.to_string();
        let arguments = ["--json", "pay", "open", "--payee", &payee, "--amount", "5000 sat", "--token", token];
        let opened = shop.node.causeway(&[&arguments[..], &["--dev-account", "0", "--yes"]].concat(), "");
        let events = opened.json();
        let id = events.iter().find_map(|event| event["channel"].as_str());
        id.unwrap_or_else(|| panic!("{opened}")).parse().expect("an id")
    };
    for (payee, token, code) in
        [(DEVELOPER_1, "coin", "channel-other-token"), (DEVELOPER_0, "wrapped", "channel-other-payee")]
    {
        let signed = Signed { channel_id: opened(payee, token), ..payer.signed(PRICE) };
        let refused = payer.ask("GET", "/weather", Payload::Voucher(WithDeposit { signed, deposit: None }));
        assert_eq!(refused.problem(), (402, code.to_owned()));
    }
    // One that the payer opened by itself pays.
    let id = opened(DEVELOPER_1, "wrapped");
    let voucher = payments::voucher::Voucher { channel_id: id, cumulative_amount: PRICE };
    let signature = voucher.sign(&payer.domain(), &payer.account.secret()).signature;
    let signed = Signed { channel_id: id, cumulative_amount: PRICE, signature };
    let paid = payer.ask("GET", "/weather", Payload::Voucher(WithDeposit { signed, deposit: None }));
    assert_eq!((paid.status, paid.body.as_str()), (200, TEXT), "{paid:?}");
}

#[test]
fn a_payers_own_transactions_open_and_fill_a_channel_by_their_hashes() {
    let shop = Shop::open(&[]);
    let payer = shop.payer();
    let transact = |call: Call| {
        let timeout = Duration::from_secs(30);
        let sent = shop.read(async |client: &Client| payer.account.transact(client, &call, timeout).await);
        sent.expect("it is done").transaction_hash
    };
    let allowed = WrappedBtc::approveCall { spender: MICRO_CHANNEL, value: U256::from(2 * DEPOSIT) };
    let allowed = transact(Call::new(WRAPPED_BTC, &allowed));
    let open = MicroChannel::openCall {
        payee: DEVELOPER_1,
        token: WRAPPED_BTC,
        deposit: DEPOSIT,
        salt: payer.salt,
        authorizedSigner: Address::ZERO,
        splitRecipients: Vec::new(),
        splitBps: Vec::new(),
    };
    let hash = transact(Call::new(MICRO_CHANNEL, &open));
    let opened = |hash: B256| {
        let (channel_id, signature) = (payer.id(), payer.signature(PRICE));
        let (cumulative_amount, salt) = (PRICE, payer.salt);
        Payload::Open(Open::Hash { channel_id, hash, cumulative_amount, signature, authorized_signer: None, salt })
    };
    let get = |payload: Payload| payer.ask("GET", "/weather", payload);
    assert_eq!(get(opened(allowed)).problem().1, "other-transaction");
    assert_eq!(get(opened(B256::ZERO)).problem().1, "other-transaction");
    let paid = get(opened(hash));
    assert_eq!((paid.status, paid.body.as_str(), paid.receipt().spent), (200, TEXT, PRICE), "{paid:?}");
    let top_up = MicroChannel::topUpCall { channelId: payer.id(), additionalDeposit: DEPOSIT };
    let hash = transact(Call::new(MICRO_CHANNEL, &top_up));
    let topped = |hash: B256, additional_deposit: u128| {
        get(Payload::TopUp(TopUp::Hash { channel_id: payer.id(), hash, additional_deposit }))
    };
    assert_eq!(topped(hash, DEPOSIT + 1).problem().1, "other-transaction");
    for _ in 0..2 {
        let told = topped(hash, DEPOSIT);
        assert_eq!((told.status, told.receipt().spent), (200, PRICE), "a top-up asks for nothing: {told:?}");
    }
    assert_eq!(payer.ask("HEAD", "/weather", payer.voucher(2 * DEPOSIT)).receipt().accepted_cumulative, 2 * DEPOSIT);
    assert_eq!(shop.upstream.asked("/weather"), 1);
}

#[test]
fn a_charge_is_no_session_and_a_session_no_charge() {
    let shop = Shop::open(&[]);
    let asked = send(shop.url(), "GET", "/weather", &[], b"");
    let intents: Vec<_> = asked
        .headers
        .iter()
        .filter(|(name, _)| name == "www-authenticate")
        .flat_map(|(_, value)| paywall::wallet::challenges(value))
        .map(|challenge| challenge.intent)
        .collect();
    assert_eq!(intents, ["charge", "session"], "what most clients know comes first");
    let payer = shop.payer();
    let charge = paywall::wallet::challenges(asked.header("www-authenticate")).remove(0);
    let encoded = |challenge: &mpp::Challenge, payload: Value| {
        let json = json!({ "challenge": challenge, "payload": payload });
        let credential: Result<Credential, _> = serde_json::from_value(json.clone());
        credential.map_or_else(
            |_| format!("Payment {}", alloy_primitives::hex::encode(json.to_string())),
            |credential| credential.encode(),
        )
    };
    let ask = |credential: String| send(shop.url(), "GET", "/weather", &[("authorization", &credential)], b"");
    let voucher = serde_json::to_value(payer.open(DEPOSIT, PRICE)).expect("JSON");
    // A charge's challenge with a session's payload; the same that calls itself a session's.
    assert!(matches!(ask(encoded(&charge, voucher.clone())).status, 400 | 402));
    let renamed = mpp::Challenge { intent: "session".into(), ..charge };
    assert_eq!(ask(encoded(&renamed, voucher)).problem(), (402, "never-issued".to_owned()));
    // A session's challenge, answered by what pays a charge.
    let session = asked.challenge();
    let (authorization, signature) = payer.authorized(PRICE);
    let payload = mpp::Payload { kind: mpp::AUTHORIZATION.into(), authorization: authorization.terms, signature };
    let by_charge = mpp::Credential { challenge: session.clone(), payload: payload.clone(), source: None };
    assert_eq!(ask(by_charge.encode()).problem(), (400, "malformed-credential".to_owned()));
    let renamed = mpp::Challenge { intent: "charge".into(), ..session };
    let by_charge = mpp::Credential { challenge: renamed, payload, source: None };
    assert_eq!(ask(by_charge.encode()).status, 402);
    assert_eq!(shop.upstream.asked("/weather"), 0);
}

#[test]
fn a_voucher_that_everybody_can_read_buys_nothing() {
    let shop = Shop::open(&["--claim-at", "60 sat"]);
    let payer = shop.opened(4 * PRICE);
    for _ in 0..3 {
        assert_eq!(payer.ask("GET", "/weather", payer.voucher(4 * PRICE)).status, 200, "nobody can read it yet");
    }
    let claimed = || shop.settled(&payer) == 4 * PRICE;
    shop.until("it is claimed at its worth", claimed);
    assert_eq!(shop.balance(DEVELOPER_1), 4 * PRICE);
    // Whoever reads the claim has the voucher, and can ask for a challenge.
    let stranger = payer.at("/weather");
    let stolen = stranger.ask("GET", "/weather", payer.voucher(4 * PRICE));
    assert_eq!(stolen.problem(), (402, "voucher-published".to_owned()));
    assert_eq!(stolen.says("requiredCumulative"), 4 * PRICE + 1);
    let closing = stranger.ask("GET", "/weather", payer.close(4 * PRICE));
    assert_eq!(closing.problem().1, "voucher-published", "nor closes it the channel");
    // What was on its way when it was claimed is nobody else's.
    let late = payer.ask("GET", "/weather", payer.voucher(2 * PRICE));
    assert_eq!((late.status, late.receipt().spent), (200, 4 * PRICE));
    let own = payer.ask("GET", "/weather", payer.voucher(5 * PRICE));
    assert_eq!((own.status, own.receipt().spent), (200, 5 * PRICE));
    shop.until("it is counted", || shop.metric("session_claims_total") == 1);
}

#[test]
fn a_payer_that_starts_to_close_is_claimed_from_and_given_nothing_more() {
    let shop = Shop::open(&[]);
    let payer = shop.opened(8 * PRICE);
    for _ in 0..3 {
        assert_eq!(payer.ask("GET", "/weather", payer.voucher(8 * PRICE)).status, 200);
    }
    let id = payer.id().to_string();
    let closing = shop.node.causeway(&["pay", "close", &id, "--dev-account", "0", "--yes"], "");
    assert_eq!(closing.code, Some(0), "{closing}");
    shop.until("it is claimed before the payer can take it", || shop.settled(&payer) == 8 * PRICE);
    let refused = payer.ask("GET", "/weather", payer.voucher(9 * PRICE));
    assert!(matches!(refused.problem().1.as_str(), "channel-closing" | "channel-finalized"), "{refused:?}");
    // The payer adds money, and goes on.
    let (authorization, signature) = payer.authorized(DEPOSIT);
    let deposit = paywall::session::credential::Deposit::TopUp { authorization, signature, salt: None };
    let more = Payload::Voucher(WithDeposit { signed: payer.signed(9 * PRICE), deposit: Some(deposit) });
    let paid = payer.ask("GET", "/weather", more);
    assert_eq!(paid.status, 200, "{paid:?}");
}

// ---------------------------------------------------------------- by the unit

#[test]
fn what_the_upstream_counts_is_paid_for_and_asked_for_with_money_alone() {
    let shop = Shop::open(&[]);
    let asked = send(shop.url(), "GET", "/counted", &[], b"");
    assert_eq!((asked.status, asked.header("payment-required")), (402, ""), "only a session pays by the unit");
    assert_eq!(asked.headers.iter().filter(|(name, _)| name == "www-authenticate").count(), 1);
    let payer = shop.opened(5 * SAT).at("/counted");
    let get = |total: u128| payer.ask("GET", "/counted", payer.voucher(total));
    assert_eq!(get(5 * SAT).problem(), (402, "insufficient-balance".to_owned()));
    assert_eq!(shop.upstream.asked("/counted"), 0, "three units have to be there before");
    let short = get(6 * SAT);
    assert_eq!((short.problem().1.as_str(), short.says("spent")), ("insufficient-balance", 6 * SAT));
    let paid = get(20 * SAT);
    assert_eq!((paid.status, paid.body.as_str()), (200, TEXT), "{paid:?}");
    assert_eq!((paid.receipt().units, paid.receipt().spent), (Some(7), 20 * SAT));
    // With a key, what was too dear is held back until the rest is paid: the upstream is asked once.
    let keyed = |total: u128| payer.ask_with("GET", "/counted", payer.voucher(total), &[("idempotency-key", "a-key")]);
    let short = keyed(26 * SAT);
    assert_eq!((short.problem().1.as_str(), short.says("requiredCumulative")), ("insufficient-balance", 34 * SAT));
    let asked = shop.upstream.asked("/counted");
    let paid = keyed(34 * SAT);
    assert_eq!((paid.status, paid.body.as_str(), paid.receipt().spent), (200, TEXT, 34 * SAT), "{paid:?}");
    let again = keyed(34 * SAT);
    assert_eq!((again.status, again.receipt().spent), (200, 34 * SAT), "and once more, for nothing");
    assert_eq!(shop.upstream.asked("/counted"), asked);
    let by_request = payer.at("/call");
    let paid = by_request.ask("GET", "/call", by_request.voucher(39 * SAT));
    assert_eq!((paid.status, paid.receipt().spent), (200, 39 * SAT));
    let free = payer.at("/counted");
    let voucher = free.credential(free.voucher(40 * SAT));
    let both = [("authorization", voucher.as_str()), ("payment-signature", "e30=")];
    assert_eq!(send(shop.url(), "GET", "/counted", &both, b"").problem().1, "two-payments");
    assert_eq!(
        send(shop.url(), "GET", "/counted", &[("payment-signature", "e30=")], b"").problem(),
        (402, "session-only".to_owned())
    );
}

#[test]
fn bytes_are_given_as_far_as_the_money_goes() {
    let shop = Shop::open(&[]);
    let payer = shop.opened(50 * SAT).at("/bytes");
    // Half of what it costs: it breaks off, and nobody takes it for whole.
    let credential = payer.credential(payer.voucher(50 * SAT));
    let (length, is_whole) = chunked(&shop, "/bytes", &[("authorization", &credential)]);
    assert_eq!((length, is_whole), (5_000, false));
    let credential = payer.credential(payer.voucher(200 * SAT));
    let mut stream = begin(shop.url(), "GET", "/bytes", &[("authorization", &credential), ("te", "trailers")], b"");
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("to its end");
    let text = String::from_utf8_lossy(&bytes);
    let trailer = text.lines().rev().find_map(|line| line.strip_prefix("payment-receipt: ")).expect("a trailer");
    let receipt = paywall::session::receipt::SessionReceipt::decode(trailer).expect("a receipt");
    assert_eq!((receipt.units, receipt.spent), (Some(10), 150 * SAT));
}

/// Bytes of a chunked body, and whether its end came.
fn chunked(shop: &Shop, target: &str, headers: &[(&str, &str)]) -> (usize, bool) {
    let answer = send(shop.url(), "GET", target, headers, b"");
    let length = answer.body.bytes().filter(|byte| *byte == b'x').count();
    (length, answer.body.ends_with("0\r\n\r\n"))
}

/// Events of an answer, as they come.
struct Reading {
    stream: TcpStream,
    bytes: Vec<u8>,
}

impl Reading {
    fn begin(payer: &ChannelPayer, target: &str, payload: Payload) -> Self {
        let credential = payer.credential(payload);
        let stream = begin(&payer.url, "GET", target, &[("authorization", &credential)], b"");
        Self { stream, bytes: Vec::new() }
    }

    /// Reads until a text is there.
    fn until(&mut self, what: &str) {
        let mut part = [0; 4_096];
        while !self.text().contains(what) {
            let length = self.stream.read(&mut part).unwrap_or(0);
            assert!(length > 0, "{what}: {}", self.text());
            self.bytes.extend_from_slice(&part[..length]);
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    fn count(&self) -> usize {
        self.text()
            .lines()
            .filter(|line| line.strip_prefix("data: ").is_some_and(|data| !data.starts_with('{')))
            .count()
    }

    /// What the last event of this name says.
    fn last(&self, name: &str) -> Value {
        let text = self.text();
        let at = text.rfind(&format!("event: {name}\n")).unwrap_or_else(|| panic!("{name}: {text}"));
        let data = text[at..].lines().nth(1).and_then(|line| line.strip_prefix("data: ")).expect("its data");
        serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {data}"))
    }
}

#[test]
fn a_stream_stops_when_the_money_stops_and_goes_on_when_more_comes() {
    let shop = Shop::open(&[]);
    let payer = shop.opened(3 * SAT).at("/slow-events");
    let mut reading = Reading::begin(&payer, "/slow-events", payer.voucher(3 * SAT));
    reading.until("event: payment-need-voucher\n");
    reading.until("\"deposit\"");
    assert_eq!(reading.count(), 3);
    let need = reading.last("payment-need-voucher");
    assert_eq!(
        (&need["requiredCumulative"], &need["acceptedCumulative"]),
        (&json!((4 * SAT).to_string()), &json!((3 * SAT).to_string()))
    );
    assert_eq!(payer.ask("HEAD", "/slow-events", payer.voucher(7 * SAT)).status, 200);
    reading.until("event: payment-receipt\n");
    reading.until("\"units\"");
    assert_eq!(reading.count(), 7, "nobody paid for an eighth");
    let receipt = reading.last("payment-receipt");
    assert_eq!((&receipt["units"], &receipt["spent"]), (&json!(7), &json!((7 * SAT).to_string())));
    assert!(shop.metric("session_paused_total") >= 2);
    shop.until("the answer is over", || shop.metric("session_metered_answers") == 0);
}

#[test]
fn ticks_pay_for_a_stream_by_thirty_two_bytes_each() {
    let shop = Shop::open(&[]);
    let payer = shop.opened(0).at("/slow-events");
    let ticks = chain(B256::repeat_byte(3), 20);
    let root = ticks[0];
    assert_eq!(payer.tick(root, &ticks[1..2]).problem(), (410, "no-such-stream".to_owned()));
    let opened = payer.ask("HEAD", "/slow-events", payer.stream(0, SAT, 20, root));
    assert_eq!((opened.status, opened.receipt().accepted_cumulative), (200, 0), "{opened:?}");
    let taken = payer.tick(root, &ticks[1..3]);
    assert_eq!(
        (taken.status, taken.body.as_str()),
        (200, r#"{"acceptedCumulative":"20000000000","spent":"0","ticks":2}"#)
    );
    let mut reading = Reading::begin(&payer, "/slow-events", payer.voucher(2 * SAT + 1));
    reading.until("event: payment-need-voucher\n");
    assert_eq!(reading.count(), 2);
    assert_eq!(payer.tick(root, &ticks[2..6]).status, 200, "the last one may come again in front");
    reading.until("data: 5\n");
    // A wrong one is refused, and those before it count.
    let wrong = payer.tick(root, &[ticks[6], B256::ZERO]);
    assert_eq!((wrong.problem().1.as_str(), wrong.says("acceptedCumulative")), ("wrong-tick", 6 * SAT));
    reading.until("event: payment-receipt\n");
    assert_eq!(reading.count(), 6);
    let closing = payer.ask("GET", "/slow-events", payer.close(2 * SAT));
    assert!(matches!(closing.problem().1.as_str(), "close-too-dear" | "voucher-below-ticks"), "{closing:?}");
    assert_eq!(send(shop.url(), "POST", "/.well-known/causeway-ticks/x/y", &[], b"").status, 404);
}

#[test]
fn as_many_answers_of_one_channel_as_may_wait_do_and_no_more() {
    let shop = Shop::open(&["--patience", "20s"]);
    let payer = shop.opened(70 * SAT).at("/slow-events");
    let mut open: Vec<Reading> =
        (0..64).map(|_| Reading::begin(&payer, "/slow-events", payer.voucher(70 * SAT))).collect();
    shop.until("all are being given", || shop.metric("session_metered_answers") == 64);
    let more = payer.ask("GET", "/slow-events", payer.voucher(70 * SAT));
    assert_eq!(more.problem(), (429, "too-many-answers".to_owned()));
    open.iter_mut().for_each(|reading| reading.until("event: payment-need-voucher\n"));
    assert_eq!(open.iter().map(Reading::count).sum::<usize>(), 70, "each event is paid for by one of them");
    drop(open);
    shop.until("who left is waited for no longer", || shop.metric("session_metered_answers") == 0);
}

// ---------------------------------------------------------------- crashes

#[test]
fn whoever_kills_the_paywall_gets_nothing_that_is_not_paid_for() {
    const TOTAL: u128 = 5_000 * SAT;
    let mut shop = Shop::open(&[]);
    let mut payer = shop.opened(TOTAL);
    let mut given = 0u128;
    for round in 0..4 {
        let (url, voucher) = (shop.url().to_owned(), payer.credential(payer.voucher(TOTAL)));
        let ask = || (0..12).map_while(|_| try_send(&url, &voucher)).collect::<Vec<_>>();
        let answers: Vec<u16> = std::thread::scope(|scope| {
            let asking: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
            std::thread::sleep(Duration::from_millis(10 + 20 * round));
            shop.kill();
            asking.into_iter().flat_map(|one| one.join().expect("it asks")).collect()
        });
        given += answers.iter().filter(|status| **status == 200).count() as u128;
        shop.start();
        payer = ChannelPayer { url: shop.url().to_owned(), ..payer }.at("/weather");
        let receipt = payer.ask("HEAD", "/weather", payer.voucher(TOTAL)).receipt();
        assert_eq!(receipt.accepted_cumulative, TOTAL);
        assert!(receipt.spent >= given * PRICE, "{given} given, {} spent", receipt.spent);
        assert!(receipt.spent <= u128::from(shop.upstream.asked("/weather")) * PRICE, "{}", receipt.spent);
    }
    assert!(given > 0);
}

/// The status of an answer that came whole; none when nobody listens any more.
fn try_send(url: &str, credential: &str) -> Option<u16> {
    let host = url.strip_prefix("http://").expect("a URL");
    let mut stream = TcpStream::connect(host).ok()?;
    let head =
        format!("GET /weather HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\nauthorization: {credential}\r\n\r\n");
    stream.write_all(head.as_bytes()).ok()?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).ok()?;
    let answer = read(&bytes);
    (answer.status != 0).then_some(answer.status)
}

#[test]
fn what_was_paid_ahead_and_an_open_stream_are_there_after_a_restart() {
    let mut shop = Shop::open(&[]);
    let mut payer = shop.opened(2 * PRICE);
    let ticks = chain(B256::repeat_byte(3), 9);
    assert_eq!(payer.ask("HEAD", "/weather", payer.stream(2 * PRICE, SAT, 9, ticks[0])).status, 200);
    assert_eq!(payer.tick(ticks[0], &ticks[1..5]).status, 200);
    let key = [("idempotency-key", "one")];
    assert_eq!(payer.ask_with("GET", "/weather", payer.voucher(2 * PRICE), &key).status, 200);
    shop.kill();
    shop.start();
    payer = ChannelPayer { url: shop.url().to_owned(), ..payer }.at("/weather");
    // Its answer is gone: the upstream is asked again, and nothing is charged.
    let again = payer.ask_with("GET", "/weather", payer.voucher(2 * PRICE), &key);
    assert_eq!((again.status, again.receipt().spent), (200, PRICE));
    let taken = payer.tick(ticks[0], &ticks[4..7]);
    assert_eq!(taken.status, 200, "{taken:?}");
    let receipt = payer.ask("HEAD", "/weather", payer.voucher(2 * PRICE)).receipt();
    assert_eq!((receipt.accepted_cumulative, receipt.spent), (2 * PRICE + 6 * SAT, PRICE));
}

#[test]
fn what_the_upstream_does_not_give_costs_nothing() {
    let shop = Shop::open(&[]);
    let payer = shop.opened(PRICE);
    shop.upstream.fail(1);
    let failed = payer.ask("GET", "/failing", payer.voucher(PRICE));
    assert_eq!((failed.status, failed.header("payment-receipt")), (500, ""));
    let paid = payer.ask("GET", "/failing", payer.voucher(PRICE));
    assert_eq!((paid.status, paid.receipt().spent), (200, PRICE), "the same voucher pays for it later");
}

#[test]
fn what_ticks_paid_is_claimed_by_the_last_of_them() {
    let shop = Shop::open(&["--claim-at", "50 sat"]);
    let payer = shop.opened(0);
    let ticks = chain(B256::repeat_byte(3), 9);
    assert_eq!(payer.ask("HEAD", "/weather", payer.stream(0, 20 * SAT, 9, ticks[0])).status, 200);
    assert_eq!(payer.tick(ticks[0], &ticks[1..5]).status, 200);
    for _ in 0..2 {
        assert_eq!(payer.ask("GET", "/weather", payer.voucher(1)).status, 200);
    }
    shop.until("four ticks are claimed", || shop.settled(&payer) == 80 * SAT);
    // Their terms are public now: whoever shows them again gets nothing by them.
    let again = payer.ask("GET", "/weather", payer.stream(0, 20 * SAT, 9, ticks[0]));
    assert_eq!((again.status, again.receipt().spent), (200, 2 * PRICE));
    let stolen = payer.ask("GET", "/weather", payer.voucher(80 * SAT));
    assert_eq!(stolen.problem().1, "voucher-published");
    let own = payer.ask("GET", "/weather", payer.voucher(80 * SAT + 1));
    assert_eq!((own.status, own.receipt().spent), (200, 3 * PRICE));
    assert_eq!(shop.upstream.asked("/weather"), 3);
}

#[test]
fn a_paywall_that_is_asked_to_stop_loses_nothing() {
    let mut shop = Shop::open(&[]);
    let mut payer = shop.opened(2 * PRICE);
    assert_eq!(payer.ask("GET", "/weather", payer.voucher(2 * PRICE)).status, 200);
    shop.paywall = None;
    shop.start();
    payer = ChannelPayer { url: shop.url().to_owned(), ..payer }.at("/weather");
    let paid = payer.ask("GET", "/weather", payer.voucher(2 * PRICE));
    assert_eq!((paid.status, paid.receipt().spent), (200, 2 * PRICE), "{paid:?}");
}
