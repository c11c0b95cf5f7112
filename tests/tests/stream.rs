//! Amounts and streams over channels: `causeway pay send` and `receive`, `pay stream` and `pay fetch` by sessions, over a node; and payees that lie or say nothing.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use alloy_primitives::{Address, B256};
use contracts::address::{MICRO_CHANNEL, WRAPPED_BTC};
use payments::typed_data::Domain;
use payments::voucher::{SignedVoucher, Voucher};
use paywall::mpp::Challenge;
use paywall::payer::payload;
use paywall::wallet;
use secp256k1::SecretKey;
use serde_json::{Value, json};
use tests::binary::{self, Finished};
use tests::http::{self, Answer};
use tests::known::{CHAIN_ID, DEVELOPER_0, DEVELOPER_0_KEY, DEVELOPER_1};
use tests::lone_node::LoneNode;
use tests::shop::{Paywall, TEXT, Upstream, node_with_wrapped};

#[path = "stream/limits.rs"]
mod limits;
#[path = "stream/servers.rs"]
mod servers;

const WEI_PER_SAT: u128 = 10_000_000_000;

fn node() -> LoneNode {
    node_with_wrapped(1_000_000)
}

/// A channel of developer account 0 for account 1.
fn channel(node: &LoneNode, sat: u64, token: &str) -> String {
    let (payee, amount) = (DEVELOPER_1.to_string(), format!("{sat} sat"));
    let options = ["--payee", &payee, "--amount", &amount, "--token", token, "--dev-account", "0"];
    let opened = node.causeway(&[&["--json", "pay", "open"][..], &options].concat(), "");
    assert_eq!(opened.code, Some(0), "{opened}");
    opened.json()[0]["channel"].as_str().expect("an id").to_owned()
}

/// `causeway pay receive --listen`, running. Ends when dropped.
struct Receiving {
    child: Child,
    url: String,
    vouchers: PathBuf,
}

impl Receiving {
    fn start(node: &LoneNode, listen: &str) -> Self {
        let home = node.home();
        let fixed = ["--json", "pay", "receive", "--dev-account", "1", "--rpc", &node.url(), "--listen", listen];
        let mut child = binary::spawn(&home, fixed);
        let mut line = String::new();
        let said = BufReader::new(child.stdout.as_mut().expect("piped")).read_line(&mut line);
        let Ok(receiving) = serde_json::from_str::<Value>(&line) else {
            let _ = child.kill();
            let mut why = String::new();
            let _ = child.stderr.take().expect("piped").read_to_string(&mut why);
            panic!("it does not receive ({said:?}): {line}{why}")
        };
        let text = |name: &str| receiving[name].as_str().expect("text").to_owned();
        Self { child, url: format!("http://{}", text("address")), vouchers: text("vouchers").into() }
    }

    /// As `kill -9` does.
    fn kill(mut self) -> String {
        self.child.kill().expect("it runs");
        self.child.wait().expect("our child");
        self.url.strip_prefix("http://").expect("its scheme").to_owned()
    }

    /// The largest voucher that it keeps, in sat.
    fn kept(&self) -> u128 {
        let text = std::fs::read_to_string(&self.vouchers).expect("its file");
        let each = text.lines().map(|line| serde_json::from_str::<SignedVoucher>(line).expect("a voucher"));
        each.map(|signed| signed.voucher.cumulative_amount / WEI_PER_SAT).max().unwrap_or(0)
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

fn send(node: &LoneNode, channel: &str, sat: u64, url: &str) -> Finished {
    let amount = format!("{sat} sat");
    node.causeway(&["--json", "pay", "send", channel, &amount, "--to", url, "--dev-account", "0"], "")
}

fn sat(event: &Value, member: &str) -> u128 {
    let wei: u128 = event[member].as_str().unwrap_or_else(|| panic!("{event}")).parse().expect("a number");
    wei / WEI_PER_SAT
}

fn get(url: &str, headers: &[(&str, &str)]) -> Answer {
    http::send(url, "GET", "/", headers, b"")
}

fn voucher(channel: &str, total: u128, key: B256) -> SignedVoucher {
    let secret = SecretKey::from_slice(key.as_slice()).expect("a key");
    let voucher = Voucher { channel_id: channel.parse().expect("an id"), cumulative_amount: total };
    voucher.sign(&Domain::new(CHAIN_ID, MICRO_CHANNEL), &secret)
}

/// Shows a voucher to a receiver.
fn show(url: &str, voucher: &SignedVoucher, key: &str) -> Answer {
    let asked = get(url, &[]);
    assert_eq!(asked.status, 402, "{asked:?}");
    let challenge = wallet::challenges(asked.header("www-authenticate")).remove(0);
    let source = paywall::mpp::source(CHAIN_ID, DEVELOPER_0);
    let credential = payload::credential(&challenge, &payload::voucher(voucher, false), &source);
    get(url, &[("authorization", &credential), ("idempotency-key", key)])
}

// ---------------------------------------------------------------------- amounts

#[test]
fn amounts_are_sent_received_with_a_signed_receipt_and_claimed() {
    let node = node();
    let id = channel(&node, 1_000, "coin");
    let receiving = Receiving::start(&node, "127.0.0.1:0");
    for (amount, total) in [(250, 250), (30, 280)] {
        let sent = send(&node, &id, amount, &receiving.url);
        assert_eq!(sent.code, Some(0), "{sent}");
        let event = &sent.json()[0];
        assert_eq!((sat(event, "amount"), sat(event, "total")), (amount.into(), total));
        assert_eq!(
            event["receipt"]["highest"],
            json!((total * WEI_PER_SAT).to_string()),
            "signed, and checked by the payer"
        );
    }
    assert_eq!(receiving.kept(), 280);
    send(&node, &id, 721, &receiving.url).fails_saying(&["deposit"]);
    // What was received elsewhere counts there: the payee claims from its file, while it receives on.
    let file = receiving.vouchers.to_str().expect("text").to_owned();
    let claimed = node.causeway(&["--json", "pay", "claim", &file, "--dev-account", "1"], "");
    assert_eq!(claimed.code, Some(0), "{claimed}");
    assert_eq!(sat(&claimed.json()[0], "amount"), 280);
    assert_eq!(send(&node, &id, 5, &receiving.url).code, Some(0));
    assert_eq!(receiving.kept(), 285);
}

#[test]
fn what_was_signed_by_hand_before_comes_with_the_next_amount_and_its_receipt_is_kept() {
    let node = node();
    let id = channel(&node, 1_000, "coin");
    let by_hand = node.causeway(&["--json", "pay", "send", &id, "60 sat", "--dev-account", "0"], "");
    assert_eq!(by_hand.code, Some(0), "{by_hand}");
    let receiving = Receiving::start(&node, "127.0.0.1:0");
    let sent = send(&node, &id, 40, &receiving.url);
    assert_eq!(sent.code, Some(0), "{sent}");
    let event = &sent.json()[0];
    assert_eq!(event["receipt"]["highest"], json!((100 * WEI_PER_SAT).to_string()), "{sent}");
    assert!(!sent.stderr.contains("receipt is none"), "{sent}");
    assert_eq!(receiving.kept(), 100);
}

#[test]
fn an_amount_goes_by_a_file_and_comes_once() {
    let node = node();
    let id = channel(&node, 1_000, "wrapped");
    let by_hand = || node.causeway(&["pay", "send", &id, "40 sat", "--dev-account", "0"], "");
    let (first, second) = (by_hand(), by_hand());
    assert_eq!((first.code, second.code), (Some(0), Some(0)), "{first}{second}");
    let take = |input: &str| {
        node.causeway(&["--json", "pay", "receive", "-", "--token", "wrapped", "--dev-account", "1"], input)
    };
    let taken = take(&first.stdout);
    assert_eq!(taken.code, Some(0), "{taken}");
    assert_eq!((sat(&taken.json()[0], "amount"), taken.json()[0]["again"].clone()), (40, json!(false)));
    let again = take(&format!("{}{}", first.stdout, second.stdout));
    assert_eq!(again.code, Some(0), "{again}");
    let events = again.json();
    assert_eq!(
        (events[0]["again"].clone(), sat(&events[1], "amount"), sat(&events[1], "total")),
        (json!(true), 40, 80)
    );
    take("{}").fails_saying(&["line 1 is not a voucher"]);
    let other = node.causeway(&["pay", "receive", "-", "--dev-account", "1"], &first.stdout);
    other.fails_saying(&["other-token", "pays in the token"]);
}

#[test]
fn what_a_stranger_shows_a_receiver_is_refused_by_its_own_words_and_costs_nothing() {
    let node = node();
    let id = channel(&node, 1_000, "coin");
    let receiving = Receiving::start(&node, "127.0.0.1:0");
    let url = &receiving.url;
    let right = voucher(&id, 100 * WEI_PER_SAT, DEVELOPER_0_KEY);
    let paid = show(url, &right, "a");
    assert_eq!((paid.status, paid.json()["amount"].clone()), (200, json!((100 * WEI_PER_SAT).to_string())), "{paid:?}");
    assert!(!paid.header("payment-receipt").is_empty());
    let again = show(url, &right, "b");
    assert_eq!(
        (again.status, &again.json()["receipt"]["acceptedAt"]),
        (200, &paid.json()["receipt"]["acceptedAt"]),
        "one receipt"
    );

    let wrong = |voucher: &SignedVoucher| show(url, voucher, "c").problem();
    let said = |status: u16, code: &str| (status, code.to_owned());
    assert_eq!(wrong(&voucher(&id, 200 * WEI_PER_SAT, B256::repeat_byte(9))), said(402, "wrong-signer"));
    assert_eq!(wrong(&voucher(&id, 99 * WEI_PER_SAT, DEVELOPER_0_KEY)), said(402, "nothing-new"), "a falling total");
    assert_eq!(wrong(&voucher(&id, 1_001 * WEI_PER_SAT, DEVELOPER_0_KEY)), said(402, "beyond-deposit"));
    let nobodys = B256::repeat_byte(3).to_string();
    assert_eq!(wrong(&voucher(&nobodys, 1, DEVELOPER_0_KEY)), said(410, "unknown-channel"));
    let wrapped = channel(&node, 100, "wrapped");
    assert_eq!(wrong(&voucher(&wrapped, 1, DEVELOPER_0_KEY)), said(402, "other-token"));
    let short = SignedVoucher { signature: vec![1; 64].into(), ..right.clone() };
    assert_eq!(wrong(&short), said(402, "malformed-signature"));
    for garbage in ["Payment", "Payment e30", "Bearer x", &format!("Payment {}", "A".repeat(20_000))] {
        assert_eq!(get(url, &[("authorization", garbage)]).status, 400, "{garbage:.40}");
    }
    assert_eq!(receiving.kept(), 100);

    // Once its payer starts to close, nothing of it is taken.
    let closing = node.causeway(&["pay", "close", &id, "--dev-account", "0"], "");
    assert_eq!(closing.code, Some(0), "{closing}");
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(wrong(&voucher(&id, 300 * WEI_PER_SAT, DEVELOPER_0_KEY)), said(402, "channel-closing"));
}

#[test]
fn payers_and_a_receiver_that_are_killed_lose_nothing_and_pay_nothing_twice() {
    let node = node();
    let id = channel(&node, 10_000, "coin");
    let mut receiving = Receiving::start(&node, "127.0.0.1:0");
    let seed: u64 = std::env::var("SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(20_261_127);
    println!("SEED={seed}");
    let mut state = seed;
    for round in 0..12 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (url, rpc) = (receiving.url.clone(), node.url());
        let fixed = ["--json", "pay", "send", &id, "7 sat", "--to", &url, "--dev-account", "0", "--rpc", &rpc];
        let mut payer = binary::spawn(&node.home(), fixed);
        std::thread::sleep(Duration::from_millis((state >> 33) % 250));
        if round % 4 == 3 {
            let listen = receiving.kill();
            receiving = Receiving::start(&node, &listen);
            let sent = binary::end(payer, "pay send");
            assert!(sent.status.success(), "it is given again until it is answered: {sent:?}");
        } else {
            let _ = payer.kill(); // It may have ended.
            payer.wait().expect("our child");
        }
    }
    // The same command gives what was promised and not answered, and nothing more where there is some.
    let sent = send(&node, &id, 7, &receiving.url);
    assert_eq!(sent.code, Some(0), "{sent}");
    let events = sent.json();
    let total = sat(events.last().expect("one"), "total");
    assert_eq!(total % 7, 0, "each amount whole");
    assert!((3 * 7..=13 * 7).contains(&total), "{total}");
    assert_eq!(receiving.kept(), total, "all that was promised is what the payee has");
    let sent = send(&node, &id, 8, &receiving.url);
    assert_eq!(
        (sat(&sent.json()[0], "amount"), sat(&sent.json()[0], "total")),
        (8, total + 8),
        "nothing waits any more"
    );
}

// ---------------------------------------------------------------------- payees that are no good

/// A server that offers events for 1 sat each, paid to developer account 1, and then does as it is told with whoever pays.
struct Liar {
    url: String,
}

#[derive(Clone, Copy)]
enum Lie {
    /// Delivers three events, then asks for as many more sat than that.
    AsksFor(u128),
    /// Takes the payment and says nothing.
    Silent,
    /// Says that much was spent before.
    SpentBefore(u128),
    /// Delivers three events and breaks off.
    BreaksOff,
}

impl Liar {
    fn start(lie: Lie) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}/events", listener.local_addr().expect("bound"));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || lie_to(stream, lie));
            }
        });
        Self { url }
    }
}

fn lie_to(mut stream: TcpStream, lie: Lie) {
    let mut reader = BufReader::new(stream.try_clone().expect("a stream"));
    loop {
        let (mut head, mut line) = (String::new(), String::new());
        while reader.read_line(&mut line).unwrap_or(0) > 0 && line != "\r\n" {
            head += &line;
            line.clear();
        }
        if head.is_empty() {
            return;
        }
        let paid = head.lines().find_map(|line| line.strip_prefix("authorization: Payment "));
        let Some(paid) = paid else {
            let answer = format!(
                "HTTP/1.1 402 Payment Required\r\nwww-authenticate: {}\r\ncontent-length: 0\r\n\r\n",
                offer(1, "event")
            );
            let _ = stream.write_all(answer.as_bytes());
            continue;
        };
        let bytes = base64_of(paid.trim());
        let credential: Value = serde_json::from_slice(&bytes).expect("JSON");
        let id = credential["payload"]["channelId"].clone();
        let total: u128 =
            credential["payload"]["cumulativeAmount"].as_str().expect("a total").parse().expect("a number");
        let spent = match lie {
            Lie::SpentBefore(sat) => total.min(sat * WEI_PER_SAT),
            _ => 0,
        };
        let receipt = json!({ "channelId": id, "acceptedCumulative": total.to_string(), "spent": spent.to_string() });
        let receipt = url64(receipt.to_string().as_bytes());
        if head.starts_with("HEAD") {
            let _ = write!(stream, "HTTP/1.1 200 OK\r\npayment-receipt: {receipt}\r\ncontent-length: 0\r\n\r\n");
            continue;
        }
        if matches!(lie, Lie::Silent) {
            std::thread::sleep(Duration::from_secs(600));
            return;
        }
        let _ = write!(
            stream,
            "HTTP/1.1 200 OK\r\npayment-receipt: {receipt}\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        );
        let mut chunk = |text: &str| {
            let _ = write!(stream, "{:x}\r\n{text}\r\n", text.len());
            let _ = stream.flush();
        };
        (1..=3).for_each(|number| chunk(&format!("data: {number}\n\n")));
        if let Lie::AsksFor(sat) = lie {
            let required = (3 + sat) * WEI_PER_SAT;
            let needs = json!({ "channelId": id, "requiredCumulative": required.to_string(), "acceptedCumulative": total.to_string(), "deposit": "0" });
            chunk(&format!("event: payment-need-voucher\ndata: {needs}\n\n"));
            std::thread::sleep(Duration::from_secs(5));
        }
        return;
    }
}

/// A unit for so many sat.
fn offer(sat: u128, unit: &str) -> String {
    offer_of(DEVELOPER_1, sat, unit)
}

/// The same, paid to somebody else.
fn offer_of(payee: Address, sat: u128, unit: &str) -> String {
    let request = json!({
        "amount": (sat * WEI_PER_SAT).to_string(), "currency": WRAPPED_BTC, "recipient": payee, "unitType": unit,
        "methodDetails": { "chainId": CHAIN_ID, "escrowContract": MICRO_CHANNEL, "feePayer": true, "minVoucherDelta": "0" },
    });
    Challenge {
        id: "x".into(),
        realm: "liar".into(),
        method: "evm".into(),
        intent: "session".into(),
        request: url64(request.to_string().as_bytes()),
        expires: None,
        digest: None,
        opaque: None,
        header: None,
        description: None,
    }
    .header()
}

fn url64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

fn base64_of(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).expect("base64url")
}

fn stream(node: &LoneNode, url: &str, more: &[&str]) -> Finished {
    node.causeway(&[&["--json", "pay", "stream", url, "--dev-account", "0", "--max", "100 sat"][..], more].concat(), "")
}

fn streamed(finished: &Finished) -> Value {
    let mut events = finished.stdout.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    events.find(|event| event["event"] == "streamed").unwrap_or_else(|| panic!("{finished}"))
}

#[test]
fn a_payee_that_asks_for_more_than_it_delivered_gets_a_little_ahead_and_no_more() {
    let node = node();
    let id = channel(&node, 1_000, "wrapped");
    // Three events came, and thirteen are asked for: that is as far as it is trusted.
    let honest = Liar::start(Lie::AsksFor(10));
    let taken = stream(&node, &honest.url, &["--channel", &id, "--timeout", "3"]);
    let promised = sat(&streamed(&taken), "promised");
    assert!((11..=13).contains(&promised), "{taken}");
    let liar = Liar::start(Lie::AsksFor(80));
    let stopped = stream(&node, &liar.url, &["--channel", &id, "--timeout", "3"]);
    stopped.fails_saying(&["asks for", "it gets no more"]);
    let event = streamed(&stopped);
    assert_eq!((event["ended"].clone(), event["events"].clone()), (json!("asks-too-much"), json!(3)));
    assert!(sat(&event, "promised") <= 13, "{event}");
    // One that says that more was spent before than came.
    let liar = Liar::start(Lie::SpentBefore(900));
    let many = stream(&node, &liar.url, &["--channel", &id, "--ahead", "2 sat", "--timeout", "3"]);
    assert!(sat(&streamed(&stopped), "signed") <= 30, "{many}");
}

#[test]
fn a_payee_that_never_answers_or_breaks_off_keeps_nobody_and_costs_what_was_promised() {
    let node = node();
    let id = channel(&node, 1_000, "wrapped");
    let silent = Liar::start(Lie::Silent);
    let start = Instant::now();
    let left = stream(&node, &silent.url, &["--channel", &id, "--timeout", "1"]);
    left.fails_saying(&["did not answer within 1 s"]);
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    // What was promised to it is not promised again: the next request begins with it.
    let breaking = Liar::start(Lie::BreaksOff);
    let broken = stream(&node, &breaking.url, &["--channel", &id, "--timeout", "3"]);
    broken.fails_saying(&["broke off"]);
    let event = streamed(&broken);
    assert_eq!((event["ended"].clone(), event["events"].clone()), (json!("broken-off"), json!(3)));
    assert!(sat(&event, "signed") <= 13, "{event}");
    let nowhere = stream(&node, "http://127.0.0.1:9/x", &["--channel", &id, "--timeout", "1"]);
    nowhere.fails_saying(&["does not answer"]);
}

#[test]
fn a_stream_wants_a_channel_that_is_the_payers_own_and_open() {
    let node = node();
    let liar = Liar::start(Lie::BreaksOff);
    stream(&node, &liar.url, &[]).fails_saying(&["--deposit", "--channel"]);
    let id = channel(&node, 100, "wrapped");
    let other = ["--json", "pay", "stream", &liar.url, "--dev-account", "2", "--max", "1 sat", "--channel", &id];
    node.causeway(&other, "").fails_saying(&["is paid by", "you are"]);
    let unknown = B256::repeat_byte(7).to_string();
    stream(&node, &liar.url, &["--channel", &unknown]).fails_saying(&["there is no channel"]);
    assert_eq!(node.causeway(&["pay", "close", &id, "--dev-account", "0"], "").code, Some(0));
    stream(&node, &liar.url, &["--channel", &id]).fails_saying(&["is closing"]);
    // In coins, where wrapped coins are wanted.
    let coins = channel(&node, 100, "coin");
    stream(&node, &liar.url, &["--channel", &coins]).fails_saying(&["asks for nothing that this payer pays with"]);
    let poor = ["--json", "pay", "stream", &liar.url, "--dev-account", "2", "--max", "1 sat", "--deposit", "5 sat"];
    node.causeway(&poor, "").fails_saying(&["wrapped coins, the deposit is", "causeway pay wrap"]);
}

// ---------------------------------------------------------------------- sessions, with `causeway pay serve`

const PRICES: [&str; 14] = [
    "--price",
    "/gone=25 sat",
    "--price",
    "/weather=25 sat",
    "--price",
    "/events=1 sat per event",
    "--price",
    "/slow-events=1 sat per event",
    "--price",
    "/counted=2 sat per token, at least 3",
    "--price",
    "/bytes=10 sat per kilobyte",
    "--patience",
    "4s",
];

/// A node, a server and a paywall before it; developer account 0 has wrapped coins.
struct Shop {
    paywall: Option<Paywall>,
    upstream: Upstream,
    node: LoneNode,
}

impl Shop {
    fn open() -> Self {
        let mut shop = Self { paywall: None, upstream: Upstream::start(), node: node() };
        shop.start(&[]);
        shop
    }

    fn start(&mut self, more: &[&str]) {
        let (node, prices) = (&self.node, [&PRICES[..], more].concat());
        self.paywall = Some(Paywall::start(&node.home(), &node.url(), &self.upstream.url(), &prices));
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.paywall.as_ref().expect("it runs").url)
    }

    /// `pay stream` with a deposit, of `max` sat at the most.
    fn stream(&self, path: &str, max: u32, more: &[&str]) -> Finished {
        let (url, max) = (self.url(path), format!("{max} sat"));
        let fixed = ["--json", "pay", "stream", &url, "--dev-account", "0", "--max", &max, "--deposit", "10000 sat"];
        self.node.causeway(&[&fixed[..], more].concat(), "")
    }

    /// The same for a stream without end, running.
    fn streaming(&self, by: &str) -> Child {
        let (url, rpc) = (self.url("/slow-events"), self.node.url());
        let fixed = ["--json", "pay", "stream", &url, "--dev-account", "0", "--rpc", &rpc];
        let money = ["--max", "200 sat", "--deposit", "10000 sat", by];
        binary::spawn(&self.node.home(), [&fixed[..], &money].concat())
    }

    fn fetch(&self, path: &str, more: &[&str]) -> Finished {
        let url = self.url(path);
        let fixed = ["--json", "pay", "fetch", &url, "--dev-account", "0", "--max", "100 sat"];
        self.node.causeway(&[&fixed[..], more].concat(), "")
    }
}

/// The numbers of the events that came.
fn numbers(finished: &Finished) -> Vec<u32> {
    let parts = finished.json().into_iter().filter(|event| event["event"] == "part");
    let texts = parts.map(|part| part["text"].as_str().expect("text").to_owned()).collect::<String>();
    assert!(!texts.contains("payment-"), "{texts}");
    texts.lines().filter_map(|line| line.strip_prefix("data: ")?.parse().ok()).collect()
}

#[test]
fn pay_stream_goes_on_by_the_channel_that_is_kept_and_says_so_when_there_is_none() {
    let shop = Shop::open();
    let url = shop.url("/events");
    let stream = ["--json", "pay", "stream", &url, "--dev-account", "0", "--max", "100 sat"];
    shop.node.causeway(&stream, "").fails_saying(&["no channel with", "--deposit opens one"]);
    let first = streamed(&shop.stream("/events", 100, &[]));
    let kept = shop.node.causeway(&stream, "");
    assert_eq!(kept.code, Some(0), "{kept}");
    let event = streamed(&kept);
    assert_eq!((&event["channel"], &event["ended"]), (&first["channel"], &json!("whole")), "{kept}");
}

#[test]
fn pay_fetch_opens_a_channel_by_its_first_page_keeps_it_and_closes_it() {
    let shop = Shop::open();
    let deposit = ["--deposit", "5000 sat"];
    let first = shop.fetch("/weather", &deposit);
    assert_eq!(first.code, Some(0), "{first}");
    let event = &first.json()[0];
    assert_eq!((event["protocol"].clone(), event["body"].clone()), (json!("mpp session"), json!(TEXT)));
    assert_eq!(sat(event, "amount"), 25);
    let again = shop.fetch("/weather", &deposit);
    assert_eq!((again.code, again.json()[0]["channel"].clone()), (Some(0), event["channel"].clone()), "{again}");
    // By the unit, in the same channel: seven tokens at 2 sat, after a first try for which three were there, as the challenge asks.
    let counted = shop.fetch("/counted", &deposit);
    assert_eq!((counted.code, sat(&counted.json()[0], "amount")), (Some(0), 14), "{counted}");
    // What is kept is closed without a word of a deposit.
    let closed = shop.fetch("/weather", &["--close"]);
    assert_eq!(closed.code, Some(0), "{closed}");
    assert!(closed.json()[0]["transaction"].as_str().is_some_and(|hash| hash.len() == 66), "{closed}");
    let id = event["channel"].as_str().expect("an id");
    let status = shop.node.causeway(&["--json", "pay", "status", id], "");
    assert_eq!(status.json()[0]["state"], "closed", "{status}");
    assert_eq!(sat(&status.json()[0], "claimed"), 25 + 25 + 14 + 25, "no more than was delivered");
    // Without a deposit it is charged for as ever, and a limit is a limit.
    let charged = shop.fetch("/weather", &["--close"]);
    assert_eq!((charged.code, charged.json()[0]["protocol"].clone()), (Some(0), json!("mpp")), "{charged}");
    assert!(charged.stderr.contains("Nothing to close"), "{charged}");
    let url = shop.url("/weather");
    let dear = ["pay", "fetch", &url, "--dev-account", "0", "--max", "24 sat", "--deposit", "5000 sat"];
    shop.node.causeway(&dear, "").fails_saying(&["limit of 24 sat"]);
    let none = ["pay", "fetch", &url, "--dev-account", "1", "--max", "25 sat", "--deposit", "24 sat"];
    shop.node
        .causeway(&none, "")
        .fails_saying(&["24 sat does not pay for one request, which costs 25 sat", "nothing was signed"]);
}

// A person has the account and the channel's number, and lost the folder.
#[test]
fn a_payer_that_lost_what_it_kept_is_shown_what_it_signed_and_goes_on() {
    let shop = Shop::open();
    let first = shop.fetch("/weather", &["--deposit", "5000 sat"]);
    let id = first.json()[0]["channel"].as_str().expect("an id").to_owned();
    for _ in 0..2 {
        assert_eq!(shop.fetch("/weather", &["--deposit", "5000 sat"]).code, Some(0));
    }
    std::fs::remove_dir_all(shop.node.home().join(".local/share/causeway/sessions")).expect("it was there");
    let url = shop.url("/weather");
    let found = |max: &str| {
        let fixed = ["--json", "pay", "fetch", &url, "--dev-account", "0", "--channel", &id, "--max", max];
        shop.node.causeway(&fixed, "")
    };
    let fourth = found("25 sat");
    assert_eq!((fourth.code, sat(&fourth.json()[0], "amount")), (Some(0), 25), "{fourth}");
    assert_eq!(found("25 sat").code, Some(0));
    let closed = shop.fetch("/weather", &["--channel", &id, "--close"]);
    assert_eq!(closed.code, Some(0), "{closed}");
    let status = shop.node.causeway(&["--json", "pay", "status", &id], "");
    assert_eq!(sat(&status.json()[0], "claimed"), 6 * 25, "each page once");
}

#[test]
fn a_page_that_is_not_there_is_shown_and_not_charged_for_by_a_session_as_by_a_charge() {
    let shop = Shop::open();
    let url = shop.url("/gone");
    for by in [&[][..], &["--deposit", "5000 sat"]] {
        let fixed = ["pay", "fetch", &url, "--dev-account", "0", "--max", "25 sat"];
        let gone = shop.node.causeway(&[&fixed[..], by].concat(), "");
        assert!(gone.stdout.contains("it was here yesterday"), "{gone}");
        gone.fails_saying(&["the server answered 404"]);
    }
    assert_eq!(shop.fetch("/weather", &["--deposit", "5000 sat"]).code, Some(0));
    let page = shop.fetch("/weather", &["--close"]);
    let id = page.json()[0]["channel"].as_str().expect("by the channel").to_owned();
    let status = shop.node.causeway(&["--json", "pay", "status", &id], "");
    assert_eq!(sat(&status.json()[0], "claimed"), 50, "the weather alone");
}

#[test]
fn a_stream_is_paid_for_by_vouchers_or_by_ticks_as_it_comes() {
    let shop = Shop::open();
    for more in [&[][..], &["--ticks"], &["--ticks", "--ahead", "3 sat"], &["--ahead", "1 sat"]] {
        let whole = shop.stream("/events", 100, more);
        assert_eq!(whole.code, Some(0), "{more:?} {whole}");
        assert_eq!(numbers(&whole), (1..=20).collect::<Vec<u32>>());
        let event = streamed(&whole);
        assert_eq!((event["ended"].clone(), sat(&event, "cost")), (json!("whole"), 20), "{event}");
        assert!(sat(&event, "promised") <= 30, "{event}");
    }
    // Eighty were delivered: what was promised beyond is little, and pays for the next.
    let last = streamed(&shop.stream("/events", 100, &["--ticks", "--close"]));
    assert!((100..=110).contains(&sat(&last, "signed")), "{last}");
    let id = last["channel"].as_str().expect("an id");
    let status = shop.node.causeway(&["--json", "pay", "status", id], "");
    assert_eq!(
        (status.json()[0]["state"].clone(), sat(&status.json()[0], "claimed")),
        (json!("closed"), 100),
        "{status}"
    );
}

#[test]
fn a_stream_stops_when_the_money_stops_and_ctrl_c_loses_none() {
    let shop = Shop::open();
    for more in [&[][..], &["--ticks"]] {
        let limited = shop.stream("/events", 8, more);
        assert_eq!(limited.code, Some(0), "{limited}");
        let event = streamed(&limited);
        assert_eq!((event["ended"].clone(), sat(&event, "promised")), (json!("limit"), 8), "{event}");
        assert!(numbers(&limited).len() >= 7, "{limited}");
    }
    for round in 0..4 {
        let child = shop.streaming(if round % 2 == 0 { "--ticks" } else { "--insecure" });
        std::thread::sleep(Duration::from_millis(2_500));
        let signal = if round < 2 { "-INT" } else { "-KILL" };
        Command::new("kill").args([signal, &child.id().to_string()]).status().expect("kill exists");
        let ended = binary::end(child, "pay stream");
        if round < 2 {
            assert!(ended.status.success(), "{ended:?}");
            assert!(String::from_utf8_lossy(&ended.stdout).contains("interrupted"), "{ended:?}");
        }
    }
    // Killed or not: what was promised is known, little of it was not delivered, and it goes on.
    let event = streamed(&shop.stream("/events", 100, &["--ahead", "40 sat", "--close"]));
    assert_eq!(event["ended"], "whole", "{event}");
    let id = event["channel"].as_str().expect("an id");
    let status = shop.node.causeway(&["--json", "pay", "status", id], "");
    assert!(sat(&status.json()[0], "claimed") <= sat(&event, "signed"), "{status} {event}");
}

#[test]
fn a_paywall_that_is_killed_under_a_stream_is_gone_on_with_by_the_same_channel() {
    let mut shop = Shop::open();
    let child = shop.streaming("--ticks");
    std::thread::sleep(Duration::from_millis(2_500));
    shop.paywall.take().expect("it runs").kill();
    let ended = binary::end(child, "pay stream");
    assert!(!ended.status.success(), "{ended:?}");
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert!(said.contains("broken-off"), "{ended:?}");
    shop.start(&[]);
    let before = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).next_back().expect("its end");
    // It listens elsewhere now, so it is another server: a person says that it is the same.
    let (url, id) = (shop.url("/events"), before["channel"].as_str().expect("an id"));
    let named = ["--json", "pay", "stream", &url, "--dev-account", "0", "--max", "100 sat", "--channel", id, "--ticks"];
    let event = streamed(&shop.node.causeway(&named, ""));
    assert_eq!((event["ended"].clone(), event["events"].clone()), (json!("whole"), json!(20)), "{event}");
    assert_eq!(event["channel"], before["channel"]);
}

#[test]
fn the_web_package_pays_by_sessions_and_charges_as_a_fetch_does() {
    let shop = Shop::open();
    let network = network_id(&shop.node).expect("it says");
    let client = Command::new("node")
        .arg("wallet.mjs")
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("clients"))
        .env("PAYWALL", shop.url(""))
        .env("NETWORK", network)
        .env("PRICE", "25")
        .env("TICK", "1")
        .env("EVENTS", "20")
        .output()
        .expect("Node is installed");
    let said = String::from_utf8_lossy(&[client.stdout, client.stderr].concat()).into_owned();
    assert!(client.status.success() && said.contains("wallet: "), "{said}");
}

/// As the node says.
fn network_id(node: &LoneNode) -> Option<String> {
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    let client = bridge::io::sidechain::Client::new(&node.url()).ok()?;
    runtime.block_on(client.info()).ok().map(|info| info.network_id.to_string())
}
