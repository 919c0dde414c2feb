//! Measuring: latencies with and without faults, and how long it takes until the shop sells again.
//!
//! Pure: computed from the history after the run. Times are milliseconds.

use std::collections::BTreeSet;

use super::history::{Certainty, Operation, Record};

/// The window in which orders are counted.
const WINDOW: u64 = 1_000;
/// The step at which the window moves.
const STEP: u64 = 50;

/// A fault as it went, in milliseconds since the run began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Episode {
    /// What was broken.
    pub fault: String,
    /// When it began.
    pub began: u64,
    /// When it was over: the process was started again or continued, the network healed.
    pub over: u64,
    /// When the part was ready again.
    pub ready: u64,
    /// When the next one began, or the load ended: what had not recovered by then is not known to recover.
    pub next: u64,
}

/// How an episode ended, in milliseconds after the fault was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recovery {
    /// Until the first order that was sent after that was acknowledged.
    pub first_order: Option<u64>,
    /// Until the second in which orders were settled (placed, or refused for want of stock) at 95 % of the usual rate.
    pub throughput: Option<u64>,
}

/// Latencies in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Latencies {
    /// How many.
    pub count: usize,
    /// The median.
    pub p50: u64,
    /// 95 of 100 took at most this.
    pub p95: u64,
    /// 99 of 100.
    pub p99: u64,
    /// The longest.
    pub max: u64,
}

/// The percentiles of some durations.
pub fn latencies(mut millis: Vec<u64>) -> Latencies {
    millis.sort_unstable();
    let at = |percent: usize| {
        // The nearest rank: the smallest that is no less than so many percent of all.
        let rank = (millis.len() * percent).div_ceil(100).max(1);
        millis.get(rank - 1).copied().unwrap_or_default()
    };
    Latencies { count: millis.len(), p50: at(50), p95: at(95), p99: at(99), max: at(100) }
}

/// How many orders are settled in a thousand seconds, by what was in this time before the first fault: the usual rate.
pub fn usual_rate(history: &[Record], (from, to): (u64, u64)) -> u64 {
    let settled = settled_between(history, from, to);
    (settled * 1_000_000).checked_div(to.saturating_sub(from)).unwrap_or_default()
}

/// How many requests were answered in a time, and how many got a 5xx or nothing then.
pub fn failed_between(history: &[Record], (from, to): (u64, u64)) -> (usize, usize) {
    let within = || history.iter().filter(|record| (from..to).contains(&record.end));
    let failed = |record: &&Record| record.outcome.answer().is_none_or(|answer| answer.status >= 500);
    (within().count(), within().filter(failed).count())
}

/// How the shop recovered from an episode, against the usual rate (orders in a thousand seconds).
pub fn recovery(history: &[Record], episode: &Episode, usual: u64) -> Recovery {
    let placed = history.iter().filter(|record| {
        record.operation == Operation::PlaceOrder && record.start >= episode.over && record.acknowledged().is_some()
    });
    let first = placed.map(|record| record.end).min();
    let first_order = first.filter(|end| *end < episode.next).map(|end| end - episode.over);
    // Rounded down: a whole order less than 95 % of a few is no outage.
    let enough = usual * 95 / 100 * WINDOW / 1_000_000;
    let last = episode.next.saturating_sub(WINDOW);
    let mut begins = (episode.over..=last).step_by(usize::try_from(STEP).unwrap_or(1));
    let throughput = begins.find(|begin| settled_between(history, *begin, begin + WINDOW) >= enough.max(1));
    Recovery { first_order, throughput: throughput.map(|begin| begin - episode.over) }
}

/// Keys whose order was definitively answered in this time, each once.
fn settled_between(history: &[Record], from: u64, to: u64) -> u64 {
    let settled = history.iter().filter(|record| {
        record.operation == Operation::PlaceOrder
            && (from..to).contains(&record.end)
            && record.outcome.certainty() != Certainty::Unknown
    });
    let keys: BTreeSet<Option<&str>> = settled.map(|record| record.key.as_deref()).collect();
    u64::try_from(keys.len()).unwrap_or(u64::MAX)
}

/// The times from the first try to place an order to its definitive answer: of those that met no fault nor what it left
/// behind, and of those that did.
pub fn order_latencies(history: &[Record], episodes: &[(Episode, Recovery)]) -> (Latencies, Latencies) {
    let trouble = |episode: &Episode, recovery: &Recovery| {
        let recovered = recovery.throughput.map_or(episode.next, |after| episode.over + after);
        (episode.began, recovered.max(episode.ready))
    };
    let troubled: Vec<(u64, u64)> = episodes.iter().map(|(episode, recovery)| trouble(episode, recovery)).collect();
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for record in history.iter().filter(|record| record.operation == Operation::PlaceOrder) {
        if record.outcome.certainty() != Certainty::Unknown {
            let met = troubled.iter().any(|(from, to)| record.since <= *to && record.end >= *from);
            let list = if met { &mut with } else { &mut without };
            list.push(record.end.saturating_sub(record.since));
        }
    }
    (latencies(without), latencies(with))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;
    use crate::chaos::history::{Answer, Outcome};

    fn order(key: u64, since: u64, end: u64, status: u16) -> Record {
        let id = (status == 201).then(|| format!("ord_{key}"));
        let outcome = Outcome::Answer(Answer { status, id, ..Answer::default() });
        let key = Some(key.to_string());
        let (client, operation) = ("buyer-1".to_owned(), Operation::PlaceOrder);
        let start = since;
        Record {
            since,
            start,
            end,
            client,
            operation,
            attempt: 1,
            key,
            body: None,
            about: None,
            lines: None,
            amount: None,
            outcome,
        }
    }

    /// Ten orders a second, except while the shop is down.
    fn history(down: std::ops::Range<u64>) -> Vec<Record> {
        let status = |at: u64| if down.contains(&at) { 503 } else { 201 };
        (0..200).map(|n| order(n, n * 100, n * 100 + 20, status(n * 100))).collect()
    }

    fn episode(began: u64, over: u64, next: u64) -> Episode {
        Episode { fault: "kill svc-order".to_owned(), began, over, ready: over, next }
    }

    #[test]
    fn percentiles_are_the_nearest_rank() {
        let measured = latencies((1..=200).rev().collect());
        assert_eq!(measured, Latencies { count: 200, p50: 100, p95: 190, p99: 198, max: 200 });
        assert_eq!(latencies(vec![7]), Latencies { count: 1, p50: 7, p95: 7, p99: 7, max: 7 });
        assert_eq!(latencies(Vec::new()), Latencies::default());
    }

    #[test]
    fn recovery_is_counted_from_the_end_of_the_fault() {
        let history = history(5_000..8_000);
        let usual = usual_rate(&history, (0, 5_000));
        assert_eq!(usual, 10_000, "ten a second");
        let recovery = recovery(&history, &episode(5_000, 7_000, 15_000), usual);
        assert_eq!(recovery.first_order, Some(1_020));
        let throughput = recovery.throughput.unwrap();
        assert!((800..=1_050).contains(&throughput), "{throughput}");
    }

    #[test]
    fn what_does_not_recover_before_the_next_fault_is_not_said_to() {
        let history = history(5_000..19_000);
        let recovery = recovery(&history, &episode(5_000, 7_000, 10_000), usual_rate(&history, (0, 5_000)));
        assert_eq!(recovery, Recovery { first_order: None, throughput: None });
    }

    #[test]
    fn a_repetition_settles_nothing_new() {
        let repeated: Vec<Record> = (0..50).map(|n| order(1, n * 100, n * 100 + 20, 201)).collect();
        assert_eq!(usual_rate(&repeated, (0, 5_000)), 200, "one order in five seconds");
    }

    #[test]
    fn orders_that_met_a_fault_are_counted_apart() {
        let mut history = history(0..0);
        history.push(order(1_000, 4_900, 7_500, 201));
        let episode = episode(5_000, 7_000, 15_000);
        let recovery = recovery(&history, &episode, usual_rate(&history, (0, 5_000)));
        let (without, with) = order_latencies(&history, &[(episode, recovery)]);
        assert_eq!((without.max, with.max), (20, 2_600));
        assert_eq!(without.count + with.count, 201);
    }
}
