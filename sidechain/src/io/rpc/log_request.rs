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
        // The library takes a null among addresses for any address.
        let addresses = said["address"].as_array().into_iter().flatten();
        if let Some(index) = addresses.into_iter().position(|address| !address.is_string()) {
            return Err(serde::de::Error::custom(format_args!("non-string address at index {index}")));
        }
        let topics = said["topics"].as_array().map_or(0, Vec::len);
        let filter = serde_json::from_value(said).map_err(serde::de::Error::custom)?;
        Ok(Self { filter, topics })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    // go-ethereum, eth/filters/api.go, `FilterCriteria.UnmarshalJSON`
    #[test]
    fn a_null_among_addresses_is_refused_and_one_alone_or_among_topics_means_any() {
        let read = |said: Value| serde_json::from_value::<LogRequest>(said);
        let (address, topic) = (format!("0x{}", "11".repeat(20)), format!("0x{}", "22".repeat(32)));
        for (addresses, index) in [(json!([null]), 0), (json!([address, null]), 1), (json!([address, 7]), 1)] {
            let refused = read(json!({ "address": addresses })).expect_err("no address").to_string();
            assert_eq!(refused, format!("non-string address at index {index}"));
        }
        for none in [json!(null), json!([])] {
            assert!(read(json!({ "address": none })).expect("any").filter.address.is_empty());
        }
        assert_eq!(read(json!({ "address": [address, address] })).expect("one").filter.address.len(), 1);
        let any = read(json!({ "topics": [[null, topic], null] })).expect("any");
        assert!(any.filter.topics[0].is_empty() && any.topics == 2);
    }
}
