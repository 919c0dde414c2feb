//! Tickets: how a browser gets a stream without a token in a URL.
//!
//! Whoever is signed in asks for one, and opens the stream with `?ticket=…` within half a minute. It lets in once: of two
//! who bring it at the same time one gets in, whichever gateways they come to. What is kept is its SHA-256.
//!
//! Trap: a ticket is as good as the token it was had with, for that half minute. The log has paths without queries; keep it so.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use nats::{
    contracts::notify::StreamTicket,
    problem::{Code, Problem},
    state::{State, StateError},
};
use poem::Request;
use sha2::{Digest, Sha256};

use super::Listener;

/// The security scheme's name, and that of the parameter that a ticket comes in.
pub(crate) const TICKET: &str = "ticket";
/// 256 bits in base64url.
const LENGTH: usize = 43;
/// In a cluster another gateway may read a moment behind.
const BEHIND: Duration = Duration::from_millis(100);

/// The tickets of all gateways.
pub(super) struct Tickets {
    state: State<StreamTicket>,
}

impl Tickets {
    /// In this bucket.
    pub(super) const fn new(state: State<StreamTicket>) -> Self {
        Self { state }
    }

    /// Makes one for somebody, and tells the secret, once.
    ///
    /// # Errors
    /// `unavailable` when it cannot be kept.
    pub(super) async fn make(&self, listener: &Listener) -> Result<String, Problem> {
        let secret = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
        let value = StreamTicket {
            user_id: listener.user,
            session_id: listener.session,
            api_key_id: listener.api_key,
            credential_ends_at: listener.until,
        };
        self.state.create(&key(&secret), &value).await.map_err(away)?;
        Ok(secret)
    }

    /// Takes one, so that nobody else can.
    ///
    /// # Errors
    /// `unauthenticated` when there is no such ticket any more; `unavailable` when that cannot be said.
    pub(super) async fn take(&self, secret: &str) -> Result<StreamTicket, Problem> {
        if !is_well_formed(secret) {
            return Err(refused());
        }
        let key = key(secret);
        let mut found = self.state.get(&key).await.map_err(away)?;
        if found.is_none() {
            tokio::time::sleep(BEHIND).await;
            found = self.state.get(&key).await.map_err(away)?;
        }
        let found = found.ok_or_else(refused)?;
        match self.state.delete_if(&key, found.revision).await {
            Ok(()) => Ok(found.value),
            Err(StateError::Conflict { .. }) => Err(refused()),
            Err(error) => Err(away(error)),
        }
    }
}

/// The ticket that a request brings.
pub(crate) fn brought(request: &Request) -> Option<&str> {
    let query = request.uri().query()?;
    // Tickets have no character that would be written otherwise in a URL.
    query.split('&').find_map(|part| part.strip_prefix(TICKET)?.strip_prefix('='))
}

/// Whether it has the form of ours: nobody is asked about anything else.
fn is_well_formed(secret: &str) -> bool {
    secret.len() == LENGTH && secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

fn key(secret: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(secret))
}

fn refused() -> Problem {
    let detail = "The ticket is not valid: it was used, or is older than half a minute. Ask for another one.";
    Problem::new(Code::Unauthenticated, detail)
}

fn away(error: StateError) -> Problem {
    Problem::new(Code::Unavailable, "Tickets cannot be made or taken at the moment.").because(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_found_in_the_query() {
        for (uri, ticket) in [
            ("/v1/notifications/ws?ticket=abc", Some("abc")),
            ("/v1/notifications/ws?last_event_id=7&ticket=abc", Some("abc")),
            ("/v1/notifications/ws?ticket=", Some("")),
            ("/v1/notifications/ws?ticketed=abc", None),
            ("/v1/notifications/ws?the_ticket=abc", None),
            ("/v1/notifications/ws", None),
        ] {
            let request = Request::builder().uri_str(uri).finish();
            assert_eq!(brought(&request), ticket, "{uri}");
        }
    }

    #[test]
    fn only_what_has_the_form_of_a_ticket_is_looked_up() {
        assert!(is_well_formed(&"aZ0-_".repeat(9)[..LENGTH]));
        for wrong in ["", "abc", &"x".repeat(LENGTH + 1), &".".repeat(LENGTH), &"\u{e9}".repeat(LENGTH)] {
            assert!(!is_well_formed(wrong), "{wrong}");
        }
    }
}
