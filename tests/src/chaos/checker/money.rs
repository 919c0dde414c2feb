//! Money: taken once, and only for what is delivered.

use std::collections::{BTreeMap, BTreeSet};

use super::Verdict;
use crate::chaos::{
    history::{Certainty, Operation, Record},
    state::FinalState,
};

/// No customer pays twice.
pub(super) fn charged_once(state: &FinalState) -> Verdict {
    let mut verdict = Verdict::of("no order is charged twice, and none more than it comes to");
    for (id, order) in &state.orders {
        let (captures, captured) = (order.count("capture"), order.sum("capture"));
        verdict.see(captures <= 1 && (captures == 0 || captured == order.total), || {
            format!("{id} of {} was captured {captures} times, {captured} in all", order.total)
        });
    }
    verdict
}

/// Confirmed orders are paid for; of canceled ones nothing is kept.
pub(super) fn owed_is_held(state: &FinalState) -> Verdict {
    let mut verdict =
        Verdict::of("captured less refunded is what each order owes: its total less its refunds, or nothing");
    for (id, order) in &state.orders {
        let (captured, refunded) = (order.sum("capture"), order.sum("refund"));
        let fine = if order.is_kept() {
            let says = match order.payment_status.as_str() {
                "captured" => refunded == 0,
                "partially_refunded" => (1..order.total).contains(&refunded),
                "refunded" => refunded == order.total,
                _ => false,
            };
            captured == order.total && says
        } else {
            captured == refunded
        };
        verdict.see(fine, || {
            let (status, payment) = (&order.status, &order.payment_status);
            format!("{id} of {} is {status}, {payment}; captured {captured}, refunded {refunded}", order.total)
        });
    }
    verdict
}

/// What staff gave back is given back, once. Refunds whose outcome nobody knows may have been made. What a canceled order had
/// paid goes back whether anybody asks or not: that is [`owed_is_held`]'s.
pub(super) fn refunds_are_done(history: &[Record], state: &FinalState) -> Verdict {
    let mut verdict = Verdict::of("every acknowledged refund is made, once");
    let refunds = || history.iter().filter(|record| record.operation == Operation::Refund);
    let done: BTreeSet<_> =
        refunds().filter(|record| record.outcome.certainty() == Certainty::Done).map(|record| &record.key).collect();
    let (mut asked, mut counted) = (BTreeMap::<&str, (i64, i64)>::new(), BTreeSet::new());
    for record in refunds() {
        let known = done.contains(&record.key);
        let counts = known || record.outcome.certainty() == Certainty::Unknown;
        if let (Some(order), Some(amount), true) = (&record.about, record.amount, counts && counted.insert(&record.key))
        {
            let (certain, possible) = asked.entry(order).or_default();
            *(if known { certain } else { possible }) += amount;
        }
    }
    for (order, (certain, possible)) in asked {
        let found = state.orders.get(order);
        if found.is_some_and(|order| !order.is_kept()) {
            continue;
        }
        let refunded = found.map_or(0, |order| order.sum("refund"));
        verdict.see((certain..=certain + possible).contains(&refunded), || {
            format!("{order}: asked for {certain} (and maybe {possible} more), refunded {refunded}")
        });
    }
    verdict
}
