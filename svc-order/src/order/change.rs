//! The one way in which an order's states move: row, history, saga and event together, in the caller's transaction.

use std::fmt;

use chrono::Utc;
use diesel::{ExpressionMethods, QueryDsl, SelectableHelper};
use diesel_async::RunQueryDsl;
use nats::{
    consume::Failure,
    contracts::order::{CancelReason, OrderCanceled, OrderCompleted, OrderConfirmed},
    database::{DatabaseError, Tx},
    problem::Problem,
    types::PaymentId,
};

use super::{
    OrderRow, StoredReason,
    history::{By, NewEntry, OrderChange},
    saga::{Step, row},
    status::{Change, Illegal},
};
use crate::{Orders, schema::orders};

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
    service: &Orders,
    order: &OrderRow,
    change: Change,
    by: By,
    why: &str,
) -> Result<OrderRow, ChangeError> {
    let state = order.state().after(change).map_err(ChangeError::Illegal)?;
    let Outcome { what, reason, payment_id, refunded } = outcome(order, change);
    let row: OrderRow = diesel::update(orders::table.find(order.id))
        .set((
            orders::status.eq(state.order),
            orders::payment_status.eq(state.payment),
            orders::fulfillment_status.eq(state.fulfillment),
            orders::cancel_reason.eq(reason.map(StoredReason)),
            orders::payment_id.eq(payment_id),
            orders::refunded.eq(refunded),
            orders::updated_at.eq(Utc::now()),
        ))
        .returning(OrderRow::as_returning())
        .get_result(tx)
        .await?;
    NewEntry::of(order.id, what, state, by, why).write(tx).await?;
    let step = Step::of(state);
    if step != Step::of(order.state()) {
        row::enter(tx, service, order.id, step).await?;
    }
    let (order_id, user_id) = (order.id, order.user_id);
    match change {
        Change::Confirm => {
            tx.record(&OrderConfirmed { order_id, user_id, total: order.money(order.total) }).await?;
        }
        Change::Cancel(reason) => {
            tx.record(&OrderCanceled { order_id, user_id, reason }).await?;
        }
        Change::Complete => {
            tx.record(&OrderCompleted { order_id, user_id }).await?;
        }
        Change::Pay(_) | Change::CaptureLate(_) | Change::RefundSome(_) | Change::RefundAll => {}
    }
    Ok(row)
}

/// What the history calls it, and what else the order then has.
struct Outcome {
    what: OrderChange,
    reason: Option<CancelReason>,
    payment_id: Option<PaymentId>,
    refunded: i64,
}

fn outcome(order: &OrderRow, change: Change) -> Outcome {
    let reason = order.cancel_reason.map(|stored| stored.0);
    let same = |what| Outcome { what, reason, payment_id: order.payment_id, refunded: order.refunded };
    match change {
        Change::Pay(payment) => Outcome { payment_id: Some(payment), ..same(OrderChange::Paid) },
        Change::Confirm => same(OrderChange::Confirmed),
        Change::Cancel(reason) => Outcome { reason: Some(reason), ..same(OrderChange::Canceled) },
        Change::CaptureLate(payment) => Outcome { payment_id: Some(payment), ..same(OrderChange::PaidLate) },
        Change::RefundSome(refunded) => Outcome { refunded, ..same(OrderChange::Refunded) },
        Change::RefundAll => Outcome { refunded: order.total, ..same(OrderChange::Refunded) },
        Change::Complete => same(OrderChange::Completed),
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
