//! Prices by path.
//!
//! ```text
//!   /weather          this path
//!   /api/*            every path below /api/
//!   GET /reports/*    the same for one method
//! ```
//! Behind the price may be a unit: `/v1/chat=0.1 sat per token` ([`crate::meter`]).
//!
//! An exact path goes before `*`, the longer pattern before the shorter, one with a method before one without. What no pattern matches is not served: a
//! payee that mistypes a path then gives nothing away. A price of zero serves free of charge.

use alloy_primitives::U256;
use serde::Deserialize;

use crate::meter::Meter;
use crate::path;
use crate::price::{PriceError, Rates};

/// Patterns in a list.
const MOST_ENTRIES: usize = 10_000;

/// Loopholes that are told.
const MOST_LOOPHOLES: usize = 16;

/// What is asked for a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// None: all methods.
    pub method: Option<String>,
    pub pattern: Pattern,
    /// Wei, of a unit where it is metered; zero serves free of charge.
    pub amount: U256,
    /// None: a price by the request, however it is paid. What is metered is paid by sessions alone.
    pub meter: Option<Meter>,
    pub description: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    Exact(String),
    /// With the slash at its end.
    Below(String),
}

/// A way around a price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loophole<'a> {
    pub dear: &'a Entry,
    pub cheap: &'a Entry,
    /// At the cheap price, and to some servers the dear page.
    pub path: String,
}

/// Prices, the most specific first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PriceList(Vec<Entry>);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    #[error("{0:?} is no pattern: write it as in `/weather`, `/api/*` or `GET /reports/*`")]
    Pattern(String),
    #[error("{0:?} is priced twice")]
    Twice(String),
    #[error(
        "{0:?} is no unit: write it as in `0.1 sat per token`, `1 sat per kilobyte` or `0.1 sat per token, at least 50`"
    )]
    Unit(String),
    #[error("{0:?} is metered, and free: leave the unit out")]
    FreeUnit(String),
    #[error("{0:?} is no price of a path: write it as in `/weather=25 sat`")]
    Assignment(String),
    #[error("a list has {MOST_ENTRIES} prices at most")]
    TooMany,
    #[error(transparent)]
    Price(#[from] PriceError),
    #[error("the price list is not understood: {0}")]
    File(String),
}

/// A list in a file of TOML.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// What one bitcoin costs, as text: `USD = "100000"`.
    #[serde(default)]
    rates: std::collections::BTreeMap<String, String>,
    #[serde(default)]
    price: Vec<FileEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileEntry {
    path: String,
    amount: String,
    description: Option<String>,
}

impl PriceList {
    /// Reads a file of TOML, and rates that it has.
    ///
    /// # Errors
    ///
    /// `File`, or those of [`PriceList::add`].
    pub fn read(&mut self, toml: &str, rates: &mut Rates) -> Result<(), ListError> {
        let file: File = toml::from_str(toml).map_err(|error| ListError::File(error.to_string()))?;
        for (currency, rate) in file.rates {
            rates.add(&format!("{currency}={rate}"))?;
        }
        for entry in file.price {
            self.add_price(&entry.path, &entry.amount, rates, entry.description)?;
        }
        Ok(())
    }

    /// Adds `/weather=25 sat`.
    ///
    /// # Errors
    ///
    /// `Assignment`, or those of [`PriceList::add`].
    pub fn assign(&mut self, text: &str, rates: &Rates) -> Result<(), ListError> {
        let (pattern, price) = text.rsplit_once('=').ok_or_else(|| ListError::Assignment(text.to_owned()))?;
        self.add_price(pattern, price, rates, None)
    }

    fn add_price(
        &mut self,
        pattern: &str,
        price: &str,
        rates: &Rates,
        description: Option<String>,
    ) -> Result<(), ListError> {
        let (price, unit) = price.split_once(" per ").map_or((price, None), |(price, unit)| (price, Some(unit)));
        let amount = rates.price(price)?;
        let meter = unit.map(|unit| Meter::parse(unit).ok_or_else(|| ListError::Unit(unit.to_owned()))).transpose()?;
        if meter.is_some() && amount.is_zero() {
            return Err(ListError::FreeUnit(pattern.to_owned()));
        }
        self.insert(pattern, amount, meter, description)
    }

    /// Adds a price in wei.
    ///
    /// # Errors
    ///
    /// `Pattern`, `Twice`, `TooMany`.
    pub fn add(&mut self, text: &str, amount: U256, description: Option<String>) -> Result<(), ListError> {
        self.insert(text, amount, None, description)
    }

    fn insert(
        &mut self,
        text: &str,
        amount: U256,
        meter: Option<Meter>,
        description: Option<String>,
    ) -> Result<(), ListError> {
        let (method, pattern) = parse(text).ok_or_else(|| ListError::Pattern(text.to_owned()))?;
        if self.0.iter().any(|entry| (&entry.method, &entry.pattern) == (&method, &pattern)) {
            return Err(ListError::Twice(text.to_owned()));
        }
        if self.0.len() == MOST_ENTRIES {
            return Err(ListError::TooMany);
        }
        self.0.push(Entry { method, pattern, amount, meter, description });
        self.0.sort_by_key(|entry| std::cmp::Reverse(entry.rank()));
        Ok(())
    }

    /// What a request of this method and plain path ([`path::plain`]) costs. A `HEAD` costs what a `GET` does.
    #[must_use]
    pub fn find(&self, method: &str, path: &str) -> Option<&Entry> {
        let method = if method == "HEAD" { "GET" } else { method };
        self.0.iter().find(|entry| entry.method.as_deref().is_none_or(|of| of == method) && entry.pattern.matches(path))
    }

    /// Prices that whoever writes a path otherwise may get around: servers that take `/PAID`, `/paid/` or `/paid.` for `/paid` answer it at the price of a wildcard
    /// around it. Each dearer pattern with a cheaper one, and the path in between; some of them, if there are many.
    #[must_use]
    pub fn loopholes(&self) -> Vec<Loophole<'_>> {
        let wildcards: Vec<_> = self.0.iter().filter(|entry| matches!(entry.pattern, Pattern::Below(_))).collect();
        let exact = |path: &str| self.0.iter().any(|entry| matches!(&entry.pattern, Pattern::Exact(of) if of == path));
        let around = |dear: &'_ Entry| {
            let written = dear.pattern.written_otherwise();
            let method = |cheap: &Entry| dear.method.is_none() || cheap.method.is_none() || dear.method == cheap.method;
            written.into_iter().filter(|path| !wildcards.is_empty() && !exact(path)).find_map(|path| {
                let first = wildcards.iter().find(|cheap| method(cheap) && cheap.pattern.matches(&path))?;
                (first.amount < dear.amount).then_some((path, *first))
            })
        };
        let loophole = |dear| around(dear).map(|(path, cheap)| Loophole { dear, cheap, path });
        self.0.iter().filter_map(loophole).take(MOST_LOOPHOLES).collect()
    }

    /// Prices by the request that bring less than this; free ones are meant to, and what is metered has no transaction of its own.
    pub fn below(&self, cost: U256) -> impl Iterator<Item = &Entry> {
        self.0.iter().filter(move |entry| entry.meter.is_none() && !entry.amount.is_zero() && entry.amount < cost)
    }

    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.0.iter()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn parse(text: &str) -> Option<(Option<String>, Pattern)> {
    let (method, path) = match text.trim().split_once(' ') {
        Some((method, path)) => (Some(method.to_owned()), path.trim()),
        None => (None, text.trim()),
    };
    if method
        .as_deref()
        .is_some_and(|method| method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_uppercase()))
    {
        return None;
    }
    let pattern = match path.strip_suffix('*') {
        Some(above) if above.ends_with('/') => Pattern::Below(path::plain(above).ok()?),
        Some(_) => return None,
        None => Pattern::Exact(path::plain(path).ok()?),
    };
    if path.trim_end_matches('*').contains(['*', '?', '#']) {
        return None;
    }
    Some((method, pattern))
}

impl std::fmt::Display for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let method = self.method.iter().flat_map(|method| [method.as_str(), " "]).collect::<String>();
        match &self.pattern {
            Pattern::Exact(path) => write!(f, "{method}{path}"),
            Pattern::Below(above) => write!(f, "{method}{above}*"),
        }
    }
}

impl Entry {
    /// The more specific, the greater.
    fn rank(&self) -> (bool, usize, bool) {
        match &self.pattern {
            Pattern::Exact(path) => (true, path.len(), self.method.is_some()),
            Pattern::Below(path) => (false, path.len(), self.method.is_some()),
        }
    }
}

impl Pattern {
    /// Plain paths that are other ones here, and the same to some servers.
    fn written_otherwise(&self) -> Vec<String> {
        let (Self::Exact(path) | Self::Below(path)) = self;
        let bare = path.strip_suffix('/').unwrap_or(path);
        let below = if matches!(self, Self::Below(_)) { "/x" } else { "" };
        let mut written = vec![format!("{}{below}", bare.to_ascii_uppercase()), format!("{bare}.{below}")];
        if below.is_empty() {
            written.push(if bare.len() == path.len() { format!("{path}/") } else { bare.to_owned() });
        }
        written.retain(|written| !self.matches(written) && written.starts_with('/'));
        written
    }

    fn matches(&self, path: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == path,
            Self::Below(above) => path.starts_with(above.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &[&str]) -> PriceList {
        let mut list = PriceList::default();
        entries.iter().for_each(|entry| list.assign(entry, &Rates::default()).expect("a price"));
        list
    }

    fn sat(list: &PriceList, method: &str, path: &str) -> Option<u64> {
        list.find(method, path).map(|entry| (entry.amount / U256::from(contracts::coin::WEI_PER_SAT)).to())
    }

    #[test]
    fn the_most_specific_pattern_sets_the_price() {
        let list = list(&[
            "/*=1 sat",
            "/api/*=5 sat",
            "/api/free=0 sat",
            "/api/v2/*=7 sat",
            "POST /api/*=9 sat",
            "POST /api/free=2 sat",
        ]);
        for (method, path, want) in [
            ("GET", "/", 1),
            ("GET", "/api", 1),
            ("GET", "/api/", 5),
            ("GET", "/api/x", 5),
            ("HEAD", "/api/x", 5),
            ("POST", "/api/x", 9),
            ("GET", "/api/free", 0),
            ("POST", "/api/free", 2),
            ("GET", "/api/v2/x", 7),
            ("POST", "/api/v2/x", 7),
        ] {
            assert_eq!(sat(&list, method, path), Some(want), "{method} {path}");
        }
    }

    #[test]
    fn what_is_not_listed_has_no_price() {
        let list = list(&["/weather=25 sat", "GET /reports/*=3 sat"]);
        for (method, path) in
            [("GET", "/"), ("GET", "/weather/"), ("GET", "/weathers"), ("POST", "/reports/1"), ("GET", "/reports")]
        {
            assert_eq!(sat(&list, method, path), None, "{method} {path}");
        }
    }

    #[test]
    fn a_cheaper_wildcard_around_a_dearer_path_is_told() {
        let told = |entries: &[&str]| {
            let list = list(entries);
            let told = list.loopholes().iter().map(|way| format!("{} {} {}", way.dear, way.path, way.cheap)).collect();
            let told: Vec<String> = told;
            told
        };
        assert_eq!(told(&["/*=0 sat", "/paid=25 sat"]), ["/paid /PAID /*"]);
        assert_eq!(told(&["/*=0 sat", "/api/*=5 sat"]), ["/api/* /API/x /*"]);
        assert_eq!(told(&["/a/*=0 sat", "/a/PAID=25 sat"]), ["/a/PAID /a/PAID. /a/*"]);
        assert_eq!(told(&["GET /*=0 sat", "/1/=25 sat"]), ["/1/ /1 GET /*"]);
        for closed in
            [&["/*=25 sat", "/paid=25 sat"][..], &["/*=25 sat", "/free=0 sat"], &["/free/*=0 sat", "/paid=25 sat"]]
        {
            assert_eq!(told(closed), Vec::<String>::new(), "{closed:?}");
        }
        assert!(told(&["GET /*=0 sat", "POST /paid=25 sat"]).is_empty());
    }

    #[test]
    fn prices_below_a_cost_are_told_and_free_pages_are_not() {
        let list = list(&["/a=1 sat", "/b=7 sat", "/c=0 sat", "GET /d/*=6 sat", "/e=0.1 sat per event"]);
        let cost = U256::from(7 * contracts::coin::WEI_PER_SAT);
        assert_eq!(list.below(cost).map(ToString::to_string).collect::<Vec<_>>(), ["/a", "GET /d/*"]);
    }

    #[test]
    fn a_file_has_prices_and_rates() {
        let toml = "[rates]\nUSD = \"100000\"\n[[price]]\npath = \"/weather\"\namount = \"0.01 USD\"\ndescription = \"The weather\"\n";
        let (mut list, mut rates) = (PriceList::default(), Rates::default());
        list.read(toml, &mut rates).expect("a list");
        assert_eq!(sat(&list, "GET", "/weather"), Some(10));
        let misspelt = toml.replace("amount", "amuont");
        assert!(matches!(PriceList::default().read(&misspelt, &mut rates), Err(ListError::File(_))));
    }

    #[test]
    fn a_price_may_be_by_the_unit() {
        let list = list(&["POST /v1/chat=0.1 sat per token, at least 50", "/raw/*=2 sat per kilobyte"]);
        let entry = list.find("POST", "/v1/chat").expect("a price");
        assert_eq!(entry.meter, Meter::parse("token, at least 50"));
        assert_eq!(entry.amount, U256::from(contracts::coin::WEI_PER_SAT / 10));
        for wrong in ["/a=1 sat per", "/a=1 sat per x y", "/a=0 sat per token", "/a=1 sat pro token"] {
            assert!(PriceList::default().assign(wrong, &Rates::default()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in [
            "weather=1 sat",
            "/a*=1 sat",
            "/*/b=1 sat",
            "/a?b=1 sat",
            "/a/../b=1 sat",
            "get /a=1 sat",
            " =1 sat",
            "/a=b=1 sat/",
        ] {
            assert!(PriceList::default().assign(text, &Rates::default()).is_err(), "{text}");
        }
        let mut list = list(&["/a=1 sat"]);
        assert_eq!(list.assign("/a=2 sat", &Rates::default()), Err(ListError::Twice("/a".into())));
    }
}
