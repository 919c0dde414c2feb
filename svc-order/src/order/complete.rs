//! Completing an order: everything that it promised was done.

use nats::{
    idempotency::{Claim, IdempotencyKey, claim},
    problem::{Code, Problem},
    types::{OrderId, UserId},
};

use super::{
    OrderRow,
    change::{ChangeError, Changes},
    history::By,
    resource::Order,
    status::{Change, OrderStatus, PaymentStatus},
};
use crate::Orders;

/// Completes an order, on behalf of the member of staff who says so.
///
/// # Errors
/// `not_found`, or `conflict` when the order is not confirmed, or some of its money went back.
pub(crate) async fn complete(
    service: &Orders,
    staff: UserId,
    id: OrderId,
    key: Option<IdempotencyKey>,
) -> Result<Order, Problem> {
    let mut tx = service.database.begin().await?;
    let slot = match claim::<_, Order>(&mut tx, &staff, "complete_order", key, &id).await? {
        Claim::New(slot) => slot,
        Claim::Replay { body, .. } => return Ok(body),
    };
    let order = OrderRow::lock(&mut tx, id).await?.ok_or_else(|| Problem::not_found("order"))?;
    let conflict = |why| Err(Problem::new(Code::Conflict, why));
    match (order.status, order.payment_status) {
        (OrderStatus::Confirmed, PaymentStatus::Captured) => {}
        (OrderStatus::Confirmed, _) => {
            return conflict("Some or all of this order's money went back; it cannot be completed any more.");
        }
        (OrderStatus::Pending, _) => {
            return conflict("This order is not confirmed yet; only a confirmed order can be completed.");
        }
        (OrderStatus::Completed, _) => return conflict("This order is completed already."),
        (OrderStatus::Canceled, _) => return conflict("This order is canceled; it cannot be completed any more."),
    }
    let mut changes = Changes::new();
    let row = changes
        .change(&order, Change::Complete, By::Staff(staff), "The shop completed it.")
        .map_err(ChangeError::from)?;
    changes.write(&mut tx, &service.saga).await?;
    let completed = Order::all_of(&mut tx, vec![row]).await?.pop().ok_or_else(|| Problem::not_found("order"))?;
    slot.store(&mut tx, 200, &format!("/v1/orders/{id}"), &completed).await?;
    tx.commit().await?;
    Ok(completed)
}
