//! The runtime on real parts: a small service, run as every service is.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "tests"
)]

mod consume;
mod database;
mod dead_letters;
mod direct;
mod follow;
mod http;
mod invoke;
mod outbox;
mod permissions;
mod probe;
mod provision;
mod service;
mod state;
