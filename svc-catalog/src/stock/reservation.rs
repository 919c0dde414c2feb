//! What an order holds, as rows.

use std::collections::{BTreeMap, BTreeSet};

use diesel::{
    ExpressionMethods, QueryDsl, Queryable, Selectable, SelectableHelper, deserialize::FromSqlRow, dsl::now,
    expression::AsExpression, insert_into, sql_types,
};
use diesel_async::RunQueryDsl;
use nats::{
    contracts::catalog::{StockLine, StockReserved},
    database::{DatabaseError, Tx},
    types::{Invalid, OrderId, Quantity, Sku},
};
use serde::{Deserialize, Serialize};

use super::ledger::{Kind, NewMovement};
use crate::schema::{reservation, reservation_line};

/// How far a reservation is. `Sold` and `Expired` may still become `Released`, and `Expired` `Sold`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, AsExpression, FromSqlRow)]
#[diesel(sql_type = sql_types::Text)]
pub(crate) enum State {
    /// Waits for its order.
    Held,
    /// The goods are the customer's.
    Sold,
    /// Given back, for good.
    Released,
    /// Its time was up.
    Expired,
}

impl State {
    const ALL: [Self; 4] = [Self::Held, Self::Sold, Self::Released, Self::Expired];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Sold => "sold",
            Self::Released => "released",
            Self::Expired => "expired",
        }
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for State {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let known = Self::ALL.into_iter().find(|state| state.as_str() == text);
        known.ok_or_else(|| Invalid::quoting(text, "is not a state of a reservation"))
    }
}

nats::text_column!(State);

/// The answer that a reservation was given, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, AsExpression, FromSqlRow)]
#[serde(transparent)]
#[diesel(sql_type = sql_types::Jsonb)]
pub(crate) struct Reply(pub(crate) StockReserved);

nats::jsonb_column!(Reply);

/// A row of `reservation`.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = reservation, check_for_backend(diesel::pg::Pg))]
pub(crate) struct Reservation {
    pub(crate) order_id: OrderId,
    pub(crate) state: State,
    pub(crate) reply: Option<Reply>,
}

impl Reservation {
    /// The reservations that these orders have, without a lock.
    pub(crate) async fn of(tx: &mut Tx, orders: &[OrderId]) -> Result<Vec<Self>, DatabaseError> {
        Ok(reservation::table.filter(reservation::order_id.eq_any(orders)).select(Self::as_select()).load(tx).await?)
    }

    /// How far these orders' reservations are, as far as they have one; locked until the transaction ends, in the order
    /// of their ids.
    pub(crate) async fn lock(tx: &mut Tx, orders: &[OrderId]) -> Result<BTreeMap<OrderId, State>, DatabaseError> {
        let rows: Vec<(OrderId, State)> = reservation::table
            .filter(reservation::order_id.eq_any(orders))
            .order(reservation::order_id)
            .select((reservation::order_id, reservation::state))
            .for_update()
            .load(tx)
            .await?;
        Ok(rows.into_iter().collect())
    }

    /// Notes how these orders' reservations ended. The caller holds their locks.
    pub(crate) async fn settle(tx: &mut Tx, orders: &[OrderId], state: State) -> Result<(), DatabaseError> {
        if !orders.is_empty() {
            diesel::update(reservation::table.filter(reservation::order_id.eq_any(orders)))
                .set(reservation::state.eq(state))
                .execute(tx)
                .await?;
        }
        Ok(())
    }

    /// Keeps these orders, by id, from ever getting a reservation. False when one of them has got one meanwhile.
    pub(crate) async fn forbid(tx: &mut Tx, orders: &[OrderId]) -> Result<bool, DatabaseError> {
        if orders.is_empty() {
            return Ok(true);
        }
        let row = |order: &OrderId| {
            (reservation::order_id.eq(*order), reservation::state.eq(State::Released), reservation::expires_at.eq(now))
        };
        let rows: Vec<_> = orders.iter().map(row).collect();
        Ok(insert_into(reservation::table).values(rows).on_conflict_do_nothing().execute(tx).await? == orders.len())
    }
}

/// A row of `reservation_line`.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = reservation_line, check_for_backend(diesel::pg::Pg))]
pub(crate) struct ReservationLine {
    pub(crate) order_id: OrderId,
    pub(crate) sku: Sku,
    pub(crate) quantity: Quantity,
}

impl ReservationLine {
    /// The lines of these orders, by order and SKU.
    pub(crate) async fn of(tx: &mut Tx, orders: &[OrderId]) -> Result<Vec<Self>, DatabaseError> {
        if orders.is_empty() {
            return Ok(Vec::new());
        }
        Ok(reservation_line::table
            .filter(reservation_line::order_id.eq_any(orders))
            .order((reservation_line::order_id, reservation_line::sku))
            .select(Self::as_select())
            .load(tx)
            .await?)
    }

    /// The SKUs of these lines, each once.
    pub(crate) fn skus(lines: &[Self]) -> Vec<Sku> {
        lines.iter().map(|line| line.sku.clone()).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// These lines, which are by order, order by order.
    pub(crate) fn by_order(lines: &[Self]) -> BTreeMap<OrderId, &[Self]> {
        let chunks = lines.chunk_by(|one, next| one.order_id == next.order_id);
        chunks.filter_map(|chunk| Some((chunk.first()?.order_id, chunk))).collect()
    }

    /// Its movement in the ledger.
    pub(crate) fn movement(&self, kind: Kind) -> NewMovement {
        NewMovement::of_order(self.order_id, self.sku.clone(), kind, self.quantity.get())
    }

    /// The line as events tell of it.
    pub(crate) fn told(&self) -> StockLine {
        StockLine { sku: self.sku.clone(), quantity: self.quantity }
    }
}
