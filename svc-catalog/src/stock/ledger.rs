//! The ledger: every change of stock is a row, written with it.
//!
//! What a kind of movement does to a level stands in the table itself: its generated columns `on_hand` and `reserved`.

use chrono::{DateTime, Utc};
use diesel::{
    ExpressionMethods, QueryDsl, Queryable, Selectable, SelectableHelper,
    deserialize::FromSqlRow,
    expression::AsExpression,
    sql_types::{Array, Integer, Nullable, Text, Uuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use nats::{
    database::{DatabaseError, Tx, sql},
    types::{Invalid, Limit, OrderId, Sku, UserId},
};
use poem_openapi::Enum;
use serde::{Deserialize, Serialize};

use crate::schema::movement;

/// What moved stock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Enum, AsExpression, FromSqlRow)]
#[serde(rename_all = "snake_case")]
#[oai(rename = "StockMovementKind", rename_all = "snake_case")]
#[diesel(sql_type = Text)]
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
    /// The newest movement of a SKU: to who holds its lock, the one just booked.
    pub(crate) async fn newest(tx: &mut Tx, sku: &Sku) -> Result<Self, DatabaseError> {
        Ok(movement::table
            .filter(movement::sku.eq(sku))
            .order(movement::id.desc())
            .select(Self::as_select())
            .first(tx)
            .await?)
    }

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
#[derive(Debug, Clone, PartialEq, Eq)]
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

const BOOK: &str = "
    with moved as (
        insert into movement (sku, kind, quantity, order_id, reason, actor)
        select * from unnest($1::text[], $2::text[], $3::integer[], $4::uuid[], $5::text[], $6::uuid[])
        returning sku, on_hand, reserved
    ), change as (
        select sku, sum(on_hand) as on_hand, sum(reserved) as reserved from moved group by sku
    )
    update stock set on_hand = stock.on_hand + change.on_hand, reserved = stock.reserved + change.reserved
    from change where stock.sku = change.sku";

/// Writes these movements down and changes stock by them: one statement, however many they are.
///
/// The caller holds the locks of all their SKUs ([`super::Stock::lock`]) and has decided that there is enough; the
/// table's checks are the backstop.
pub(crate) async fn book(tx: &mut Tx, movements: &[NewMovement]) -> Result<(), DatabaseError> {
    if movements.is_empty() {
        return Ok(());
    }
    sql(BOOK)
        .bind::<Array<Text>, _>(movements.iter().map(|one| one.sku.as_str()).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(movements.iter().map(|one| one.kind.as_str()).collect::<Vec<_>>())
        .bind::<Array<Integer>, _>(movements.iter().map(|one| one.quantity).collect::<Vec<_>>())
        .bind::<Array<Nullable<Uuid>>, _>(movements.iter().map(|one| one.order_id).collect::<Vec<_>>())
        .bind::<Array<Nullable<Text>>, _>(movements.iter().map(|one| one.reason.as_deref()).collect::<Vec<_>>())
        .bind::<Array<Nullable<Uuid>>, _>(movements.iter().map(|one| one.actor).collect::<Vec<_>>())
        .execute(tx)
        .await?;
    Ok(())
}
