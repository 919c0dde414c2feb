//! `notify-order-canceled`: an order will not be fulfilled, so its customer is told why, and what becomes of the money.

use nats::{
    consume::{Failure, Received},
    contracts::{
        notify::{MessageAbout, MessageKind},
        order::{CancelReason, OrderCanceled},
    },
    database::Tx,
};
use serde::Serialize;

use super::{
    Addressee, Occasion,
    order_mail::{self, OrderMail},
    queue,
};
use crate::{
    Notify,
    mail::Template,
    realtime::{self, order::about},
};

/// What the mail is made of.
#[derive(Debug, Serialize)]
pub(crate) struct CanceledMail {
    #[serde(flatten)]
    pub(crate) order: OrderMail,
    /// Which sentence says why.
    pub(crate) reason: &'static str,
    /// Which sentence says what becomes of the money.
    pub(crate) money: &'static str,
    /// Whether the payment was declined.
    pub(crate) declined: bool,
}

impl CanceledMail {
    pub(crate) fn of(order: OrderMail, reason: CancelReason) -> Self {
        let (sentence, money) = match reason {
            CancelReason::PaymentFailed => ("reason_payment_failed", "money_nothing"),
            // One that is unpaid may still be charged a moment later, so "nothing" would be too much said.
            CancelReason::PaymentTimeout => ("reason_payment_timeout", "money_back"),
            CancelReason::OutOfStock => ("reason_out_of_stock", "money_back"),
            CancelReason::Customer => ("reason_customer", "money_back"),
            CancelReason::Staff => ("reason_staff", "money_back"),
        };
        Self { order, reason: sentence, money, declined: reason == CancelReason::PaymentFailed }
    }
}

/// Writes the mail and the message.
pub(crate) async fn canceled(tx: &mut Tx, notify: Notify, received: Received<OrderCanceled>) -> Result<(), Failure> {
    let (order, reader) = order_mail::ask(&notify, received.event.order_id, received.event.user_id).await?;
    let mail = CanceledMail::of(OrderMail::of(&order, &reader, &notify)?, received.event.reason);
    let (user_id, wanted) = (Some(order.user_id), reader.wants_mail);
    let to = Addressee { user_id, email: &order.email, locale: &reader.locale, wanted };
    let occasion = Occasion { event_id: received.id, order_id: Some(order.order_id) };
    queue(tx, &notify, occasion, Template::OrderCanceled, to, &mail).await?;
    let OrderCanceled { order_id, user_id, reason } = received.event;
    let about = MessageAbout { reason: Some(realtime::order::reason(reason).to_owned()), ..about(order_id) };
    Ok(realtime::post(tx, (received.id, user_id), MessageKind::OrderCanceled, about).await?)
}
