//! Who may have payments verified and settled here. A facilitator pays the gas of what it settles, so it matters who asks.

use alloy_primitives::B256;
use bitcoin::hashes::cmp::fixed_time_eq;
use bitcoin::hashes::{Hash as _, sha256};

/// Bytes of a token: less can be guessed, more is no token but another file.
pub const TOKEN_BYTES: std::ops::RangeInclusive<usize> = 16..=1_024;

/// Who may ask a facilitator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// Whoever can connect.
    Anybody,
    /// Whoever shows this token (`Authorization: Bearer …`, RFC 6750).
    Bearer(Token),
}

/// A token, of which no more than its hash is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(B256);

impl Token {
    /// None of what is too short or long, or has what a header has not.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic());
        (is_plain && TOKEN_BYTES.contains(&text.len())).then(|| Self(hash(text)))
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}

impl Access {
    /// Whether a request with these fields `Authorization` may ask. Hashes are compared, in a time that says nothing of the token.
    #[must_use]
    pub fn admits<'a>(&self, mut authorization: impl Iterator<Item = &'a str>) -> bool {
        let Self::Bearer(token) = self else { return true };
        let shown = authorization.next().filter(|_| authorization.next().is_none());
        let shown = shown.and_then(|field| field.trim().split_once(' '));
        shown.is_some_and(|(scheme, shown)| {
            scheme.eq_ignore_ascii_case("Bearer") && fixed_time_eq(hash(shown.trim()).as_slice(), token.0.as_slice())
        })
    }
}

fn hash(text: &str) -> B256 {
    sha256::Hash::hash(text.as_bytes()).to_byte_array().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "0123456789abcdef";

    #[test]
    fn only_whoever_shows_the_token_once_is_admitted() {
        let access = Access::Bearer(Token::new(TEXT).expect("a token"));
        let admits = |fields: &[&str]| access.admits(fields.iter().copied());
        let right = format!("Bearer {TEXT}");
        assert!(admits(&[&right]) && admits(&[&format!("bearer  {TEXT} ")]));
        for wrong in [&["Bearer"][..], &["Bearer 0123456789abcdeF"], &[TEXT], &["Basic 0123456789abcdef"], &[]] {
            assert!(!admits(wrong), "{wrong:?}");
        }
        assert!(!admits(&[&right, &right]), "which of two counts, servers do not agree on");
        assert!(Access::Anybody.admits([].into_iter()));
    }

    #[test]
    fn what_can_be_guessed_or_is_no_field_is_no_token() {
        for wrong in ["", "short", "0123456789 abcdef", "0123456789abcde\u{e9}", &"x".repeat(1_025)] {
            assert_eq!(Token::new(wrong), None, "{wrong:?}");
        }
    }
}
