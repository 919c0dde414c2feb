//! `notify-order-confirmed`: an order is paid, so its customer is told what comes.

use nats::{
    consume::{Failure, Received},
    contracts::order::OrderConfirmed,
    database::Tx,
};

use super::{
    Addressee, Occasion,
    order_mail::{self, OrderMail},
    queue,
};
use crate::{Notify, mail::Template};

/// Writes the mail.
pub(crate) async fn confirmed(tx: &mut Tx, notify: Notify, received: Received<OrderConfirmed>) -> Result<(), Failure> {
    let (order, reader) = order_mail::ask(&notify, received.event.order_id, received.event.user_id).await?;
    let mail = OrderMail::of(&order, &reader, &notify)?;
    let to = Addressee { user_id: Some(order.user_id), email: &order.email, locale: &reader.locale };
    let occasion = Occasion { event_id: received.id, order_id: Some(order.order_id) };
    queue(tx, &notify, occasion, Template::OrderConfirmed, to, &mail).await
}
