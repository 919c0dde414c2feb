//! `notify-order-confirmed`: an order is paid, so its customer is told what comes, by mail and in real time.

use nats::{
    consume::{Failure, Received},
    contracts::{
        notify::{MessageAbout, MessageKind},
        order::OrderConfirmed,
    },
    database::Tx,
};

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

/// Writes the mail and the message.
pub(crate) async fn confirmed(tx: &mut Tx, notify: Notify, received: Received<OrderConfirmed>) -> Result<(), Failure> {
    let (order, reader) = order_mail::ask(&notify, received.event.order_id, received.event.user_id).await?;
    let mail = OrderMail::of(&order, &reader, &notify)?;
    let (user_id, wanted) = (Some(order.user_id), reader.wants_mail);
    let to = Addressee { user_id, email: &order.email, locale: &reader.locale, wanted };
    let occasion = Occasion { event_id: received.id, order_id: Some(order.order_id) };
    queue(tx, &notify, occasion, Template::OrderConfirmed, to, &mail).await?;
    let OrderConfirmed { order_id, user_id, total } = received.event;
    let about = MessageAbout { amount: Some(total), ..about(order_id) };
    Ok(realtime::post(tx, (received.id, user_id), MessageKind::OrderConfirmed, about).await?)
}
