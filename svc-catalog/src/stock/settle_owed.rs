//! Orders that were confirmed after their reservation's time was up, and found too little stock, are sold when there is
//! enough again.

use diesel::{
    ExpressionMethods, JoinOnDsl, OptionalExtension, QueryDsl, SelectableHelper,
    dsl::{exists, not},
};
use diesel_async::RunQueryDsl;
use nats::{database::DatabaseError, types::OrderId};

use super::{
    reservation::{Reservation, State},
    sell::take_again,
};
use crate::{
    Catalog,
    schema::{reservation, reservation_line, stock},
};

/// How many orders are looked up at once.
const BATCH: usize = 100;

/// Sells what is owed, as far as there is enough, to whoever was confirmed first. Several instances share the work.
pub(crate) async fn settle_owed(catalog: Catalog) -> Result<(), DatabaseError> {
    loop {
        let orders = payable(&catalog).await?;
        let mut settled = 0;
        for order in &orders {
            settled += usize::from(settle(&catalog, *order).await?);
        }
        // Where one of a full batch went without, others took its goods; it is looked up again the next time.
        if settled < BATCH {
            return Ok(());
        }
    }
}

/// Owed orders of whose every line there is enough; those in whose way nothing stands but each other are among them.
async fn payable(catalog: &Catalog) -> Result<Vec<OrderId>, DatabaseError> {
    let too_little = reservation_line::table
        .inner_join(stock::table.on(stock::sku.eq(reservation_line::sku)))
        .filter(reservation_line::order_id.eq(reservation::order_id))
        .filter(stock::available.lt(reservation_line::quantity));
    let mut connection = catalog.database.connection().await?;
    Ok(reservation::table
        .filter(reservation::state.eq(State::Expired))
        .filter(reservation::confirmed_at.is_not_null())
        .filter(not(exists(too_little)))
        .order((reservation::confirmed_at, reservation::order_id))
        .limit(i64::try_from(BATCH).unwrap_or(i64::MAX))
        .select(reservation::order_id)
        .load(&mut connection)
        .await?)
}

/// Sells what one order is owed. False when it is not owed any more, someone else is at it, or there is too little now.
async fn settle(catalog: &Catalog, order: OrderId) -> Result<bool, DatabaseError> {
    let mut tx = catalog.database.begin().await?;
    let owed: Option<Reservation> = reservation::table
        .find(order)
        .filter(reservation::state.eq(State::Expired))
        .filter(reservation::confirmed_at.is_not_null())
        .select(Reservation::as_select())
        .for_update()
        .skip_locked()
        .first(&mut tx)
        .await
        .optional()?;
    if owed.is_none() || !take_again(&mut tx, order).await? {
        tx.roll_back().await?;
        return Ok(false);
    }
    tx.commit().await?;
    tracing::info!(order_id = %order, "what was owed is sold");
    Ok(true)
}
