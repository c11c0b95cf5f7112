//! A block as clients name it (EIP-1898), read as geth does (rpc/types.go, `BlockNumberOrHash`).
//!
//! The library's type takes `requireCanonical` beside a hash only, and no field twice. Who says it beside a number asks for nothing that does not hold
//! anyhow, as all blocks here are final; of a field that stands twice the last counts.

use std::fmt;

use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::B256;
use serde::de::value::StrDeserializer;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use super::numbers::Form;

/// Which block is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockReference(pub BlockId);

impl<'de> Deserialize<'de> for BlockReference {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Read).map(Self)
    }
}

struct Read;

impl<'de> Visitor<'de> for Read {
    type Value = BlockId;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a block's number, tag or hash, or an object with one of them (EIP-1898)")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<BlockId, E> {
        Form::Block.check(text).map_err(E::custom)?;
        BlockId::deserialize(StrDeserializer::new(text))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<BlockId, A::Error> {
        let (mut number, mut hash): (Option<BlockNumberOrTag>, Option<B256>) = (None, None);
        while let Some(name) = map.next_key::<String>()? {
            match name.as_str() {
                "blockNumber" => number = map.next_value()?,
                "blockHash" => hash = map.next_value()?,
                "requireCanonical" => {
                    map.next_value::<Option<bool>>()?;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        match (number, hash) {
            (Some(number), None) => Ok(number.into()),
            (None, Some(hash)) => Ok(hash.into()),
            (Some(_), Some(_)) => {
                Err(A::Error::custom("cannot specify both BlockHash and BlockNumber, choose one or the other"))
            }
            (None, None) => Err(A::Error::custom("invalid arguments; neither block nor hash specified")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "0x1111111111111111111111111111111111111111111111111111111111111111";

    #[test]
    fn objects_are_taken_as_geth_takes_them_and_a_field_that_stands_twice_counts_as_it_stands_last() {
        let read = |json: &str| serde_json::from_str::<BlockReference>(json).map(|reference| reference.0);
        let hash = BlockId::hash(HASH.parse().expect("a hash"));
        let named = |json: &str| json.replace("HASH", HASH);
        for (json, meant) in [
            (r#""0x10""#, BlockId::number(16)),
            (r#""latest""#, BlockId::latest()),
            (r#""HASH""#, hash),
            (r#"{"blockNumber":"0x10"}"#, BlockId::number(16)),
            (r#"{"blockNumber":"safe"}"#, BlockId::safe()),
            (r#"{"blockNumber":"0x10","requireCanonical":true}"#, BlockId::number(16)),
            (r#"{"requireCanonical":true,"blockNumber":"0x10"}"#, BlockId::number(16)),
            (r#"{"blockNumber":"0x1","blockNumber":"0x2"}"#, BlockId::number(2)),
            (r#"{"blockNumber":"0x1","requireCanonical":false,"requireCanonical":true}"#, BlockId::number(1)),
            (r#"{"blockNumber":null,"blockHash":"HASH"}"#, hash),
            (r#"{"blockHash":"HASH","requireCanonical":true}"#, hash),
            (r#"{"blockHash":"HASH","more":{"of":[1]}}"#, hash),
        ] {
            assert_eq!(read(&named(json)).expect(json), meant, "{json}");
        }
        for (json, fault) in [
            (r#"{"blockNumber":"0x1","blockHash":"HASH"}"#, "cannot specify both"),
            ("{}", "neither block nor hash"),
            (r#"{"blockNumber":null}"#, "neither block nor hash"),
            (r#"{"blockNumber":"0x1","requireCanonical":1}"#, "boolean"),
            (r#"{"blockNumber":7}"#, ""),
            (r#"{"blockHash":"0x11"}"#, ""),
            (r#""LATEST""#, "hex string without 0x prefix"),
            (r#""0X1""#, "hex string without 0x prefix"),
            (r#""0x1_0""#, "invalid hex string"),
            ("7", "EIP-1898"),
            ("[]", "EIP-1898"),
        ] {
            let seen = read(&named(json)).expect_err(json).to_string();
            assert!(seen.contains(fault), "{json}: {seen}");
        }
    }
}
