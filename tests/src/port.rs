//! Ports of this machine for processes that tests start.

use std::net::TcpListener;

/// A port that was free a moment ago.
///
/// # Panics
///
/// When the machine has none.
#[must_use]
pub fn free() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("the machine has free ports");
    listener.local_addr().expect("a bound socket has an address").port()
}
