//! Answers over HTTP, and their texts.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use jsonrpsee::types::{ErrorObjectOwned, Id};

use super::connection::Connection;
use super::error;
use super::pace::Pace;
use super::shares::Limit;
use super::unread::UnreadBytes;

pub const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
pub const TEXT: HeaderValue = HeaderValue::from_static("text/plain");

pub type Reply = Response<Text>;

/// The text of an error answer.
pub fn failure(id: &Id<'_>, error: &ErrorObjectOwned) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{},"error":{}}}"#, json(id), json(error))
}

/// Errors and ids: strings and numbers, which always have a JSON.
pub fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}

/// The whole answer to a connection that is not taken.
pub fn refusal(limit: &Limit) -> String {
    let body = failure(&Id::Null, &limit.clone().into());
    let length = body.len();
    format!(
        "HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nRetry-After: 1\r\nConnection: close\r\n\r\n{body}"
    )
}

/// The answer to a request that is not looked at.
pub fn refused(limit: &Limit, connection: &Connection) -> Reply {
    problem(StatusCode::TOO_MANY_REQUESTS, &error::limit(limit.to_string()), connection)
}

pub fn problem(status: StatusCode, error: &ErrorObjectOwned, connection: &Connection) -> Reply {
    text(status, JSON, &failure(&Id::Null, error), connection)
}

/// A short answer, which is not counted.
pub fn text(status: StatusCode, kind: HeaderValue, text: &str, connection: &Connection) -> Reply {
    written(status, kind, text.to_owned(), connection, None)
}

pub fn written(
    status: StatusCode,
    kind: HeaderValue,
    text: String,
    connection: &Connection,
    hold: Option<UnreadBytes>,
) -> Reply {
    connection.pace.working();
    let bytes = Bytes::from_owner(Written { text, pace: connection.pace.clone(), _hold: hold });
    let mut answer = Response::new(Text(Some(bytes)));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    answer
}

/// An answer until it is in the kernel's hands: only then it is given back what it holds.
struct Written {
    text: String,
    pace: Arc<Pace>,
    _hold: Option<UnreadBytes>,
}

impl AsRef<[u8]> for Written {
    fn as_ref(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        self.pace.idle();
    }
}

/// The body of an answer, in one piece.
pub struct Text(Option<Bytes>);

impl Text {
    pub fn empty() -> Self {
        Self(None)
    }
}

impl Body for Text {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}
