//! Giving orders' reservations back: at once (`svc.catalog.release_stock`), or because the order was canceled.
//!
//! | the reservation | by call | of a canceled order |
//! |---|---|---|
//! | held | released | released |
//! | expired | released: it is not taken again | released |
//! | sold | stays sold | released, the goods return |
//! | released | | |
//! | never there | one that is released: a late question finds the order settled | the same |

use std::collections::BTreeMap;

use nats::{
    batch::{Batcher, Limits},
    consume::{Failure, Received},
    contracts::{
        Never,
        catalog::{ReleaseStock, StockFree, StockReleased},
        order::OrderCanceled,
    },
    database::{Database, DatabaseError, Tx},
    invoke::CallError,
    outbox::Traced,
    telemetry::Trace,
    types::OrderId,
};

use super::{
    Asked, Stock,
    ledger::{self, Kind},
    reservation::{Reservation, ReservationLine, State},
};
use crate::Catalog;

/// What becomes of goods that are sold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sold {
    Stay,
    Return,
}

/// Gives back what an order holds that could not be written, together with those that wait. What is sold stays sold.
pub(crate) async fn release_stock(catalog: Catalog, question: ReleaseStock) -> Result<StockFree, CallError<Never>> {
    catalog.releasing.ask(Asked::now(question.order_id)).await?;
    Ok(StockFree {})
}

/// The batches of releases.
pub(crate) fn start(database: Database) -> Batcher<Asked, ()> {
    Batcher::start(Limits::default(), Asked::weight, move |asked| {
        let database = database.clone();
        async move { release(&database, &asked).await }
    })
}

/// Gives back what an order held or had been sold, now that it is canceled.
pub(crate) async fn release_canceled(
    tx: &mut Tx,
    _: Catalog,
    received: Received<OrderCanceled>,
) -> Result<(), Failure> {
    let asked = [Asked::now(received.event.order_id)];
    // Nothing was done for an only order that got a reservation meanwhile: no need to roll back.
    while !give_back(tx, &asked, Sold::Return).await? {}
    Ok(())
}

/// Gives back for all of these orders in one transaction.
async fn release(database: &Database, asked: &[Asked]) -> Result<Vec<()>, DatabaseError> {
    loop {
        let mut tx = database.begin().await?;
        if give_back(&mut tx, asked, Sold::Stay).await? {
            tx.commit().await?;
            return Ok(vec![(); asked.len()]);
        }
        // An order that had no reservation got one meanwhile; the next attempt finds it.
        tx.roll_back().await?;
    }
}

/// False when one of the orders got a reservation meanwhile: begin anew then.
async fn give_back(tx: &mut Tx, asked: &[Asked], sold: Sold) -> Result<bool, DatabaseError> {
    let traces = Asked::each(asked);
    let orders: Vec<OrderId> = traces.keys().copied().collect();
    let states = Reservation::lock(tx, &orders).await?;
    let (mut released, mut moved) = (Vec::new(), BTreeMap::new());
    for (order_id, state) in &states {
        let kind = match (state, sold) {
            (State::Held, _) => Some(Kind::Release),
            (State::Sold, Sold::Return) => Some(Kind::Return),
            (State::Expired, _) => None,
            (State::Sold, Sold::Stay) | (State::Released, _) => continue,
        };
        released.push(*order_id);
        moved.extend(kind.map(|kind| (*order_id, kind)));
    }
    let lines = ReservationLine::of(tx, &moved.keys().copied().collect::<Vec<_>>()).await?;
    Stock::lock(tx, &ReservationLine::skus(&lines)).await?;
    let movement = |line: &ReservationLine| Some(line.movement(*moved.get(&line.order_id)?));
    ledger::book(tx, &lines.iter().filter_map(movement).collect::<Vec<_>>()).await?;
    Reservation::settle(tx, &released, State::Released).await?;
    let told = |(order_id, lines): (OrderId, &[ReservationLine])| {
        let lines = lines.iter().map(ReservationLine::told).collect();
        let event = StockReleased { order_id, lines, expired: false };
        Some(Traced { event, trace: Trace::clone(traces.get(&order_id)?) })
    };
    let events: Vec<_> = ReservationLine::by_order(&lines).into_iter().filter_map(told).collect();
    tx.record_all(&events).await?;
    let strangers: Vec<OrderId> = orders.into_iter().filter(|order| !states.contains_key(order)).collect();
    Reservation::forbid(tx, &strangers).await
}
