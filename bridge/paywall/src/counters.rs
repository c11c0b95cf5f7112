//! What a paywall has done, as Prometheus reads it (text format 0.0.4).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use alloy_primitives::U256;

/// Upper bounds of the histogram of settlements, in milliseconds: a block comes each half second to two seconds.
const BOUNDS_MS: [u64; 8] = [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000];

const CLAIMS: [(&str, &str); 4] = [
    ("claims_total", "Transactions that claimed vouchers of channels."),
    ("claimed_channels_total", "Channels in them."),
    ("claimed_wei_total", "Wei of the token that were claimed."),
    ("claim_gas_wei_total", "Wei of gas that claims cost."),
];

#[derive(Clone, Debug, Default)]
pub struct Counters {
    /// By protocol.
    paid: BTreeMap<&'static str, u64>,
    /// By code.
    refused: BTreeMap<&'static str, u64>,
    free: u64,
    repeated: u64,
    wei: U256,
    /// Claims of channels of `batch-settlement`: transactions, channels in them, wei, wei of gas.
    claims: [u128; 4],
    settlements: [u64; BOUNDS_MS.len() + 1],
    settled_ms: u64,
}

/// What is so at the moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gauges {
    pub connections: usize,
    pub in_flight: usize,
    pub remembered: usize,
    /// Wei with which the payee's account pays for gas.
    pub gas_balance: Option<U256>,
    pub chain_is_up: bool,
    /// Channels that are remembered, and wei that were charged in them and are not claimed yet.
    pub channels: usize,
    pub unclaimed: u128,
}

impl Counters {
    pub fn paid(&mut self, protocol: &'static str, amount: U256) {
        *self.paid.entry(protocol).or_default() += 1;
        self.wei = self.wei.saturating_add(amount);
    }

    pub fn refused(&mut self, code: &'static str) {
        *self.refused.entry(code).or_default() += 1;
    }

    pub fn free(&mut self) {
        self.free += 1;
    }

    pub fn repeated(&mut self) {
        self.repeated += 1;
    }

    /// Vouchers of so many channels were claimed by one transaction.
    pub fn claimed(&mut self, channels: usize, wei: u128, gas_wei: u128) {
        for (sum, more) in self.claims.iter_mut().zip([1, channels as u128, wei, gas_wei]) {
            *sum = sum.saturating_add(more);
        }
    }

    pub fn settled(&mut self, took_ms: u64) {
        let bucket = BOUNDS_MS.iter().position(|bound| took_ms <= *bound).unwrap_or(BOUNDS_MS.len());
        self.settlements[bucket] += 1;
        self.settled_ms = self.settled_ms.saturating_add(took_ms);
    }

    #[must_use]
    pub fn text(&self, gauges: &Gauges) -> String {
        let mut text = String::new();
        family(&mut text, "paid_total", "counter", "Requests that were paid for and answered.");
        self.paid
            .iter()
            .for_each(|(protocol, count)| line(&mut text, &format!("paid_total{{protocol=\"{protocol}\"}}"), count));
        family(
            &mut text,
            "refused_total",
            "counter",
            "Requests that were refused, by the code of their problem document.",
        );
        self.refused
            .iter()
            .for_each(|(code, count)| line(&mut text, &format!("refused_total{{code=\"{code}\"}}"), count));
        for (name, help, value) in [
            ("free_total", "Requests that cost nothing.", self.free.to_string()),
            ("repeated_total", "Answers given again by Idempotency-Key.", self.repeated.to_string()),
            ("paid_wei_total", "Wei of the token that were paid.", self.wei.to_string()),
        ] {
            family(&mut text, name, "counter", help);
            line(&mut text, name, value);
        }
        for ((name, help), value) in CLAIMS.iter().zip(self.claims) {
            family(&mut text, name, "counter", help);
            line(&mut text, name, value);
        }
        self.histogram(&mut text);
        let balance = gauges.gas_balance.map_or_else(|| "NaN".to_owned(), |balance| balance.to_string());
        for (name, help, value) in [
            ("connections", "Open connections.", gauges.connections.to_string()),
            ("settlements_in_flight", "Payments that are being settled.", gauges.in_flight.to_string()),
            ("payments_remembered", "Payments that can still be shown again.", gauges.remembered.to_string()),
            ("gas_balance_wei", "Coins of the account that pays for gas.", balance),
            ("channels", "Channels of batch-settlement that are remembered.", gauges.channels.to_string()),
            (
                "unclaimed_wei",
                "Wei that were charged in channels and are not claimed yet.",
                gauges.unclaimed.to_string(),
            ),
            ("chain_up", "Whether the chain answers.", u8::from(gauges.chain_is_up).to_string()),
        ] {
            family(&mut text, name, "gauge", help);
            line(&mut text, name, value);
        }
        text
    }

    fn histogram(&self, text: &mut String) {
        family(text, "settlement_milliseconds", "histogram", "From the first check of a payment to its final receipt.");
        let mut sum = 0;
        for (bound, count) in BOUNDS_MS.iter().map(u64::to_string).chain(["+Inf".to_owned()]).zip(self.settlements) {
            sum += count;
            line(text, &format!("settlement_milliseconds_bucket{{le=\"{bound}\"}}"), sum);
        }
        line(text, "settlement_milliseconds_sum", self.settled_ms);
        line(text, "settlement_milliseconds_count", sum);
    }
}

pub(crate) fn family(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# HELP causeway_paywall_{name} {help}\n# TYPE causeway_paywall_{name} {kind}");
}

pub(crate) fn line(text: &mut String, name: &str, value: impl std::fmt::Display) {
    let _ = writeln!(text, "causeway_paywall_{name} {value}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happened_is_counted_and_the_histogram_adds_up() {
        let mut counters = Counters::default();
        counters.paid("x402", U256::from(7));
        counters.refused("replayed");
        counters.refused("replayed");
        for took in [100, 600, 700, 99_000] {
            counters.settled(took);
        }
        let text = counters.text(&Gauges { in_flight: 3, ..Gauges::default() });
        for wanted in [
            "causeway_paywall_paid_total{protocol=\"x402\"} 1\n",
            "causeway_paywall_refused_total{code=\"replayed\"} 2\n",
            "causeway_paywall_paid_wei_total 7\n",
            "causeway_paywall_settlement_milliseconds_bucket{le=\"250\"} 1\n",
            "causeway_paywall_settlement_milliseconds_bucket{le=\"1000\"} 3\n",
            "causeway_paywall_settlement_milliseconds_bucket{le=\"+Inf\"} 4\n",
            "causeway_paywall_settlement_milliseconds_sum 100400\n",
            "causeway_paywall_settlements_in_flight 3\n",
        ] {
            assert!(text.contains(wanted), "{wanted}{text}");
        }
    }
}
