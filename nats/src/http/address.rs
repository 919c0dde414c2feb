//! Where a request came from, as the gateway saw it.

use std::net::IpAddr;

use poem::{FromRequest, Request, RequestBody};

/// The header in which it travels; as the other headers of the hop, a client's own is not passed on.
pub(super) const CLIENT: &str = "Argosy-Client";

/// An IPv4 address, or a /64 of IPv6 by its first address: as much as tells one customer of a network from another. `None` when
/// the request did not come from outside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClientAddress(pub Option<IpAddr>);

impl<'a> FromRequest<'a> for ClientAddress {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> poem::Result<Self> {
        Ok(Self(request.header(CLIENT).and_then(|address| address.parse().ok())))
    }
}
