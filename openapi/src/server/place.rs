//! A connection's place among all those that there may be.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;

use super::guests::Guest;

/// How many of them the connection itself has: to be served with, and to hand on with its requests.
const ITS_OWN: usize = 2;

/// Handed on with each request; cheap to clone. An answer that goes on for as long as it likes keeps it: so the connection
/// is counted, also when it is one of HTTP no more, and is not cut off.
#[derive(Clone)]
pub(crate) struct Place(Arc<(Option<OwnedSemaphorePermit>, Guest)>);

impl Place {
    pub(super) fn new(permit: Option<OwnedSemaphorePermit>, guest: Guest) -> Self {
        Self(Arc::new((permit, guest)))
    }

    /// Whether an answer keeps it, or a request is being answered.
    pub(super) fn is_kept(&self) -> bool {
        Arc::strong_count(&self.0) > ITS_OWN
    }
}
