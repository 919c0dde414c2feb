//! Stock: nothing is sold that was not there, and nothing gets lost.

use std::collections::{BTreeMap, BTreeSet};

use super::Verdict;
use crate::chaos::{
    history::{Certainty, Operation, Record},
    state::FinalState,
};

/// What was there, plus what came in, less what was sold, is there. Receipts whose outcome nobody knows may have come in.
pub(super) fn adds_up(history: &[Record], state: &FinalState) -> Verdict {
    let mut verdict =
        Verdict::of("the stock of every SKU adds up: initial + receipts - sold = on hand, and it was there");
    let mut sold: BTreeMap<&str, i64> = BTreeMap::new();
    for order in state.orders.values().filter(|order| order.is_kept()) {
        for (sku, quantity) in &order.lines {
            *sold.entry(sku).or_default() += quantity;
        }
    }
    let (certain, possible) = receipts(history);
    for (sku, stock) in &state.stock {
        let sold = sold.get(sku.as_str()).copied().unwrap_or_default();
        let least = stock.initial + certain.get(sku.as_str()).copied().unwrap_or_default();
        let most = least + possible.get(sku.as_str()).copied().unwrap_or_default();
        let there = stock.on_hand + sold;
        let fine = (least..=most).contains(&there) && sold <= most && stock.available == stock.on_hand - stock.reserved;
        verdict.see(fine, || format!("{sku}: {least} to {most} came in, {sold} were sold, and the level is {stock:?}"));
    }
    verdict
}

/// What came in for certain, and what may have come in on top of it, by SKU; each key once.
fn receipts(history: &[Record]) -> (BTreeMap<&str, i64>, BTreeMap<&str, i64>) {
    let restocks = || history.iter().filter(|record| record.operation == Operation::Restock);
    let key = |record: &Record| record.key.clone();
    let done: BTreeSet<_> =
        restocks().filter(|record| record.outcome.certainty() == Certainty::Done).map(key).collect();
    let (mut certain, mut possible, mut counted) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
    for record in restocks().filter(|record| record.outcome.certainty() != Certainty::Refused) {
        if let (Some(sku), Some(pieces), true) = (&record.about, record.amount, counted.insert(record.key.clone())) {
            let sums = if done.contains(&record.key) { &mut certain } else { &mut possible };
            *sums.entry(sku.as_str()).or_default() += pieces;
        }
    }
    (certain, possible)
}

/// At no moment did anyone see less than nothing.
pub(super) fn never_negative(history: &[Record], state: &FinalState) -> Verdict {
    let mut verdict = Verdict::of("no stock level is ever negative");
    for record in history.iter().filter(|record| record.operation == Operation::ReadStock) {
        let Some(available) = record.outcome.answer().and_then(|answer| answer.available) else { continue };
        verdict.see(available >= 0, || format!("{:?} had {available} at {} ms", record.about, record.start));
    }
    for (sku, stock) in &state.stock {
        verdict.see(stock.on_hand >= 0 && stock.reserved >= 0 && stock.available >= 0, || format!("{sku}: {stock:?}"));
    }
    verdict
}

/// Every reservation became a sale, was given back, or expired.
pub(super) fn nothing_stays_reserved(state: &FinalState) -> Verdict {
    let mut verdict = Verdict::of("no stock stays reserved when every order is settled");
    for (sku, stock) in &state.stock {
        verdict.see(stock.reserved == 0, || format!("{sku}: {} are reserved for nobody", stock.reserved));
    }
    verdict
}
