//! JSON-RPC over HTTP for the wallets of this machine.
//!
//! It has no limits by client: it answers its own machine only, and in all no more than a bound at a time. For the public there are full
//! nodes, which share their work out fairly.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue, ORIGIN};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use jsonrpsee::types::{ErrorCode, ErrorObjectOwned};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use super::fault::Unproven;
use super::node::LightNode;
use crate::block::Header;
use crate::io::rpc::error;
use crate::origins::Origins;

/// Connections at a time; more wait to be taken.
const MAX_CONNECTIONS: usize = 64;
/// Requests that are worked on at a time, of all connections.
const MAX_REQUESTS: usize = 32;
/// Requests in a batch.
const MAX_BATCH: usize = 100;
/// Bytes of a request: the largest transaction in hex, and room.
const MAX_REQUEST_BYTES: usize = 2 << 20;
/// Until the head of a request has arrived; a connection on which nothing comes is closed then.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// Until its body has.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// Pause after an error of `accept`: mostly too many open files, which only time mends.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A running server. Dropping it stops it.
#[derive(Debug)]
pub struct Running {
    /// Where it listens; the port is known also when 0 was asked for.
    pub address: SocketAddr,
    _stop: watch::Sender<()>,
}

struct Server {
    node: Arc<LightNode>,
    origins: Origins,
    requests: Semaphore,
}

/// Serves `node` at an address of this machine. Pages in a browser may ask only if they are among `origins`.
///
/// # Errors
///
/// The address is taken, or not a loopback address.
pub async fn serve(node: Arc<LightNode>, listen: SocketAddr, origins: Origins) -> std::io::Result<Running> {
    if !listen.ip().is_loopback() {
        let wrong = format!("a light node answers its own machine only: {listen} is no loopback address");
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, wrong));
    }
    let listener = TcpListener::bind(listen).await?;
    let address = listener.local_addr()?;
    let (stop, stopped) = watch::channel(());
    let server = Arc::new(Server { node, origins, requests: Semaphore::new(MAX_REQUESTS) });
    tokio::spawn(accept(server, listener, stopped));
    Ok(Running { address, _stop: stop })
}

async fn accept(server: Arc<Server>, listener: TcpListener, mut stopped: watch::Receiver<()>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let accepted = async {
            let place = places.clone().acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, stream) = tokio::select! {
            accepted = accepted => accepted,
            _ = stopped.changed() => return,
        };
        match stream {
            Ok((stream, _)) => {
                let (server, mut stopped) = (server.clone(), stopped.clone());
                tokio::spawn(async move {
                    let _place = place;
                    tokio::select! {
                        () = converse(server, stream) => {}
                        _ = stopped.changed() => {}
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn converse(server: Arc<Server>, stream: TcpStream) {
    let service = service_fn(move |request| {
        let server = server.clone();
        async move { Ok::<_, Infallible>(server.respond(request).await) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    if let Err(error) = builder.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "connection ended");
    }
}

impl Server {
    /// Only JSON: a page that sends anything else without asking its browser first is not heard.
    async fn respond(&self, request: Request<Incoming>) -> Response<String> {
        let header = |name| request.headers().get(name).map(|value: &HeaderValue| value.to_str().unwrap_or("?"));
        if !self.origins.lets_in(header(ORIGIN), header(HOST)) {
            return said(StatusCode::FORBIDDEN, "pages of this origin may not ask (rpc_origins)\n".to_owned());
        }
        let page = header(ORIGIN).filter(|origin| self.origins.has(origin)).map(str::to_owned);
        let is_json = header(CONTENT_TYPE).is_some_and(|kind| kind.starts_with("application/json"));
        let mut response = match *request.method() {
            Method::POST if is_json => self.post(request.into_body()).await,
            Method::POST => {
                said(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Content-Type: application/json is required\n".into())
            }
            Method::GET if request.uri().path() == "/health" => self.health().await,
            Method::OPTIONS if page.is_some() => said(StatusCode::OK, String::new()),
            _ => said(StatusCode::METHOD_NOT_ALLOWED, "POST is required\n".to_owned()),
        };
        if let Some(origin) = page.and_then(|origin| HeaderValue::from_str(&origin).ok()) {
            response.headers_mut().insert("access-control-allow-origin", origin);
            response.headers_mut().insert("access-control-allow-headers", HeaderValue::from_static("content-type"));
        }
        response
    }

    /// Whether a node proves a head.
    async fn health(&self) -> Response<String> {
        match self.node.head().await {
            Ok(head) => {
                let Header { number, timestamp, .. } = head.header;
                said(StatusCode::OK, json!({ "head": number, "timestamp": timestamp }).to_string())
            }
            Err(why) => said(StatusCode::SERVICE_UNAVAILABLE, json!({ "reasons": [why.to_string()] }).to_string()),
        }
    }

    async fn post(&self, body: Incoming) -> Response<String> {
        let body = tokio::time::timeout(BODY_TIMEOUT, read(body)).await;
        let Ok(Some(body)) = body else {
            let text = format!("a request of at most {MAX_REQUEST_BYTES} bytes is wanted\n");
            return said(StatusCode::PAYLOAD_TOO_LARGE, text);
        };
        let answer = match serde_json::from_slice(&body) {
            Ok(Value::Array(batch)) if (1..=MAX_BATCH).contains(&batch.len()) => {
                let answers = join_all(batch.into_iter().map(|request| self.answer(request))).await;
                Value::Array(answers.into_iter().flatten().collect())
            }
            Ok(Value::Array(batch)) => {
                let wrong = format!("a batch of {} requests, from 1 to {MAX_BATCH} are answered", batch.len());
                failure(Value::Null, &error::limit(wrong))
            }
            Ok(request) => match self.answer(request).await {
                Some(answer) => answer,
                None => return said(StatusCode::OK, String::new()),
            },
            Err(_) => failure(Value::Null, &ErrorCode::ParseError.into()),
        };
        said(StatusCode::OK, answer.to_string())
    }

    /// The answer to one request; none to a notification.
    async fn answer(&self, mut request: Value) -> Option<Value> {
        let id = request.get("id").cloned();
        let params = match request.get_mut("params").map(Value::take) {
            None | Some(Value::Null) => Some(Vec::new()),
            Some(Value::Array(values)) => Some(values),
            Some(_) => None,
        };
        let (Some(method), Some(params)) = (request["method"].as_str(), params) else {
            return Some(failure(id.unwrap_or_default(), &ErrorCode::InvalidRequest.into()));
        };
        let id = id?;
        let _turn = self.requests.acquire().await.ok()?;
        Some(match self.node.answer(method, params).await {
            Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
            Err(Unproven::Refused(error)) => failure(id, &error),
            Err(Unproven::Down(words)) => failure(id, &error::server(words)),
        })
    }
}

fn failure(id: Value, error: &ErrorObjectOwned) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "error": error })
}

/// None: it is too large, or broke off.
async fn read(mut body: Incoming) -> Option<Vec<u8>> {
    let mut read = Vec::new();
    while let Some(frame) = std::future::poll_fn(|task| std::pin::Pin::new(&mut body).poll_frame(task)).await {
        let Ok(data) = frame.ok()?.into_data() else { continue };
        if read.len() + data.len() > MAX_REQUEST_BYTES {
            return None;
        }
        read.extend_from_slice(&data);
    }
    Some(read)
}

fn said(status: StatusCode, text: String) -> Response<String> {
    let kind = if text.starts_with(['{', '[']) { "application/json; charset=utf-8" } else { "text/plain" };
    let mut response = Response::new(text);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
