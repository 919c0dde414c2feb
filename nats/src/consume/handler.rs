//! What handles an event, and how it fails.

use std::{future::Future, time::Duration};

use super::Received;
use crate::database::{DatabaseError, Tx};

/// Why a handler did not handle an event.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Something it needs is away (database, another service). Tried again for as long as it takes.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// Try again after the delay; dead after `CONSUME_ATTEMPTS` failures.
    #[error("retry: {reason}")]
    RetryAfter {
        /// How long to wait.
        delay: Duration,
        /// What went wrong.
        reason: String,
    },
    /// It failed; tried again with growing delays, dead after `CONSUME_ATTEMPTS` failures.
    #[error("failed: {0}")]
    Failed(String),
    /// It can never be handled.
    #[error("dead: {0}")]
    Dead(String),
}

impl From<diesel::result::Error> for Failure {
    fn from(error: diesel::result::Error) -> Self {
        DatabaseError::from(error).into()
    }
}

impl From<DatabaseError> for Failure {
    fn from(error: DatabaseError) -> Self {
        if error.is_unavailable() { Self::Unavailable(error.to_string()) } else { Self::Failed(error.to_string()) }
    }
}

impl<R: std::fmt::Debug> From<crate::invoke::CallError<R>> for Failure {
    fn from(error: crate::invoke::CallError<R>) -> Self {
        match error {
            crate::invoke::CallError::Refused(refusal) => Self::Failed(format!("the call was refused: {refusal:?}")),
            crate::invoke::CallError::Failed(reason) => Self::Failed(reason),
            away => Self::Unavailable(away.to_string()),
        }
    }
}

/// A function that handles events of type `E` on an open transaction.
///
/// Implemented for `async fn(&mut Tx, S, Received<E>) -> Result<(), Failure>`.
pub trait Handler<'a, S, E>: Clone + Send + Sync + 'static {
    /// What calling it returns.
    type Future: Future<Output = Result<(), Failure>> + Send + 'a;

    /// Handles one event.
    fn call(&self, tx: &'a mut Tx, state: S, event: Received<E>) -> Self::Future;
}

impl<'a, S, E, F, Fut> Handler<'a, S, E> for F
where
    F: Fn(&'a mut Tx, S, Received<E>) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<(), Failure>> + Send + 'a,
{
    type Future = Fut;

    fn call(&self, tx: &'a mut Tx, state: S, event: Received<E>) -> Fut {
        self(tx, state, event)
    }
}
