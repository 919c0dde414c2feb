//! The saga's row: which step an order is at, by when it should be over, and who looks at it next.
//!
//! | queue | its rows | what is done |
//! |---|---|---|
//! | [`WorkQueue::Stock`] | `securing_stock` | [`super::stock`]: due at once, and again until there is an answer |
//! | [`WorkQueue::Overdue`] | every other step that waits | [`super::overdue`]: due when the deadline is over |
//!
//! The trap: leases and deadlines are counted by the database's clock, so that instances need not agree on the time.

use std::{collections::BTreeMap, time::Duration};

use diesel::{QueryableByName, sql_types};
use diesel_async::RunQueryDsl;
use nats::{
    database::{Database, DatabaseError, Tx, sql},
    telemetry::Trace,
    types::OrderId,
};

use super::{Saga, Step};

/// How long a claimed row is left to its claimer. Looking twice is harmless: whoever settles, decides on the locked order.
const LEASE: Duration = Duration::from_secs(6);

/// The sagas of new orders, which are to be paid within `payment_timeout`; each with the trace of its request.
pub(crate) async fn begin(
    tx: &mut Tx,
    payment_timeout: Duration,
    orders: &[(OrderId, &Trace)],
) -> diesel::QueryResult<()> {
    sql("insert into order_saga (order_id, step, deadline, due_at, traceparent, request_id)
         select order_id, $1, deadline, deadline, traceparent, request_id
         from unnest($3::uuid[], $4::text[], $5::text[]) as begun (order_id, traceparent, request_id),
             (select now() + $2 * interval '1 second' as deadline) as until")
    .bind::<sql_types::Text, _>(Step::AwaitingPayment)
    .bind::<sql_types::Double, _>(payment_timeout.as_secs_f64())
    .bind::<sql_types::Array<sql_types::Uuid>, _>(orders.iter().map(|(order, _)| *order).collect::<Vec<_>>())
    .bind::<sql_types::Array<sql_types::Text>, _>(
        orders.iter().map(|(_, trace)| trace.traceparent()).collect::<Vec<_>>(),
    )
    .bind::<sql_types::Array<sql_types::Text>, _>(
        orders.iter().map(|(_, trace)| trace.request_id()).collect::<Vec<_>>(),
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Each order comes to its step: the deadline begins, and whoever works on the step is woken.
pub(crate) async fn enter(tx: &mut Tx, saga: &Saga, steps: &BTreeMap<OrderId, Step>) -> diesel::QueryResult<()> {
    let allowance = |step: &Step| step.allowance(saga.payment_timeout).map(seconds);
    let due_in = |step: &Step| if *step == Step::SecuringStock { Some(0) } else { allowance(step) };
    sql("update order_saga
         set step = entered.step, tries = 0, deadline = now() + entered.allowance * interval '1 second',
             due_at = now() + entered.due_in * interval '1 second'
         from unnest($1, $2, $3, $4) as entered (order_id, step, allowance, due_in)
         where order_saga.order_id = entered.order_id")
    .bind::<sql_types::Array<sql_types::Uuid>, _>(steps.keys().collect::<Vec<_>>())
    .bind::<sql_types::Array<sql_types::Text>, _>(steps.values().collect::<Vec<_>>())
    .bind::<sql_types::Array<sql_types::Nullable<sql_types::Integer>>, _>(
        steps.values().map(allowance).collect::<Vec<_>>(),
    )
    .bind::<sql_types::Array<sql_types::Nullable<sql_types::Integer>>, _>(
        steps.values().map(due_in).collect::<Vec<_>>(),
    )
    .execute(tx)
    .await?;
    if steps.values().any(|step| *step == Step::SecuringStock) {
        tx.wake(&saga.stock);
    }
    Ok(())
}

/// Which rows a worker takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WorkQueue {
    /// Paid orders whose goods are to be secured.
    Stock,
    /// Orders that have waited for too long.
    Overdue,
}

/// A row that is due, leased to us.
#[derive(Debug, Clone, QueryableByName)]
pub(crate) struct Due {
    #[diesel(sql_type = sql_types::Uuid)]
    pub(super) order_id: OrderId,
    #[diesel(sql_type = sql_types::Text)]
    pub(super) step: Step,
    /// How long the deadline is over; negative before it.
    #[diesel(sql_type = sql_types::Integer)]
    pub(super) seconds_late: i32,
    #[diesel(sql_type = sql_types::Integer)]
    pub(super) tries: i32,
    #[diesel(sql_type = sql_types::Text)]
    traceparent: String,
    #[diesel(sql_type = sql_types::Text)]
    request_id: String,
}

/// Takes the rows that have been due for longest, for the time of a lease. One statement, its own transaction; what
/// another instance is looking at is left to it.
pub(super) async fn claim(database: &Database, queue: WorkQueue, at_most: i64) -> Result<Vec<Due>, DatabaseError> {
    let steps: &[Step] = match queue {
        WorkQueue::Stock => &[Step::SecuringStock],
        WorkQueue::Overdue => &[Step::AwaitingPayment, Step::AwaitingRefund],
    };
    let claimed = sql("with due as materialized (
             select order_id from order_saga where step = any($1) and due_at <= now()
             order by due_at limit $2 for update skip locked)
         update order_saga set tries = tries + 1, due_at = now() + $3 * interval '1 second'
         from due where order_saga.order_id = due.order_id
         returning order_saga.order_id, step, tries, traceparent, request_id,
                   extract(epoch from now() - deadline)::integer as seconds_late")
    .bind::<sql_types::Array<sql_types::Text>, _>(steps)
    .bind::<sql_types::BigInt, _>(at_most)
    .bind::<sql_types::Integer, _>(seconds(LEASE))
    .load(&mut database.connection().await?)
    .await?;
    Ok(claimed)
}

impl Due {
    /// Ends the lease; the row is due again after `delay`, unless the order has moved.
    pub(super) async fn try_later(&self, database: &Database, delay: Duration) {
        let later = async {
            sql("update order_saga set due_at = now() + $4 * interval '1 millisecond'
                 where order_id = $1 and step = $2 and tries = $3")
            .bind::<sql_types::Uuid, _>(self.order_id)
            .bind::<sql_types::Text, _>(self.step)
            .bind::<sql_types::Integer, _>(self.tries)
            .bind::<sql_types::Integer, _>(i32::try_from(delay.as_millis()).unwrap_or(i32::MAX))
            .execute(&mut database.connection().await?)
            .await?;
            Ok::<_, DatabaseError>(())
        };
        if let Err(error) = later.await {
            tracing::warn!(order_id = %self.order_id, %error, "the order is looked at again when its lease has run out");
        }
    }

    /// The request that the order came with.
    pub(super) fn trace(&self) -> Trace {
        Trace::continued(Some(&self.traceparent), Some(&self.request_id))
    }
}

fn seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)
}
