//! Time as blocks, the pool and the RPC count it: milliseconds since 1970 (Unix time).

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds from 1970 to `time`; 0 when it is earlier.
#[must_use]
pub fn unix_ms(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Milliseconds from 1970 until now, by this machine's clock.
#[must_use]
pub fn now_ms() -> u64 {
    unix_ms(SystemTime::now())
}
