//! `payment-charge-placed`: an order was placed, so it is to be charged.
//!
//! The provider is not asked here: a transaction that waits for somebody else's network is a transaction that is lost
//! with it. The intent is committed with the inbox row; [`super::charge`] acts on it. An order that was canceled before
//! we heard of it leaves a canceled payment, which nobody acts on.

use diesel::sql_types::{self, Array};
use diesel_async::RunQueryDsl;
use nats::{
    consume::{Failure, Received},
    contracts::order::OrderPlaced,
    database::{Tx, sql},
    types::{OrderId, PaymentId},
};

use super::{PaymentStatus, cancel};
use crate::Payments;

/// Writes the intents to charge the orders, once per order.
pub(crate) async fn placed(tx: &mut Tx, payments: Payments, all: Vec<Received<OrderPlaced>>) -> Result<(), Failure> {
    let ids: Vec<OrderId> = all.iter().map(|placed| placed.event.order_id).collect();
    cancel::lock_all(tx, &ids).await?;
    let canceled = cancel::canceled_of(tx, &ids).await?;
    let status = |id: &OrderId| if canceled.contains(id) { PaymentStatus::Canceled } else { PaymentStatus::Processing };
    // The payment's UUID is the order's own: whoever loses this database and hears the event again makes the same payment of
    // it. The inbox knows this event's repeats; the order's own row stops a second event about the same order.
    sql("insert into payment
             (id, order_id, user_id, amount, currency, method, status, traceparent, request_id, next_try_at)
         select *, case when status = 'processing' then now() end
         from unnest($1, $2, $3, $4, $5, $6, $7, $8, $9)
             as placed (id, order_id, user_id, amount, currency, method, status, traceparent, request_id)
         on conflict do nothing")
    .bind::<Array<sql_types::Uuid>, _>(ids.iter().map(|id| PaymentId::from_uuid(id.uuid())).collect::<Vec<_>>())
    .bind::<Array<sql_types::Uuid>, _>(&ids)
    .bind::<Array<sql_types::Uuid>, _>(all.iter().map(|placed| placed.event.user_id).collect::<Vec<_>>())
    .bind::<Array<sql_types::BigInt>, _>(all.iter().map(|placed| placed.event.total.amount).collect::<Vec<_>>())
    .bind::<Array<sql_types::Text>, _>(all.iter().map(|placed| placed.event.total.currency).collect::<Vec<_>>())
    .bind::<Array<sql_types::Text>, _>(all.iter().map(|placed| &placed.event.payment_method).collect::<Vec<_>>())
    .bind::<Array<sql_types::Text>, _>(ids.iter().map(status).collect::<Vec<_>>())
    .bind::<Array<sql_types::Text>, _>(all.iter().map(|placed| placed.trace.traceparent()).collect::<Vec<_>>())
    .bind::<Array<sql_types::Text>, _>(all.iter().map(|placed| placed.trace.request_id()).collect::<Vec<_>>())
    .execute(tx)
    .await?;
    tx.wake(&payments.due);
    Ok(())
}
