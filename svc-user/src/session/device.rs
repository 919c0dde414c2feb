//! What signs in and from where, for the person who looks through their sessions.

use std::net::IpAddr;

use nats::http::ClientAddress;
use poem::{FromRequest, Request, RequestBody};

/// The longest that is kept of what a client says of itself, in characters.
const LONGEST: usize = 200;

/// What a request came from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Device {
    /// The header `User-Agent` (RFC 9110, 10.1.5), cut to what is worth showing. Nothing is decided by it: anyone can say
    /// anything.
    pub(crate) user_agent: Option<String>,
    /// The network, as the gateway saw it.
    pub(crate) network: Option<IpAddr>,
}

fn shown(user_agent: &str) -> Option<String> {
    let shown: String = user_agent.trim().chars().filter(|c| !c.is_control()).take(LONGEST).collect();
    Some(shown).filter(|shown| !shown.is_empty())
}

impl<'a> FromRequest<'a> for Device {
    async fn from_request(request: &'a Request, body: &mut RequestBody) -> poem::Result<Self> {
        let ClientAddress(network) = ClientAddress::from_request(request, body).await?;
        Ok(Self { user_agent: request.header("User-Agent").and_then(shown), network })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_can_be_shown() {
        assert_eq!(shown(" Argosy/1.0 (Linux) ").as_deref(), Some("Argosy/1.0 (Linux)"));
        assert_eq!(shown("a\tb\u{7f}").as_deref(), Some("ab"));
        assert_eq!(shown(" "), None);
        assert_eq!(shown(&"ä".repeat(500)).map(|text| text.chars().count()), Some(200));
    }
}
