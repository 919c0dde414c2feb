//! svc-payment: what was charged.

use poem_openapi::Enum;
use serde::{Deserialize, Serialize};

use super::event;
use crate::types::{Money, OrderId, PaymentId, UserId};

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
        /// How much went back this time.
        amount: Money,
    }
}

/// Why a provider declined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Enum)]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
pub enum DeclineReason {
    /// The issuer declined without a reason.
    Declined,
    /// The account does not cover it.
    InsufficientFunds,
    /// The provider does not know this payment method.
    UnknownPaymentMethod,
}
