//! Charging what is due, step by step: authorize, capture; or void, when the order was canceled meanwhile.
//!
//! | the payment | the order is not canceled | it is |
//! |---|---|---|
//! | `processing` | authorize | void |
//! | `requires_capture` | capture | void |
//! | `requires_capture`, the capture was declined | void, and it failed | void |
//! | `succeeded` | — | its refund is queued with that |
//!
//! Each answer is written down by [`super::settle`] before the next step, so a crash at any line leaves a payment whose state
//! tells how far it was, or whose provider does. A claim is committed before the provider is asked: whoever finds the payment
//! afterwards knows that it may have been asked, and looks there before anything else. The lease keeps two instances from
//! asking at once; should it run out, the keys and the row lock still let each step take effect once.
//!
//! Trap: a real provider forgets keys (often after 24 hours). A payment that is older is a case for the lookup and for
//! people, not for another authorization.

use diesel::{QueryableByName, pg::Pg, sql_types};
use diesel_async::RunQueryDsl;
use nats::{
    database::{Database, DatabaseError, sql},
    telemetry::Trace,
};

use super::{
    Payment, PaymentStatus, TransactionKind, payment_columns,
    settle::{Settled, Unsettled, settle},
};
use crate::{
    Payments,
    provider::{ProviderPayment, Unknown},
};

/// How many payments an instance charges at once: a slow answer of the provider does not hold up the rest.
pub(crate) const AT_ONCE: usize = 64;
/// How long a claimed payment is left to its claimer: a look and a step, and time to write down what came of it.
pub(super) const LEASE_MS: i32 = 5_000;
/// The longest that anything is put off after an answer that was lost.
const LONGEST_DELAY_MS: i32 = 10_000;
/// More steps than this, one after the other, make no sense.
const MOST_STEPS: usize = 4;

/// A payment that a worker has for the time of a lease.
#[derive(Debug, Clone, QueryableByName)]
#[diesel(check_for_backend(Pg))]
pub(crate) struct Claimed {
    #[diesel(embed)]
    payment: Payment,
    /// Whether its order was canceled.
    #[diesel(sql_type = sql_types::Bool)]
    canceled: bool,
}

/// Takes the oldest payments that are due, for the time of a lease. One statement, its own transaction.
pub(crate) async fn claim(payments: Payments, at_most: i64) -> Result<Vec<Claimed>, DatabaseError> {
    let mut connection = payments.database.connection().await?;
    let claimed = sql(concat!(
        "with due as materialized (
             select id from payment where next_try_at <= now() order by next_try_at limit $1 for update skip locked)
         update payment
         set tries = tries + 1, next_try_at = now() + $2 * interval '1 millisecond', updated_at = now()
         from due where payment.id = due.id
         returning ",
        payment_columns!(),
        ", exists (select from canceled_order where order_id = payment.order_id) as canceled"
    ))
    .bind::<sql_types::BigInt, _>(at_most)
    .bind::<sql_types::Integer, _>(LEASE_MS)
    .load(&mut connection)
    .await?;
    Ok(claimed)
}

/// Why a payment is left as it is for now.
enum Halt {
    /// It is not known what the provider did.
    Unknown(String),
    /// What it did cannot be written down now; the lease runs out.
    Database(DatabaseError),
    /// What it says cannot be so.
    Contradiction(String),
}

impl From<Unknown> for Halt {
    fn from(Unknown(reason): Unknown) -> Self {
        Self::Unknown(reason)
    }
}

impl From<Unsettled> for Halt {
    fn from(unsettled: Unsettled) -> Self {
        match unsettled {
            Unsettled::Database(error) => Self::Database(error),
            Unsettled::Contradiction(reason) => Self::Contradiction(reason),
        }
    }
}

/// Charges one payment, as part of the trace of the order that asked for it. What fails here is tried again later.
pub(crate) async fn charge(payments: Payments, Claimed { payment, canceled }: Claimed) {
    let trace = Trace::continued(Some(&payment.traceparent), Some(&payment.request_id));
    let span = tracing::info_span!(
        "charge", payment = %payment.id, order = %payment.order_id, tries = payment.tries,
        request_id = trace.request_id(), trace_id = %trace
    );
    let work = async {
        let (id, tries) = (payment.id, payment.tries);
        let written = match advance(&payments, payment, canceled).await {
            Ok(()) => Ok(()),
            Err(Halt::Database(error)) => Err(error),
            Err(Halt::Unknown(reason)) => {
                tracing::warn!(reason, "the outcome is not known; it will be looked up");
                try_later(&payments.database, id, tries).await
            }
            Err(Halt::Contradiction(reason)) => {
                tracing::error!(reason, "the provider contradicts what we know; somebody has to see to it");
                try_later(&payments.database, id, tries).await
            }
        };
        if let Err(error) = written {
            tracing::warn!(%error, "not written down; it is looked up when the lease has run out");
        }
    };
    trace.scope(span, work).await;
}

/// What is to be asked of the provider next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Authorize,
    Capture,
    Void,
    /// Nothing: it is settled.
    Rest,
    /// Nothing: the provider should know it, and does not.
    Lost,
}

impl Step {
    /// By the payment's state, and what was seen of it at the provider before that was written down.
    fn next(payment: &Payment, canceled: bool, seen: Option<&ProviderPayment>) -> Self {
        match (payment.status, seen) {
            (PaymentStatus::Processing | PaymentStatus::RequiresCapture, _) if canceled => Self::Void,
            (PaymentStatus::Processing, None) => Self::Authorize,
            (PaymentStatus::RequiresCapture, Some(seen)) => {
                if seen.refused(&payment.key(TransactionKind::Capture)) {
                    Self::Void
                } else {
                    Self::Capture
                }
            }
            (PaymentStatus::Processing, Some(_)) | (PaymentStatus::RequiresCapture, None) => Self::Lost,
            _ => Self::Rest,
        }
    }
}

/// Goes step by step until nothing is left to be asked.
async fn advance(payments: &Payments, mut payment: Payment, mut canceled: bool) -> Result<(), Halt> {
    let (id, tries) = (payment.id, payment.tries);
    let authorization = payment.key(TransactionKind::Authorize);
    let mut seen = match tries {
        // Nobody was here before.
        1 => None,
        _ => payments.provider.find(&authorization).await?,
    };
    for _ in 0..MOST_STEPS {
        if let Some(seen) = &seen {
            Settled { payment, canceled } = settle(payments, id, seen, Some(tries)).await?;
        }
        let (step, amount) = (Step::next(&payment, canceled, seen.as_ref()), payment.money());
        let reference = payment.provider_reference.as_deref().unwrap_or_default();
        let answer = match step {
            Step::Authorize => payments.provider.authorize(&authorization, amount, &payment.method).await,
            Step::Capture => payments.provider.capture(&payment.key(TransactionKind::Capture), reference, amount).await,
            Step::Void => payments.provider.void(&payment.key(TransactionKind::Void), &authorization, amount).await,
            Step::Rest => return Ok(()),
            Step::Lost => {
                return Err(Halt::Contradiction(format!(
                    "it is {}, and the provider does not know it",
                    payment.status
                )));
            }
        };
        seen = Some(answer?);
    }
    Err(Halt::Contradiction(format!("it is {} after {MOST_STEPS} steps", payment.status)))
}

/// Ends the lease; the payment is due again after a delay that grows with each try.
async fn try_later(database: &Database, id: nats::types::PaymentId, tries: i32) -> Result<(), DatabaseError> {
    let mut connection = database.connection().await?;
    // Only while the claim is ours: a later one has its own lease.
    sql("update payment set next_try_at = now() + $3 * interval '1 millisecond', updated_at = now()
         where id = $1 and tries = $2 and next_try_at is not null")
    .bind::<sql_types::Uuid, _>(id)
    .bind::<sql_types::Integer, _>(tries)
    .bind::<sql_types::Integer, _>(delay_ms(tries))
    .execute(&mut connection)
    .await?;
    Ok(())
}

/// 100 ms after the first try, doubled with each further one, at most ten seconds.
pub(crate) fn delay_ms(tries: i32) -> i32 {
    let doublings = u32::try_from(tries.clamp(1, 16)).unwrap_or_default().saturating_sub(1);
    100_i32.saturating_mul(1 << doublings).min(LONGEST_DELAY_MS)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests;
