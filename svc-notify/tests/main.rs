//! svc-notify, on the real thing: its own nats-server, PostgreSQL and mail catcher; the other services are stood in for.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "tests"
)]

mod notification;
