//! Refunds: staff grant them, those whose payment it is see them.

use chrono::{DateTime, Utc};
use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, SelectableHelper};
use diesel_async::RunQueryDsl;
use nats::{
    database::Connection,
    http::{Body, Created, Listed},
    idempotency::{IdempotencyKey, required},
    identity::{OrdersRefund, OwnerOr, PaymentsRead},
    problem::Problem,
    types::{Currency, Cursor, Limit, Money, Page, PaymentId, RefundId},
};
use poem::web::Data;
use poem_openapi::{
    Object, OpenApi,
    param::{Header, Path, Query},
};
use serde::{Deserialize, Serialize};

use super::{
    Refund, RefundStatus,
    create::{self, CreateRefund},
};
use crate::{
    Payments,
    payment::{Payment, api::Tag},
    schema::{payment, refund},
};

/// Money that goes back.
#[derive(Debug, Serialize, Deserialize, Object)]
#[oai(rename = "Refund")]
pub(crate) struct RefundView {
    /// Which.
    id: RefundId,
    /// Of which payment.
    payment_id: PaymentId,
    /// How much.
    amount: Money,
    /// Why; null when the order was canceled, or the refund was made at the provider.
    #[oai(nullable)]
    reason: Option<String>,
    /// How far it is.
    status: RefundStatus,
    /// What the provider said when it refused.
    #[oai(nullable)]
    failure: Option<String>,
    /// When it was asked for.
    created_at: DateTime<Utc>,
    /// When it last changed.
    updated_at: DateTime<Utc>,
}

impl RefundView {
    pub(super) fn of(row: Refund, currency: Currency) -> Self {
        Self {
            id: row.id,
            payment_id: row.payment_id,
            amount: Money::new(row.amount, currency),
            reason: row.reason,
            status: row.status,
            failure: row.failure,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// The endpoints of refunds.
pub(crate) struct RefundApi;

#[OpenApi(prefix_path = "/v1/payments", tag = "Tag::Payments")]
impl RefundApi {
    /// Refund a payment
    ///
    /// All of it or a part, several times if need be, as long as something is left of what was captured; else it is a
    /// `conflict` that tells how much is left. The refund is `pending` until the provider has answered; one that it
    /// refuses is `failed`, and what it was about can be asked for again.
    #[oai(path = "/:id/refunds", method = "post", operation_id = "create_refund")]
    async fn create(
        &self,
        Data(payments): Data<&Payments>,
        OrdersRefund(identity): OrdersRefund,
        /// Which payment.
        id: Path<PaymentId>,
        /// Required: a fresh random key per intended refund, the same when the request is repeated.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<IdempotencyKey>>,
        request: Body<CreateRefund>,
    ) -> Result<Created<RefundView>, Problem> {
        create::create(payments, &identity, id.0, required(key.0)?, request.0).await
    }

    /// List a payment's refunds
    ///
    /// Oldest first.
    #[oai(path = "/:id/refunds", method = "get", operation_id = "list_refunds")]
    async fn list(
        &self,
        Data(payments): Data<&Payments>,
        caller: OwnerOr<PaymentsRead>,
        /// Which payment.
        id: Path<PaymentId>,
        limit: Query<Limit>,
        /// The `next_cursor` of the page before.
        cursor: Query<Option<Cursor>>,
    ) -> Result<Listed<RefundView>, Problem> {
        let mut connection = payments.database.connection().await?;
        let currency = currency(&mut connection, &caller, id.0).await?;
        let mut query = refund::table.filter(refund::payment_id.eq(id.0)).into_boxed();
        if let Some(cursor) = cursor.0 {
            query = query.filter(refund::id.gt(cursor.after::<RefundId>()?));
        }
        let query = query.order(refund::id).limit(limit.0.rows());
        let rows: Vec<Refund> = query.select(Refund::as_select()).load(&mut connection).await?;
        Ok(Listed(Page::from_rows(rows, limit.0, |row| row.id, |row| RefundView::of(row, currency))?))
    }

    /// Get a refund
    #[oai(path = "/:id/refunds/:refund_id", method = "get", operation_id = "get_refund")]
    async fn get(
        &self,
        Data(payments): Data<&Payments>,
        caller: OwnerOr<PaymentsRead>,
        /// Which payment.
        id: Path<PaymentId>,
        /// Which of its refunds.
        refund_id: Path<RefundId>,
    ) -> Result<Body<RefundView>, Problem> {
        let mut connection = payments.database.connection().await?;
        let currency = currency(&mut connection, &caller, id.0).await?;
        let row = refund::table.find(refund_id.0).filter(refund::payment_id.eq(id.0)).select(Refund::as_select());
        let row: Option<Refund> = row.first(&mut connection).await.optional()?;
        row.map(|row| Body(RefundView::of(row, currency))).ok_or_else(|| Problem::not_found("refund"))
    }
}

/// The currency of a payment that the caller may see.
async fn currency(
    connection: &mut Connection,
    caller: &OwnerOr<PaymentsRead>,
    id: PaymentId,
) -> Result<Currency, Problem> {
    let payment = Payment::visible_to(caller).filter(payment::id.eq(id)).select(payment::currency);
    let currency: Option<Currency> = payment.first(connection).await.optional()?;
    currency.ok_or_else(|| Problem::not_found("payment"))
}
