//! What handles an event, and how it fails.

use std::{future::Future, time::Duration};

use futures_util::{FutureExt, future::BoxFuture};

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

/// A function that handles, on an open transaction, one event (`T` is [`Received`]) or all of many (`T` is a vector of them).
///
/// Implemented for `async fn(&mut Tx, S, T) -> Result<(), Failure>`.
pub trait Handler<'a, S, T>: Clone + Send + Sync + 'static {
    /// What calling it returns.
    type Future: Future<Output = Result<(), Failure>> + Send + 'a;

    /// Handles it, or all of them.
    fn call(&self, tx: &'a mut Tx, state: S, events: T) -> Self::Future;
}

impl<'a, S, T, F, Fut> Handler<'a, S, T> for F
where
    F: Fn(&'a mut Tx, S, T) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<(), Failure>> + Send + 'a,
{
    type Future = Fut;

    fn call(&self, tx: &'a mut Tx, state: S, events: T) -> Fut {
        self(tx, state, events)
    }
}

/// What a consumer does with events, as the runner sees it.
pub(crate) trait Work<S, E>: Send + Sync + 'static {
    /// The most events of one transaction.
    const MOST: usize;
    /// The most transactions of one instance at once.
    const AT_ONCE: usize;

    /// Handles all of these, none of which is about the same entity as another.
    fn work<'a>(&'a self, tx: &'a mut Tx, state: S, events: Vec<Received<E>>) -> BoxFuture<'a, Result<(), Failure>>;
}

/// Each event in a transaction of its own.
pub(crate) struct Alone<H>(pub(crate) H);

/// The events that wait at the same time in one transaction.
pub(crate) struct Together<H>(pub(crate) H);

impl<S, E, H> Work<S, E> for Alone<H>
where
    S: Clone + Send + 'static,
    E: Send + 'static,
    H: for<'a> Handler<'a, S, Received<E>>,
{
    const MOST: usize = 1;
    const AT_ONCE: usize = 16;

    fn work<'a>(&'a self, tx: &'a mut Tx, state: S, events: Vec<Received<E>>) -> BoxFuture<'a, Result<(), Failure>> {
        async move {
            for event in events {
                self.0.call(tx, state.clone(), event).await?;
            }
            Ok(())
        }
        .boxed()
    }
}

impl<S, E, H> Work<S, E> for Together<H>
where
    S: Send + 'static,
    E: Send + 'static,
    H: for<'a> Handler<'a, S, Vec<Received<E>>>,
{
    const MOST: usize = 64;
    // One collects while the other's commit is on its way to the disk.
    const AT_ONCE: usize = 2;

    fn work<'a>(&'a self, tx: &'a mut Tx, state: S, events: Vec<Received<E>>) -> BoxFuture<'a, Result<(), Failure>> {
        self.0.call(tx, state, events).boxed()
    }
}
