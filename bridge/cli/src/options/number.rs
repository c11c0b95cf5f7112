//! Numbers and ids that the ledger and Bitcoin give, as people type them.

use bitcoin::Txid;

/// Reads a withdrawal's number.
///
/// # Errors
///
/// It is none.
pub fn withdrawal(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| "a withdrawal has a number, as `causeway peg-out` printed it, e.g. 7".to_owned())
}

/// Reads a pause's number.
///
/// # Errors
///
/// It is none.
pub fn pause(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| "a pause has a number, as `causeway status` shows it, e.g. 3".to_owned())
}

/// Reads the id of a transaction on Bitcoin.
///
/// # Errors
///
/// It is none.
pub fn txid(text: &str) -> Result<Txid, String> {
    text.parse().map_err(|_| "a transaction id is 64 hex digits, as `causeway status` shows it".to_owned())
}
