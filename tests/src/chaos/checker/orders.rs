//! Orders: each acknowledged one is there, complete, once, and nothing else is.

use std::collections::BTreeMap;

use super::{Keys, Verdict};
use crate::chaos::{
    history::{Certainty, Operation, Outcome, Record},
    state::FinalState,
};

/// A 201 is a promise.
pub(super) fn acknowledged_are_there(history: &[Record], state: &FinalState) -> Verdict {
    let mut verdict = Verdict::of("every acknowledged order is there");
    for record in history.iter().filter(|record| record.operation == Operation::PlaceOrder) {
        let Some(id) = record.acknowledged() else { continue };
        let found = state.orders.get(id);
        verdict.see(found.is_some_and(|order| Some(&order.key) == record.key.as_ref()), || {
            let key = record.key.as_deref().unwrap_or_default();
            match found {
                None => format!("{id} was acknowledged to {} under {key}, and is gone", record.client),
                Some(order) => format!("{id} was acknowledged under {key}, and says it is of {}", order.key),
            }
        });
    }
    verdict
}

/// Nothing hangs.
pub(super) fn all_are_terminal(state: &FinalState) -> Verdict {
    let mut verdict = Verdict::of("every order is confirmed, completed or canceled");
    for (id, order) in &state.orders {
        verdict
            .see(order.is_terminal(), || format!("{id} is still {} (payment {})", order.status, order.payment_status));
    }
    verdict
}

/// Nothing is added to an order, nothing left out; for an order from the cart that means no lost edit of the cart.
pub(super) fn contain_what_was_asked(keys: &Keys<'_>, state: &FinalState) -> Verdict {
    let mut verdict = Verdict::of("every order contains what was asked for, and no cart lost an edit");
    for (id, order) in &state.orders {
        let tries = keys.get(order.key.as_str()).into_iter().flatten();
        let Some(asked) = tries.into_iter().find_map(|record| record.lines.as_ref()) else { continue };
        verdict.see(*asked == order.lines, || format!("{id} contains {:?}, asked for was {asked:?}", order.lines));
    }
    verdict
}

/// However often a request is sent, it orders once.
pub(super) fn one_per_key(state: &FinalState) -> Verdict {
    let mut verdict = Verdict::of("no key has two orders");
    let mut of_key: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (id, order) in &state.orders {
        of_key.entry(&order.key).or_default().push(id);
    }
    for (key, ids) in of_key {
        verdict.see(ids.len() == 1, || format!("{key} has the orders {}", ids.join(", ")));
    }
    verdict
}

/// A refusal is a promise too: whoever was told that nothing was ordered has no order, even if an earlier try of the same
/// request was still under way. What a later try came to is another matter.
pub(super) fn refused_got_nothing(keys: &Keys<'_>, state: &FinalState) -> Verdict {
    let mut verdict = Verdict::of("nobody has an order after being told that there is none");
    let ordered: BTreeMap<&str, &str> =
        state.orders.iter().map(|(id, order)| (order.key.as_str(), id.as_str())).collect();
    for (key, tries) in keys {
        let refused = tries.iter().filter(|record| says_there_is_none(&record.outcome)).max_by_key(|record| record.end);
        let Some(refused) = refused else { continue };
        let tried_later = tries.iter().any(|record| record.end > refused.end && !says_there_is_none(&record.outcome));
        let order = ordered.get(key).filter(|_| !tried_later);
        verdict.see(order.is_none(), || format!("{key} was refused, and has {}", order.unwrap_or(&"")));
    }
    verdict
}

/// Not that somebody has to sign in, which says nothing about earlier tries; nor that the key has an order of another body.
fn says_there_is_none(outcome: &Outcome) -> bool {
    let answer = outcome.answer().filter(|_| outcome.certainty() == Certainty::Refused);
    answer.is_some_and(|answer| {
        !matches!(answer.status, 401 | 403) && answer.problem.as_deref() != Some("idempotency_key_reused")
    })
}

/// Every order was asked for.
pub(super) fn none_from_nowhere(keys: &Keys<'_>, state: &FinalState) -> Verdict {
    let mut verdict = Verdict::of("no order is there that nobody asked for");
    for (id, order) in &state.orders {
        verdict
            .see(keys.contains_key(order.key.as_str()), || format!("{id} has the key {:?} of no request", order.key));
    }
    verdict
}
