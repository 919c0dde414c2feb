//! Giving back what was captured: claim, ask the provider, have [`super::settle`] write down what it said.
//!
//! A refund that succeeds is written down with its ledger row and the event. One that the provider refuses for good changes
//! its own row only: the money is still ours, and people have to see to it.

pub(crate) mod api;
mod create;

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use diesel::{
    Insertable, Queryable, QueryableByName, Selectable, deserialize::FromSqlRow, expression::AsExpression, insert_into,
    pg::Pg, sql_types,
};
use diesel_async::RunQueryDsl;
use nats::{
    database::{Database, DatabaseError, Tx, sql},
    telemetry::Trace,
    types::{Currency, Money, OrderId, PaymentId, RefundId, UserId},
};
use poem_openapi::Enum;
use serde::{Deserialize, Serialize};

use super::{
    Payment,
    charge::{LEASE_MS, delay_ms},
    settle::{Unsettled, settle},
    text_enum,
};
use crate::{
    Payments,
    provider::{ProviderPayment, Unknown},
    schema::refund,
};

/// How many refunds an instance makes at once.
pub(crate) const AT_ONCE: usize = 16;

/// How far a refund is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Enum, AsExpression, FromSqlRow)]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
#[diesel(sql_type = sql_types::Text)]
pub enum RefundStatus {
    /// The provider was or will be asked.
    Pending,
    /// The money is on its way back.
    Succeeded,
    /// The provider refused; nothing went back.
    Failed,
}

text_enum!(RefundStatus: Pending = "pending", Succeeded = "succeeded", Failed = "failed");

/// A row of `refund`.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = refund, check_for_backend(Pg))]
struct Refund {
    id: RefundId,
    payment_id: PaymentId,
    amount: i64,
    reason: Option<String>,
    status: RefundStatus,
    failure: Option<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// A refund to be made; the table's defaults make it due at once.
#[derive(Debug, Insertable)]
#[diesel(table_name = refund, check_for_backend(Pg))]
struct NewRefund {
    id: RefundId,
    payment_id: PaymentId,
    amount: i64,
    key: String,
    reason: Option<String>,
    requested_by: Option<UserId>,
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

/// What of a payment can still be given back, in minor units: what was captured, less what went back or is to. The
/// payment's row has to be locked.
async fn left(tx: &mut Tx, payment: PaymentId) -> Result<i64, DatabaseError> {
    #[derive(QueryableByName)]
    struct Left {
        #[diesel(sql_type = sql_types::BigInt)]
        amount: i64,
    }
    let left: Left = sql(
        "select (coalesce((select sum(amount) from transaction where payment_id = $1 and kind = 'capture'), 0)
               - coalesce((select sum(amount) from refund where payment_id = $1 and status <> 'failed'), 0))::bigint as amount",
    )
    .bind::<sql_types::Uuid, _>(payment)
    .get_result(tx)
    .await?;
    Ok(left.amount)
}

/// The key of what goes back because the order is off; it begins the key of each that takes its place.
pub(super) fn canceled_key(order: OrderId) -> String {
    format!("order:{order}:refund:canceled")
}

/// Queues giving back all that is left of a captured payment whose order is off, once per key. The payment's row has to
/// be locked.
pub(super) async fn queue_rest(
    tx: &mut Tx,
    payments: &Payments,
    payment: &Payment,
    key: String,
) -> Result<(), DatabaseError> {
    let amount = left(tx, payment.id).await?;
    if amount <= 0 {
        return Ok(());
    }
    let trace = Trace::current();
    let refund = NewRefund {
        id: RefundId::new(),
        payment_id: payment.id,
        amount,
        key,
        reason: None,
        requested_by: None,
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
    let claimed = sql("with due as materialized (
             select id from refund where status = 'pending' and next_try_at <= now()
             order by next_try_at limit $1 for update skip locked)
         update refund
         set tries = refund.tries + 1, next_try_at = now() + $2 * interval '1 millisecond', updated_at = now()
         from due, payment where refund.id = due.id and payment.id = refund.payment_id
         returning refund.id, refund.payment_id, payment.order_id, refund.amount, payment.currency, refund.key,
                   payment.provider_reference as charge, refund.tries, refund.traceparent, refund.request_id")
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
        let asked = ask(&payments, due.tries, (&due.charge, &due.key), Money::new(due.amount, due.currency)).await;
        let written = match write_down(&payments, due.payment_id, asked).await {
            Ok(false) => try_later(&payments.database, &due).await,
            Ok(true) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = written {
            tracing::warn!(%error, "not written down; it is looked up when the lease has run out");
        }
    };
    trace.scope(span, work).await;
}

/// Asks the provider to give back so much of `charge` under `key`, unless it was asked before and knows the answer.
pub(super) async fn ask(
    payments: &Payments,
    tries: i32,
    (charge, key): (&str, &str),
    amount: Money,
) -> Result<ProviderPayment, Unknown> {
    if tries > 1
        && let Some(seen) = payments.provider.payment(charge).await?
        && seen.operation(key).is_some()
    {
        return Ok(seen);
    }
    payments.provider.refund(key, charge, amount).await
}

/// Writes down what the provider said; false when it has to be asked again later.
pub(super) async fn write_down(
    payments: &Payments,
    payment_id: PaymentId,
    asked: Result<ProviderPayment, Unknown>,
) -> Result<bool, DatabaseError> {
    match asked {
        Ok(seen) => match settle(payments, payment_id, &seen, None).await {
            Ok(_settled) => Ok(true),
            Err(Unsettled::Database(error)) => Err(error),
            Err(Unsettled::Contradiction(reason)) => {
                tracing::error!(reason, "the provider contradicts what we know; somebody has to see to it");
                Ok(false)
            }
        },
        Err(Unknown(reason)) => {
            tracing::warn!(reason, "the outcome is not known; it will be looked up");
            Ok(false)
        }
    }
}

/// Ends the lease; the refund is due again after a delay that grows with each try.
async fn try_later(database: &Database, due: &Due) -> Result<(), DatabaseError> {
    let mut connection = database.connection().await?;
    // Only while the claim is ours: a later one has its own lease.
    sql("update refund set next_try_at = now() + $3 * interval '1 millisecond', updated_at = now()
         where id = $1 and tries = $2 and status = 'pending'")
    .bind::<sql_types::Uuid, _>(due.id)
    .bind::<sql_types::Integer, _>(due.tries)
    .bind::<sql_types::Integer, _>(delay_ms(due.tries))
    .execute(&mut connection)
    .await?;
    Ok(())
}
