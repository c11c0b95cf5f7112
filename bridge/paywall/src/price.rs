//! What something costs: in sat, in bitcoin, or in another currency at a rate that the payee configures. Never through a float.

use std::collections::BTreeMap;

use alloy_primitives::U256;

/// Wei of a bitcoin, as a power of ten.
const BITCOIN_DECIMALS: u32 = 18;
/// Wei of a satoshi, as a power of ten.
const SATOSHI_DECIMALS: u32 = 10;
/// Digits of a number on either side of its point: far more than any price or rate has.
const MOST_DIGITS: usize = 20;

/// What one bitcoin costs, by currency.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rates(BTreeMap<String, Decimal>);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PriceError {
    #[error("{0:?} is no price: write it as in `25 sat`, `0.001 BTC` or, with a rate, `0.02 USD`")]
    NoPrice(String),
    #[error("{currency} has no rate: say what a bitcoin costs, as in `--rate {currency}=100000`")]
    NoRate { currency: String },
    #[error("{0:?} is no rate: write it as in `USD=100000`, what one bitcoin costs")]
    NoRateOf(String),
    #[error("{0:?} is more than all bitcoin there can be")]
    TooMuch(String),
}

/// A number that is not negative: `units / 10^decimals`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Decimal {
    units: U256,
    decimals: u32,
}

impl Rates {
    /// Adds what one bitcoin costs: `USD=100000`.
    ///
    /// # Errors
    ///
    /// `NoRateOf`.
    pub fn add(&mut self, text: &str) -> Result<(), PriceError> {
        let wrong = || PriceError::NoRateOf(text.to_owned());
        let (currency, number) = text.split_once('=').ok_or_else(wrong)?;
        let currency = currency.trim().to_ascii_uppercase();
        let rate = Decimal::parse(number.trim()).filter(|rate| !rate.units.is_zero()).ok_or_else(wrong)?;
        if !is_currency(&currency) {
            return Err(wrong());
        }
        self.0.insert(currency, rate);
        Ok(())
    }

    /// A price in wei; what a conversion leaves below a wei counts as one.
    ///
    /// # Errors
    ///
    /// `NoPrice`, `NoRate`, `TooMuch`.
    pub fn price(&self, text: &str) -> Result<U256, PriceError> {
        let wrong = || PriceError::NoPrice(text.to_owned());
        let at = text.trim().find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let (number, unit) = text.trim().split_at(at);
        let (number, unit) = (Decimal::parse(number).ok_or_else(wrong)?, unit.trim().to_ascii_uppercase());
        let one = Decimal { units: U256::from(1), decimals: 0 };
        let wei = match unit.as_str() {
            "SAT" | "SATS" => number.divided(one, SATOSHI_DECIMALS),
            "BTC" => number.divided(one, BITCOIN_DECIMALS),
            currency if is_currency(currency) => {
                let rate = self.0.get(currency).ok_or_else(|| PriceError::NoRate { currency: currency.to_owned() })?;
                number.divided(*rate, BITCOIN_DECIMALS)
            }
            _ => return Err(wrong()),
        };
        wei.filter(|wei| *wei <= contracts::coin::GENESIS_COINS_WEI).ok_or_else(|| PriceError::TooMuch(text.to_owned()))
    }
}

/// As ISO 4217 has them; bitcoin's own units are none.
fn is_currency(text: &str) -> bool {
    text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase()) && text != "BTC" && text != "SAT"
}

impl Decimal {
    fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let plain = |part: &str| part.len() <= MOST_DIGITS && part.bytes().all(|byte| byte.is_ascii_digit());
        if !(plain(whole) && plain(fraction)) || (whole.is_empty() && fraction.is_empty()) {
            return None;
        }
        let units = U256::from_str_radix(&format!("0{whole}{fraction}"), 10).ok()?;
        Some(Self { units, decimals: u32::try_from(fraction.len()).ok()? })
    }

    /// `self / by` in units of `10^-decimals`, rounded up.
    fn divided(self, by: Self, decimals: u32) -> Option<U256> {
        let ten = |power: u32| U256::from(10).checked_pow(U256::from(power));
        let over = self.units.checked_mul(ten(decimals.checked_add(by.decimals)?)?)?;
        let under = by.units.checked_mul(ten(self.decimals)?)?;
        over.checked_add(under.checked_sub(U256::from(1))?)?.checked_div(under)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rates() -> Rates {
        let mut rates = Rates::default();
        rates.add("USD=100000").expect("a rate");
        rates.add("eur = 92345.67").expect("a rate");
        rates
    }

    #[test]
    fn a_price_is_whole_wei() {
        for (text, wei) in [
            ("25 sat", 250_000_000_000u128),
            ("25sats", 250_000_000_000),
            ("0.5 sat", 5_000_000_000),
            ("0.00000001 BTC", 10_000_000_000),
            // A hundred thousand dollars a bitcoin: a cent is ten satoshis.
            ("0.01 USD", 100_000_000_000),
            ("0.0001 usd", 1_000_000_000),
            // 10^18 / 92345.67, rounded up.
            ("1 EUR", 10_828_878_062_177),
            ("0 sat", 0),
        ] {
            assert_eq!(rates().price(text), Ok(U256::from(wei)), "{text}");
        }
    }

    #[test]
    fn what_is_no_price_or_has_no_rate_is_told() {
        for text in [
            "",
            "sat",
            "25",
            "-1 sat",
            "1.2.3 sat",
            "1 satoshi",
            "1e3 sat",
            ". BTC",
            &format!("{} sat", "9".repeat(21)),
        ] {
            assert_eq!(rates().price(text), Err(PriceError::NoPrice(text.to_owned())), "{text:?}");
        }
        assert_eq!(rates().price("1 GBP"), Err(PriceError::NoRate { currency: "GBP".into() }));
        assert!(matches!(rates().price("21000001 BTC"), Err(PriceError::TooMuch(_))));
        for text in ["USD", "USD=0", "USD=-1", "BTC=1", "dollar=1", "=1"] {
            assert!(matches!(rates().add(text), Err(PriceError::NoRateOf(_))), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics_and_nothing_is_rounded_down(text: String, cents in 1u64..1_000_000_000, rate in 1u64..1_000_000_000) {
            let _ = (rates().price(&text), Rates::default().add(&text));
            let mut rates = Rates::default();
            rates.add(&format!("USD={rate}")).expect("a rate");
            let price = rates.price(&format!("{}.{:02} USD", cents / 100, cents % 100));
            let (over, under) = (U256::from(cents) * U256::from(10).pow(U256::from(18)), U256::from(100 * rate));
            if let Ok(wei) = price {
                prop_assert!(wei * under >= over && (wei - U256::from(1)) * under < over);
            }
        }
    }
}
