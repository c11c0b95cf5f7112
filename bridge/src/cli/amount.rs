//! Amounts as people write them.
use bitcoin::{Amount, Denomination};

/// Reads `0.1 BTC` or `10000000 sat`; a bare number is refused.
pub fn parse(text: &str) -> Result<Amount, String> {
    let (number, unit) = text
        .trim()
        .split_once(' ')
        .ok_or("write the unit too: `0.1 BTC` or `10000000 sat`")?;
    let unit = match unit {
        "BTC" => Denomination::Bitcoin,
        "sat" => Denomination::Satoshi,
        _ => return Err("BTC or sat".into()),
    };
    Amount::from_str_in(number, unit).map_err(|error| error.to_string())
}

/// Shows an amount with its unit.
pub fn show(amount: Amount) -> String {
    format!("{} BTC", amount.to_string_in(Denomination::Bitcoin))
}
