//! The one way in which an order's states move: row, history, saga and event together, in the caller's transaction.
//!
//! What moves is collected first and written at the end, one statement per table: one order or many cost the same.

use std::{collections::BTreeMap, fmt};

use chrono::{SubsecRound, Utc};
use diesel::sql_types::{self, Array, Nullable};
use diesel_async::RunQueryDsl;
use nats::{
    consume::Failure,
    contracts::order::{CancelReason, OrderCanceled, OrderCompleted, OrderConfirmed},
    database::{DatabaseError, Tx, sql},
    outbox::Traced,
    problem::Problem,
    telemetry::Trace,
    types::{OrderId, PaymentId},
};

use super::{
    OrderRow, StoredReason,
    history::{By, NewEntry, OrderChange},
    saga::{Saga, Step, row},
    status::{Change, Illegal},
};

/// Why an order was not moved.
#[derive(Debug)]
pub(crate) enum ChangeError {
    /// The change is not possible in its state.
    Illegal(Illegal),
    /// The database could not.
    Database(DatabaseError),
}

/// What is to be written of orders that moved; the caller's transaction has locked each of them.
#[derive(Debug)]
#[must_use = "nothing is written before `write`"]
pub(crate) struct Changes {
    /// The request that what comes next is part of.
    trace: Trace,
    /// Each order as it is in the end.
    rows: BTreeMap<OrderId, OrderRow>,
    entries: Vec<NewEntry>,
    steps: BTreeMap<OrderId, Step>,
    confirmed: Vec<Traced<OrderConfirmed>>,
    canceled: Vec<Traced<OrderCanceled>>,
    completed: Vec<Traced<OrderCompleted>>,
}

impl Changes {
    /// None yet, as part of the running request.
    pub(crate) fn new() -> Self {
        Self {
            trace: Trace::current(),
            rows: BTreeMap::new(),
            entries: Vec::new(),
            steps: BTreeMap::new(),
            confirmed: Vec::new(),
            canceled: Vec::new(),
            completed: Vec::new(),
        }
    }

    /// What comes next is part of this request.
    pub(crate) fn follow(&mut self, trace: Trace) {
        self.trace = trace;
    }

    /// Moves `order`; as it is afterwards.
    ///
    /// # Errors
    /// [`Illegal`] when the change is not possible in its state; nothing is added then.
    pub(crate) fn change(&mut self, order: &OrderRow, change: Change, by: By, why: &str) -> Result<OrderRow, Illegal> {
        let state = order.state().after(change)?;
        let Outcome { what, reason, payment_id, refunded } = outcome(order, change);
        let after = OrderRow {
            status: state.order,
            payment_status: state.payment,
            fulfillment_status: state.fulfillment,
            cancel_reason: reason.map(StoredReason),
            payment_id,
            refunded,
            // As exact as the database.
            updated_at: Utc::now().trunc_subsecs(6),
            ..order.clone()
        };
        self.rows.insert(order.id, after.clone());
        self.note(NewEntry::of(order.id, what, state, by, why.to_owned()));
        let step = Step::of(state);
        if step != Step::of(order.state()) {
            self.steps.insert(order.id, step);
        }
        let (order_id, user_id, trace) = (order.id, order.user_id, self.trace.clone());
        match change {
            Change::Confirm => {
                let event = OrderConfirmed { order_id, user_id, total: order.money(order.total) };
                self.confirmed.push(Traced { event, trace });
            }
            Change::Cancel(reason) => {
                self.canceled.push(Traced { event: OrderCanceled { order_id, user_id, reason }, trace });
            }
            Change::Complete => {
                self.completed.push(Traced { event: OrderCompleted { order_id, user_id }, trace });
            }
            Change::Pay(_) | Change::CaptureLate(_) | Change::RefundSome(_) | Change::RefundAll => {}
        }
        Ok(after)
    }

    /// Something to be remembered of an order that does not move it.
    pub(crate) fn note(&mut self, entry: NewEntry) {
        self.entries.push(entry);
    }

    /// Writes all of it.
    pub(crate) async fn write(self, tx: &mut Tx, saga: &Saga) -> Result<(), DatabaseError> {
        if !self.rows.is_empty() {
            move_rows(tx, self.rows.into_values().collect()).await?;
        }
        if !self.entries.is_empty() {
            NewEntry::write_all(&self.entries, tx).await?;
        }
        if !self.steps.is_empty() {
            row::enter(tx, saga, &self.steps).await?;
        }
        tx.record_all(&self.confirmed).await?;
        tx.record_all(&self.canceled).await?;
        tx.record_all(&self.completed).await
    }
}

/// What of an order can change.
async fn move_rows(tx: &mut Tx, rows: Vec<OrderRow>) -> diesel::QueryResult<()> {
    sql("update orders
         set status = moved.status, payment_status = moved.payment_status, fulfillment_status = moved.fulfillment_status,
             cancel_reason = moved.cancel_reason, payment_id = moved.payment_id, refunded = moved.refunded,
             updated_at = moved.updated_at
         from unnest($1, $2, $3, $4, $5, $6, $7, $8) as moved
             (id, status, payment_status, fulfillment_status, cancel_reason, payment_id, refunded, updated_at)
         where orders.id = moved.id")
    .bind::<Array<sql_types::Uuid>, _>(rows.iter().map(|row| row.id).collect::<Vec<_>>())
    .bind::<Array<sql_types::Text>, _>(rows.iter().map(|row| row.status).collect::<Vec<_>>())
    .bind::<Array<sql_types::Text>, _>(rows.iter().map(|row| row.payment_status).collect::<Vec<_>>())
    .bind::<Array<sql_types::Text>, _>(rows.iter().map(|row| row.fulfillment_status).collect::<Vec<_>>())
    .bind::<Array<Nullable<sql_types::Text>>, _>(rows.iter().map(|row| row.cancel_reason).collect::<Vec<_>>())
    .bind::<Array<Nullable<sql_types::Uuid>>, _>(rows.iter().map(|row| row.payment_id).collect::<Vec<_>>())
    .bind::<Array<sql_types::BigInt>, _>(rows.iter().map(|row| row.refunded).collect::<Vec<_>>())
    .bind::<Array<sql_types::Timestamptz>, _>(rows.iter().map(|row| row.updated_at).collect::<Vec<_>>())
    .execute(tx)
    .await
    .map(drop)
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

impl From<Illegal> for ChangeError {
    fn from(illegal: Illegal) -> Self {
        Self::Illegal(illegal)
    }
}

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
