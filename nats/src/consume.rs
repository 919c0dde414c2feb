//! Durable consumers: at least once delivered, effects exactly once.
//!
//! For each message the runner opens a transaction, inserts (consumer, event id) into the inbox, runs the handler on that
//! connection, commits, then acknowledges. Where a consumer takes many events, those that wait at the same time share all of
//! that, one of each entity; when they fail together, each is tried alone. A crash anywhere leads to a redelivery, and a repeat to a no-op. Nothing is
//! acknowledged on error; a NAK always carries a delay. A message that fails for good is kept in the service's own database
//! with its headers and the reason ([`crate::contracts::operations::DeadLetter`]), and is not handled again before somebody
//! has it redriven.
//!
//! | setting | meaning | when unset |
//! |---|---|---|
//! | `CONSUME_ATTEMPTS` | how often a handler may fail over a message before that is dead | 10 |
//!
//! Trap: effects outside of the database (mail, a charge) are not covered by the inbox. Store an intent with a key here,
//! and act on it afterwards.

mod claim;
mod dead;
mod delivered;
pub(crate) mod envelope;
mod handler;
pub(crate) mod operations;
mod redrive;

use std::{
    collections::{HashMap, HashSet},
    marker::PhantomData,
    num::NonZeroU16,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_nats::jetstream::{self, AckKind, consumer::pull};
use futures_util::{FutureExt, StreamExt, future::BoxFuture};
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument;

use delivered::Delivered;
use envelope::Message;
pub use envelope::Received;
pub(crate) use handler::{Alone, Together, Work};

pub use handler::{Failure, Handler};
use redrive::Redrives;

use crate::{
    config::{SettingError, Settings},
    connect::Connection,
    contracts::Event,
    database::{Database, Tx},
    resilience::within,
    telemetry::{REQUEST_ID, TRACEPARENT, Trace},
};

/// How many transactions' messages are fetched ahead: what waits here is not being worked on, and its time runs.
const AHEAD: usize = 2;
/// But no fewer messages than this.
const FETCH: usize = 8;
/// A handler that takes longer has failed. Less than the ten seconds after which PostgreSQL cuts off a transaction that idles:
/// one that hangs would pass for a database that is away, and be tried for ever.
const HANDLER_DEADLINE: Duration = Duration::from_secs(9);
/// What takes longer around the handler says something about the database: it is unavailable.
const MESSAGE_DEADLINE: Duration = Duration::from_secs(30);
/// How long the server waits for a word before it delivers again: what a killed process had begun is delayed by that.
pub(crate) const ACK_WAIT: Duration = Duration::from_secs(5);
/// A message that is being worked on says so this often.
const PROGRESS: Duration = Duration::from_millis(1500);
/// Keeping a dead message may take so long.
const BURY_WITHIN: Duration = Duration::from_secs(10);
/// How many messages' failures are remembered.
const REMEMBERED: usize = 10_000;

/// What all consumers of a process have in common; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Consuming {
    attempts: i32,
    pub(crate) redrives: Redrives,
}

impl Consuming {
    /// As the settings say.
    pub(crate) fn with(settings: &Settings) -> Result<Self, SettingError> {
        let attempts: NonZeroU16 = settings.parse("CONSUME_ATTEMPTS", NonZeroU16::MIN.saturating_add(9))?;
        Ok(Self { attempts: attempts.get().into(), redrives: Redrives::default() })
    }
}

/// One durable consumer of one service, running.
pub(crate) struct Consumer<S, E, W> {
    pub(crate) durable: String,
    pub(crate) state: S,
    pub(crate) work: W,
    pub(crate) database: Database,
    pub(crate) jetstream: jetstream::Context,
    pub(crate) consuming: Consuming,
    pub(crate) failures: Failures,
    pub(crate) event: PhantomData<fn() -> E>,
}

/// How often the handler has failed over a message. Deliveries do not count: most of those that come to nothing say
/// something about the world, not about the message. A restart forgets, and gives the message more tries.
#[derive(Default)]
pub(crate) struct Failures(Mutex<HashMap<dead::Key, i32>>);

impl Failures {
    /// One more failure of a message; how many that makes.
    fn count(&self, key: dead::Key) -> i32 {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.clear();
        }
        let failures = known.entry(key).or_default();
        *failures += 1;
        *failures
    }

    /// The message is settled.
    fn forget(&self, key: dead::Key) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
    }
}

impl<S, E, W> Consumer<S, E, W>
where
    S: Clone + Send + Sync + 'static,
    E: Event,
    W: Work<S, E>,
{
    /// Takes messages until `stop`, then finishes those it has begun.
    pub(crate) fn run(self, stop: CancellationToken) -> BoxFuture<'static, ()> {
        async move {
            let this = Arc::new(self);
            let tasks = TaskTracker::new();
            let (redriver, stopping) = (Arc::clone(&this), stop.clone());
            tasks.spawn(async move { redriver.redrive(&stopping).await });
            let client = this.jetstream.client();
            // What was begun over the last connection counts as well.
            let permits = Arc::new(Semaphore::new(W::AT_ONCE));
            while !stop.is_cancelled() {
                tokio::select! {
                    () = stop.cancelled() => break,
                    () = Connection::begins(&client) => {}
                }
                let connection = Connection::of(&client);
                if let Err(reason) = this.pull(&connection, (&permits, &tasks), &stop).await {
                    tracing::warn!(consumer = this.durable, reason, "the consumer begins anew");
                }
                if connection.lasts() {
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = tokio::time::sleep(Duration::from_millis(250)) => {}
                    }
                }
            }
            tasks.close();
            tasks.wait().await;
        }
        .boxed()
    }

    /// Takes messages over this connection, for as long as it lasts.
    async fn pull(
        self: &Arc<Self>,
        connection: &Connection,
        (permits, tasks): (&Arc<Semaphore>, &TaskTracker),
        stop: &CancellationToken,
    ) -> Result<(), String> {
        let consumer: jetstream::consumer::Consumer<pull::Config> = self
            .jetstream
            .get_consumer_from_stream(&self.durable, E::stream())
            .await
            .map_err(|error| format!("not there yet; run `argosy provision` ({error})"))?;
        let mut messages = consumer
            .stream()
            .max_messages_per_batch((W::MOST * AHEAD).max(FETCH))
            .expires(Duration::from_secs(5))
            .heartbeat(Duration::from_secs(1))
            .messages()
            .await
            .map_err(|error| error.to_string())?;
        // What came behind the batch before and was no part of it.
        let mut held = None;
        loop {
            let permit = tokio::select! {
                () = stop.cancelled() => break,
                permit = Arc::clone(permits).acquire_owned() => permit.map_err(|error| error.to_string())?,
            };
            let message = match held.take() {
                Some(message) => Some(message),
                None => tokio::select! {
                    () = stop.cancelled() => break,
                    () = connection.ends() => return Err("the connection to NATS changed".to_owned()),
                    message = messages.next() => message,
                },
            };
            match message {
                None => return Err("the server ended the subscription".to_owned()),
                Some(Err(error)) if is_hiccup(error.kind()) => {
                    tracing::debug!(consumer = self.durable, %error, "no heartbeat")
                }
                Some(Err(error)) => return Err(error.to_string()),
                // What was fetched over the connection before this one is delivered again.
                Some(Ok(_)) if !connection.lasts() => return Err("the connection to NATS changed".to_owned()),
                Some(Ok(first)) => {
                    let batch = Self::with_those_that_wait(first, &mut held, &mut messages);
                    let deliver = |message| Delivered::new(message, connection.clone());
                    let batch: Vec<Delivered> = batch.into_iter().map(deliver).collect();
                    let (this, stop) = (Arc::clone(self), stop.clone());
                    tasks.spawn(async move {
                        this.take(&batch, &stop).await;
                        drop(permit);
                    });
                }
            }
        }
        if let Some(Ok(message)) = held {
            Delivered::new(message, connection.clone()).give_back().await;
        }
        Self::give_back(&mut messages, connection).await;
        Ok(())
    }

    /// A message, and those behind it that are here already: as many as one transaction takes, one of each entity. What ends
    /// the batch, the first that repeats an entity or an error, is `held` for what comes next.
    fn with_those_that_wait(
        first: jetstream::Message,
        held: &mut Option<Result<jetstream::Message, pull::MessagesError>>,
        messages: &mut pull::Stream,
    ) -> Vec<jetstream::Message> {
        // The subject ends with the entity's id.
        let mut entities = HashSet::from([first.subject.to_string()]);
        let mut batch = vec![first];
        while batch.len() < W::MOST
            && let Some(Some(next)) = messages.next().now_or_never()
        {
            match next {
                Ok(message) if entities.insert(message.subject.to_string()) => batch.push(message),
                other => {
                    *held = Some(other);
                    break;
                }
            }
        }
        batch
    }

    /// Gives back what was fetched and not begun, so that another instance has it at once.
    async fn give_back(messages: &mut pull::Stream, connection: &Connection) {
        while let Some(Some(Ok(message))) = messages.next().now_or_never() {
            Delivered::new(message, connection.clone()).give_back().await;
        }
    }

    /// Handles messages and settles them; meanwhile says that they are being worked on.
    async fn take(&self, batch: &[Delivered], stop: &CancellationToken) {
        let taken = async {
            match batch {
                [alone] => self.take_alone(alone, stop).await,
                many => self.take_together(many, stop).await,
            }
        };
        tokio::pin!(taken);
        while tokio::time::timeout(PROGRESS, &mut taken).await.is_err() {
            for delivered in batch {
                delivered.answer(AckKind::Progress).await;
            }
        }
    }

    async fn take_alone(&self, delivered: &Delivered, stop: &CancellationToken) {
        let message = &delivered.message;
        let header =
            |name: &str| message.headers.as_ref().and_then(|headers| headers.get(name)).map(|value| value.as_str());
        let trace = Trace::continued(header(TRACEPARENT), header(REQUEST_ID));
        let attempt = delivered.attempt();
        let span = tracing::info_span!(
            "consume", consumer = self.durable, subject = %message.subject, attempt, request_id = trace.request_id(), trace_id = %trace
        );
        trace.scope(tracing::Span::none(), self.settle(delivered, attempt, stop).instrument(span)).await;
    }

    /// All in one transaction. When that does not succeed, each is settled by itself: so one that fails, fails alone.
    async fn take_together(&self, batch: &[Delivered], stop: &CancellationToken) {
        let span = tracing::info_span!("consume", consumer = self.durable, events = batch.len());
        let opened = batch.iter().map(|delivered| Message::of(&delivered.message).open::<E>().ok());
        let outcome = match opened.collect::<Option<Vec<_>>>() {
            Some(events) => self.handle(events).instrument(span.clone()).await,
            None => Err(Failure::Failed("one of them is no event".to_owned())),
        };
        match outcome {
            Ok(()) => {
                for delivered in batch {
                    delivered.answer(AckKind::Ack).await;
                }
            }
            // Whatever failed while the process was stopping says nothing about the messages.
            Err(_) if stop.is_cancelled() => {
                for delivered in batch {
                    delivered.give_back().await;
                }
            }
            Err(Failure::Unavailable(reason)) => {
                span.in_scope(|| tracing::warn!(reason, "unavailable; trying again"));
                for delivered in batch {
                    delivered.answer(AckKind::Nak(Some(backoff(delivered.attempt())))).await;
                }
            }
            Err(failure) => {
                span.in_scope(|| tracing::info!(%failure, "not together; each is tried alone"));
                for delivered in batch {
                    if stop.is_cancelled() {
                        delivered.give_back().await;
                    } else {
                        self.take_alone(delivered, stop).await;
                    }
                }
            }
        }
    }

    async fn settle(&self, delivered: &Delivered, attempt: i64, stop: &CancellationToken) {
        let message = Message::of(&delivered.message);
        let (key, outcome) = match message.open::<E>() {
            Ok(event) => (dead::key_of_event(event.id), self.handle(vec![event]).await),
            Err(reason) => (dead::key_of_message(&message), Err(Failure::Dead(reason))),
        };
        let ack = match outcome {
            Ok(()) => AckKind::Ack,
            // Whatever failed while the process was stopping says nothing about the message.
            Err(_) if stop.is_cancelled() => AckKind::Nak(Some(Duration::from_millis(100))),
            Err(Failure::Unavailable(reason)) => {
                tracing::warn!(reason, "unavailable; trying again");
                AckKind::Nak(Some(backoff(attempt)))
            }
            Err(failure) => match (self.failures.count(key), failure) {
                (failures, failure) if matches!(failure, Failure::Dead(_)) || failures >= self.consuming.attempts => {
                    self.give_up((&key, &message), &failure, failures).await
                }
                (_, Failure::RetryAfter { delay, reason }) => {
                    tracing::debug!(reason, "trying again");
                    AckKind::Nak(Some(delay))
                }
                (failures, failure) => {
                    tracing::warn!(%failure, "trying again");
                    AckKind::Nak(Some(backoff(failures.into())))
                }
            },
        };
        if matches!(ack, AckKind::Ack | AckKind::Term) {
            self.failures.forget(key);
        }
        delivered.answer(ack).await;
    }

    /// Keeps a dead message; when even that fails, it is tried again.
    async fn give_up(&self, (key, message): (&dead::Key, &Message), failure: &Failure, failures: i32) -> AckKind {
        let burying = async {
            let _turn = self.database.background().await;
            let mut connection = self.database.connection().await?;
            dead::bury(&mut connection, &self.durable, (key, message), (&failure.to_string(), failures)).await
        };
        let reason = match tokio::time::timeout(BURY_WITHIN, burying).await {
            Ok(Ok(())) => {
                tracing::error!(%failure, "the message is dead; see `argosy dead list`");
                return AckKind::Term;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_elapsed) => format!("it took over {BURY_WITHIN:?}"),
        };
        tracing::error!(%failure, reason, "the dead message could not be kept; trying again");
        AckKind::Nak(Some(backoff(failures.into())))
    }

    /// The transaction around the handler. A database that has gone silent must not hold the messages for good.
    async fn handle(&self, events: Vec<Received<E>>) -> Result<(), Failure> {
        // Half of the pool stays for those who wait at the other end of a request.
        let _turn = self.database.background().await;
        let late = || Err(Failure::Unavailable(format!("the transaction took over {MESSAGE_DEADLINE:?}")));
        tokio::time::timeout(MESSAGE_DEADLINE, self.transact(events)).await.unwrap_or_else(|_| late())
    }

    async fn transact(&self, events: Vec<Received<E>>) -> Result<(), Failure> {
        let mut tx = self.database.begin().await?;
        let new = self.claim(&mut tx, events, false).await?;
        if new.is_empty() {
            tracing::debug!("seen before, or dead");
            return Ok(tx.roll_back().await?);
        }
        self.call(&mut tx, new).await?;
        Ok(tx.commit().await?)
    }

    /// The handler itself, with so much time for all that it waits for. A panic is a failure of these messages alone.
    async fn call(&self, tx: &mut Tx, events: Vec<Received<E>>) -> Result<(), Failure> {
        if events.is_empty() {
            return Ok(());
        }
        let work = AssertUnwindSafe(self.work.work(tx, self.state.clone(), events)).catch_unwind();
        match within(HANDLER_DEADLINE, work).await {
            Some(Ok(outcome)) => outcome,
            Some(Err(_panic)) => Err(Failure::Failed("the handler panicked".to_owned())),
            None => Err(Failure::Failed(format!("the handler took over {HANDLER_DEADLINE:?}"))),
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
