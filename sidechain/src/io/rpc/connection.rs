//! A connection and its server, as those see them who answer on it.

use std::net::IpAddr;
use std::sync::Arc;

use hyper::Request;
use tokio::sync::{mpsc, watch};

use super::context::Context;
use super::method::Methods;
use super::pace::Pace;
use super::places::{Place, Places};
use crate::access::Client;

/// What all connections share.
#[derive(Clone)]
pub struct Server {
    pub context: Arc<Context>,
    pub methods: Arc<Methods>,
    pub connections: Arc<Places>,
    /// WebSockets among them.
    pub sockets: Arc<Places>,
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
        let (connections, sockets) = (Places::new(), Places::new());
        Self { context, methods: Arc::new(methods), connections, sockets, stopped, _alive: alive }
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
    /// Among the connections.
    pub _place: Place,
}

/// Who sent a request, when proxies are seen through.
pub fn requester<B>(connection: &Connection, request: &Request<B>) -> Client {
    let forwarded = request.headers().get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
    let forwarded: Vec<&str> = forwarded.collect();
    connection.server.context.settings.access.requester(connection.peer, forwarded.into_iter())
}
