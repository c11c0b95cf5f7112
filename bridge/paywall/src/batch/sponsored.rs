//! Gas of deposits that a facilitator brings for servers whose ledgers it does not know: what a channel was claimed for has to pay for it, beside some credit.
//!
//! A payer gets its deposits back by one transaction of its own, however many there were; without a bound each would cost the payee its gas for nothing.

use std::collections::BTreeMap;

use alloy_primitives::B256;

use super::refusal::Flaw;

/// Deposits on credit: a server claims now and then, not after each of them.
const CREDIT: u128 = 4;
/// Channels that are remembered.
const MOST: usize = 100_000;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sponsored(BTreeMap<B256, u128>);

impl Sponsored {
    /// Whether one more deposit of this cost is brought for a channel of which so much was claimed.
    ///
    /// # Errors
    ///
    /// `GasNotPaid`.
    pub fn check(&self, channel: B256, claimed: u128, cost: u128) -> Result<(), Flaw> {
        let gas = self.0.get(&channel).copied().unwrap_or_default().saturating_add(cost);
        let paid = claimed.saturating_add(cost.saturating_mul(CREDIT));
        if gas <= paid { Ok(()) } else { Err(Flaw::GasNotPaid { paid: claimed, gas, is_refund: false }) }
    }

    /// Whether none was brought for this channel before.
    #[must_use]
    pub fn is_new(&self, channel: B256) -> bool {
        !self.0.contains_key(&channel)
    }

    /// A deposit was brought.
    pub fn spent(&mut self, channel: B256, wei: u128) {
        if self.0.len() >= MOST && !self.0.contains_key(&channel) {
            self.0.pop_first();
        }
        let gas = self.0.entry(channel).or_default();
        *gas = gas.saturating_add(wei);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deposits_are_brought_on_credit_until_something_is_claimed() {
        let (mut sponsored, channel) = (Sponsored::default(), B256::ZERO);
        let brought = |sponsored: &mut Sponsored, claimed| {
            (0..100)
                .take_while(|_| sponsored.check(channel, claimed, 16).map(|()| sponsored.spent(channel, 16)).is_ok())
                .count()
        };
        assert_eq!(brought(&mut sponsored, 0), 4);
        assert_eq!(brought(&mut sponsored, 0), 0);
        assert_eq!(brought(&mut sponsored, 40), 2);
        assert!(sponsored.check(B256::repeat_byte(1), 0, 16).is_ok(), "another channel");
    }
}
