//! The one way in which an order's states move: row, history and event together, in the caller's transaction.

use std::fmt;

use chrono::Utc;
use diesel::{ExpressionMethods, QueryDsl, SelectableHelper};
use diesel_async::RunQueryDsl;
use nats::{
    consume::Failure,
    contracts::order::{CancelReason, OrderCanceled, OrderConfirmed},
    database::{DatabaseError, Tx},
    problem::Problem,
    types::PaymentId,
};

use super::{
    OrderRow, StoredReason,
    history::{self, By, OrderChange},
    status::{Change, Illegal},
};
use crate::schema::orders;

/// Why an order was not moved.
#[derive(Debug)]
pub(crate) enum ChangeError {
    /// The change is not possible in its state.
    Illegal(Illegal),
    /// The database could not.
    Database(DatabaseError),
}

/// Moves `order`, a row that this transaction has locked.
///
/// # Errors
/// [`ChangeError::Illegal`] when the change is not possible; nothing is written then.
pub(crate) async fn change(
    tx: &mut Tx,
    order: &OrderRow,
    change: Change,
    by: By,
    why: &str,
) -> Result<OrderRow, ChangeError> {
    let state = order.state().after(change).map_err(ChangeError::Illegal)?;
    let (what, reason, payment_id) = outcome(order, change);
    let row: OrderRow = diesel::update(orders::table.find(order.id))
        .set((
            orders::status.eq(state.order),
            orders::payment_status.eq(state.payment),
            orders::fulfillment_status.eq(state.fulfillment),
            orders::cancel_reason.eq(reason.map(StoredReason)),
            orders::payment_id.eq(payment_id),
            orders::updated_at.eq(Utc::now()),
        ))
        .returning(OrderRow::as_returning())
        .get_result(tx)
        .await?;
    history::write(tx, order.id, what, state, by, why).await?;
    let (order_id, user_id) = (order.id, order.user_id);
    match change {
        Change::Confirm(_) => {
            tx.record(&OrderConfirmed { order_id, user_id, total: order.money(order.total) }).await?;
        }
        Change::Cancel(reason) => {
            tx.record(&OrderCanceled { order_id, user_id, reason }).await?;
        }
        Change::CaptureLate(_) => {}
    }
    Ok(row)
}

/// What the history calls it, and what the order then has as its reason and its payment.
fn outcome(order: &OrderRow, change: Change) -> (OrderChange, Option<CancelReason>, Option<PaymentId>) {
    let reason = order.cancel_reason.map(|stored| stored.0);
    match change {
        Change::Confirm(payment) => (OrderChange::Confirmed, reason, Some(payment)),
        Change::Cancel(reason) => (OrderChange::Canceled, Some(reason), order.payment_id),
        Change::CaptureLate(payment) => (OrderChange::PaymentContradicted, reason, Some(payment)),
    }
}

impl fmt::Display for ChangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Illegal(illegal) => illegal.fmt(f),
            Self::Database(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ChangeError {}

impl From<diesel::result::Error> for ChangeError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Database(error.into())
    }
}

impl From<DatabaseError> for ChangeError {
    fn from(error: DatabaseError) -> Self {
        Self::Database(error)
    }
}

impl From<ChangeError> for Problem {
    fn from(error: ChangeError) -> Self {
        match error {
            // Whoever asks for a change checks first whether it is possible; this is our own mistake.
            ChangeError::Illegal(illegal) => Self::internal(illegal),
            ChangeError::Database(error) => error.into(),
        }
    }
}

impl From<ChangeError> for Failure {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Illegal(illegal) => Self::Failed(illegal.to_string()),
            ChangeError::Database(error) => error.into(),
        }
    }
}
