//! Bodies and headers that server and clients have in common.

use std::time::Duration;

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Bytes, Frame, Incoming};
use hyper::header::{CONNECTION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use tokio::time::timeout;

pub use hyper::header::{HeaderMap, HeaderName, HeaderValue};
pub use hyper::{Method, Uri};

/// What a body may end with.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A body that is sent.
pub type Body = UnsyncBoxBody<Bytes, Failure>;

/// A whole body.
pub fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// Why a body was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    TooLarge,
    TooSlow,
    Broken,
}

/// Reads a body of at most so many bytes within a time.
///
/// # Errors
///
/// `Unread`.
pub async fn read(body: Incoming, most: usize, patience: Duration) -> Result<Vec<u8>, Unread> {
    let mut bytes = Vec::new();
    each_part(body, most, patience, |part| bytes.extend_from_slice(part)).await?;
    Ok(bytes)
}

/// Shows each part of a body of at most so many bytes within a time, and keeps none.
///
/// # Errors
///
/// `Unread`.
pub async fn each_part(
    mut body: Incoming,
    most: usize,
    patience: Duration,
    mut show: impl FnMut(&[u8]),
) -> Result<(), Unread> {
    // Said at once, before anything is read.
    if body.size_hint().lower() > most as u64 {
        return Err(Unread::TooLarge);
    }
    let read = async {
        let mut bytes = 0;
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| Unread::Broken)?.into_data() else { continue };
            bytes += data.len();
            if bytes > most {
                return Err(Unread::TooLarge);
            }
            show(&data);
        }
        Ok(())
    };
    timeout(patience, read).await.map_err(|_| Unread::TooSlow)?
}

/// How much of a body is there.
pub enum Beginning {
    Whole(Vec<u8>),
    /// The rest is longer than was read.
    Part(Vec<u8>, Incoming),
}

/// Reads a body until it ends, or is longer than `most`; with patience for each part.
///
/// # Errors
///
/// Its sender breaks off, or is silent for too long.
pub async fn begin(mut body: Incoming, most: usize, patience: Duration) -> Result<Beginning, Failure> {
    let mut bytes = Vec::new();
    while bytes.len() <= most {
        let Some(frame) = timeout(patience, body.frame()).await? else { return Ok(Beginning::Whole(bytes)) };
        if let Ok(data) = frame?.into_data() {
            bytes.extend_from_slice(&data);
        }
    }
    Ok(Beginning::Part(bytes, body))
}

/// Passes a body on: what was read of it, then the rest, with patience for each part.
pub fn rest(read: Vec<u8>, body: Incoming, patience: Duration) -> Body {
    let first = futures_stream(read, body, patience);
    http_body_util::StreamBody::new(first).boxed_unsync()
}

fn futures_stream(
    read: Vec<u8>,
    body: Incoming,
    patience: Duration,
) -> impl futures::Stream<Item = Result<Frame<Bytes>, Failure>> {
    futures::stream::unfold(Some((read, Some(body))), move |state| async move {
        let (read, body) = state?;
        if !read.is_empty() {
            return Some((Ok(Frame::data(Bytes::from(read))), Some((Vec::new(), body))));
        }
        let mut body = body?;
        match timeout(patience, body.frame()).await {
            Ok(None) => None,
            Ok(Some(Ok(frame))) => Some((Ok(frame), Some((Vec::new(), Some(body))))),
            Ok(Some(Err(error))) => Some((Err(error.into()), None)),
            Err(elapsed) => Some((Err(elapsed.into()), None)),
        }
    })
}

/// Takes out what concerns one connection alone (RFC 9110, section 7.6.1), also what `Connection` names.
pub fn take_out_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    let always = [CONNECTION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];
    for name in named.into_iter().chain(always).chain([HeaderName::from_static("keep-alive")]) {
        headers.remove(name);
    }
}

/// A header's value; none when it has what no header has.
pub fn value(text: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_concerns_one_connection_is_not_passed_on() {
        let mut headers = HeaderMap::new();
        for (name, of) in [
            ("connection", "close, x-secret"),
            ("x-secret", "1"),
            ("te", "trailers"),
            ("keep-alive", "5"),
            ("accept", "*/*"),
        ] {
            headers.insert(name, HeaderValue::from_static(of));
        }
        take_out_hop_by_hop(&mut headers);
        let left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(left, ["accept"]);
    }
}
