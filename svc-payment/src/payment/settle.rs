//! Writing down what the provider has done: the one way in which a payment moves.
//!
//! Whoever has seen a payment at the provider (the worker that asked, the one that looked up a lost answer, a webhook's, the
//! reconciliation) comes here with what it saw. Ledger, status, refunds and events are written in one transaction under the
//! payment's row lock; what is known already changes nothing. So it does not matter who comes, how often, and in which order.
//!
//! Trap: what was seen may be old. Only what it has more of than we do is news.

pub(crate) mod together;

use std::{collections::HashSet, sync::Arc};

use diesel::{
    ExpressionMethods, Insertable, OptionalExtension, QueryDsl, QueryableByName, SelectableHelper, insert_into,
    result::{DatabaseErrorKind, Error},
    sql_types,
};
use diesel_async::RunQueryDsl;
use nats::{
    batch::BatchError,
    contracts::payment::{DeclineReason, PaymentCaptured, PaymentFailed, PaymentRefunded},
    database::{Database, DatabaseError, Tx, sql},
    telemetry::Trace,
    types::{OrderId, PaymentId, RefundId},
};

use super::{Payment, PaymentStatus, TransactionKind, cancel, charge::LEASE_MS, payment_columns, refund, surplus};
use crate::{
    Payments,
    provider::{Operation, ProviderPayment},
    schema::{payment, transaction},
};
use together::Sight;

/// Where a payment stands once all that was seen is written down.
#[derive(Debug)]
pub(crate) struct Settled {
    /// As it is now.
    pub(crate) payment: Payment,
    /// Whether its order was canceled.
    pub(crate) canceled: bool,
}

/// Why nothing was written down.
#[derive(Debug)]
pub(crate) enum Unsettled {
    /// The database's fault; it can be tried again.
    Database(DatabaseError),
    /// What the provider says cannot be so, as far as we know. People have to see to it.
    Contradiction(String),
}

impl From<DatabaseError> for Unsettled {
    fn from(error: DatabaseError) -> Self {
        Self::Database(error)
    }
}

impl From<Error> for Unsettled {
    fn from(error: Error) -> Self {
        Self::Database(error.into())
    }
}

/// An effect on money, to be written down.
#[derive(Debug, Insertable)]
#[diesel(table_name = transaction)]
struct NewTransaction<'a> {
    payment_id: PaymentId,
    kind: TransactionKind,
    amount: i64,
    provider_reference: &'a str,
}

/// The row of a refund.
#[derive(QueryableByName)]
struct Given {
    #[diesel(sql_type = sql_types::Uuid)]
    id: RefundId,
}

/// Our payment that the provider means, if it is one of ours.
pub(crate) async fn locate(database: &Database, seen: &ProviderPayment) -> Result<Option<PaymentId>, DatabaseError> {
    let Some(order) = meant(&seen.authorization) else { return Ok(None) };
    let mut connection = database.connection().await?;
    let ours = payment::table.filter(payment::order_id.eq(order)).select(payment::id);
    Ok(ours.first(&mut connection).await.optional()?)
}

/// The order in the key of an authorization; see [`Payment::key`].
fn meant(authorization: &str) -> Option<OrderId> {
    authorization.strip_prefix("order:")?.strip_suffix(":authorize")?.parse().ok()
}

/// Writes down what was seen of a payment. `claimed` is the try of the worker that has it, whose lease begins anew.
pub(crate) async fn settle(
    payments: &Payments,
    id: PaymentId,
    seen: &ProviderPayment,
    claimed: Option<i32>,
) -> Result<Settled, Unsettled> {
    if together::is_plain(seen) {
        let sight = Sight { id, seen: Arc::new(seen.clone()), claimed, trace: Trace::current() };
        match payments.settler.ask(sight).await {
            Ok(Some(settled)) => return Ok(settled),
            Err(BatchError::Database(error)) if error.is_unavailable() => return Err(error.into()),
            // What is wrong with it shows when it is written down by itself.
            Ok(None) | Err(_) => {}
        }
    }
    settle_alone(payments, id, seen, claimed).await
}

/// As [`settle`], in a transaction of its own.
async fn settle_alone(
    payments: &Payments,
    id: PaymentId,
    seen: &ProviderPayment,
    claimed: Option<i32>,
) -> Result<Settled, Unsettled> {
    let mut tx = payments.database.begin().await?;
    let settled = settle_in(&mut tx, payments, id, seen, claimed).await;
    match settled {
        Ok(settled) => {
            tx.commit().await?;
            Ok(settled)
        }
        Err(error) => {
            tx.roll_back().await?;
            Err(error)
        }
    }
}

async fn settle_in(
    tx: &mut Tx,
    payments: &Payments,
    id: PaymentId,
    seen: &ProviderPayment,
    claimed: Option<i32>,
) -> Result<Settled, Unsettled> {
    let before: Payment = payment::table.find(id).select(Payment::as_select()).for_update().first(tx).await?;
    if let Some(contradiction) = contradiction(&before, seen) {
        return Err(Unsettled::Contradiction(contradiction));
    }
    // Asked with the row locked: whoever cancels from now on waits for us, and finds what we write.
    let canceled = cancel::is_canceled(tx, before.order_id).await?;
    let apart = surplus::set_aside(tx, payments, &before, seen).await?;
    if let Some(known) = &before.provider_reference
        && *known != seen.reference
    {
        // A second charge under our key: what was taken with it goes back, and nothing of it is the order's.
        return if apart.is_empty() {
            Err(Unsettled::Contradiction(format!(
                "the provider calls it {}, and called it {known} before",
                seen.reference
            )))
        } else {
            Ok(Settled { payment: before, canceled })
        };
    }
    let ours: Vec<&Operation> =
        seen.operations.iter().filter(|operation| !apart.contains(operation.reference.as_str())).collect();
    let news = write_ledger(tx, id, &ours).await?;
    let status = before.status.after(seen.status, canceled);
    if status == before.status && news.is_empty() && claimed.is_none() {
        settle_refusals(tx, payments, &before, canceled, &ours).await?;
        return Ok(Settled { payment: before, canceled });
    }
    let reason = declined(&before, status, seen);
    let after = move_to(tx, &before, status, &seen.reference, reason, claimed).await?;
    for operation in &ours {
        if operation.kind == TransactionKind::Refund && news.contains(operation.reference.as_str()) {
            give_back(tx, &after, operation).await?;
        }
    }
    settle_refusals(tx, payments, &after, canceled, &ours).await?;
    if status != before.status {
        tell(tx, &after).await?;
        let given_up = matches!(before.status, PaymentStatus::Failed | PaymentStatus::Canceled);
        if status == PaymentStatus::Succeeded && (canceled || given_up) {
            refund::queue_rest(tx, payments, &after, refund::canceled_key(after.order_id)).await?;
        }
    }
    Ok(Settled { payment: after, canceled })
}

/// Why a payment that comes to `status` was declined, if it was.
fn declined(before: &Payment, status: PaymentStatus, seen: &ProviderPayment) -> Option<DeclineReason> {
    let reason = || before.decline_reason.or(seen.decline_reason).unwrap_or(DeclineReason::Declined);
    (status == PaymentStatus::Failed).then(reason)
}

/// What of this cannot be so.
fn contradiction(payment: &Payment, seen: &ProviderPayment) -> Option<String> {
    if seen.authorization != payment.key(TransactionKind::Authorize) {
        Some(format!("{} is not the authorization of {}", seen.authorization, payment.id))
    } else if seen.amount != payment.money() {
        Some(format!("it is about {} at the provider, and about {} here", seen.amount, payment.money()))
    } else {
        None
    }
}

/// Adds what was done and is not in the ledger yet; the provider's names of that.
async fn write_ledger(tx: &mut Tx, id: PaymentId, operations: &[&Operation]) -> Result<HashSet<String>, Unsettled> {
    let done = operations.iter().filter(|operation| operation.refusal.is_none());
    let effects: Vec<NewTransaction<'_>> = done
        .map(|operation| NewTransaction {
            payment_id: id,
            kind: operation.kind,
            amount: operation.amount.amount,
            provider_reference: &operation.reference,
        })
        .collect();
    let written = insert_into(transaction::table)
        .values(&effects)
        .on_conflict(transaction::provider_reference)
        .do_nothing()
        .returning(transaction::provider_reference)
        .get_results(tx)
        .await;
    match written {
        Ok(references) => Ok(HashSet::<String>::from_iter(references)),
        // The ledger's own guard: nothing is written that does not add up.
        Err(Error::DatabaseError(DatabaseErrorKind::UniqueViolation | DatabaseErrorKind::CheckViolation, why)) => {
            Err(Unsettled::Contradiction(why.message().to_owned()))
        }
        Err(error) => Err(error.into()),
    }
}

/// The payment in its new state; what is open stays with the worker that has it, for another lease.
async fn move_to(
    tx: &mut Tx,
    before: &Payment,
    status: PaymentStatus,
    reference: &str,
    reason: Option<DeclineReason>,
    claimed: Option<i32>,
) -> Result<Payment, Unsettled> {
    let after = sql(concat!(
        "update payment
         set status = $2, provider_reference = $3, decline_reason = $4, updated_at = now(),
             next_try_at = case when $2 in ('processing', 'requires_capture')
                 then case when tries = $5 then now() + $6 * interval '1 millisecond' else next_try_at end end
         where id = $1 returning ",
        payment_columns!()
    ))
    .bind::<sql_types::Uuid, _>(before.id)
    .bind::<sql_types::Text, _>(status)
    .bind::<sql_types::Text, _>(reference)
    .bind::<sql_types::Nullable<sql_types::Text>, _>(reason)
    .bind::<sql_types::Nullable<sql_types::Integer>, _>(claimed)
    .bind::<sql_types::Integer, _>(LEASE_MS)
    .get_result(tx)
    .await?;
    Ok(after)
}

/// The event of a payment's new state.
async fn tell(tx: &mut Tx, payment: &Payment) -> Result<(), Unsettled> {
    let (payment_id, order_id, user_id, amount) = (payment.id, payment.order_id, payment.user_id, payment.money());
    match (payment.status, payment.decline_reason) {
        (PaymentStatus::Succeeded, _) => {
            tx.record(&PaymentCaptured { payment_id, order_id, user_id, amount }).await?;
            tracing::info!(payment = %payment.id, %amount, "captured");
        }
        (PaymentStatus::Failed, Some(reason)) => {
            tx.record(&PaymentFailed { payment_id, order_id, user_id, reason }).await?;
            tracing::info!(payment = %payment.id, %reason, "declined");
        }
        (status, _) => tracing::info!(payment = %payment.id, %status, "moved"),
    }
    Ok(())
}

/// A refund that the provider made: ours by its key, or one that was made there without us.
async fn give_back(tx: &mut Tx, payment: &Payment, operation: &Operation) -> Result<(), Unsettled> {
    let trace = Trace::current();
    let given: Given = sql(
        "insert into refund (id, payment_id, amount, key, status, provider_reference, next_try_at, traceparent, request_id)
         values ($1, $2, $3, $4, 'succeeded', $5, null, $6, $7)
         on conflict (key) do update
         set status = excluded.status, provider_reference = excluded.provider_reference, failure = null,
             next_try_at = null, updated_at = now()
         returning id",
    )
    .bind::<sql_types::Uuid, _>(RefundId::new())
    .bind::<sql_types::Uuid, _>(payment.id)
    .bind::<sql_types::BigInt, _>(operation.amount.amount)
    .bind::<sql_types::Text, _>(&operation.key)
    .bind::<sql_types::Text, _>(&operation.reference)
    .bind::<sql_types::Text, _>(trace.traceparent())
    .bind::<sql_types::Text, _>(trace.request_id())
    .get_result(tx)
    .await?;
    let (payment_id, order_id, refund_id, amount) = (payment.id, payment.order_id, given.id, operation.amount);
    tx.record(&PaymentRefunded { payment_id, order_id, refund_id, amount }).await?;
    tracing::info!(payment = %payment.id, refund = %refund_id, %amount, "refunded");
    Ok(())
}

/// Refunds that the provider refused for good change their own rows only: the money is still ours. Of a canceled order it
/// has to go back all the same, so what such a refund had promised is promised anew; unless that was what failed.
async fn settle_refusals(
    tx: &mut Tx,
    payments: &Payments,
    payment: &Payment,
    canceled: bool,
    operations: &[&Operation],
) -> Result<(), Unsettled> {
    let cancellation = refund::canceled_key(payment.order_id);
    for operation in operations.iter().filter(|operation| operation.kind == TransactionKind::Refund) {
        let Some(reason) = &operation.refusal else { continue };
        let failed: Option<Given> =
            sql("update refund set status = 'failed', failure = $2, next_try_at = null, updated_at = now()
             where key = $1 and status = 'pending' returning id")
            .bind::<sql_types::Text, _>(&operation.key)
            .bind::<sql_types::Text, _>(reason)
            .get_result(tx)
            .await
            .optional()?;
        let Some(failed) = failed else { continue };
        tracing::error!(key = operation.key, reason, "the provider refuses to refund; somebody has to see to it");
        if canceled && !operation.key.starts_with(&cancellation) {
            refund::queue_rest(tx, payments, payment, format!("{cancellation}:{}", failed.id)).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn an_authorizations_key_names_the_order() {
        let order = OrderId::new();
        assert_eq!(meant(&format!("order:{order}:authorize")), Some(order));
        for key in ["", "order:", "order:x:authorize", &format!("order:{order}:capture"), &format!("{order}:authorize")]
        {
            assert_eq!(meant(key), None, "{key}");
        }
    }
}
