//! Stock: how much there is of each SKU, and to whom it is promised.
//!
//! | rule | where it is kept |
//! |---|---|
//! | nothing is promised twice | row lock, then `check (reserved <= on_hand)` |
//! | every change is in the ledger | [`ledger::book`] is the only writer of `stock` |
//! | an order's reservation has exactly one end | the state of its row, changed under its lock |
//!
//! Trap: locks are taken in one order everywhere, or writers deadlock: an order's reservation that exists, then stock in
//! the order of SKUs ([`Stock::lock`]), then new reservations in the order of their orders' ids.

pub(crate) mod api;
pub(crate) mod expire;
pub(crate) mod ledger;
pub(crate) mod record_movement;
pub(crate) mod release;
pub(crate) mod reservation;
pub(crate) mod reserve;
pub(crate) mod sell;
pub(crate) mod set;
pub(crate) mod settle_owed;

use std::collections::BTreeMap;

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, Queryable, Selectable, SelectableHelper};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use nats::{
    database::{DatabaseError, Tx},
    types::Sku,
};

use crate::schema::stock;

/// The most that may lie on hand of one SKU.
pub(crate) const MOST: i32 = 1_000_000_000;

/// A row of `stock`.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = stock, check_for_backend(diesel::pg::Pg))]
pub(crate) struct Stock {
    pub(crate) sku: Sku,
    pub(crate) on_hand: i32,
    pub(crate) reserved: i32,
    pub(crate) reorder_point: i32,
}

impl Stock {
    /// What can still be promised.
    pub(crate) const fn available(&self) -> i32 {
        self.on_hand - self.reserved
    }

    /// The level of one SKU.
    pub(crate) async fn find(connection: &mut AsyncPgConnection, sku: &Sku) -> Result<Option<Self>, DatabaseError> {
        Ok(stock::table.find(sku).select(Self::as_select()).first(connection).await.optional()?)
    }

    /// The levels of these SKUs; unknown ones are left out.
    pub(crate) async fn of(
        connection: &mut AsyncPgConnection,
        skus: &[Sku],
    ) -> Result<BTreeMap<Sku, Self>, DatabaseError> {
        let rows: Vec<Self> =
            stock::table.filter(stock::sku.eq_any(skus)).select(Self::as_select()).load(connection).await?;
        Ok(rows.into_iter().map(|row| (row.sku.clone(), row)).collect())
    }

    /// The levels of these SKUs, locked until the transaction ends. PostgreSQL takes the locks in the order of SKUs.
    pub(crate) async fn lock(tx: &mut Tx, skus: &[Sku]) -> Result<BTreeMap<Sku, Self>, DatabaseError> {
        let rows: Vec<Self> = stock::table
            .filter(stock::sku.eq_any(skus))
            .order(stock::sku)
            .select(Self::as_select())
            .for_update()
            .load(tx)
            .await?;
        Ok(rows.into_iter().map(|row| (row.sku.clone(), row)).collect())
    }
}
