//! What each client holds and has used of the server, so that none uses up what others need.
//!
//! ```text
//!  hold(client, resource, amount) -> Hold      released when it is dropped
//!    1. a client holds at most its own bound (Settings::by_address)
//!    2. all together hold at most the server's (Settings::in_all); beyond it only those get more who hold less than an even
//!       share, up to twice the bound: a full server is full for those who filled it
//!    Clients without limits of their own are counted apart: what others hold takes no room of theirs. What they leave unread is
//!    counted by connection, for all that runs on the operator's machine is one client
//!  spend(client, time)                         work is paid after it was done, by the time it took
//! ```
//! The table is bounded itself: clients that hold nothing are forgotten when there are many.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jsonrpsee::types::ErrorObjectOwned;

use super::error;
use crate::access::{Client, Source};
use crate::counters::{Counters, LimitReached};
use crate::io::clock::now_ms;
use crate::rate::RateLimit;

/// Something that clients hold for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    Connections,
    Sockets,
    Requests,
    IncomingBytes,
    OutgoingBytes,
    Subscriptions,
    Filters,
}

impl Resource {
    const COUNT: usize = 7;

    /// As it is called in an error.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Sockets => "WebSocket connections",
            Self::Requests => "requests at a time",
            Self::IncomingBytes => "bytes of requests at a time",
            Self::OutgoingBytes => "bytes of answers that were not read yet",
            Self::Subscriptions => "subscriptions",
            Self::Filters => "filters",
        }
    }
}

/// How much may be held of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// HTTP and WebSocket together.
    pub connections: u64,
    /// WebSocket connections.
    pub sockets: u64,
    /// Requests that run or wait; a batch is one, for its items run one after another.
    pub requests: u64,
    /// Bytes of requests that are being received or answered.
    pub incoming_bytes: u64,
    /// Bytes of answers and subscriptions' messages that the client has not read yet.
    pub outgoing_bytes: u64,
    /// Subscriptions; one with many addresses and topics counts as several, see [`weight`].
    pub subscriptions: u64,
    /// Polled filters, counted as subscriptions are.
    pub filters: u64,
}

impl Bounds {
    /// No bound at all.
    pub const NONE: Self = Self {
        connections: u64::MAX,
        sockets: u64::MAX,
        requests: u64::MAX,
        incoming_bytes: u64::MAX,
        outgoing_bytes: u64::MAX,
        subscriptions: u64::MAX,
        filters: u64::MAX,
    };

    fn of(&self, resource: Resource) -> u64 {
        match resource {
            Resource::Connections => self.connections,
            Resource::Sockets => self.sockets,
            Resource::Requests => self.requests,
            Resource::IncomingBytes => self.incoming_bytes,
            Resource::OutgoingBytes => self.outgoing_bytes,
            Resource::Subscriptions => self.subscriptions,
            Resource::Filters => self.filters,
        }
    }
}

/// How many filters one with `values` addresses and topics counts as: what is bounded is memory, about 2 KiB each.
pub fn weight(values: usize) -> u64 {
    1 + values as u64 / 64
}

/// Why a client gets no more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Limit {
    /// It holds as much as one client may.
    #[error(
        "too many {what}: at most {limit} for one address (yours is {source_address}); wait for some to end, or run a node of your own"
    )]
    OfAddress { what: &'static str, limit: u64, source_address: Source },
    /// One of its connections holds as much as one may.
    #[error("too many {what}: at most {limit} for one connection; read them, or ask for less at a time")]
    OfConnection { what: &'static str, limit: u64 },
    /// All clients together hold as much as this node gives, and this one not less than an even share.
    #[error("this node is busy: {what} of all clients are at most {limit}; try later or another node")]
    OfNode { what: &'static str, limit: u64 },
    /// It used up its part of the node's time.
    #[error(
        "too much work: one address (yours is {source_address}) gets {ms_per_second} ms of a worker's time a second; try in {wait_ms} ms, ask for less, or run a node of your own"
    )]
    Work { source_address: Source, ms_per_second: u64, wait_ms: u64 },
    /// It registered as many deposit addresses as one client may.
    #[error(
        "too many deposit registrations: one address (yours is {source_address}) gets {limit} a minute; try later or another node, or register with a proof of the payment, which is always taken"
    )]
    Registrations { source_address: Source, limit: u32 },
}

impl From<Limit> for ErrorObjectOwned {
    fn from(limit: Limit) -> Self {
        error::limit(limit.to_string())
    }
}

/// The rules of [`Shares`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// For one client.
    pub by_address: Bounds,
    /// For all clients together.
    pub in_all: Bounds,
    /// Time of workers that one client gets in a second.
    pub work_per_second: Duration,
    /// What it may have saved up.
    pub work_burst: Duration,
    /// Deposit registrations that one client gets in a minute.
    pub registrations_per_minute: u32,
}

/// Clients that are remembered. About 200 bytes each.
const MAX_CLIENTS: usize = 10_000;

/// All clients' shares.
#[derive(Debug)]
pub struct Shares {
    rules: Rules,
    table: Mutex<Table>,
    counters: Arc<Counters>,
    /// Number of the last connection that is counted apart.
    connections: AtomicU64,
}

#[derive(Debug, Default)]
struct Table {
    /// Of clients without limits of their own, and of the others.
    totals: [Total; 2],
    holders: BTreeMap<Holder, Usage>,
}

/// What all hold together.
#[derive(Debug, Default)]
struct Total {
    held: [u64; Resource::COUNT],
    /// How many hold anything of each.
    holders: [u64; Resource::COUNT],
}

/// Who holds something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Holder {
    client: Client,
    /// A connection of its own, by number; 0: all that are not counted apart.
    connection: u64,
}

impl From<Client> for Holder {
    fn from(client: Client) -> Self {
        Self { client, connection: 0 }
    }
}

#[derive(Debug)]
struct Usage {
    held: [u64; Resource::COUNT],
    /// In microseconds.
    work: RateLimit,
    registrations: RateLimit,
}

/// Something held; given back when it is dropped.
#[derive(Debug)]
pub struct Hold {
    shares: Arc<Shares>,
    holder: Holder,
    resource: Resource,
    amount: u64,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.shares.release(self);
    }
}

impl Shares {
    #[cfg(test)]
    pub fn new(rules: Rules) -> Arc<Self> {
        Self::counted(rules, Arc::default())
    }

    /// None is held yet. Limits that clients come to are counted.
    pub fn counted(rules: Rules, counters: Arc<Counters>) -> Arc<Self> {
        Arc::new(Self { rules, table: Mutex::default(), counters, connections: AtomicU64::new(0) })
    }

    /// Takes `amount` of a resource, until the answer is dropped.
    ///
    /// # Errors
    ///
    /// `OfAddress`, `OfNode`.
    pub fn hold(self: &Arc<Self>, client: Client, resource: Resource, amount: u64) -> Result<Hold, Limit> {
        self.hold_for(client.into(), resource, amount)
    }

    /// Who holds what is not read over a new connection of a client: the client, or the connection, if the client has no limits.
    pub fn reader(&self, client: Client) -> Holder {
        let connection = if client.limited { 0 } else { self.connections.fetch_add(1, Ordering::Relaxed) + 1 };
        Holder { client, connection }
    }

    /// As [`Self::hold`].
    ///
    /// # Errors
    ///
    /// `OfAddress`, `OfNode`.
    pub fn hold_for(self: &Arc<Self>, holder: Holder, resource: Resource, amount: u64) -> Result<Hold, Limit> {
        let mut hold = Hold { shares: self.clone(), holder, resource, amount: 0 };
        self.grow_held(&mut hold, amount).map(|()| hold)
    }

    /// Takes more of what is held.
    ///
    /// # Errors
    ///
    /// As [`Self::hold`]; what was held is given back.
    pub fn grow(&self, mut hold: Hold, amount: u64) -> Result<Hold, Limit> {
        self.grow_held(&mut hold, amount).map(|()| hold)
    }

    /// As [`Self::grow`]; on an error the same is held as before.
    pub fn grow_held(&self, hold: &mut Hold, amount: u64) -> Result<(), Limit> {
        let Hold { holder, resource, .. } = *hold;
        let client = holder.client;
        let mut table = self.table();
        let index = resource as usize;
        let before = table.holders.get(&holder).map_or(0, |usage| usage.held[index]);
        let total = &table.totals[usize::from(client.limited)];
        let (all, holders) = (total.held[index].saturating_add(amount), total.holders[index] + u64::from(before == 0));
        if let Some(limit) = self.refusal(client, resource, all, holders, before.saturating_add(amount)) {
            let is_own = matches!(limit, Limit::OfAddress { .. });
            self.counters.limited(if is_own { LimitReached::OfAddress } else { LimitReached::OfNode });
            return Err(limit);
        }
        // Who holds nothing is not remembered for that.
        if amount > 0 {
            table.add(self, holder, resource, amount);
            hold.amount += amount;
        }
        Ok(())
    }

    /// Gives a client what another holds. All together hold as much as before, so no bound of theirs refuses it.
    pub fn hand_over(self: &Arc<Self>, hold: Hold, client: Client) -> Hold {
        let Hold { resource, amount, .. } = hold;
        let holder = client.into();
        let mut table = self.table();
        table.add(self, holder, resource, amount);
        // Dropping takes the lock again.
        drop(table);
        Hold { shares: self.clone(), holder, resource, amount }
    }

    /// Whether a client holds nothing of a resource.
    pub fn has_none(&self, client: Client, resource: Resource) -> bool {
        self.table().holders.get(&client.into()).is_none_or(|usage| usage.held[resource as usize] == 0)
    }

    /// Whether who holds this holds more of it than the average of all who hold any.
    pub fn is_of_more_than_average(&self, hold: &Hold) -> bool {
        let (table, index) = (self.table(), hold.resource as usize);
        let total = &table.totals[usize::from(hold.holder.client.limited)];
        let own = table.holders.get(&hold.holder).map_or(0, |usage| usage.held[index]);
        own.saturating_mul(total.holders[index]) > total.held[index]
    }

    fn refusal(&self, client: Client, resource: Resource, all: u64, holders: u64, own: u64) -> Option<Limit> {
        let what = resource.name();
        let limit = self.rules.by_address.of(resource);
        if client.limited && own > limit {
            return Some(Limit::OfAddress { what, limit, source_address: client.source });
        }
        let limit = self.rules.in_all.of(resource);
        let even = limit / holders.max(1);
        let full = all > limit && (own > even || all > limit.saturating_mul(2));
        full.then_some(Limit::OfNode { what, limit })
    }

    fn release(&self, hold: &Hold) {
        if hold.amount > 0 {
            self.table().take(hold);
        }
    }

    /// Whether a client has time left for more work.
    ///
    /// # Errors
    ///
    /// `Work`, with the time after which it has.
    pub fn may_work(&self, client: Client) -> Result<(), Limit> {
        if !client.limited {
            return Ok(());
        }
        let mut table = self.table();
        let left_us = self.usage(&mut table, client).work.left(now_ms());
        if left_us > 0 {
            return Ok(());
        }
        self.counters.limited(LimitReached::Work);
        let ms_per_second = millis(self.rules.work_per_second);
        Err(Limit::Work { source_address: client.source, ms_per_second, wait_ms: 1_000 })
    }

    /// Counts work that was done for a client.
    pub fn spend(&self, client: Client, time: Duration) {
        if client.limited {
            let mut table = self.table();
            self.usage(&mut table, client).work.spend(micros(time), now_ms());
        }
    }

    /// Takes a place among this minute's deposit registrations of a client.
    ///
    /// # Errors
    ///
    /// `Registrations`.
    pub fn register(&self, client: Client) -> Result<(), Limit> {
        let limit = self.rules.registrations_per_minute;
        let mut table = self.table();
        if !client.limited || self.usage(&mut table, client).registrations.take(now_ms()) {
            return Ok(());
        }
        self.counters.limited(LimitReached::Registrations);
        Err(Limit::Registrations { source_address: client.source, limit })
    }

    fn usage<'a>(&self, table: &'a mut Table, holder: impl Into<Holder>) -> &'a mut Usage {
        let holder = holder.into();
        if table.holders.len() >= MAX_CLIENTS && !table.holders.contains_key(&holder) {
            forget(&mut table.holders);
        }
        table.holders.entry(holder).or_insert_with(|| Usage {
            held: [0; Resource::COUNT],
            work: RateLimit::with_burst(60 * micros(self.rules.work_per_second), micros(self.rules.work_burst)),
            registrations: RateLimit::new(self.rules.registrations_per_minute),
        })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Changed in steps that do not panic.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How much work a client still has to pay for.
    #[cfg(test)]
    pub fn debt(&self, client: Client) -> Duration {
        let mut table = self.table();
        Duration::from_micros(self.usage(&mut table, client).work.debt(now_ms()))
    }

    /// How many clients are remembered, and how much all hold of a resource.
    #[cfg(test)]
    pub fn count(&self, resource: Resource) -> (usize, u64) {
        let table = self.table();
        (table.holders.len(), table.totals.iter().map(|total| total.held[resource as usize]).sum())
    }
}

impl Table {
    fn add(&mut self, shares: &Shares, holder: Holder, resource: Resource, amount: u64) {
        let index = resource as usize;
        let usage = shares.usage(self, holder);
        let is_new = usage.held[index] == 0 && amount > 0;
        usage.held[index] += amount;
        let total = &mut self.totals[usize::from(holder.client.limited)];
        total.held[index] += amount;
        total.holders[index] += u64::from(is_new);
    }

    fn take(&mut self, hold: &Hold) {
        let index = hold.resource as usize;
        let Some(usage) = self.holders.get_mut(&hold.holder) else { return };
        usage.held[index] -= hold.amount;
        let holds_none = usage.held[index] == 0;
        let total = &mut self.totals[usize::from(hold.holder.client.limited)];
        total.held[index] -= hold.amount;
        total.holders[index] -= u64::from(holds_none);
        // There is nothing else to remember about a connection.
        if holds_none && hold.holder.connection != 0 {
            self.holders.remove(&hold.holder);
        }
    }
}

/// Makes room: first those about whom there is nothing to remember, then all that hold nothing. Those that hold something are
/// bounded by what there is to hold.
fn forget(clients: &mut BTreeMap<Holder, Usage>) {
    let now = now_ms();
    let holds = |usage: &Usage| usage.held.iter().any(|held| *held > 0);
    clients.retain(|_, usage| holds(usage) || !usage.work.is_full(now) || !usage.registrations.is_full(now));
    if clients.len() >= MAX_CLIENTS * 9 / 10 {
        clients.retain(|_, usage| holds(usage));
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Access;

    fn client(number: u32) -> Client {
        Client { source: Source::V4(number.into()), limited: true }
    }

    fn shares(by_address: u64, in_all: u64) -> Arc<Shares> {
        Shares::new(Rules {
            by_address: Bounds { filters: by_address, ..Bounds::NONE },
            in_all: Bounds { filters: in_all, ..Bounds::NONE },
            work_per_second: Duration::from_millis(10),
            work_burst: Duration::from_millis(100),
            registrations_per_minute: 2,
        })
    }

    #[test]
    fn a_client_gets_its_bound_and_what_it_gives_back_again() {
        let shares = shares(3, 100);
        let held: Vec<_> = (0..3).map(|_| shares.hold(client(1), Resource::Filters, 1).unwrap()).collect();
        let refused = shares.hold(client(1), Resource::Filters, 1).unwrap_err();
        assert_eq!(refused, Limit::OfAddress { what: "filters", limit: 3, source_address: client(1).source });
        drop(held);
        assert!(shares.hold(client(1), Resource::Filters, 3).is_ok());
        assert_eq!(shares.count(Resource::Filters).1, 0);
    }

    // 100 in all; ten clients take 10 each
    #[test]
    fn those_who_filled_the_server_leave_room_for_others() {
        let shares = shares(10, 100);
        let mut held = Vec::new();
        for number in 0..100 {
            held.extend(shares.hold(client(number / 10), Resource::Filters, 1));
        }
        assert_eq!(shares.count(Resource::Filters).1, 100);
        assert!(matches!(shares.hold(client(3), Resource::Filters, 1), Err(Limit::OfAddress { .. })));
        for _ in 0..9 {
            held.push(shares.hold(client(1_000), Resource::Filters, 1).expect("a newcomer gets an even share"));
        }
        let refused = shares.hold(client(1_000), Resource::Filters, 1).unwrap_err();
        assert_eq!(refused, Limit::OfNode { what: "filters", limit: 100 });
        for number in 2_000..4_000 {
            held.extend(shares.hold(client(number), Resource::Filters, 1));
        }
        assert!(shares.count(Resource::Filters).1 <= 200, "newcomers have an end too");
    }

    #[test]
    fn what_others_fill_takes_no_room_of_clients_without_limits() {
        let shares = shares(10, 10);
        let _held: Vec<_> =
            (0..100).filter_map(|number| shares.hold(client(number), Resource::Filters, 1).ok()).collect();
        let own = Client { limited: false, ..client(1) };
        let own: Vec<_> = (0..100).filter_map(|_| shares.hold(own, Resource::Filters, 1).ok()).collect();
        assert_eq!(own.len(), 10, "and theirs has a bound too");
    }

    // ten places, all taken by others
    #[test]
    fn what_is_handed_over_counts_for_who_has_it_then() {
        let shares = shares(2, 10);
        let mut held: Vec<_> =
            (0..10).map(|number| shares.hold(client(number), Resource::Filters, 1).unwrap()).collect();
        assert!(shares.has_none(client(50), Resource::Filters) && !shares.has_none(client(9), Resource::Filters));
        let own = shares.hand_over(held.pop().unwrap(), client(50));
        assert!(shares.has_none(client(9), Resource::Filters) && !shares.has_none(client(50), Resource::Filters));
        assert_eq!(shares.count(Resource::Filters).1, 10);
        drop((own, held));
        assert_eq!(shares.count(Resource::Filters).1, 0);
        let all: Vec<_> = (0..10).filter_map(|number| shares.hold(client(number), Resource::Filters, 1).ok()).collect();
        assert_eq!(all.len(), 10);
    }

    #[test]
    fn work_is_paid_afterwards_and_a_debt_ends() {
        let shares = shares(1, 1);
        shares.may_work(client(1)).unwrap();
        shares.spend(client(1), Duration::from_secs(60));
        assert!(matches!(shares.may_work(client(1)), Err(Limit::Work { ms_per_second: 10, .. })));
        shares.may_work(client(2)).expect("another's work is another's");
        shares.may_work(Client { limited: false, ..client(1) }).expect("some clients have no limit");
    }

    #[test]
    fn the_table_forgets_clients_that_hold_nothing() {
        let shares = shares(1, 1_000_000);
        let _held = shares.hold(client(7), Resource::Filters, 1).unwrap();
        for number in 1_000..1_000 + 3 * MAX_CLIENTS as u32 {
            shares.spend(client(number), Duration::from_millis(1));
        }
        assert!(shares.count(Resource::Filters).0 <= MAX_CLIENTS);
        assert!(shares.hold(client(7), Resource::Filters, 1).is_err(), "who holds something is remembered");
    }

    #[test]
    fn many_addresses_of_one_network_of_ipv6_share_one_quota() {
        let shares = shares(1, 1_000);
        let from = |address: String| Access::default().peer(address.parse().unwrap());
        let taken = (1..=200).filter(|host| shares.register(from(format!("2001:db8::{host:x}"))).is_ok()).count();
        let held: Vec<_> = (1..=200)
            .filter_map(|host| shares.hold(from(format!("2001:db8::{host:x}")), Resource::Filters, 1).ok())
            .collect();
        assert_eq!((taken, held.len()), (2, 1));
        assert!(shares.register(from("2001:db8:0:1::1".to_owned())).is_ok(), "the next network is another client");
    }

    #[test]
    fn two_registrations_of_one_client_leave_those_of_others() {
        let shares = shares(1, 1);
        assert!(shares.register(client(1)).is_ok() && shares.register(client(1)).is_ok());
        assert!(shares.register(client(1)).is_err() && shares.register(client(2)).is_ok());
    }
}
