//! Texts of the merchant that end in links, tables and terminals: bounded, and of characters that none of them obeys.

use bridge::foreign::obeyed;

/// Characters of the longest reference: a name of an order, not a text.
const MAX_REFERENCE: usize = 64;
/// Characters of the longest memo: what fits into a code that a phone still reads.
const MAX_MEMO: usize = 200;
/// The longest that an invoice may be open.
pub const MAX_LIFETIME_S: u64 = 366 * 86_400;

/// The merchant's own name of an order.
///
/// # Errors
///
/// It is empty, too long, or has other characters than letters, digits and some signs.
pub fn reference(text: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/#".contains(c);
    if text.is_empty() || text.len() > MAX_REFERENCE || !text.chars().all(is_plain) {
        return Err(format!("wanted are 1 to {MAX_REFERENCE} letters, digits or any of - _ . : / #"));
    }
    Ok(text.to_owned())
}

/// What the payer is shown.
///
/// # Errors
///
/// It is too long, or has characters that a terminal obeys.
pub fn memo(text: &str) -> Result<String, String> {
    let count = text.chars().count();
    if count > MAX_MEMO {
        return Err(format!("it has {count} characters, at most {MAX_MEMO} are taken"));
    }
    match text.chars().find(|c| c.is_control() || obeyed(*c)) {
        Some(c) => Err(format!("the character U+{:04X} is not taken: it is obeyed, not shown", u32::from(c))),
        None => Ok(text.to_owned()),
    }
}

/// For how long an invoice is open.
///
/// # Errors
///
/// It is no time, none at all, or more than a year.
pub fn lifetime(text: &str) -> Result<u64, String> {
    let seconds = humantime::parse_duration(text).map_err(|error| error.to_string())?.as_secs();
    if (1..=MAX_LIFETIME_S).contains(&seconds) { Ok(seconds) } else { Err("wanted is 1s to 366d".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_and_memos_are_bounded_and_plain() {
        assert_eq!(reference("order-17#a"), Ok("order-17#a".to_owned()));
        for bad in ["", "a b", "../x\n", "=1", &"x".repeat(65)] {
            assert!(reference(bad).is_err(), "{bad:?}");
        }
        assert!(memo("2 × Kaffee, café ☕").is_ok() && memo(&"x".repeat(200)).is_ok());
        for bad in ["a\nb", "\u{1b}[2J", "\u{202e}x", &"x".repeat(201)] {
            assert!(memo(bad).is_err(), "{bad:?}");
        }
        assert_eq!((lifetime("1h"), lifetime("0s").is_err(), lifetime("400d").is_err()), (Ok(3_600), true, true));
    }
}
