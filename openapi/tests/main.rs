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
mod forgery;
mod limit;
mod outdated;
mod realtime;
mod revoked;
mod scene;
mod server;
mod token;
mod trail;
