//! Prometheus' text format, version 0.0.4 (prometheus.io, "Exposition formats").
//!
//! Each name is written once, with its help and its type, and all samples of it below. Numbers are integers or thousandths, written without rounding.

use std::fmt::{self, Write as _};
use std::time::Duration;

/// The value of its `Content-Type`.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A page of metrics that is being written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    text: String,
}

/// A number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    Whole(i128),
    /// Of which a thousand are one.
    Thousandths(i128),
}

impl Value {
    /// Milliseconds, as seconds.
    #[must_use]
    pub fn seconds(ms: impl Into<i128>) -> Self {
        Self::Thousandths(ms.into())
    }
}

impl From<Duration> for Value {
    fn from(time: Duration) -> Self {
        Self::Thousandths(i128::try_from(time.as_millis()).unwrap_or(i128::MAX))
    }
}

impl From<usize> for Value {
    fn from(count: usize) -> Self {
        Self::Whole(i128::try_from(count).unwrap_or(i128::MAX))
    }
}

macro_rules! whole {
    ($($kind:ty),*) => { $(impl From<$kind> for Value { fn from(number: $kind) -> Self { Self::Whole(number.into()) } })* };
}
whole!(bool, u32, i32, u64, i64);

impl fmt::Display for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(number) => write!(formatter, "{number}"),
            Self::Thousandths(number) => {
                let (sign, number) = (if *number < 0 { "-" } else { "" }, number.unsigned_abs());
                write!(formatter, "{sign}{}.{:03}", number / 1000, number % 1000)
            }
        }
    }
}

impl Page {
    /// A number that goes up and down.
    pub fn gauge(&mut self, name: &str, help: &str, value: impl Into<Value>) {
        self.samples(name, help, "gauge", None::<(&str, [(&str, Value); 0])>, Some(value.into()));
    }

    /// The same, if it is known.
    pub fn known(&mut self, name: &str, help: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.gauge(name, help, value);
        }
    }

    /// A number that only goes up, from 0 at each start; its name ends in `_total`.
    pub fn counter(&mut self, name: &str, help: &str, value: impl Into<Value>) {
        self.samples(name, help, "counter", None::<(&str, [(&str, Value); 0])>, Some(value.into()));
    }

    /// Gauges of one name, by a label.
    pub fn gauges<L: AsRef<str>>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        samples: impl IntoIterator<Item = (L, Value)>,
    ) {
        self.samples(name, help, "gauge", Some((label, samples)), None);
    }

    /// Counters of one name, by a label.
    pub fn counters<L: AsRef<str>>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        samples: impl IntoIterator<Item = (L, Value)>,
    ) {
        self.samples(name, help, "counter", Some((label, samples)), None);
    }

    /// How often something was measured, and the sum of what was.
    pub fn summary(&mut self, name: &str, help: &str, count: u64, sum: impl Into<Value>) {
        self.head(name, help, "summary");
        let sum = sum.into();
        let _ = write!(self.text, "{name}_sum {sum}\n{name}_count {count}\n"); // A string takes whatever is written.
    }

    /// The whole page.
    #[must_use]
    pub fn finish(self) -> String {
        self.text
    }

    fn head(&mut self, name: &str, help: &str, kind: &str) {
        let help = escaped(help, false);
        let _ = write!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn samples<L: AsRef<str>>(
        &mut self,
        name: &str,
        help: &str,
        kind: &str,
        labelled: Option<(&str, impl IntoIterator<Item = (L, Value)>)>,
        plain: Option<Value>,
    ) {
        self.head(name, help, kind);
        if let Some(value) = plain {
            let _ = writeln!(self.text, "{name} {value}");
        }
        let Some((label, samples)) = labelled else { return };
        for (of, value) in samples {
            let of = escaped(of.as_ref(), true);
            let _ = writeln!(self.text, "{name}{{{label}=\"{of}\"}} {value}");
        }
    }
}

/// A label's value, or a help text, in which nothing ends the line or the value.
fn escaped(text: &str, is_label: bool) -> String {
    let text = text.replace('\\', "\\\\").replace('\n', "\\n");
    if is_label { text.replace('"', "\\\"") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_a_help_and_a_type_before_its_samples() {
        let mut page = Page::default();
        page.gauge("a_height", "Of the head.", 7u64);
        page.known("a_lag_seconds", "Unknown.", None::<u64>);
        page.counters("a_votes_total", "Cast.", "kind", [("notarize", 3u64.into()), ("finalize", 2u64.into())]);
        page.summary("a_work_seconds", "Time of it.", 2, Duration::from_millis(1_050));
        let want = "# HELP a_height Of the head.\n# TYPE a_height gauge\na_height 7\n\
            # HELP a_votes_total Cast.\n# TYPE a_votes_total counter\na_votes_total{kind=\"notarize\"} 3\na_votes_total{kind=\"finalize\"} 2\n\
            # HELP a_work_seconds Time of it.\n# TYPE a_work_seconds summary\na_work_seconds_sum 1.050\na_work_seconds_count 2\n";
        assert_eq!(page.finish(), want);
    }

    #[test]
    fn thousandths_are_not_rounded_also_below_zero() {
        let shown = [-1i64, -1_000, 0, 999, 1_001].map(|ms| Value::seconds(ms).to_string());
        assert_eq!(shown, ["-0.001", "-1.000", "0.000", "0.999", "1.001"]);
        assert_eq!(Value::from(i64::MIN).to_string(), i64::MIN.to_string());
    }

    #[test]
    fn no_label_ends_its_line() {
        let mut page = Page::default();
        page.gauges("a", "Two\nlines, \\ and \".", "of", [("x\"} 1\nb{of=\"\\", 1u64.into())]);
        assert_eq!(
            page.finish(),
            "# HELP a Two\\nlines, \\\\ and \".\n# TYPE a gauge\na{of=\"x\\\"} 1\\nb{of=\\\"\\\\\"} 1\n"
        );
    }
}
