//! Who asks, as far as limits go: one address of IPv4, or one network of IPv6.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::fmt;
use std::str::FromStr;

/// Addresses that count as one client. A subscriber of IPv6 gets a /64 or more, so addresses in it are free.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// One address.
    V4(Ipv4Addr),
    /// The upper 64 bits.
    V6(u64),
}

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => Self::V6((address.to_bits() >> 64) as u64),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(address) => address.fmt(formatter),
            Self::V6(upper) => write!(formatter, "{}/64", Ipv6Addr::from_bits(u128::from(*upper) << 64)),
        }
    }
}

/// Who a connection or a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Client {
    pub source: Source,
    /// Whether the limits of one address hold for it.
    pub limited: bool,
}

/// A network of addresses, as `10.0.0.0/8`; without a length one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    address: IpAddr,
    bits: u8,
}

impl Prefix {
    /// Whether the network contains an address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                same(u128::from(network.to_bits()) << 96, u128::from(address.to_bits()) << 96, self.bits)
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => same(network.to_bits(), address.to_bits(), self.bits),
            _ => false,
        }
    }
}

fn same(one: u128, other: u128, bits: u8) -> bool {
    (one ^ other).checked_shr(128 - u32::from(bits)).unwrap_or(0) == 0
}

impl fmt::Display for Prefix {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.address, self.bits)
    }
}

/// Why a text is not a [`Prefix`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{got:?} is not a network of addresses, expected one as 10.0.0.0/8 or fd00::/8, or one address")]
pub struct NotAPrefix {
    got: String,
}

impl FromStr for Prefix {
    type Err = NotAPrefix;

    fn from_str(text: &str) -> Result<Self, NotAPrefix> {
        let wrong = || NotAPrefix { got: text.to_owned() };
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), |bits| bits.parse().map_err(|_| wrong()))?;
        if bits > most { Err(wrong()) } else { Ok(Self { address, bits }) }
    }
}

/// Whose addresses are treated in another way than as one client each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Reverse proxies: what they say in `X-Forwarded-For` is believed. Nobody else's is.
    pub trusted_proxies: Vec<Prefix>,
    /// Clients that the limits of one address do not hold for.
    pub unlimited: Vec<Prefix>,
}

impl Access {
    /// Who opened a connection. The limits of one address do not hold for a proxy's connections, but for each of its requests.
    pub fn peer(&self, peer: IpAddr) -> Client {
        let limited = !self.is_proxy(peer) && !self.is_unlimited(peer);
        Client { source: peer.into(), limited }
    }

    /// Who sends a request over a connection of `peer`; `forwarded` are the values of `X-Forwarded-For`, in order.
    ///
    /// Each proxy appends whom it got the request from, so the last address that is not a proxy of ours is the client: what
    /// stands before it may be the client's invention.
    pub fn requester<'a>(&self, peer: IpAddr, forwarded: impl DoubleEndedIterator<Item = &'a str>) -> Client {
        if !self.is_proxy(peer) {
            return Client { source: peer.into(), limited: !self.is_unlimited(peer) };
        }
        let mut last = peer;
        for hop in forwarded.rev().flat_map(|value| value.rsplit(',')) {
            let Some(address) = parse_hop(hop) else { break };
            last = address;
            if !self.is_proxy(address) {
                break;
            }
        }
        Client { source: last.into(), limited: true }
    }

    fn is_proxy(&self, address: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|prefix| prefix.contains(address))
    }

    fn is_unlimited(&self, address: IpAddr) -> bool {
        self.unlimited.iter().any(|prefix| prefix.contains(address))
    }
}

/// An address, with or without a port.
fn parse_hop(hop: &str) -> Option<IpAddr> {
    let hop = hop.trim();
    let bare = hop.strip_prefix('[').and_then(|rest| rest.split_once(']')).map_or(hop, |(address, _)| address);
    bare.parse().ok().or_else(|| hop.parse::<core::net::SocketAddr>().ok().map(|address| address.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn behind_proxy() -> Access {
        Access { trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()], unlimited: vec!["127.0.0.0/8".parse().unwrap()] }
    }

    fn requester(peer: &str, forwarded: &[&str]) -> String {
        let client = behind_proxy().requester(ip(peer), forwarded.iter().copied());
        format!("{}{}", client.source, if client.limited { "" } else { " unlimited" })
    }

    #[test]
    fn a_network_of_ipv6_is_one_client_and_mapped_addresses_are_those_of_ipv4() {
        assert_eq!(Source::from(ip("2001:db8::1")), Source::from(ip("2001:db8::ffff:2")));
        assert_ne!(Source::from(ip("2001:db8::1")), Source::from(ip("2001:db8:0:1::1")));
        assert_eq!(Source::from(ip("::ffff:192.0.2.1")), Source::from(ip("192.0.2.1")));
        assert_eq!(Source::from(ip("2001:db8::1")).to_string(), "2001:db8::/64");
    }

    #[test]
    fn only_a_configured_proxy_says_whom_it_forwards() {
        assert_eq!(requester("192.0.2.1", &["198.51.100.7"]), "192.0.2.1", "a liar is itself");
        assert_eq!(requester("10.1.1.1", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(requester("10.1.1.1", &["127.0.0.1, 198.51.100.7:4711"]), "198.51.100.7", "the first is invented");
        assert_eq!(requester("10.1.1.1", &["203.0.113.9", "198.51.100.7, 10.2.2.2"]), "198.51.100.7", "two proxies");
        assert_eq!(requester("10.1.1.1", &["[2001:db8::5]:99"]), "2001:db8::/64");
        assert_eq!(requester("10.1.1.1", &["127.0.0.1"]), "127.0.0.1", "limited, since only a header says so");
        assert_eq!(requester("10.1.1.1", &["garbage, 10.2.2.2"]), "10.2.2.2");
        assert_eq!(requester("10.1.1.1", &[]), "10.1.1.1");
        assert_eq!(requester("127.0.0.1", &["198.51.100.7"]), "127.0.0.1 unlimited");
    }

    #[test]
    fn a_prefix_contains_what_its_bits_say() {
        let contains = |prefix: &str, address: &str| prefix.parse::<Prefix>().unwrap().contains(ip(address));
        assert!(contains("10.0.0.0/8", "10.255.0.1") && !contains("10.0.0.0/8", "11.0.0.1"));
        assert!(contains("0.0.0.0/0", "192.0.2.1") && !contains("0.0.0.0/0", "::1"));
        assert!(contains("192.0.2.1", "192.0.2.1") && !contains("192.0.2.1", "192.0.2.2"));
        assert!(contains("fd00::/8", "fdff::1") && contains("::/0", "2001:db8::1") && !contains("fd00::/8", "fe00::1"));
        for wrong in ["", "10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/", "10.0.0.0/-1"] {
            assert!(wrong.parse::<Prefix>().is_err(), "{wrong}");
        }
    }
}
