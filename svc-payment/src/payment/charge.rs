//! Charging what is due: claim, ask the provider, write down what it said.
//!
//! The claim is committed before the provider is asked, so whoever finds the payment after a crash knows that it may
//! have been charged, and looks that up by the key before anything else. The lease keeps two instances from asking at
//! once; should it run out, the key and the status still let only one of them take effect.
//!
//! A payment whose order was canceled meanwhile is not asked for again: its key is voided. If that came too late, it is
//! captured like any other, and its refund is queued with that.
//!
//! Trap: a real provider forgets keys (often after 24 hours). A payment that is older is a case for the lookup and for
//! people, not for another capture.

use std::time::Duration;

use diesel::{ExpressionMethods, QueryDsl, insert_into, sql_query, sql_types};
use diesel_async::RunQueryDsl;
use nats::{
    contracts::payment::{DeclineReason, PaymentCaptured, PaymentFailed},
    database::{Database, DatabaseError, Tx},
    telemetry::Trace,
};
use tokio::time::timeout;

use super::{NewTransaction, Payment, PaymentStatus, TransactionKind, cancel, refund};
use crate::{
    Payments,
    provider::{Outcome, Unknown},
    schema::{payment, transaction},
};

/// How many payments an instance charges at once: a slow answer of the provider does not hold up the rest.
pub(crate) const AT_ONCE: usize = 64;
/// How long the provider has for its answer.
pub(super) const DEADLINE: Duration = Duration::from_secs(2);
/// How long a claimed payment is left to its claimer: the deadline, and time to write down the answer.
pub(super) const LEASE_MS: i32 = 5_000;

/// Takes the oldest payments that are due, for the time of a lease. One statement, its own transaction.
pub(crate) async fn claim(payments: Payments, at_most: i64) -> Result<Vec<Payment>, DatabaseError> {
    let mut connection = payments.database.connection().await?;
    let claimed = sql_query(
        "with due as materialized (
             select id from payment where status = 'processing' and next_try_at <= now()
             order by next_try_at limit $1 for update skip locked)
         update payment
         set tries = tries + 1, next_try_at = now() + $2 * interval '1 millisecond', updated_at = now()
         from due where payment.id = due.id
         returning payment.*",
    )
    .bind::<sql_types::BigInt, _>(at_most)
    .bind::<sql_types::Integer, _>(LEASE_MS)
    .load(&mut connection)
    .await?;
    Ok(claimed)
}

/// Charges one payment, as part of the trace of the order that asked for it. What fails here is tried again later.
pub(crate) async fn charge(payments: Payments, payment: Payment) {
    let trace = Trace::continued(Some(&payment.traceparent), Some(&payment.request_id));
    let span = tracing::info_span!(
        "charge", payment = %payment.id, order = %payment.order_id, tries = payment.tries,
        request_id = trace.request_id(), trace_id = %trace
    );
    let work = async {
        let written = match timeout(DEADLINE, ask(&payments, &payment)).await {
            Ok(Ok(outcome)) => settle(&payments, &payment, outcome).await,
            Ok(Err(Unknown(reason))) => try_later(&payments.database, &payment, &reason).await,
            Err(_elapsed) => try_later(&payments.database, &payment, "the provider did not answer in time").await,
        };
        if let Err(error) = written {
            tracing::warn!(%error, "not written down; it is looked up when the lease has run out");
        }
    };
    trace.scope(span, work).await;
}

/// Asks the provider, for an answer it may have given before if there was a try before this one.
async fn ask(payments: &Payments, payment: &Payment) -> Result<Outcome, Unknown> {
    let key = payment.key();
    let mut connection = payments.database.connection().await?;
    let canceled = cancel::is_canceled(&mut connection, payment.order_id).await?;
    drop(connection);
    if canceled {
        return payments.provider.void(&key, payment.money(), &payment.method).await;
    }
    if payment.tries > 1
        && let Some(outcome) = payments.provider.lookup(&key).await?
    {
        return Ok(outcome);
    }
    payments.provider.capture(&key, payment.money(), &payment.method).await
}

/// Status, ledger and event in one transaction; a no-op when someone else got there first.
async fn settle(payments: &Payments, payment: &Payment, outcome: Outcome) -> Result<(), DatabaseError> {
    let mut tx = payments.database.begin().await?;
    let settled = match outcome {
        Outcome::Succeeded { reference } => succeed(&mut tx, payments, payment, &reference).await?,
        Outcome::Declined { reason } => fail(&mut tx, payment, reason).await?,
        Outcome::Voided => payment.cancel(&mut tx).await?,
    };
    if !settled {
        tracing::info!("settled by someone else");
        return tx.roll_back().await;
    }
    tx.commit().await
}

async fn succeed(tx: &mut Tx, payments: &Payments, payment: &Payment, reference: &str) -> Result<bool, DatabaseError> {
    let moved = diesel::update(payment::table.find(payment.id))
        .filter(payment::status.eq(PaymentStatus::Processing))
        .filter(payment::attempt.eq(payment.attempt))
        .set((
            payment::status.eq(PaymentStatus::Succeeded),
            payment::provider_reference.eq(reference),
            payment::next_try_at.eq(None::<chrono::DateTime<chrono::Utc>>),
            payment::updated_at.eq(diesel::dsl::now),
        ))
        .execute(tx)
        .await?;
    if moved == 0 {
        return Ok(false);
    }
    let effect = NewTransaction {
        payment_id: payment.id,
        kind: TransactionKind::Capture,
        amount: payment.amount,
        provider_reference: reference,
    };
    insert_into(transaction::table).values(&effect).execute(tx).await?;
    let (payment_id, order_id, user_id, amount) = (payment.id, payment.order_id, payment.user_id, payment.money());
    tx.record(&PaymentCaptured { payment_id, order_id, user_id, amount }).await?;
    tracing::info!(amount = %payment.money(), "captured");
    // Canceled while the provider was asked. Whoever cancels from now on waits for this row, and finds it captured.
    if cancel::is_canceled(tx, payment.order_id).await? {
        refund::queue(tx, payments, payment).await?;
    }
    Ok(true)
}

async fn fail(tx: &mut Tx, payment: &Payment, reason: DeclineReason) -> Result<bool, DatabaseError> {
    let moved = diesel::update(payment::table.find(payment.id))
        .filter(payment::status.eq(PaymentStatus::Processing))
        .filter(payment::attempt.eq(payment.attempt))
        .set((
            payment::status.eq(PaymentStatus::Failed),
            payment::decline_reason.eq(reason),
            payment::next_try_at.eq(None::<chrono::DateTime<chrono::Utc>>),
            payment::updated_at.eq(diesel::dsl::now),
        ))
        .execute(tx)
        .await?;
    if moved == 0 {
        return Ok(false);
    }
    let (payment_id, order_id, user_id) = (payment.id, payment.order_id, payment.user_id);
    tx.record(&PaymentFailed { payment_id, order_id, user_id, reason }).await?;
    tracing::info!(%reason, "declined");
    Ok(true)
}

/// Ends the lease; the payment is due again after a delay that grows with each try.
async fn try_later(database: &Database, payment: &Payment, reason: &str) -> Result<(), DatabaseError> {
    let delay = delay_ms(payment.tries);
    tracing::warn!(reason, delay_ms = delay, "the outcome is not known; it will be looked up");
    let mut connection = database.connection().await?;
    // Only while the claim is ours: a later one has its own lease.
    sql_query(
        "update payment set next_try_at = now() + $3 * interval '1 millisecond', updated_at = now()
         where id = $1 and tries = $2 and status = 'processing'",
    )
    .bind::<sql_types::Uuid, _>(payment.id)
    .bind::<sql_types::Integer, _>(payment.tries)
    .bind::<sql_types::Integer, _>(delay)
    .execute(&mut connection)
    .await?;
    Ok(())
}

/// 100 ms after the first try, doubled with each further one, at most a minute.
pub(super) fn delay_ms(tries: i32) -> i32 {
    let doublings = u32::try_from(tries.clamp(1, 16)).unwrap_or_default().saturating_sub(1);
    100_i32.saturating_mul(1 << doublings).min(60_000)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_a_minute() {
        let delays: Vec<i32> = [i32::MIN, 0, 1, 2, 3, 10, 11, i32::MAX].into_iter().map(delay_ms).collect();
        assert_eq!(delays, [100, 100, 100, 200, 400, 51_200, 60_000, 60_000]);
    }

    #[test]
    fn the_lease_outlasts_the_deadline() {
        assert!(Duration::from_millis(LEASE_MS.unsigned_abs().into()) > DEADLINE * 2);
    }
}
