//! Giving back what was captured: claim, ask the provider, write down what it said. As [`super::charge`], in reverse.
//!
//! A refund that succeeds is written down with its ledger row and the event. One that
//! the provider refuses for good changes its own row only: the money is still ours, and people have to see to it.

use chrono::{DateTime, Utc};
use diesel::{ExpressionMethods, Insertable, QueryDsl, QueryableByName, insert_into, pg::Pg, sql_query, sql_types};
use diesel_async::RunQueryDsl;
use nats::{
    contracts::payment::PaymentRefunded,
    database::{Database, DatabaseError, Tx},
    telemetry::Trace,
    types::{Currency, Money, OrderId, PaymentId, RefundId},
};
use tokio::time::timeout;

use super::{
    NewTransaction, Payment, TransactionKind,
    charge::{DEADLINE, LEASE_MS, delay_ms},
};
use crate::{
    Payments,
    provider::{RefundOutcome, Unknown},
    schema::{payment, refund, transaction},
};

/// How many refunds an instance makes at once.
pub(crate) const AT_ONCE: usize = 16;
const PENDING: &str = "pending";

/// A refund to be made; the table's defaults make it due at once.
#[derive(Debug, Insertable)]
#[diesel(table_name = refund, check_for_backend(Pg))]
struct NewRefund {
    id: RefundId,
    payment_id: PaymentId,
    amount: i64,
    key: String,
    traceparent: String,
    request_id: String,
}

/// A claimed refund, with what the provider has to know of its payment.
#[derive(Debug, Clone, QueryableByName)]
#[diesel(check_for_backend(Pg))]
pub(crate) struct Due {
    #[diesel(sql_type = sql_types::Uuid)]
    id: RefundId,
    #[diesel(sql_type = sql_types::Uuid)]
    payment_id: PaymentId,
    #[diesel(sql_type = sql_types::Uuid)]
    order_id: OrderId,
    #[diesel(sql_type = sql_types::BigInt)]
    amount: i64,
    #[diesel(sql_type = sql_types::Text)]
    currency: Currency,
    #[diesel(sql_type = sql_types::Text)]
    key: String,
    /// The provider's own name for what is given back.
    #[diesel(sql_type = sql_types::Text)]
    charge: String,
    #[diesel(sql_type = sql_types::Integer)]
    tries: i32,
    #[diesel(sql_type = sql_types::Text)]
    traceparent: String,
    #[diesel(sql_type = sql_types::Text)]
    request_id: String,
}

/// Queues giving back all of a captured payment, once: the key is the order's.
pub(super) async fn queue(tx: &mut Tx, payments: &Payments, payment: &Payment) -> Result<(), DatabaseError> {
    let trace = Trace::current();
    let refund = NewRefund {
        id: RefundId::new(),
        payment_id: payment.id,
        amount: payment.amount,
        key: format!("order:{}:refund:1", payment.order_id),
        traceparent: trace.traceparent(),
        request_id: trace.request_id().to_owned(),
    };
    insert_into(refund::table).values(&refund).on_conflict(refund::key).do_nothing().execute(tx).await?;
    tx.wake(&payments.refunds);
    Ok(())
}

/// Takes the oldest refunds that are due, for the time of a lease. One statement, its own transaction.
pub(crate) async fn claim(payments: Payments, at_most: i64) -> Result<Vec<Due>, DatabaseError> {
    let mut connection = payments.database.connection().await?;
    let claimed = sql_query(
        "with due as materialized (
             select id from refund where status = 'pending' and next_try_at <= now()
             order by next_try_at limit $1 for update skip locked)
         update refund
         set tries = refund.tries + 1, next_try_at = now() + $2 * interval '1 millisecond', updated_at = now()
         from due, payment where refund.id = due.id and payment.id = refund.payment_id
         returning refund.id, refund.payment_id, payment.order_id, refund.amount, payment.currency, refund.key,
                   payment.provider_reference as charge, refund.tries, refund.traceparent, refund.request_id",
    )
    .bind::<sql_types::BigInt, _>(at_most)
    .bind::<sql_types::Integer, _>(LEASE_MS)
    .load(&mut connection)
    .await?;
    Ok(claimed)
}

/// Makes one refund, as part of the trace of what asked for it. What fails here is tried again later.
pub(crate) async fn give_back(payments: Payments, due: Due) {
    let trace = Trace::continued(Some(&due.traceparent), Some(&due.request_id));
    let span = tracing::info_span!(
        "refund", refund = %due.id, payment = %due.payment_id, order = %due.order_id, tries = due.tries,
        request_id = trace.request_id(), trace_id = %trace
    );
    let work = async {
        let written = match timeout(DEADLINE, ask(&payments, &due)).await {
            Ok(Ok(RefundOutcome::Succeeded { reference })) => succeed(&payments.database, &due, &reference).await,
            Ok(Ok(RefundOutcome::Declined { reason })) => fail(&payments.database, &due, &reason).await,
            Ok(Err(Unknown(reason))) => try_later(&payments.database, &due, &reason).await,
            Err(_elapsed) => try_later(&payments.database, &due, "the provider did not answer in time").await,
        };
        if let Err(error) = written {
            tracing::warn!(%error, "not written down; it is looked up when the lease has run out");
        }
    };
    trace.scope(span, work).await;
}

/// Asks the provider, for an answer it may have given before if there was a try before this one.
async fn ask(payments: &Payments, due: &Due) -> Result<RefundOutcome, Unknown> {
    if due.tries > 1
        && let Some(outcome) = payments.provider.lookup_refund(&due.key).await?
    {
        return Ok(outcome);
    }
    payments.provider.refund(&due.key, &due.charge, due.amount).await
}

/// Refund, ledger and event in one transaction; a no-op when someone else got there first.
async fn succeed(database: &Database, due: &Due, reference: &str) -> Result<(), DatabaseError> {
    let mut tx = database.begin().await?;
    let moved = diesel::update(refund::table.find(due.id))
        .filter(refund::status.eq(PENDING))
        .set((
            refund::status.eq("succeeded"),
            refund::provider_reference.eq(reference),
            refund::next_try_at.eq(None::<DateTime<Utc>>),
            refund::updated_at.eq(diesel::dsl::now),
        ))
        .execute(&mut tx)
        .await?;
    if moved == 0 {
        tracing::info!("settled by someone else");
        return tx.roll_back().await;
    }
    let effect = NewTransaction {
        payment_id: due.payment_id,
        kind: TransactionKind::Refund,
        amount: due.amount,
        provider_reference: reference,
    };
    insert_into(transaction::table).values(&effect).execute(&mut tx).await?;
    diesel::update(payment::table.find(due.payment_id))
        .set(payment::updated_at.eq(diesel::dsl::now))
        .execute(&mut tx)
        .await?;
    let amount = Money::new(due.amount, due.currency);
    tx.record(&PaymentRefunded { payment_id: due.payment_id, order_id: due.order_id, amount }).await?;
    tx.commit().await?;
    tracing::info!(%amount, "refunded");
    Ok(())
}

async fn fail(database: &Database, due: &Due, reason: &str) -> Result<(), DatabaseError> {
    tracing::error!(reason, "the provider refuses to refund; the money is still with us, somebody has to see to it");
    let mut connection = database.connection().await?;
    diesel::update(refund::table.find(due.id))
        .filter(refund::status.eq(PENDING))
        .set((
            refund::status.eq("failed"),
            refund::failure.eq(reason),
            refund::next_try_at.eq(None::<DateTime<Utc>>),
            refund::updated_at.eq(diesel::dsl::now),
        ))
        .execute(&mut connection)
        .await?;
    Ok(())
}

/// Ends the lease; the refund is due again after a delay that grows with each try.
async fn try_later(database: &Database, due: &Due, reason: &str) -> Result<(), DatabaseError> {
    let delay = delay_ms(due.tries);
    tracing::warn!(reason, delay_ms = delay, "the outcome is not known; it will be looked up");
    let mut connection = database.connection().await?;
    // Only while the claim is ours: a later one has its own lease.
    sql_query(
        "update refund set next_try_at = now() + $3 * interval '1 millisecond', updated_at = now()
         where id = $1 and tries = $2 and status = 'pending'",
    )
    .bind::<sql_types::Uuid, _>(due.id)
    .bind::<sql_types::Integer, _>(due.tries)
    .bind::<sql_types::Integer, _>(delay)
    .execute(&mut connection)
    .await?;
    Ok(())
}
