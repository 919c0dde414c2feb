//! Payment providers: whoever holds, takes and gives back the money for us.
//!
//! | setting | meaning | when unset |
//! |---|---|---|
//! | `PROVIDER_URL` | where the sandbox provider answers, such as `http://127.0.0.1:9300` | required |
//! | `PROVIDER_KEY` | the secret it knows us by | none is sent |
//!
//! Every operation has a key that is derived from what it is for, and a provider does what one key asks for once. Each
//! answer is the whole payment as the provider knows it, with all its operations: what a request of ours did, and what an
//! earlier one did whose answer was lost, are seen alike.
//!
//! Trap: an unknown outcome may be a charge. It is looked up by its key, never asked for again under another one.

pub(crate) mod client;

use chrono::{DateTime, Utc};
use nats::{config::Settings, contracts::payment::DeclineReason, service::StartError, types::Money};
use serde::{Deserialize, Serialize};

use crate::payment::TransactionKind;
use client::SandboxClient;

/// The providers there are.
#[derive(Clone)]
pub(crate) enum Provider {
    /// The process `sandbox-provider`.
    Sandbox(SandboxClient),
}

/// A payment, as the provider knows it. The sandbox says it in these words; a client of another provider translates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderPayment {
    /// The provider's own name for it.
    pub reference: String,
    /// The key of the request that was to authorize it.
    pub authorization: String,
    /// How much it is about.
    pub amount: Money,
    /// How far it is.
    pub status: ProviderStatus,
    /// Why it was declined, when it was.
    pub decline_reason: Option<DeclineReason>,
    /// Everything that was asked for, oldest first.
    pub operations: Vec<Operation>,
}

/// How far a payment is at the provider; refunds do not change it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProviderStatus {
    /// The money is held.
    RequiresCapture,
    /// The money was taken.
    Succeeded,
    /// Nothing is held, and nothing will be.
    Declined,
    /// What was held was let go, or it was called off before anything was; nothing will be held.
    Voided,
}

/// What was asked of the provider, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// Its place among all operations of the provider, from 1.
    pub sequence: i64,
    /// The provider's own name for it.
    pub reference: String,
    /// The key it was asked for under.
    pub key: String,
    /// The provider's name for the payment.
    pub payment: String,
    /// What was to happen.
    pub kind: TransactionKind,
    /// With how much; what a void let go.
    pub amount: Money,
    /// Why it did not happen; absent when it did.
    pub refusal: Option<String>,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// A piece of the provider's statement: its operations in their order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// The operations after the place that was asked for.
    pub data: Vec<Operation>,
    /// The place of the last operation there is.
    pub last: i64,
}

/// What a webhook tells: that something happened, and where to read what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// What happened, such as `payment.capture`.
    pub r#type: String,
    /// When it happened.
    pub timestamp: DateTime<Utc>,
    /// To what.
    pub data: Subject,
}

/// What a notice is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// The provider's name for the payment.
    pub payment: String,
    /// The provider's name for the operation.
    pub operation: String,
}

/// It is not known what the provider did: it could not be reached, did not answer in time, or gave no answer to go by.
#[derive(Debug)]
pub(crate) struct Unknown(pub(crate) String);

impl ProviderPayment {
    /// What came of the request with this key, if it was ever made.
    pub(crate) fn operation(&self, key: &str) -> Option<&Operation> {
        self.operations.iter().find(|operation| operation.key == key)
    }

    /// Whether the provider refused the request with this key, for good.
    pub fn refused(&self, key: &str) -> bool {
        self.operation(key).is_some_and(|operation| operation.refusal.is_some())
    }
}

impl Provider {
    /// The provider that the settings name.
    ///
    /// # Errors
    /// When a setting is missing or wrong.
    pub(crate) fn of(settings: &Settings) -> Result<Self, StartError> {
        Ok(Self::Sandbox(SandboxClient::new(settings)?))
    }

    /// Holds `amount` by `method`, once per key.
    ///
    /// # Errors
    /// [`Unknown`]: it may be held.
    pub(crate) async fn authorize(&self, key: &str, amount: Money, method: &str) -> Result<ProviderPayment, Unknown> {
        match self {
            Self::Sandbox(sandbox) => sandbox.authorize(key, amount, method).await,
        }
    }

    /// Takes what is held of the payment, once per key.
    ///
    /// # Errors
    /// [`Unknown`]: it may be taken.
    pub(crate) async fn capture(&self, key: &str, reference: &str, amount: Money) -> Result<ProviderPayment, Unknown> {
        match self {
            Self::Sandbox(sandbox) => sandbox.capture(key, reference, amount).await,
        }
    }

    /// Sees to it that nothing is held under the key `authorization`, now or when a request of ours that is still on its
    /// way arrives. If it is too late for that, the payment in the answer is captured.
    ///
    /// # Errors
    /// [`Unknown`]: ask again.
    pub(crate) async fn void(&self, key: &str, authorization: &str, amount: Money) -> Result<ProviderPayment, Unknown> {
        match self {
            Self::Sandbox(sandbox) => sandbox.void(key, authorization, amount).await,
        }
    }

    /// Gives back `amount` of a captured payment, once per key.
    ///
    /// # Errors
    /// [`Unknown`]: it may have gone back.
    pub(crate) async fn refund(&self, key: &str, reference: &str, amount: Money) -> Result<ProviderPayment, Unknown> {
        match self {
            Self::Sandbox(sandbox) => sandbox.refund(key, reference, amount).await,
        }
    }

    /// The payment that was to be authorized under this key; `None` when the provider never heard of it.
    ///
    /// # Errors
    /// [`Unknown`]: ask again.
    pub(crate) async fn find(&self, authorization: &str) -> Result<Option<ProviderPayment>, Unknown> {
        match self {
            Self::Sandbox(sandbox) => sandbox.find(authorization).await,
        }
    }

    /// The payment that the provider calls so.
    ///
    /// # Errors
    /// [`Unknown`]: ask again.
    pub(crate) async fn payment(&self, reference: &str) -> Result<Option<ProviderPayment>, Unknown> {
        match self {
            Self::Sandbox(sandbox) => sandbox.payment(reference).await,
        }
    }

    /// The operations after this place in the provider's order, at most `limit`.
    ///
    /// # Errors
    /// [`Unknown`]: ask again.
    pub(crate) async fn statement(&self, after: i64, limit: usize) -> Result<Statement, Unknown> {
        match self {
            Self::Sandbox(sandbox) => sandbox.statement(after, limit).await,
        }
    }
}
