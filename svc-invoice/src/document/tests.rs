//! What holds of all formats together: they are valid, and they say the same.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod any;
mod equal;
mod samples;
mod valid;
