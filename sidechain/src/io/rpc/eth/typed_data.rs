//! Typed data as clients send it (EIP-712), and its hash within bounds.
//!
//! The library reads the domain and every value that is no struct. Structs are ours: it writes each type out as a tree with all that is within, which has
//! no end for a type that has itself within it, in an array, as EIP-712 allows. Here a type is looked up by its name where a value has it.

use std::collections::{BTreeMap, BTreeSet};

use alloy_dyn_abi::{DynSolType, DynSolValue, TypedData};
use alloy_primitives::{B256, keccak256};
use serde::Deserialize;
use serde_json::Value;

use super::super::error;

/// Bytes in JSON that are looked at.
const MAX_BYTES: usize = 64 << 10;

/// Values within each other, arrays among them: what JSON may be nested, and as much again for arrays in types.
const MAX_DEPTH: usize = 256;

/// Values in all: a text has no more, unless a type names a member twice.
const MAX_VALUES: usize = MAX_BYTES;

/// Bytes of the texts of types that are hashed: each that is used has those of all that it may contain in its own.
const MAX_TYPE_BYTES: usize = 16 << 20;

/// Characters of an answer's reason.
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
    let members = serde_json::from_value(json["types"].clone()).map_err(|error| error.to_string())?;
    let TypedData { domain, primary_type, message, .. } =
        serde_json::from_value(json).map_err(|error| error.to_string())?;
    let signed = [&[0x19, 0x01], &domain.separator()[..]].concat();
    // As wallets do: who signs a domain alone signs no message.
    if primary_type == "EIP712Domain" {
        return Ok(keccak256(signed));
    }
    let mut types = Types { members, hashes: BTreeMap::new(), bytes_left: MAX_TYPE_BYTES, values_left: MAX_VALUES };
    Ok(keccak256([signed, types.hash_struct(&primary_type, &message, 0)?.to_vec()].concat()))
}

/// The types that typed data declares.
struct Types {
    members: BTreeMap<String, Vec<Member>>,
    /// Of those that were used.
    hashes: BTreeMap<String, B256>,
    bytes_left: usize,
    values_left: usize,
}

/// One of a struct.
#[derive(Clone, Debug, Deserialize)]
struct Member {
    name: String,
    #[serde(rename = "type")]
    of: String,
}

impl Types {
    /// EIP-712, "definition of hashStruct".
    fn hash_struct(&mut self, name: &str, value: &Value, depth: usize) -> Result<B256, String> {
        let mut encoded = self.type_hash(name)?.to_vec();
        for Member { name: member, of } in self.members.get(name).cloned().unwrap_or_default() {
            let value = value.get(&member).ok_or_else(|| format!("a {name} lacks its {member}"))?;
            encoded.extend_from_slice(&self.word(&of, value, depth + 1)?[..]);
        }
        Ok(keccak256(encoded))
    }

    /// EIP-712, "definition of encodeData".
    fn word(&mut self, of: &str, value: &Value, depth: usize) -> Result<B256, String> {
        if depth > MAX_DEPTH {
            return Err(format!("values within each other are more than {MAX_DEPTH}"));
        }
        self.values_left = self.values_left.checked_sub(1).ok_or_else(|| format!("more than {MAX_VALUES} values"))?;
        if let Some((of, count)) = array(of) {
            let values = value.as_array().ok_or_else(|| format!("{of}[] is not an array"))?;
            if let Some(wanted) = count.filter(|wanted| *wanted != values.len()) {
                return Err(format!("{} values of {of}, the type has {wanted}", values.len()));
            }
            let words = values.iter().map(|value| self.word(of, value, depth + 1)).collect::<Result<Vec<_>, _>>()?;
            return Ok(keccak256(words.concat()));
        }
        if self.members.contains_key(of) {
            return self.hash_struct(of, value, depth);
        }
        // A name alone: what the library takes for a tuple may be as deep as the text is long.
        let kind = of.bytes().all(|byte| byte.is_ascii_alphanumeric()).then(|| DynSolType::parse(of).ok()).flatten();
        let kind = kind.ok_or_else(|| format!("there is no type {of}"))?;
        match kind.coerce_json(value).map_err(|error| error.to_string())? {
            DynSolValue::Bytes(bytes) => Ok(keccak256(bytes)),
            DynSolValue::String(text) => Ok(keccak256(text)),
            simple => simple.as_word().ok_or_else(|| format!("{of} is no type of typed data")),
        }
    }

    fn type_hash(&mut self, name: &str) -> Result<B256, String> {
        if let Some(hash) = self.hashes.get(name) {
            return Ok(*hash);
        }
        let text = self.encode_type(name)?;
        self.bytes_left = self.bytes_left.checked_sub(text.len()).ok_or("its types are too large together")?;
        let hash = keccak256(text);
        self.hashes.insert(name.to_owned(), hash);
        Ok(hash)
    }

    /// EIP-712, "definition of encodeType": the type, and all that it may contain in the order of their names.
    fn encode_type(&self, name: &str) -> Result<String, String> {
        let mut all = BTreeSet::new();
        let mut open = vec![name];
        while let Some(next) = open.pop() {
            let members = self.members.get(next).ok_or_else(|| format!("there is no type {next}"))?;
            if all.insert(next) {
                let parts = members.iter().map(|member| base(&member.of));
                open.extend(parts.filter(|part| self.members.contains_key(*part)));
            }
        }
        all.remove(name);
        let text = |name: &str| {
            let members = self.members.get(name).into_iter().flatten();
            let members: Vec<_> = members.map(|Member { name, of }| format!("{of} {name}")).collect();
            format!("{name}({})", members.join(","))
        };
        Ok(std::iter::once(name).chain(all).map(text).collect())
    }
}

/// What an array is of, and of how many, if the type says so.
fn array(of: &str) -> Option<(&str, Option<usize>)> {
    let (of, count) = of.strip_suffix(']')?.rsplit_once('[')?;
    // A number that there is not is one that no array has.
    Some((of, (!count.is_empty()).then(|| count.parse().unwrap_or(usize::MAX))))
}

/// What arrays are of, however many are within each other.
fn base(of: &str) -> &str {
    of.split('[').next().unwrap_or_default()
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

    fn typed(types: Value, message: Value) -> Value {
        json!({ "types": types, "primaryType": "T0", "domain": {}, "message": message })
    }

    // Hashes by viem 2.57.0, `hashTypedData`: tests/clients/typed_data.mjs makes the file.
    #[test]
    fn hashes_are_those_of_viem_also_of_types_that_have_themselves_within_them() {
        let cases: Vec<Value> = serde_json::from_str(include_str!("../tests/data/typed-data.json")).expect("JSON");
        assert_eq!(cases.len(), 4);
        for case in cases {
            let ours = hash(case["data"].clone()).expect("typed data");
            assert_eq!(json!(ours), case["hash"], "{}", case["data"]["primaryType"]);
        }
    }

    #[test]
    fn without_a_type_within_itself_hashes_are_those_of_the_library() {
        let words = json!({ "a": [{ "a": [], "b": [] }], "b": [] });
        for (depth, message) in [(1, json!({ "a": [{ "x": 7 }], "b": [] })), (2, words)] {
            let data = typed(diamonds(depth), message);
            let library: TypedData = serde_json::from_value(data.clone()).expect("typed data");
            assert_eq!(hash(data).expect("typed data"), library.eip712_signing_hash().expect("a hash"));
        }
    }

    #[test]
    fn types_that_double_with_each_cost_no_more_than_their_text() {
        for depth in [26, 500] {
            hash(typed(diamonds(depth), json!({ "a": [], "b": [] }))).expect("a hash");
        }
    }

    #[test]
    fn what_has_no_end_or_is_too_deep_is_refused_and_ends() {
        let tree = json!({ "EIP712Domain": [], "T0": [{ "name": "a", "type": "T0[]" }] });
        let nested = |depth: usize| (0..depth).fold(json!([]), |inner, _| json!([{ "a": inner }]));
        hash(typed(tree.clone(), json!({ "a": nested(50) }))).expect("as deep as JSON may be");
        let refused = hash(typed(tree, json!({ "a": nested(200) }))).expect_err("too deep");
        assert!(refused.contains("more than 256"), "{refused}");
        // No value of it is finite.
        let endless = json!({ "EIP712Domain": [], "T0": [{ "name": "a", "type": "T0" }] });
        for message in [json!({}), json!({ "a": null }), json!({ "a": { "a": {} } })] {
            let refused = hash(typed(endless.clone(), message)).expect_err("no end");
            assert!(refused.contains("lacks its a"), "{refused}");
        }
        for nothing in [json!(null), json!([]), json!({ "types": 1, "primaryType": {} })] {
            hash(nothing).expect_err("no typed data");
        }
    }

    #[test]
    fn values_that_are_not_of_their_type_are_refused() {
        let of = |of: &str, value: Value| {
            let types = json!({ "EIP712Domain": [], "T0": [{ "name": "a", "type": of }] });
            hash(typed(types, json!({ "a": value }))).expect_err(of)
        };
        assert!(of("uint8[2]", json!([1])).contains("1 values of uint8, the type has 2"));
        of("uint8[x]", json!([1]));
        assert!(of("uint8[]", json!({})).contains("not an array"));
        assert!(of("Nothing", json!({})).contains("no type Nothing"));
        assert!(of("(uint8,uint8)", json!([1, 2])).contains("no type (uint8,uint8)"));
        let twice = json!({ "EIP712Domain": [], "T0": [{ "name": "a", "type": "T1[]" }], "T1": vec![json!({ "name": "x", "type": "bool" }); 500] });
        let refused = hash(typed(twice, json!({ "a": vec![json!({ "x": true }); 1_000] }))).expect_err("too many");
        assert!(refused.contains("more than 65536 values"), "{refused}");
        for (kind, value) in [("uint8", json!(256)), ("address", json!("0x11")), ("bytes4", json!("0x11"))] {
            of(kind, value);
        }
    }
}
