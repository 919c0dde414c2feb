//! Payment providers: whoever takes the money for us, and gives it back.
//!
//! Every capture and every refund carries a key that is derived from what it is for, and a provider has the effect of one key once.
//! An [`Unknown`] outcome is asked for by the key ([`Provider::lookup`]); it is never charged again under another key.
//! A charge that is not wanted any more is voided by its key, which the provider decides against the capture itself:
//! a request of ours that is still on its way finds the key used up.

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
    /// Nothing was charged, and nothing will be under this key: we took it back in time.
    Voided,
}

/// A definitive answer about a refund.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RefundOutcome {
    /// The money is on its way back.
    Succeeded {
        /// The provider's own name for the refund.
        reference: String,
    },
    /// Nothing went back, and nothing will under this key.
    Declined {
        /// The provider's words.
        reason: String,
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

    /// Sees to it that nothing will be charged under `key`, of a capture of `amount` by `method` that may have been
    /// asked for; tells what came of that if it was too late.
    ///
    /// # Errors
    /// [`Unknown`]: ask again.
    pub(crate) async fn void(&self, key: &str, amount: Money, method: &str) -> Result<Outcome, Unknown> {
        match self {
            Self::Sandbox(sandbox) => sandbox.void(key, amount, method).await,
        }
    }

    /// Gives back `amount` minor units of the charge that the provider calls `charge`, once per `key`. There is no
    /// deadline in here; the caller sets one.
    ///
    /// # Errors
    /// [`Unknown`]: the money may have gone back.
    pub(crate) async fn refund(&self, key: &str, charge: &str, amount: i64) -> Result<RefundOutcome, Unknown> {
        match self {
            Self::Sandbox(sandbox) => sandbox.refund(key, charge, amount).await,
        }
    }

    /// What became of the refund `key`; `None` when the provider never got it.
    ///
    /// # Errors
    /// [`Unknown`]: ask again.
    pub(crate) async fn lookup_refund(&self, key: &str) -> Result<Option<RefundOutcome>, Unknown> {
        match self {
            Self::Sandbox(sandbox) => sandbox.lookup_refund(key).await,
        }
    }
}
