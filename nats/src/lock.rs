//! A lease lock: work that should be done by one instance at a time.
//!
//! The lock is a key in a bucket ([`crate::state`]). Its holder writes it again three times per lease; whoever wants it
//! watches, and takes over what has not been written for a whole lease. Each measures with its own monotonic clock, so no
//! clocks need to agree. A holder that could not renew in time is told ([`Held::lost`]); a lock that is given up is free
//! at once.
//!
//! Trap: a process can be held up at any point, and a bucket can be lost, so for a moment two may believe that they hold it.
//! **Correctness must never depend on a lock alone**: it saves doing work twice. What must not happen twice is settled by
//! PostgreSQL (a conditional update, a unique key); where that is impossible, [`Held::token`] tells an old holder from
//! a new one. Tokens grow for as long as the bucket lives.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::{task::JoinHandle, time::Instant};
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use crate::state::{Entry, State, StateError};

/// How often a lease is renewed in its time, and looked at by those who wait for it.
const RENEWALS: u32 = 3;
/// How long giving up a lock may take.
const RELEASE_WITHIN: Duration = Duration::from_secs(2);

/// What the key of a lock holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    holder: Uuid,
    /// How long it is good for after each write, in milliseconds.
    lease_ms: u64,
}

/// A lock that can be taken; cheap to clone.
#[derive(Clone)]
pub struct Lock {
    state: State<Lease>,
    name: String,
    lease: Duration,
}

/// A lock that is held, until it is lost or dropped.
#[derive(Debug)]
pub struct Held {
    token: u64,
    lost: CancellationToken,
    released: DropGuard,
    keeper: JoinHandle<()>,
}

/// The part that keeps a lock.
struct Keeper {
    lock: Lock,
    mine: Lease,
    revision: u64,
    /// When the last write that succeeded was begun: the server has it no earlier.
    renewed: Instant,
}

impl Lock {
    /// The lock `name` in this bucket; one that is not renewed for `lease` is free.
    pub fn new(state: State<Lease>, name: impl Into<String>, lease: Duration) -> Self {
        Self { state, name: name.into(), lease }
    }

    /// Waits until the lock is ours. Dropping the future gives up waiting.
    pub async fn acquire(&self) -> Held {
        let mut seen = None;
        loop {
            match self.attempt(&mut seen).await {
                Ok(Some(held)) => return held,
                Ok(None) => {}
                Err(error) => tracing::debug!(lock = self.name, %error, "the lock cannot be had at the moment"),
            }
            tokio::time::sleep(self.lease / RENEWALS * rand::random_range(75..=100) / 100).await;
        }
    }

    /// One try; `seen` is the revision that was seen last, and when it was seen first.
    async fn attempt(&self, seen: &mut Option<(u64, Instant)>) -> Result<Option<Held>, StateError> {
        let lease_ms = u64::try_from(self.lease.as_millis()).unwrap_or(u64::MAX);
        let mine = Lease { holder: Uuid::new_v4(), lease_ms };
        let found = self.state.get(&self.name).await?;
        let begun = Instant::now();
        let written = match (found, *seen) {
            (None, _) => self.state.create(&self.name, &mine).await,
            (Some(Entry { value, revision }), Some((known, since)))
                if known == revision && since.elapsed() >= Duration::from_millis(value.lease_ms) =>
            {
                self.state.update(&self.name, &mine, revision).await
            }
            (Some(Entry { revision, .. }), Some((known, _))) if known == revision => return Ok(None),
            (Some(Entry { revision, .. }), _) => {
                *seen = Some((revision, begun));
                return Ok(None);
            }
        };
        let revision = match written {
            Ok(revision) => revision,
            Err(StateError::Conflict { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(Some(Held::keep(Keeper { lock: self.clone(), mine, revision, renewed: begun })))
    }
}

impl Held {
    fn keep(keeper: Keeper) -> Self {
        let (lost, released) = (CancellationToken::new(), CancellationToken::new());
        let token = keeper.revision;
        let task = tokio::spawn(keeper.run(lost.clone(), released.clone()));
        Self { token, lost, released: released.drop_guard(), keeper: task }
    }

    /// The fencing token: greater than that of every earlier holder.
    pub const fn token(&self) -> u64 {
        self.token
    }

    /// Waits until the lock is lost.
    pub async fn lost(&self) {
        self.lost.cancelled().await;
    }

    /// Whether it is lost.
    pub fn is_lost(&self) -> bool {
        self.lost.is_cancelled()
    }

    /// Gives it up, and returns when others can have it. Dropping it does the same, a moment later.
    pub async fn release(self) {
        drop(self.released);
        if let Err(error) = self.keeper.await {
            tracing::debug!(%error, "the lock's keeper broke off");
        }
    }
}

impl Keeper {
    /// Renews until the lock is given up or lost.
    async fn run(mut self, lost: CancellationToken, released: CancellationToken) {
        let lease = self.lock.lease;
        loop {
            tokio::select! {
                () = released.cancelled() => return self.release().await,
                () = tokio::time::sleep(lease / RENEWALS) => {}
            }
            let over = self.renewed + lease;
            let renewed = tokio::select! {
                () = released.cancelled() => return self.release().await,
                renewed = tokio::time::timeout_at(over, self.renew()) => renewed,
            };
            let reason = match renewed {
                Ok(Ok(true)) => continue,
                Ok(Ok(false)) => "somebody else has it".to_owned(),
                // There is time for another try.
                Ok(Err(_)) if Instant::now() < over => continue,
                Ok(Err(error)) => error.to_string(),
                Err(_elapsed) => "it could not be renewed in time".to_owned(),
            };
            tracing::warn!(lock = self.lock.name, reason, "the lock is lost");
            return lost.cancel();
        }
    }

    /// Writes the lease again; `false` when it is ours no more.
    async fn renew(&mut self) -> Result<bool, StateError> {
        let begun = Instant::now();
        let Lock { state, name, .. } = &self.lock;
        match state.update(name, &self.mine, self.revision).await {
            Ok(revision) => (self.revision, self.renewed) = (revision, begun),
            Err(StateError::Conflict { .. }) => {
                // Our own write may have gone through while its answer was lost; then it counts from when it was begun,
                // which we do not know any more: renew once more.
                match state.get(name).await? {
                    Some(entry) if entry.value == self.mine => self.revision = entry.revision,
                    _ => return Ok(false),
                }
            }
            Err(error) => return Err(error),
        }
        Ok(true)
    }

    /// Best effort: should it fail, the lease runs out.
    async fn release(self) {
        let Lock { state, name, .. } = &self.lock;
        let deleted = tokio::time::timeout(RELEASE_WITHIN, state.delete_if(name, self.revision)).await;
        if !matches!(deleted, Ok(Ok(()))) {
            tracing::debug!(lock = name, ?deleted, "the lock was not given up; it is free when its lease is over");
        }
    }
}
