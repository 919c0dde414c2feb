//! Streams, consumers, buckets and every user's subjects: made from the manifests, written to `server/topology.json`,
//! created by one provisioner, enforced by the broker.
//!
//! Trap: a user of JetStream can make the server publish on its behalf (replies). Permissions cannot close that inside one
//! account, so consumers check what they get (`consume::envelope`).

mod keys;
mod permissions;
mod provision;

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

pub use keys::{ClusterNode, KeyError, write_cluster, write_keys};
pub use provision::{ProvisionError, differences, provision, watch};

use crate::{
    contracts::is_direct,
    manifest::{BucketEntry, ConsumerEntry, Manifest},
};

/// How long event streams keep events; PostgreSQL's event log keeps them longer. Direct events are kept until they are taken.
pub const RETENTION: Duration = Duration::from_secs(3 * 24 * 3600);
/// The users that are no service's.
pub const PROVISIONER: &str = "provisioner";
/// The operator's user: redrives dead letters, asks services, grants roles.
pub const OPERATOR: &str = "operator";
/// The read-only user for looking at events.
pub const DEBUG: &str = "debug";

/// Everything the broker has to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topology {
    /// The streams.
    pub streams: Vec<Stream>,
    /// The durable consumers.
    pub consumers: Vec<ConsumerEntry>,
    /// The object store's buckets.
    pub buckets: Vec<StoredBucket>,
    /// The buckets of state.
    pub states: Vec<StoredBucket>,
    /// The users and what each may do.
    pub users: BTreeMap<String, Permissions>,
}

/// A stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stream {
    /// Its name.
    pub name: String,
    /// What it takes in.
    pub subjects: Vec<String>,
    /// How long it keeps a message, in seconds; 0: until it is taken.
    pub max_age_s: u64,
    /// What it may hold, in bytes. A full event stream refuses, and the outbox keeps; PostgreSQL has more room.
    pub max_bytes: i64,
}

/// A bucket, of objects or of state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredBucket {
    /// Its name.
    pub name: String,
    /// How long it keeps something, in seconds.
    pub max_age_s: Option<u64>,
    /// What it may hold, in bytes.
    pub max_bytes: i64,
}

/// What a user may publish and subscribe to; everything else is refused.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permissions {
    /// Subjects it may publish on.
    pub publish: Vec<String>,
    /// Subjects it may not publish on, although `publish` would have them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deny_publish: Vec<String>,
    /// Subjects it may subscribe to, some only in a queue group (`subject group`).
    pub subscribe: Vec<String>,
}

impl Stream {
    /// Whether what it holds is taken by one consumer and gone then (see [`crate::contracts::Event::DIRECT`]).
    pub(crate) fn is_direct(&self) -> bool {
        !self.subjects.is_empty() && self.subjects.iter().all(|subject| is_direct(subject))
    }
}

impl Topology {
    /// The topology of these manifests.
    pub fn of(manifests: &[Manifest]) -> Self {
        let mut streams: Vec<Stream> = Vec::new();
        for event in manifests.iter().flat_map(|manifest| &manifest.publishes) {
            match streams.iter_mut().find(|stream| stream.name == event.stream) {
                Some(stream) => stream.subjects.push(event.subject.clone()),
                None => streams.push(Stream {
                    name: event.stream.clone(),
                    subjects: vec![event.subject.clone()],
                    max_age_s: if is_direct(&event.subject) { 0 } else { RETENTION.as_secs() },
                    max_bytes: 8 << 30,
                }),
            }
        }
        Self {
            streams,
            consumers: manifests.iter().flat_map(|manifest| manifest.consumes.clone()).collect(),
            buckets: stored(manifests.iter().flat_map(|manifest| &manifest.buckets)),
            states: stored(manifests.iter().flat_map(|manifest| &manifest.states)),
            users: permissions::of(manifests),
        }
    }

    /// The services: the users that answer calls.
    pub fn services(&self) -> impl Iterator<Item = &str> {
        let answers = |(user, permissions): &(&String, &Permissions)| {
            permissions.subscribe.contains(&format!("svc.{user}.> {user}"))
        };
        self.users.iter().filter(answers).map(|(user, _)| user.as_str())
    }

    /// The topology this build was generated with.
    ///
    /// # Errors
    /// When the embedded document does not parse, which a test excludes.
    pub fn embedded() -> Result<Self, serde_json::Error> {
        serde_json::from_str(include_str!("../server/topology.json"))
    }
}

/// Each bucket once, by name.
fn stored<'a>(entries: impl Iterator<Item = &'a BucketEntry>) -> Vec<StoredBucket> {
    let buckets: BTreeMap<&str, StoredBucket> = entries
        .map(|BucketEntry { name, max_age_s, max_bytes, .. }| {
            (name.as_str(), StoredBucket { name: name.clone(), max_age_s: *max_age_s, max_bytes: *max_bytes })
        })
        .collect();
    buckets.into_values().collect()
}
