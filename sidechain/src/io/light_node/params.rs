//! Positional parameters of a request, read in order.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::io::rpc::error;

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

    /// The next parameter, which may be missing or null.
    pub(super) fn optional<T: DeserializeOwned>(&mut self, name: &str) -> error::Result<Option<T>> {
        let position = self.position;
        self.position += 1;
        let Some(value) = self.values.next() else { return Ok(None) };
        serde_json::from_value(value)
            .map_err(|error| error::invalid(format!("invalid argument {position}: {name}: {error}")))
    }
}
