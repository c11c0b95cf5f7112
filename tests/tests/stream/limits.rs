//! How far a payer goes: deposits for one server, answers that cost more than they may, and servers that ask for more.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tests::waiting::Patience;

use super::servers::{asking, buy, demand, fetch, small_shop, text};
use super::*;

const REFUSED: &str = "HTTP/1.1 403 x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// A server that names another payee each time that it is asked, the shop's first, and has the deposit for that one brought by the shop.
struct Turncoat {
    url: String,
    opened: Arc<Mutex<Vec<Value>>>,
}

impl Turncoat {
    fn start(shop: &Shop, first: u8) -> Self {
        let (opened, robbed) = (Arc::new(Mutex::new(Vec::new())), shop.url(""));
        let (shown, number) = (opened.clone(), AtomicU8::new(first));
        let ask = move || {
            let number = number.fetch_add(1, Ordering::SeqCst);
            let payee = if number == 0 { DEVELOPER_1 } else { Address::repeat_byte(number) };
            demand(&offer_of(payee, 25, "request"))
        };
        let url = asking(ask, move |payload| {
            let mut shown = shown.lock().expect("whole");
            if payload["action"] == "open" && !shown.contains(&payload["channelId"]) {
                shown.push(payload["channelId"].clone());
            }
            buy(&robbed, payload);
            REFUSED.to_owned()
        });
        Self { url, opened }
    }

    fn opened(&self) -> usize {
        self.opened.lock().expect("whole").len()
    }
}

#[test]
fn a_server_that_names_one_payee_after_another_has_one_deposit_locked() {
    let shop = Shop::open();
    let deposit = ["--deposit", "1000 sat"];
    // The first deposit is on the chain, or signed and nowhere.
    for first in [0, 1] {
        let server = Turncoat::start(&shop, first);
        fetch(&shop.node, &server.url, &deposit).fails_saying(&["the server answered 403"]);
        for _ in 0..3 {
            let words = ["another payee", "nothing was signed", " sat left", "--channel", "--another-payee"];
            fetch(&shop.node, &server.url, &deposit).fails_saying(&words);
        }
        let stream = ["pay", "stream", &server.url, "--dev-account", "0", "--max", "9 sat", "--deposit", "1000 sat"];
        shop.node.causeway(&stream, "").fails_saying(&["another payee"]);
        assert_eq!(server.opened(), 1);
        // A person that knows why says so.
        fetch(&shop.node, &server.url, &["--deposit", "1000 sat", "--another-payee"])
            .fails_saying(&["the server answered 403"]);
        assert_eq!(server.opened(), 2);
    }
    // One that its payer began to close keeps nobody.
    let server = Turncoat::start(&shop, 0);
    fetch(&shop.node, &server.url, &deposit).fails_saying(&["the server answered 403"]);
    let id = server.opened.lock().expect("whole")[0].as_str().expect("an id").to_owned();
    assert_eq!(shop.node.causeway(&["pay", "close", &id, "--dev-account", "0"], "").code, Some(0));
    fetch(&shop.node, &server.url, &deposit).fails_saying(&["the server answered 403"]);
    assert_eq!(server.opened(), 2);
}

#[test]
fn an_answer_of_bytes_that_costs_more_than_it_may_stops_there_and_says_so() {
    let shop = small_shop();
    let url = shop.url("/bytes");
    let ask = |command: &str, max: &str, more: &[&str]| {
        let fixed = ["--json", "pay", command, &url, "--dev-account", "0", "--max", max, "--deposit", "1000 sat"];
        let begun = Instant::now();
        let ended = shop.node.causeway(&[&fixed[..], more].concat(), "");
        assert!(begun.elapsed() < Duration::from_secs(15), "{:?}: {ended}", begun.elapsed());
        ended
    };
    let stopped = ask("fetch", "50 sat", &[]);
    stopped.fails_saying(&["limit of 50 sat", "5000 bytes came", "kilobyte costs 10 sat", "--max", "--partial"]);
    assert!(!stopped.stdout.contains("xxx"), "nothing is given for the whole: {stopped}");
    let kept = ask("fetch", "50 sat", &["--partial"]);
    assert_eq!((text(&kept, "body").len(), sat(&kept.json()[0], "amount")), (5_000, 50), "{kept}");
    assert!(text(&kept, "stopped").contains("limit of 50 sat"));
    let streamed_part = ask("stream", "50 sat", &[]);
    let event = streamed(&streamed_part);
    assert_eq!((streamed_part.code, event["ended"].clone(), sat(&event, "cost")), (Some(0), json!("limit"), 50));
    // One that costs just as much is whole.
    let whole = ask("fetch", "100 sat", &[]);
    assert_eq!((text(&whole, "body").len(), whole.json()[0]["stopped"].clone()), (10_000, Value::Null), "{whole}");
    assert_eq!(streamed(&ask("stream", "100 sat", &[]))["ended"], "whole");
}

#[test]
fn a_page_that_only_sessions_pay_hints_at_a_deposit_and_is_paid_by_the_channel_that_is_kept() {
    let shop = Shop::open();
    shop.fetch("/bytes", &[]).fails_saying(&["no channel", "--deposit"]);
    let first = shop.fetch("/bytes", &["--deposit", "5000 sat"]);
    let id = text(&first, "channel");
    let again = shop.fetch("/bytes", &[]);
    assert_eq!((text(&again, "channel"), sat(&again.json()[0], "amount")), (id, 100), "{again}");
}

#[test]
fn a_server_that_raises_its_price_after_it_was_paid_gets_a_page_ahead_and_no_more() {
    let node = node();
    let most = Arc::new(AtomicU64::new(0));
    let seen = most.clone();
    let url = asking(
        || demand(&offer(1, "request")),
        move |payload| {
            let total: u128 = payload["cumulativeAmount"].as_str().expect("a total").parse().expect("a number");
            let total = u64::try_from(total / WEI_PER_SAT).expect("small");
            seen.fetch_max(total, Ordering::SeqCst);
            // A sat more each time; at last for all.
            let wants = if total < 3 { total + 1 } else { 201 };
            let asks = json!({ "requiredCumulative": (u128::from(wants) * WEI_PER_SAT).to_string() }).to_string();
            let offer = demand(&offer(1, "request"));
            offer.replace("content-length: 0\r\n\r\n", &format!("content-length: {}\r\n\r\n{asks}", asks.len()))
        },
    );
    let fixed = ["pay", "fetch", &url, "--dev-account", "0", "--max", "200 sat", "--deposit", "1000 sat"];
    node.causeway(&fixed, "").fails_saying(&["asks for 3 sat", "it gets no more", "--ahead"]);
    assert_eq!(most.load(Ordering::SeqCst), 2);
}

#[test]
fn what_a_homes_own_paywall_sold_by_a_channel_is_not_given_back() {
    let mut shop = Shop::open();
    let id = text(&shop.fetch("/weather", &["--deposit", "1000 sat"]), "channel");
    let close = |shop: &Shop| shop.node.causeway(&["pay", "close", &id, "--forfeit", "--dev-account", "1"], "");
    close(&shop).fails_saying(&["stop `causeway pay serve` first"]);
    shop.paywall = None;
    close(&shop).fails_saying(&["sold 0.00000025 BTC", "--claim-at"]);
    shop.start(&["--claim-at", "1 sat"]);
    let claimed = || {
        let status = shop.node.causeway(&["--json", "pay", "status", &id], "");
        (sat(&status.json()[0], "claimed") == 25).then_some(())
    };
    Patience::new(Duration::from_secs(30), Duration::from_millis(200)).until("it is claimed", String::new, claimed);
    shop.paywall = None;
    assert_eq!(close(&shop).code, Some(0));
}

#[test]
fn a_deposit_that_was_too_small_is_signed_anew_for_the_same_channel() {
    let shop = small_shop();
    let fetch = |deposit: &str| shop.fetch("/weather", &["--deposit", deposit]);
    let refused = fetch("30 sat");
    refused.fails_saying(&["30 sat", "60 sat"]);
    assert!(!refused.stderr.contains("wei"), "{refused}");
    let opened = fetch("100 sat");
    let id = text(&opened, "channel");
    let status = shop.node.causeway(&["--json", "pay", "status", &id], "");
    assert_eq!(sat(&status.json()[0], "deposit"), 100, "{status}");
    assert_eq!(text(&fetch("200 sat"), "channel"), id, "it is open: nothing is signed anew");
    let all = shop.node.causeway(&["--json", "pay", "list", &DEVELOPER_0.to_string()], "");
    assert_eq!(all.json().len(), 1, "one channel: {all}");
}
