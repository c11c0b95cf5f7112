//! `GET /metrics`, on a port of its own.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::Semaphore;

use super::batch::Channels;
use super::desk::Desk;
use super::session::Sessions;
use crate::counters::Gauges;
use crate::io::http::{Body, whole};
use crate::io::listener::Answers;

pub struct Metrics {
    pub desk: Arc<Desk>,
    pub channels: Option<Arc<Channels>>,
    pub sessions: Option<Arc<Sessions>>,
    /// Places of connections that are free, and how many there are.
    pub places: Arc<Semaphore>,
    pub most: usize,
}

impl Answers for Metrics {
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        if (request.method(), request.uri().path()) != (&Method::GET, "/metrics") {
            let mut response = Response::new(whole("there is GET /metrics\n"));
            *response.status_mut() = StatusCode::NOT_FOUND;
            return response;
        }
        let head = self.desk.chain.head().ok();
        let gauges = Gauges {
            connections: self.most.saturating_sub(self.places.available_permits()),
            in_flight: self.desk.in_flight(),
            remembered: self.desk.remembered(),
            gas_balance: head.map(|head| head.balance),
            chain_is_up: head.is_some(),
            channels: self.channels.as_ref().map_or(0, |channels| channels.ledger().len()),
            unclaimed: self.channels.as_ref().map_or(0, |channels| channels.ledger().unclaimed()),
        };
        let mut text = self.desk.counters().text(&gauges);
        text.extend(self.sessions.iter().map(|sessions| sessions.metrics()));
        let mut response = Response::new(whole(text));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4"));
        response
    }
}
