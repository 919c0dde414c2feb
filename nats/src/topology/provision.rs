//! Creates and updates what JetStream has to hold: as a one-shot job, or watching that it stays so.
//!
//! Running it again changes nothing: what is there is looked at first, and only what differs from the topology is touched.
//! A store that was wiped while the system runs is filled again by the watch ([`watch`]); the events come from the services'
//! outboxes, and consumers read them from the beginning, because inboxes make repeats harmless.
//!
//! Trap: a stream that loses its newest messages (set back, damaged) gives their numbers to others. nats-server sets consumers
//! that had read further back to where their stream ends when it starts, so nothing is passed over; a test holds it to that.

use std::time::Duration;

use async_nats::jetstream::{
    self, ErrorCode,
    consumer::{self, AckPolicy, FromConsumer, pull},
    context::{ConsumerInfoErrorKind, GetStreamError, GetStreamErrorKind},
    stream,
};
use tokio::time::{MissedTickBehavior, interval};

use super::{StoredBucket, Stream, Topology};
use crate::{consume::ACK_WAIT, manifest::ConsumerEntry};

/// How often the watch looks.
const LOOK: Duration = Duration::from_secs(1);
/// A look that takes longer has failed.
const LOOK_WITHIN: Duration = Duration::from_secs(60);

/// What could not be looked at or created, and why.
#[derive(Debug, thiserror::Error)]
#[error("{what} could not be provisioned: {reason}")]
pub struct ProvisionError {
    what: String,
    reason: String,
}

/// Brings JetStream to what the topology says, with so many `replicas` of everything (1 without a cluster). Returns what it
/// made or changed, a sentence each.
///
/// # Errors
/// The first thing that the server refuses.
pub async fn provision(
    jetstream: &jetstream::Context,
    topology: &Topology,
    replicas: usize,
) -> Result<Vec<String>, ProvisionError> {
    Provisioner { jetstream, topology, replicas, apply: true, done: Vec::new() }.run().await
}

/// What [`provision`] would do now, a sentence each; changes nothing.
///
/// # Errors
/// What cannot be looked at.
pub async fn differences(
    jetstream: &jetstream::Context,
    topology: &Topology,
    replicas: usize,
) -> Result<Vec<String>, ProvisionError> {
    Provisioner { jetstream, topology, replicas, apply: false, done: Vec::new() }.run().await
}

/// Keeps JetStream as the topology says, looking every second; never returns. What it does is logged.
pub async fn watch(jetstream: &jetstream::Context, topology: &Topology, replicas: usize) {
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        let provisioner = Provisioner { jetstream, topology, replicas, apply: true, done: Vec::new() };
        match tokio::time::timeout(LOOK_WITHIN, provisioner.run()).await {
            Ok(Ok(done)) => done.iter().for_each(|sentence| tracing::warn!("{sentence}")),
            Ok(Err(error)) => tracing::warn!(%error, "trying again"),
            Err(_elapsed) => tracing::warn!("JetStream did not answer within {LOOK_WITHIN:?}; trying again"),
        }
    }
}

struct Provisioner<'a> {
    jetstream: &'a jetstream::Context,
    topology: &'a Topology,
    replicas: usize,
    /// Whether to act, or only to tell.
    apply: bool,
    done: Vec<String>,
}

impl Provisioner<'_> {
    async fn run(mut self) -> Result<Vec<String>, ProvisionError> {
        for bucket in &self.topology.buckets {
            self.stream(&format!("OBJ_{}", bucket.name), |found| of_bucket(bucket, found)).await?;
        }
        for state in &self.topology.states {
            self.stream(&format!("KV_{}", state.name), |found| of_state(state, found)).await?;
        }
        for wanted in &self.topology.streams {
            let stream = self.stream(&wanted.name, |found| of_stream(wanted, found)).await?;
            let Some(stream) = stream else { continue };
            for consumer in self.topology.consumers.iter().filter(|consumer| consumer.stream == wanted.name) {
                self.consumer(&stream, consumer).await?;
            }
        }
        Ok(self.done)
    }

    /// The stream, made or changed if need be; `None` when it is not there and is not to be made.
    async fn stream(
        &mut self,
        name: &str,
        wanted: impl FnOnce(stream::Config) -> stream::Config,
    ) -> Result<Option<stream::Stream>, ProvisionError> {
        match self.jetstream.get_stream(name).await {
            Ok(stream) => {
                let found = &stream.cached_info().config;
                let config = stream::Config { num_replicas: self.replicas, ..wanted(found.clone()) };
                if config != *found {
                    self.done.push(format!("the stream {name} was not as the topology says, and is now"));
                    if self.apply {
                        self.jetstream.update_stream(&config).await.map_err(|error| failed(name, &error))?;
                    }
                }
                Ok(Some(stream))
            }
            Err(error) if is_missing(&error) => {
                self.done.push(format!("the stream {name} was not there, and is now"));
                if !self.apply {
                    return Ok(None);
                }
                let config = wanted(stream::Config { name: name.to_owned(), ..stream::Config::default() });
                let config = stream::Config { num_replicas: self.replicas, ..config };
                self.jetstream.create_stream(config).await.map(Some).map_err(|error| failed(name, &error))
            }
            Err(error) => Err(failed(name, &error)),
        }
    }

    async fn consumer(&mut self, stream: &stream::Stream, wanted: &ConsumerEntry) -> Result<(), ProvisionError> {
        let name = wanted.durable.as_str();
        let found = match stream.consumer_info(name).await {
            Ok(found) => Some(found.config),
            Err(error) if error.kind() == ConsumerInfoErrorKind::NotFound => None,
            Err(error) => return Err(failed(name, &error)),
        };
        let config = of_consumer(wanted, found.clone().unwrap_or_default());
        let what = match found {
            Some(found) if found == config => return Ok(()),
            Some(_) => "was not as the topology says, and is now",
            None => "was not there, and is now",
        };
        self.done.push(format!("the consumer {name} {what}"));
        if !self.apply {
            return Ok(());
        }
        let config = pull::Config::try_from_consumer_config(config).map_err(|error| failed(name, &error))?;
        stream.create_consumer(config).await.map(drop).map_err(|error| failed(name, &error))
    }
}

fn of_stream(wanted: &Stream, found: stream::Config) -> stream::Config {
    stream::Config {
        subjects: wanted.subjects.clone(),
        retention: if wanted.is_direct() {
            stream::RetentionPolicy::WorkQueue
        } else {
            stream::RetentionPolicy::Limits
        },
        // What nobody has another copy of does not go by its age.
        max_age: if wanted.is_direct() { Duration::ZERO } else { Duration::from_secs(wanted.max_age_s) },
        max_bytes: wanted.max_bytes,
        storage: stream::StorageType::File,
        // A full stream pushes back on the relay instead of forgetting.
        discard: stream::DiscardPolicy::New,
        duplicate_window: Duration::from_secs(120),
        deny_delete: true,
        deny_purge: true,
        allow_direct: true,
        ..found
    }
}

/// As the client library makes a bucket, which is a stream.
fn of_bucket(wanted: &StoredBucket, found: stream::Config) -> stream::Config {
    stream::Config {
        subjects: vec![format!("$O.{}.C.>", wanted.name), format!("$O.{}.M.>", wanted.name)],
        max_age: wanted.max_age_s.map(Duration::from_secs).unwrap_or_default(),
        max_bytes: wanted.max_bytes,
        storage: stream::StorageType::File,
        discard: stream::DiscardPolicy::New,
        allow_rollup: true,
        allow_direct: true,
        ..found
    }
}

/// As the client library makes a bucket of keys and values, which is a stream of one message per key.
fn of_state(wanted: &StoredBucket, found: stream::Config) -> stream::Config {
    stream::Config {
        subjects: vec![format!("$KV.{}.>", wanted.name)],
        max_messages_per_subject: 1,
        max_age: wanted.max_age_s.map(Duration::from_secs).unwrap_or_default(),
        max_bytes: wanted.max_bytes,
        storage: stream::StorageType::File,
        discard: stream::DiscardPolicy::New,
        allow_rollup: true,
        deny_delete: true,
        allow_direct: true,
        ..found
    }
}

fn of_consumer(wanted: &ConsumerEntry, found: consumer::Config) -> consumer::Config {
    consumer::Config {
        durable_name: Some(wanted.durable.clone()),
        filter_subject: wanted.filter.clone(),
        ack_policy: AckPolicy::Explicit,
        ack_wait: ACK_WAIT,
        // The runner counts attempts itself: a message is never dropped by the server.
        max_deliver: -1,
        max_ack_pending: 1000,
        ..found
    }
}

fn is_missing(error: &GetStreamError) -> bool {
    let missing = |error: &jetstream::Error| error.error_code() == ErrorCode::STREAM_NOT_FOUND;
    matches!(error.kind(), GetStreamErrorKind::JetStream(error) if missing(&error))
}

fn failed(what: &str, error: &dyn std::fmt::Display) -> ProvisionError {
    ProvisionError { what: what.to_owned(), reason: error.to_string() }
}
