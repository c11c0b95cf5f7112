//! Typed data as clients send it (EIP-712), and its hash within bounds.
//!
//! ```text
//! types ---------------------> members of each struct
//! domain, as EIP712Domain says -> hash of a struct --+
//! message, as primaryType says -> hash of a struct --+-> hash to sign
//! ```
//! The library reads values that are no struct, and a domain whose type is not declared. Structs are ours: it writes each type out as a tree with all that
//! is within, which has no end for a type that has itself within it, in an array, as EIP-712 allows. Here a type is looked up by its name where a value has it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use alloy_dyn_abi::{DynSolType, DynSolValue};
use alloy_primitives::{B256, keccak256};
use alloy_sol_types::Eip712Domain;
use serde_json::Value;

use super::super::error;

/// Bytes in JSON that are looked at.
const MAX_BYTES: usize = 64 << 10;

/// Values within each other, arrays among them: more than JSON is read that deep (127, with the object that typed data is), so that no stack depends on it.
const MAX_DEPTH: usize = 128;

/// Values in all: a text has no more, unless a type names a member twice.
const MAX_VALUES: usize = MAX_BYTES;

/// Bytes of the texts of types that are hashed: each that is used has those of all that it may contain in its own.
const MAX_TYPE_BYTES: usize = 16 << 20;

/// Characters of an answer's reason, and of a value in it.
const MAX_WORDS: usize = 300;
const MAX_SHOWN: usize = 60;

/// The type of the domain, where it is declared.
const DOMAIN: &str = "EIP712Domain";

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
    let members = members(&json["types"])?;
    let primary = json["primaryType"]
        .as_str()
        .ok_or_else(|| format!("primaryType: {}", wanted("a text", &json["primaryType"])))?;
    let mut types = Types { members, hashes: BTreeMap::new(), bytes_left: MAX_TYPE_BYTES, values_left: MAX_VALUES };
    let signed = [&[0x19, 0x01], &types.separator(&json["domain"])?[..]].concat();
    // As wallets do: who signs a domain alone signs no message.
    if primary == DOMAIN {
        return Ok(keccak256(signed));
    }
    let message = types.hash_struct(&"message", primary, &json["message"], 0)?;
    Ok(keccak256([signed, message.to_vec()].concat()))
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
#[derive(Clone, Debug)]
struct Member {
    name: String,
    of: String,
}

/// Where a value stands.
struct Place<'a> {
    member: &'a str,
    of: &'a str,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} of {}", self.member, self.of)
    }
}

fn members(types: &Value) -> Result<BTreeMap<String, Vec<Member>>, String> {
    let types = types.as_object().ok_or_else(|| format!("types: {}", wanted("an object", types)))?;
    let of_one = |(name, members): (&String, &Value)| {
        let members =
            members.as_array().ok_or_else(|| format!("type {name}: {}", wanted("a list of members", members)))?;
        Ok((name.clone(), members.iter().map(|said| member(name, said)).collect::<Result<_, String>>()?))
    };
    types.iter().map(of_one).collect()
}

fn member(of: &str, said: &Value) -> Result<Member, String> {
    let (Some(name), Some(kind)) = (said["name"].as_str(), said["type"].as_str()) else {
        return Err(format!("type {of}: {}", wanted("a member with the texts name and type", said)));
    };
    if !is_type(kind) {
        return Err(format!("type {of}: there is no type {kind}, as which {name} is declared"));
    }
    Ok(Member { name: name.to_owned(), of: kind.to_owned() })
}

/// A name, and arrays behind it. What a struct may be called is its author's affair, as long as its text can be told from others'.
fn is_type(text: &str) -> bool {
    let (name, arrays) = text.split_at(text.find('[').unwrap_or(text.len()));
    let is_name = !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || "](),".contains(c));
    let is_array =
        |count: &str| count.strip_suffix(']').is_some_and(|count| count.bytes().all(|byte| byte.is_ascii_digit()));
    is_name && arrays.split('[').skip(1).all(is_array)
}

/// What was seen in the place of what was wanted.
fn wanted(what: &str, seen: &Value) -> String {
    match seen {
        Value::Null => format!("nothing, wanted {what}"),
        Value::Array(_) => format!("an array, wanted {what}"),
        Value::Object(_) => format!("an object, wanted {what}"),
        simple => format!("{}, wanted {what}", simple.to_string().chars().take(MAX_SHOWN).collect::<String>()),
    }
}

impl Types {
    /// Of the domain: as its type is declared, or else of those of EIP-712's own fields that it has.
    fn separator(&mut self, domain: &Value) -> Result<B256, String> {
        let empty = Value::Object(serde_json::Map::new());
        let domain = if domain.is_null() { &empty } else { domain };
        let Some(declared) = self.members.get(DOMAIN) else {
            let domain = serde_json::from_value::<Eip712Domain>(domain.clone());
            return domain.map(|domain| domain.separator()).map_err(|error| format!("domain: {error}"));
        };
        // As geth refuses it (signer/core/apitypes/types.go, `EncodeData`): it would look signed, and is not. An empty text is no field there either.
        let said = domain.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null() && *value != "");
        let extra = said.map(|(name, _)| name).find(|name| declared.iter().all(|member| member.name != **name));
        if let Some(name) = extra {
            return Err(format!("domain: there is extra data, {name}, which {DOMAIN} does not declare"));
        }
        self.hash_struct(&"domain", DOMAIN, domain, 0)
    }

    /// EIP-712, "definition of hashStruct".
    fn hash_struct(
        &mut self,
        place: &dyn fmt::Display,
        name: &str,
        value: &Value,
        depth: usize,
    ) -> Result<B256, String> {
        let mut encoded = self.type_hash(name)?.to_vec();
        if !value.is_object() {
            return Err(format!("{place}: {}", wanted(&format!("an object, a {name}"), value)));
        }
        for Member { name: member, of } in self.members.get(name).cloned().unwrap_or_default() {
            let value = value.get(&member).ok_or_else(|| format!("a {name} lacks its {member}, a {of}"))?;
            encoded.extend_from_slice(&self.word(&Place { member: &member, of: name }, &of, value, depth + 1)?[..]);
        }
        Ok(keccak256(encoded))
    }

    /// EIP-712, "definition of encodeData".
    fn word(&mut self, place: &Place<'_>, of: &str, value: &Value, depth: usize) -> Result<B256, String> {
        if depth > MAX_DEPTH {
            return Err(format!("values within each other are more than {MAX_DEPTH}"));
        }
        self.values_left = self.values_left.checked_sub(1).ok_or_else(|| format!("more than {MAX_VALUES} values"))?;
        if let Some((of, count)) = array(of) {
            let values =
                value.as_array().ok_or_else(|| format!("{place}: {}", wanted(&format!("an array, {of}[]"), value)))?;
            if let Some(wanted) = count.filter(|wanted| *wanted != values.len()) {
                return Err(format!("{place}: {} values of {of}, the type has {wanted}", values.len()));
            }
            let words = values.iter().map(|value| self.word(place, of, value, depth + 1));
            return Ok(keccak256(words.collect::<Result<Vec<_>, _>>()?.concat()));
        }
        if self.members.contains_key(of) {
            return self.hash_struct(place, of, value, depth);
        }
        simple(of, value).map_err(|why| format!("{place}: {why}"))
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

/// The word of a value that is no struct and no array.
fn simple(of: &str, value: &Value) -> Result<B256, String> {
    // A name alone: what the library takes for a tuple may be as deep as the text is long.
    let kind = of.bytes().all(|byte| byte.is_ascii_alphanumeric()).then(|| DynSolType::parse(of).ok()).flatten();
    let kind = kind.ok_or_else(|| format!("there is no type {of}"))?;
    let is_number = matches!(kind, DynSolType::Int(_) | DynSolType::Uint(_));
    let is_readable = !is_number || value.as_str().is_none_or(is_integer);
    let read = is_readable.then(|| kind.coerce_json(value).ok()).flatten();
    match read.ok_or_else(|| wanted(&format!("a value of {of}"), value))? {
        DynSolValue::Bytes(bytes) => Ok(keccak256(bytes)),
        DynSolValue::String(text) => Ok(keccak256(text)),
        simple => simple.as_word().ok_or_else(|| format!("{of} is no type of typed data")),
    }
}

/// Decimal, or hex behind `0x`: the library takes underscores too.
fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    match digits.strip_prefix("0x") {
        Some(hex) => !hex.is_empty() && hex.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()),
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
    use alloy_dyn_abi::TypedData;
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
        assert_eq!(cases.len(), 12);
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
        let text = |depth| json!(typed(tree.clone(), json!({ "a": nested(depth) })).to_string());
        // Typed data, its message, a list, and two for each: 127 is as deep as JSON is read.
        hash(text(62)).expect("as deep as JSON may be");
        let refused = hash(text(63)).expect_err("too deep");
        assert!(refused.contains("recursion limit"), "{refused}");
        let refused = hash(typed(tree, json!({ "a": nested(64) }))).expect_err("too deep, whoever read it");
        assert!(refused.contains("more than 128"), "{refused}");
        // No value of it is finite.
        let endless = json!({ "EIP712Domain": [], "T0": [{ "name": "a", "type": "T0" }] });
        for (message, why) in [
            (json!({}), "a T0 lacks its a, a T0"),
            (json!({ "a": null }), "a of T0: nothing, wanted an object, a T0"),
            (json!({ "a": { "a": {} } }), "a T0 lacks its a, a T0"),
            (json!([]), "message: an array, wanted an object, a T0"),
        ] {
            assert_eq!(hash(typed(endless.clone(), message)).expect_err("no end"), why);
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
        assert_eq!(of("uint8[]", json!({})), "a of T0: an object, wanted an array, uint8[]");
        for value in ["1_0", "0x1_0", "0x", "", "+1", "--1", "0b1"] {
            assert!(of("uint8", json!(value)).contains("wanted a value of uint8"), "{value}");
        }
        assert!(of("Nothing", json!({})).contains("no type Nothing"));
        assert!(of("(uint8,uint8)", json!([1, 2])).contains("no type (uint8,uint8)"));
        let twice = json!({ "EIP712Domain": [], "T0": [{ "name": "a", "type": "T1[]" }], "T1": vec![json!({ "name": "x", "type": "bool" }); 500] });
        let refused = hash(typed(twice, json!({ "a": vec![json!({ "x": true }); 1_000] }))).expect_err("too many");
        assert!(refused.contains("more than 65536 values"), "{refused}");
        for (kind, value) in [("uint8", json!(256)), ("address", json!("0x11")), ("bytes4", json!("0x11"))] {
            of(kind, value);
        }
    }

    // hashTypedData of viem is in the file above; here is what it and geth refuse, or geth alone.
    #[test]
    fn the_domain_is_what_its_type_declares_and_nothing_else() {
        let of = |declared: Value, domain: Value| {
            let types = json!({ "EIP712Domain": declared, "T0": [] });
            hash(json!({ "types": types, "primaryType": "T0", "domain": domain, "message": {} }))
        };
        let (name, id) = (json!({ "name": "name", "type": "string" }), json!({ "name": "chainId", "type": "uint256" }));
        let both = of(json!([name, id]), json!({ "name": "a", "chainId": 1 })).expect("both");
        assert_ne!(both, of(json!([id, name]), json!({ "name": "a", "chainId": 1 })).expect("in another order"));
        assert_eq!(
            both,
            of(json!([name, id]), json!({ "name": "a", "chainId": "0x1", "salt": null, "version": "" }))
                .expect("no more")
        );
        for (declared, domain, why) in [
            (json!([name, id]), json!({ "name": "a" }), "a EIP712Domain lacks its chainId, a uint256"),
            (
                json!([name, id]),
                json!({ "name": "a", "chainId": null }),
                "chainId of EIP712Domain: nothing, wanted a value of uint256",
            ),
            (
                json!([name]),
                json!({ "name": "a", "chainId": 1 }),
                "domain: there is extra data, chainId, which EIP712Domain does not declare",
            ),
            (
                json!([{ "name": "chainId", "type": "uint8" }]),
                json!({ "chainId": 256 }),
                "chainId of EIP712Domain: 256, wanted a value of uint8",
            ),
            (json!([name]), json!(7), "domain: 7, wanted an object, a EIP712Domain"),
        ] {
            assert_eq!(of(declared, domain).expect_err("no domain"), why);
        }
    }

    #[test]
    fn types_that_cannot_be_read_are_named() {
        let of = |types: Value| hash(typed(types, json!({}))).expect_err("no types");
        for (types, why) in [
            (json!(null), "types: nothing, wanted an object"),
            (json!({ "T0": 7 }), "type T0: 7, wanted a list of members"),
            (json!({ "T0": [{ "name": "a" }] }), "type T0: an object, wanted a member with the texts name and type"),
            (
                json!({ "T0": [{ "name": "a", "type": "uint8[" }] }),
                "type T0: there is no type uint8[, as which a is declared",
            ),
            (
                json!({ "T0": [{ "name": "a", "type": "uint8 b,uint8" }] }),
                "type T0: there is no type uint8 b,uint8, as which a is declared",
            ),
            (json!({ "T0": [{ "name": "a", "type": "" }] }), "type T0: there is no type , as which a is declared"),
            (json!({ "T1": [] }), "there is no type T0"),
        ] {
            assert_eq!(of(types), why);
        }
        let none = hash(json!({ "types": {}, "primaryType": null })).expect_err("no type");
        assert_eq!(none, "primaryType: nothing, wanted a text");
    }
}
