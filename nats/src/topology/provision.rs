//! Creates and updates what JetStream has to hold. Runs as a one-shot job; running it again changes nothing.

use std::time::Duration;

use async_nats::jetstream::{
    self,
    consumer::{AckPolicy, pull},
    object_store, stream,
};

use super::{DEAD, Topology};
use crate::consume::ACK_WAIT;

/// What could not be created, and why.
#[derive(Debug, thiserror::Error)]
#[error("{what} could not be provisioned: {reason}")]
pub struct ProvisionError {
    what: String,
    reason: String,
}

/// Brings JetStream to what the topology says.
///
/// # Errors
/// The first thing that the server refuses.
pub async fn provision(jetstream: &jetstream::Context, topology: &Topology) -> Result<(), ProvisionError> {
    for stream in &topology.streams {
        let config = stream::Config {
            name: stream.name.clone(),
            subjects: stream.subjects.clone(),
            max_age: Duration::from_secs(stream.max_age_s),
            max_bytes: stream.max_bytes,
            storage: stream::StorageType::File,
            // A full stream pushes back on the relay instead of forgetting.
            discard: stream::DiscardPolicy::New,
            duplicate_window: Duration::from_secs(120),
            deny_delete: stream.name != DEAD,
            deny_purge: true,
            allow_direct: true,
            ..stream::Config::default()
        };
        jetstream.create_or_update_stream(config).await.map_err(|error| failed(&stream.name, &error))?;
    }
    for consumer in &topology.consumers {
        let config = pull::Config {
            durable_name: Some(consumer.durable.clone()),
            filter_subject: consumer.filter.clone(),
            ack_policy: AckPolicy::Explicit,
            ack_wait: ACK_WAIT,
            // The runner counts attempts itself: a message is never dropped by the server.
            max_deliver: -1,
            max_ack_pending: 1000,
            ..pull::Config::default()
        };
        jetstream
            .create_consumer_on_stream(config, consumer.stream.as_str())
            .await
            .map_err(|error| failed(&consumer.durable, &error))?;
    }
    for bucket in &topology.buckets {
        if jetstream.get_object_store(&bucket.name).await.is_ok() {
            continue;
        }
        let config = object_store::Config {
            bucket: bucket.name.clone(),
            max_age: bucket.max_age_s.map(Duration::from_secs).unwrap_or_default(),
            max_bytes: bucket.max_bytes,
            ..object_store::Config::default()
        };
        jetstream.create_object_store(config).await.map_err(|error| failed(&bucket.name, &error))?;
    }
    Ok(())
}

fn failed(what: &str, error: &dyn std::fmt::Display) -> ProvisionError {
    ProvisionError { what: what.to_owned(), reason: error.to_string() }
}
