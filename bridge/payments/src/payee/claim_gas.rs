//! What a claim takes of a transaction's gas at the most: whoever opens a channel chooses whose code runs when it is claimed, and must not be able to fill the
//! transaction in which others are claimed. Bounds of `Funds.sol` and `Vouchers.sol`, with what a payment that is refused costs beside.

use crate::channel::Channel;

/// Claims of one transaction: 2^24 may be used (EIP-7825), EIP-150 keeps a 64th back, and the contract wants 340,000 left before it pays.
pub const MOST_GAS: u64 = 16_000_000;
/// Vouchers of one transaction, whatever they take: its bytes are bounded, too.
pub const MAX_CLAIMS: usize = 200;

/// A voucher of the payer's key over coins for an account: measured are 17,000 to 30,000 beside others.
pub const PLAIN: u64 = 40_000;
/// A contract that signs is asked with 100,000.
const ASKED: u64 = 115_000;
/// Coins to code: 50,000, and a new entry of what is owed.
const COIN: u64 = 80_000;
/// A token that the payee chose, and that does what tokens do: `WrappedBtc` takes 25,000 more than coins.
const TOKEN: u64 = 40_000;
/// One that does its worst: 200,000, two balances, and a new entry.
const WORST_TOKEN: u64 = 335_000;
/// `MAX_SPLITS` in `MicroChannel.sol`.
const SPLITS: u64 = 16;

/// Gas of a claim. `is_known`: its token is the payee's choice.
#[must_use]
pub fn of(channel: &Channel, is_known: bool) -> u64 {
    let each = match (channel.token.is_zero(), is_known) {
        (true, _) => COIN,
        (false, true) => TOKEN,
        (false, false) => WORST_TOKEN,
    };
    let asked = if channel.signer_has_code { ASKED } else { 0 };
    let splits = if channel.has_splits { SPLITS * each } else { 0 };
    let token = if channel.token.is_zero() { 0 } else { each };
    PLAIN + asked + splits + token
}

/// What a claim costs, where a plain one costs `plain`.
#[must_use]
pub fn cost(gas: u64, plain: u128) -> u128 {
    plain.saturating_mul(gas.into()) / u128::from(PLAIN)
}

/// How many claims, in their order, one transaction takes; at least one.
#[must_use]
pub fn fitting(gas: impl IntoIterator<Item = u64>) -> usize {
    let mut left = MOST_GAS;
    let fits = |gas: &u64| left.checked_sub(*gas).map(|rest| left = rest).is_some();
    gas.into_iter().take(MAX_CLAIMS).take_while(fits).count().max(1)
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Address, B256};

    use super::*;

    fn channel() -> Channel {
        Channel::opened(B256::ZERO, Address::repeat_byte(1), Address::ZERO, Address::repeat_byte(2), 1)
    }

    #[test]
    fn the_worst_channel_fits_alone_and_plain_ones_two_hundred_together() {
        let worst = Channel { token: Address::repeat_byte(7), signer_has_code: true, has_splits: true, ..channel() };
        let gas = of(&worst, false);
        assert!(gas < MOST_GAS, "{gas}");
        assert_eq!(fitting([gas; 5]), 2);
        assert_eq!(fitting([of(&channel(), true); 300]), MAX_CLAIMS);
        assert_eq!(fitting([u64::MAX; 2]), 1, "whoever sends it sees what becomes of it");
    }

    #[test]
    fn what_costs_more_gas_is_to_be_worth_more() {
        let split = Channel { has_splits: true, ..channel() };
        assert_eq!(cost(of(&channel(), true), 10), 10);
        assert_eq!(cost(of(&split, true), 10), 330);
        assert_eq!(cost(u64::MAX, u128::MAX), u128::MAX / u128::from(PLAIN));
    }
}
