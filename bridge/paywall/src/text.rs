//! Numbers and bytes as both protocols write them in JSON and in headers; and amounts as people read them.

use alloy_primitives::U256;
use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Read with and without padding; written without (RFC 4648, section 5, as MPP writes it).
const URL: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_encode_padding(false).with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// Read with and without padding; written with (x402).
const PLAIN: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[must_use]
pub fn base64url(bytes: &[u8]) -> String {
    URL.encode(bytes)
}

#[must_use]
pub fn base64(bytes: &[u8]) -> String {
    PLAIN.encode(bytes)
}

/// The bytes of either alphabet: clients mix them.
#[must_use]
pub fn decoded(text: &str) -> Option<Vec<u8>> {
    if text.contains(['-', '_']) { URL.decode(text).ok() } else { PLAIN.decode(text).ok() }
}

/// A whole number in decimal digits, and nothing else: no sign, no prefix, no separators.
#[must_use]
pub fn digits(text: &str) -> Option<U256> {
    let plain = !text.is_empty() && text.len() <= 78 && text.bytes().all(|byte| byte.is_ascii_digit());
    if plain { U256::from_str_radix(text, 10).ok() } else { None }
}

/// Numbers in JSON as decimal digits in quotes.
pub mod decimal {
    use alloy_primitives::U256;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    /// # Errors
    ///
    /// The serializer's.
    pub fn serialize<S: Serializer>(number: &U256, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(number)
    }

    /// # Errors
    ///
    /// It is no whole number below 2^256, in quotes.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<U256, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        super::digits(&text).ok_or_else(|| D::Error::custom("wanted is a whole number below 2^256, in quotes"))
    }
}

/// The same, below 2^128.
pub mod decimal_u128 {
    use serde::{Deserializer, Serializer, de::Error as _};

    /// # Errors
    ///
    /// The serializer's.
    pub fn serialize<S: Serializer>(number: &u128, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(number)
    }

    /// # Errors
    ///
    /// It is no whole number below 2^128, in quotes.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
        let number = super::decimal::deserialize(deserializer)?;
        number.try_into().map_err(|_| D::Error::custom("wanted is a whole number below 2^128"))
    }
}

/// A time in seconds since 1970 as RFC 3339 has it.
/// Wei in satoshis, exactly.
#[must_use]
pub fn sat(wei: u128) -> String {
    bridge::amount::show_sat(U256::from(wei))
}

#[must_use]
pub fn rfc3339(unix_s: u64) -> String {
    // Later years than 9999 have no such form.
    let shown = unix_s.min(253_402_300_799);
    humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + std::time::Duration::from_secs(shown)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_digits_alone() {
        assert_eq!(digits("250"), Some(U256::from(250)));
        for wrong in ["", "-1", "+1", "0x10", "1_000", "1e3", " 1", &"9".repeat(78), &"1".repeat(79)] {
            assert_eq!(digits(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn either_alphabet_is_read_with_and_without_padding() {
        let bytes = [0xfb, 0xef, 0xff, 0x01];
        assert_eq!((base64(&bytes).as_str(), base64url(&bytes).as_str()), ("++//AQ==", "--__AQ"));
        for text in ["++//AQ==", "++//AQ", "--__AQ", "--__AQ=="] {
            assert_eq!(decoded(text).as_deref(), Some(&bytes[..]), "{text}");
        }
        assert_eq!(decoded("a\u{e9}"), None);
    }

    #[test]
    fn times_are_in_the_form_that_both_protocols_write() {
        assert_eq!(rfc3339(1_775_045_100), "2026-04-01T12:05:00Z");
        assert_eq!(rfc3339(u64::MAX), "9999-12-31T23:59:59Z");
    }
}
