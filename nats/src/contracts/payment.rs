//! svc-payment: what was charged.

use std::{fmt, str::FromStr};

use diesel::{deserialize::FromSqlRow, expression::AsExpression, sql_types};
use poem_openapi::Enum;
use serde::{Deserialize, Serialize};

use super::event;
use crate::types::{Invalid, Money, OrderId, PaymentId, UserId};

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
