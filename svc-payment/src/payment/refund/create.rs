//! Asking for a refund: never for more than is left.
//!
//! The payment's row is locked while what is left is reckoned, so of several requests at once each sees what the others were
//! granted. Nothing has gone back when the answer is given: the refund is `pending`, and a worker asks the provider.

use diesel::{OptionalExtension, QueryDsl, SelectableHelper, insert_into};
use diesel_async::RunQueryDsl;
use nats::{
    database::Tx,
    http::Created,
    idempotency::{Claim, IdempotencyKey, claim},
    identity::Identity,
    problem::{Code, Problem},
    telemetry::Trace,
    types::{Money, PaymentId, RefundId, Text},
};
use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use super::{NewRefund, Refund, api::RefundView, left};
use crate::{
    Payments,
    payment::{Payment, PaymentStatus},
    schema::{payment, refund},
};

/// A refund to be made.
#[derive(Debug, Clone, Serialize, Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields)]
pub(super) struct CreateRefund {
    /// How much is to go back: more than nothing, at most what is left of what was captured.
    amount: Money,
    /// Why, for those who look at it later.
    reason: Text<1, 500>,
}

/// Grants a refund and has it made.
pub(super) async fn create(
    payments: &Payments,
    identity: &Identity,
    payment: PaymentId,
    key: IdempotencyKey,
    request: CreateRefund,
) -> Result<Created<RefundView>, Problem> {
    let mut tx = payments.database.begin().await?;
    match create_in(&mut tx, payments, identity, payment, key, request).await {
        Ok(created) => {
            tx.commit().await?;
            Ok(created)
        }
        Err(problem) => {
            // Before the answer: whoever repeats the request at once is to find the key free.
            if let Err(error) = tx.roll_back().await {
                tracing::debug!(%error, "rolling back failed; the connection is lost, and what was written with it");
            }
            Err(problem)
        }
    }
}

async fn create_in(
    tx: &mut Tx,
    payments: &Payments,
    identity: &Identity,
    id: PaymentId,
    key: IdempotencyKey,
    request: CreateRefund,
) -> Result<Created<RefundView>, Problem> {
    let slot = match claim(tx, &identity.user, "create_refund", Some(key), &(id, &request)).await? {
        Claim::New(slot) => slot,
        Claim::Replay { location, body } => return Ok(Created { location, body, replayed: true }),
    };
    let payment: Option<Payment> =
        payment::table.find(id).select(Payment::as_select()).for_update().first(tx).await.optional()?;
    let payment = payment.ok_or_else(|| Problem::not_found("payment"))?;
    let amount = fitting(tx, &payment, request.amount).await?;
    let trace = Trace::current();
    let refund_id = RefundId::new();
    let granted = NewRefund {
        id: refund_id,
        payment_id: id,
        amount,
        key: format!("refund:{refund_id}"),
        reason: Some(request.reason.into_string()),
        requested_by: Some(identity.user),
        traceparent: trace.traceparent(),
        request_id: trace.request_id().to_owned(),
    };
    let row: Refund =
        insert_into(refund::table).values(&granted).returning(Refund::as_returning()).get_result(tx).await?;
    let location = format!("/v1/payments/{id}/refunds/{refund_id}");
    let view = RefundView::of(row, payment.currency);
    slot.store(tx, 201, &location, &view).await?;
    tx.wake(&payments.refunds);
    Ok(Created::new(location, view))
}

/// The amount, if so much can go back.
async fn fitting(tx: &mut Tx, payment: &Payment, amount: Money) -> Result<i64, Problem> {
    let total = payment.money();
    if amount.currency != payment.currency {
        return Err(Problem::invalid("/amount/currency", format!("the payment is in {}", payment.currency)));
    }
    if amount.amount <= 0 {
        return Err(Problem::invalid("/amount/amount", "the amount must be more than nothing"));
    }
    if payment.status != PaymentStatus::Succeeded {
        let detail = format!("The payment is {}: nothing was captured that could go back.", payment.status);
        return Err(Problem::new(Code::Conflict, detail));
    }
    let left = Money::new(left(tx, payment.id).await?, payment.currency);
    if amount.amount > left.amount {
        let detail =
            format!("{amount} cannot go back: of {total}, {left} is left that did not go back and is not about to.");
        return Err(Problem::new(Code::Conflict, detail).at("/amount/amount", format!("at most {}", left.amount)));
    }
    Ok(amount.amount)
}
