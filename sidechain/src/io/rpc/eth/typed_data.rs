//! Typed data as clients send it (EIP-712), and its hash within bounds.

use std::collections::BTreeMap;

use alloy_dyn_abi::TypedData;
use alloy_primitives::B256;
use serde_json::Value;

use super::super::error;

/// Bytes in JSON that are looked at.
const MAX_BYTES: usize = 64 << 10;

/// Types that the primary one has within it, each as often as it stands there. A few that name the next twice are doubled with each: a short
/// text means more than memory holds.
const MAX_TYPES: u64 = 4_096;

/// Characters of an answer's reason: the library names types with all that is in them.
const MAX_WORDS: usize = 300;

/// What is to be signed. Clients send typed data as an object or as its text.
pub(super) fn signing_hash(said: Value) -> error::Result<B256> {
    hash(said).map_err(|why| {
        let why: String = why.chars().take(MAX_WORDS).collect();
        error::invalid(format!("invalid argument 1: typed data: {why}"))
    })
}

fn hash(said: Value) -> Result<B256, String> {
    let bytes = said.as_str().map_or_else(|| said.to_string().len(), str::len);
    if bytes > MAX_BYTES {
        return Err(format!("{bytes} bytes, at most {MAX_BYTES}"));
    }
    let json = match said {
        Value::String(text) => serde_json::from_str(&text).map_err(|error| error.to_string())?,
        object => object,
    };
    let types = Types(&json["types"]).unfolded(json["primaryType"].as_str().unwrap_or_default());
    if types > MAX_TYPES {
        return Err(format!("its types unfold to {types} or more, at most {MAX_TYPES}"));
    }
    let data: TypedData = serde_json::from_value(json).map_err(|error| error.to_string())?;
    data.eip712_signing_hash().map_err(|error| error.to_string())
}

/// The types that typed data declares.
struct Types<'a>(&'a Value);

impl<'a> Types<'a> {
    /// How many types one is made of, itself among them, written out as a tree. A cycle, which has no end, is the library's to refuse: where it
    /// closes it counts as nothing.
    fn unfolded(&self, primary: &'a str) -> u64 {
        // Without recursion: types may be nested as deep as the text is long.
        let mut known = BTreeMap::<&str, u64>::new();
        let mut open = vec![(primary, false)];
        while let Some((name, is_left)) = open.pop() {
            if is_left {
                let parts = self.parts(name).map(|part| known.get(part).copied().unwrap_or(0));
                let sum = parts.fold(1, u64::saturating_add);
                known.insert(name, sum);
            } else if !known.contains_key(name) {
                known.insert(name, 0);
                open.push((name, true));
                open.extend(self.parts(name).map(|part| (part, false)));
            }
        }
        known.get(primary).copied().unwrap_or(0)
    }

    /// The declared types of a type's members, of arrays that of what is in them.
    fn parts(&self, name: &str) -> impl Iterator<Item = &'a str> {
        let members = self.0[name].as_array().into_iter().flatten();
        let named = members.filter_map(|member| member["type"].as_str());
        named.map(|of| of.split('[').next().unwrap_or_default()).filter(|part| self.0[*part].is_array())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A type that names the next twice, so many times.
    fn diamonds(depth: usize) -> Value {
        let twice = |number: usize| {
            let next = format!("T{}[]", number + 1);
            json!([{ "name": "a", "type": next }, { "name": "b", "type": next }])
        };
        let mut types: serde_json::Map<_, _> = (0..depth).map(|number| (format!("T{number}"), twice(number))).collect();
        types.insert(format!("T{depth}"), json!([{ "name": "x", "type": "uint8" }]));
        types.insert("EIP712Domain".to_owned(), json!([]));
        Value::Object(types)
    }

    fn sign(types: Value) -> Result<B256, String> {
        hash(json!({ "types": types, "primaryType": "T0", "domain": {}, "message": { "a": [], "b": [] } }))
    }

    #[test]
    fn types_that_double_with_each_are_counted_before_they_are_unfolded() {
        for depth in [0, 1, 2, 10] {
            assert_eq!(Types(&diamonds(depth)).unfolded("T0"), (2 << depth) - 1, "{depth}");
        }
        assert_eq!(Types(&diamonds(70)).unfolded("T0"), u64::MAX, "a sum that has no room stays the greatest");
        sign(diamonds(11)).expect("4,095 types");
        for depth in [12, 26, 500] {
            let said = sign(diamonds(depth)).expect_err("too many");
            assert!(said.contains("at most 4096"), "{depth}: {said}");
        }
    }

    #[test]
    fn a_cycle_is_refused_and_ends() {
        let types = json!({ "EIP712Domain": [], "T0": [{ "name": "a", "type": "T1[]" }], "T1": [{ "name": "b", "type": "T0[]" }] });
        assert!(Types(&types).unfolded("T0") <= 2);
        sign(types).expect_err("circular");
        for nothing in [json!(null), json!([]), json!({ "types": 1, "primaryType": {} })] {
            hash(nothing).expect_err("no typed data");
        }
    }
}
