//! `causeway pay` as payer and payee type it, against a node.

use alloy_primitives::{Address, U256, address};
use serde_json::Value;
use tests::binary;
use tests::lone_node::LoneNode;

/// Developer accounts 0 and 1.
const PAYER: Address = address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
const PAYEE: Address = address!("70997970C51812dc3A010C7d01b50e0d17dc79C8");

/// Wei of a satoshi.
const SAT: u64 = 10_000_000_000;

struct World {
    node: LoneNode,
    home: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        Self { node: LoneNode::start(&[PAYER, PAYEE]), home: tempfile::tempdir().expect("a directory for tests") }
    }

    fn pay(&self, account: u32, words: &[&str], input: &str) -> binary::Finished {
        let (url, account) = (self.node.url(), account.to_string());
        let mut all = vec!["--json", "pay"];
        all.extend(words);
        all.extend(["--rpc", &url]);
        if words[0] != "status" {
            all.extend(["--dev-account", &account]);
        }
        binary::run(self.home.path(), all, input)
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

    fn open(&self, extra: &[&str]) -> String {
        let payee = PAYEE.to_string();
        let mut words = vec!["open", "--payee", &payee, "--amount", "100000 sat"];
        words.extend(extra);
        let opened = self.done(0, &words, "");
        assert_eq!(opened["event"], "opened");
        assert_eq!(opened["deposit"], wei(100_000));
        opened["channel"].to_string()
    }
}

fn wei(sat: u64) -> String {
    (U256::from(sat) * U256::from(SAT)).to_string()
}

#[test]
fn a_payee_cashes_in_the_last_voucher_of_many() {
    let world = World::new();
    let (first, second) = (world.open(&[]), world.open(&[]));
    let mut vouchers = String::new();
    for (channel, total) in [(&first, "10 sat"), (&second, "7 sat"), (&first, "25 sat")] {
        let voucher = world.done(0, &["voucher", channel, "--total", total], "");
        vouchers += &format!("{voucher}\n");
    }
    // Promised by the payee itself: worth nothing, and left out.
    let forged = world.refused(1, &["voucher", &first, "--total", "99 sat"], "");
    assert!(forged.contains("is paid by"), "{forged}");

    let claimed = world.done(1, &["claim", "-"], &vouchers);
    assert_eq!(claimed["amount"], wei(32));
    assert_eq!(claimed["channels"], serde_json::json!([1, 2]));
    let status = world.done(1, &["status", &first], "");
    assert_eq!((&status["state"], &status["claimed"]), (&Value::from("open"), &Value::from(wei(25))));
    let again = world.refused(1, &["claim", "-"], &vouchers);
    assert!(again.contains("no voucher is worth anything"), "{again}");

    let closed = world.done(1, &["close", &first], "");
    assert_eq!(closed["refund"], wei(100_000 - 25));
    let late = world.refused(0, &["voucher", &first, "--total", "50 sat"], "");
    assert!(late.contains("is closed"), "{late}");
}

#[test]
fn a_payer_takes_the_rest_back_after_the_delays() {
    let world = World::new();
    let channel = world.open(&["--close-delay", "0s", "--close-blocks", "3"]);
    let closing = world.done(0, &["close", &channel], "");
    assert_eq!(closing["event"], "closing");
    let closed = loop {
        let finished = world.pay(0, &["close", &channel], "");
        if finished.code == Some(0) {
            break finished.stdout;
        }
        assert!(finished.stderr.contains("until then the payee may claim"), "{}", finished.stderr);
    };
    assert!(closed.contains(&wei(100_000)), "{closed}");
}

#[test]
fn what_makes_no_sense_is_refused_in_words() {
    let world = World::new();
    let channel = world.open(&[]);
    let cases: [(&[&str], &str); 4] = [
        (&["voucher", &channel, "--total", "100001 sat"], "the channel's deposit is"),
        (&["voucher", "9", "--total", "1 sat"], "NoSuchChannel"),
        (&["claim", "nowhere.json"], "cannot read vouchers from"),
        (&["status", "9"], "cannot read channel 9"),
    ];
    for (words, wanted) in cases {
        let error = world.refused(0, words, "");
        assert!(error.contains(wanted), "{words:?}: {error}");
    }
    let error = world.refused(1, &["claim", "-"], "{\"channel\":1}");
    assert!(error.contains("line 1 is not a voucher"), "{error}");
    let stranger = world.refused(2, &["close", &channel], "");
    assert!(stranger.contains("is between"), "{stranger}");
}
