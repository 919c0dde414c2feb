//! Limits of this process alone, in memory.
//!
//! They hold where there is no Redis, and take over while it is away. Meanwhile they take down what Redis lets through
//! here, so that a caller who has spent the quota at this gateway does not get a new one when Redis goes.

use std::time::Instant;

use super::{
    Class, Quota, Who,
    gcra::{self, Standing},
};
use crate::expiring::{Expiring, Until};

/// A hundred bytes each. When so many callers come at once, those are forgotten who have spent least.
const MOST_CALLERS: usize = 100_000;

/// See the head of this file.
pub(super) struct Local {
    /// Until when each caller has paid, in microseconds since the start.
    paid: Expiring<(Class, Who), u64>,
    start: Instant,
}

impl Local {
    pub(super) fn new() -> Self {
        Self { paid: Expiring::holding(MOST_CALLERS), start: Instant::now() }
    }

    /// Takes one request.
    pub(super) fn take(&self, class: Class, who: Who, quota: Quota) -> Standing {
        let now = u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.paid.change(&(class, who), now, |paid| {
            let (standing, then_paid) = gcra::take(quota, paid.copied(), now);
            (standing.taken.then_some(Until { end: then_paid, value: then_paid }), standing)
        })
    }
}
