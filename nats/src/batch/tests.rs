#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::sync::atomic::{AtomicUsize, Ordering};

use diesel::result::{DatabaseErrorKind, Error};
use tokio::sync::Semaphore;

use super::*;

const ONE_WORKER: Limits = Limits { weight: 10, workers: 1, waiting: 64 };

fn one(_: &u32) -> usize {
    1
}

fn poisoned() -> DatabaseError {
    Error::DatabaseError(DatabaseErrorKind::CheckViolation, Box::new("poison".to_owned())).into()
}

type Sizes = Arc<Mutex<Vec<usize>>>;

/// A batcher whose batches wait for permits, and the sizes of the batches it ran.
fn gated(limits: Limits, weigh: fn(&u32) -> usize) -> (Batcher<u32, u32>, Arc<Semaphore>, Sizes) {
    let (gate, sizes) = (Arc::new(Semaphore::new(0)), Arc::new(Mutex::new(Vec::new())));
    let (gated, seen) = (Arc::clone(&gate), Arc::clone(&sizes));
    let batcher = Batcher::start(limits, weigh, move |questions: Vec<u32>| {
        let (gate, sizes) = (Arc::clone(&gated), Arc::clone(&seen));
        async move {
            gate.acquire().await.unwrap().forget();
            sizes.lock().await.push(questions.len());
            Ok(questions.iter().map(|question| question * 2).collect())
        }
    });
    (batcher, gate, sizes)
}

/// Asks from tasks of their own, and returns once all of them wait.
async fn queued(batcher: &Batcher<u32, u32>, questions: std::ops::Range<u32>) -> tokio::task::JoinSet<Option<u32>> {
    let mut asking = tokio::task::JoinSet::new();
    for question in questions {
        let batcher = batcher.clone();
        asking.spawn(async move { batcher.ask(question).await.ok() });
        tokio::task::yield_now().await;
    }
    asking
}

#[tokio::test]
async fn what_queued_while_the_last_batch_ran_goes_into_the_next() {
    let (batcher, gate, sizes) = gated(ONE_WORKER, one);
    let asking = queued(&batcher, 0..8).await;
    gate.add_permits(10);
    let mut answers: Vec<_> = asking.join_all().await.into_iter().flatten().collect();
    answers.sort_unstable();
    assert_eq!(answers, [0, 2, 4, 6, 8, 10, 12, 14], "everyone gets the answer to its own question");
    assert_eq!(*sizes.lock().await, [1, 7], "the first goes alone, the rest together");
}

#[tokio::test]
async fn a_batch_is_no_heavier_than_its_limit() {
    let (batcher, gate, sizes) = gated(ONE_WORKER, |_| 4);
    let asking = queued(&batcher, 0..6).await;
    gate.add_permits(10);
    assert_eq!(asking.join_all().await.into_iter().flatten().count(), 6);
    assert_eq!(*sizes.lock().await, [1, 2, 2, 1]);
}

#[tokio::test]
async fn one_that_is_too_heavy_goes_alone() {
    let (batcher, gate, sizes) = gated(ONE_WORKER, |_| 100);
    gate.add_permits(10);
    assert_eq!(batcher.ask(1).await.unwrap(), 2);
    assert_eq!(*sizes.lock().await, [1]);
}

#[tokio::test]
async fn a_full_queue_refuses_at_once() {
    let (batcher, gate, _) = gated(Limits { waiting: 2, ..ONE_WORKER }, one);
    let asking = queued(&batcher, 0..3).await;
    assert!(matches!(batcher.ask(9).await, Err(BatchError::Full)), "one is worked on, two wait, a fourth is too many");
    gate.add_permits(10);
    assert_eq!(asking.join_all().await.into_iter().flatten().count(), 3);
}

#[tokio::test]
async fn poison_fails_alone() {
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let gate = Arc::new(Semaphore::new(0));
    let open = Arc::clone(&gate);
    let batcher = Batcher::start(ONE_WORKER, one, move |questions: Vec<u32>| {
        let (runs, gate) = (Arc::clone(&counted), Arc::clone(&open));
        async move {
            gate.acquire().await.unwrap().forget();
            runs.fetch_add(1, Ordering::Relaxed);
            if questions.contains(&3) {
                return Err(poisoned());
            }
            assert!(!questions.contains(&4), "a panic is poison, too");
            Ok(questions)
        }
    });
    let asking = queued(&batcher, 0..6).await;
    gate.add_permits(20);
    let mut answers: Vec<_> = asking.join_all().await.into_iter().flatten().collect();
    answers.sort_unstable();
    assert_eq!(answers, [0, 1, 2, 5]);
    assert_eq!(runs.load(Ordering::Relaxed), 7, "the first alone, the batch of five, then each of the five");
}

#[tokio::test]
async fn whoever_shares_a_batch_shares_its_doubt() {
    let gate = Arc::new(Semaphore::new(0));
    let open = Arc::clone(&gate);
    let batcher: Batcher<u32, u32> = Batcher::start(ONE_WORKER, one, move |_| {
        let gate = Arc::clone(&open);
        async move {
            gate.acquire().await.unwrap().forget();
            Err(Error::DatabaseError(DatabaseErrorKind::ClosedConnection, Box::new("at commit".to_owned())).into())
        }
    });
    let mut asking = tokio::task::JoinSet::new();
    for question in 0..4 {
        let batcher = batcher.clone();
        asking.spawn(async move { batcher.ask(question).await.unwrap_err() });
        tokio::task::yield_now().await;
    }
    gate.add_permits(10);
    for error in asking.join_all().await {
        let BatchError::Database(error) = error else { panic!("{error}") };
        assert!(matches!(error, DatabaseError::Query { .. }), "it may have been committed: {error}");
        assert!(error.is_unavailable(), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn work_that_hangs_ends_and_the_next_batch_goes_on() {
    let batcher: Batcher<u32, u32> = Batcher::start(ONE_WORKER, one, move |questions: Vec<u32>| async move {
        if questions.contains(&1) {
            std::future::pending::<()>().await;
        }
        Ok(questions)
    });
    let hung = batcher.ask(1).await;
    assert!(matches!(hung, Err(BatchError::Database(DatabaseError::Query { .. }))), "{hung:?}");
    assert_eq!(batcher.ask(2).await.unwrap(), 2);
}

#[tokio::test]
async fn a_database_that_is_away_is_not_asked_one_by_one() {
    let runs = Arc::new(AtomicUsize::new(0));
    let (counted, gate) = (Arc::clone(&runs), Arc::new(Semaphore::new(0)));
    let open = Arc::clone(&gate);
    let batcher: Batcher<u32, u32> = Batcher::start(ONE_WORKER, one, move |_| {
        let (runs, gate) = (Arc::clone(&counted), Arc::clone(&open));
        async move {
            gate.acquire().await.unwrap().forget();
            runs.fetch_add(1, Ordering::Relaxed);
            Err(DatabaseError::Unreachable { reason: "away".to_owned() })
        }
    });
    let asking = queued(&batcher, 0..6).await;
    gate.add_permits(20);
    assert_eq!(asking.join_all().await.into_iter().flatten().count(), 0);
    assert_eq!(runs.load(Ordering::Relaxed), 2, "the first, and the batch of the other five");
}
