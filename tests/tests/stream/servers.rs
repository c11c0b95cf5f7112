//! Channels of one payee and several servers, and channels that are used up.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::*;

/// A server that is told what to say to whoever pays: asked for without payment, it wants a hundred sat for its page, as developer account 1.
pub fn scripted(say: impl Fn(&Value) -> String + Send + 'static) -> String {
    asking(wants, say)
}

/// The same, which asks by its own words.
pub fn asking(
    mut ask: impl FnMut() -> String + Send + 'static,
    say: impl Fn(&Value) -> String + Send + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}/weather", listener.local_addr().expect("bound"));
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let said = payload_of(&stream).map_or_else(&mut ask, |payload| say(&payload));
            let _ = stream.write_all(said.as_bytes());
        }
    });
    url
}

fn wants() -> String {
    demand(&offer(100, "request"))
}

/// A 402 with this offer.
pub fn demand(offer: &str) -> String {
    format!("HTTP/1.1 402 x\r\nwww-authenticate: {offer}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
}

/// A server that names another one's payee, and buys there with what it is paid. To its payers it gives nothing.
struct Thief {
    url: String,
    /// Pages that it got for payers' money.
    pages: Arc<AtomicU64>,
    /// Channels by which it was paid.
    channels: Arc<Mutex<Vec<String>>>,
}

impl Thief {
    /// Before `robbed`, whose page `/weather` costs less than the hundred sat that this one asks for.
    fn start(robbed: &str) -> Self {
        let (pages, channels) = (Arc::new(AtomicU64::new(0)), Arc::new(Mutex::new(Vec::new())));
        let (bought, paid, robbed) = (pages.clone(), channels.clone(), robbed.to_owned());
        let url = scripted(move |payload| {
            paid.lock().expect("whole").push(payload["channelId"].as_str().expect("an id").to_owned());
            while buy(&robbed, payload) {
                bought.fetch_add(1, Ordering::SeqCst);
            }
            "HTTP/1.1 403 x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".to_owned()
        });
        Self { url, pages, channels }
    }
}

/// What a request pays with.
fn payload_of(stream: &TcpStream) -> Option<Value> {
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines().map_while(Result::ok);
    let head: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
    let paid = head.iter().find_map(|line| line.strip_prefix("authorization: Payment "))?;
    let credential: Value = serde_json::from_slice(&base64_of(paid.trim())).expect("JSON");
    Some(credential["payload"].clone())
}

/// Shows what somebody else signed.
pub fn buy(robbed: &str, payload: &Value) -> bool {
    let asked = http::send(robbed, "GET", "/weather", &[], b"");
    let challenge = asked.challenge();
    let credential = payload::credential(&challenge, payload, &paywall::mpp::source(CHAIN_ID, DEVELOPER_0));
    http::send(robbed, "GET", "/weather", &[("authorization", &credential)], b"").status == 200
}

pub fn fetch(node: &LoneNode, url: &str, more: &[&str]) -> Finished {
    let fixed = ["--json", "pay", "fetch", url, "--dev-account", "0", "--max", "100 sat", "--timeout", "5"];
    node.causeway(&[&fixed[..], more].concat(), "")
}

pub fn text(finished: &Finished, member: &str) -> String {
    assert_eq!(finished.code, Some(0), "{finished}");
    finished.json()[0][member].as_str().unwrap_or_else(|| panic!("{finished}")).to_owned()
}

#[test]
fn a_server_that_names_anothers_payee_gets_no_voucher_of_the_others_channel() {
    let shop = Shop::open();
    let deposit = ["--deposit", "2000 sat"];
    let own = shop.fetch("/weather", &deposit);
    let id = text(&own, "channel");
    let thief = Thief::start(&shop.url(""));
    fetch(&shop.node, &thief.url, &deposit).fails_saying(&["the server answered 403"]);
    // It got what the payer was ready to pay it, of a channel of its own.
    let shown = thief.channels.lock().expect("whole").clone();
    assert!(!shown.is_empty() && !shown.contains(&id), "{shown:?}");
    assert!(thief.pages.load(Ordering::SeqCst) <= 4, "a hundred sat");
    // The channel of the other has what was paid there, and pays on, for a page's price.
    for _ in 0..2 {
        let again = shop.fetch("/weather", &deposit);
        assert_eq!((text(&again, "channel"), sat(&again.json()[0], "amount")), (id.clone(), 25), "{again}");
    }
    // By name a person pays whom it likes: then the thief buys pages of the other with the other's channel.
    let before = thief.pages.load(Ordering::SeqCst);
    fetch(&shop.node, &thief.url, &["--channel", &id]).fails_saying(&["the server answered 403"]);
    assert_eq!(thief.channels.lock().expect("whole").last(), Some(&id));
    assert!(thief.pages.load(Ordering::SeqCst) > before, "a voucher is good for whoever shows it");
}

#[test]
fn two_servers_of_one_payee_with_books_of_their_own_have_a_channel_each() {
    let shop = Shop::open();
    let elsewhere = tempfile::tempdir().expect("a folder");
    let prices = ["--price", "/weather=25 sat"];
    let second = Paywall::start(elsewhere.path(), &shop.node.url(), &shop.upstream.url(), &prices);
    let urls = [shop.url("/weather"), format!("{}/weather", second.url)];
    let fetched = |more: &[&str]| -> Vec<Finished> {
        urls.iter().map(|url| fetch(&shop.node, url, &[&["--deposit", "2000 sat"], more].concat())).collect()
    };
    let ids: Vec<String> = fetched(&[]).iter().map(|one| text(one, "channel")).collect();
    assert_ne!(ids[0], ids[1]);
    let closed = fetched(&["--close"]);
    assert_eq!(closed.iter().map(|one| text(one, "channel")).collect::<Vec<_>>(), ids);
    for id in ids {
        let status = shop.node.causeway(&["--json", "pay", "status", &id], "");
        assert_eq!(sat(&status.json()[0], "claimed"), 50, "each what it gave: {status}");
    }
}

#[test]
fn a_page_that_was_paid_for_is_shown_though_its_channel_is_not_closed() {
    let node = node();
    let id = channel(&node, 1_000, "wrapped");
    let closings = Arc::new(AtomicU64::new(0));
    let asked = closings.clone();
    let url = scripted(move |payload| {
        if payload["action"] == "close" {
            asked.fetch_add(1, Ordering::SeqCst);
            return "HTTP/1.1 503 x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".to_owned();
        }
        "HTTP/1.1 200 x\r\nconnection: close\r\ncontent-length: 4\r\n\r\npage".to_owned()
    });
    let shown = fetch(&node, &url, &["--channel", &id, "--close"]);
    let event: Value = serde_json::from_str(&shown.stdout).expect("an event");
    assert_eq!((&event["body"], sat(&event, "cost")), (&json!("page"), 100), "{shown}");
    shown.fails_saying(&["is paid for", "not closed", "503", "causeway pay close"]);
    let plain =
        ["pay", "fetch", &url, "--dev-account", "0", "--max", "100 sat", "--timeout", "5", "--channel", &id, "--close"];
    let shown = node.causeway(&plain, "");
    assert_eq!(shown.stdout, "page");
    shown.fails_saying(&["Promised 0.000001 BTC", "is paid for", "not closed", "503", "causeway pay close"]);
    assert!(closings.load(Ordering::SeqCst) > 1, "it was asked to close");
}

#[test]
fn a_server_that_leads_elsewhere_or_asks_again_for_what_was_paid_is_paid_once() {
    let node = node();
    let id = channel(&node, 1_000, "wrapped");
    let elsewhere = TcpListener::bind("127.0.0.1:0").expect("a free port");
    elsewhere.set_nonblocking(true).expect("a socket");
    let there = elsewhere.local_addr().expect("bound");
    let totals = Arc::new(Mutex::new(Vec::new()));
    let asks = json!({ "requiredCumulative": (1_000 * WEI_PER_SAT).to_string() }).to_string();
    let said = [
        format!("HTTP/1.1 302 x\r\nlocation: http://{there}/x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"),
        wants(),
        wants().replace("content-length: 0\r\n\r\n", &format!("content-length: {}\r\n\r\n{asks}", asks.len())),
    ];
    for (said, words) in said.into_iter().zip(["the server answered 302", "refuses the payment", "it gets no more"]) {
        let shown = totals.clone();
        let url = scripted(move |payload| {
            shown.lock().expect("whole").push(payload["cumulativeAmount"].clone());
            said.clone()
        });
        let before = totals.lock().expect("whole").len();
        fetch(&node, &url, &["--channel", &id]).fails_saying(&[words]);
        let mut shown = totals.lock().expect("whole").split_off(before);
        shown.dedup();
        assert_eq!(shown.len(), 1, "one total: {shown:?}");
    }
    assert!(elsewhere.accept().is_err(), "nobody was led there");
}

// ---------------------------------------------------------------------- channels that are used up

const SMALL: [&str; 8] = [
    "--price",
    "/weather=25 sat",
    "--price",
    "/events=5 sat per event",
    "--price",
    "/bytes=10 sat per kilobyte",
    "--min-deposit",
    "60 sat",
];

pub fn small_shop() -> Shop {
    let mut shop = Shop { paywall: None, upstream: Upstream::start(), node: node() };
    let (node, upstream) = (&shop.node, shop.upstream.url());
    shop.paywall = Some(Paywall::start(&node.home(), &node.url(), &upstream, &SMALL));
    shop
}

#[test]
fn a_stream_whose_channel_is_used_up_tops_it_up_and_goes_on_to_its_end_or_limit() {
    let shop = small_shop();
    let url = shop.url("/events");
    let stream = |max: &str, more: &[&str]| {
        let fixed = ["--json", "pay", "stream", &url, "--dev-account", "0", "--max", max, "--deposit", "60 sat"];
        shop.node.causeway(&[&fixed[..], more].concat(), "")
    };
    let mut channels = Vec::new();
    for (more, delivered) in [(&[][..], 100), (&["--ticks"], 200)] {
        let whole = stream("200 sat", more);
        assert_eq!(whole.code, Some(0), "{whole}");
        assert_eq!(numbers(&whole), (1..=20).collect::<Vec<u32>>(), "{whole}");
        let event = streamed(&whole);
        assert_eq!((event["ended"].clone(), sat(&event, "cost")), (json!("whole"), 100), "{event}");
        let deposit = sat(&event, "deposit");
        assert!(deposit.is_multiple_of(60) && deposit >= delivered && deposit <= delivered + 110, "{event}");
        channels.push(event["channel"].clone());
    }
    assert_eq!(channels[0], channels[1]);
    // No more is added than the limit lets be promised.
    let before = sat(&streamed(&stream("1 sat", &[])), "deposit");
    let limited = streamed(&stream("30 sat", &[]));
    assert_eq!(
        (limited["ended"].clone(), sat(&limited, "deposit") <= before + 60),
        (json!("limit"), true),
        "{limited}"
    );
    let closed = stream("200 sat", &["--close"]);
    assert_eq!(streamed(&closed)["ended"], "whole", "{closed}");
    let status = shop.node.causeway(&["--json", "pay", "status", channels[0].as_str().expect("an id")], "");
    assert_eq!(status.json()[0]["state"], "closed", "{status}");
}

#[test]
fn a_payer_that_is_killed_while_it_tops_up_locks_what_it_promised_and_one_deposit_beside() {
    let shop = small_shop();
    let (url, rpc) = (shop.url("/events"), shop.node.url());
    let fixed = ["--json", "pay", "stream", &url, "--dev-account", "0", "--max", "200 sat", "--deposit", "60 sat"];
    let seed: u64 = std::env::var("SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(20_261_128);
    println!("SEED={seed}");
    let mut state = seed;
    for _ in 0..8 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut payer = binary::spawn(&shop.node.home(), [&fixed[..], &["--rpc", &rpc]].concat());
        std::thread::sleep(Duration::from_millis(100 + (state >> 33) % 1_200));
        let _ = payer.kill(); // It may have ended.
        payer.wait().expect("our child");
    }
    let whole = shop.node.causeway(&fixed, "");
    assert_eq!(whole.code, Some(0), "{whole}");
    let event = streamed(&whole);
    assert_eq!((event["ended"].clone(), numbers(&whole).len()), (json!("whole"), 20), "{event}");
    let (signed, deposit) = (sat(&event, "signed"), sat(&event, "deposit"));
    // Fifty are promised ahead, and added to before they are used up.
    assert!(deposit.is_multiple_of(60) && deposit <= signed + 50 + 60, "{event}");
    let status = shop.node.causeway(&["--json", "pay", "status", event["channel"].as_str().expect("an id")], "");
    assert_eq!(sat(&status.json()[0], "deposit"), deposit, "as the chain has it: {status}");
}

#[test]
fn a_page_and_an_answer_of_bytes_top_their_channel_up_too() {
    let shop = small_shop();
    let mut ids = Vec::new();
    for _ in 0..4 {
        let page = shop.fetch("/weather", &["--deposit", "60 sat"]);
        assert_eq!((text(&page, "body"), sat(&page.json()[0], "amount")), (TEXT.to_owned(), 25), "{page}");
        ids.push(text(&page, "channel"));
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
    // What no event asks for is paid ahead, in steps: the channel is topped up before it is used up.
    let bytes = shop.fetch("/bytes", &["--deposit", "60 sat"]);
    assert_eq!((text(&bytes, "body").len(), text(&bytes, "channel")), (10_000, ids[0].clone()), "{bytes}");
    let url = shop.url("/bytes");
    let fixed = ["--json", "pay", "stream", &url, "--dev-account", "0", "--max", "200 sat", "--deposit", "60 sat"];
    let whole = shop.node.causeway(&fixed, "");
    assert_eq!(whole.code, Some(0), "{whole}");
    let event = streamed(&whole);
    let (channel, ended) = (event["channel"].clone(), event["ended"].clone());
    assert_eq!((channel, ended, sat(&event, "cost")), (json!(ids[0]), json!("whole"), 100), "{event}");
}

#[test]
fn a_payee_that_opens_and_adds_nothing_is_shown_one_deposit_and_no_second() {
    let node = node();
    let liar = Liar::start(Lie::AsksFor(5));
    let mut channels = Vec::new();
    for _ in 0..2 {
        // It says that the channel is open, delivers, and asks for more than is in it: the chain knows of nothing.
        let stopped = stream(&node, &liar.url, &["--deposit", "5 sat", "--ahead", "20 sat", "--timeout", "3"]);
        let event = streamed(&stopped);
        assert_eq!((event["ended"].clone(), sat(&event, "deposit")), (json!("deposit"), 5), "{stopped}");
        channels.push(event["channel"].clone());
    }
    assert_eq!(channels[0], channels[1], "it could have brought both");
    let human =
        ["pay", "stream", &liar.url, "--dev-account", "0", "--max", "100 sat", "--deposit", "5 sat", "--timeout", "3"];
    let told = node.causeway(&human, "");
    assert!(told.stderr.contains("nothing was added to it: the chain does not have the channel"), "{told}");
}
