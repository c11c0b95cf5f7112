//! The page for people: what `sidechain/page` bundles, and the genesis file, by which it checks what this node says.

use alloy_primitives::{hex, keccak256};
use hyper::Method;
use hyper::header::{CACHE_CONTROL, HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH};

use crate::genesis::Genesis;

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const SCRIPT: HeaderValue = HeaderValue::from_static("text/javascript; charset=utf-8");
const STYLE: HeaderValue = HeaderValue::from_static("text/css; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const ICON: HeaderValue = HeaderValue::from_static("image/svg+xml");

/// Nothing of elsewhere is loaded, asked or framed, and no text becomes code (<https://www.w3.org/TR/CSP3/>).
pub const HEADERS: [(HeaderName, HeaderValue); 6] = [
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
pub struct File {
    path: &'static str,
    pub kind: HeaderValue,
    pub text: String,
    /// Another for each content (RFC 9110, section 8.8.3).
    pub tag: HeaderValue,
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
        let genesis = serde_json::to_string(genesis).expect("every field is text, number or list");
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

    /// The file that a request asks for.
    pub fn file(&self, method: &Method, path: &str) -> Option<&File> {
        let is_read = matches!(*method, Method::GET | Method::HEAD);
        self.files.iter().find(|file| is_read && file.path == path)
    }
}

impl File {
    /// Whether the browser that sends these has it already.
    pub fn is_known(&self, headers: &HeaderMap) -> bool {
        headers.get_all(IF_NONE_MATCH).iter().any(|tag| *tag == self.tag)
    }
}
