//! Amounts in JSON, as the draft writes them: decimal digits in quotes.

use std::borrow::Cow;

use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

pub fn serialize<S: Serializer>(amount: &u128, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(amount)
}

pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
    let text = Cow::<str>::deserialize(deserializer)?;
    let amount = text.parse().map_err(|_| D::Error::custom("an amount is a whole number below 2^128, in quotes"))?;
    // One way to write each: no sign, no zeros in front.
    if u128::to_string(&amount) == text { Ok(amount) } else { Err(D::Error::custom("an amount is digits alone")) }
}
