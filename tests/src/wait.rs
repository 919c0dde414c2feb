//! Waiting for a condition instead of sleeping: bounded, and it says what was missing.
//!
//! The trap: look at the state, not at an edge. The condition is asked again and again, so it must be
//! something that stays true once it is.

use std::fmt::Display;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use crate::{Result, StackError};

/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// Looks until there is something to return, for at most `bound`.
///
/// `look` answers `Ok(Some(_))` when the condition holds, and `Ok(None)` or an error while it does not.
/// When the bound is over, the error names `what` and the last error seen ("no order 7 yet"): let `look`
/// return what it saw as an error whenever that helps.
///
/// `look` is an `async ||` closure that changes nothing it captures (use an atomic where it must). With the
/// `AsyncFnMut` bound it could, but then the compiler would not let a spawned task wait.
pub async fn wait_for<T, E, Look>(what: &str, bound: Duration, mut look: impl FnMut() -> Look) -> Result<T>
where
    E: Display,
    Look: Future<Output = std::result::Result<Option<T>, E>>,
{
    let deadline = Instant::now() + bound;
    let mut last = "nothing seen yet".to_owned();
    loop {
        match timeout_at(deadline, look()).await {
            Ok(Ok(Some(found))) => return Ok(found),
            Ok(Ok(None)) => "not yet".clone_into(&mut last),
            Ok(Err(error)) => last = error.to_string(),
            Err(_) => last.push_str("; the last look did not return"),
        }
        if Instant::now() + PAUSE >= deadline {
            return Err(StackError::new(format!("waited {bound:?} for {what}: {last}")));
        }
        sleep(PAUSE).await;
    }
}
