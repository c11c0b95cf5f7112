//! Storage slots as clients write them (go-ethereum, internal/ethapi/api.go, `decodeStorageKey`).

use alloy_primitives::U256;

/// A storage slot: at most 32 bytes in hex, leading zeros or not, as clients write them.
#[derive(Clone, Copy, Debug)]
pub struct Slot(pub U256);

impl<'de> serde::Deserialize<'de> for Slot {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        let text = String::deserialize(deserializer)?;
        let digits = text.strip_prefix("0x").ok_or_else(|| D::Error::custom("hex string without 0x prefix"))?;
        if digits.len() > 64 {
            return Err(D::Error::custom("storage key too long (want at most 32 bytes)"));
        }
        // The number's type takes underscores and signs.
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(D::Error::custom("unable to decode storage key: invalid hex"));
        }
        let slot = if digits.is_empty() { Ok(U256::ZERO) } else { U256::from_str_radix(digits, 16) };
        slot.map(Self).map_err(|_| D::Error::custom("unable to decode storage key: invalid hex"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_slot_is_hex_of_at_most_32_bytes_and_no_other_number() {
        let read =
            |said: serde_json::Value| serde_json::from_value::<Slot>(said).map(|Slot(slot)| slot.to::<u64>()).ok();
        let long = format!("0x{}", "0".repeat(64));
        for (said, slot) in [("0x", 0), ("0x0", 0), ("0x01", 1), ("0xA", 10), (long.as_str(), 0)] {
            assert_eq!(read(json!(said)), Some(slot), "{said}");
        }
        for said in [json!("0x1_0"), json!("0x_"), json!("0x+1"), json!("1"), json!(1), json!(format!("{long}0"))] {
            assert_eq!(read(said.clone()), None, "{said}");
        }
    }
}
