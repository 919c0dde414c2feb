//! The whole system, end to end, and the parts it is started from.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

mod access;
mod cluster;
mod company;
mod dead_letters;
mod edge;
mod events;
mod generated;
mod google;
mod identity;
mod journey;
mod lifetime;
mod parts;
mod permissions;
mod realtime;
mod reliability;
mod roles;
mod schemathesis;
mod shop;
mod tour;
mod trail;
mod verify;
