//! `GET /metrics`, on a port of its own.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::Semaphore;

use super::desk::Desk;
use crate::counters::Gauges;
use crate::io::http::{Body, whole};
use crate::io::listener::Answers;

pub struct Metrics {
    pub desk: Arc<Desk>,
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
        };
        let text = self.desk.counters().text(&gauges);
        let mut response = Response::new(whole(text));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4"));
        response
    }
}
