//! Work queues in a table: what a handler leaves to be done outside of its transaction (a charge, a mail, a document).
//!
//! The handler writes a row and calls [`Tx::wake`]; after the commit the worker looks, claims rows with a lease (one
//! statement, `for update skip locked`, committed before the work begins), and works on them, a bounded number at once.
//! What it misses (a crash, another instance's rows, a retry that fell due) it finds by looking every 250 ms.
//!
//! Trap: the row is the queue, the wake only saves waiting. Whoever finds a claimed row after its lease must suppose that
//! the work was begun: look up what became of it, or do what bears repeating.

use std::{future::Future, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use tokio::{sync::Notify, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::database::{DatabaseError, Tx};

/// How often a worker looks when nobody told it anything.
const IDLE: Duration = Duration::from_millis(250);
/// How long a look into the queue may take.
const CLAIM_WITHIN: Duration = Duration::from_secs(15);

/// Tells a worker that there may be something in its queue; cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wake(Arc<Notify>);

impl Wake {
    /// There may be something now.
    pub(crate) fn now(&self) {
        self.0.notify_one();
    }

    /// Waits until told, or until it is time to look anyway.
    pub(crate) async fn wait(&self, at_most: Duration) {
        let _told_or_not = tokio::time::timeout(at_most, self.0.notified()).await;
    }
}

/// A worker's queue, as its service's state holds it; cheap to clone.
#[derive(Debug, Clone)]
pub struct Queue {
    wake: Wake,
    at_once: usize,
}

impl Queue {
    /// A queue of which one instance works on at most `at_once` rows at a time (at least one).
    pub fn new(at_once: usize) -> Self {
        Self { wake: Wake::default(), at_once: at_once.max(1) }
    }
}

impl Tx {
    /// Wakes the worker of `queue` once this transaction has committed.
    pub fn wake(&mut self, queue: &Queue) {
        self.wakes.push(queue.wake.clone());
    }
}

/// Claims and works until `stop`, then finishes what was begun.
///
/// `claim` takes at most so many due rows; `work` does one of them and sees to its own failures.
pub(crate) async fn run<S, W, Claim, Claiming, Do, Doing>(
    name: &'static str,
    Queue { wake, at_once }: Queue,
    state: S,
    (claim, work): (Claim, Do),
    stop: CancellationToken,
) where
    S: Clone + Send + 'static,
    W: Send + 'static,
    Claim: Fn(S, i64) -> Claiming,
    Claiming: Future<Output = Result<Vec<W>, DatabaseError>>,
    Do: Fn(S, W) -> Doing,
    Doing: Future<Output = ()> + Send + 'static,
{
    let mut working = JoinSet::new();
    while !stop.is_cancelled() {
        let free = at_once.saturating_sub(working.len());
        let claimed = match i64::try_from(free) {
            Ok(0) | Err(_) => Vec::new(),
            Ok(free) => {
                let claiming = AssertUnwindSafe(async { claim(state.clone(), free).await }).catch_unwind();
                match tokio::time::timeout(CLAIM_WITHIN, claiming).await {
                    Ok(Ok(Ok(claimed))) => claimed,
                    Ok(Ok(Err(error))) => {
                        tracing::warn!(worker = name, %error, "looking for work failed");
                        Vec::new()
                    }
                    Ok(Err(_)) | Err(_) => {
                        tracing::error!(worker = name, "looking for work panicked or took over {CLAIM_WITHIN:?}");
                        Vec::new()
                    }
                }
            }
        };
        let nothing = claimed.is_empty();
        for one in claimed {
            working.spawn(work(state.clone(), one));
        }
        if nothing || working.len() >= at_once {
            tokio::select! {
                () = stop.cancelled() => break,
                Some(ended) = working.join_next() => report(name, ended),
                () = wake.wait(IDLE), if working.len() < at_once => {}
            }
        }
    }
    while let Some(ended) = working.join_next().await {
        report(name, ended);
    }
}

fn report(name: &str, ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(worker = name, %error, "a piece of work broke off; it is taken up again after its lease");
    }
}
