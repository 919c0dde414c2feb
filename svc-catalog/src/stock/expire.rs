//! Reservations whose order never came are given back.

use diesel::{ExpressionMethods, QueryDsl, dsl::now};
use diesel_async::RunQueryDsl;
use nats::{
    contracts::catalog::StockReleased, database::DatabaseError, outbox::Traced, telemetry::Trace, types::OrderId,
};

use super::{
    Stock,
    ledger::{self, Kind},
    reservation::{Reservation, ReservationLine, State},
};
use crate::{Catalog, schema::reservation};

/// How many reservations one transaction gives back.
const BATCH: i64 = 100;

/// Gives back every held reservation past its time (by the database's clock). Several instances share the work.
pub(crate) async fn expire_reservations(catalog: Catalog) -> Result<(), DatabaseError> {
    while expire_batch(&catalog).await? == BATCH {}
    Ok(())
}

async fn expire_batch(catalog: &Catalog) -> Result<i64, DatabaseError> {
    let mut tx = catalog.database.begin().await?;
    let due: Vec<OrderId> = reservation::table
        .filter(reservation::state.eq(State::Held))
        .filter(reservation::expires_at.lt(now))
        .order(reservation::expires_at)
        .limit(BATCH)
        .select(reservation::order_id)
        .for_update()
        .skip_locked()
        .load(&mut tx)
        .await?;
    if due.is_empty() {
        tx.roll_back().await?;
        return Ok(0);
    }
    let lines = ReservationLine::of(&mut tx, &due).await?;
    Stock::lock(&mut tx, &ReservationLine::skus(&lines)).await?;
    let movements: Vec<_> = lines.iter().map(|line| line.movement(Kind::Release)).collect();
    ledger::book(&mut tx, &movements).await?;
    Reservation::settle(&mut tx, &due, State::Expired).await?;
    let trace = Trace::current();
    let told = |(order_id, lines): (OrderId, &[ReservationLine])| {
        tracing::info!(%order_id, "the reservation's time was up");
        let lines = lines.iter().map(ReservationLine::told).collect();
        Traced { event: StockReleased { order_id, lines, expired: true }, trace: trace.clone() }
    };
    let events: Vec<_> = ReservationLine::by_order(&lines).into_iter().map(told).collect();
    tx.record_all(&events).await?;
    tx.commit().await?;
    Ok(i64::try_from(due.len()).unwrap_or(BATCH))
}
