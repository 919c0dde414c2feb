//! What waits to be stored, and the one task that stores it: in natural batches, as [`nats::batch`] does for transactions.
//! What queued while the last message was under way goes into the next one; there is no timer.
//!
//! | bound | what |
//! |---|---|
//! | [`AT_ONCE`] | entries of one message |
//! | [`MOST_WAITING`] | what waits; of more, a beginning is refused, and an end is lost, which shows as an unknown outcome |
//! | [`WITHIN`] | how long a beginning is waited for |

use std::{
    collections::VecDeque,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use nats::contracts::trail::{TrailBegan, TrailEnded, TrailEntries};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::store::Store;

/// Each has less than two kilobytes: a message of them stays below half a megabyte.
const AT_ONCE: usize = 200;
const MOST_WAITING: usize = 8_192;
/// Of these places so many are kept for beginnings, which somebody waits for.
const FOR_BEGINNINGS: usize = MOST_WAITING / 4;
const WITHIN: Duration = Duration::from_secs(5);
/// How long after a failure what nobody waits for is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// How long a gateway that stops may still tell what its last requests came to. They may take ten seconds themselves.
const FAREWELL: Duration = Duration::from_secs(15);

/// Why it is not known that an entry is stored.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum StoreError {
    /// It was not even tried.
    #[error("too many entries wait to be stored")]
    Full,
    /// It was tried for long enough.
    #[error("the entry was not stored within {WITHIN:?}")]
    Late,
    /// It cannot be stored.
    #[error("{0}")]
    Failed(String),
}

/// Whoever waits for a beginning to be stored.
type Waiting = oneshot::Sender<Result<(), StoreError>>;

/// One thing to be stored.
enum Told {
    /// Somebody waits for it.
    Began(Box<TrailBegan>, Waiting),
    /// Nobody does.
    Noted(Note),
}

/// An end, with its beginning where that was not stored before.
struct Note {
    began: Option<Box<TrailBegan>>,
    ended: TrailEnded,
}

/// The end of the queue that tells.
pub(super) struct Queue {
    told: mpsc::Sender<Told>,
    lost: AtomicU64,
}

/// The end of the queue that stores.
pub(super) struct Writer {
    told: mpsc::Receiver<Told>,
    /// What could not be stored yet, the oldest first.
    late: VecDeque<Note>,
    store: Store,
}

/// A queue that ends in this store.
pub(super) fn queue(store: Store) -> (Queue, Writer) {
    let (sender, told) = mpsc::channel(MOST_WAITING);
    (Queue { told: sender, lost: AtomicU64::new(0) }, Writer { told, late: VecDeque::new(), store })
}

impl Queue {
    /// Has a beginning stored, and waits for it.
    pub(super) async fn store(&self, began: TrailBegan) -> Result<(), StoreError> {
        let (sender, stored) = oneshot::channel();
        self.told.try_send(Told::Began(Box::new(began), sender)).map_err(|_| StoreError::Full)?;
        match tokio::time::timeout(WITHIN, stored).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_gone)) => Err(StoreError::Failed("the gateway is stopping".to_owned())),
            Err(_elapsed) => Err(StoreError::Late),
        }
    }

    /// Has an end stored some time, with its beginning if that is not.
    pub(super) fn note(&self, began: Option<TrailBegan>, ended: TrailEnded) {
        let note = Note { began: began.map(Box::new), ended };
        let told = self.told.capacity() > FOR_BEGINNINGS && self.told.try_send(Told::Noted(note)).is_ok();
        if !told && self.lost.fetch_add(1, Ordering::Relaxed).is_multiple_of(1_000) {
            tracing::warn!("too many ends of deeds wait to be stored; the audit trail shows their outcome as unknown");
        }
    }
}

impl Writer {
    /// Stores what is told until nobody can tell any more, or some time after `stop`.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let farewell = async {
            stop.cancelled().await;
            tokio::time::sleep(FAREWELL).await;
        };
        tokio::select! {
            () = farewell => tracing::warn!("the audit trail was cut off; the outcome of some deeds stays unknown"),
            () = async { while self.step().await {} } => {}
        }
    }

    /// Stores what waits; whether there can be more.
    async fn step(&mut self) -> bool {
        let (first, more) = tokio::select! {
            first = self.told.recv() => {
                let more = first.is_some();
                (first, more)
            }
            () = tokio::time::sleep(AGAIN), if !self.late.is_empty() => (None, true),
        };
        let mut batch = Batch::default();
        if let Some(first) = first {
            batch.add(first);
        }
        while batch.len() < AT_ONCE
            && let Ok(next) = self.told.try_recv()
        {
            batch.add(next);
        }
        while batch.len() < AT_ONCE
            && let Some(late) = self.late.pop_front()
        {
            batch.add(Told::Noted(late));
        }
        self.keep(batch).await;
        more
    }

    async fn keep(&mut self, batch: Batch) {
        if batch.len() == 0 {
            return;
        }
        let outcome = self.store.keep(batch.entries()).await.map_err(StoreError::Failed);
        if let Err(error) = &outcome {
            tracing::warn!(%error, entries = batch.len(), "the audit trail cannot be stored");
            self.late.extend(batch.notes);
            let over = self.late.len().saturating_sub(MOST_WAITING);
            if over > 0 {
                tracing::warn!(over, "ends of deeds are given up; the audit trail shows their outcome as unknown");
                self.late.drain(..over);
            }
        }
        for (_, stored) in batch.waiting {
            let _gone = stored.send(outcome.clone());
        }
    }
}

/// What goes into one message.
#[derive(Default)]
struct Batch {
    waiting: Vec<(Box<TrailBegan>, Waiting)>,
    notes: Vec<Note>,
}

impl Batch {
    fn add(&mut self, told: Told) {
        match told {
            Told::Began(began, stored) => self.waiting.push((began, stored)),
            Told::Noted(note) => self.notes.push(note),
        }
    }

    fn len(&self) -> usize {
        self.waiting.len() + self.notes.len()
    }

    fn entries(&self) -> TrailEntries {
        let waiting = self.waiting.iter().map(|(began, _)| began);
        let began = waiting.chain(self.notes.iter().filter_map(|note| note.began.as_ref()));
        TrailEntries {
            began: began.map(|began| TrailBegan::clone(began)).collect(),
            ended: self.notes.iter().map(|note| note.ended.clone()).collect(),
        }
    }
}
