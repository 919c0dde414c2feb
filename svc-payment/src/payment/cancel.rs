//! `payment-settle-canceled`: an order was canceled, so nothing is to be charged, or what was charged goes back.
//!
//! | the payment | what happens |
//! |---|---|
//! | not there yet | the order is remembered; its payment will be canceled from the start |
//! | `processing`, the provider was never asked | canceled |
//! | `processing` or `requires_capture`, the provider may have been asked | [`super::charge`] voids it, or refunds it |
//! | `succeeded` | what is left of it is given back, once |
//! | `failed`, `canceled` | nothing |
//!
//! Trap: `order.placed` may come after `order.canceled`, or at the same time. Both take the order's lock first.

use std::collections::HashSet;

use diesel::{
    ExpressionMethods, OptionalExtension, QueryDsl, SelectableHelper, dsl::exists, insert_into, select, sql_types,
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use nats::{
    consume::{Failure, Received},
    contracts::order::OrderCanceled,
    database::{DatabaseError, Tx, sql},
    types::OrderId,
};

use super::{Payment, PaymentStatus, refund};
use crate::{
    Payments,
    schema::{canceled_order, payment},
};

/// Sees to it that a canceled order costs nothing.
pub(crate) async fn settle_canceled(
    tx: &mut Tx,
    payments: Payments,
    received: Received<OrderCanceled>,
) -> Result<(), Failure> {
    let order = received.event.order_id;
    lock(tx, order).await?;
    insert_into(canceled_order::table)
        .values(canceled_order::order_id.eq(order))
        .on_conflict_do_nothing()
        .execute(tx)
        .await?;
    let payment: Option<Payment> = payment::table
        .filter(payment::order_id.eq(order))
        .select(Payment::as_select())
        .for_update()
        .first(tx)
        .await
        .optional()?;
    let Some(payment) = payment else { return Ok(()) };
    match payment.status {
        // A claim counts the try before the provider is asked: none, and nobody asked.
        PaymentStatus::Processing if payment.tries == 0 => payment.cancel(tx).await?,
        // The worker looks for the canceled order with each answer that it writes down, before the next step.
        PaymentStatus::Processing | PaymentStatus::RequiresCapture => {}
        PaymentStatus::Succeeded => {
            refund::queue_rest(tx, &payments, &payment, refund::canceled_key(order)).await?;
        }
        PaymentStatus::Failed | PaymentStatus::Canceled => {}
    }
    Ok(())
}

/// Whether the order was canceled.
pub(super) async fn is_canceled(connection: &mut AsyncPgConnection, order: OrderId) -> Result<bool, DatabaseError> {
    Ok(select(exists(canceled_order::table.find(order))).get_result(connection).await?)
}

/// Which of these orders were canceled.
pub(super) async fn canceled_of(
    connection: &mut AsyncPgConnection,
    orders: &[OrderId],
) -> Result<HashSet<OrderId>, DatabaseError> {
    let canceled =
        canceled_order::table.filter(canceled_order::order_id.eq_any(orders)).select(canceled_order::order_id);
    Ok(canceled.load(connection).await?.into_iter().collect())
}

/// As [`lock`] for many orders.
pub(super) async fn lock_all(tx: &mut Tx, orders: &[OrderId]) -> Result<(), DatabaseError> {
    // In one order for everybody: nobody waits in a circle.
    let mut names: Vec<String> = orders.iter().map(OrderId::to_string).collect();
    names.sort();
    sql("select pg_advisory_xact_lock(hashtextextended(name, 0)) from unnest($1) as name")
        .bind::<sql_types::Array<sql_types::Text>, _>(names)
        .execute(tx)
        .await?;
    Ok(())
}

/// One transaction at a time decides what an order's events mean. A row cannot be locked before it is there.
pub(super) async fn lock(tx: &mut Tx, order: OrderId) -> Result<(), DatabaseError> {
    sql("select pg_advisory_xact_lock(hashtextextended($1, 0))")
        .bind::<sql_types::Text, _>(order.to_string())
        .execute(tx)
        .await?;
    Ok(())
}
