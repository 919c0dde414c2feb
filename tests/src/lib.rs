//! The parts Argosy runs on, started for real: for `make up`, for end-to-end tests and for benchmarks.
//!
//! Each part is a struct that owns its process: `start` returns when the part answers, or with a sentence
//! that says what to do; dropping it stops it. Whatever way this program ends (return, `exit`, panic,
//! `kill -9`), no process of it stays behind, and its scratch directory goes at the end or at the next start.
//!
//! | part | file |
//! |---|---|
//! | the whole system, for tests and `make up` | [`system`], [`up`], [`seed`] |
//! | a bed for the tests of one service | [`bed`] |
//! | chaos runs | [`chaos`] |
//! | benchmarks | [`mod@bench`] |
//! | generated documents | [`generate`] |
//! | a child process that cannot outlive us | [`process`] |
//! | what happens when this program ends | `cleanup` |
//! | directories that go away | [`scratch`] |
//! | waiting for a condition | [`wait`] |
//! | TCP ports | [`ports`] |
//! | faults between two programs | [`proxy`] |
//! | PostgreSQL, NATS, Redis | [`postgres`], [`nats_server`], [`redis`] |
//! | the mail catcher, the OpenID provider | [`mail`], [`openid`] |
//! | WeasyPrint | [`weasyprint`] |
//! | validators of invoices | [`validators`] |
//! | where `make setup` put things | [`tools`] |
//!
//! Drop order matters once: a [`scratch::Scratch`] that a server lives in must be dropped after the server
//! (declare it before as a variable, after as a field).

pub mod bed;
pub mod bench;
pub mod chaos;
mod cleanup;
pub mod clock;
pub mod error;
pub mod generate;
pub mod mail;
pub mod nats_server;
pub mod openid;
mod os;
pub mod ports;
pub mod postgres;
pub mod process;
pub mod proxy;
pub mod redis;
pub mod scratch;
pub mod seed;
pub mod system;
pub mod tools;
pub mod up;
pub mod validators;
pub mod wait;
pub mod weasyprint;

pub use bed::Bed;
pub use error::{Result, StackError};
