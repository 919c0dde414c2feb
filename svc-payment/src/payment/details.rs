//! What other services may ask: how a payment stands.

use diesel::{OptionalExtension, QueryableByName, pg::Pg, sql_query, sql_types};
use diesel_async::RunQueryDsl;
use nats::{
    contracts::{
        Never,
        payment::{AuditPayments, AuditedPayment, AuditedPayments, GetPayment, PaymentDetails, PaymentProgress},
        user::Unknown,
    },
    invoke::CallError,
    types::{Currency, Money, OrderId, PaymentId},
};

use super::PaymentStatus;
use crate::Payments;

/// The most payments that one page has.
const PAGE: i64 = 1000;

#[derive(QueryableByName)]
#[diesel(check_for_backend(Pg))]
struct Sums {
    #[diesel(sql_type = sql_types::Uuid)]
    id: PaymentId,
    #[diesel(sql_type = sql_types::Uuid)]
    order_id: OrderId,
    #[diesel(sql_type = sql_types::Text)]
    status: PaymentStatus,
    #[diesel(sql_type = sql_types::Text)]
    currency: Currency,
    #[diesel(sql_type = sql_types::BigInt)]
    captured: i64,
    #[diesel(sql_type = sql_types::BigInt)]
    refunded: i64,
    #[diesel(sql_type = sql_types::BigInt)]
    refund_pending: i64,
}

const SUMS: &str = "select id, order_id, status, currency,
    coalesce((select sum(amount) from transaction where payment_id = payment.id and kind = 'capture'), 0)::bigint as captured,
    coalesce((select sum(amount) from transaction where payment_id = payment.id and kind = 'refund'), 0)::bigint as refunded,
    coalesce((select sum(amount) from refund where payment_id = payment.id and status = 'pending'), 0)::bigint
        as refund_pending
    from payment";

/// How the payment of an order stands.
pub(crate) async fn get(payments: Payments, question: GetPayment) -> Result<PaymentDetails, CallError<Unknown>> {
    let mut connection = payments.database.connection().await?;
    let sums: Option<Sums> = sql_query(format!("{SUMS} where order_id = $1"))
        .bind::<sql_types::Uuid, _>(question.order_id)
        .get_result(&mut connection)
        .await
        .optional()?;
    let sums = sums.ok_or(CallError::Refused(Unknown::Unknown))?;
    Ok(PaymentDetails {
        payment_id: sums.id,
        progress: match sums.status {
            PaymentStatus::Processing => PaymentProgress::Processing,
            PaymentStatus::RequiresCapture => PaymentProgress::Authorized,
            PaymentStatus::Succeeded => PaymentProgress::Captured,
            PaymentStatus::Failed => PaymentProgress::Failed,
            PaymentStatus::Canceled => PaymentProgress::Canceled,
        },
        captured: Money::new(sums.captured, sums.currency),
        refunded: Money::new(sums.refunded, sums.currency),
    })
}

/// A page of all payments.
pub(crate) async fn page(payments: Payments, question: AuditPayments) -> Result<AuditedPayments, CallError<Never>> {
    let mut connection = payments.database.connection().await?;
    let after = question.after.map_or(uuid::Uuid::nil(), OrderId::uuid);
    let rows: Vec<Sums> = sql_query(format!("{SUMS} where order_id > $1 order by order_id limit $2"))
        .bind::<sql_types::Uuid, _>(after)
        .bind::<sql_types::BigInt, _>(question.limit.clamp(1, PAGE))
        .load(&mut connection)
        .await?;
    let audited = rows.into_iter().map(|sums| AuditedPayment {
        order_id: sums.order_id,
        status: sums.status.to_string(),
        captured: Money::new(sums.captured, sums.currency),
        refunded: Money::new(sums.refunded, sums.currency),
        refund_pending: Money::new(sums.refund_pending, sums.currency),
    });
    Ok(AuditedPayments { payments: audited.collect() })
}
