//! State: typed values by key in a bucket that all instances share (NATS KV), with optimistic concurrency.
//!
//! | method | gives |
//! |---|---|
//! | [`State::get`] | the value and its revision |
//! | [`State::put`], [`State::delete`] | writes, whatever was there |
//! | [`State::create`], [`State::update`], [`State::delete_if`] | writes only when nobody else did: [`StateError::Conflict`] |
//! | [`State::watch`] | the values there are, then each change |
//!
//! A service lists its buckets with [`crate::service::Service::state`]; the provisioner makes them.
//!
//! Trap: JetStream is not the place of truth, and a bucket can be lost. Keep here what can be had again: caches, presence,
//! leases. Facts belong into PostgreSQL. In a cluster, a read may be a moment behind; conditional writes never are.

mod watch;

use std::{fmt, marker::PhantomData, sync::Arc, time::Duration};

use async_nats::jetstream::{
    self,
    kv::{self, CreateErrorKind, EntryErrorKind, Operation, Store, UpdateErrorKind},
};
use futures_util::{Stream, stream};
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::OnceCell;

use self::watch::Watching;
use crate::{contracts::StateBucket, service::Runtime};

/// How long one operation may take.
const WITHIN: Duration = Duration::from_secs(5);

/// A bucket of values of type `T`; cheap to clone.
pub struct State<T> {
    jetstream: jetstream::Context,
    bucket: Arc<str>,
    store: Arc<OnceCell<Store>>,
    value: PhantomData<fn() -> T>,
}

/// A value as it stands in the bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<T> {
    /// The value.
    pub value: T,
    /// Grows with each write to the bucket; what [`State::update`] expects.
    pub revision: u64,
}

/// A change of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change<T> {
    /// The key.
    pub key: String,
    /// What it holds now; `None` when it was deleted.
    pub entry: Option<Entry<T>>,
}

/// What goes wrong with a bucket.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// Somebody else wrote in the meantime; nothing was written. Read again.
    #[error("{bucket}/{key} is not as it was expected to be")]
    Conflict {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
    },
    /// The key has other characters than `A-Z a-z 0-9 - / _ = .`, or begins or ends with a dot.
    #[error("`{key}` cannot be a key: use A-Z a-z 0-9 - / _ = and dots inside")]
    InvalidKey {
        /// The key.
        key: String,
    },
    /// What is stored is no `T`, or a `T` cannot be stored.
    #[error("the value of {bucket}/{key} is not of its type: {reason}")]
    Value {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
        /// What does not fit.
        reason: String,
    },
    /// The bucket cannot be reached. Whether a write took place is not known.
    #[error("the bucket {bucket} cannot be reached: {reason}")]
    Unavailable {
        /// The bucket.
        bucket: String,
        /// The client's own words.
        reason: String,
    },
}

impl Runtime {
    /// A bucket that the service's list names.
    pub fn state<T>(&self, bucket: &StateBucket<T>) -> State<T> {
        State::new(self.jetstream.clone(), bucket.name)
    }
}

impl<T> Clone for State<T> {
    fn clone(&self) -> Self {
        let Self { jetstream, bucket, store, value } = self;
        Self { jetstream: jetstream.clone(), bucket: Arc::clone(bucket), store: Arc::clone(store), value: *value }
    }
}

impl<T> State<T> {
    /// The bucket of this name, over this connection; the user's permissions decide whether it can be used.
    pub fn new(jetstream: jetstream::Context, bucket: &str) -> Self {
        Self { jetstream, bucket: bucket.into(), store: Arc::default(), value: PhantomData }
    }

    fn bucket(&self) -> String {
        self.bucket.to_string()
    }

    fn unavailable(&self, reason: &dyn fmt::Display) -> StateError {
        StateError::Unavailable { bucket: self.bucket(), reason: reason.to_string() }
    }

    fn conflict(&self, key: &str) -> StateError {
        StateError::Conflict { bucket: self.bucket(), key: key.to_owned() }
    }

    async fn within<R>(&self, work: impl Future<Output = Result<R, StateError>>) -> Result<R, StateError> {
        let outcome = tokio::time::timeout(WITHIN, work).await;
        outcome.unwrap_or_else(|_| Err(self.unavailable(&format!("no answer within {WITHIN:?}"))))
    }

    async fn store(&self) -> Result<&Store, StateError> {
        let find = || self.jetstream.get_key_value(self.bucket.as_ref());
        self.store.get_or_try_init(find).await.map_err(|error| self.unavailable(&error))
    }

    fn written(&self, key: &str, error: &kv::UpdateError) -> StateError {
        match error.kind() {
            UpdateErrorKind::WrongLastRevision => self.conflict(key),
            UpdateErrorKind::InvalidKey => StateError::InvalidKey { key: key.to_owned() },
            UpdateErrorKind::TimedOut | UpdateErrorKind::Other => self.unavailable(error),
        }
    }
}

impl<T: Serialize + DeserializeOwned> State<T> {
    /// The value of a key; `None` when there is none.
    ///
    /// # Errors
    /// See [`StateError`].
    pub async fn get(&self, key: &str) -> Result<Option<Entry<T>>, StateError> {
        self.within(async {
            let found = self.store().await?.entry(key).await.map_err(|error| match error.kind() {
                EntryErrorKind::InvalidKey => StateError::InvalidKey { key: key.to_owned() },
                EntryErrorKind::TimedOut | EntryErrorKind::Other => self.unavailable(&error),
            })?;
            Ok(found.map(|entry| self.read(&entry)).transpose()?.flatten())
        })
        .await
    }

    /// Writes a value, whatever was there; its revision.
    ///
    /// # Errors
    /// See [`StateError`].
    pub async fn put(&self, key: &str, value: &T) -> Result<u64, StateError> {
        let value = self.encode(key, value)?;
        self.within(async {
            self.store().await?.put(key, value).await.map_err(|error| match error.kind() {
                kv::PutErrorKind::InvalidKey => StateError::InvalidKey { key: key.to_owned() },
                kv::PutErrorKind::Publish | kv::PutErrorKind::Ack => self.unavailable(&error),
            })
        })
        .await
    }

    /// Writes a value where there is none; its revision.
    ///
    /// # Errors
    /// [`StateError::Conflict`] when there is one, and the others.
    pub async fn create(&self, key: &str, value: &T) -> Result<u64, StateError> {
        let value = self.encode(key, value)?;
        self.within(async {
            self.store().await?.create(key, value).await.map_err(|error| match error.kind() {
                CreateErrorKind::AlreadyExists => self.conflict(key),
                CreateErrorKind::InvalidKey => StateError::InvalidKey { key: key.to_owned() },
                CreateErrorKind::Publish | CreateErrorKind::Ack | CreateErrorKind::Other => self.unavailable(&error),
            })
        })
        .await
    }

    /// Replaces the value of this revision; the new revision.
    ///
    /// # Errors
    /// [`StateError::Conflict`] when the key has another revision by now, and the others.
    pub async fn update(&self, key: &str, value: &T, expected: u64) -> Result<u64, StateError> {
        let value = self.encode(key, value)?;
        self.within(async {
            let updated = self.store().await?.update(key, value, expected).await;
            updated.map_err(|error| self.written(key, &error))
        })
        .await
    }

    /// Deletes a key, whatever it holds.
    ///
    /// # Errors
    /// See [`StateError`].
    pub async fn delete(&self, key: &str) -> Result<(), StateError> {
        self.remove(key, None).await
    }

    /// Deletes the value of this revision.
    ///
    /// # Errors
    /// [`StateError::Conflict`] when the key has another revision by now, and the others.
    pub async fn delete_if(&self, key: &str, expected: u64) -> Result<(), StateError> {
        self.remove(key, Some(expected)).await
    }

    async fn remove(&self, key: &str, expected: Option<u64>) -> Result<(), StateError> {
        self.within(async {
            let deleted = self.store().await?.delete_expect_revision(key, expected).await;
            deleted.map_err(|error| self.written(key, &error))
        })
        .await
    }

    /// The values of all keys that match (`carts.*`, `>`), then each change of them.
    ///
    /// It goes on after a reconnect, and begins anew when the bucket was lost and made again: a value may come more than
    /// once, and deletions that fell into the gap do not come.
    pub fn watch(&self, keys: &str) -> impl Stream<Item = Change<T>> + Send + use<T> {
        stream::unfold(Watching::new(self.clone(), keys), |mut watching| async move {
            let change = watching.next().await;
            Some((change, watching))
        })
    }

    fn encode(&self, key: &str, value: &T) -> Result<bytes::Bytes, StateError> {
        serde_json::to_vec(value).map(Into::into).map_err(|error| self.unfit(key, &error))
    }

    fn read(&self, entry: &kv::Entry) -> Result<Option<Entry<T>>, StateError> {
        if entry.operation != Operation::Put {
            return Ok(None);
        }
        let value = serde_json::from_slice(&entry.value).map_err(|error| self.unfit(&entry.key, &error))?;
        Ok(Some(Entry { value, revision: entry.revision }))
    }

    fn unfit(&self, key: &str, error: &serde_json::Error) -> StateError {
        StateError::Value { bucket: self.bucket(), key: key.to_owned(), reason: error.to_string() }
    }
}
