//! The page for people: what `sidechain/page` bundles, and the genesis file, by which it checks what this node says.

use std::sync::Arc;

use alloy_primitives::{hex, keccak256};
use hyper::body::Incoming;
use hyper::header::{CACHE_CONTROL, ETAG, HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH};
use hyper::{Method, Request, StatusCode};

use super::connection::{Connection, requester};
use super::reply::{self, JSON, Reply, refused, written};
use super::unread::Unread;
use crate::genesis::Genesis;

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const SCRIPT: HeaderValue = HeaderValue::from_static("text/javascript; charset=utf-8");
const STYLE: HeaderValue = HeaderValue::from_static("text/css; charset=utf-8");
const ICON: HeaderValue = HeaderValue::from_static("image/svg+xml");

/// Nothing of elsewhere is loaded, asked or framed, and no text becomes code (<https://www.w3.org/TR/CSP3/>).
const HEADERS: [(HeaderName, HeaderValue); 6] = [
    (
        HeaderName::from_static("content-security-policy"),
        HeaderValue::from_static(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
    ),
    (HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff")),
    (HeaderName::from_static("referrer-policy"), HeaderValue::from_static("no-referrer")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    // Asked again each time, and answered by a line where nothing changed: a node of another version has another page.
    (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
];

/// The files of the page of one network.
#[derive(Debug)]
pub struct Page {
    files: [File; 5],
}

#[derive(Debug)]
struct File {
    path: &'static str,
    kind: HeaderValue,
    text: String,
    tag: HeaderValue,
}

impl File {
    fn new(path: &'static str, kind: HeaderValue, text: String) -> Self {
        let tag = format!("\"{}\"", hex::encode(&keccak256(&text)[..16]));
        Self { path, kind, tag: HeaderValue::try_from(tag).expect("hex digits"), text }
    }
}

impl Page {
    /// The page, which names the network of this genesis file.
    #[must_use]
    pub fn new(genesis: &Genesis) -> Self {
        let genesis = reply::json(genesis);
        let bundled = |path, kind, text: &str| File::new(path, kind, text.to_owned());
        Self {
            files: [
                bundled("/", HTML, include_str!("../../../page/dist/index.html")),
                bundled("/page.js", SCRIPT, include_str!("../../../page/dist/page.js")),
                bundled("/page.css", STYLE, include_str!("../../../page/dist/page.css")),
                bundled("/icon.svg", ICON, include_str!("../../../page/dist/icon.svg")),
                File::new("/genesis.json", JSON, genesis),
            ],
        }
    }

    /// The answer to a request for one of its files; none to any other.
    pub fn answer(&self, connection: &Arc<Connection>, request: &Request<Incoming>) -> Option<Reply> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return None;
        }
        let file = self.files.iter().find(|file| file.path == request.uri().path())?;
        let client = requester(connection, request);
        let unread = Unread::new(connection.server.context.shares.clone(), client, u64::MAX);
        let mut answer = if is_known(request.headers(), file) {
            written(StatusCode::NOT_MODIFIED, file.kind.clone(), String::new(), connection, None)
        } else {
            match unread.hold(file.text.len() as u64) {
                Ok(hold) => written(StatusCode::OK, file.kind.clone(), file.text.clone(), connection, Some(hold)),
                Err(limit) => return Some(refused(&limit, connection)),
            }
        };
        answer.headers_mut().extend(HEADERS);
        answer.headers_mut().insert(ETAG, file.tag.clone());
        Some(answer)
    }
}

/// Whether the browser has it already.
fn is_known(headers: &HeaderMap, file: &File) -> bool {
    headers.get_all(IF_NONE_MATCH).iter().any(|tag| *tag == file.tag)
}
