//! What is wrong around a paywall: its node, its clock, those who hold its connections, and pages of others.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tests::channel_payer::ChannelPayer;
use tests::relay::Relay;
use tests::waiting::Patience;
use tests::wrong_clock::WrongClock;

use super::*;

/// What `bridge/paywall` has in one place each: connections at a time, and how long a silent one is kept.
const CONNECTIONS: usize = 512;
const SILENCE: Duration = Duration::from_secs(20);
/// Twice that, for a machine that is busy.
const PATIENCE: Patience = Patience::new(Duration::from_secs(45), Duration::from_millis(200));

#[test]
fn while_the_chain_is_away_nothing_is_taken_and_the_same_payment_is_good_when_it_is_back() {
    let Shop { upstream, node, .. } = Shop::open(&[]);
    let away = Arc::new(AtomicBool::new(false));
    let is_away = away.clone();
    let relay = Relay::before(&node.url(), move |_, _, answer| {
        if is_away.load(Ordering::SeqCst) {
            *answer = json!({ "error": { "code": -32_000, "message": "the node is starting" } });
        }
    });
    let paywall = Paywall::start(&node.home(), &relay.url, &upstream.url(), &PRICES);
    let shop = Shop { paywall, upstream, node };
    let (name, value) = shop.by_x402("/weather", |_, _| ());
    away.store(true, Ordering::SeqCst);
    let answer = shop.get("/weather", &[(name, &value)]);
    assert_eq!((answer.status, answer.header("www-authenticate")), (503, ""), "nobody is to pay anew: {answer:?}");
    assert!(answer.body.contains("chain-down") && !answer.header("retry-after").is_empty(), "{answer:?}");
    assert_eq!(shop.upstream.asked("/weather"), 0);
    assert_eq!(shop.get("/free", &[]).body, TEXT, "what costs nothing needs no chain");
    away.store(false, Ordering::SeqCst);
    PATIENCE.until(
        "it is served",
        || answer.body.clone(),
        || (shop.get("/weather", &[(name, &value)]).body == TEXT).then_some(()),
    );
    assert_eq!(shop.taken(), PRICE_SAT);
}

#[test]
fn a_paywall_whose_clock_is_wrong_judges_nobody() {
    let mut shop = Shop::open(&[]);
    let clock = WrongClock::compile(&shop.node.home());
    for ahead_s in [-3_600, 3_600] {
        let Shop { paywall, upstream, node } = shop;
        drop(paywall);
        let give = |command: &mut Command| clock.give(command, ahead_s);
        let paywall = Paywall::start_as(&node.home(), &node.url(), &upstream.url(), &PRICES, give);
        shop = Shop { paywall, upstream, node };
        let payment = shop.by_x402("/weather", |_, _| ());
        assert_eq!(shop.refusal("/weather", payment), (503, "clock-wrong".to_owned()));
    }
    assert_eq!(shop.upstream.asked("/weather"), 0);
}

#[test]
fn whoever_takes_all_connections_and_says_nothing_keeps_nobody_out() {
    let shop = Shop::open(&[]);
    let host = shop.paywall.url.strip_prefix("http://").expect("a URL");
    // Half of a head is no head; an answer that was had is no reason to stay.
    let silent: Vec<_> = (0..CONNECTIONS + 8)
        .map(|number| {
            let mut stream = TcpStream::connect(host).expect("it listens");
            let said: &[u8] =
                [&b""[..], b"GET /free HTTP/1.1\r\n", b"GET /free HTTP/1.1\r\nhost: x\r\n\r\n"][number % 3];
            stream.write_all(said).expect("it is there");
            stream
        })
        .collect();
    let begun = Instant::now();
    for _ in 0..8 {
        assert_eq!(shop.get("/free", &[]).body, TEXT);
    }
    assert!(begun.elapsed() < SILENCE / 4, "{:?}", begun.elapsed());
    drop(silent);
}

/// 40 MiB come for a page that costs nothing, 70 MiB with payments that nobody has the coins for, and none of them ends.
#[test]
fn whoever_sends_a_body_slowly_keeps_nobody_out() {
    const MIB: usize = 1 << 20;
    let shop = Shop::open(&["--max-body", "16777216"]);
    let url = &shop.paywall.url;
    let begin = |target: &str, field: (&str, &str), length: usize, sent: usize| {
        let (name, value) = field;
        let head = format!("POST {target} HTTP/1.1\r\nhost: x\r\n{name}: {value}\r\ncontent-length: {length}\r\n\r\n");
        let mut stream = TcpStream::connect(url.strip_prefix("http://").expect("a URL")).expect("it listens");
        stream.write_all(&[head.as_bytes(), &vec![b'x'; sent]].concat()).expect("it reads");
        stream
    };
    let total: u128 = coin::wei(PRICE_SAT).to();
    let account = Account::from_secret(&DEVELOPER_0_KEY.0).expect("a key");
    let payer = ChannelPayer::new(&account, url, "/weather", DEVELOPER_1, CHAIN_ID);
    let slow_free: Vec<_> = (0..4).map(|_| begin("/free", ("x-nothing", "0"), 16 * MIB, 10 * MIB)).collect();
    let slow_paying: Vec<_> = (1..=70)
        .map(|number| {
            let account = Account::from_secret(&[number; 32]).expect("a key");
            let empty = ChannelPayer { account, ..payer.clone() };
            let credential = empty.credential(empty.open(400 * total, total));
            begin("/weather", ("authorization", &credential), MIB, MIB - 1)
        })
        .collect();
    let part = vec![b'x'; 10 * MIB];
    for _ in 0..2 {
        assert_eq!(post(url, "/free", &[], &part).body, TEXT);
        let (name, value) = shop.by_x402("/weather", |_, _| ());
        assert_eq!(post(url, "/weather", &[(name, &value)], &part).body, TEXT);
    }
    let by = |payload| post(url, "/weather", &[("authorization", &payer.credential(payload))], &part);
    for payload in [payer.open(400 * total, total), payer.voucher(2 * total)] {
        let paid = by(payload);
        assert_eq!(paid.body, TEXT, "{paid:?}");
    }
    let junk = post(url, "/weather", &[("payment-signature", "e30=")], &part);
    assert_eq!(junk.status, 402, "nothing of it is kept");
    // Whoever made room is told so at once.
    let mut told = slow_paying.into_iter().map(|mut stream| {
        let mut answer = Vec::new();
        stream.set_read_timeout(Some(Duration::from_millis(200))).expect("a time");
        let _ = stream.read_to_end(&mut answer); // Those that wait say nothing.
        String::from_utf8_lossy(&answer).into_owned()
    });
    let made_room = told.find(|answer| !answer.is_empty()).expect("some had to");
    assert!(made_room.starts_with("HTTP/1.1 503") && made_room.contains("too-many-bodies"), "{made_room}");
    drop(slow_free);
}

#[test]
fn whoever_pays_and_reads_nothing_is_left_and_holds_no_connection() {
    let shop = Shop::open(&[]);
    let (name, value) = shop.by_x402("/large", |_, _| ());
    let mut stream = TcpStream::connect(shop.paywall.url.strip_prefix("http://").expect("a URL")).expect("it listens");
    let head = format!("GET /large HTTP/1.1\r\nhost: shop\r\n{name}: {value}\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("it reads");
    let held = || shop.metric("connections");
    PATIENCE.until("it is served", held, || (shop.upstream.asked("/large") == 1).then_some(()));
    PATIENCE.until("it is left", held, || (held() == "0").then_some(()));
    assert_eq!(shop.get("/weather", &[]).status, 402, "others are served");
    drop(stream);
}

#[test]
fn pages_of_an_origin_that_is_named_may_pay_and_those_of_others_may_not() {
    let shop = Shop::open(&["--allow-origin", "https://shop.example"]);
    let asks = |origin| {
        let fields = [
            ("origin", origin),
            ("access-control-request-method", "GET"),
            ("access-control-request-headers", "payment-signature"),
        ];
        send(&shop.paywall.url, "OPTIONS", "/weather", &fields, b"")
    };
    let allowed = asks("https://shop.example");
    assert_eq!((allowed.status, allowed.header("access-control-allow-origin")), (204, "https://shop.example"));
    assert_eq!(allowed.header("access-control-allow-headers"), "payment-signature");
    let other = asks("https://other.example");
    assert_eq!((other.status, other.header("access-control-allow-origin")), (402, ""), "{other:?}");
    let demand = shop.get("/weather", &[("origin", "https://shop.example")]);
    let exposed: Vec<&str> = demand.header("access-control-expose-headers").split(", ").collect();
    for name in ["payment-required", "www-authenticate", "payment-receipt", "causeway-receipt"] {
        assert!(exposed.contains(&name), "a page may read {name}: {exposed:?}");
    }
    let (name, value) = shop.by_x402("/weather", |_, _| ());
    let paid = shop.get("/weather", &[("origin", "https://shop.example"), (name, &value)]);
    assert_eq!((paid.body.as_str(), paid.header("access-control-allow-origin")), (TEXT, "https://shop.example"));
    let wrong = shop.node.causeway(
        &[
            "pay",
            "serve",
            "--upstream",
            &shop.upstream.url(),
            "--price",
            "/a=1 sat",
            "--dev-account",
            "1",
            "--allow-origin",
            "shop.example",
        ],
        "",
    );
    wrong.fails_saying(&["--allow-origin", "no origin", "https://shop.example.com"]);
}

/// Hands on what is asked without payment, and says that each payment is none.
fn refusing(paywall: &str) -> (String, Arc<Mutex<BTreeSet<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("the machine has free ports");
    let url = format!("http://{}/weather", listener.local_addr().expect("it is bound"));
    let (paywall, payments) = (paywall.to_owned(), Arc::<Mutex<BTreeSet<String>>>::default());
    let seen = payments.clone();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let mut head = vec![0; 32 << 10];
            let length = client.read(&mut head).unwrap_or(0);
            let head = String::from_utf8_lossy(&head[..length]).to_lowercase();
            let payment = head.lines().find(|line| line.starts_with("authorization: payment"));
            if let Some(payment) = payment {
                seen.lock().expect("whole").insert(payment.to_owned());
                let _ = client
                    .write_all(b"HTTP/1.1 402 Payment Required\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
                continue;
            }
            let answer = send(&paywall, "GET", "/weather", &[], b"");
            let fields: String = answer
                .headers
                .iter()
                .filter(|(name, _)| name == "www-authenticate")
                .map(|(name, value)| format!("{name}: {value}\r\n"))
                .collect();
            let text =
                format!("HTTP/1.1 402 Payment Required\r\n{fields}connection: close\r\ncontent-length: 0\r\n\r\n");
            let _ = client.write_all(text.as_bytes());
        }
    });
    (url, payments)
}

#[test]
fn pay_fetch_signs_no_second_payment_while_a_server_that_refused_the_first_may_carry_it_out() {
    let shop = Shop::open(&[]);
    let (url, payments) = refusing(&shop.paywall.url);
    let fetch = |more: &[&str]| {
        let words = ["pay", "fetch", &url, "--max", "25 sat", "--dev-account", "0"];
        shop.node.causeway(&[&words[..], more].concat(), "")
    };
    let signed = || payments.lock().expect("whole").len();
    fetch(&[]).fails_saying(&["refuses the payment"]);
    assert_eq!(signed(), 1);
    fetch(&[]).fails_saying(&["0.00000025 BTC", "can have it carried out all the same", "--again"]);
    assert_eq!(signed(), 1, "nothing more was signed");
    fetch(&["--again"]).fails_saying(&["refuses the payment"]);
    assert_eq!(signed(), 2);
}

#[test]
fn an_upstream_that_was_away_costs_a_payer_no_second_payment() {
    let Shop { paywall, upstream, node } = Shop::open(&[]);
    drop(paywall);
    // Nobody listens there; later the upstream does.
    let door = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = door.local_addr().expect("an address");
    drop(door);
    let paywall = Paywall::start(&node.home(), &node.url(), &format!("http://{address}"), &PRICES);
    let shop = Shop { paywall, upstream, node };
    let (name, value) = shop.by_x402("/weather", |_, _| ());
    // Twice as often as an upstream is asked for one payment.
    for _ in 0..16 {
        let answer = shop.get("/weather", &[(name, &value)]);
        assert_eq!(answer.problem(), (502, "upstream-failed".to_owned()), "{answer:?}");
    }
    assert_eq!(shop.taken(), PRICE_SAT, "once");
    let _passing = pass_on(address, shop.upstream.url().trim_start_matches("http://").parse().expect("an address"));
    assert_eq!(shop.get("/weather", &[(name, &value)]).body, TEXT);
    assert_eq!(shop.taken(), PRICE_SAT);
}

/// Passes connections at one address on to another, until it is dropped.
fn pass_on(at: std::net::SocketAddr, to: std::net::SocketAddr) -> std::thread::JoinHandle<()> {
    let listener = TcpListener::bind(at).expect("the port is free again");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (Ok(client), Ok(server)) = (stream, std::net::TcpStream::connect(to)) else { return };
            let (Ok(client_too), Ok(server_too)) = (client.try_clone(), server.try_clone()) else { return };
            std::thread::spawn(move || std::io::copy(&mut &client, &mut &server));
            std::thread::spawn(move || std::io::copy(&mut &server_too, &mut &client_too));
        }
    })
}
