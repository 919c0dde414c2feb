//! Securing the goods of a paid order: asks svc-catalog to make the reservation a sale, and settles by its answer.
//!
//! Asking twice is asking once, so an answer that was lost is asked for again. Nothing is held meanwhile but the lease of
//! the row. A paid order is never given up for want of an answer: only "there are no goods" ends the step.

use std::time::Duration;

use nats::{
    batch::{Batcher, Limits},
    contracts::catalog::{CommitRefusal, CommitStock, StockCommitted},
    database::{Database, DatabaseError},
    invoke::CallError,
    telemetry::Trace,
    types::OrderId,
};

use super::{
    Happening, Saga, hear,
    row::{self, Due, WorkQueue},
};
use crate::{
    Orders,
    order::{OrderRow, change::Changes, status::Illegal},
};

/// How many orders' goods an instance secures at once; those that wait together, svc-catalog takes together.
pub(crate) const AT_ONCE: usize = 32;

/// Takes the paid orders that have waited for longest.
pub(crate) async fn claim(service: Orders, at_most: i64) -> Result<Vec<Due>, DatabaseError> {
    row::claim(&service.database, WorkQueue::Stock, at_most).await
}

/// Secures the goods of one order.
pub(crate) async fn secure(service: Orders, due: Due) {
    let trace = due.trace();
    let span = tracing::info_span!(
        "secure", order = %due.order_id, tries = due.tries, request_id = trace.request_id(), trace_id = %trace
    );
    let work = async {
        if let Err(reason) = ask_and_settle(&service, &due).await {
            let delay = pause(due.tries);
            match due.seconds_late {
                late if late > 0 => tracing::error!(reason, late, "a paid order still has no goods; asking again"),
                _ => tracing::warn!(reason, ?delay, "the goods are not secured yet; asking again"),
            }
            due.try_later(&service.database, delay).await;
        }
    };
    trace.scope(span, work).await;
}

async fn ask_and_settle(service: &Orders, due: &Due) -> Result<(), String> {
    let (happening, why) = match service.calls.call(&CommitStock { order_id: due.order_id }).await {
        Ok(StockCommitted {}) => (Happening::StockSecured, "The goods are the customer's."),
        Err(CallError::Refused(refusal)) => {
            if refusal == CommitRefusal::Released {
                tracing::error!("a paid order has no reservation");
            }
            let why = "It was paid after its reservation had expired, and the goods are sold out. A refund is due.";
            (Happening::OutOfStock, why)
        }
        Err(unanswered) => return Err(unanswered.to_string()),
    };
    let answered = Answered { order_id: due.order_id, happening, why, trace: Trace::current() };
    match service.settler.ask(answered).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(illegal)) => Err(illegal.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

/// What svc-catalog's answer means for an order.
#[derive(Debug, Clone)]
pub(crate) struct Answered {
    order_id: OrderId,
    happening: Happening,
    why: &'static str,
    trace: Trace,
}

/// Settles answers that wait together in one transaction.
pub(crate) type Settler = Batcher<Answered, Result<(), Illegal>>;

/// Starts settling.
pub(crate) fn start_settling(database: Database, saga: Saga) -> Settler {
    let settle = move |answered| {
        let (database, saga) = (database.clone(), saga.clone());
        async move { settle(&database, &saga, answered).await }
    };
    Batcher::start(Limits::default(), |_| 1, settle)
}

async fn settle(
    database: &Database,
    saga: &Saga,
    all: Vec<Answered>,
) -> Result<Vec<Result<(), Illegal>>, DatabaseError> {
    let mut tx = database.begin().await?;
    let ids: Vec<OrderId> = all.iter().map(|answered| answered.order_id).collect();
    let mut orders = OrderRow::lock_all(&mut tx, &ids).await?;
    let (mut changes, mut outcomes) = (Changes::new(), Vec::with_capacity(all.len()));
    for Answered { order_id, happening, why, trace } in all {
        changes.follow(trace);
        let outcome = match orders.get(&order_id) {
            Some(order) => hear(&mut changes, order.clone(), happening, why).map(|(_, after)| {
                orders.insert(order_id, after);
            }),
            None => Ok(()),
        };
        outcomes.push(outcome);
    }
    changes.write(&mut tx, saga).await?;
    tx.commit().await?;
    Ok(outcomes)
}

/// 100 ms after the first try, doubled with each further one, at most five seconds.
fn pause(tries: i32) -> Duration {
    let doublings = u32::try_from(tries.clamp(1, 10)).unwrap_or(1) - 1;
    Duration::from_millis(100).saturating_mul(1 << doublings).min(Duration::from_secs(5))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_five_seconds() {
        let pauses = [i32::MIN, 1, 2, 6, 7, i32::MAX].map(|tries| pause(tries).as_millis());
        assert_eq!(pauses, [100, 100, 200, 3200, 5000, 5000]);
    }
}
