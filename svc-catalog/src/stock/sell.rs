//! A confirmed order's reservation becomes a sale.

use nats::{
    consume::{Failure, Received},
    contracts::{catalog::StockSold, order::OrderConfirmed},
    database::{DatabaseError, Tx},
    types::OrderId,
};

use super::{
    Stock,
    ledger::{self, Kind},
    reservation::{Reservation, ReservationLine, State},
};
use crate::Catalog;

/// Sells what the order holds. A reservation whose time was up is taken again, if there is still
/// enough; else the goods are owed, and [`super::settle_owed`] sees to them.
pub(crate) async fn sell_reserved(tx: &mut Tx, _: Catalog, received: Received<OrderConfirmed>) -> Result<(), Failure> {
    let order = received.event.order_id;
    let Some(reservation) = Reservation::lock(tx, order).await? else {
        return Err(Failure::Dead(format!("order {order} was confirmed and never had a reservation")));
    };
    match reservation.state {
        State::Held => sell(tx, order, &[Kind::Sale]).await?,
        State::Expired => {
            if !take_again(tx, order).await? {
                tracing::error!(order_id = %order, "goods are owed: confirmed after its reservation expired, and too little is left");
            }
        }
        State::Sold => {}
        State::Released => {
            tracing::warn!(order_id = %order, "the order was confirmed, but its stock was released before")
        }
    }
    Ok(Reservation::confirm(tx, order).await?)
}

/// Sells what an expired reservation once held, if all of it is there; false when it is not. The caller holds the
/// reservation's lock.
pub(super) async fn take_again(tx: &mut Tx, order: OrderId) -> Result<bool, DatabaseError> {
    let there = is_there(tx, order).await?;
    if there {
        sell(tx, order, &[Kind::Reservation, Kind::Sale]).await?;
    }
    Ok(there)
}

/// Whether all that the order once held can be had again. Locks it, so that it stays true.
async fn is_there(tx: &mut Tx, order: OrderId) -> Result<bool, DatabaseError> {
    let lines = ReservationLine::of(tx, &[order]).await?;
    let skus: Vec<_> = lines.iter().map(|line| line.sku.clone()).collect();
    let levels = Stock::lock(tx, &skus).await?;
    let enough =
        |line: &ReservationLine| levels.get(&line.sku).is_some_and(|level| level.available() >= line.quantity.get());
    Ok(lines.iter().all(enough))
}

async fn sell(tx: &mut Tx, order: OrderId, kinds: &[Kind]) -> Result<(), DatabaseError> {
    let lines = ReservationLine::of(tx, &[order]).await?;
    let skus: Vec<_> = lines.iter().map(|line| line.sku.clone()).collect();
    Stock::lock(tx, &skus).await?;
    let movements: Vec<_> = kinds.iter().flat_map(|kind| lines.iter().map(|line| line.movement(*kind))).collect();
    ledger::book(tx, &movements).await?;
    Reservation::settle(tx, &[order], State::Sold).await?;
    tx.record(&StockSold { order_id: order, lines: lines.iter().map(ReservationLine::told).collect() }).await?;
    Ok(())
}
