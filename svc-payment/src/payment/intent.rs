//! `payment-charge-placed`: an order was placed, so it is to be charged.
//!
//! The provider is not asked here: a transaction that waits for somebody else's network is a transaction that is lost
//! with it. The intent is committed with the inbox row; [`super::charge`] acts on it. An order that was canceled before
//! we heard of it leaves a canceled payment, which nobody acts on.

use chrono::{DateTime, Utc};
use diesel::{ExpressionMethods, insert_into};
use diesel_async::RunQueryDsl;
use nats::{
    consume::{Failure, Received},
    contracts::order::OrderPlaced,
    database::Tx,
    telemetry::Trace,
    types::PaymentId,
};

use super::{NewPayment, PaymentStatus, cancel};
use crate::{Payments, schema::payment};

/// Writes the intent to charge the order, once per order.
pub(crate) async fn placed(tx: &mut Tx, payments: Payments, received: Received<OrderPlaced>) -> Result<(), Failure> {
    let (order, trace) = (received.event, Trace::current());
    cancel::lock(tx, order.order_id).await?;
    let canceled = cancel::is_canceled(tx, order.order_id).await?;
    let intent = NewPayment {
        // The order's own UUID: whoever loses this database and hears the event again makes the same payment of it.
        id: PaymentId::from_uuid(order.order_id.uuid()),
        order_id: order.order_id,
        user_id: order.user_id,
        amount: order.total.amount,
        currency: order.total.currency,
        method: order.payment_method,
        status: if canceled { PaymentStatus::Canceled } else { PaymentStatus::Processing },
        traceparent: trace.traceparent(),
        request_id: trace.request_id().to_owned(),
    };
    let never = canceled.then(|| payment::next_try_at.eq(None::<DateTime<Utc>>));
    // The inbox knows this event's repeats; the order's own row stops a second event about the same order.
    insert_into(payment::table).values((&intent, never)).on_conflict_do_nothing().execute(tx).await?;
    tx.wake(&payments.due);
    Ok(())
}
