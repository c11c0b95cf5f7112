//! The time of this machine.

use std::time::{SystemTime, UNIX_EPOCH};

use eyre::{Result, WrapErr};

/// Seconds since 1970.
///
/// # Errors
///
/// The clock is before 1970.
pub fn now() -> Result<u64> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Ok(since.wrap_err("the clock of this machine is before 1970")?.as_secs())
}
