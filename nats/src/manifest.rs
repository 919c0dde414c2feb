//! What a service serves, answers, calls, publishes, consumes, follows, keeps and runs on a clock: its list, as data.
//!
//! The lists in each service's `lib.rs` are the only place where this is written. From them are generated the topology and
//! the broker's permissions, `openapi.json`, `asyncapi.json` and the communication matrix in the docs.

use std::time::Duration;

use poem_openapi::{registry::Registry, types::Type};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::contracts::{Bucket, Call, Event, StateBucket};

/// One service's list.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The service's name: its NATS user, its subjects' token, its queue group.
    pub service: String,
    /// What it is, in a sentence.
    pub description: String,
    /// Its OpenAPI document, when it serves HTTP.
    pub openapi: Option<Value>,
    /// Whether it forwards HTTP to the other services (the gateway).
    pub forwards: bool,
    /// The calls it answers.
    pub answers: Vec<CallEntry>,
    /// The calls it makes, as `<service>.<verb_noun>`.
    pub calls: Vec<String>,
    /// The events it publishes.
    pub publishes: Vec<EventEntry>,
    /// Its durable consumers.
    pub consumes: Vec<ConsumerEntry>,
    /// The events it follows without a durable consumer.
    pub follows: Vec<FollowEntry>,
    /// The buckets it uses.
    pub buckets: Vec<BucketEntry>,
    /// The buckets of state it uses.
    pub states: Vec<BucketEntry>,
    /// What it does on a clock.
    pub jobs: Vec<JobEntry>,
    /// The work queues in tables that it works off.
    pub works: Vec<String>,
}

/// A call that a service answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallEntry {
    /// `verb_noun`.
    pub verb: String,
    /// The subject.
    pub subject: String,
    /// Whether it may be repeated.
    pub idempotent: bool,
    /// How long a caller waits, in milliseconds.
    pub deadline_ms: u64,
    /// The question's shape.
    pub question: Schema,
    /// The answer's shape.
    pub reply: Schema,
}

/// An event that a service publishes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventEntry {
    /// The CloudEvents type.
    pub event_type: String,
    /// The subject with `*` for the entity's id.
    pub subject: String,
    /// The stream.
    pub stream: String,
    /// Its shape.
    pub schema: Schema,
}

/// A durable consumer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsumerEntry {
    /// Its durable name: `<service>-<what it does>`.
    pub durable: String,
    /// The stream.
    pub stream: String,
    /// The CloudEvents type it takes.
    pub event_type: String,
    /// The subjects it takes.
    pub filter: String,
}

/// Events that a process follows (see [`crate::follow`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowEntry {
    /// The stream.
    pub stream: String,
    /// The CloudEvents type it follows.
    pub event_type: String,
    /// The subjects it follows.
    pub filter: String,
}

/// A bucket and what the service does with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BucketEntry {
    /// Its name.
    pub name: String,
    /// Whether the service writes it as well.
    pub writes: bool,
    /// How long objects live, in seconds.
    pub max_age_s: Option<u64>,
    /// What it may hold at most, in bytes.
    pub max_bytes: i64,
}

/// Something on a clock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobEntry {
    /// What it does.
    pub name: String,
    /// How often, in milliseconds.
    pub every_ms: u64,
    /// Whether it runs on one instance at a time.
    pub one_at_a_time: bool,
}

/// A JSON Schema by name, with the schemas it refers to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Schema {
    /// The name of the type, a key of `schemas` unless it is a plain value.
    pub name: String,
    /// Every named schema that is needed to read it.
    pub schemas: Value,
}

impl Schema {
    /// The schema of `T`.
    pub fn of<T: Type>() -> Self {
        let mut registry = Registry::new();
        T::register(&mut registry);
        Self { name: T::name().into_owned(), schemas: serde_json::to_value(&registry.schemas).unwrap_or_default() }
    }
}

impl CallEntry {
    pub(crate) fn of<C: Call>() -> Self {
        Self {
            verb: C::VERB.to_owned(),
            subject: C::subject(),
            idempotent: C::IDEMPOTENT,
            deadline_ms: u64::try_from(C::DEADLINE.as_millis()).unwrap_or(u64::MAX),
            question: Schema::of::<C>(),
            reply: Schema::of::<C::Reply>(),
        }
    }
}

impl EventEntry {
    /// The events of type `E`.
    pub fn of<E: Event>() -> Self {
        Self {
            event_type: E::event_type(),
            subject: E::subject_filter(),
            stream: E::stream(),
            schema: Schema::of::<E>(),
        }
    }
}

impl ConsumerEntry {
    pub(crate) fn of<E: Event>(durable: String) -> Self {
        Self { durable, stream: E::stream(), event_type: E::event_type(), filter: E::subject_filter() }
    }
}

impl FollowEntry {
    /// The events of type `E`.
    pub fn of<E: Event>() -> Self {
        Self { stream: E::stream(), event_type: E::event_type(), filter: E::subject_filter() }
    }
}

impl JobEntry {
    pub(crate) fn of(name: &str, period: Duration, one_at_a_time: bool) -> Self {
        let every_ms = u64::try_from(period.as_millis()).unwrap_or(u64::MAX);
        Self { name: name.to_owned(), every_ms, one_at_a_time }
    }
}

impl BucketEntry {
    /// `bucket`, read only or written as well.
    pub fn of(bucket: Bucket, writes: bool) -> Self {
        Self {
            name: bucket.name.to_owned(),
            writes,
            max_age_s: bucket.max_age.map(|age| age.as_secs()),
            max_bytes: bucket.max_bytes,
        }
    }

    /// The same of a bucket of state.
    pub fn of_state<T>(bucket: &StateBucket<T>, writes: bool) -> Self {
        Self {
            name: bucket.name.to_owned(),
            writes,
            max_age_s: bucket.max_age.map(|age| age.as_secs()),
            max_bytes: bucket.max_bytes,
        }
    }
}
