//! Paper: one invoice for each confirmed order, and the mails that belong to it.

use std::collections::{BTreeMap, BTreeSet};

use super::Verdict;
use crate::chaos::state::FinalState;

/// A confirmed order has one invoice over its total, any other order none.
pub(super) fn one_invoice_each(state: &FinalState) -> Verdict {
    let mut verdict =
        Verdict::of("every confirmed order has exactly one invoice, over its total; a canceled one has none");
    let mut of_order: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for invoice in &state.invoices {
        of_order.entry(&invoice.order).or_default().push(invoice.total);
    }
    for (id, order) in &state.orders {
        let totals = of_order.remove(id.as_str()).unwrap_or_default();
        let wanted = if order.is_kept() { vec![order.total] } else { Vec::new() };
        verdict
            .see(totals == wanted, || format!("{id} of {} is {}, its invoices: {totals:?}", order.total, order.status));
    }
    for (order, totals) in of_order {
        verdict.see(false, || format!("{order} is no order, and has {} invoices", totals.len()));
    }
    verdict
}

/// The law: numbers of a series follow each other.
pub(super) fn numbers_have_no_gap(state: &FinalState) -> Verdict {
    let mut verdict = Verdict::of("invoice numbers have no gap and no double");
    let mut series: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for invoice in &state.invoices {
        let digits = invoice.number.len() - invoice.number.trim_end_matches(|c: char| c.is_ascii_digit()).len();
        let (name, count) = invoice.number.split_at(invoice.number.len() - digits);
        match count.parse() {
            Ok(count) => series.entry(name.to_owned()).or_default().push(count),
            Err(_) => verdict.see(false, || format!("{:?} is no number of an invoice", invoice.number)),
        }
    }
    for (name, mut numbers) in series {
        numbers.sort_unstable();
        for (before, after) in numbers.iter().zip(numbers.iter().skip(1)) {
            verdict.see(before + 1 == *after, || format!("{name}{before} is followed by {name}{after}"));
        }
    }
    verdict
}

/// One mail about each order that was settled, one with each invoice that can be downloaded, and no other.
pub(super) fn mails_are_written(state: &FinalState) -> Verdict {
    let mut verdict =
        Verdict::of("every settled order has one mail that says so, every rendered invoice one with its link");
    let mut written: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for notification in state.notifications.values() {
        let template = notification.template.as_str();
        for word in notification.subject.split_whitespace() {
            *written.entry((template, word)).or_default() += 1;
        }
    }
    let mut see = |template: &'static str, number: &str, wanted: usize| {
        let found = written.get(&(template, number)).copied().unwrap_or_default();
        verdict.see(found == wanted, || format!("{number} has {found} mails `{template}`, not {wanted}"));
    };
    for order in state.orders.values().filter(|order| order.is_terminal()) {
        see("order_confirmed", &order.number, usize::from(order.is_kept()));
        see("order_canceled", &order.number, usize::from(!order.is_kept()));
    }
    for invoice in &state.invoices {
        see("invoice", &invoice.number, usize::from(invoice.rendered));
    }
    verdict
}

/// What is written is delivered, at least once and each time under the same Message-ID; nothing else is.
pub(super) fn mails_are_delivered(state: &FinalState) -> Verdict {
    let mut verdict =
        Verdict::of("every mail is delivered, repetitions under the same Message-ID, and none without a cause");
    for (id, notification) in state.notifications.iter().filter(|(_, notification)| notification.due) {
        let delivered = state.mails.contains_key(id);
        verdict.see(delivered && notification.state == "sent", || {
            let there = if delivered { "the mail catcher has it" } else { "the mail catcher does not have it" };
            format!("{id} ({}) is {}, and {there}", notification.subject, notification.state)
        });
    }
    let known: BTreeSet<&str> = state.notifications.keys().map(String::as_str).collect();
    for id in state.mails.keys() {
        verdict.see(known.contains(id.as_str()), || format!("a mail has the Message-ID {id} of no notification"));
    }
    verdict
}
