//! `/openapi.json`: what is sold here, as MPP's draft-payment-discovery-01 has it. The 402 stays authoritative.
//!
//! The draft's `x-payment-info` has offers of the scheme `Payment` alone, and nothing in them but what it names: what a unit is goes into words. x402's ways
//! are beside it in `x-x402`, with the members of its own `accepts`.

use alloy_primitives::U256;
use serde_json::{Map, Value, json};

use crate::meter::Meter;
use crate::mpp;
use crate::price_list::{Entry, Pattern, PriceList};
use crate::session::offer::INTENT;
use crate::till::Till;
use crate::x402::Requirements;

pub const PATH: &str = "/openapi.json";

/// What is sold, and how it is paid.
#[derive(Clone, Copy, Debug)]
pub struct Shop<'a> {
    pub till: &'a Till,
    pub prices: &'a PriceList,
    pub has_sessions: bool,
    /// Wei below which nothing is sold by a transaction of its own now.
    pub least: U256,
}

/// The document.
#[must_use]
pub fn document(shop: &Shop<'_>) -> Value {
    let mut paths = Map::new();
    for entry in shop.prices.entries() {
        let at = paths.entry(path(&entry.pattern)).or_insert_with(|| json!({}));
        if let Value::Object(at) = at {
            for method in methods(entry) {
                // The more specific entry came first.
                at.entry(method).or_insert_with(|| shop.operation(entry));
            }
        }
    }
    json!({ "openapi": "3.1.0", "info": { "title": shop.till.realm, "version": "1" }, "paths": paths })
}

fn methods(entry: &Entry) -> Vec<String> {
    let all = || vec!["get".to_owned(), "post".to_owned()];
    entry.method.as_ref().map_or_else(all, |method| vec![method.to_lowercase()])
}

impl Shop<'_> {
    fn operation(&self, entry: &Entry) -> Value {
        let mut operation = json!({ "responses": { "200": { "description": "The answer" } } });
        if let Some(description) = &entry.description {
            operation["summary"] = json!(description);
        }
        if matches!(entry.pattern, Pattern::Below(_)) {
            operation["parameters"] =
                json!([{ "name": "rest", "in": "path", "required": true, "schema": { "type": "string" } }]);
        }
        if entry.amount.is_zero() {
            return operation;
        }
        operation["responses"]["402"] = json!({ "description": "Payment Required" });
        let offers = self.offers(entry);
        if !offers.is_empty() {
            operation["x-payment-info"] = json!({ "offers": offers });
        }
        let accepts = self.accepts(entry);
        if !accepts.is_empty() {
            operation["x-x402"] = json!({ "accepts": accepts });
        }
        if offers.is_empty() && accepts.is_empty() {
            let why = "Too cheap for its gas at the moment";
            operation["responses"]["503"] = json!({ "description": why });
        }
        operation
    }

    /// A page by a transaction of its own.
    fn is_by_itself(&self, entry: &Entry) -> bool {
        entry.meter.is_none() && entry.amount >= self.least
    }

    /// By the scheme `Payment`, in the order of the challenges.
    fn offers(&self, entry: &Entry) -> Vec<Value> {
        let offer = |intent: &str| {
            json!({
                "intent": intent,
                "method": mpp::METHOD,
                "amount": entry.amount.to_string(),
                "currency": self.till.token.contract.to_string(),
            })
        };
        let charge = self.is_by_itself(entry).then(|| offer(mpp::INTENT));
        let session = self.has_sessions.then(|| {
            let mut session = offer(INTENT);
            session["description"] = unit(entry.meter.as_ref()).into();
            session
        });
        charge.into_iter().chain(session).collect()
    }

    /// By x402. What a payment has to repeat of a demand is in the demand alone.
    fn accepts(&self, entry: &Entry) -> Vec<Requirements> {
        let Till { token, payee, lifetime_s, .. } = self.till;
        let exact = self.is_by_itself(entry).then(|| Requirements::exact(token, *payee, entry.amount, *lifetime_s));
        let channels = self.till.batch.as_ref().filter(|_| entry.meter.is_none());
        let batch = channels.and_then(|terms| terms.requirements(token, *payee, entry.amount, *lifetime_s, None));
        exact.into_iter().chain(batch).collect()
    }
}

/// What the amount is for.
fn unit(meter: Option<&Meter>) -> String {
    match meter {
        None => "for each request".to_owned(),
        Some(meter) if meter.at_least > 1 => format!("for each {}, at least {}", meter.unit_type(), meter.at_least),
        Some(meter) => format!("for each {}", meter.unit_type()),
    }
}

fn path(pattern: &Pattern) -> String {
    match pattern {
        Pattern::Exact(path) => path.clone(),
        Pattern::Below(above) => format!("{above}{{rest}}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch;
    use crate::price::Rates;
    use crate::testing::{PAYEE, till};

    const PRICES: [&str; 5] = [
        "/weather=25 sat",
        "POST /api/*=1 sat",
        "/free=0 sat",
        "/chat=0.1 sat per token, at least 50",
        "/cheap=0.5 sat",
    ];

    fn told(has_sessions: bool, has_channels: bool) -> Value {
        let mut prices = PriceList::default();
        for entry in PRICES {
            prices.assign(entry, &Rates::default()).expect("a price");
        }
        let terms = batch::Terms { authorizer: PAYEE, delay_s: 86_400, least_deposit: 1 };
        let till = Till { batch: has_channels.then_some(terms), ..till() };
        // 0.7 sat.
        document(&Shop { till: &till, prices: &prices, has_sessions, least: U256::from(7_000_000_000_u64) })
    }

    /// Intents and schemes by which an operation is paid.
    fn ways(document: &Value, path: &str, method: &str) -> Vec<String> {
        let operation = &document["paths"][path][method];
        let all = |list: &Value, name: &str| -> Vec<String> {
            let list = list.as_array().cloned().unwrap_or_default();
            list.iter().map(|one| one[name].as_str().expect("text").to_owned()).collect()
        };
        let offers = all(&operation["x-payment-info"]["offers"], "intent");
        [offers, all(&operation["x-x402"]["accepts"], "scheme")].concat()
    }

    #[test]
    fn each_price_is_an_operation_with_all_ways_to_pay_it() {
        let all = told(true, true);
        assert_eq!(ways(&all, "/weather", "get"), ["charge", "session", "exact", "batch-settlement"]);
        assert_eq!(ways(&all, "/api/{rest}", "post"), ["charge", "session", "exact", "batch-settlement"]);
        assert_eq!(ways(&all, "/chat", "get"), ["session"], "by the unit");
        assert_eq!(ways(&all, "/cheap", "get"), ["session", "batch-settlement"], "below its gas");
        let offer = &all["paths"]["/weather"]["get"]["x-payment-info"]["offers"][0];
        assert_eq!((&offer["amount"], &offer["method"]), (&json!("250000000000"), &json!("evm")));
        let session = &all["paths"]["/chat"]["get"]["x-payment-info"]["offers"][0];
        assert_eq!(session["description"], "for each token, at least 50");
        assert!(
            all["paths"]["/api/{rest}"]["get"].is_null() && all["paths"]["/free"]["get"]["responses"]["402"].is_null()
        );
        assert!(ways(&all, "/free", "get").is_empty());
        assert_eq!(ways(&told(false, true), "/cheap", "get"), ["batch-settlement"]);
    }

    #[test]
    fn what_nobody_can_pay_has_no_offers() {
        let none = told(false, false);
        let cheap = &none["paths"]["/cheap"]["get"];
        assert!(
            cheap["x-payment-info"].is_null() && cheap["x-x402"].is_null() && cheap["responses"]["503"].is_object()
        );
        assert_eq!(ways(&none, "/weather", "get"), ["charge", "exact"]);
    }

    /// The draft's schema of an offer: these members and no others.
    #[test]
    fn an_offer_says_what_the_draft_names_and_nothing_else() {
        let document = told(true, true);
        for (_, operations) in document["paths"].as_object().expect("paths") {
            for operation in operations.as_object().expect("operations").values() {
                let offers = operation["x-payment-info"]["offers"].as_array().cloned().unwrap_or_default();
                for name in offers.iter().flat_map(|offer| offer.as_object().expect("an offer").keys()) {
                    assert!(
                        ["intent", "method", "amount", "currency", "description"].contains(&name.as_str()),
                        "{name}"
                    );
                }
            }
        }
    }
}
