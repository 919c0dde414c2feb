//! The runtime every Argosy service stands on: Dapr's building blocks as a library, over NATS and PostgreSQL.
//!
//! | module | building block |
//! |---|---|
//! | [`service`] | the host: connect, serve, consume, run jobs, drain |
//! | [`contracts`] | what travels: events, calls, buckets, one file per owning service |
//! | [`invoke`] | service invocation: typed request-reply |
//! | [`http`] | a poem endpoint served over NATS, and its client side for the gateway |
//! | [`outbox`] | events written with the state, relayed to JetStream |
//! | [`direct`] | events of a process without a database, straight to JetStream |
//! | [`consume`] | durable consumers: inbox, retry, dead letters |
//! | [`follow`] | the last minutes of a stream and what comes: events that one has to know of |
//! | [`batch`] | natural batching: one transaction for all that wait |
//! | `audit` | a service's own figures, for `argosy verify` |
//! | [`work`] | work queues in a table: what is done outside of a transaction |
//! | [`objects`] | the NATS object store |
//! | [`state`] | typed values by key: NATS KV with optimistic concurrency |
//! | [`lock`] | a lease: work that one instance does at a time |
//! | [`database`] | PostgreSQL: pool, migrations, transactions that carry events |
//! | [`idempotency`] | `Idempotency-Key`, claimed with the write |
//! | [`identity`] | who is asking, and what that lets them do |
//! | [`problem`] | RFC 9457 problems, one registry of codes |
//! | [`resilience`] | deadlines, tries, breakers and bulkheads: named policies |
//! | [`telemetry`] | logs and trace context |
//! | [`config`] | settings and secrets |
//! | [`connect`] | the connection to NATS |
//! | [`manifest`] | a service's list, as data |
//! | [`topology`] | streams, consumers, buckets and permissions, from all lists |
//! | [`types`] | the shared kernel of value types |

pub(crate) mod audit;
pub mod batch;
pub mod config;
pub mod connect;
pub mod consume;
pub mod contracts;
pub mod database;
pub mod direct;
pub mod follow;
pub mod http;
pub mod idempotency;
pub mod identity;
pub mod invoke;
pub mod lock;
pub mod manifest;
pub mod objects;
pub mod outbox;
pub mod problem;
pub mod resilience;
pub mod service;
pub mod state;
pub mod telemetry;
pub mod topology;
pub mod types;
pub mod work;
