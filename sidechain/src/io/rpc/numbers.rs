//! Numbers inside the objects that clients send: hex behind `0x`, without leading zeros (Ethereum's JSON-RPC, "hex value encoding").
//!
//! The types they are read into take more than that. They are looked at by name beforehand, without keeping anything.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Fields of transactions, overrides, filters and blocks (EIP-1898) that are numbers.
const NUMBERS: [&str; 23] = [
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

/// Refuses a number, at any depth, that is not written as numbers are.
///
/// # Errors
///
/// The first, in geth's words; and what is not JSON.
pub fn check(json: &str) -> Result<(), serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    Look { field: None }.deserialize(&mut deserializer)
}

/// At a value, and which number it is, if it is one.
struct Look {
    field: Option<&'static str>,
}

impl Look {
    fn named(name: &str) -> Self {
        Self { field: NUMBERS.into_iter().find(|number| *number == name) }
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
        while let Some(name) = map.next_key::<String>()? {
            map.next_value_seed(Self::named(&name))?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Self { field: None })?.is_some() {}
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        let Some(field) = self.field else { return Ok(()) };
        let fault = match text.strip_prefix("0x") {
            None if OR_TAGS.contains(&field) => return Ok(()),
            None => "hex string without 0x prefix",
            Some("") => "hex string \"0x\"",
            // A block's hash where its number may stand too.
            Some(digits) if OR_TAGS.contains(&field) && digits.len() == 64 => return Ok(()),
            Some(digits) if digits.len() > 1 && digits.starts_with('0') => "hex number with leading zero digits",
            Some(_) => return Ok(()),
        };
        Err(E::custom(format_args!("{field}: {fault}")))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.other(number)
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
        match self.field {
            None => Ok(()),
            Some(field) => Err(E::custom(format_args!("{field}: {value} is not a hex string"))),
        }
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
            assert!(check(good).is_ok(), "{good}");
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
            (r#"{"value":"#, "EOF"),
        ] {
            let seen = check(bad).expect_err(bad).to_string();
            assert!(seen.contains(fault), "{bad}: {seen}");
        }
    }
}
