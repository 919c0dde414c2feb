//! Orders that never lie, shown: the short chaos run, and one article that everybody wants.
//!
//! A test binary of its own, and one test at a time: each of these needs the machine for itself.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
#![allow(clippy::print_stdout, reason = "what a run did is for whoever watches it")]

mod chaos {
    mod claims;
    mod hot_article;
    mod short_run;

    /// Held by the test that runs.
    pub(super) static MACHINE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
}
