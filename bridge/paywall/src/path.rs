//! A request's path as prices are looked up by it, and as the upstream gets it: one and the same text.
//!
//! Servers differ in what they make of `/a/../b`, `//b`, `/%62` or `\`. If the one that looks up the price reads a path otherwise than the one that
//! answers, a dear page is had at a cheap one's price. So what is merely written in a roundabout way is written plainly, and what can be read in two ways is
//! refused.

use crate::refusal::Refusal;

/// Bytes of a path with its query.
pub const MOST_BYTES: usize = 4_096;

/// The path in its plain form.
///
/// # Errors
///
/// [`Refusal::AmbiguousPath`].
pub fn plain(path: &str) -> Result<String, Refusal> {
    if !path.starts_with('/') || path.len() > MOST_BYTES {
        return Err(Refusal::AmbiguousPath("it has to begin with a slash and be of a usual length"));
    }
    let plain = decoded(path)?;
    let segments = plain[1..].split('/');
    let last = segments.clone().count().saturating_sub(1);
    for (index, segment) in segments.enumerate() {
        if matches!(segment, "." | "..") {
            return Err(Refusal::AmbiguousPath("it has dot segments"));
        }
        if segment.is_empty() && index != last {
            return Err(Refusal::AmbiguousPath("it has empty segments"));
        }
    }
    Ok(plain)
}

/// Decodes what needs no percent-encoding (RFC 3986, section 2.3), and writes the rest in upper case.
fn decoded(path: &str) -> Result<String, Refusal> {
    let mut plain = String::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let pair =
                    [bytes.next(), bytes.next()].map(|digit| digit.and_then(|digit| char::from(digit).to_digit(16)));
                let [Some(high), Some(low)] = pair else {
                    return Err(Refusal::AmbiguousPath("it has a percent sign without two hex digits"));
                };
                let byte = u8::try_from(high * 16 + low).expect("two hex digits are a byte");
                match byte {
                    b'/' | b'\\' | b'%' | b';' | 0..=0x1f | 0x7f => {
                        return Err(Refusal::AmbiguousPath(
                            "it has an encoded slash, semicolon, percent sign or control character",
                        ));
                    }
                    _ if is_unreserved(byte) => plain.push(char::from(byte)),
                    _ => plain.push_str(&format!("%{byte:02X}")),
                }
            }
            // It begins parameters that some servers cut off: `/paid;x` is `/paid` to them, and `/a/..;/b` is `/b`.
            b';' => return Err(Refusal::AmbiguousPath("it has a semicolon")),
            b'\\' => return Err(Refusal::AmbiguousPath("it has a backslash")),
            0x21..=0x7e => plain.push(char::from(byte)),
            _ => return Err(Refusal::AmbiguousPath("it has other characters than ASCII's")),
        }
    }
    Ok(plain)
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_roundabout_path_is_written_plainly() {
        for (path, want) in [
            ("/", "/"),
            ("/weather", "/weather"),
            ("/w%65ather/%41%2d", "/weather/A-"),
            ("/a%20b%c3%a9", "/a%20b%C3%A9"),
            ("/a/", "/a/"),
            ("/.well-known/x", "/.well-known/x"),
        ] {
            assert_eq!(plain(path).as_deref(), Ok(want), "{path}");
        }
    }

    #[test]
    fn what_two_servers_could_read_in_two_ways_is_refused() {
        let long = format!("/{}", "a".repeat(MOST_BYTES));
        for path in [
            "",
            "weather",
            "*",
            "/free/../paid",
            "/free/%2e%2e/paid",
            "/free/.%2E/paid",
            "/./paid",
            "//paid",
            "/free//paid",
            "/free/..;/paid",
            "/free/..;x=1/paid",
            "/a%2fb",
            "/a%5Cb",
            "/a\\b",
            "/a%00",
            "/a%0a",
            "/a%",
            "/a%2",
            "/a%zz",
            "/a%25%32%65",
            "/\u{e9}",
            "/a b",
            "/..",
            "/;/paid",
            "/paid;x",
            "/paid;",
            "/paid%3bx",
            "/a;v=1/b",
            &long,
        ] {
            assert!(matches!(plain(path), Err(Refusal::AmbiguousPath(_))), "{path:?}");
        }
    }

    proptest! {
        #[test]
        fn plain_is_plain_already(path in "/[a-z./%2e5cF;]{0,12}") {
            if let Ok(once) = plain(&path) {
                prop_assert_eq!(plain(&once), Ok(once));
            }
        }
    }
}
