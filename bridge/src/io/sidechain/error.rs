//! Failed requests of a client to its node, and whether to repeat them.

use std::error::Error as StdError;
use std::time::Duration;

use alloy_primitives::{B256, Bytes};
use jsonrpsee::core::client::Error as RpcError;
use jsonrpsee::types::ErrorObjectOwned;

use super::revert::Revert;
use crate::foreign::shown;

/// The JSON-RPC error code of a reverted execution (EIP-1474 leaves it open; geth's choice, which all tools follow).
const REVERTED: i32 = 3;

/// A failed request to the sidechain node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No answer. Ask again later.
    #[error("the sidechain node at {url} does not answer: {reason}")]
    Down { url: String, reason: String },
    /// It answers, but its head is old. Ask again later.
    #[error("the sidechain node at {url} lags: its head {number} is {behind_s} s old")]
    Lagging { url: String, number: u64, behind_s: u64 },
    /// It is a node of another network. Asking again does not help.
    #[error("the sidechain node at {url} has chain id {got}, expected {want}")]
    OtherChain { url: String, got: u64, want: u64 },
    /// The contract refused; the same call fails again until the state changes.
    #[error("{method} reverted: {revert}")]
    Reverted { method: &'static str, revert: Revert },
    /// The node refused the request.
    #[error("the node refused {method}: {message} (code {code})")]
    Refused { method: &'static str, code: i32, message: String },
    /// The answer has another shape than expected: another version of the node, or not a node.
    #[error("the answer to {method} is not understood: {reason}")]
    Malformed { method: &'static str, reason: String },
    /// A transaction was accepted, but not included in time. It may still be.
    #[error("transaction {hash} with nonce {nonce} was not included within {} s: it may still be", waited.as_secs())]
    NotIncluded { hash: B256, nonce: u64, waited: Duration },
    /// Another transaction took its nonce: it will never be included.
    #[error("transaction {hash} will never be included: another one took nonce {nonce}")]
    Replaced { hash: B256, nonce: u64 },
    /// A transaction was included and failed.
    #[error("transaction {hash} failed in block {block}: {revert}")]
    Failed { hash: B256, block: u64, revert: Revert },
    #[error("{url} is not a usable URL: {reason}")]
    BadUrl { url: String, reason: String },
}

impl Error {
    /// Whether the same request can succeed later without anything else being done.
    #[must_use]
    pub fn retry(&self) -> bool {
        matches!(self, Self::Down { .. } | Self::Lagging { .. } | Self::NotIncluded { .. })
    }

    /// The contract's reason, when the contract refused.
    #[must_use]
    pub fn revert(&self) -> Option<&Revert> {
        match self {
            Self::Reverted { revert, .. } | Self::Failed { revert, .. } => Some(revert),
            _ => None,
        }
    }

    pub(super) fn malformed(method: &'static str, reason: impl Into<String>) -> Self {
        Self::Malformed { method, reason: shown(&reason.into()) }
    }

    pub(super) fn from_rpc(url: &str, method: &'static str, error: RpcError) -> Self {
        match error {
            RpcError::Call(object) => Self::from_object(method, &object),
            RpcError::ParseError(error) => Self::malformed(method, error.to_string()),
            RpcError::InvalidRequestId(error) => Self::malformed(method, error.to_string()),
            RpcError::RequestTimeout => Self::Down { url: url.to_owned(), reason: "timeout".to_owned() },
            other => Self::Down { url: url.to_owned(), reason: shown(&chain(&other)) },
        }
    }

    fn from_object(method: &'static str, object: &ErrorObjectOwned) -> Self {
        let data = object.data().and_then(|raw| serde_json::from_str::<Bytes>(raw.get()).ok());
        match data {
            Some(data) if object.code() == REVERTED || !data.is_empty() => {
                Self::Reverted { method, revert: Revert::decode(data) }
            }
            _ if object.code() == REVERTED => Self::Reverted { method, revert: Revert::decode(Bytes::new()) },
            _ => Self::Refused { method, code: object.code(), message: shown(object.message()) },
        }
    }
}

/// An error with its causes, outermost first: connection errors say the useful part last.
pub(super) fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use alloy_sol_types::SolError;
    use contracts::deposits::Deposits::DepositTooSmall;

    use super::*;
    use crate::io::sidechain::Client;

    fn answer(code: i32, message: &str, data: Option<String>) -> Error {
        Error::from_rpc("http://node", "eth_call", RpcError::Call(ErrorObjectOwned::owned(code, message, data)))
    }

    #[test]
    fn a_custom_error_of_our_contracts_is_told_by_name_and_arguments() {
        let data = DepositTooSmall { gotSat: 5, minSat: 10_000 }.abi_encode();
        let error = answer(3, "execution reverted", Some(alloy_primitives::hex::encode_prefixed(data)));
        assert_eq!(error.to_string(), "eth_call reverted: DepositTooSmall { gotSat: 5, minSat: 10000 }");
        assert!(error.revert().is_some_and(super::Revert::is::<DepositTooSmall>));
        assert!(!error.retry());
    }

    #[test]
    fn a_refusal_without_revert_data_keeps_the_nodes_words() {
        let error = answer(-32000, "nonce too low", None);
        assert_eq!(error.to_string(), "the node refused eth_call: nonce too low (code -32000)");
    }

    #[test]
    fn the_words_of_a_node_are_bounded_and_move_no_cursor() {
        let words = format!("\u{1b}[2J\u{1b}[Hwaiting for a payment\nerror: {}", "x".repeat(100_000));
        let require = alloy_sol_types::Revert::from(words.as_str()).abi_encode();
        let refused = answer(-32000, &words, None);
        let reverted = answer(3, "execution reverted", Some(alloy_primitives::hex::encode_prefixed(require)));
        for error in [refused, reverted, Error::malformed("eth_call", words)] {
            let told = error.to_string();
            assert!(!told.chars().any(crate::foreign::obeyed), "{told:?}");
            assert!(told.chars().count() < 400, "{} characters", told.chars().count());
        }
    }

    #[test]
    fn a_transaction_that_is_not_included_in_time_may_still_be_and_is_told_with_its_nonce() {
        let error = Error::NotIncluded { hash: B256::repeat_byte(7), nonce: 12, waited: Duration::from_secs(60) };
        let told = error.to_string();
        for part in [&B256::repeat_byte(7).to_string(), "nonce 12", "within 60 s", "may still be"] {
            assert!(told.contains(part), "{told}");
        }
    }

    #[tokio::test]
    async fn a_node_that_is_down_is_told_as_such_and_worth_another_try() {
        let client = Client::new("ws://127.0.0.1:1").expect("a URL");
        let error = client.chain_id().await.expect_err("nobody listens on port 1");
        assert!(matches!(error, Error::Down { .. }) && error.retry(), "{error}");
        assert!(error.to_string().contains("ws://127.0.0.1:1 does not answer"), "{error}");
    }
}
