//! Durable consumers: at least once delivered, effects exactly once.
//!
//! For each message the runner opens a transaction, inserts (consumer, event id) into the inbox, runs the handler on that
//! connection, commits, then acknowledges. A crash anywhere leads to a redelivery, and a repeat to a no-op. Nothing is
//! acknowledged on error; a NAK always carries a delay. A message that fails for good goes to the `DEAD` stream with its
//! headers and the reason, where it can be listed and redriven.
//!
//! Trap: effects outside of the database (mail, a charge) are not covered by the inbox. Store an intent with a key here,
//! and act on it afterwards.

mod dead;
mod envelope;

use std::{
    collections::HashMap,
    future::Future,
    marker::PhantomData,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_nats::jetstream::{self, AckKind, consumer::pull};
use diesel::{ExpressionMethods, insert_into, result::DatabaseErrorKind};
use diesel_async::RunQueryDsl;
use futures_util::{FutureExt, StreamExt, future::BoxFuture};
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument;

pub use envelope::Received;

use crate::{
    contracts::Event,
    database::{Database, DatabaseError, Tx, schema::inbox},
    telemetry::{REQUEST_ID, TRACEPARENT, Trace},
};

/// How many messages of one consumer are handled at once by one instance.
const CONCURRENCY: usize = 16;
/// How many are fetched ahead: what waits here is not being worked on, and its time runs.
const FETCH: usize = 8;
/// A handler that takes longer is cut off and tried again.
const HANDLER_DEADLINE: Duration = Duration::from_secs(30);
/// How long the server waits for a word before it delivers again: what a killed process had begun is delayed by that.
pub(crate) const ACK_WAIT: Duration = Duration::from_secs(5);
/// A message that is being worked on says so this often.
const PROGRESS: Duration = Duration::from_millis(1500);
/// A handler's own failures are tried this often before the message is dead.
const ATTEMPTS: i64 = 10;

/// Why a handler did not handle an event.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Something it needs is away (database, another service). Tried again for as long as it takes.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// Try again after the delay; dead after ten attempts.
    #[error("retry: {reason}")]
    RetryAfter {
        /// How long to wait.
        delay: Duration,
        /// What went wrong.
        reason: String,
    },
    /// It failed; tried again with growing delays, dead after ten attempts.
    #[error("failed: {0}")]
    Failed(String),
    /// It can never be handled.
    #[error("dead: {0}")]
    Dead(String),
}

impl From<diesel::result::Error> for Failure {
    fn from(error: diesel::result::Error) -> Self {
        match &error {
            diesel::result::Error::DatabaseError(
                DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::UnableToSendCommand,
                _,
            )
            | diesel::result::Error::BrokenTransactionManager => Self::Unavailable(error.to_string()),
            _ => Self::Failed(error.to_string()),
        }
    }
}

impl From<DatabaseError> for Failure {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::Unreachable { .. } => Self::Unavailable(error.to_string()),
            DatabaseError::Query { source } => source.into(),
        }
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

/// One durable consumer of one service, running.
pub(crate) struct Consumer<S, E, H> {
    pub(crate) durable: String,
    pub(crate) service: &'static str,
    pub(crate) state: S,
    pub(crate) handler: H,
    pub(crate) database: Database,
    pub(crate) jetstream: jetstream::Context,
    pub(crate) failures: Failures,
    pub(crate) event: PhantomData<fn() -> E>,
}

/// How often the handler has failed over a message, by its sequence. Deliveries do not count: most of those that come to
/// nothing say something about the world, not about the message. A restart forgets, and gives the message more tries.
#[derive(Default)]
pub(crate) struct Failures(Mutex<HashMap<u64, i64>>);

impl Failures {
    /// One more failure of a message; how many that makes.
    fn count(&self, sequence: u64) -> i64 {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let failures = known.entry(sequence).or_default();
        *failures += 1;
        *failures
    }

    /// The message is settled.
    fn forget(&self, sequence: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&sequence);
    }
}

impl<S, E, H> Consumer<S, E, H>
where
    S: Clone + Send + Sync + 'static,
    E: Event,
    H: for<'a> Handler<'a, S, E>,
{
    /// Takes messages until `stop`, then finishes those it has begun.
    pub(crate) fn run(self, stop: CancellationToken) -> BoxFuture<'static, ()> {
        async move {
            let this = Arc::new(self);
            let tasks = TaskTracker::new();
            while !stop.is_cancelled() {
                if let Err(reason) = this.pull(&stop, &tasks).await {
                    tracing::warn!(consumer = this.durable, reason, "the consumer begins anew");
                }
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep(Duration::from_millis(250)) => {}
                }
            }
            tasks.close();
            tasks.wait().await;
        }
        .boxed()
    }

    async fn pull(self: &Arc<Self>, stop: &CancellationToken, tasks: &TaskTracker) -> Result<(), String> {
        let consumer: jetstream::consumer::Consumer<pull::Config> = self
            .jetstream
            .get_consumer_from_stream(&self.durable, E::stream())
            .await
            .map_err(|error| format!("not there yet; run `argosy provision` ({error})"))?;
        let mut messages = consumer
            .stream()
            .max_messages_per_batch(FETCH)
            .expires(Duration::from_secs(5))
            .heartbeat(Duration::from_secs(1))
            .messages()
            .await
            .map_err(|error| error.to_string())?;
        let permits = Arc::new(Semaphore::new(CONCURRENCY));
        loop {
            let permit = tokio::select! {
                () = stop.cancelled() => break,
                permit = Arc::clone(&permits).acquire_owned() => permit.map_err(|error| error.to_string())?,
            };
            let message = tokio::select! {
                () = stop.cancelled() => break,
                message = messages.next() => message,
            };
            match message {
                None => return Err("the server ended the subscription".to_owned()),
                Some(Err(error)) if is_hiccup(error.kind()) => {
                    tracing::debug!(consumer = self.durable, %error, "no heartbeat")
                }
                Some(Err(error)) => return Err(error.to_string()),
                Some(Ok(message)) => {
                    let (this, stop) = (Arc::clone(self), stop.clone());
                    tasks.spawn(async move {
                        this.take(message, &stop).await;
                        drop(permit);
                    });
                }
            }
        }
        Self::give_back(&mut messages).await;
        Ok(())
    }

    /// Gives back what was fetched and not begun, so that another instance has it at once.
    async fn give_back(messages: &mut pull::Stream) {
        while let Some(Some(Ok(message))) = messages.next().now_or_never() {
            if let Err(error) = message.ack_with(AckKind::Nak(Some(Duration::from_millis(100)))).await {
                tracing::debug!(%error, "not given back; it will come again");
            }
        }
    }

    /// Handles one message and settles it.
    async fn take(&self, message: jetstream::Message, stop: &CancellationToken) {
        let header =
            |name: &str| message.headers.as_ref().and_then(|headers| headers.get(name)).map(|value| value.as_str());
        let trace = Trace::continued(header(TRACEPARENT), header(REQUEST_ID));
        let attempt = message.info().map_or(1, |info| info.delivered);
        let span = tracing::info_span!(
            "consume", consumer = self.durable, subject = %message.subject, attempt, request_id = trace.request_id(), trace_id = %trace
        );
        let settled = trace.scope(tracing::Span::none(), self.settle(&message, attempt, stop).instrument(span));
        tokio::pin!(settled);
        while tokio::time::timeout(PROGRESS, &mut settled).await.is_err() {
            if let Err(error) = message.ack_with(AckKind::Progress).await {
                tracing::debug!(%error, "the server was not told that work goes on");
            }
        }
    }

    async fn settle(&self, message: &jetstream::Message, attempt: i64, stop: &CancellationToken) {
        let outcome = match envelope::open::<E>(message) {
            Ok(event) => self.handle(event).await,
            Err(reason) => Err(Failure::Dead(reason)),
        };
        let sequence = message.info().map_or(0, |info| info.stream_sequence);
        let ack = match outcome {
            Ok(()) => AckKind::Ack,
            // Whatever failed while the process was stopping says nothing about the message.
            Err(_) if stop.is_cancelled() => AckKind::Nak(Some(Duration::from_millis(100))),
            Err(Failure::Unavailable(reason)) => {
                tracing::warn!(reason, "unavailable; trying again");
                AckKind::Nak(Some(backoff(attempt)))
            }
            Err(Failure::Dead(reason)) => self.give_up(message, attempt, &Failure::Dead(reason)).await,
            Err(failure) => match (self.failures.count(sequence), failure) {
                (ATTEMPTS.., failure) => self.give_up(message, attempt, &failure).await,
                (_, Failure::RetryAfter { delay, reason }) => {
                    tracing::debug!(reason, "trying again");
                    AckKind::Nak(Some(delay))
                }
                (failures, failure) => {
                    tracing::warn!(%failure, "trying again");
                    AckKind::Nak(Some(backoff(failures)))
                }
            },
        };
        if matches!(ack, AckKind::Ack | AckKind::Term) {
            self.failures.forget(sequence);
        }
        if let Err(error) = message.ack_with(ack).await {
            tracing::debug!(%error, "not acknowledged; it will come again");
        }
    }

    /// Keeps a dead message; when even that fails, it is tried again.
    async fn give_up(&self, message: &jetstream::Message, attempt: i64, failure: &Failure) -> AckKind {
        match dead::bury(&self.jetstream, self.service, &self.durable, message, failure).await {
            Ok(()) => {
                tracing::error!(%failure, "the message is dead; see `argosy dead list`");
                AckKind::Term
            }
            Err(reason) => {
                tracing::error!(%failure, reason, "the dead message could not be kept; trying again");
                AckKind::Nak(Some(backoff(attempt)))
            }
        }
    }

    /// All of it within the deadline: a database that has gone silent must not hold the message for good.
    async fn handle(&self, event: Received<E>) -> Result<(), Failure> {
        match tokio::time::timeout(HANDLER_DEADLINE, self.transact(event)).await {
            Ok(outcome) => outcome,
            Err(_elapsed) => Err(Failure::Failed(format!("the handler took over {HANDLER_DEADLINE:?}"))),
        }
    }

    /// The transaction around the handler. A panic is a failure of this message alone.
    async fn transact(&self, event: Received<E>) -> Result<(), Failure> {
        // Half of the pool stays for those who wait at the other end of a request.
        let _turn = self.database.background().await;
        let mut tx = self.database.begin().await?;
        let row =
            (inbox::consumer.eq(&self.durable), inbox::event_day.eq(event.day()), inbox::event_id.eq(event.id.uuid()));
        let fresh = insert_into(inbox::table).values(row).on_conflict_do_nothing().execute(&mut tx).await?;
        if fresh == 0 {
            tracing::debug!("seen before");
            return Ok(tx.roll_back().await?);
        }
        let work = AssertUnwindSafe(self.handler.call(&mut tx, self.state.clone(), event)).catch_unwind();
        match work.await {
            Ok(Ok(())) => Ok(tx.commit().await?),
            Ok(Err(failure)) => Err(failure),
            Err(_panic) => Err(Failure::Failed("the handler panicked".to_owned())),
        }
    }
}

fn is_hiccup(kind: pull::MessagesErrorKind) -> bool {
    matches!(kind, pull::MessagesErrorKind::MissingHeartbeat | pull::MessagesErrorKind::NoResponders)
}

/// 200 ms, doubled with each attempt, at most a minute, and up to a quarter off so that a crowd spreads out.
fn backoff(attempt: i64) -> Duration {
    let doublings = u32::try_from(attempt.clamp(1, 10) - 1).unwrap_or_default();
    let full = Duration::from_millis(200).saturating_mul(1 << doublings).min(Duration::from_secs(60));
    full * rand::random_range(75..=100) / 100
}
