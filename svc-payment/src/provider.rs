//! Payment providers: whoever takes the money for us.
//!
//! Every capture carries a key that is derived from what it is for, and a provider has the effect of one key once.
//! An [`Unknown`] outcome is asked for by the key ([`Provider::lookup`]); it is never charged again under another key.

pub(crate) mod sandbox;

use nats::{contracts::payment::DeclineReason, database::DatabaseError, types::Money};

use sandbox::Sandbox;

/// The providers there are.
#[derive(Clone)]
pub(crate) enum Provider {
    /// The one that is built in.
    Sandbox(Sandbox),
}

/// A definitive answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The money is ours.
    Succeeded {
        /// The provider's own name for the charge.
        reference: String,
    },
    /// Nothing was charged, and nothing will be under this key.
    Declined {
        /// Why.
        reason: DeclineReason,
    },
}

/// It is not known what the provider did: it did not answer, or we could not reach it.
#[derive(Debug)]
pub(crate) struct Unknown(pub(crate) String);

impl From<DatabaseError> for Unknown {
    fn from(error: DatabaseError) -> Self {
        Self(error.to_string())
    }
}

impl From<diesel::result::Error> for Unknown {
    fn from(error: diesel::result::Error) -> Self {
        Self(error.to_string())
    }
}

impl Provider {
    /// Takes `amount` by `method`, once per `key`. There is no deadline in here; the caller sets one.
    ///
    /// # Errors
    /// [`Unknown`]: the money may have been taken.
    pub(crate) async fn capture(&self, key: &str, amount: Money, method: &str) -> Result<Outcome, Unknown> {
        match self {
            Self::Sandbox(sandbox) => sandbox.capture(key, amount, method).await,
        }
    }

    /// What became of `key`; `None` when the provider never got it.
    ///
    /// # Errors
    /// [`Unknown`]: ask again.
    pub(crate) async fn lookup(&self, key: &str) -> Result<Option<Outcome>, Unknown> {
        match self {
            Self::Sandbox(sandbox) => sandbox.lookup(key).await,
        }
    }
}
