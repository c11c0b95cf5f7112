//! What is counted of an answer, where its price is by the unit.
//!
//! ```text
//!   0.1 sat per request            one an answer
//!   1 sat per kilobyte             of the answer's body: 1,000 bytes, and a part of one in proportion
//!   0.1 sat per event              server-sent events; an answer that is none is one
//!   0.1 sat per token              whatever the upstream counts: it names the number in `Causeway-Units`
//!   0.1 sat per token, at least 50 so much must be there before the upstream is asked
//! ```

/// Characters of a unit's name.
const MOST_CHARACTERS: usize = 32;
/// Units that may be asked for in advance.
const MOST_AT_LEAST: u64 = 1_000_000_000;
/// Bytes of a kilobyte.
const KILOBYTE: u64 = 1_000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unit {
    Request,
    Byte,
    Kilobyte,
    Event,
    /// By this name.
    Counted(String),
}

/// How an answer is metered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meter {
    pub unit: Unit,
    /// Units that must be paid for before the upstream is asked.
    pub at_least: u64,
}

impl Meter {
    /// Reads `token` or `token, at least 50`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (unit, at_least) = match text.split_once(',') {
            Some((unit, rest)) => (unit, rest.trim().strip_prefix("at least ")?.trim().parse().ok()?),
            None => (text, 1),
        };
        let unit = match unit.trim() {
            "request" => Unit::Request,
            "byte" => Unit::Byte,
            "kilobyte" | "kB" => Unit::Kilobyte,
            "event" => Unit::Event,
            name => {
                let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
                if name.is_empty() || name.len() > MOST_CHARACTERS || !name.bytes().all(is_plain) {
                    return None;
                }
                Unit::Counted(name.to_owned())
            }
        };
        (1..=MOST_AT_LEAST).contains(&at_least).then_some(Self { unit, at_least })
    }

    /// As a challenge names it.
    #[must_use]
    pub fn unit_type(&self) -> &str {
        match &self.unit {
            Unit::Request => "request",
            Unit::Byte => "byte",
            Unit::Kilobyte => "kilobyte",
            Unit::Event => "event",
            Unit::Counted(name) => name,
        }
    }

    /// What must be there before the upstream is asked.
    #[must_use]
    pub fn least_cost(&self, price: u128) -> u128 {
        let count = if self.unit == Unit::Kilobyte { self.at_least.saturating_mul(KILOBYTE) } else { self.at_least };
        self.cost(price, count)
    }

    /// What so much of one answer costs in all: bytes of its body, events, or units. A part of a wei counts as one.
    #[must_use]
    pub fn cost(&self, price: u128, count: u64) -> u128 {
        let cost = price.saturating_mul(count.into());
        if self.unit == Unit::Kilobyte { cost.div_ceil(KILOBYTE.into()) } else { cost }
    }

    /// Whole units, as a receipt names them.
    #[must_use]
    pub fn units(&self, count: u64) -> u64 {
        if self.unit == Unit::Kilobyte { count.div_ceil(KILOBYTE) } else { count }
    }

    /// How much more than `count` can be had for `money` beside the `charged` so far, up to `most` more.
    #[must_use]
    pub fn affordable(&self, price: u128, count: u64, charged: u128, money: u128, most: u64) -> u64 {
        let budget = charged.saturating_add(money);
        let fits = |more: u64| self.cost(price, count.saturating_add(more)) <= budget;
        let (mut low, mut high) = (0, most);
        while low < high {
            let middle = high - (high - low) / 2;
            if fits(middle) { low = middle } else { high = middle - 1 }
        }
        low
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_one_of_four_or_what_the_upstream_counts() {
        let meter = |unit, at_least| Some(Meter { unit, at_least });
        assert_eq!(Meter::parse("request"), meter(Unit::Request, 1));
        assert_eq!(Meter::parse(" kB "), meter(Unit::Kilobyte, 1));
        assert_eq!(Meter::parse("token, at least 50"), meter(Unit::Counted("token".into()), 50));
        for wrong in ["", "a b", "token, 50", "token, at least 0", "token, at least x", "é", &"x".repeat(33)] {
            assert_eq!(Meter::parse(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_kilobyte_is_paid_for_in_proportion_over_the_whole_answer() {
        let meter = Meter { unit: Unit::Kilobyte, at_least: 2 };
        assert_eq!((meter.cost(10, 0), meter.cost(10, 1), meter.cost(10, 100), meter.cost(10, 101)), (0, 1, 1, 2));
        assert_eq!((meter.least_cost(10), meter.units(1_001)), (20, 2));
    }

    #[test]
    fn no_more_is_affordable_than_is_paid_for() {
        for meter in [Meter { unit: Unit::Kilobyte, at_least: 1 }, Meter { unit: Unit::Event, at_least: 1 }] {
            for (count, money, most) in [(0, 0, 9), (7, 35, 100), (999, 1, 5_000), (10, 1_000, 3)] {
                let charged = meter.cost(10, count);
                let more = meter.affordable(10, count, charged, money, most);
                assert!(meter.cost(10, count + more) <= charged + money && more <= most);
                assert!(more == most || meter.cost(10, count + more + 1) > charged + money, "{count} {money}");
            }
        }
    }
}
