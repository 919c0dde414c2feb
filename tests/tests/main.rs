//! The whole system, end to end, and the parts it is started from.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod crash;
mod edge;
mod events;
mod generated;
mod journey;
mod lifetime;
mod parts;
mod permissions;
mod shop;
mod tour;
