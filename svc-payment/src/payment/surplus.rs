//! What the provider captured beyond what an order owes: set aside from the ledger, and given back by itself.
//!
//! A provider that breaks its own rules may capture twice for one key, or under a second charge of the same authorization.
//! The first capture is the order's: the one in the ledger, else the lowest in the provider's order. Each further one is a
//! row of `surplus`, goes back under a key of its own (`surplus:` and its reference), and is nothing that the order, the
//! customer's refunds or the events tell of.
//!
//! | `state` | what it means |
//! |---|---|
//! | `pending` | it is to go back |
//! | `refunded` | it went back |
//! | `failed` | the provider refuses for good; the audit tells people |
//!
//! Trap: a second charge that is only held is not touched: to void it is to void all that the key holds. It stays a
//! contradiction, for people.

use std::collections::HashSet;

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, QueryableByName, pg::Pg, sql_types};
use diesel_async::RunQueryDsl;
use nats::{
    database::{Database, DatabaseError, Tx, sql},
    telemetry::Trace,
    types::{Currency, Money, OrderId, PaymentId},
};

use super::{
    Payment, PaymentStatus, TransactionKind,
    charge::{LEASE_MS, delay_ms},
    refund,
};
use crate::{
    Payments,
    provider::{Operation, ProviderPayment},
    schema::transaction,
};

/// How many of them an instance gives back at once.
pub(crate) const AT_ONCE: usize = 4;

/// A claimed surplus.
#[derive(Debug, Clone, QueryableByName)]
#[diesel(check_for_backend(Pg))]
pub(crate) struct Due {
    #[diesel(sql_type = sql_types::Text)]
    reference: String,
    #[diesel(sql_type = sql_types::Uuid)]
    payment_id: PaymentId,
    #[diesel(sql_type = sql_types::Uuid)]
    order_id: OrderId,
    /// The provider's own name for what it was captured of.
    #[diesel(sql_type = sql_types::Text)]
    charge: String,
    #[diesel(sql_type = sql_types::BigInt)]
    amount: i64,
    #[diesel(sql_type = sql_types::Text)]
    currency: Currency,
    #[diesel(sql_type = sql_types::Text)]
    refund_key: String,
    #[diesel(sql_type = sql_types::Integer)]
    tries: i32,
    #[diesel(sql_type = sql_types::Text)]
    traceparent: String,
    #[diesel(sql_type = sql_types::Text)]
    request_id: String,
}

/// Writes down which captures are no part of the ledger, and what became of them; the provider's names of all operations
/// that are not to be in it. The payment's row has to be locked.
pub(super) async fn set_aside<'a>(
    tx: &mut Tx,
    payments: &Payments,
    payment: &Payment,
    seen: &'a ProviderPayment,
) -> Result<HashSet<&'a str>, DatabaseError> {
    let mut apart = HashSet::new();
    let taken = seen.operations.iter().filter(|one| one.kind == TransactionKind::Capture && one.refusal.is_none());
    let mut taken: Vec<&Operation> = taken.collect();
    taken.sort_by_key(|capture| capture.sequence);
    let [first, ..] = taken.as_slice() else { return Ok(apart) };
    let mut counts = None;
    if payment.provider_reference.as_ref().is_none_or(|known| *known == seen.reference) {
        let counted = match payment.status {
            PaymentStatus::Succeeded => counted(tx, payment.id).await?,
            _ => None,
        };
        let counted = counted.unwrap_or_else(|| first.reference.clone());
        if !taken.iter().any(|capture| capture.reference == counted) {
            // The provider has forgotten the one that counts: nothing goes back on the word of such a one.
            return Ok(apart);
        }
        counts = Some(counted);
    }
    for capture in taken {
        if counts.as_ref() == Some(&capture.reference) {
            continue;
        }
        let key = format!("surplus:{}", capture.reference);
        write_down(tx, payments, payment, seen, capture, &key).await?;
        apart.insert(capture.reference.as_str());
        for refund in seen.operations.iter().filter(|one| one.kind == TransactionKind::Refund && one.key == key) {
            note_refund(tx, capture, refund).await?;
            apart.insert(refund.reference.as_str());
        }
    }
    Ok(apart)
}

/// The capture that is in the ledger.
async fn counted(tx: &mut Tx, payment: PaymentId) -> Result<Option<String>, DatabaseError> {
    let capture = transaction::table
        .filter(transaction::payment_id.eq(payment))
        .filter(transaction::kind.eq(TransactionKind::Capture))
        .select(transaction::provider_reference);
    Ok(capture.first(tx).await.optional()?)
}

async fn write_down(
    tx: &mut Tx,
    payments: &Payments,
    payment: &Payment,
    seen: &ProviderPayment,
    capture: &Operation,
    key: &str,
) -> Result<(), DatabaseError> {
    let trace = Trace::current();
    let new = sql(
        "insert into surplus (reference, payment_id, charge, amount, currency, refund_key, traceparent, request_id)
         values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing",
    )
    .bind::<sql_types::Text, _>(&capture.reference)
    .bind::<sql_types::Uuid, _>(payment.id)
    .bind::<sql_types::Text, _>(&seen.reference)
    .bind::<sql_types::BigInt, _>(capture.amount.amount)
    .bind::<sql_types::Text, _>(capture.amount.currency)
    .bind::<sql_types::Text, _>(key)
    .bind::<sql_types::Text, _>(trace.traceparent())
    .bind::<sql_types::Text, _>(trace.request_id())
    .execute(tx)
    .await?;
    if new > 0 {
        tracing::error!(
            payment = %payment.id, capture = capture.reference, amount = %capture.amount,
            "the provider captured more than once; what is too much goes back"
        );
        tx.wake(&payments.surplus);
    }
    Ok(())
}

/// What the provider said to giving it back.
async fn note_refund(tx: &mut Tx, capture: &Operation, refund: &Operation) -> Result<(), DatabaseError> {
    let (state, reference) = match refund.refusal {
        None => ("refunded", Some(&refund.reference)),
        Some(_) => ("failed", None),
    };
    let noted = sql("update surplus
         set state = $2, refund_reference = $3, failure = $4, next_try_at = null, updated_at = now()
         where reference = $1 and state = 'pending'")
    .bind::<sql_types::Text, _>(&capture.reference)
    .bind::<sql_types::Text, _>(state)
    .bind::<sql_types::Nullable<sql_types::Text>, _>(reference)
    .bind::<sql_types::Nullable<sql_types::Text>, _>(&refund.refusal)
    .execute(tx)
    .await?;
    match &refund.refusal {
        _ if noted == 0 => {}
        None => tracing::info!(capture = capture.reference, amount = %refund.amount, "a surplus went back"),
        Some(reason) => {
            tracing::error!(
                capture = capture.reference,
                reason,
                "a surplus is not taken back; somebody has to see to it"
            );
        }
    }
    Ok(())
}

/// Takes the oldest that are due, for the time of a lease. One statement, its own transaction.
pub(crate) async fn claim(payments: Payments, at_most: i64) -> Result<Vec<Due>, DatabaseError> {
    let mut connection = payments.database.connection().await?;
    let claimed = sql("with due as materialized (
             select reference from surplus where state = 'pending' and next_try_at <= now()
             order by next_try_at limit $1 for update skip locked)
         update surplus
         set tries = surplus.tries + 1, next_try_at = now() + $2 * interval '1 millisecond', updated_at = now()
         from due, payment where surplus.reference = due.reference and payment.id = surplus.payment_id
         returning surplus.reference, surplus.payment_id, payment.order_id, surplus.charge, surplus.amount,
                   surplus.currency, surplus.refund_key, surplus.tries, surplus.traceparent, surplus.request_id")
    .bind::<sql_types::BigInt, _>(at_most)
    .bind::<sql_types::Integer, _>(LEASE_MS)
    .load(&mut connection)
    .await?;
    Ok(claimed)
}

/// Gives one back, as part of the trace of what found it. What fails here is tried again later.
pub(crate) async fn give_back(payments: Payments, due: Due) {
    let trace = Trace::continued(Some(&due.traceparent), Some(&due.request_id));
    let span = tracing::info_span!(
        "surplus", capture = due.reference, payment = %due.payment_id, order = %due.order_id, tries = due.tries,
        request_id = trace.request_id(), trace_id = %trace
    );
    let work = async {
        let amount = Money::new(due.amount, due.currency);
        let asked = refund::ask(&payments, due.tries, (&due.charge, &due.refund_key), amount).await;
        let written = match refund::write_down(&payments, due.payment_id, asked).await {
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

/// Ends the lease; it is due again after a delay that grows with each try.
async fn try_later(database: &Database, due: &Due) -> Result<(), DatabaseError> {
    let mut connection = database.connection().await?;
    // Only while the claim is ours: a later one has its own lease.
    sql("update surplus set next_try_at = now() + $3 * interval '1 millisecond', updated_at = now()
         where reference = $1 and tries = $2 and state = 'pending'")
    .bind::<sql_types::Text, _>(&due.reference)
    .bind::<sql_types::Integer, _>(due.tries)
    .bind::<sql_types::Integer, _>(delay_ms(due.tries))
    .execute(&mut connection)
    .await?;
    Ok(())
}
