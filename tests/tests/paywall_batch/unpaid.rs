//! Whoever has channels filled at the payee's cost and buys nothing by them.

use super::*;

const CHEAP: [&str; 2] = ["--price", "/cheap=2 sat"];

impl ByHand<'_> {
    fn shows(&self, target: &str, payload: Value) -> Answer {
        let accepted = self.shop.accepted(target);
        let header = x402::encode(&PaymentPayload { x402_version: 2, accepted, payload, resource: None });
        self.shop.get(target, &[("payment-signature", &header)])
    }

    /// Status and code of the answer to its first payment, with the smallest deposit.
    fn opens(&self, target: &str, sat: u64) -> (u16, String) {
        let answer = self.shows(target, self.deposit(sat, DEPOSIT_SAT));
        let said: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        (answer.status, said["code"].as_str().unwrap_or_default().to_owned())
    }
}

fn refused() -> (u16, String) {
    (429, "unpaid-deposits".to_owned())
}

#[test]
fn a_payer_has_four_channels_filled_at_the_payees_cost_until_they_have_paid_for_it() {
    let shop = Shop::open(&CHEAP);
    let opened = (1..=10).filter(|salt| shop.by_hand(*salt).opens("/cheap", 2).0 == 200).count();
    assert_eq!(opened, 4);
    let fifth = shop.by_hand(5);
    let answer = fifth.shows("/cheap", fifth.deposit(2, DEPOSIT_SAT));
    assert_eq!((answer.status, answer.json()["code"].as_str()), (429, Some("unpaid-deposits")), "{answer:?}");
    let told = settled(&answer);
    assert_eq!((told.success, told.payer), (false, Some(DEVELOPER_0)), "as x402's clients read it");
    assert_eq!((fifth.on_chain(), answer.header("payment-required")), ((0, 0), ""), "nothing was sent");
    // A channel that is there pays on; when it has paid for its gas there is room for two.
    let first = shop.by_hand(1);
    for total in (4..=20).step_by(2) {
        assert_eq!(first.shows("/cheap", first.voucher(total)).status, 200);
    }
    let more: Vec<u16> = (5..=7).map(|salt| shop.by_hand(salt).opens("/cheap", 2).0).collect();
    assert_eq!(more, [200, 200, 429]);
    // Whoever begins to take three back has none filled for an hour.
    (2..=4).for_each(|salt| shop.by_hand(salt).withdraws(90));
    let answer = SOON.until("it is seen", String::new, || {
        let eighth = shop.by_hand(8);
        let answer = eighth.shows("/cheap", eighth.deposit(2, DEPOSIT_SAT));
        (answer.header("retry-after").parse::<u64>().is_ok_and(|wait_s| wait_s > 3_000)).then_some(answer)
    });
    assert_eq!((answer.status, answer.json()["code"].as_str()), (429, Some("unpaid-deposits")));
    assert_eq!(first.shows("/cheap", first.voucher(22)).status, 200);
}

#[test]
fn an_upstream_that_fails_and_a_paywall_that_starts_anew_are_no_way_around_it() {
    let shop = Shop::open(&CHEAP);
    shop.upstream.fail(100);
    let said: Vec<_> = (1..=6).map(|salt| shop.by_hand(salt).opens("/failing", PRICE_SAT)).collect();
    assert_eq!(said.iter().map(|(status, _)| *status).collect::<Vec<_>>(), [500, 500, 500, 500, 429, 429]);
    let shop = shop.killed(|_| ());
    assert_eq!(shop.by_hand(7).opens("/weather", PRICE_SAT), refused());
    let first = shop.by_hand(1);
    first.pays(first.voucher(PRICE_SAT));
    assert_eq!(shop.by_hand(7).opens("/weather", PRICE_SAT).0, 200);
}

#[test]
fn a_facilitator_fills_four_until_something_was_claimed_of_them() {
    let shop = Shop::open(&["--facilitator"]);
    let settle = |salt| {
        let mut channel = shop.by_hand(salt);
        channel.config.withdraw_delay = 90_000;
        let mut accepted = shop.accepted("/weather");
        accepted.extra.as_mut().expect("more")["withdrawDelay"] = 90_000.into();
        let payload = channel.deposit(25, DEPOSIT_SAT);
        let payment = PaymentPayload { x402_version: 2, accepted: accepted.clone(), payload, resource: None };
        let asked = json!({ "x402Version": 2, "paymentPayload": payment, "paymentRequirements": accepted });
        let fields = [("content-type", "application/json")];
        send(&shop.paywall.url, "POST", "/settle", &fields, asked.to_string().as_bytes()).json()
    };
    let said: Vec<Value> = (1..=5).map(settle).collect();
    let done: Vec<bool> = said.iter().map(|one| one["success"] == true).collect();
    assert_eq!(done, [true, true, true, true, false], "{said:#?}");
    let why = said[4]["errorMessage"].as_str().unwrap_or_default();
    assert!(why.contains("have not yet paid for the gas"), "{why}");
    // The payer takes one back, which the chain says: that one counts as left, and the others still.
    let mut left = shop.by_hand(1);
    left.config.withdraw_delay = 90_000;
    left.withdraws(DEPOSIT_SAT);
    assert_eq!(settle(6)["success"], false);
}
