//! The breaker: failures in a row make it refuse for a while.

use std::time::{Duration, Instant};

/// Closed, open, or letting one through to see.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    failures: u32,
    /// Since when it refuses; while one is let through, since then.
    opened: Option<Instant>,
}

impl Breaker {
    /// Whether a try may begin. One that goes through an open breaker keeps it shut for the others for as long again.
    pub(super) fn enter(&mut self, now: Instant, open_for: Duration) -> bool {
        match self.opened {
            None => true,
            Some(since) if now.duration_since(since) >= open_for => {
                self.opened = Some(now);
                true
            }
            Some(_) => false,
        }
    }

    /// How a try ended; tells whether that opened the breaker.
    pub(super) fn leave(&mut self, now: Instant, fine: bool, most: u32) -> bool {
        if fine {
            *self = Self::default();
            return false;
        }
        self.failures = self.failures.saturating_add(1);
        if self.failures < most {
            return false;
        }
        let was_closed = self.opened.is_none();
        self.opened = Some(now);
        was_closed
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever happens: it is open only after enough failures in a row, and never for longer than it says.
        #[test]
        fn a_breaker_opens_for_failures_in_a_row_only(events in prop::collection::vec((any::<bool>(), 0_u64..30), 0..200)) {
            let (open_for, most) = (Duration::from_millis(50), 3);
            let (mut breaker, mut now, mut in_a_row) = (Breaker::default(), Instant::now(), 0_u32);
            let mut last_try = None::<Instant>;
            for (fine, pause) in events {
                now += Duration::from_millis(pause);
                let entered = breaker.enter(now, open_for);
                if in_a_row < most {
                    prop_assert!(entered, "refused after {in_a_row} failures");
                } else {
                    let due = last_try.is_none_or(|last| now.duration_since(last) >= open_for);
                    prop_assert_eq!(entered, due, "open for longer or shorter than it says");
                }
                if entered {
                    breaker.leave(now, fine, most);
                    in_a_row = if fine { 0 } else { in_a_row + 1 };
                    last_try = Some(now);
                }
            }
        }
    }
}
