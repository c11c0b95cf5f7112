//! HTTP: requests by POST, `GET /health`, the page for people, the questions of browsers, and the way to a WebSocket.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;

use hyper::body::{Body as _, Incoming as IncomingBody};
use hyper::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE, ETAG, HOST, HeaderName, HeaderValue, ORIGIN, VARY};
use hyper::{Method, Request, StatusCode};
use jsonrpsee::types::error::{OVERSIZED_REQUEST_CODE, OVERSIZED_REQUEST_MSG};
use jsonrpsee::types::{ErrorCode, ErrorObjectOwned};

use super::connection::{Connection, requester};
use super::dispatch::Incoming;
use super::page::{self, File};
use super::reply::{JSON, Reply, TEXT, problem, refused, text, written};
use super::shares::{Hold, Limit, Resource};
use super::unread::Unread;
use super::{health, websocket};
use crate::access::Client;
use crate::origins::Origins;

/// The answer to a browser that asks whether it may ask; it may remember it for a day.
const PREFLIGHT: [(HeaderName, HeaderValue); 3] = [
    (HeaderName::from_static("access-control-allow-methods"), HeaderValue::from_static("POST, GET, OPTIONS")),
    (HeaderName::from_static("access-control-allow-headers"), HeaderValue::from_static("*")),
    (HeaderName::from_static("access-control-max-age"), HeaderValue::from_static("86400")),
];

/// Said to pages that may not ask.
const NO_PAGE: &str = "this node lets no page of this origin ask: its operator may name it in rpc_origins\n";

/// Said to whoever asks by another name.
const NO_HOST: &str = "this node is not asked by this name: its operator may add it to rpc_hosts\n";

/// Replys one request of a connection.
pub async fn answer(connection: Arc<Connection>, request: Request<IncomingBody>) -> Result<Reply, Infallible> {
    let allowed = allowed(&connection.server.context.settings.origins, &request);
    let mut answer = route(connection, request, allowed.is_some()).await;
    if let Some(origin) = allowed {
        answer.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        answer.headers_mut().insert(VARY, HeaderValue::from_static("origin"));
    }
    Ok(answer)
}

/// The origin of the page that asks, if it may.
fn allowed(origins: &Origins, request: &Request<IncomingBody>) -> Option<HeaderValue> {
    request.headers().get(ORIGIN).filter(|origin| origin.to_str().is_ok_and(|origin| origins.has(origin))).cloned()
}

async fn route(connection: Arc<Connection>, request: Request<IncomingBody>, page_may_ask: bool) -> Reply {
    let settings = &connection.server.context.settings;
    if !settings.hosts.has(host(&request)) {
        return text(StatusCode::FORBIDDEN, TEXT, NO_HOST, &connection);
    }
    // A page whose name leads here by DNS counts as of this server for its browser, which then hides nothing from it.
    let header = |name| request.headers().get(name).map(|value| value.to_str().unwrap_or("?"));
    let is_own_page = settings.page && settings.hosts.is_own_page(header(ORIGIN), header(HOST));
    if !is_own_page && !settings.origins.lets_in(header(ORIGIN), header(HOST)) {
        return text(StatusCode::FORBIDDEN, TEXT, NO_PAGE, &connection);
    }
    if websocket::is_upgrade(&request) {
        return websocket::upgrade(connection, request);
    }
    let page = connection.server.context.page.as_ref();
    if let Some(file) = page.and_then(|page| page.file(request.method(), request.uri().path())) {
        return page_file(&connection, &request, file);
    }
    match (request.method(), request.uri().path()) {
        (&Method::POST, _) if is_json(&request) => post(&connection, request).await,
        (&Method::POST, _) => {
            text(StatusCode::UNSUPPORTED_MEDIA_TYPE, TEXT, "Content-Type: application/json is required\n", &connection)
        }
        (&Method::GET, "/health") => {
            let (code, said) = health::judge(&connection.server.context.state);
            text(code, JSON, &said.to_string(), &connection)
        }
        (&Method::OPTIONS, _) if page_may_ask => preflight(&connection),
        _ => text(StatusCode::METHOD_NOT_ALLOWED, TEXT, "POST is required\n", &connection),
    }
}

/// A file of the page, or that the browser has it already.
fn page_file(connection: &Arc<Connection>, request: &Request<IncomingBody>, file: &File) -> Reply {
    let context = &connection.server.context;
    let unread = Unread::new(context.shares.clone(), requester(connection, request), u64::MAX);
    let mut answer = if file.is_known(request.headers()) {
        written(StatusCode::NOT_MODIFIED, file.kind.clone(), String::new(), connection, None)
    } else {
        match unread.hold(file.text.len() as u64) {
            Ok(hold) => written(StatusCode::OK, file.kind.clone(), file.text.clone(), connection, Some(hold)),
            Err(limit) => return refused(&limit, connection),
        }
    };
    answer.headers_mut().extend(page::HEADERS);
    answer.headers_mut().insert(ETAG, file.tag.clone());
    answer
}

/// The name by which a request asks: in its target, as a proxy's may be, or in its head (RFC 9112, section 3.2.2); none where that has two.
fn host<B>(request: &Request<B>) -> Option<&str> {
    let target = request.uri().authority().map(hyper::http::uri::Authority::as_str);
    let mut named = request.headers().get_all(HOST).iter();
    let named = named.next().filter(|_| named.next().is_none());
    target.or_else(|| named?.to_str().ok())
}

fn is_json(request: &Request<IncomingBody>) -> bool {
    let kind = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json") || kind.eq_ignore_ascii_case("application/json-rpc")
}

fn preflight(connection: &Connection) -> Reply {
    let mut answer = text(StatusCode::OK, TEXT, "", connection);
    answer.headers_mut().extend(PREFLIGHT);
    answer
}

async fn post(connection: &Arc<Connection>, request: Request<IncomingBody>) -> Reply {
    let client = requester(connection, &request);
    let (context, settings) = (&connection.server.context, &connection.server.context.settings);
    let place = match context.shares.hold(client, Resource::Requests, 1) {
        Ok(place) => place,
        Err(limit) => return refused(&limit, connection),
    };
    let (body, held) = match read(connection, client, request.into_body()).await {
        Ok(read) => read,
        Err(NoBody::TooLarge) => {
            let data = format!("Exceeded max limit of {}", settings.max_request_bytes);
            let error = ErrorObjectOwned::owned(OVERSIZED_REQUEST_CODE, OVERSIZED_REQUEST_MSG, Some(data));
            return problem(StatusCode::PAYLOAD_TOO_LARGE, &error, connection);
        }
        Err(NoBody::Limit(limit)) => return refused(&limit, connection),
        Err(NoBody::Broken) => return problem(StatusCode::BAD_REQUEST, &ErrorCode::ParseError.into(), connection),
    };
    connection.pace.working();
    // One answer at a time.
    let unread = &Unread::new(context.shares.clone(), client, u64::MAX);
    let held = Arc::new(vec![place, held]);
    let incoming = Incoming { server: &connection.server, client, unread, held, socket: None };
    let answer = incoming.answer(&body).await.unwrap_or_default();
    drop((body, incoming));
    match unread.hold(answer.len() as u64) {
        Ok(hold) => written(StatusCode::OK, JSON, answer, connection, Some(hold)),
        Err(limit) => refused(&limit, connection),
    }
}

/// Why there is no whole body.
enum NoBody {
    TooLarge,
    Limit(Limit),
    /// The client went away, or was too slow.
    Broken,
}

async fn read(connection: &Connection, client: Client, mut body: IncomingBody) -> Result<(Vec<u8>, Hold), NoBody> {
    let context = &connection.server.context;
    let most = context.settings.max_request_bytes as usize;
    if body.size_hint().lower() > most as u64 {
        return Err(NoBody::TooLarge);
    }
    let mut hold = context.shares.hold(client, Resource::IncomingBytes, 0).map_err(NoBody::Limit)?;
    let mut read = Vec::new();
    while let Some(frame) = std::future::poll_fn(|task| Pin::new(&mut body).poll_frame(task)).await {
        let Ok(data) = frame.map_err(|_| NoBody::Broken)?.into_data() else { continue };
        if read.len() + data.len() > most {
            return Err(NoBody::TooLarge);
        }
        hold = context.shares.grow(hold, data.len() as u64).map_err(NoBody::Limit)?;
        read.extend_from_slice(&data);
    }
    Ok((read, hold))
}
