//! Numbers that clients send: hex behind `0x`, without leading zeros (Ethereum's JSON-RPC, "hex value encoding"; go-ethereum, common/hexutil).
//!
//! The types they are read into take more than that: underscores, signs, integers of JSON, `LATEST`. So what is sent is looked at beforehand, by names and
//! without keeping anything.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// Fields of transactions, overrides, filters and blocks (EIP-1898) that are numbers.
const NUMBERS: [&str; 25] = [
    "balance",
    "baseFee",
    "baseFeePerGas",
    "blobBaseFee",
    "blockNumber",
    "chainId",
    "difficulty",
    "fromBlock",
    "gas",
    "gasLimit",
    "gasPrice",
    "maxFeePerBlobGas",
    "maxFeePerGas",
    "maxPriorityFeePerGas",
    "nonce",
    "number",
    "r",
    "s",
    "time",
    "timestamp",
    "toBlock",
    "txIndex",
    "type",
    "value",
    "yParity",
];

/// Those that may be a tag, as `latest`, too.
const OR_TAGS: [&str; 3] = ["blockNumber", "fromBlock", "toBlock"];

/// Blocks by their names.
const TAGS: [&str; 5] = ["earliest", "latest", "safe", "finalized", "pending"];

/// What is expected somewhere; null may stand in the place of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// No number; within it they are looked for by their names.
    Anything,
    Quantity,
    QuantityOrInteger,
    /// A block's number or tag.
    Number,
    NumberOrInteger,
    /// A block's number, tag or hash, or an object (EIP-1898).
    Block,
}

impl Form {
    fn takes_integers(self) -> bool {
        matches!(self, Self::Anything | Self::QuantityOrInteger | Self::NumberOrInteger)
    }

    /// Refuses what is not written in this form.
    ///
    /// # Errors
    ///
    /// In geth's words.
    pub fn check(self, text: &str) -> Result<(), &'static str> {
        let is_one = match self {
            Self::Anything => true,
            Self::Quantity | Self::QuantityOrInteger => false,
            Self::Number | Self::NumberOrInteger => TAGS.contains(&text),
            Self::Block => TAGS.contains(&text) || is_hash(text),
        };
        if is_one { Ok(()) } else { check_quantity(text) }
    }
}

fn is_hash(text: &str) -> bool {
    text.strip_prefix("0x").is_some_and(|digits| digits.len() == 64 && is_hex(digits))
}

fn is_hex(digits: &str) -> bool {
    digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn check_quantity(text: &str) -> Result<(), &'static str> {
    match text.strip_prefix("0x") {
        None => Err("hex string without 0x prefix"),
        Some("") => Err("hex string \"0x\""),
        Some(digits) if digits.len() > 1 && digits.starts_with('0') => Err("hex number with leading zero digits"),
        Some(digits) if !is_hex(digits) => Err("invalid hex string"),
        Some(_) => Ok(()),
    }
}

/// Refuses JSON that is not of a form, and a number in it, at any depth, that is not written as numbers are.
///
/// # Errors
///
/// The first, in geth's words; and what is not JSON.
pub fn check(json: &str, form: Form) -> Result<(), serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    Look { field: "", form }.deserialize(&mut deserializer)
}

/// The same of what was read already.
///
/// # Errors
///
/// As [`check`].
pub fn check_value(said: &Value, form: Form) -> Result<(), serde_json::Error> {
    Look { field: "", form }.deserialize(said)
}

/// At a value, and of which field.
struct Look {
    field: &'static str,
    form: Form,
}

impl Look {
    fn named(name: &str) -> Self {
        let Some(field) = NUMBERS.into_iter().find(|number| *number == name) else {
            return Self { field: "", form: Form::Anything };
        };
        Self { field, form: if OR_TAGS.contains(&field) { Form::Number } else { Form::Quantity } }
    }
}

impl<'de> DeserializeSeed<'de> for Look {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Look {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        if !matches!(self.form, Form::Anything | Form::Block) {
            return self.refuse("an object is not a hex string");
        }
        while let Some(name) = map.next_key::<String>()? {
            map.next_value_seed(Self::named(&name))?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        if self.form != Form::Anything {
            return self.refuse("a list is not a hex string");
        }
        while list.next_element_seed(Self { field: "", form: Form::Anything })?.is_some() {}
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.form.check(text).or_else(|fault| self.refuse(fault))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        if self.form.takes_integers() { Ok(()) } else { self.other(number) }
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.other(number)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        self.other(number)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.other(value)
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }
}

impl Look {
    fn other<E: Error>(&self, value: impl fmt::Display) -> Result<(), E> {
        if self.form == Form::Anything { Ok(()) } else { self.refuse(format_args!("{value} is not a hex string")) }
    }

    fn refuse<E: Error>(&self, fault: impl fmt::Display) -> Result<(), E> {
        let Self { field, .. } = self;
        Err(if field.is_empty() { E::custom(fault) } else { E::custom(format_args!("{field}: {fault}")) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_hex_without_leading_zeros_at_any_depth_and_other_fields_are_left_alone() {
        for good in [
            r#"{"value":"0x0","gas":"0xffff","data":"0x00","to":null,"nonce":null,"type":"0x2"}"#,
            r#"{"fromBlock":"latest","toBlock":"0x10","topics":[null,["0x00"]],"address":"0x00"}"#,
            r#"{"0x01":{"balance":"0x1","state":{"0x00":"0x0000"},"code":"0x00"}}"#,
            r#"{"blockNumber":"pending"}"#,
            r#"{"limit":3,"onlyTopCall":true,"timeout":"10s"}"#,
            r#"["0x00", 1, null, "value"]"#,
            "7",
        ] {
            assert!(check(good, Form::Anything).is_ok(), "{good}");
        }
        for (bad, fault) in [
            (r#"{"value":"0x00"}"#, "value: hex number with leading zero digits"),
            (r#"{"gas":"0x0ffff"}"#, "gas: hex number"),
            (r#"{"value":1}"#, "value: 1 is not a hex string"),
            (r#"{"value":"1"}"#, "value: hex string without 0x prefix"),
            (r#"{"nonce":"0x"}"#, r#"nonce: hex string "0x""#),
            (r#"{"fromBlock":"0x01"}"#, "fromBlock: hex number"),
            (r#"{"0x01":{"balance":"0x01"}}"#, "balance: hex number"),
            (r#"{"blockStateCalls":[{"calls":[{"value":"0x01"}]}]}"#, "value: hex number"),
            (r#"{"authorizationList":[{"chainId":"0x01"}]}"#, "chainId: hex number"),
            (r#"{"blockOverrides":{"time":"0x01"}}"#, "time: hex number"),
            (r#"{"value":"0x1_0"}"#, "value: invalid hex string"),
            (r#"{"gas":"0x_1"}"#, "gas: invalid hex string"),
            (r#"{"nonce":"0x+1"}"#, "nonce: invalid hex string"),
            (r#"{"chainId":"0x-1"}"#, "chainId: invalid hex string"),
            (r#"{"type":"0X2"}"#, "type: hex string without 0x prefix"),
            (r#"{"authorizationList":[{"r":"0x1_0"}]}"#, "r: invalid hex string"),
            (r#"{"fromBlock":"LATEST"}"#, "fromBlock: hex string without 0x prefix"),
            (r#"{"fromBlock":1}"#, "fromBlock: 1 is not a hex string"),
            (r#"{"gas":["0x1"]}"#, "gas: a list is not a hex string"),
            (r#"{"gas":{}}"#, "gas: an object is not a hex string"),
            (r#"{"value":"#, "EOF"),
        ] {
            let seen = check(bad, Form::Anything).expect_err(bad).to_string();
            assert!(seen.contains(fault), "{bad}: {seen}");
        }
    }

    #[test]
    fn what_stands_alone_is_as_strict() {
        let hash = format!("\"0x{}\"", "0f".repeat(32));
        let takes = |json: &str| {
            use Form::{Block, Number, NumberOrInteger, Quantity, QuantityOrInteger};
            let forms = [Quantity, QuantityOrInteger, Number, NumberOrInteger, Block];
            forms.map(|form| u8::from(check(json, form).is_ok()))
        };
        for (json, forms) in [
            (r#""0x0""#, [1, 1, 1, 1, 1]),
            (r#""0xAb""#, [1, 1, 1, 1, 1]),
            ("null", [1, 1, 1, 1, 1]),
            ("1", [0, 1, 0, 1, 0]),
            (r#""latest""#, [0, 0, 1, 1, 1]),
            (&hash, [0, 0, 0, 0, 1]),
            (r#"{"blockNumber":"0x1"}"#, [0, 0, 0, 0, 1]),
            (r#"{"blockNumber":"0x01"}"#, [0; 5]),
        ] {
            assert_eq!(takes(json), forms, "{json}");
        }
        for json in [
            "-1",
            "1.5",
            "true",
            "[]",
            "\"1\"",
            "\"\"",
            "\"LATEST\"",
            "\" latest\"",
            "\"0X1\"",
            "\"0x\"",
            "\"0x01\"",
            "\"0x1_0\"",
            "\"0x_1\"",
            "\"0x+1\"",
            "\"0x1 \"",
        ] {
            assert_eq!(takes(json), [0; 5], "{json}");
        }
    }
}
