//! Payments, for those whose order it is.

use chrono::{DateTime, Utc};
use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, SelectableHelper};
use diesel_async::RunQueryDsl;
use nats::{
    contracts::{order::GetOrder, payment::DeclineReason},
    http::Body,
    identity::{OwnerOr, PaymentsRead},
    problem::Problem,
    types::{Money, OrderId, PaymentId},
};
use poem::web::Data;
use poem_openapi::{Object, OpenApi, Tags, param::Path};
use serde::{Deserialize, Serialize};

use super::{Payment, PaymentStatus, Transaction, TransactionKind};
use crate::{Payments, schema::payment};

/// The chapters of the document.
#[derive(Tags)]
pub(crate) enum Tag {
    /// What was charged.
    Payments,
}

/// The payment of an order.
#[derive(Debug, Serialize, Deserialize, Object)]
#[oai(rename = "Payment")]
pub struct PaymentView {
    /// Which.
    id: PaymentId,
    /// For which order.
    order_id: OrderId,
    /// How much.
    amount: Money,
    /// How much of it went back, of what was taken.
    refunded: Money,
    /// The payment method's token.
    method: String,
    /// How far it is.
    status: PaymentStatus,
    /// Why it was declined, when it was.
    #[oai(nullable)]
    decline_reason: Option<DeclineReason>,
    /// The provider's own name for the payment, once it is known.
    #[oai(nullable)]
    provider_reference: Option<String>,
    /// When the order asked for it.
    created_at: DateTime<Utc>,
    /// When it last changed.
    updated_at: DateTime<Utc>,
    /// Every effect on money, oldest first.
    transactions: Vec<TransactionView>,
}

/// An effect on money.
#[derive(Debug, Serialize, Deserialize, Object)]
#[oai(rename = "PaymentTransaction")]
pub struct TransactionView {
    /// What happened.
    kind: TransactionKind,
    /// How much.
    amount: Money,
    /// The provider's own name for it.
    provider_reference: String,
    /// When.
    created_at: DateTime<Utc>,
}

/// The payments of one order.
#[derive(Debug, Serialize, Deserialize, Object)]
pub struct OrderPayments {
    /// Oldest first.
    data: Vec<PaymentView>,
}

impl PaymentView {
    fn of(payment: Payment, ledger: Vec<Transaction>) -> Self {
        let refunds = ledger.iter().filter(|row| row.kind == TransactionKind::Refund);
        let refunded = refunds.fold(0_i64, |sum, row| sum.saturating_add(row.amount));
        let transactions = ledger.into_iter().map(|row| TransactionView {
            kind: row.kind,
            amount: Money::new(row.amount, payment.currency),
            provider_reference: row.provider_reference,
            created_at: row.created_at,
        });
        Self {
            id: payment.id,
            order_id: payment.order_id,
            amount: payment.money(),
            refunded: Money::new(refunded, payment.currency),
            status: payment.status,
            decline_reason: payment.decline_reason,
            created_at: payment.created_at,
            updated_at: payment.updated_at,
            transactions: transactions.collect(),
            method: payment.method,
            provider_reference: payment.provider_reference,
        }
    }
}

/// The endpoints of payments.
pub struct PaymentApi;

#[OpenApi(prefix_path = "/v1", tag = "Tag::Payments")]
impl PaymentApi {
    /// List an order's payments
    ///
    /// With every effect on money, refunds too. A payment appears moments after its order was placed; until then the
    /// list is empty. An order that is not yours is 404.
    #[oai(path = "/orders/:order_id/payments", method = "get", operation_id = "list_order_payments")]
    async fn list(
        &self,
        Data(payments): Data<&Payments>,
        caller: OwnerOr<PaymentsRead>,
        /// Which order.
        order_id: Path<OrderId>,
    ) -> Result<Body<OrderPayments>, Problem> {
        let mut connection = payments.database.connection().await?;
        let payment: Option<Payment> = Payment::visible_to(&caller)
            .filter(payment::order_id.eq(order_id.0))
            .select(Payment::as_select())
            .first(&mut connection)
            .await
            .optional()?;
        let Some(payment) = payment else {
            // Nobody waits for another service with a connection in hand.
            drop(connection);
            return none_yet(payments, &caller, order_id.0).await.map(Body);
        };
        let ledger = payment.ledger(&mut connection).await?;
        Ok(Body(OrderPayments { data: vec![PaymentView::of(payment, ledger)] }))
    }

    /// Get a payment
    ///
    /// With every effect on money.
    #[oai(path = "/payments/:id", method = "get", operation_id = "get_payment")]
    async fn get(
        &self,
        Data(payments): Data<&Payments>,
        caller: OwnerOr<PaymentsRead>,
        /// Which.
        id: Path<PaymentId>,
    ) -> Result<Body<PaymentView>, Problem> {
        let mut connection = payments.database.connection().await?;
        let query = Payment::visible_to(&caller).filter(payment::id.eq(id.0)).select(Payment::as_select());
        let payment: Option<Payment> = query.first(&mut connection).await.optional()?;
        let payment = payment.ok_or_else(|| Problem::not_found("payment"))?;
        let ledger = payment.ledger(&mut connection).await?;
        Ok(Body(PaymentView::of(payment, ledger)))
    }
}

/// The empty list of an order whose payment is not there yet, for those whose order it is.
async fn none_yet(
    payments: &Payments,
    caller: &OwnerOr<PaymentsRead>,
    order_id: OrderId,
) -> Result<OrderPayments, Problem> {
    let unknown = || Problem::not_found("order");
    let order = payments.calls.call(&GetOrder { order_id }).await.map_err(|error| error.problem(|_| unknown()))?;
    if caller.reaches(order.user_id) { Ok(OrderPayments { data: Vec::new() }) } else { Err(unknown()) }
}
