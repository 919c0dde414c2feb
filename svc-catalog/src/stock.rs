//! Stock: how much there is of each SKU, and to whom it is promised.
//!
//! | rule | where it is kept |
//! |---|---|
//! | nothing is promised twice | row lock, then `check (available >= 0)` |
//! | every change is in the ledger | [`ledger::book`] is the only writer of `stock` |
//! | an order's reservation has exactly one end | the state of its row, changed under its lock |
//! | one hot SKU is no queue of row locks | what waits is moved together (`nats::batch`): reserve, commit, release |
//!
//! Trap: locks are taken in one order everywhere, or writers deadlock: reservations that exist, in the order of their
//! orders' ids; then stock, in the order of SKUs ([`Stock::lock`]); then new reservations, in the order of their orders'
//! ids. Who finds that an order got a reservation meanwhile rolls back and begins anew.

pub(crate) mod api;
pub(crate) mod audit;
pub(crate) mod commit;
pub(crate) mod expire;
pub(crate) mod ledger;
pub(crate) mod record_movement;
pub(crate) mod release;
pub(crate) mod reservation;
pub(crate) mod reserve;
pub(crate) mod set;

use std::collections::BTreeMap;

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, Queryable, Selectable, SelectableHelper};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use nats::{
    database::{DatabaseError, Tx},
    telemetry::Trace,
    types::{OrderId, Sku},
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
        if skus.is_empty() {
            return Ok(BTreeMap::new());
        }
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

/// An order that one of the batches is asked about, and the trace that its events belong to.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) order_id: OrderId,
    pub(crate) trace: Trace,
}

impl Asked {
    /// By the running task.
    pub(crate) fn now(order_id: OrderId) -> Self {
        Self { order_id, trace: Trace::current() }
    }

    /// Each order once, by id, with the trace of who asked first.
    pub(crate) fn each(asked: &[Self]) -> BTreeMap<OrderId, &Trace> {
        asked.iter().rev().map(|one| (one.order_id, &one.trace)).collect()
    }

    /// What one takes of a batch's weight: as many lines as most orders have, so that a batch has at most 250 orders.
    pub(crate) const fn weight(&self) -> usize {
        4
    }
}
