//! Amounts as people write and read them: always with a unit, never through a float.

use alloy_primitives::U256;
use bitcoin::{Amount, Denomination};
use contracts::coin::{self, WEI_PER_SAT};

/// Why a text is not an amount.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// A number alone could be bitcoins or satoshis, a factor of 100,000,000 apart.
    #[error("{0:?} has no unit: write it as in `0.1 BTC` or `10000000 sat`")]
    NoUnit(String),
    #[error("unknown unit {0:?}, expected BTC or sat")]
    UnknownUnit(String),
    #[error("{0:?} is not a number of digits with at most one point")]
    NotANumber(String),
    #[error("{0} has more than 8 decimals: a satoshi is the smallest amount")]
    TooPrecise(String),
    #[error("{0} sat: satoshis are whole")]
    FractionOfSatoshi(String),
    #[error("{0} is more than all bitcoin there can be, 21000000 BTC")]
    TooMuch(String),
}

/// Reads `0.1 BTC` or `10000000 sat`; the space may be left out, the unit may not.
///
/// # Errors
///
/// Says what is missing or wrong; see [`AmountError`].
pub fn parse(text: &str) -> Result<Amount, AmountError> {
    let text = text.trim();
    let unit_at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let is_number = number.bytes().any(|byte| byte.is_ascii_digit()) && number.matches('.').count() <= 1;
    if !is_number {
        return Err(AmountError::NotANumber(text.to_owned()));
    }
    let sat = match unit.trim() {
        "BTC" | "btc" => satoshis(number, 8).ok_or_else(|| AmountError::TooPrecise(text.to_owned()))?,
        "sat" | "sats" => satoshis(number, 0).ok_or_else(|| AmountError::FractionOfSatoshi(number.to_owned()))?,
        "" => return Err(AmountError::NoUnit(number.to_owned())),
        other => return Err(AmountError::UnknownUnit(other.to_owned())),
    };
    let amount = sat.and_then(|sat| u64::try_from(sat).ok()).map(Amount::from_sat);
    amount.filter(|amount| *amount <= Amount::MAX_MONEY).ok_or_else(|| AmountError::TooMuch(text.to_owned()))
}

/// The number times ten to the power of `decimals`. The outer `None` means more decimals than that, the inner one too large.
fn satoshis(number: &str, decimals: usize) -> Option<Option<u128>> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > decimals {
        return None;
    }
    let digits = format!("0{whole}{fraction:0<decimals$}");
    Some(digits.parse().ok())
}

/// Shows an amount with its unit, as [`parse`] reads it: `0.1 BTC`.
pub fn show(amount: Amount) -> String {
    format!("{} BTC", amount.to_string_in(Denomination::Bitcoin))
}

/// The same of a sum that may be overdrawn.
#[must_use]
pub fn show_signed(sat: i64) -> String {
    let shown = show(Amount::from_sat(sat.unsigned_abs()));
    if sat < 0 { format!("-{shown} (overdrawn)") } else { shown }
}

/// An amount as the sidechain counts it.
pub fn wei(amount: Amount) -> U256 {
    coin::wei(amount.to_sat())
}

/// Shows a balance of the sidechain: as an amount, and the wei below one satoshi if there are any.
pub fn show_wei(wei: U256) -> String {
    let (sat, rest) = wei.div_rem(U256::from(WEI_PER_SAT));
    let Ok(sat) = u64::try_from(sat) else {
        return format!("{wei} wei");
    };
    let shown = show(Amount::from_sat(sat));
    if rest.is_zero() { shown } else { format!("{shown} and {rest} wei") }
}

/// Shows an amount in satoshis, exactly: `0.1 sat`.
#[must_use]
pub fn show_sat(wei: U256) -> String {
    let (sat, rest) = wei.div_rem(U256::from(WEI_PER_SAT));
    if rest.is_zero() {
        return format!("{sat} sat");
    }
    let decimals = WEI_PER_SAT.ilog10() as usize;
    let rest = format!("{:0>decimals$}", rest.to_string());
    format!("{sat}.{} sat", rest.trim_end_matches('0'))
}

/// Writes wei into JSON as every command does: decimal digits in a string, since a number would lose some. For `serde(serialize_with)`.
///
/// # Errors
///
/// Those of the serializer.
pub fn digits<S: serde::Serializer>(wei: &U256, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(wei)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_less_than_a_satoshi_is_shown_exactly() {
        for (wei, text) in [
            (0_u64, "0 sat"),
            (1, "0.0000000001 sat"),
            (1_000_000_000, "0.1 sat"),
            (35_000_000_000, "3.5 sat"),
            (250_000_000_000, "25 sat"),
        ] {
            assert_eq!(show_sat(U256::from(wei)), text);
        }
    }

    #[test]
    fn an_amount_has_a_unit() {
        for (text, sat) in [
            ("0.1 BTC", 10_000_000),
            ("10000000 sat", 10_000_000),
            ("1BTC", 100_000_000),
            (" 5 sats ", 5),
            (".5 btc", 50_000_000),
            ("1. BTC", 100_000_000),
            ("0.12345678 BTC", 12_345_678),
            ("0.100000000000 BTC", 10_000_000),
            ("007 sat", 7),
            ("1.0 sat", 1),
            ("21000000 BTC", 2_100_000_000_000_000),
            ("0 sat", 0),
        ] {
            assert_eq!(parse(text), Ok(Amount::from_sat(sat)), "{text:?}");
        }
    }

    #[test]
    fn what_is_not_an_amount_is_told_why() {
        let error = |text: &str| parse(text).expect_err(text);
        assert_eq!(error("0.1").to_string(), "\"0.1\" has no unit: write it as in `0.1 BTC` or `10000000 sat`");
        assert_eq!(error("1 bitcoin"), AmountError::UnknownUnit("bitcoin".into()));
        assert_eq!(error("1 mBTC"), AmountError::UnknownUnit("mBTC".into()));
        assert_eq!(error("0.123456789 BTC"), AmountError::TooPrecise("0.123456789 BTC".into()));
        assert_eq!(error("1.5 sat"), AmountError::FractionOfSatoshi("1.5".into()));
        assert!(matches!(error("21000000.00000001 BTC"), AmountError::TooMuch(_)));
        assert!(matches!(error(&format!("{} sat", "9".repeat(60))), AmountError::TooMuch(_)));
        for bad in ["", "BTC", ".", ". BTC", "-1 BTC", "+1 BTC", "1.2.3 BTC", "one BTC"] {
            assert!(matches!(error(bad), AmountError::NotANumber(_)), "{bad:?}");
        }
        assert!(matches!(error("1e3 sat"), AmountError::UnknownUnit(_)));
        assert!(matches!(error("1,5 BTC"), AmountError::UnknownUnit(_)));
    }

    #[test]
    fn a_balance_shows_the_wei_below_a_satoshi() {
        let balance = wei(Amount::from_sat(10_000_000));
        assert_eq!(show_wei(balance), "0.1 BTC");
        assert_eq!(show_wei(balance + U256::from(7)), "0.1 BTC and 7 wei");
        assert_eq!(show_wei(U256::MAX), format!("{} wei", U256::MAX));
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(sat in 0..=Amount::MAX_MONEY.to_sat()) {
            let amount = Amount::from_sat(sat);
            prop_assert_eq!(parse(&show(amount)), Ok(amount));
            prop_assert_eq!(parse(&format!("{sat} sat")), Ok(amount));
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = parse(&text);
        }
    }
}
