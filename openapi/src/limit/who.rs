//! Who is counted: the user or the API key, or else the client's address.
//!
//! | setting | meaning | when unset |
//! |---|---|---|
//! | `TRUSTED_PROXIES` | how many proxies of ours stand in front, each of which appends to `X-Forwarded-For` | 0: the header is not looked at |
//!
//! Trap: a number that is too high believes what clients write into the header themselves; one that is too low counts all
//! clients of a proxy as one.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr, SocketAddr},
};

use nats::types::{ApiKeyId, UserId};
use poem::{Addr, Request, http::HeaderName};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// One caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Who {
    /// Somebody with a token that we have verified.
    User(UserId),
    /// A program with a key that we have verified: its owner's other requests are counted apart.
    ApiKey(ApiKeyId),
    /// Anybody at this IPv4 address, or in this /64 of IPv6: that much is one customer's to choose from.
    Address(IpAddr),
}

impl Who {
    /// Whoever sends this request, by its address alone.
    pub(crate) fn at(request: &Request, proxies: usize) -> Self {
        let socket = match &request.remote_addr().0 {
            Addr::SocketAddr(address) => address.ip(),
            // Nothing else is listened on; all that came otherwise would be one caller.
            _ => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let forwarded = request.headers().get_all(FORWARDED_FOR);
        let forwarded = forwarded.iter().flat_map(|value| value.to_str().unwrap_or_default().split(','));
        Self::Address(network(client(socket, forwarded, proxies)))
    }

    /// The address, when that is all that is known.
    pub(crate) const fn address(self) -> Option<IpAddr> {
        match self {
            Self::Address(address) => Some(address),
            Self::User(_) | Self::ApiKey(_) => None,
        }
    }

    /// What kind of caller it is, for the log.
    pub(crate) const fn kind(self) -> &'static str {
        match self {
            Self::User(_) => "user",
            Self::ApiKey(_) => "api_key",
            Self::Address(_) => "nobody",
        }
    }
}

/// As it stands in a key.
impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(user) => user.fmt(f),
            Self::ApiKey(key) => key.fmt(f),
            Self::Address(address) => address.fmt(f),
        }
    }
}

/// The address that the outermost of so many proxies saw. Each has appended the one that it saw itself; what stands before
/// that is the client's own invention. Where an entry is no address, the proxy after it counts.
fn client<'a>(socket: IpAddr, forwarded: impl Iterator<Item = &'a str>, proxies: usize) -> IpAddr {
    if proxies == 0 {
        return socket;
    }
    let entries: Vec<&str> = forwarded.collect();
    let seen = entries.iter().rev().take(proxies).map_while(|entry| address(entry.trim()));
    seen.last().unwrap_or(socket)
}

/// An address with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

/// What of an address tells one customer from another.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_client_is_whom_the_outermost_of_our_proxies_saw() {
        for (forwarded, proxies, expected) in [
            ("", 0, "10.0.0.1"),
            ("198.51.100.7", 0, "10.0.0.1"),
            ("198.51.100.7", 1, "198.51.100.7"),
            ("6.6.6.6, 198.51.100.7", 1, "198.51.100.7"),
            ("6.6.6.6, 198.51.100.7, 10.0.0.9", 2, "198.51.100.7"),
            ("6.6.6.6,198.51.100.7:4711", 1, "198.51.100.7"),
            ("[2001:db8::7]:4711", 1, "2001:db8::7"),
            ("[2001:db8::7]", 1, "2001:db8::7"),
            ("2001:db8::7", 1, "2001:db8::7"),
            ("198.51.100.7", 2, "198.51.100.7"),
            ("", 1, "10.0.0.1"),
            ("unknown", 1, "10.0.0.1"),
            ("198.51.100.7, unknown, 10.0.0.9", 3, "10.0.0.9"),
        ] {
            let socket = "10.0.0.1".parse().unwrap();
            let found = client(socket, forwarded.split(','), proxies);
            assert_eq!(found, expected.parse::<IpAddr>().unwrap(), "{forwarded:?} behind {proxies}");
        }
    }

    #[test]
    fn a_customer_of_ipv6_is_a_64() {
        for (address, expected) in [
            ("198.51.100.7", "198.51.100.7"),
            ("::ffff:198.51.100.7", "198.51.100.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("2001:db8:1:2:ffff::", "2001:db8:1:2::"),
        ] {
            assert_eq!(network(address.parse().unwrap()), expected.parse::<IpAddr>().unwrap(), "{address}");
        }
    }
}
