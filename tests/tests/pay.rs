//! `causeway pay` as payer and payee type it, against a node.

use std::time::Duration;

use contracts::address::WRAPPED_BTC;
use contracts::coin;
use serde_json::Value;
use tests::binary::Finished;
use tests::known::{DEVELOPER_0, DEVELOPER_1};
use tests::lone_node::LoneNode;
use tests::waiting::Patience;

#[path = "pay/invoice.rs"]
mod invoice;

/// How long three blocks may take, which come five times a second, and the five seconds that a payee of regtest has beside.
const BOTH_DELAYS: Patience = Patience::new(Duration::from_secs(60), Duration::from_millis(50));

/// An address of regtest.
const PAYOUT: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";

/// Developer account 0 pays, 1 is paid, over one node.
struct Payments {
    node: LoneNode,
}

impl Payments {
    fn new() -> Self {
        Self { node: LoneNode::start(&[DEVELOPER_0, DEVELOPER_1]) }
    }

    fn pay(&self, account: u32, words: &[&str], input: &str) -> Finished {
        let account = account.to_string();
        let mut all = [&["--json", "pay"], words].concat();
        if words[0] != "status" {
            all.extend(["--dev-account", &account]);
        }
        self.node.causeway(&all, input)
    }

    /// The event it prints.
    fn done(&self, account: u32, words: &[&str], input: &str) -> Value {
        let finished = self.pay(account, words, input);
        assert_eq!(finished.code, Some(0), "{words:?}: {}", finished.stderr);
        serde_json::from_str(finished.stdout.trim()).expect("one line of JSON")
    }

    fn refused(&self, account: u32, words: &[&str], input: &str) -> String {
        let finished = self.pay(account, words, input);
        assert_eq!(finished.code, Some(1), "{words:?}: {}", finished.stdout);
        finished.stderr
    }

    fn open(&self) -> String {
        let payee = DEVELOPER_1.to_string();
        let opened = self.done(0, &["open", "--payee", &payee, "--amount", "100000 sat"], "");
        assert_eq!(opened["event"], "opened");
        assert_eq!(opened["deposit"], wei(100_000));
        opened["channel"].as_str().expect("an id").to_owned()
    }
}

/// Satoshis as the commands print wei in JSON: in digits, since a number would lose some.
fn wei(sat: u64) -> String {
    coin::wei(sat).to_string()
}

#[test]
fn a_payee_cashes_in_the_last_voucher_of_many() {
    let payments = Payments::new();
    let (first, second) = (payments.open(), payments.open());
    let mut vouchers = String::new();
    for (channel, total) in [(&first, "10 sat"), (&second, "7 sat"), (&first, "25 sat")] {
        let voucher = payments.done(0, &["voucher", channel, "--total", total], "");
        vouchers += &format!("{voucher}\n");
    }
    // Promised by the payee itself: worth nothing, and left out.
    let forged = payments.refused(1, &["voucher", &first, "--total", "99 sat"], "");
    assert!(forged.contains("is paid by"), "{forged}");

    let claimed = payments.done(1, &["claim", "-"], &vouchers);
    assert_eq!(claimed["amount"], wei(32));
    let mut channels = [&first, &second];
    channels.sort();
    assert_eq!(claimed["channels"], serde_json::json!(channels));
    let status = payments.done(1, &["status", &first], "");
    assert_eq!((&status["state"], &status["claimed"]), (&Value::from("open"), &Value::from(wei(25))));
    let again = payments.refused(1, &["claim", "-"], &vouchers);
    assert!(again.contains("no voucher is worth anything"), "{again}");

    let more = payments.done(0, &["voucher", &first, "--total", "40 sat"], "").to_string();
    let silent = payments.refused(1, &["close", &first], "");
    assert!(silent.contains("--forfeit") && silent.contains("0.00099975 BTC"), "{silent}");
    let others = payments.refused(1, &["close", &second, "--voucher", "-"], &more);
    assert!(others.contains("no voucher is for channel"), "{others}");
    let closed = payments.done(1, &["close", &first, "--voucher", "-"], &more);
    assert_eq!(closed["refund"], wei(100_000 - 40));
    let given_up = payments.done(1, &["close", &second, "--forfeit"], "");
    assert_eq!(given_up["refund"], wei(100_000 - 7));
    let late = payments.refused(0, &["voucher", &first, "--total", "50 sat"], "");
    assert!(late.contains("is closed"), "{late}");
}

#[test]
fn a_payer_takes_the_rest_back_after_the_delays() {
    let payments = Payments::new();
    let channel = payments.open();
    let closing = payments.done(0, &["close", &channel], "");
    assert_eq!(closing["event"], "closing");
    let closed = BOTH_DELAYS.until("the channel is closed", String::new, || {
        let finished = payments.pay(0, &["close", &channel], "");
        if finished.code == Some(0) {
            return Some(finished.stdout);
        }
        assert!(finished.stderr.contains("until then the payee may claim"), "{}", finished.stderr);
        None
    });
    assert!(closed.contains(&wei(100_000)), "{closed}");
}

#[test]
fn coins_are_wrapped_and_unwrapped() {
    let payments = Payments::new();
    let wrapped = payments.done(0, &["wrap", "1000 sat"], "");
    assert_eq!((&wrapped["event"], &wrapped["amount"]), (&"wrapped".into(), &wei(1_000).into()));
    assert_eq!(wrapped["token"].as_str().map(str::to_lowercase), Some(WRAPPED_BTC.to_string().to_lowercase()));
    let more = payments.refused(0, &["unwrap", "1001 sat"], "");
    assert!(more.contains("has 0.00001 BTC of wrapped coins"), "{more}");
    let others = payments.refused(1, &["unwrap", "1 sat"], "");
    assert!(others.contains("has 0 BTC of wrapped coins"), "{others}");
    let part = payments.done(0, &["unwrap", "400 sat"], "");
    assert_eq!((&part["event"], &part["amount"]), (&"unwrapped".into(), &wei(400).into()));
    let gone = payments.refused(0, &["unwrap", "601 sat"], "");
    assert!(gone.contains("has 0.000006 BTC"), "{gone}");
    let nowhere = payments.refused(0, &["unwrap", "100 sat", "--to", PAYOUT, "--max-fee", "99 sat"], "");
    assert!(nowhere.contains("below the smallest withdrawal"), "{nowhere}");
    let nothing = payments.refused(0, &["wrap", "0 sat"], "");
    assert!(nothing.contains("nothing to wrap"), "{nothing}");
}

#[test]
fn tokens_become_a_withdrawal_to_bitcoin_in_one_transaction() {
    let payments = Payments::new();
    payments.done(0, &["wrap", "5000 sat"], "");
    let words = ["unwrap", "4000 sat", "--to", PAYOUT, "--max-fee", "1000 sat", "--no-wait"];
    let queued = payments.done(0, &words, "");
    assert_eq!((&queued["event"], &queued["amount"]), (&"unwrapped".into(), &wei(4_000).into()));
    assert_eq!(queued["withdrawal"], 1);
    // Its owner, though the token asked for it.
    let cancelled = payments.node.causeway(&["--json", "cancel", "1", "--dev-account", "0"], "");
    assert_eq!(cancelled.code, Some(0), "{}", cancelled.stderr);
    let gone = payments.refused(0, &["unwrap", "1001 sat"], "");
    assert!(gone.contains("has 0.00001 BTC of wrapped coins"), "{gone}");
}

#[test]
fn what_makes_no_sense_is_refused_in_words() {
    let payments = Payments::new();
    let channel = payments.open();
    let none = format!("0x{}", "09".repeat(32));
    let cases: [(&[&str], &str); 5] = [
        (&["voucher", &channel, "--total", "100001 sat"], "the channel's deposit is"),
        (&["voucher", &none, "--total", "1 sat"], "there is no channel"),
        (&["claim", "nowhere.json"], "cannot read vouchers from"),
        (&["status", &none], "there is no channel"),
        (&["close", &channel, "--forfeit"], "you are the payer"),
    ];
    for (words, wanted) in cases {
        let error = payments.refused(0, words, "");
        assert!(error.contains(wanted), "{words:?}: {error}");
    }
    let error = payments.refused(1, &["claim", "-"], "{\"channel\":1}");
    assert!(error.contains("line 1 is not a voucher"), "{error}");
    let stranger = payments.refused(2, &["close", &channel], "");
    assert!(stranger.contains("is between"), "{stranger}");
}
