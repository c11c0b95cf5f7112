//! What a payer may spend: at each endpoint, and in all, in a period.

use std::collections::BTreeMap;

/// Endpoints that are counted apart in one period.
pub const MAX_ENDPOINTS: usize = 1_000;

/// Limits in the token's smallest unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Seconds after which counting begins anew; periods begin at its multiples.
    pub period_s: u64,
    pub in_all: u128,
    /// Of an endpoint without a limit of its own.
    pub each: u128,
    pub endpoints: BTreeMap<String, u128>,
}

/// What was spent in the period that is counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    pub(super) period: u64,
    pub(super) in_all: u128,
    pub(super) by_endpoint: BTreeMap<String, u128>,
}

/// A limit that a payment would exceed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OverLimit {
    #[error("{endpoint} would have cost {got} in this period, {limit} are allowed")]
    Endpoint { endpoint: String, got: u128, limit: u128 },
    #[error("all together would have cost {got} in this period, {limit} are allowed")]
    InAll { got: u128, limit: u128 },
    #[error("{most} endpoints were paid in this period")]
    TooManyEndpoints { most: usize },
}

impl Limits {
    fn period(&self, now_unix_s: u64) -> u64 {
        now_unix_s / self.period_s.max(1)
    }

    /// Whether so much more may be spent.
    ///
    /// # Errors
    ///
    /// [`OverLimit`].
    pub fn check(&self, spent: &Spent, endpoint: &str, price: u128, now_unix_s: u64) -> Result<(), OverLimit> {
        let empty = Spent::default();
        // A clock that went back does not make a period begin anew.
        let spent = if self.period(now_unix_s) > spent.period { &empty } else { spent };
        let here = spent.by_endpoint.get(endpoint);
        if here.is_none() && spent.by_endpoint.len() >= MAX_ENDPOINTS {
            return Err(OverLimit::TooManyEndpoints { most: MAX_ENDPOINTS });
        }
        let (got, limit) =
            (here.unwrap_or(&0).saturating_add(price), *self.endpoints.get(endpoint).unwrap_or(&self.each));
        if got > limit {
            return Err(OverLimit::Endpoint { endpoint: endpoint.to_owned(), got, limit });
        }
        let (got, limit) = (spent.in_all.saturating_add(price), self.in_all);
        if got > limit { Err(OverLimit::InAll { got, limit }) } else { Ok(()) }
    }

    /// Counts it.
    pub fn count(&self, spent: &mut Spent, endpoint: &str, price: u128, now_unix_s: u64) {
        let period = self.period(now_unix_s);
        if period > spent.period {
            *spent = Spent { period, ..Spent::default() };
        }
        spent.in_all = spent.in_all.saturating_add(price);
        let here = spent.by_endpoint.entry(endpoint.to_owned()).or_default();
        *here = here.saturating_add(price);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_has_its_own_limit_and_all_together_one_and_both_begin_anew_with_the_period() {
        let endpoints = BTreeMap::from([("a".to_owned(), 50)]);
        let limits = Limits { period_s: 100, in_all: 70, each: 30, endpoints };
        let mut spent = Spent::default();
        let mut pay = |endpoint: &str, price: u128, now: u64| {
            limits.check(&spent, endpoint, price, now).map(|()| limits.count(&mut spent, endpoint, price, now))
        };
        assert_eq!(pay("a", 50, 1_000), Ok(()));
        assert_eq!(pay("a", 1, 1_099), Err(OverLimit::Endpoint { endpoint: "a".into(), got: 51, limit: 50 }));
        assert_eq!(pay("b", 31, 1_099), Err(OverLimit::Endpoint { endpoint: "b".into(), got: 31, limit: 30 }));
        assert_eq!(pay("b", 21, 1_099), Err(OverLimit::InAll { got: 71, limit: 70 }));
        assert_eq!(pay("b", 20, 1_099), Ok(()));
        assert_eq!(pay("a", 50, 1_100), Ok(()), "a new period");
        assert_eq!(
            pay("a", 1, 900),
            Err(OverLimit::Endpoint { endpoint: "a".into(), got: 51, limit: 50 }),
            "no old one"
        );
    }
}
