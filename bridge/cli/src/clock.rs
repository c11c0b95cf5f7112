//! The time of this machine, with an error for people.

use eyre::{Result, WrapErr};

/// Seconds since 1970.
///
/// # Errors
///
/// The clock is before 1970.
pub fn now() -> Result<u64> {
    bridge::io::clock::now().wrap_err("the clock of this machine is before 1970")
}
