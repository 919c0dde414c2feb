//! The generic cell rate algorithm (ITU-T I.371), without a clock: one number per caller is all the state there is.
//!
//! Each request costs the time after which the quota allows the next one. The number is the moment until which everything is
//! paid for; it may lie ahead of now by at most the whole quota. So a caller may spend the quota at once and gets it back
//! evenly; nothing is saved up beyond it. `gcra.lua` is the same in Redis.

use super::Quota;

/// How a caller stands after a request, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Whether the request is taken.
    pub(crate) taken: bool,
    /// How long until the whole quota is there again.
    pub(crate) until_full: u64,
    /// How long until the next request is taken; nothing when this one was.
    pub(crate) wait: u64,
}

/// Takes a request at `now` of a caller who has paid until `paid`: how it stands, and until when it has then paid.
pub(crate) fn take(quota: Quota, paid: Option<u64>, now: u64) -> (Standing, u64) {
    let paid = paid.unwrap_or(now).max(now);
    let then_paid = paid.saturating_add(quota.cost());
    let ahead = then_paid.saturating_sub(now);
    let wait = ahead.saturating_sub(quota.whole());
    if wait > 0 {
        return (Standing { taken: false, until_full: paid - now, wait }, paid);
    }
    (Standing { taken: true, until_full: ahead, wait: 0 }, then_paid)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    #[test]
    fn the_quota_can_be_spent_at_once_and_comes_back_evenly() {
        let quota: Quota = "3/60".parse().unwrap();
        let mut paid = None;
        let mut at = |now: u64| {
            let (standing, then_paid) = take(quota, paid, now);
            paid = Some(then_paid);
            standing
        };
        for taken in 1..=3 {
            assert_eq!(at(0), Standing { taken: true, until_full: taken * 20 * SECOND, wait: 0 });
        }
        let refused = Standing { taken: false, until_full: 60 * SECOND, wait: 20 * SECOND };
        assert_eq!(at(0), refused);
        assert_eq!(at(0), refused, "what is refused costs nothing");
        assert_eq!(at(20 * SECOND - 1), Standing { taken: false, until_full: 40 * SECOND + 1, wait: 1 });
        assert!(at(20 * SECOND).taken);
        assert!(!at(20 * SECOND).taken);
        assert_eq!(
            at(1_000 * SECOND),
            Standing { taken: true, until_full: 20 * SECOND, wait: 0 },
            "nothing is saved up"
        );
    }

    #[test]
    fn in_the_long_run_there_is_just_the_quota() {
        let quota: Quota = "7/60".parse().unwrap();
        let (mut paid, mut taken) = (None, 0_u32);
        for tenth in 0..36_000 {
            let (standing, then_paid) = take(quota, paid, tenth * SECOND / 10);
            paid = Some(then_paid);
            taken += u32::from(standing.taken);
        }
        // An hour: what may be spent at once, and what comes back.
        assert!((7 * 60..=7 * 61).contains(&taken), "{taken}");
    }
}
