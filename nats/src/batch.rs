//! Natural batching: what queued while the last transaction ran goes into the next.
//!
//! Where many requests meet PostgreSQL on the same rows or the same tables, one transaction for all that wait is several
//! times faster than one each, and takes each hot row's lock once. There is no timer: a request that finds nobody waiting
//! is a batch of one, at once. Under load, batches grow by themselves.
//!
//! | bound | what it keeps in hand |
//! |---|---|
//! | [`Limits::weight`] | how much one transaction takes on (lines, rows) |
//! | [`Limits::workers`] | how many transactions of one instance run at once |
//! | [`Limits::waiting`] | how many wait; one more is refused at once |
//!
//! Trap: a batch commits or fails as a whole. One that fails over a statement is run again one by one, so that the request
//! that cannot be done fails alone; the work must therefore bear being tried again after a rollback.

use std::{fmt, future::Future, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use tokio::sync::{Mutex, mpsc, oneshot};

use crate::database::DatabaseError;

/// How long one transaction may take: those who asked have gone long before, and others wait behind it.
const WITHIN: Duration = Duration::from_secs(15);

/// How much a batcher takes on.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The weight of one batch at most; a single request may be heavier.
    pub weight: usize,
    /// Batches that run at once.
    pub workers: usize,
    /// Requests that wait at most.
    pub waiting: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { weight: 1_000, workers: 2, waiting: 4_096 }
    }
}

/// Why a request got no answer from its batch.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// Too many wait already; nothing was done.
    #[error("too many requests wait for the database")]
    Full,
    /// The database could not.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The work broke over this request; nothing was done.
    #[error("the batch failed: {0}")]
    Broken(String),
}

struct Waiting<Q, A> {
    question: Q,
    answer: oneshot::Sender<Result<A, BatchError>>,
}

/// Collects requests and works them off in batches; cheap to clone.
pub struct Batcher<Q, A> {
    queue: mpsc::Sender<Waiting<Q, A>>,
}

impl<Q, A> Clone for Batcher<Q, A> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone() }
    }
}

impl<Q, A> fmt::Debug for Batcher<Q, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batcher")
            .field("waiting", &self.queue.max_capacity().saturating_sub(self.queue.capacity()))
            .finish()
    }
}

impl<Q: Clone + Send + Sync + 'static, A: Send + 'static> Batcher<Q, A> {
    /// Starts the workers. `weigh` tells how much of [`Limits::weight`] a question takes; `work` answers a batch, one
    /// answer per question in their order, in one transaction.
    ///
    /// The workers end when the last clone of the batcher is dropped.
    pub fn start<W, Fut>(limits: Limits, weigh: fn(&Q) -> usize, work: W) -> Self
    where
        W: Fn(Vec<Q>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<Vec<A>, DatabaseError>> + Send,
    {
        let (queue, waiting) = mpsc::channel(limits.waiting.max(1));
        // Whoever holds the lock collects; the others are at work, so that a batch is never split needlessly.
        let waiting = Arc::new(Mutex::new(Collector { waiting, ahead: None }));
        for _ in 0..limits.workers.max(1) {
            let (waiting, work) = (Arc::clone(&waiting), work.clone());
            tokio::spawn(async move {
                loop {
                    let Some(batch) = waiting.lock().await.collect(limits.weight, weigh).await else { return };
                    answer(batch, &work).await;
                }
            });
        }
        Self { queue }
    }

    /// Asks; answered once the batch that this request went into has committed.
    ///
    /// # Errors
    /// See [`BatchError`]. Dropping the future does not take the request back.
    pub async fn ask(&self, question: Q) -> Result<A, BatchError> {
        let (answer, answered) = oneshot::channel();
        self.queue.try_send(Waiting { question, answer }).map_err(|_| BatchError::Full)?;
        answered.await.map_err(|_| BatchError::Broken("its worker ended".to_owned()))?
    }
}

/// The end of the queue where batches are made.
struct Collector<Q, A> {
    waiting: mpsc::Receiver<Waiting<Q, A>>,
    /// What did not fit into the last batch.
    ahead: Option<Waiting<Q, A>>,
}

impl<Q, A> Collector<Q, A> {
    /// Waits for a request and takes all that wait with it, up to the weight. `None` once nobody can ask any more.
    async fn collect(&mut self, most: usize, weigh: fn(&Q) -> usize) -> Option<Vec<Waiting<Q, A>>> {
        let first = match self.ahead.take() {
            Some(first) => first,
            None => self.waiting.recv().await?,
        };
        let mut weight = weigh(&first.question);
        let mut batch = vec![first];
        while let Ok(next) = self.waiting.try_recv() {
            weight = weight.saturating_add(weigh(&next.question));
            if weight > most {
                self.ahead = Some(next);
                break;
            }
            batch.push(next);
        }
        Some(batch)
    }
}

/// Works on a batch and answers everyone in it.
async fn answer<Q, A, W, Fut>(batch: Vec<Waiting<Q, A>>, work: &W)
where
    Q: Clone,
    W: Fn(Vec<Q>) -> Fut,
    Fut: Future<Output = Result<Vec<A>, DatabaseError>>,
{
    // Who has gone meanwhile is not worked for.
    let batch: Vec<_> = batch.into_iter().filter(|waiting| !waiting.answer.is_closed()).collect();
    let (questions, waiting): (Vec<Q>, Vec<_>) =
        batch.into_iter().map(|waiting| (waiting.question, waiting.answer)).unzip();
    if questions.is_empty() {
        return;
    }
    match attempt(questions.clone(), work).await {
        Ok(answers) => {
            for (waiting, answer) in waiting.into_iter().zip(answers) {
                let _gone = waiting.send(Ok(answer));
            }
        }
        Err(error) if questions.len() == 1 || !blames_a_request(&error) => {
            let others: Vec<BatchError> = waiting.iter().skip(1).map(|_| again(&error)).collect();
            for (waiting, error) in waiting.into_iter().zip(std::iter::once(error).chain(others)) {
                let _gone = waiting.send(Err(error));
            }
        }
        Err(error) => {
            tracing::warn!(%error, requests = questions.len(), "the batch failed; its requests are tried one by one");
            for (question, waiting) in questions.into_iter().zip(waiting) {
                if waiting.is_closed() {
                    continue;
                }
                let alone = attempt(vec![question], work).await;
                let alone = alone.and_then(|answers| {
                    answers.into_iter().next().ok_or_else(|| BatchError::Broken("no answer".to_owned()))
                });
                let _gone = waiting.send(alone);
            }
        }
    }
}

async fn attempt<Q, A, W, Fut>(questions: Vec<Q>, work: &W) -> Result<Vec<A>, BatchError>
where
    W: Fn(Vec<Q>) -> Fut,
    Fut: Future<Output = Result<Vec<A>, DatabaseError>>,
{
    let asked = questions.len();
    let working = tokio::time::timeout(WITHIN, AssertUnwindSafe(work(questions)).catch_unwind());
    match working.await {
        Ok(Ok(Ok(answers))) if answers.len() == asked => Ok(answers),
        Ok(Ok(Ok(answers))) => Err(BatchError::Broken(format!("{} answers to {asked} requests", answers.len()))),
        Ok(Ok(Err(error))) => Err(error.into()),
        Ok(Err(_panic)) => Err(BatchError::Broken("the work panicked".to_owned())),
        Err(_elapsed) => Err(lost(format!("no answer within {WITHIN:?}")).into()),
    }
}

/// Whether one of the requests may be the cause; when the database is away, trying one by one only takes longer.
fn blames_a_request(error: &BatchError) -> bool {
    match error {
        BatchError::Full => false,
        BatchError::Broken(_) => true,
        BatchError::Database(error) => !error.is_unavailable(),
    }
}

/// That the database is away, for the others of a batch. Whether something may have been done is the same for all of them:
/// it is only certain that nothing was when no connection could be had.
fn again(error: &BatchError) -> BatchError {
    match error {
        BatchError::Database(DatabaseError::Unreachable { reason }) => {
            DatabaseError::Unreachable { reason: reason.clone() }.into()
        }
        _ => lost(error.to_string()).into(),
    }
}

/// The connection was lost over a statement, which may have been the commit.
fn lost(reason: String) -> DatabaseError {
    diesel::result::Error::DatabaseError(diesel::result::DatabaseErrorKind::ClosedConnection, Box::new(reason)).into()
}

impl From<BatchError> for crate::problem::Problem {
    fn from(error: BatchError) -> Self {
        match error {
            BatchError::Full => Self::new(
                crate::problem::Code::Unavailable,
                "The service has more requests than it can take. Nothing was done.",
            ),
            BatchError::Database(error) => error.into(),
            BatchError::Broken(reason) => Self::internal(reason),
        }
    }
}

impl<R: fmt::Debug> From<BatchError> for crate::invoke::CallError<R> {
    fn from(error: BatchError) -> Self {
        match error {
            BatchError::Full => Self::Unavailable { service: "database" },
            BatchError::Database(error) => error.into(),
            BatchError::Broken(reason) => Self::Failed(reason),
        }
    }
}

#[cfg(test)]
mod tests;
