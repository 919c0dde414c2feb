//! The ledger: every change of stock is a row, written with it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use diesel::{
    ExpressionMethods, Insertable, QueryDsl, Queryable, Selectable, SelectableHelper, deserialize::FromSqlRow,
    expression::AsExpression, insert_into, sql_types,
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use nats::{
    database::{DatabaseError, Tx},
    types::{Invalid, Limit, OrderId, Sku, UserId},
};
use poem_openapi::Enum;
use serde::{Deserialize, Serialize};

use crate::schema::movement;

/// What moved stock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Enum, AsExpression, FromSqlRow)]
#[serde(rename_all = "snake_case")]
#[oai(rename = "StockMovementKind", rename_all = "snake_case")]
#[diesel(sql_type = sql_types::Text)]
pub(crate) enum Kind {
    /// Goods came in.
    Receipt,
    /// Someone counted; the quantity may be negative.
    Adjustment,
    /// Goods were promised to an order.
    Reservation,
    /// A promise was given back.
    Release,
    /// Promised goods became the customer's.
    Sale,
    /// Sold goods came back.
    Return,
}

impl Kind {
    const ALL: [Self; 6] =
        [Self::Receipt, Self::Adjustment, Self::Reservation, Self::Release, Self::Sale, Self::Return];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Receipt => "receipt",
            Self::Adjustment => "adjustment",
            Self::Reservation => "reservation",
            Self::Release => "release",
            Self::Sale => "sale",
            Self::Return => "return",
        }
    }

    /// By how much a movement of `quantity` changes (on hand, reserved).
    const fn effect(self, quantity: i64) -> (i64, i64) {
        match self {
            Self::Receipt | Self::Adjustment | Self::Return => (quantity, 0),
            Self::Reservation => (0, quantity),
            Self::Release => (0, -quantity),
            Self::Sale => (-quantity, -quantity),
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Kind {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let known = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        known.ok_or_else(|| Invalid::quoting(text, "is not a kind of stock movement"))
    }
}

nats::text_column!(Kind);

/// A row of `movement`.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = movement, check_for_backend(diesel::pg::Pg))]
pub(crate) struct Movement {
    pub(crate) id: i64,
    pub(crate) sku: Sku,
    pub(crate) kind: Kind,
    pub(crate) quantity: i32,
    pub(crate) order_id: Option<OrderId>,
    pub(crate) reason: Option<String>,
    pub(crate) actor: Option<UserId>,
    pub(crate) created_at: DateTime<Utc>,
}

impl Movement {
    /// The movements of one SKU, newest first, from before `before` on.
    pub(crate) async fn of(
        connection: &mut AsyncPgConnection,
        sku: &Sku,
        before: Option<i64>,
        limit: Limit,
    ) -> Result<Vec<Self>, DatabaseError> {
        Ok(movement::table
            .filter(movement::sku.eq(sku))
            .filter(movement::id.lt(before.unwrap_or(i64::MAX)))
            .order(movement::id.desc())
            .limit(limit.rows())
            .select(Self::as_select())
            .load(connection)
            .await?)
    }
}

/// A movement that is to be booked.
#[derive(Debug, Clone, PartialEq, Eq, Insertable)]
#[diesel(table_name = movement)]
pub(crate) struct NewMovement {
    pub(crate) sku: Sku,
    pub(crate) kind: Kind,
    pub(crate) quantity: i32,
    pub(crate) order_id: Option<OrderId>,
    pub(crate) reason: Option<String>,
    pub(crate) actor: Option<UserId>,
}

impl NewMovement {
    /// A movement on behalf of an order.
    pub(crate) const fn of_order(order_id: OrderId, sku: Sku, kind: Kind, quantity: i32) -> Self {
        Self { sku, kind, quantity, order_id: Some(order_id), reason: None, actor: None }
    }
}

/// Changes stock by these movements and writes them down: one UPDATE and one INSERT, however many they are.
///
/// The caller holds the locks of all their SKUs ([`super::Stock::lock`]) and has decided that there is enough; the
/// table's checks are the backstop.
pub(crate) async fn book(tx: &mut Tx, movements: &[NewMovement]) -> Result<Vec<Movement>, DatabaseError> {
    let mut changes: BTreeMap<&Sku, (i64, i64)> = BTreeMap::new();
    for movement in movements {
        let (on_hand, reserved) = movement.kind.effect(movement.quantity.into());
        let change = changes.entry(&movement.sku).or_default();
        *change = (change.0 + on_hand, change.1 + reserved);
    }
    let (mut skus, mut on_hand, mut reserved) = (Vec::new(), Vec::new(), Vec::new());
    for (sku, change) in changes {
        skus.push(sku.as_str());
        on_hand.push(change.0);
        reserved.push(change.1);
    }
    diesel::sql_query(
        "update stock set on_hand = stock.on_hand + moved.on_hand, reserved = stock.reserved + moved.reserved \
         from unnest($1::text[], $2::bigint[], $3::bigint[]) as moved (sku, on_hand, reserved) \
         where stock.sku = moved.sku",
    )
    .bind::<sql_types::Array<sql_types::Text>, _>(skus)
    .bind::<sql_types::Array<sql_types::BigInt>, _>(on_hand)
    .bind::<sql_types::Array<sql_types::BigInt>, _>(reserved)
    .execute(tx)
    .await?;
    Ok(insert_into(movement::table).values(movements).returning(Movement::as_returning()).get_results(tx).await?)
}
