//! How a transaction is signed whose amount was made for one price of its gas.

use bridge::io::sidechain::{Call, Fees};

/// Gas that every transaction takes, and all that one takes which just sends coins to an account without code.
pub const LEAST_GAS: u64 = 21_000;

/// Nonce and price that the amount was made for.
#[derive(Clone, Debug)]
pub struct Exact {
    pub nonce: u64,
    pub fees: Fees,
    /// An earlier one that it stands in for: the fee is another, and with it the amount.
    pub instead_of: Option<Call>,
}
