//! What svc-payment tells of an order's payment.

use nats::{
    consume::{Failure, Received},
    contracts::payment::{DeclineReason, PaymentCaptured, PaymentFailed},
    database::Tx,
    types::{Money, OrderId, PaymentId},
};

use super::{Happening, hear, locked, no_order};
use crate::{
    Orders,
    order::{
        OrderRow,
        change::{ChangeError, Changes},
        refund,
    },
};

/// `payment.captured`: the orders are paid; their goods are to be secured.
pub(crate) async fn note_captures(
    tx: &mut Tx,
    service: Orders,
    all: Vec<Received<PaymentCaptured>>,
) -> Result<(), Failure> {
    let ids: Vec<OrderId> = all.iter().map(|received| received.event.order_id).collect();
    let mut orders = OrderRow::lock_all(tx, &ids).await?;
    let mut early = refund::early(tx, &ids).await?;
    let mut changes = Changes::new();
    for Received { event: PaymentCaptured { order_id, payment_id, amount, .. }, trace, .. } in all {
        let order = orders.remove(&order_id).ok_or_else(|| no_order(order_id))?;
        fits(&order, payment_id, amount).map_err(Failure::Dead)?;
        changes.follow(trace);
        let after = captured(&mut changes, tx, order, payment_id, early.of(order_id, payment_id)).await?;
        orders.insert(order_id, after);
    }
    Ok(changes.write(tx, &service.saga).await?)
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
    let mut changes = Changes::new();
    hear(&mut changes, order, Happening::Failed(event.payment_id), why).map_err(ChangeError::from)?;
    Ok(changes.write(tx, &service.saga).await?)
}

/// Whether a capture of so much can be the order's; what is wrong when not.
pub(super) fn fits(order: &OrderRow, payment: PaymentId, amount: Money) -> Result<(), String> {
    let total = order.money(order.total);
    if amount == total { Ok(()) } else { Err(format!("{payment} captured {amount} for an order of {total}")) }
}

/// The order's money is ours; the refunds of it that came before it are counted now. The order afterwards.
pub(super) async fn captured(
    changes: &mut Changes,
    tx: &mut Tx,
    order: OrderRow,
    payment: PaymentId,
    early: Vec<refund::RefundRow>,
) -> Result<OrderRow, ChangeError> {
    let (_, mut order) = hear(changes, order, Happening::Captured(payment), "The payment arrived.")?;
    for refund in early {
        order = refund::count(changes, tx, order, &refund).await?;
    }
    Ok(order)
}
