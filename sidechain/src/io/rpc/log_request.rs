//! Which logs a client asks for, as it says it.

use std::ops::RangeInclusive;

use alloy_rpc_types_eth::Filter;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// A filter as clients say it. The library's type does not tell how many topics it names when the last are null, and a log that has fewer
/// does not match (as in geth, and by the specification).
#[derive(Clone, Debug, Default)]
pub struct LogRequest {
    pub filter: Filter,
    /// How many it names.
    pub topics: usize,
}

impl LogRequest {
    /// The same of these blocks.
    pub fn within(&self, blocks: RangeInclusive<u64>) -> Self {
        Self { filter: self.filter.clone().select(blocks), topics: self.topics }
    }
}

impl<'de> Deserialize<'de> for LogRequest {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let said = Value::deserialize(from)?;
        let topics = said["topics"].as_array().map_or(0, Vec::len);
        let filter = serde_json::from_value(said).map_err(serde::de::Error::custom)?;
        Ok(Self { filter, topics })
    }
}
