//! Canceling an order, while nothing was paid for it.

use nats::{
    contracts::order::CancelReason,
    idempotency::{Claim, IdempotencyKey, claim},
    identity::{OrdersWrite, OwnerOr},
    problem::{Code, Problem},
    types::OrderId,
};

use super::{
    OrderRow,
    change::{ChangeError, Changes},
    history::By,
    resource::Order,
    status::{Change, OrderStatus},
};
use crate::Orders;

/// Cancels an order of `caller`, or anyone's for whoever may write those.
///
/// # Errors
/// `not_found`, or `conflict` when the order is paid, done, or canceled before.
pub(crate) async fn cancel(
    service: &Orders,
    caller: &OwnerOr<OrdersWrite>,
    id: OrderId,
    key: Option<IdempotencyKey>,
) -> Result<Order, Problem> {
    let mut tx = service.database.begin().await?;
    let slot = match claim::<_, Order>(&mut tx, &caller.identity().user, "cancel_order", key, &id).await? {
        Claim::New(slot) => slot,
        Claim::Replay { body, .. } => return Ok(body),
    };
    let order = OrderRow::lock(&mut tx, id).await?.filter(|order| caller.reaches(order.user_id));
    let order = order.ok_or_else(|| Problem::not_found("order"))?;
    match order.status {
        OrderStatus::Canceled => return Err(Problem::new(Code::Conflict, "This order is canceled already.")),
        OrderStatus::Pending if !order.payment_status.has_money() => {}
        OrderStatus::Pending | OrderStatus::Confirmed | OrderStatus::Completed => {
            let paid = "This order is paid and cannot be canceled any more. Ask the shop for a refund.";
            return Err(Problem::new(Code::Conflict, paid));
        }
    }
    let by = By::of(caller.identity(), order.user_id);
    let (reason, why) = match by {
        By::Customer(_) => (CancelReason::Customer, "The customer canceled it."),
        By::Staff(_) | By::System => (CancelReason::Staff, "The shop canceled it."),
    };
    let mut changes = Changes::new();
    let row = changes.change(&order, Change::Cancel(reason), by, why).map_err(ChangeError::from)?;
    changes.write(&mut tx, &service.saga).await?;
    let canceled = Order::all_of(&mut tx, vec![row]).await?.pop().ok_or_else(|| Problem::not_found("order"))?;
    slot.store(&mut tx, 200, &format!("/v1/orders/{id}"), &canceled).await?;
    tx.commit().await?;
    Ok(canceled)
}
