//! The tests of svc-order, on a real NATS and a real PostgreSQL; the other services are stood in for.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "tests"
)]

mod cart;
mod order;
mod shop;
