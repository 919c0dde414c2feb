//! HTTP over NATS: a poem endpoint that answers on `http.<service>`, and its client side for the gateway.
//!
//! Method, target and status travel as `Http-Method`, `Http-Target` and `Http-Status`; HTTP headers keep their names.
//! Bodies over [`INLINE`] bytes go through the `transfer` bucket (`http-object`), files that a service already keeps are
//! named by [`File`] and streamed by the gateway from where they lie.
//!
//! Trap: only the gateway may publish on `http.>` (the broker enforces it); that is why identity headers are believed.

mod address;
mod body;
mod client;
mod endpoint;
mod response;

pub use address::ClientAddress;
pub use body::Body;
pub use client::{Answered, Forward, ForwardError, Forwarder};
pub(crate) use endpoint::{overloaded, responder};
pub use response::{Accepted, Created, File, Listed, NoContent};

/// Bodies up to this many bytes travel inside the message.
pub const INLINE: usize = 512 * 1024;
/// The largest body that the gateway takes from a client.
pub const LARGEST_BODY: usize = 2 * 1024 * 1024;
/// The longest a service may take for one HTTP request.
pub const DEADLINE: std::time::Duration = std::time::Duration::from_secs(10);

pub(crate) const METHOD: &str = "Http-Method";
pub(crate) const TARGET: &str = "Http-Target";
pub(crate) const STATUS: &str = "Http-Status";
/// `<bucket>/<object>`: where the body lies when it is not in the message. In small letters, as poem writes the names of an
/// answer's headers; NATS tells them apart.
pub(crate) const OBJECT: &str = "http-object";

/// What every header begins with that is for the gateway alone, in either direction: in small letters.
pub const INTERNAL: &str = "argosy-";
/// The header of an answer that says whose account it is about, where neither path nor caller does: for the audit trail.
pub const CONCERNS: &str = "argosy-concerns";

/// The subject on which a service answers HTTP.
pub(crate) fn subject(service: &str) -> String {
    format!("http.{service}")
}
