//! Many payments that are settled at the same moment: they go to the chain together, and none decides for another.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use alloy_primitives::Address;
use alloy_sol_types::SolCall as _;
use tests::relay::Relay;
use tests::waiting::Patience;

use super::*;

const PATIENCE: Patience = Patience::new(Duration::from_secs(45), Duration::from_millis(200));

type Shown = (&'static str, String);

/// A payer that nobody gave anything.
fn poor() -> Account {
    Account::from_secret(&[9; 32]).expect("a key")
}

fn by(shop: &Shop, account: &Account) -> Shown {
    let (_, required) = shop.demand("/weather");
    let authorization = Authorization { from: account.address(), ..authorization(&required) };
    let signature = account.sign_digest(Token::wrapped_btc(CHAIN_ID).digest(&authorization));
    let signature = alloy_primitives::hex::encode_prefixed(signature.as_bytes());
    let payload = json!({ "authorization": authorization, "signature": signature });
    let payment = PaymentPayload { x402_version: 2, accepted: required.accepts[0].clone(), payload, resource: None };
    ("payment-signature", x402::encode(&payment))
}

/// Changes what a node answers: it says this and nothing else.
fn says(answer: &mut Value, name: &str, what: Value) {
    *answer = json!({ "jsonrpc": "2.0", "id": answer["id"], name: what });
}

/// Shows all of them at the same moment; the answers in their order.
fn at_once(shop: &Shop, payments: &[Shown]) -> Vec<Answer> {
    std::thread::scope(|scope| {
        let ask = |(name, value): &'_ Shown| shop.get("/weather", &[(*name, value)]);
        let all: Vec<_> = payments.iter().map(|payment| scope.spawn(move || ask(payment))).collect();
        all.into_iter().map(|one| one.join().expect("it asks")).collect()
    })
}

fn settlement(answer: &Answer) -> x402::SettleResponse {
    x402::decode(answer.header("payment-response")).unwrap_or_else(|_| panic!("no settlement: {answer:?}"))
}

/// How many transactions an account had carried out.
fn transactions(shop: &Shop, account: Address) -> u64 {
    let client = Client::new(&shop.node.url()).expect("a URL");
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    runtime.block_on(client.nonce(account)).expect("it answers")
}

/// The same shop, whose paywall asks the node at `rpc`.
fn with_paywall_at(shop: Shop, rpc: &str) -> Shop {
    let Shop { paywall, upstream, node } = shop;
    paywall.kill();
    let paywall = Paywall::start(&node.home(), rpc, &upstream.url(), &PRICES);
    Shop { paywall, upstream, node }
}

#[test]
fn payments_that_wait_go_together_and_each_learns_of_its_own() {
    let shop = Shop::open(&[]);
    // Whoever paid is trusted with more at a time.
    let payments: Vec<Shown> = (0..48).map(|_| shop.by_x402("/weather", |_, _| ())).collect();
    let before = transactions(&shop, DEVELOPER_1);
    for answer in at_once(&shop, &payments) {
        assert_eq!((answer.status, answer.body.as_str()), (200, TEXT), "{answer:?}");
        assert_eq!(settlement(&answer).amount, Some(coin::wei(PRICE_SAT).to_string()));
    }
    assert_eq!(shop.taken(), 48 * PRICE_SAT);
    let sent = transactions(&shop, DEVELOPER_1) - before;
    assert!(sent < 24, "{sent} transactions for 48 payments");
}

/// The node says of the poor payer that it has money and that the token would move it: until the block nobody knows better.
#[test]
fn one_that_fails_on_the_chain_fails_alone() {
    let shop = Shop::open(&[]);
    let payer = alloy_primitives::hex::encode(poor().address());
    let relay = Relay::before(&shop.node.url(), move |method, params, answer| {
        let input = params[0]["input"].as_str().unwrap_or_default();
        let is = |selector: [u8; 4]| input.starts_with(&alloy_primitives::hex::encode_prefixed(selector));
        if method != "eth_call" || !input.contains(&payer) {
            return;
        }
        if is(WrappedBtc::balanceOfCall::SELECTOR) {
            says(answer, "result", format!("0x{:0>64}", "ffffffffffffff").into());
        } else if is(WrappedBtc::transferWithAuthorization_0Call::SELECTOR) {
            says(answer, "result", "0x".into());
        }
    });
    let shop = with_paywall_at(shop, &relay.url);
    let mut payments: Vec<Shown> = (0..3).map(|_| shop.by_x402("/weather", |_, _| ())).collect();
    payments.insert(1, by(&shop, &poor()));
    let answers = at_once(&shop, &payments);
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [200, 402, 200, 200], "{answers:?}");
    assert!(answers[1].body.contains("token-refuses"), "{:?}", answers[1]);
    let together: BTreeSet<String> =
        [0, 2, 3].iter().map(|&good: &usize| settlement(&answers[good]).transaction).collect();
    assert!(together.len() < 4, "{together:?}");
    assert_eq!((shop.taken(), shop.upstream.asked("/weather")), (3 * PRICE_SAT, 3));
    // It is trusted with one more at a time, and with none after three.
    for _ in 0..2 {
        assert_eq!(shop.refusal("/weather", by(&shop, &poor())).1, "token-refuses");
    }
    assert_eq!(shop.refusal("/weather", by(&shop, &poor())), (429, "failed-before".to_owned()));
}

/// What the node is given it keeps for itself, and the paywall is killed while twelve wait.
#[test]
fn what_was_sent_to_nobody_is_settled_by_the_next_process() {
    let shop = Shop::open(&[]);
    let url = shop.node.url();
    let relay = Relay::before_keeping(&url, "eth_sendRawTransaction", |_, _, _| ());
    let shop = with_paywall_at(shop, &relay.url);
    let payments: Vec<Shown> = (0..4).map(|_| shop.by_x402("/weather", |_, _| ())).collect();
    let kept = || relay.asked("eth_sendRawTransaction").len();
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| at_once(&shop, &payments));
        PATIENCE.until("it is sent", String::new, || (kept() > 0).then_some(()));
        std::thread::sleep(Duration::from_millis(500));
        shop.paywall.kill_now();
        assert!(asking.join().expect("they ask").iter().all(|answer| answer.status != 200));
    });
    assert_eq!(shop.taken(), 0);
    let shop = with_paywall_at(shop, &url);
    let answers = PATIENCE.until("all are settled", String::new, || {
        Some(at_once(&shop, &payments)).filter(|answers| answers.iter().all(|answer| answer.status != 503))
    });
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [200; 4], "{answers:?}");
    assert_eq!((shop.taken(), shop.upstream.asked("/weather")), (4 * PRICE_SAT, 4));
    assert_eq!(shop.refusal("/weather", payments[0].clone()), (402, "replayed".to_owned()));
}

/// Some are checked, some are sent, some are final and some are given when the process dies.
#[test]
fn whenever_it_is_killed_each_payment_is_taken_once_and_gives_its_page() {
    const AT_ONCE: usize = 12;
    let mut shop = Shop::open(&[]);
    let url = shop.node.url();
    for round in 0..5 {
        let payments: Vec<Shown> = (0..AT_ONCE).map(|_| shop.by_x402("/weather", |_, _| ())).collect();
        let given: Vec<bool> = std::thread::scope(|scope| {
            let asking = scope.spawn(|| at_once(&shop, &payments));
            std::thread::sleep(Duration::from_millis(40 + round * 130));
            shop.paywall.kill_now();
            asking.join().expect("they ask").iter().map(|answer| answer.body == TEXT).collect()
        });
        shop = with_paywall_at(shop, &url);
        for (payment, was_given) in payments.iter().zip(given) {
            let answer = PATIENCE.until("it is settled", String::new, || {
                Some(shop.get("/weather", &[(payment.0, &payment.1)])).filter(|answer| answer.status / 100 != 5)
            });
            // A page that left and did not arrive counts as given.
            let is_replayed = answer.status == 402 && answer.body.contains("\"replayed\"");
            assert!(is_replayed || !was_given && answer.body == TEXT, "round {round}, {was_given}: {answer:?}");
        }
        let all = (round + 1) * AT_ONCE as u64;
        assert_eq!(shop.taken(), all * PRICE_SAT, "round {round}");
    }
}

/// The node has what it is given and says that it has not; then its account sends from elsewhere, too.
#[test]
fn a_node_that_lies_and_nonces_that_others_take_hold_nobody_up() {
    let shop = Shop::open(&[]);
    let lies = Arc::new(AtomicBool::new(true));
    let is_lying = lies.clone();
    let relay = Relay::before(&shop.node.url(), move |method, _, answer| {
        if method == "eth_sendRawTransaction" && is_lying.load(Ordering::SeqCst) {
            let lie = json!({ "code": -32_000, "message": "nonce too low: next nonce 9, tx nonce 3" });
            says(answer, "error", lie);
        }
    });
    let shop = with_paywall_at(shop, &relay.url);
    let lied: Vec<Shown> = (0..2).map(|_| shop.by_x402("/weather", |_, _| ())).collect();
    for answer in at_once(&shop, &lied) {
        assert_eq!((answer.status, answer.body.as_str()), (200, TEXT), "{answer:?}");
    }
    lies.store(false, Ordering::SeqCst);
    assert_eq!(shop.taken(), 2 * PRICE_SAT, "each is paid once");

    let (client, runtime) =
        (Client::new(&shop.node.url()).expect("a URL"), tokio::runtime::Runtime::new().expect("threads"));
    let payments: Vec<Shown> = (0..12).map(|_| shop.by_x402("/weather", |_, _| ())).collect();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (payee, gift) = (payee(), Call::transfer(DEVELOPER_0, U256::from(1)));
            while !is_over.load(Ordering::SeqCst) {
                let _ = runtime.block_on(payee.send(&client, &gift)); // One of the two is too late now and then.
                std::thread::sleep(Duration::from_millis(30));
            }
        });
        let answers = at_once(&shop, &payments);
        is_over.store(true, Ordering::SeqCst);
        for answer in answers {
            assert_eq!(answer.status, 200, "{answer:?}");
        }
    });
    assert_eq!(shop.taken(), 14 * PRICE_SAT);
}

fn payee() -> Account {
    let secret: [u8; 32] = alloy_primitives::hex::FromHex::from_hex(tests::load::SECRETS[1]).expect("hex");
    Account::from_secret(&secret).expect("a key")
}
