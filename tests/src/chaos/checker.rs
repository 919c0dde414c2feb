//! The checker: compares what clients saw with what is there, and says what does not fit.
//!
//! Pure: a history and a final state in, verdicts out. Each property is a function of its own, with tests in which it must
//! fail.

mod honest;
mod money;
mod orders;
mod paper;
mod stock;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests;

use std::collections::BTreeMap;

use super::{
    history::{Operation, Record},
    state::FinalState,
};

/// A property, and whether it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// What must be so.
    pub property: &'static str,
    /// How many cases were looked at: a property of nothing proves nothing.
    pub examined: usize,
    /// What is not so.
    pub violations: Vec<String>,
}

impl Verdict {
    /// Whether it holds.
    pub fn holds(&self) -> bool {
        self.violations.is_empty()
    }

    fn of(property: &'static str) -> Self {
        Self { property, examined: 0, violations: Vec::new() }
    }

    /// Looks at one case.
    fn see(&mut self, fine: bool, otherwise: impl FnOnce() -> String) {
        self.examined += 1;
        if !fine {
            self.violations.push(otherwise());
        }
    }
}

/// Compares everything that clients did with what is there now; the verdicts in the order in which reports show them.
pub fn check(history: &[Record], state: &FinalState) -> Vec<Verdict> {
    let keys = by_key(history);
    vec![
        orders::acknowledged_are_there(history, state),
        orders::all_are_terminal(state),
        orders::contain_what_was_asked(&keys, state),
        orders::one_per_key(state),
        orders::refused_got_nothing(&keys, state),
        orders::none_from_nowhere(&keys, state),
        honest::replays_are_identical(&keys),
        honest::reused_keys_are_refused(history),
        honest::refusals_are_legal(history),
        honest::faults_are_problems(history),
        stock::adds_up(history, state),
        stock::never_negative(history, state),
        stock::nothing_stays_reserved(state),
        money::charged_once(state),
        money::owed_is_held(state),
        money::refunds_are_done(history, state),
        paper::one_invoice_each(state),
        paper::numbers_have_no_gap(state),
        paper::mails_are_written(state),
        paper::mails_are_delivered(state),
    ]
}

/// How much is not yet as it must be of what needs a moment: sagas, refunds, invoices, stock.
pub fn unsettled(history: &[Record], state: &FinalState) -> usize {
    let verdicts = [
        orders::all_are_terminal(state),
        stock::adds_up(history, state),
        stock::nothing_stays_reserved(state),
        money::owed_is_held(state),
        money::refunds_are_done(history, state),
        paper::one_invoice_each(state),
    ];
    verdicts.iter().map(|verdict| verdict.violations.len()).sum()
}

/// The tries to place an order, by key.
type Keys<'a> = BTreeMap<&'a str, Vec<&'a Record>>;

fn by_key(history: &[Record]) -> Keys<'_> {
    let mut keys = Keys::new();
    for record in history.iter().filter(|record| record.operation == Operation::PlaceOrder) {
        if let Some(key) = &record.key {
            keys.entry(key).or_default().push(record);
        }
    }
    keys
}
