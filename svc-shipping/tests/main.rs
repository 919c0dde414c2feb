//! Rates and quotes, on the real thing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod audit;
mod rate;
