//! What people are told of the payments for their orders.

use nats::{
    consume::{Failure, Received},
    contracts::{
        notify::{MessageAbout, MessageKind},
        order::GetOrder,
        payment::{PaymentCaptured, PaymentFailed, PaymentRefunded},
    },
    database::Tx,
    invoke::CallError,
    types::{OrderId, PaymentId},
};

use super::post;
use crate::Notify;

/// `notify-payment-captured`
pub(crate) async fn captured(tx: &mut Tx, _notify: Notify, received: Received<PaymentCaptured>) -> Result<(), Failure> {
    let PaymentCaptured { payment_id, order_id, user_id, amount } = received.event;
    let about = MessageAbout { amount: Some(amount), ..about(payment_id, order_id) };
    Ok(post(tx, (received.id, user_id), MessageKind::PaymentCaptured, about).await?)
}

/// `notify-payment-failed`
pub(crate) async fn failed(tx: &mut Tx, _notify: Notify, received: Received<PaymentFailed>) -> Result<(), Failure> {
    let PaymentFailed { payment_id, order_id, user_id, reason } = received.event;
    let about = MessageAbout { reason: Some(reason.to_string()), ..about(payment_id, order_id) };
    Ok(post(tx, (received.id, user_id), MessageKind::PaymentFailed, about).await?)
}

/// `notify-payment-refunded`: the event does not say whose order it was.
pub(crate) async fn refunded(tx: &mut Tx, notify: Notify, received: Received<PaymentRefunded>) -> Result<(), Failure> {
    let PaymentRefunded { payment_id, order_id, refund_id, amount } = received.event;
    let user_id = match notify.calls.call(&GetOrder { order_id }).await {
        Ok(order) => order.user_id,
        Err(CallError::Refused(_)) => {
            tracing::warn!(order = %order_id, "there is no such order; nobody is told of the refund");
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    let about = MessageAbout { refund_id: Some(refund_id), amount: Some(amount), ..about(payment_id, order_id) };
    Ok(post(tx, (received.id, user_id), MessageKind::PaymentRefunded, about).await?)
}

/// A payment, its order, and where it is.
fn about(payment_id: PaymentId, order_id: OrderId) -> MessageAbout {
    let link = Some(format!("/v1/payments/{payment_id}"));
    MessageAbout { payment_id: Some(payment_id), order_id: Some(order_id), link, ..MessageAbout::default() }
}
