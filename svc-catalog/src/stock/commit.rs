//! `svc.catalog.commit_stock`: an order's reservation becomes a sale, now that its money is ours.
//!
//! | the reservation | becomes | the answer |
//! |---|---|---|
//! | held | sold | committed |
//! | expired, enough is left | taken again and sold | committed |
//! | expired, too little is left | released, for good | refused: out of stock |
//! | sold | | committed |
//! | released | | refused: released |
//! | never there | one that is released: a late question finds the order settled | refused: released |

use std::collections::BTreeMap;

use nats::{
    batch::{Batcher, Limits},
    contracts::catalog::{CommitRefusal, CommitStock, StockCommitted, StockSold},
    database::{Database, DatabaseError},
    invoke::CallError,
    outbox::Traced,
    telemetry::Trace,
    types::{OrderId, Sku},
};

use super::{
    Asked, Stock,
    ledger::{self, Kind, NewMovement},
    reservation::{Reservation, ReservationLine, State},
};
use crate::Catalog;

type Outcome = Result<(), CommitRefusal>;

/// Sells what one order holds, together with those that wait.
pub(crate) async fn commit_stock(
    catalog: Catalog,
    question: CommitStock,
) -> Result<StockCommitted, CallError<CommitRefusal>> {
    let outcome = catalog.committing.ask(Asked::now(question.order_id)).await?;
    outcome.map(|()| StockCommitted {}).map_err(CallError::Refused)
}

/// The batches of sales.
pub(crate) fn start(database: Database) -> Batcher<Asked, Outcome> {
    Batcher::start(Limits::default(), Asked::weight, move |asked| {
        let database = database.clone();
        async move { commit(&database, &asked).await }
    })
}

/// Sells for all of these orders in one transaction; the outcomes are in their order.
async fn commit(database: &Database, asked: &[Asked]) -> Result<Vec<Outcome>, DatabaseError> {
    loop {
        if let Some(outcomes) = attempt(database, asked).await? {
            return Ok(outcomes);
        }
        // An order that had no reservation got one meanwhile; the next attempt finds it.
    }
}

/// `None` when one of the orders got a reservation while we decided; nothing is done then.
async fn attempt(database: &Database, asked: &[Asked]) -> Result<Option<Vec<Outcome>>, DatabaseError> {
    let traces = Asked::each(asked);
    let orders: Vec<OrderId> = traces.keys().copied().collect();
    let mut tx = database.begin().await?;
    let states = Reservation::lock(&mut tx, &orders).await?;
    let open = |order: &OrderId| matches!(states.get(order), Some(State::Held | State::Expired));
    let open: Vec<OrderId> = orders.into_iter().filter(open).collect();
    let lines = ReservationLine::of(&mut tx, &open).await?;
    let levels = Stock::lock(&mut tx, &ReservationLine::skus(&lines)).await?;
    let lines = ReservationLine::by_order(&lines);
    let Decision { outcomes, sold, given_up, strangers, movements } = decide(asked, &states, &lines, levels);

    ledger::book(&mut tx, &movements).await?;
    Reservation::settle(&mut tx, &sold, State::Sold).await?;
    Reservation::settle(&mut tx, &given_up, State::Released).await?;
    let told = |order_id: &OrderId| {
        let lines = lines.get(order_id).copied().unwrap_or_default();
        let event = StockSold { order_id: *order_id, lines: lines.iter().map(ReservationLine::told).collect() };
        Some(Traced { event, trace: Trace::clone(traces.get(order_id)?) })
    };
    tx.record_all(&sold.iter().filter_map(told).collect::<Vec<_>>()).await?;
    if !Reservation::forbid(&mut tx, &strangers).await? {
        tx.roll_back().await?;
        return Ok(None);
    }
    tx.commit().await?;
    Ok(Some(outcomes))
}

/// What a batch of sales comes to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Decision {
    /// One per question, in their order.
    outcomes: Vec<Outcome>,
    sold: Vec<OrderId>,
    /// Expired, and too little is left.
    given_up: Vec<OrderId>,
    /// Without a reservation, by id.
    strangers: Vec<OrderId>,
    movements: Vec<NewMovement>,
}

/// First come, first served: what expired is taken again as long as there is enough.
fn decide(
    asked: &[Asked],
    states: &BTreeMap<OrderId, State>,
    lines: &BTreeMap<OrderId, &[ReservationLine]>,
    mut levels: BTreeMap<Sku, Stock>,
) -> Decision {
    let mut decision = Decision::default();
    let mut decided: BTreeMap<OrderId, Outcome> = BTreeMap::new();
    for Asked { order_id, .. } in asked {
        if let Some(outcome) = decided.get(order_id) {
            decision.outcomes.push(*outcome);
            continue;
        }
        let lines = lines.get(order_id).copied().unwrap_or_default();
        let (kinds, outcome): (&[Kind], Outcome) = match states.get(order_id) {
            Some(State::Held) => (&[Kind::Sale], Ok(())),
            Some(State::Expired) if take_again(lines, &mut levels) => (&[Kind::Reservation, Kind::Sale], Ok(())),
            Some(State::Expired) => {
                tracing::warn!(%order_id, "the reservation had expired, and too little is left: released for good");
                decision.given_up.push(*order_id);
                (&[], Err(CommitRefusal::OutOfStock))
            }
            Some(State::Sold) => (&[], Ok(())),
            Some(State::Released) => (&[], Err(CommitRefusal::Released)),
            None => {
                decision.strangers.push(*order_id);
                (&[], Err(CommitRefusal::Released))
            }
        };
        if !kinds.is_empty() {
            decision.sold.push(*order_id);
        }
        decision.movements.extend(kinds.iter().flat_map(|kind| lines.iter().map(|line| line.movement(*kind))));
        decided.insert(*order_id, outcome);
        decision.outcomes.push(outcome);
    }
    decision.strangers.sort_unstable();
    decision
}

/// Takes all of these lines off `levels`, or nothing; false when there is too little of one.
fn take_again(lines: &[ReservationLine], levels: &mut BTreeMap<Sku, Stock>) -> bool {
    let enough =
        |line: &ReservationLine| levels.get(&line.sku).is_some_and(|level| level.available() >= line.quantity.get());
    if !lines.iter().all(enough) {
        return false;
    }
    for line in lines {
        if let Some(level) = levels.get_mut(&line.sku) {
            level.on_hand -= line.quantity.get();
        }
    }
    true
}

#[cfg(test)]
mod tests;
