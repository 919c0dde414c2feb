//! What people are told of their orders. Those that are mailed as well are told by the consumers that write the mails.

use nats::{
    consume::{Failure, Received},
    contracts::{
        notify::{MessageAbout, MessageKind},
        order::{CancelReason, OrderCompleted, OrderPlaced},
    },
    database::Tx,
    types::OrderId,
};

use super::post;
use crate::Notify;

/// `notify-order-placed`
pub(crate) async fn placed(tx: &mut Tx, _notify: Notify, received: Received<OrderPlaced>) -> Result<(), Failure> {
    let OrderPlaced { order_id, user_id, total, .. } = received.event;
    let about = MessageAbout { amount: Some(total), ..about(order_id) };
    Ok(post(tx, (received.id, user_id), MessageKind::OrderPlaced, about).await?)
}

/// `notify-order-completed`
pub(crate) async fn completed(tx: &mut Tx, _notify: Notify, received: Received<OrderCompleted>) -> Result<(), Failure> {
    let OrderCompleted { order_id, user_id } = received.event;
    Ok(post(tx, (received.id, user_id), MessageKind::OrderCompleted, about(order_id)).await?)
}

/// An order, and where it is.
pub(crate) fn about(order_id: OrderId) -> MessageAbout {
    MessageAbout { order_id: Some(order_id), link: Some(format!("/v1/orders/{order_id}")), ..MessageAbout::default() }
}

/// Why an order was canceled, as its own `reason` says it.
pub(crate) const fn reason(reason: CancelReason) -> &'static str {
    match reason {
        CancelReason::PaymentFailed => "payment_failed",
        CancelReason::PaymentTimeout => "payment_timeout",
        CancelReason::OutOfStock => "out_of_stock",
        CancelReason::Customer => "customer",
        CancelReason::Staff => "staff",
    }
}
