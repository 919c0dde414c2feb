//! The NATS object store: generated files and bodies too large for a message.
//!
//! Trap: JetStream is not the place of truth. Whoever keeps an object keeps its SHA-256 and size in PostgreSQL as well,
//! and can make it again or has a copy elsewhere.

use std::time::Duration;

use async_nats::jetstream::{
    self,
    object_store::{Object, ObjectStore},
};
use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, BufReader};

use crate::contracts::Bucket;

const DEADLINE: Duration = Duration::from_secs(20);
/// The store publishes one message per read of the source; this is their size.
const CHUNK: usize = 128 * 1024;

/// The object store, for the buckets that the service's list names; cheap to clone.
#[derive(Clone)]
pub struct Objects {
    jetstream: jetstream::Context,
}

/// Why an object could not be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// There is no such object.
    #[error("there is no object {bucket}/{name}")]
    NotFound {
        /// The bucket.
        bucket: String,
        /// The object.
        name: String,
    },
    /// The store cannot be reached, or refuses.
    #[error("the object store failed on {bucket}: {reason}")]
    Store {
        /// The bucket.
        bucket: String,
        /// The store's own words.
        reason: String,
    },
}

/// What was stored: to be kept in PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Length in bytes.
    pub size: u64,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
}

impl Objects {
    /// Over this connection; the user's permissions decide which buckets can be used.
    pub const fn new(jetstream: jetstream::Context) -> Self {
        Self { jetstream }
    }

    /// Stores `content` under `name`, replacing what was there.
    ///
    /// # Errors
    /// [`ObjectError::Store`].
    pub async fn put(&self, bucket: Bucket, name: &str, content: Bytes) -> Result<Stored, ObjectError> {
        let stored = Stored { size: content.len() as u64, sha256: hex(&Sha256::digest(&content)) };
        let store = self.store(bucket.name).await?;
        let mut reader = BufReader::with_capacity(CHUNK, content.as_ref());
        self.bounded(bucket.name, store.put(name, &mut reader)).await?;
        Ok(stored)
    }

    /// The whole object.
    ///
    /// # Errors
    /// See [`ObjectError`].
    pub async fn get(&self, bucket: Bucket, name: &str) -> Result<Bytes, ObjectError> {
        let mut object = self.open(bucket.name, name).await?;
        let mut content = Vec::with_capacity(object.info().size);
        self.bounded(bucket.name, object.read_to_end(&mut content)).await?;
        Ok(content.into())
    }

    /// The whole object, which is then gone.
    ///
    /// # Errors
    /// See [`ObjectError`].
    pub async fn take(&self, bucket: Bucket, name: &str) -> Result<Bytes, ObjectError> {
        let content = self.get(bucket, name).await?;
        self.delete(bucket, name).await;
        Ok(content)
    }

    /// Deletes an object that has done its service; should that fail, it stays until it is too old.
    pub async fn delete(&self, bucket: Bucket, name: &str) {
        let deleted = async {
            let store = self.store(bucket.name).await?;
            self.bounded(bucket.name, store.delete(name)).await
        };
        if let Err(error) = deleted.await {
            tracing::debug!(%error, name, "not deleted; it goes when it is too old");
        }
    }

    /// Whether the store has the object.
    ///
    /// # Errors
    /// [`ObjectError::Store`].
    pub async fn has(&self, bucket: Bucket, name: &str) -> Result<bool, ObjectError> {
        let store = self.store(bucket.name).await?;
        match tokio::time::timeout(DEADLINE, store.info(name)).await {
            // What was deleted leaves a marker.
            Ok(Ok(info)) => Ok(!info.deleted),
            Ok(Err(error)) if error.kind() == jetstream::object_store::InfoErrorKind::NotFound => Ok(false),
            Ok(Err(error)) => Err(failed(bucket.name, &error)),
            Err(elapsed) => Err(failed(bucket.name, &elapsed)),
        }
    }

    /// The object as a reader, for streaming.
    ///
    /// # Errors
    /// See [`ObjectError`].
    pub async fn open(&self, bucket: &str, name: &str) -> Result<Object, ObjectError> {
        let store = self.store(bucket).await?;
        match tokio::time::timeout(DEADLINE, store.get(name)).await {
            Ok(Ok(object)) => Ok(object),
            Ok(Err(error)) if error.kind() == jetstream::object_store::GetErrorKind::NotFound => {
                Err(ObjectError::NotFound { bucket: bucket.to_owned(), name: name.to_owned() })
            }
            Ok(Err(error)) => Err(failed(bucket, &error)),
            Err(elapsed) => Err(failed(bucket, &elapsed)),
        }
    }

    async fn store(&self, bucket: &str) -> Result<ObjectStore, ObjectError> {
        self.bounded(bucket, self.jetstream.get_object_store(bucket)).await
    }

    async fn bounded<T, E: std::fmt::Display>(
        &self,
        bucket: &str,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, ObjectError> {
        match tokio::time::timeout(DEADLINE, work).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(failed(bucket, &error)),
            Err(elapsed) => Err(failed(bucket, &elapsed)),
        }
    }
}

fn failed(bucket: &str, error: &dyn std::fmt::Display) -> ObjectError {
    ObjectError::Store { bucket: bucket.to_owned(), reason: error.to_string() }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
