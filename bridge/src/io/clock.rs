//! The time of this machine.

use std::time::{SystemTime, SystemTimeError, UNIX_EPOCH};

/// Seconds since 1970.
///
/// # Errors
///
/// The clock is before 1970.
pub fn now() -> Result<u64, SystemTimeError> {
    SystemTime::now().duration_since(UNIX_EPOCH).map(|since| since.as_secs())
}
