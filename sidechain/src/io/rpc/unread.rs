//! Bytes of answers that clients have not read yet: bounded for each client by its share, and for each connection.
//!
//! A client without limits has no share of its own: what some of its connections leave unread must not take the room of the others, so each of them
//! has one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::shares::{Hold, Holder, Limit, Resource, Shares};
use crate::access::Client;

/// What one connection's client has not read yet.
#[derive(Clone, Debug)]
pub struct Unread {
    shares: Arc<Shares>,
    holder: Holder,
    most: u64,
    bytes: Arc<AtomicU64>,
}

/// Some of it, until it is dropped.
#[derive(Debug)]
pub struct UnreadBytes {
    hold: Hold,
    count: u64,
    bytes: Arc<AtomicU64>,
}

impl Drop for UnreadBytes {
    fn drop(&mut self) {
        self.bytes.fetch_sub(self.count, Ordering::Relaxed);
    }
}

impl Unread {
    /// For a connection that may have `most` bytes unread.
    pub fn new(shares: Arc<Shares>, client: Client, most: u64) -> Self {
        let holder = shares.reader(client);
        Self { shares, holder, most, bytes: Arc::default() }
    }

    /// Counts so many bytes, until the answer is dropped.
    ///
    /// # Errors
    ///
    /// `OfConnection`, `OfAddress`, `OfNode`.
    pub fn hold(&self, count: u64) -> Result<UnreadBytes, Limit> {
        let hold = self.shares.hold_for(self.holder, Resource::OutgoingBytes, 0)?;
        self.grow(UnreadBytes { hold, count: 0, bytes: self.bytes.clone() }, count)
    }

    /// Counts more.
    ///
    /// # Errors
    ///
    /// As [`Self::hold`]; what was counted is given back.
    pub fn grow(&self, mut held: UnreadBytes, count: u64) -> Result<UnreadBytes, Limit> {
        let before = self.bytes.fetch_add(count, Ordering::Relaxed);
        held.count += count;
        if before.saturating_add(count) > self.most {
            return Err(Limit::OfConnection { what: Resource::OutgoingBytes.name(), limit: self.most });
        }
        self.shares.grow_held(&mut held.hold, count)?;
        Ok(held)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::*;
    use crate::access::Source;

    // 256 MiB in all, and 8 MiB of them unread by each of 32 connections of a client without limits
    #[test]
    fn what_many_connections_of_a_client_without_limits_leave_unread_leaves_room_for_its_others() {
        let settings = Settings::new(([127, 0, 0, 1], 0).into());
        let (shares, most) = (Shares::new(settings.rules), settings.max_unread_per_socket);
        let client = Client { source: Source::V4(std::net::Ipv4Addr::LOCALHOST), limited: false };
        let connections = |count: usize| (0..count).map(|_| Unread::new(shares.clone(), client, most));
        let full: Vec<_> = connections(32).map(|one| (one.hold(8 << 20).expect("room"), one)).collect();
        assert!(
            full.iter().all(|(_, one)| matches!(one.hold(1), Err(Limit::OfNode { .. }))),
            "they have what there is"
        );
        for (number, other) in connections(40).enumerate() {
            assert!(other.hold(1 << 20).is_ok(), "connection {number} is served");
        }
        let also: Vec<_> = connections(1_000).filter_map(|other| Some((other.hold(7 << 20).ok()?, other))).collect();
        assert!(!also.is_empty() && shares.count(Resource::OutgoingBytes).1 <= 512 << 20, "and all have an end");
        drop((full, also));
        assert_eq!(shares.count(Resource::OutgoingBytes), (0, 0), "nothing is remembered");
    }

    // 100 bytes for a connection, and no limit for its client
    #[test]
    fn a_connection_has_a_bound_of_its_own_and_takes_no_room_of_its_clients_others() {
        let settings = Settings::new(([127, 0, 0, 1], 0).into());
        let shares = Shares::new(settings.rules);
        let client = Client { source: Source::V4(std::net::Ipv4Addr::LOCALHOST), limited: false };
        let (one, other) = (Unread::new(shares.clone(), client, 100), Unread::new(shares.clone(), client, 100));
        let held = one.hold(60).expect("room");
        let refused = one.hold(41).expect_err("too much");
        assert!(matches!(refused, Limit::OfConnection { limit: 100, .. }), "{refused}");
        let held = one.grow(held, 40).expect("what was refused is given back");
        assert_eq!(shares.count(Resource::OutgoingBytes).1, 100);
        assert!(other.hold(100).is_ok() && one.hold(1).is_err());
        assert!(one.grow(held, 1).is_err() && one.hold(100).is_ok(), "with it goes what was there");
        assert_eq!(shares.count(Resource::OutgoingBytes).1, 0);
    }
}
