//! svc-payment and the sandbox provider, on the real thing: the tests mirror the API.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    missing_docs,
    reason = "tests"
)]

mod payment;
mod provider;
mod sandbox;
