//! svc-invoice on real parts: NATS, PostgreSQL, WeasyPrint.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "tests"
)]

mod document;
mod given;
mod invoice;
