//! Text in a genesis file: people compare it by eye, so it holds nothing that a terminal acts on and nothing without end.

use super::error::{GenesisError, wrong};

/// Bytes of a member's name; the contract Federation has the same bound.
pub const MAX_NAME_BYTES: usize = 64;

/// Bytes of a host's name (RFC 1035, section 2.3.4).
pub const MAX_HOST_BYTES: usize = 253;

/// Checks a member's name: printable ASCII, without spaces at its ends or next to each other.
///
/// # Errors
///
/// Says what is wrong and what it should be.
pub fn check_name(name: &str) -> Result<(), GenesisError> {
    if name.is_empty() || name.len() > MAX_NAME_BYTES {
        return wrong(format!("a member's name has {} bytes, expected 1 to {MAX_NAME_BYTES}", name.len()));
    }
    let printable = name.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    // Wide gaps move what follows them to where other text is looked for.
    if !printable || name.trim_ascii() != name || name.contains("  ") {
        return wrong(format!("a member's name is {name:?}, expected printable ASCII with single spaces inside"));
    }
    Ok(())
}

/// Checks where a member is reached: "host:port", where host is a name, an IPv4 address, or an IPv6 address in brackets.
///
/// # Errors
///
/// Says what is wrong and what it should be.
pub fn check_address(address: &str) -> Result<(), GenesisError> {
    let sound = |(host, port): (&str, &str)| is_host(host) && is_port(port);
    if address.len() > MAX_HOST_BYTES + ":65535".len() || !address.rsplit_once(':').is_some_and(sound) {
        let start: String = address.chars().take(64).collect();
        return wrong(format!("p2pAddress {start:?} is not host:port, e.g. alice.example:30301"));
    }
    Ok(())
}

fn is_host(host: &str) -> bool {
    if let Some(inner) = host.strip_prefix('[') {
        return inner.strip_suffix(']').is_some_and(|inner| inner.parse::<core::net::Ipv6Addr>().is_ok());
    }
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    !host.is_empty() && host.len() <= MAX_HOST_BYTES && host.bytes().all(sound)
}

fn is_port(port: &str) -> bool {
    port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_printable_and_bounded() {
        for good in ["alice", "operator 1", "x".repeat(64).as_str(), "a-b_c.d!"] {
            check_name(good).expect(good);
        }
        let long = "x".repeat(65);
        for bad in ["", &long, "\x1b[2J", "a\nb", "a\tb", "é", "\u{202e}ab", " a", "a ", "a  b", "a\u{7f}"] {
            let error = check_name(bad).expect_err(bad).to_string();
            assert!(error.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ' || byte >= 0x80), "{error:?}");
        }
    }

    #[test]
    fn an_address_wants_a_host_and_a_port() {
        for good in ["alice.example:30301", "127.0.0.1:1", "[::1]:30301", "a_b-c:65535"] {
            check_address(good).expect(good);
        }
        let long = format!("{}:1", "x".repeat(254));
        let bad = [
            "alice.example",
            ":30301",
            "alice:0",
            "alice:70000",
            "alice:+5",
            "::1:30301",
            "[::1:1",
            "a b:1",
            "a\x1b:1",
            &long,
        ];
        for bad in bad {
            assert!(check_address(bad).is_err(), "{bad:?}");
        }
    }
}
