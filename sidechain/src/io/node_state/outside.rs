//! Other nodes, as this one speaks to them.

use std::sync::Arc;

use alloy_primitives::Bytes;
use api::peg::PaymentProof;
use futures::future::BoxFuture;
use jsonrpsee::types::ErrorObjectOwned;
use serde_json::Value;

use crate::chain::Registration;

/// A message from one validator to all others. The receiver checks it as if a user had sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gossip {
    /// EIP-2718 encoding of a transaction a user sent to this node.
    Transaction(Bytes),
    /// A deposit registration a user sent to this node, with a proof of a payment if there was one.
    Registration(Registration, Option<Arc<PaymentProof>>),
}

/// The node that a follower follows: it takes what users send, for a follower has no say in blocks.
pub trait Upstream: Send + Sync {
    /// Passes a JSON-RPC request on, and returns the followed node's result.
    ///
    /// # Errors
    ///
    /// `Refused`: the followed node's own error. `NoAnswer`: it cannot be reached, or answers with something else.
    fn request<'a>(&'a self, method: &'static str, params: Vec<Value>) -> BoxFuture<'a, Result<Value, UpstreamError>>;
}

/// Why the followed node did not take a request.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum UpstreamError {
    /// It answered with an error, which is for the user.
    #[error("{}", .0.message())]
    Refused(ErrorObjectOwned),
    /// It did not answer the question.
    #[error("the followed node {url} does not answer: {reason}")]
    NoAnswer {
        /// Its JSON-RPC.
        url: String,
        /// The error of the connection or of the decoding.
        reason: String,
    },
}
