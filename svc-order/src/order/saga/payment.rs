//! What svc-payment tells of an order's payment.

use nats::{
    consume::{Failure, Received},
    contracts::payment::{DeclineReason, PaymentCaptured, PaymentFailed},
    database::Tx,
    types::{Money, PaymentId},
};

use super::{Happening, hear, locked};
use crate::{
    Orders,
    order::{OrderRow, change::ChangeError, refund},
};

/// `payment.captured`: the order is paid; its goods are to be secured.
pub(crate) async fn note_capture(
    tx: &mut Tx,
    service: Orders,
    received: Received<PaymentCaptured>,
) -> Result<(), Failure> {
    let event = received.event;
    let order = locked(tx, event.order_id).await?;
    if let Err(wrong) = fits(&order, event.payment_id, event.amount) {
        return Err(Failure::Dead(wrong));
    }
    Ok(captured(tx, &service, order, event.payment_id).await?)
}

/// `payment.failed`: the order is canceled.
pub(crate) async fn cancel_unpaid(
    tx: &mut Tx,
    service: Orders,
    received: Received<PaymentFailed>,
) -> Result<(), Failure> {
    let event = received.event;
    let order = locked(tx, event.order_id).await?;
    let why = match event.reason {
        DeclineReason::Declined => "The payment was declined.",
        DeclineReason::InsufficientFunds => "The payment was declined: the account does not cover it.",
        DeclineReason::UnknownPaymentMethod => "The payment was declined: the payment method is not known.",
    };
    hear(tx, &service, order, Happening::Failed(event.payment_id), why).await?;
    Ok(())
}

/// Whether a capture of so much can be the order's; what is wrong when not.
pub(super) fn fits(order: &OrderRow, payment: PaymentId, amount: Money) -> Result<(), String> {
    let total = order.money(order.total);
    if amount == total { Ok(()) } else { Err(format!("{payment} captured {amount} for an order of {total}")) }
}

/// The order's money is ours; what of it is known to have gone back already is counted now.
pub(super) async fn captured(
    tx: &mut Tx,
    service: &Orders,
    order: OrderRow,
    payment: PaymentId,
) -> Result<(), ChangeError> {
    let (_, order) = hear(tx, service, order, Happening::Captured(payment), "The payment arrived.").await?;
    refund::count_early(tx, service, order, payment).await
}
