//! `rpc.discover`: the node's own OpenRPC document, made of the methods that it serves and their descriptions.
//!
//! ```text
//!  Methods (names) --+
//!  descriptions -----+--> document: summary, parameters, result     shapes of the peg: derived from the types of `api`
//!                                                                    shapes of Ethereum: those of its execution API, geth and Otterscan
//! ```
//! A method without a description fails a test, and so does an answer that is not as its description says (`tests/openrpc.rs`).

mod accounts;
mod debug;
mod description;
mod document;
mod eth;
mod ethereum;
mod others;
mod peg;
mod rules;
mod schema;

use std::sync::Arc;

use serde_json::value::{RawValue, to_raw_value};

pub use description::Description;
use schema::Schemas;

use super::method::{Methods, Registered, inline};

/// What every method does, wants and answers.
pub fn descriptions() -> Vec<Description> {
    let ethereums = [eth::methods(), accounts::methods(), rules::methods(), debug::methods()].concat();
    [ethereums, others::methods(), peg::methods()].concat()
}

/// The shapes that they name.
fn schemas() -> Schemas {
    [ethereum::schemas(), accounts::schemas(), rules::schemas(), debug::schemas()].concat()
}

/// Registers `rpc.discover`, behind all other methods, which it tells.
pub fn register(methods: &mut Methods) -> Registered {
    let served: Vec<&'static str> = methods.names().chain(["rpc.discover"]).collect();
    let document = document::document(descriptions(), schemas(), &served);
    // Written once: whoever asks costs a copy.
    let document: Arc<RawValue> = to_raw_value(&document).expect("a JSON value has a text").into();
    inline(methods, "rpc.discover", move |_, _| Ok(document.clone()))
}
