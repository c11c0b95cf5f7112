//! A connection and its server, as those see them who answer on it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use hyper::Request;
use tokio::sync::{mpsc, watch};

use super::context::Context;
use super::method::Methods;
use super::pace::Pace;
use super::shares::Hold;
use crate::access::Client;

/// What all connections share.
#[derive(Clone)]
pub struct Server {
    pub context: Arc<Context>,
    pub methods: Arc<Methods>,
    pub connections: Arc<Connections>,
    stopped: watch::Receiver<bool>,
    /// Every connection keeps one: when all are gone, the server has ended.
    _alive: mpsc::Sender<()>,
}

impl Server {
    pub fn new(
        context: Arc<Context>,
        methods: Methods,
        stopped: watch::Receiver<bool>,
        alive: mpsc::Sender<()>,
    ) -> Self {
        Self { context, methods: Arc::new(methods), connections: Arc::default(), stopped, _alive: alive }
    }

    /// Resolves when the server stops.
    pub async fn stopped(&self) {
        let mut stopped = self.stopped.clone();
        // An error means that the server is gone.
        let _ = stopped.wait_for(|stopped| *stopped).await;
    }
}

/// One connection.
pub struct Connection {
    pub server: Server,
    pub peer: IpAddr,
    pub pace: Arc<Pace>,
    /// Its place among the connections; none when it made way for another.
    place: Mutex<Option<Hold>>,
    number: u64,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.server.connections.open().by_number.remove(&self.number);
    }
}

/// All connections, of which those that wait for their clients make way for others when there is no place.
#[derive(Default)]
pub struct Connections(Mutex<Open>);

#[derive(Default)]
struct Open {
    next: u64,
    by_number: BTreeMap<u64, Weak<Connection>>,
}

impl Connections {
    /// Adds a connection that has a place.
    pub fn begin(server: &Server, peer: IpAddr, pace: Arc<Pace>, place: Hold) -> Arc<Connection> {
        let mut open = server.connections.open();
        let number = open.next;
        open.next += 1;
        let place = Mutex::new(Some(place));
        let connection = Arc::new(Connection { server: server.clone(), peer, pace, place, number });
        open.by_number.insert(number, Arc::downgrade(&connection));
        connection
    }

    /// Ends the connection that has waited for its client for longest, and gives its place back; returns whether there was one.
    pub fn make_room(&self) -> bool {
        let all: Vec<_> = self.open().by_number.values().filter_map(Weak::upgrade).collect();
        let waiting = all.iter().filter_map(|connection| Some((connection.pace.waits_since()?, connection)));
        let longest = waiting.min_by_key(|(since, _)| *since).map(|(_, connection)| connection);
        longest.is_some_and(|connection| {
            connection.pace.end();
            connection.place.lock().unwrap_or_else(PoisonError::into_inner).take().is_some()
        })
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        // Changed in steps that do not panic. Nothing that ends a connection runs under it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who sent a request, when proxies are seen through.
pub fn requester<B>(connection: &Connection, request: &Request<B>) -> Client {
    let forwarded = request.headers().get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
    let forwarded: Vec<&str> = forwarded.collect();
    connection.server.context.settings.access.requester(connection.peer, forwarded.into_iter())
}
