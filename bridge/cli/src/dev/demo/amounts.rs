//! What the demo moves.

use bitcoin::Amount;

/// What the user starts with on Bitcoin.
pub const INITIAL_FUNDS: Amount = Amount::from_int_btc(2);
pub const PEG_IN: Amount = Amount::from_int_btc(1);
pub const PEG_OUT: Amount = Amount::from_sat(50_000_000);
/// The most that a sweep may cost.
pub const MAX_FEE: Amount = Amount::from_sat(20_000);
/// How many payments are made off-chain.
pub const PAYMENTS: u64 = 1_000;
/// The value of each.
pub const PAYMENT: Amount = Amount::from_sat(1_000);
/// What the payee gets for the gas of its claim, by a plain transfer.
pub const GAS_MONEY: Amount = Amount::from_sat(100_000);
/// What is made tokens of.
pub const WRAPPED: Amount = Amount::from_sat(10_000);
/// What a page over HTTP costs.
pub const PAGE: Amount = Amount::from_sat(25);
