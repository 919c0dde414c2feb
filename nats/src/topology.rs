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

pub use keys::{KeyError, write_keys};
pub use provision::{ProvisionError, provision};

use crate::{
    contracts::stream_of,
    manifest::{ConsumerEntry, Manifest},
};

/// How long event streams keep events; PostgreSQL's event log keeps them longer.
pub const RETENTION: Duration = Duration::from_secs(3 * 24 * 3600);
/// The stream of dead letters.
pub const DEAD: &str = "DEAD";
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
    /// How long it keeps a message, in seconds.
    pub max_age_s: u64,
    /// What it may hold, in bytes. A full event stream refuses, and the outbox keeps; PostgreSQL has more room.
    pub max_bytes: i64,
}

/// A bucket of the object store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredBucket {
    /// Its name.
    pub name: String,
    /// How long it keeps an object, in seconds.
    pub max_age_s: Option<u64>,
    /// What it may hold, in bytes.
    pub max_bytes: i64,
}

/// What a user may publish and subscribe to; everything else is refused.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permissions {
    /// Subjects it may publish on.
    pub publish: Vec<String>,
    /// Subjects it may subscribe to, some only in a queue group (`subject group`).
    pub subscribe: Vec<String>,
}

impl Topology {
    /// The topology of these manifests.
    pub fn of(manifests: &[Manifest]) -> Self {
        let mut streams: Vec<Stream> = manifests
            .iter()
            .filter(|manifest| !manifest.publishes.is_empty())
            .map(|manifest| Stream {
                name: stream_of(&manifest.service),
                subjects: manifest.publishes.iter().map(|event| event.subject.clone()).collect(),
                max_age_s: RETENTION.as_secs(),
                max_bytes: 8 << 30,
            })
            .collect();
        streams.push(Stream {
            name: DEAD.to_owned(),
            subjects: vec!["dead.>".to_owned()],
            max_age_s: 90 * 24 * 3600,
            max_bytes: 1 << 30,
        });
        let mut buckets = BTreeMap::new();
        for bucket in manifests.iter().flat_map(|manifest| &manifest.buckets) {
            let stored =
                StoredBucket { name: bucket.name.clone(), max_age_s: bucket.max_age_s, max_bytes: bucket.max_bytes };
            buckets.insert(bucket.name.clone(), stored);
        }
        Self {
            streams,
            consumers: manifests.iter().flat_map(|manifest| manifest.consumes.clone()).collect(),
            buckets: buckets.into_values().collect(),
            users: permissions::of(manifests),
        }
    }

    /// The topology this build was generated with.
    ///
    /// # Errors
    /// When the embedded document does not parse, which a test excludes.
    pub fn embedded() -> Result<Self, serde_json::Error> {
        serde_json::from_str(include_str!("../server/topology.json"))
    }
}
