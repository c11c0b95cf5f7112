//! Which pages in a browser may ask the JSON-RPC (CORS: <https://fetch.spec.whatwg.org/#http-cors-protocol>).
//!
//! A page that may ask can use whatever its visitor's machine reaches, so none may unless the operator says so. Programs other than
//! browsers send no origin, and are not meant.

use core::net::IpAddr;

/// Characters of an origin: the longest name of DNS, a scheme and a port.
const MAX_CHARACTERS: usize = 300;

/// The pages that may ask.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origins {
    #[default]
    None,
    Only(Vec<String>),
    /// Every page: for a node that everybody may reach anyway.
    All,
}

/// Why an origin is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{0}\" is no origin: expected one as https://app.example or http://127.0.0.1:3000, without a path, or \"*\" alone for all"
)]
pub struct NoOrigin(String);

impl Origins {
    /// From a configuration: origins, or `*` alone.
    ///
    /// # Errors
    ///
    /// The first that is none.
    pub fn new(origins: Vec<String>) -> Result<Self, NoOrigin> {
        match origins.as_slice() {
            [] => Ok(Self::None),
            [all] if all == "*" => Ok(Self::All),
            _ => match origins.iter().find(|origin| !is_origin(origin)) {
                Some(none) => Err(NoOrigin(none.chars().take(MAX_CHARACTERS).collect())),
                None => Ok(Self::Only(origins)),
            },
        }
    }

    /// Whether a page of this origin may ask.
    #[must_use]
    pub fn has(&self, origin: &str) -> bool {
        match self {
            Self::None => false,
            Self::Only(origins) => origins.iter().any(|known| known == origin),
            Self::All => true,
        }
    }

    /// Whether a client may open a WebSocket, to which browsers do not apply the rule by themselves. Some libraries name as origin the
    /// server itself; a name of DNS could be anybody's, so that is believed of addresses and of localhost.
    #[must_use]
    pub fn lets_in(&self, origin: Option<&str>, host: Option<&str>) -> bool {
        let Some(origin) = origin else { return true };
        let own =
            origin.split_once("://").is_some_and(|(_, authority)| Some(authority) == host && is_own_name(authority));
        own || self.has(origin)
    }
}

/// Names of DNS by which a server may be asked, beside its addresses and localhost. A page that leads its own name here asks by that name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Hosts {
    /// By any, as proxies and containers do. Pages are told by their origin then.
    #[default]
    All,
    Only(Vec<String>),
}

/// Why a name is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no name of a host: expected one as node.example, without a scheme and a port")]
pub struct NoHost(String);

impl Hosts {
    /// From a configuration.
    ///
    /// # Errors
    ///
    /// The first that is no name.
    pub fn new(names: Vec<String>) -> Result<Self, NoHost> {
        let is_name = |name: &str| {
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-' | '_');
            (1..=MAX_CHARACTERS).contains(&name.len()) && name.chars().all(plain)
        };
        match names.iter().find(|name| !is_name(name)) {
            Some(none) => Err(NoHost(none.chars().take(MAX_CHARACTERS).collect())),
            None => Ok(Self::Only(names)),
        }
    }

    /// Whether the server may be asked by this name, perhaps with a port. HTTP/1.0 may name none.
    #[must_use]
    pub fn has(&self, authority: Option<&str>) -> bool {
        let Self::Only(names) = self else { return true };
        let Some(host) = authority.and_then(host) else { return false };
        is_own(host) || names.iter().any(|name| name.eq_ignore_ascii_case(host))
    }

    /// Whether it is a page of this very server that asks, under a name that is the server's for sure: not one of DNS that nobody named here.
    #[must_use]
    pub fn is_own_page(&self, origin: Option<&str>, host: Option<&str>) -> bool {
        let authority = origin.and_then(|origin| origin.split_once("://")).map(|(_, authority)| authority);
        let is_named = matches!(self, Self::Only(_)) && self.has(authority);
        is_named && authority == host
    }
}

/// A scheme, a host and perhaps a port, in lower case as browsers send it.
fn is_origin(text: &str) -> bool {
    let Some(("http" | "https", authority)) = text.split_once("://") else { return false };
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-' | ':' | '[' | ']');
    text.len() <= MAX_CHARACTERS && !authority.is_empty() && authority.chars().all(plain)
}

fn is_own_name(authority: &str) -> bool {
    host(authority).is_some_and(is_own)
}

fn is_own(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok()
}

/// The host of an authority (RFC 3986, section 3.2), without the dot that may end a name of DNS; none where what follows it is no port.
fn host(authority: &str) -> Option<&str> {
    let (host, rest) = match authority.strip_prefix('[') {
        Some(v6) => v6.split_once(']')?,
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let is_port = |port: &str| port.chars().all(|c| c.is_ascii_digit());
    let is_whole = rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port);
    is_whole.then(|| host.strip_suffix('.').unwrap_or(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origins(list: &[&str]) -> Result<Origins, NoOrigin> {
        Origins::new(list.iter().map(|origin| (*origin).to_owned()).collect())
    }

    #[test]
    fn no_page_may_ask_but_those_that_are_named() {
        let two = origins(&["https://app.example", "http://127.0.0.1:3000"]).expect("origins");
        assert!(two.has("https://app.example") && two.has("http://127.0.0.1:3000"));
        for other in ["http://app.example", "https://app.example:8443", "https://app.example.evil", "null", ""] {
            assert!(!two.has(other), "{other}");
        }
        assert!(!origins(&[]).expect("none").has("https://app.example"));
        assert!(origins(&["*"]).expect("all").has("null"));
    }

    #[test]
    fn what_is_no_origin_is_refused_by_name() {
        for wrong in
            ["app.example", "https://app.example/", "ftp://app.example", "https://", "https://App.example", "null"]
        {
            assert_eq!(origins(&["https://good.example", wrong]), Err(NoOrigin(wrong.to_owned())));
        }
        assert!(origins(&["*", "https://app.example"]).is_err(), "all or some");
    }

    #[test]
    fn a_server_is_asked_by_its_addresses_and_the_names_that_it_has() {
        let one = Hosts::new(vec!["node.example".into()]).expect("a name");
        for own in [
            "node.example",
            "Node.Example:8545",
            "127.0.0.1:8545",
            "[::1]:8545",
            "localhost",
            "192.0.2.1",
            "LOCALHOST:1",
            "localhost.",
            "node.example.:8545",
        ] {
            assert!(one.has(Some(own)), "{own}");
        }
        for other in [
            "evil.example:8545",
            "node.example.evil",
            "",
            ":8545",
            "1.2.3.4.evil",
            "localhost.evil",
            "[::1].evil",
            "[::1",
            "[127.0.0.1]evil",
            "node.example:80:evil",
        ] {
            assert!(!one.has(Some(other)), "{other}");
        }
        assert!(!one.has(None) && Hosts::All.has(Some("evil.example")) && Hosts::All.has(None));
        assert!(!Hosts::new(Vec::new()).expect("none").has(Some("node.example")));
        for wrong in ["https://node.example", "node.example:8545", "Node.example", "*", ""] {
            assert_eq!(Hosts::new(vec![wrong.into()]), Err(NoHost(wrong.to_owned())));
        }
    }

    #[test]
    fn the_servers_own_page_asks_by_a_name_that_the_operator_gave_it() {
        let one = Hosts::new(vec!["node.example".into()]).expect("a name");
        let page = |hosts: &Hosts, origin, host| hosts.is_own_page(Some(origin), Some(host));
        assert!(page(&one, "https://node.example", "node.example"));
        assert!(page(&one, "http://node.example:8545", "node.example:8545"));
        assert!(!page(&one, "https://evil.example", "node.example"), "a page of elsewhere");
        assert!(!page(&one, "https://node.example:444", "node.example"));
        assert!(!page(&Hosts::All, "http://evil.example:8545", "evil.example:8545"), "a name that was pointed here");
        assert!(!one.is_own_page(None, Some("node.example")) && !page(&one, "null", "null"));
    }

    #[test]
    fn a_page_opens_no_websocket_to_a_node_that_does_not_name_it() {
        let one = origins(&["https://app.example"]).expect("an origin");
        let host = Some("127.0.0.1:8545");
        assert!(one.lets_in(None, host), "a program");
        assert!(one.lets_in(Some("http://127.0.0.1:8545"), host), "a program that names the node itself");
        assert!(one.lets_in(Some("http://[::1]:8545"), Some("[::1]:8545")));
        assert!(one.lets_in(Some("http://localhost:8545"), Some("localhost:8545")));
        assert!(one.lets_in(Some("https://app.example"), host));
        assert!(!one.lets_in(Some("https://evil.example"), host));
        assert!(
            !one.lets_in(Some("http://evil.example:8545"), Some("evil.example:8545")),
            "a name that was pointed here"
        );
        assert!(!one.lets_in(Some("null"), host));
    }
}
