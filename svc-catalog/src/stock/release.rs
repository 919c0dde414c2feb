//! Giving an order's reservation back: at once (`svc.catalog.release_stock`), or because the order was canceled.

use nats::{
    consume::{Failure, Received},
    contracts::{
        Never,
        catalog::{ReleaseStock, StockFree, StockReleased},
        order::OrderCanceled,
    },
    database::{DatabaseError, Tx},
    invoke::CallError,
    types::OrderId,
};

use super::{
    Stock,
    ledger::{self, Kind},
    reservation::{Reservation, ReservationLine, State},
};
use crate::Catalog;

/// Gives back what an order holds that could not be written. What is sold stays sold.
pub(crate) async fn release_stock(catalog: Catalog, question: ReleaseStock) -> Result<StockFree, CallError<Never>> {
    let mut tx = catalog.database.begin().await?;
    let reservation = lock_or_forbid(&mut tx, question.order_id).await?;
    match reservation.map(|row| row.state) {
        Some(State::Held) => give_back(&mut tx, question.order_id, Kind::Release).await?,
        Some(State::Sold) => {
            tracing::warn!(order_id = %question.order_id, "a sold reservation is not released by a call")
        }
        Some(State::Expired) => Reservation::settle(&mut tx, &[question.order_id], State::Released).await?,
        Some(State::Released) | None => {}
    }
    tx.commit().await?;
    Ok(StockFree {})
}

/// Gives back what a canceled order held or had been sold, whichever of its events came first.
pub(crate) async fn release_canceled(
    tx: &mut Tx,
    _: Catalog,
    received: Received<OrderCanceled>,
) -> Result<(), Failure> {
    let order = received.event.order_id;
    let reservation = lock_or_forbid(tx, order).await?;
    match reservation.map(|row| row.state) {
        Some(State::Held) => give_back(tx, order, Kind::Release).await?,
        Some(State::Sold) => give_back(tx, order, Kind::Return).await?,
        // Nothing is held, but a confirmation that comes late must not take it again.
        Some(State::Expired) => Reservation::settle(tx, &[order], State::Released).await?,
        Some(State::Released) | None => {}
    }
    Ok(())
}

/// The order's reservation, locked. `None` when there is none, and then there will never be one: a question that was
/// asked before the release but arrives after it finds the order settled.
async fn lock_or_forbid(tx: &mut Tx, order: OrderId) -> Result<Option<Reservation>, DatabaseError> {
    loop {
        if let Some(reservation) = Reservation::lock(tx, order).await? {
            return Ok(Some(reservation));
        }
        if Reservation::forbid(tx, order).await? {
            return Ok(None);
        }
    }
}

async fn give_back(tx: &mut Tx, order: OrderId, kind: Kind) -> Result<(), DatabaseError> {
    let lines = ReservationLine::of(tx, &[order]).await?;
    let skus: Vec<_> = lines.iter().map(|line| line.sku.clone()).collect();
    Stock::lock(tx, &skus).await?;
    let movements: Vec<_> = lines.iter().map(|line| line.movement(kind)).collect();
    ledger::book(tx, &movements).await?;
    Reservation::settle(tx, &[order], State::Released).await?;
    let lines = lines.iter().map(ReservationLine::told).collect();
    tx.record(&StockReleased { order_id: order, lines, expired: false }).await?;
    Ok(())
}
