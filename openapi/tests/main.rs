//! The gateway, on real NATS and Redis.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "tests"
)]

mod api_key;
mod compress;
mod cors;
mod dead_letters;
mod edge;
mod limit;
mod revoked;
mod scene;
mod server;
mod token;
