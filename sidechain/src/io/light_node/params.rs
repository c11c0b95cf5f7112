//! Positional parameters of a request, read in order.

use alloy_eips::BlockId;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::io::rpc::block_reference::BlockReference;
use crate::io::rpc::{error, numbers, numbers::Form};

pub(super) struct Params {
    values: std::vec::IntoIter<Value>,
    position: usize,
}

impl Params {
    pub(super) fn new(values: Vec<Value>) -> Self {
        Self { values: values.into_iter(), position: 0 }
    }

    /// The next parameter, which must be there.
    pub(super) fn next<T: DeserializeOwned>(&mut self, name: &str) -> error::Result<T> {
        let position = self.position;
        self.optional(name)?
            .ok_or_else(|| error::invalid(format!("missing value for required argument {position}: {name}")))
    }

    /// The next parameter, a block; the last one when it is missing or null.
    pub(super) fn block(&mut self) -> error::Result<BlockId> {
        let block: Option<BlockReference> = self.optional_as(Form::Block, "block")?;
        Ok(block.map_or(BlockId::latest(), |block| block.0))
    }

    /// The next parameter, which may be missing or null, in a form: numbers are written as they are for a node that is not light (see [`numbers`]).
    fn optional_as<T: DeserializeOwned>(&mut self, form: Form, name: &str) -> error::Result<Option<T>> {
        if let Some(said) = self.values.as_slice().first() {
            numbers::check_value(said, form).map_err(|error| error::argument(self.position, name, &error))?;
        }
        self.optional(name)
    }

    /// The same, which must be there.
    pub(super) fn next_as<T: DeserializeOwned>(&mut self, form: Form, name: &str) -> error::Result<T> {
        let position = self.position;
        self.optional_as(form, name)?
            .ok_or_else(|| error::invalid(format!("missing value for required argument {position}: {name}")))
    }

    /// The next parameter, which may be missing or null.
    pub(super) fn optional<T: DeserializeOwned>(&mut self, name: &str) -> error::Result<Option<T>> {
        let position = self.position;
        self.position += 1;
        let Some(value) = self.values.next() else { return Ok(None) };
        serde_json::from_value(value).map_err(|error| error::argument(position, name, &error))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::io::rpc::call_request::CallRequest;

    #[test]
    fn numbers_are_as_strict_as_for_a_node_that_is_not_light() {
        let block = |said: Value| Params::new(vec![said]).block();
        assert_eq!(block(json!("0x10")).expect("a number"), BlockId::number(16));
        assert_eq!(
            block(json!({ "blockNumber": "0x1", "requireCanonical": true })).expect("geth takes it"),
            BlockId::number(1)
        );
        assert_eq!(Params::new(Vec::new()).block().expect("the last"), BlockId::latest());
        for bad in [json!("0x010"), json!({ "blockNumber": "0x01" })] {
            let refused = block(bad.clone()).expect_err("leading zeros");
            assert!(refused.message().contains("leading zero digits"), "{bad}: {refused}");
        }
        for bad in [
            json!("LATEST"),
            json!("0X1"),
            json!("0x1_0"),
            json!("0x+1"),
            json!("0x"),
            json!(1),
            json!({ "blockNumber": 1 }),
        ] {
            assert!(block(bad.clone()).is_err(), "{bad}");
        }
        let call = |said: Value| Params::new(vec![said]).next_as::<CallRequest>(Form::Anything, "transaction");
        call(json!({ "value": "0x1", "data": "0x00" })).expect("a call");
        for bad in [
            json!({ "value": "0x01" }),
            json!({ "gas": "0x0ffff" }),
            json!({ "nonce": "0x" }),
            json!({ "gas": "0x1_0" }),
            json!({ "value": 1 }),
        ] {
            let refused = call(bad.clone()).expect_err("no number");
            assert!(refused.message().starts_with("invalid argument 0: transaction: "), "{bad}: {refused}");
        }
        for bad in [json!({ "type": "0x3" }), json!({ "blobs": [] }), json!({ "maxFeePerBlobGas": "0x1" })] {
            let refused = call(bad.clone()).expect_err("blobs");
            assert!(refused.message().contains("blob transactions (type 3)"), "{bad}: {refused}");
        }
        let missing =
            Params::new(Vec::new()).next_as::<CallRequest>(Form::Anything, "transaction").expect_err("nothing");
        assert!(missing.message().contains("missing value"), "{missing}");
    }
}
