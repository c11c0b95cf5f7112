//! The time of this machine, with an error for people, and times as people read them.

use std::time::{Duration, UNIX_EPOCH};

use eyre::{Result, WrapErr};

/// Seconds since 1970.
///
/// # Errors
///
/// The clock is before 1970.
pub fn now() -> Result<u64> {
    bridge::io::clock::now().wrap_err("the clock of this machine is before 1970")
}

/// A time in seconds since 1970, for people.
pub fn time(seconds: u64) -> String {
    match UNIX_EPOCH.checked_add(Duration::from_secs(seconds)) {
        // Later years than 9999 have no such form.
        Some(time) if seconds < 253_402_300_800 => humantime::format_rfc3339_seconds(time).to_string(),
        _ => format!("{seconds} seconds after 1970"),
    }
}
