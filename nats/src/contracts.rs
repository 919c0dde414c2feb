//! What travels between services: events, calls and buckets, one file per owning service.
//!
//! A contract is the whole of what two services share. Changes are additive; a change that is not gets a new version in
//! the type's name.

pub mod catalog;
pub mod invoice;
pub mod notify;
pub mod operations;
pub mod order;
pub mod payment;
pub mod shipping;
pub mod trail;
pub mod user;

use std::{marker::PhantomData, time::Duration};

use poem_openapi::types::Type;
use serde::{Serialize, de::DeserializeOwned};

/// A fact that already happened, told by the service that owns the entity.
///
/// Carries ids, amounts and states, never personal data, unless it is [direct](Event::DIRECT).
pub trait Event: Serialize + DeserializeOwned + Type + Clone + Send + Sync + 'static {
    /// The service that publishes it; its stream is the upper-case name.
    const SERVICE: &'static str;
    /// What it is about, such as `order`.
    const ENTITY: &'static str;
    /// What happened to it, in the past tense, such as `placed`.
    const VERB: &'static str;
    /// The version of its shape.
    const VERSION: u8;
    /// Whether it is published by a process without a database ([`crate::direct`]), to one consumer. The stream, which has the
    /// entity's upper-case name, then holds the only copy: it keeps each event until that is taken, and no longer. Nobody else
    /// is permitted to read it, so it may carry personal data.
    const DIRECT: bool = false;

    /// The entity's id: events of one id keep their order.
    fn entity_id(&self) -> String;

    /// The CloudEvents type, such as `order.placed.v1`.
    fn event_type() -> String {
        format!("{}.{}.v{}", Self::ENTITY, Self::VERB, Self::VERSION)
    }

    /// The subject of one event: `evt.<entity>.<verb>.<entity id>`, or `direct.…`.
    fn subject(&self) -> String {
        format!("{}.{}.{}.{}", space::<Self>(), Self::ENTITY, Self::VERB, self.entity_id())
    }

    /// The subjects of all events of this type.
    fn subject_filter() -> String {
        format!("{}.{}.{}.*", space::<Self>(), Self::ENTITY, Self::VERB)
    }

    /// The stream that holds them.
    fn stream() -> String {
        stream_of(if Self::DIRECT { Self::ENTITY } else { Self::SERVICE })
    }
}

/// What the subjects of direct events begin with.
const DIRECT: &str = "direct";

/// What the subjects of these events begin with.
const fn space<E: Event>() -> &'static str {
    if E::DIRECT { DIRECT } else { "evt" }
}

/// Whether this is a subject of [direct](Event::DIRECT) events.
pub(crate) fn is_direct(subject: &str) -> bool {
    subject.split('.').next() == Some(DIRECT)
}

/// The stream of the events that a service owns.
pub fn stream_of(service: &str) -> String {
    service.to_uppercase()
}

/// A question to another service that wants its answer now.
pub trait Call: Serialize + DeserializeOwned + Type + Clone + Send + Sync + 'static {
    /// The service that answers.
    const SERVICE: &'static str;
    /// `verb_noun`, the last token of the subject.
    const VERB: &'static str;
    /// How long the caller waits for one attempt.
    const DEADLINE: Duration = Duration::from_secs(2);
    /// Whether asking twice has the effect of asking once; only then is a call repeated.
    const IDEMPOTENT: bool;
    /// The answer.
    type Reply: Serialize + DeserializeOwned + Type + Send + Sync + 'static;
    /// A "no" that the caller can act on.
    type Refusal: Serialize + DeserializeOwned + std::fmt::Debug + Send + Sync + 'static;

    /// `svc.<service>.<verb_noun>`.
    fn subject() -> String {
        Self::subject_at(Self::SERVICE)
    }

    /// The subject of the same question to another service, where [every](EVERY) one answers it.
    fn subject_at(service: &str) -> String {
        format!("svc.{service}.{}", Self::VERB)
    }
}

/// The [`Call::SERVICE`] of calls that every service answers.
pub const EVERY: &str = "*";

/// A refusal that cannot occur.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
pub enum Never {}

/// A bucket of the NATS object store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// Its name; the backing stream is `OBJ_<name>`.
    pub name: &'static str,
    /// How long objects live; `None` keeps them.
    pub max_age: Option<Duration>,
    /// What it may hold at most, in bytes.
    pub max_bytes: i64,
}

/// A bucket of state: values of type `T` by key (NATS KV). See [`crate::state`].
#[derive(Debug)]
pub struct StateBucket<T> {
    /// Its name; the backing stream is `KV_<name>`.
    pub name: &'static str,
    /// How long values live after they were written; `None` keeps them.
    pub max_age: Option<Duration>,
    /// What it may hold at most, in bytes.
    pub max_bytes: i64,
    value: PhantomData<fn() -> T>,
}

impl<T> StateBucket<T> {
    /// A bucket of this name and these limits.
    pub const fn new(name: &'static str, max_age: Option<Duration>, max_bytes: i64) -> Self {
        Self { name, max_age, max_bytes, value: PhantomData }
    }
}

/// HTTP bodies over the size of a message, on their way through the gateway.
pub const TRANSFER: Bucket = Bucket { name: "transfer", max_age: Some(Duration::from_secs(600)), max_bytes: 2 << 30 };

macro_rules! event {
    ($(#[$meta:meta])* $name:ident = $service:literal / $entity:ident . $verb:ident . $version:literal, by $key:ident {
        $($(#[$fmeta:meta])* $field:ident: $ty:ty,)*
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, poem_openapi::Object)]
        pub struct $name { $($(#[$fmeta])* pub $field: $ty,)* }

        impl $crate::contracts::Event for $name {
            const SERVICE: &'static str = $service;
            const ENTITY: &'static str = stringify!($entity);
            const VERB: &'static str = stringify!($verb);
            const VERSION: u8 = $version;
            fn entity_id(&self) -> String { self.$key.to_string() }
        }
    };
}

macro_rules! call {
    ($name:ident = $service:tt . $verb:ident -> $reply:ty, or $refusal:ty, idempotent: $idempotent:literal
        $(, deadline_s: $deadline:literal)?) => {
        impl $crate::contracts::Call for $name {
            const SERVICE: &'static str = $service;
            const VERB: &'static str = stringify!($verb);
            $(const DEADLINE: std::time::Duration = std::time::Duration::from_secs($deadline);)?
            const IDEMPOTENT: bool = $idempotent;
            type Reply = $reply;
            type Refusal = $refusal;
        }
    };
}

pub(crate) use {call, event};
