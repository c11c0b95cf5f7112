//! What `/openapi.json` says of each page, and what the page itself asks for.

use std::collections::BTreeSet;

use base64::Engine as _;

use super::*;

/// A way to pay, and how much: of a unit, if it is by a session.
type Way = (String, String);

const OFFERED: [&str; 10] = [
    "--price",
    "/weather=25 sat",
    "--price",
    "POST /api/*=1000 sat",
    "--price",
    "/chat=0.1 sat per token, at least 50",
    "--price",
    "/cheap=0.001 sat",
    "--price",
    "/free=0 sat",
];

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// As the document has it.
fn told(operation: &Value) -> BTreeSet<Way> {
    let all = |list: &Value, name: &str| -> Vec<Way> {
        let list = list.as_array().cloned().unwrap_or_default();
        list.iter().map(|way| (text(&way[name]), text(&way["amount"]))).collect()
    };
    let offers = all(&operation["x-payment-info"]["offers"], "intent");
    offers.into_iter().chain(all(&operation["x-x402"]["accepts"], "scheme")).collect()
}

/// As the page has it.
fn asked(answer: &Answer) -> BTreeSet<Way> {
    let challenges = answer.headers.iter().filter(|(name, _)| name == "www-authenticate");
    let challenges = challenges.flat_map(|(_, value)| wallet::challenges(value));
    let by_mpp = challenges.map(|challenge| {
        let request = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(&challenge.request).expect("base64url");
        let request: Value = serde_json::from_slice(&request).expect("JSON");
        (challenge.intent.clone(), text(&request["amount"]))
    });
    let required = answer.header("payment-required");
    let accepts =
        if required.is_empty() { Vec::new() } else { x402::decode::<PaymentRequired>(required).expect("ours").accepts };
    by_mpp.chain(accepts.into_iter().map(|way| (way.scheme, way.amount.to_string()))).collect()
}

#[test]
fn the_document_names_the_ways_to_pay_that_each_page_asks_for() {
    let Shop { paywall, upstream, node } = Shop::open(&[]);
    drop(paywall);
    let payee = DEVELOPER_0.to_string();
    for (more, ways) in
        [(&[][..], [4, 4, 1, 2, 0]), (&["--no-batch"], [3, 3, 1, 1, 0]), (&["--at-a-loss"], [4, 4, 1, 4, 0])]
    {
        let paywall = Paywall::start(&node.home(), &node.url(), &upstream.url(), &[&OFFERED[..], more].concat());
        compare(&paywall, ways);
    }
    // Somebody else is paid than who signs: there are no sessions, and nothing by the unit.
    let prices = [&OFFERED[..4], &OFFERED[6..], &["--pay-to", &payee]].concat();
    let paywall = Paywall::start(&node.home(), &node.url(), &upstream.url(), &prices);
    compare_some(&paywall, &[("/weather", "get", 3), ("/cheap", "get", 1), ("/free", "get", 0)]);
}

fn compare(paywall: &Paywall, [weather, api, chat, cheap, free]: [usize; 5]) {
    let pages = [
        ("/weather", "get", weather),
        ("/api/{rest}", "post", api),
        ("/chat", "get", chat),
        ("/cheap", "get", cheap),
        ("/free", "get", free),
    ];
    compare_some(paywall, &pages);
}

/// Pages with the number of ways to pay them.
fn compare_some(paywall: &Paywall, pages: &[(&str, &str, usize)]) {
    let answer = send(&paywall.url, "GET", "/openapi.json", &[], b"");
    assert_eq!((answer.header("content-type"), answer.header("cache-control")), ("application/json", "max-age=300"));
    let document = answer.json();
    for &(path, method, count) in pages {
        let operation = &document["paths"][path][method];
        let page = send(&paywall.url, &method.to_uppercase(), &path.replace("{rest}", "any"), &[], b"");
        let told = told(operation);
        assert_eq!(told, asked(&page), "{path}: {operation:#}");
        assert_eq!(told.len(), count, "{path}: {told:?}");
        assert_eq!(operation["responses"]["402"].is_object(), page.status == 402, "{path}: {operation:#}");
    }
}
