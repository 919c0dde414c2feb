//! svc-notify: what was told to whom.

use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use super::{call, event};
use crate::types::{NotificationId, OrderId, UserId};

event! {
    /// A message was handed to the channel's server.
    NotificationSent = "notify" / notification.sent.1, by notification_id {
        /// Which.
        notification_id: NotificationId,
        /// To whom, when it is someone with an account.
        user_id: Option<UserId>,
        /// What it was about: the template's name.
        template: String,
    }
}

/// Asks for a page of the orders that people were told of, by order id, for an audit.
#[derive(Debug, Clone, Serialize, Deserialize, Object)]
pub struct AuditMails {
    /// The last order of the page before.
    pub after: Option<OrderId>,
    /// How many orders, at most 1000.
    pub limit: i64,
}

/// A page of orders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct AuditedMails {
    /// By order id, ascending; empty after the last page.
    pub orders: Vec<AuditedMail>,
}

/// How often someone was told of an order, by what it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct AuditedMail {
    /// The order.
    pub order_id: OrderId,
    /// Its confirmations.
    pub confirmations: i64,
    /// Its cancellations.
    pub cancellations: i64,
    /// Its invoices.
    pub invoices: i64,
    /// How many of all these are not sent yet.
    pub unsent: i64,
}

call!(AuditMails = "notify".audit_mails -> AuditedMails, or super::Never, idempotent: true, deadline_s: 10);
