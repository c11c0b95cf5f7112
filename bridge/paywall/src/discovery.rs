//! `/openapi.json`: what is sold here, as MPP's draft-payment-discovery-01 has it. The 402 stays authoritative.

use serde_json::{Map, Value, json};

use crate::authorization::Token;
use crate::meter::Meter;
use crate::mpp;
use crate::price_list::{Entry, Pattern, PriceList};
use crate::session::offer::INTENT;

pub const PATH: &str = "/openapi.json";

/// The document.
#[must_use]
pub fn document(title: &str, token: &Token, prices: &PriceList, has_sessions: bool) -> Value {
    let mut paths = Map::new();
    for entry in prices.entries() {
        let (path, operations) = (path(&entry.pattern), operations(entry, token, has_sessions));
        let at = paths.entry(path).or_insert_with(|| json!({}));
        if let Value::Object(at) = at {
            for (method, operation) in operations {
                // The more specific entry came first.
                at.entry(method).or_insert(operation);
            }
        }
    }
    json!({ "openapi": "3.1.0", "info": { "title": title, "version": "1" }, "paths": paths })
}

fn operations(entry: &Entry, token: &Token, has_sessions: bool) -> Vec<(String, Value)> {
    let methods = entry
        .method
        .as_ref()
        .map_or_else(|| vec!["get".to_owned(), "post".to_owned()], |method| vec![method.to_lowercase()]);
    methods.into_iter().map(|method| (method, operation(entry, token, has_sessions))).collect()
}

fn operation(entry: &Entry, token: &Token, has_sessions: bool) -> Value {
    let mut operation = json!({ "responses": { "200": { "description": "The answer" } } });
    if let Some(description) = &entry.description {
        operation["summary"] = json!(description);
    }
    if matches!(entry.pattern, Pattern::Below(_)) {
        operation["parameters"] =
            json!([{ "name": "rest", "in": "path", "required": true, "schema": { "type": "string" } }]);
    }
    if !entry.amount.is_zero() {
        operation["responses"]["402"] = json!({ "description": "Payment Required" });
        let offer = |intent: &str| {
            json!({
                "intent": intent,
                "method": mpp::METHOD,
                "amount": entry.amount.to_string(),
                "currency": token.contract.to_string(),
            })
        };
        let mut session = offer(INTENT);
        session["unitType"] = json!(entry.meter.as_ref().map_or("request", Meter::unit_type));
        let charge = entry.meter.is_none().then(|| offer(mpp::INTENT));
        let session = has_sessions.then_some(session);
        let offers: Vec<Value> = charge.into_iter().chain(session).collect();
        operation["x-payment-info"] = json!({ "offers": offers });
    }
    operation
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
    use crate::price::Rates;
    use crate::testing::token;

    #[test]
    fn each_price_is_an_operation_with_an_offer() {
        let mut prices = PriceList::default();
        for entry in ["/weather=25 sat", "POST /api/*=1 sat", "/free=0 sat", "/chat=0.1 sat per token"] {
            prices.assign(entry, &Rates::default()).expect("a price");
        }
        let document = document("shop", &token(), &prices, true);
        let offer = &document["paths"]["/weather"]["get"]["x-payment-info"]["offers"][0];
        assert_eq!((&offer["amount"], &offer["intent"]), (&json!("250000000000"), &json!("charge")));
        let offers = |path: &str| document["paths"][path]["get"]["x-payment-info"]["offers"].clone();
        assert_eq!(offers("/weather")[1]["intent"], json!("session"));
        assert_eq!((offers("/chat")[0]["unitType"].clone(), offers("/chat")[1].clone()), (json!("token"), Value::Null));
        assert!(document["paths"]["/weather"]["get"]["responses"]["402"].is_object());
        assert!(document["paths"]["/api/{rest}"]["post"]["x-payment-info"].is_object());
        assert!(document["paths"]["/api/{rest}"]["get"].is_null());
        assert!(document["paths"]["/free"]["get"]["x-payment-info"].is_null());
    }
}
