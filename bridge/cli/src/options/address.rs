//! An account of the sidechain as people write it.

use alloy_primitives::Address;

/// Reads an address: in one case, or in the mixed case that is its checksum (EIP-55), so that a typo pays nobody.
///
/// # Errors
///
/// It is none, or its checksum does not match.
pub fn parse(text: &str) -> Result<Address, String> {
    let address: Address = text.parse().map_err(|_| "an address is 0x and 40 hex digits".to_owned())?;
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let mixed = digits.bytes().any(|c| c.is_ascii_lowercase()) && digits.bytes().any(|c| c.is_ascii_uppercase());
    if mixed && digits != &address.to_checksum(None)[2..] {
        return Err(
            "its capital letters are a checksum (EIP-55), and do not match: a letter or digit is mistyped".into()
        );
    }
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_address_of_mixed_case_is_refused() {
        let right = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
        assert!(parse(right).is_ok());
        assert!(parse(&right.to_lowercase()).is_ok(), "one case has no checksum");
        assert!(parse(&format!("0x{}", right[2..].to_uppercase())).is_ok());
        for typo in [
            "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92267",
            "0xf39fd6e51aad88F6F4ce6aB8827279cffFb92266",
            "0xF39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
        ] {
            assert!(parse(typo).expect_err(typo).contains("EIP-55"));
        }
        assert!(parse("0x1234").is_err());
    }
}
