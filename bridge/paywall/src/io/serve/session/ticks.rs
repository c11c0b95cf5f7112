//! Ticks: `POST /.well-known/causeway-ticks/CHANNEL/ROOT` with 32 bytes each, raw, in order, following the last one taken. A tick proves itself, so no credential is asked for.

use std::time::Duration;

use alloy_primitives::B256;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response};
use payments::stream::MAX_TICKS;
use tokio::time::{Instant, timeout_at};

use super::super::desk::now;
use super::state::Sessions;
use crate::io::http::{Body, whole};
use crate::refusal::Refusal;
use crate::session::refused::{SessionRefused, Why};

const PREFIX: &str = "/.well-known/causeway-ticks/";
const TICK_BYTES: usize = 32;
/// Ticks of one request: all that a stream may have, and the last one again.
const MOST_TICKS: usize = MAX_TICKS as usize + 1;
/// How long a request may wait for its next tick, and last in all: whoever has more to send sends another one.
const NEXT_WITHIN: Duration = Duration::from_secs(20);
const ALL_WITHIN: Duration = Duration::from_secs(600);

#[must_use]
pub fn is_for(path: &str) -> bool {
    path.starts_with(PREFIX)
}

/// Takes the ticks of one request, as they come.
///
/// # Errors
///
/// There is no such channel or stream, or a tick is wrong: those before it were taken.
pub async fn take(sessions: &Sessions, path: &str, request: Request<Incoming>) -> Result<Response<Body>, Refusal> {
    let named = path.strip_prefix(PREFIX).and_then(|rest| rest.split_once('/'));
    let named = named.and_then(|(id, root)| Some((id.parse::<B256>().ok()?, root.parse::<B256>().ok()?)));
    let (Some((id, root)), &Method::POST) = (named, request.method()) else { return Err(Refusal::NotListed) };
    // Looked at before anything is read: strangers keep no connection.
    if !sessions.payee.has_stream(id, root) {
        return Err(SessionRefused::new(id, Why::NoStream).into());
    }
    let mut body = request.into_body();
    let (mut waiting, mut count, mut latest) = (Vec::new(), 0usize, None);
    let until = Instant::now() + ALL_WITHIN;
    let mut next = Instant::now() + NEXT_WITHIN;
    let mut refused = None;
    while let Ok(Some(frame)) = timeout_at(next.min(until), body.frame()).await {
        let Ok(data) = frame.map_err(|_| ()).and_then(|frame| frame.into_data().map_err(|_| ())) else { break };
        waiting.extend_from_slice(&data);
        let whole = waiting.len() / TICK_BYTES;
        if whole == 0 {
            continue;
        }
        count += whole;
        if count > MOST_TICKS {
            return Err(SessionRefused::new(id, Why::Tick(format!("more than {MOST_TICKS} in one request"))).into());
        }
        let (ticks, rest) = waiting.split_at(whole * TICK_BYTES);
        let ticks: Vec<B256> = ticks.chunks_exact(TICK_BYTES).map(B256::from_slice).collect();
        let rest = rest.to_vec();
        let kept = sessions.payee.credit_ticks(id, root, &ticks, now()).map_err(|error| sessions.refused(id, error))?;
        waiting = rest;
        sessions.count(|counters| counters.ticks += ticks.len() as u64);
        sessions.ring(id);
        latest = Some((kept.latest, kept.ticket));
        next = Instant::now() + NEXT_WITHIN;
        if let Some(why) = kept.refused {
            refused = Some(why);
            break;
        }
    }
    let Some((latest, ticket)) = latest else {
        return Err(SessionRefused::new(id, Why::Tick("there is none of 32 bytes".to_owned())).into());
    };
    ticket.await.map_err(|_| Refusal::NotKept)?;
    if let Some(why) = refused {
        return Err(sessions.short(id, &why, 0));
    }
    let balance = sessions.payee.balance(id).ok_or_else(|| SessionRefused::new(id, Why::NotFound))?;
    let json = serde_json::json!({
        "ticks": latest,
        "acceptedCumulative": balance.accepted.to_string(),
        "spent": balance.spent.to_string(),
    });
    let mut response = Response::new(self::whole(json.to_string()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
