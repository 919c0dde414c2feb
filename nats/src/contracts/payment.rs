//! svc-payment: what was charged.

use std::{fmt, str::FromStr};

use diesel::{deserialize::FromSqlRow, expression::AsExpression, sql_types};
use poem_openapi::{Enum, Object};
use serde::{Deserialize, Serialize};

use super::{call, event};
use crate::types::{Invalid, Money, OrderId, PaymentId, RefundId, UserId};

event! {
    /// The money is ours.
    PaymentCaptured = "payment" / payment.captured.1, by payment_id {
        /// Which payment.
        payment_id: PaymentId,
        /// For which order.
        order_id: OrderId,
        /// Whose order.
        user_id: UserId,
        /// How much.
        amount: Money,
    }
}

event! {
    /// The provider said no for good; nothing was charged.
    PaymentFailed = "payment" / payment.failed.1, by payment_id {
        /// Which payment.
        payment_id: PaymentId,
        /// For which order.
        order_id: OrderId,
        /// Whose order.
        user_id: UserId,
        /// Why.
        reason: DeclineReason,
    }
}

event! {
    /// What was captured went back to the customer.
    PaymentRefunded = "payment" / payment.refunded.1, by payment_id {
        /// Which payment.
        payment_id: PaymentId,
        /// For which order.
        order_id: OrderId,
        /// Which refund: what is told twice is one refund.
        refund_id: RefundId,
        /// How much went back this time.
        amount: Money,
    }
}

/// Why a provider declined. In SQL, the same text as in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Enum, AsExpression, FromSqlRow)]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
#[diesel(sql_type = sql_types::Text)]
pub enum DeclineReason {
    /// The issuer declined without a reason.
    Declined,
    /// The account does not cover it.
    InsufficientFunds,
    /// The provider does not know this payment method.
    UnknownPaymentMethod,
}

impl fmt::Display for DeclineReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Declined => "declined",
            Self::InsufficientFunds => "insufficient_funds",
            Self::UnknownPaymentMethod => "unknown_payment_method",
        })
    }
}

impl FromStr for DeclineReason {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let all = [Self::Declined, Self::InsufficientFunds, Self::UnknownPaymentMethod];
        let known = all.into_iter().find(|reason| reason.to_string() == text);
        known.ok_or_else(|| Invalid::quoting(text, "is no reason to decline"))
    }
}

crate::text_column!(DeclineReason);

/// Asks what is known of an order's payment: for those who may have missed an event.
#[derive(Debug, Clone, Serialize, Deserialize, Object)]
pub struct GetPayment {
    /// The order.
    pub order_id: OrderId,
}

/// What is known of an order's payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct PaymentDetails {
    /// Which.
    pub payment_id: PaymentId,
    /// How far it is.
    pub progress: PaymentProgress,
    /// What was captured, all refunds aside; 0 when nothing was.
    pub captured: Money,
    /// What of it went back.
    pub refunded: Money,
}

/// How far a payment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Enum)]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
pub enum PaymentProgress {
    /// The provider was or will be asked; nothing definitive is known.
    Processing,
    /// The money is held for us, not taken.
    Authorized,
    /// The money is or was ours.
    Captured,
    /// Declined for good.
    Failed,
    /// Given up; nothing was taken and nothing will be.
    Canceled,
}

/// Asks for a page of payments, by order id, for an audit.
#[derive(Debug, Clone, Serialize, Deserialize, Object)]
pub struct AuditPayments {
    /// The last order of the page before.
    pub after: Option<OrderId>,
    /// How many, at most 1000.
    pub limit: i64,
}

/// A page of payments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct AuditedPayments {
    /// By order id, ascending; empty after the last page.
    pub payments: Vec<AuditedPayment>,
}

/// A payment, as far as an audit needs it; the sums are of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct AuditedPayment {
    /// The order.
    pub order_id: OrderId,
    /// The payment's own status.
    pub status: String,
    /// What was captured.
    pub captured: Money,
    /// What went back.
    pub refunded: Money,
    /// What is still to go back.
    pub refund_pending: Money,
}

call!(GetPayment = "payment".get_payment -> PaymentDetails, or super::user::Unknown, idempotent: true);
call!(AuditPayments = "payment".audit_payments -> AuditedPayments, or super::Never, idempotent: true, deadline_s: 10);
