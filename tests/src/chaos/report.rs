//! The report of a run, in Markdown: what was done, what broke, how long it took to sell again, and whether every promise was
//! kept.

use std::{
    collections::BTreeMap,
    fmt::{self, Display, Formatter},
};

use super::{
    checker::Verdict,
    history::{Operation, Outcome, Record},
    measure::{Episode, Latencies, Recovery, failed_between, latencies},
    nemesis::clock,
    quiesce::{SETTLED_WITHIN, Settled},
    state::FinalState,
    workload::Offered,
};

/// How many violations of one property a report shows.
const SHOWN: usize = 10;

/// Everything about a run.
#[derive(Debug, Clone)]
pub struct Report {
    /// What the schedule and the load were made from.
    pub seed: u64,
    /// New orders a second.
    pub rate: u32,
    /// When the first order was begun, and when the last; in milliseconds since the run began.
    pub load: (u64, u64),
    /// The part of it before the first fault.
    pub quiet: (u64, u64),
    /// When the last client had its answer.
    pub answered: u64,
    /// What it ran on: names and values.
    pub setting: Vec<(&'static str, String)>,
    /// What each process held at the end, in MiB.
    pub memory: Vec<(String, u64)>,
    /// A process that ended though nobody killed it.
    pub ended: Option<String>,
    /// What was offered.
    pub offered: Offered,
    /// Everything that clients did.
    pub history: Vec<Record>,
    /// The faults.
    pub episodes: Vec<(Episode, Recovery)>,
    /// The usual rate before them: orders settled in a thousand seconds.
    pub usual: u64,
    /// Latencies of orders that met no fault, and of those that did.
    pub latencies: (Latencies, Latencies),
    /// How long it took to settle.
    pub settled: Settled,
    /// What was there at the end.
    pub state: FinalState,
    /// The checker's word.
    pub verdicts: Vec<Verdict>,
    /// What `argosy verify` said, and whether it was content.
    pub verify: (bool, String),
}

impl Report {
    /// What speaks against the run; nothing when it passed.
    pub fn failures(&self) -> Vec<String> {
        let mut failures: Vec<String> = self
            .verdicts
            .iter()
            .filter(|verdict| !verdict.holds())
            .map(|verdict| {
                let first = verdict.violations.first().map_or("", String::as_str);
                format!("not so: {} ({} violations; {first})", verdict.property, verdict.violations.len())
            })
            .collect();
        if self.settled.orders.is_none() {
            failures.push(format!("orders were still pending {SETTLED_WITHIN:?} after the end of the load"));
        }
        if self.offered.shed > 0 {
            failures.push(format!("{} orders were not even begun: too many were under way", self.offered.shed));
        }
        failures.extend(self.ended.clone());
        if !self.verify.0 {
            failures.push("`argosy verify` found something".to_owned());
        }
        failures
    }

    fn about(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (from, to) = self.load;
        writeln!(f, "| what | figure |\n|---|---|")?;
        writeln!(f, "| seed | {} |", self.seed)?;
        writeln!(
            f,
            "| load | {} new orders a second for {} s, with reads, carts, cancellations, restocks and refunds beside them |",
            self.rate,
            (to - from) / 1_000
        )?;
        for (name, value) in &self.setting {
            writeln!(f, "| {name} | {value} |")?;
        }
        Ok(())
    }

    fn counts(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let lost = self.history.iter().filter(|record| matches!(record.outcome, Outcome::Lost(_))).count();
        let again = self.history.iter().filter(|record| record.attempt > 1).count();
        writeln!(
            f,
            "{} requests, {again} of them repetitions after no or no definitive answer, {lost} without any answer.\n",
            self.history.len()
        )?;
        let (all, failed) = failed_between(&self.history, self.quiet);
        writeln!(f, "Before the first fault, {failed} of {all} requests got a 5xx or no answer.\n")?;
        writeln!(f, "| operation | requests | answers by status |\n|---|---:|---|")?;
        for operation in Operation::ALL {
            let records: Vec<&Record> = self.history.iter().filter(|record| record.operation == operation).collect();
            let mut by_status: BTreeMap<String, usize> = BTreeMap::new();
            for record in &records {
                let status =
                    record.outcome.answer().map_or_else(|| "none".to_owned(), |answer| answer.status.to_string());
                *by_status.entry(status).or_default() += 1;
            }
            let by_status: Vec<String> = by_status.iter().map(|(status, count)| format!("{status}: {count}")).collect();
            writeln!(f, "| {} | {} | {} |", operation.name(), records.len(), by_status.join(", "))?;
        }
        let mut by_state: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for order in self.state.orders.values() {
            *by_state.entry((&order.status, &order.payment_status)).or_default() += 1;
        }
        writeln!(f, "\n| orders at the end | payment | count |\n|---|---|---:|")?;
        for ((status, payment), count) in by_state {
            writeln!(f, "| {status} | {payment} | {count} |")?;
        }
        let mails: usize = self.state.mails.values().sum();
        writeln!(
            f,
            "\n{} orders, {} invoices ({} still waited for the renderer when the run ended), {} mails of which {} were repetitions under the same Message-ID.",
            self.state.orders.len(),
            self.state.invoices.len(),
            self.settled.backlog,
            mails,
            mails - self.state.mails.len(),
        )
    }

    fn faults(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "Times are milliseconds after the fault was over: until the part was ready, until the first order sent after that was acknowledged, and until the beginning of the first second in which 95 % of the usual rate ({}.{} orders a second) was settled. “—”: not before the next fault began.\n",
            self.usual / 1_000,
            self.usual % 1_000 / 100
        )?;
        writeln!(f, "| at | fault | broken for | ready | first order | 95 % |\n|---|---|---:|---:|---:|---:|")?;
        let figure = |value: Option<u64>| value.map_or_else(|| "—".to_owned(), |value| value.to_string());
        for (episode, recovery) in &self.episodes {
            let Episode { fault, began, over, ready, .. } = episode;
            let (first, full) = (figure(recovery.first_order), figure(recovery.throughput));
            writeln!(f, "| {} | {fault} | {} | {} | {first} | {full} |", clock(*began), over - began, ready - over)?;
        }
        let summary = |name: &str, values: Vec<u64>, f: &mut Formatter<'_>| {
            let Latencies { count, p50, p95, max, .. } = latencies(values);
            writeln!(f, "| {name} | {count} of {} | {p50} | {p95} | {max} |", self.episodes.len())
        };
        writeln!(f, "\n| recovery, ms | faults | median | p95 | longest |\n|---|---:|---:|---:|---:|")?;
        summary("first order", self.episodes.iter().filter_map(|(_, recovery)| recovery.first_order).collect(), f)?;
        summary(
            "95 % of the usual rate",
            self.episodes.iter().filter_map(|(_, recovery)| recovery.throughput).collect(),
            f,
        )
    }

    fn times(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "From the first try to place an order to its definitive answer, repetitions and their pauses included.\n"
        )?;
        writeln!(f, "| orders, ms | count | p50 | p95 | p99 | longest |\n|---|---:|---:|---:|---:|---:|")?;
        for (name, figures) in [("met no fault", self.latencies.0), ("met a fault", self.latencies.1)] {
            let Latencies { count, p50, p95, p99, max } = figures;
            writeln!(f, "| {name} | {count} | {p50} | {p95} | {p99} | {max} |")?;
        }
        let figure = |value: Option<u64>| value.map_or_else(|| "not in time".to_owned(), |value| value.to_string());
        writeln!(f, "\n| after the end of the load, ms | |\n|---|---:|")?;
        let answered = self.answered.saturating_sub(self.load.1);
        writeln!(f, "| until the last client had its answer; the times below are counted from then | {answered} |")?;
        writeln!(
            f,
            "| until no order was pending (at most {} s) | {} |",
            SETTLED_WITHIN.as_secs(),
            figure(self.settled.orders)
        )?;
        writeln!(f, "| until no stock was reserved | {} |", figure(self.settled.stock))?;
        writeln!(f, "| until every refund was made and every invoice issued | {} |", figure(self.settled.books))
    }

    fn verdicts(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "| what must be so | examined | violations |\n|---|---:|---:|")?;
        for verdict in &self.verdicts {
            writeln!(f, "| {} | {} | {} |", verdict.property, verdict.examined, verdict.violations.len())?;
        }
        for verdict in self.verdicts.iter().filter(|verdict| !verdict.holds()) {
            writeln!(f, "\nNot so: {}.\n", verdict.property)?;
            for violation in verdict.violations.iter().take(SHOWN) {
                writeln!(f, "- {violation}")?;
            }
            if verdict.violations.len() > SHOWN {
                writeln!(f, "- and {} more", verdict.violations.len() - SHOWN)?;
            }
        }
        Ok(())
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let failures = self.failures();
        let verdict = if failures.is_empty() { "every promise was kept" } else { "FAILED" };
        writeln!(f, "# Chaos run with seed {}: {verdict}\n", self.seed)?;
        for failure in &failures {
            writeln!(f, "- {failure}")?;
        }
        if !failures.is_empty() {
            writeln!(f)?;
        }
        self.about(f)?;
        let memory: Vec<String> = self.memory.iter().map(|(name, mebibytes)| format!("{name} {mebibytes}")).collect();
        writeln!(f, "\nMemory at the end, in MiB: {}.", memory.join(", "))?;
        writeln!(f, "\n## What was asked and answered\n")?;
        self.counts(f)?;
        writeln!(f, "\n## What was broken\n")?;
        self.faults(f)?;
        writeln!(f, "\n## How long it took\n")?;
        self.times(f)?;
        writeln!(f, "\n## What the checker found\n")?;
        self.verdicts(f)?;
        writeln!(f, "\n## What `argosy verify` said\n\n```\n{}\n```", self.verify.1.trim_end())
    }
}
