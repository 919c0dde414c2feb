//! svc-notify: what was told to whom, by mail and in real time.

use std::{fmt, str::FromStr, time::Duration};

use chrono::{DateTime, Utc};
use diesel::{deserialize::FromSqlRow, expression::AsExpression, sql_types};
use poem_openapi::{Enum, Object};
use serde::{Deserialize, Serialize};

use super::{StateBucket, call, event};
use crate::types::{
    ApiKeyId, Invalid, InvoiceId, MessageId, Money, NotificationId, OrderId, PaymentId, RefundId, SessionId, UserId,
};

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

event! {
    /// There is a message for someone, to be shown while they look. Everything for one person is on that person's own subject.
    MessagePosted = "notify" / message.posted.1, by user_id {
        /// For whom.
        user_id: UserId,
        /// All of it.
        message: Message,
    }
}

/// What a person is told in real time: that something of theirs changed. No personal data; who may read the thing asks for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct Message {
    /// Which.
    pub id: MessageId,
    /// Its place among the messages to this person: 1, 2, 3 … without a gap, in the order in which they were written.
    pub sequence: i64,
    /// What happened.
    pub kind: MessageKind,
    /// To what.
    pub about: MessageAbout,
    /// When it was written.
    pub created_at: DateTime<Utc>,
}

/// What happened. In SQL, the same text as in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Enum, AsExpression, FromSqlRow)]
#[diesel(sql_type = sql_types::Text)]
pub enum MessageKind {
    /// An order was accepted and waits for its payment.
    #[serde(rename = "order.placed")]
    #[oai(rename = "order.placed")]
    OrderPlaced,
    /// An order is paid and will be fulfilled.
    #[serde(rename = "order.confirmed")]
    #[oai(rename = "order.confirmed")]
    OrderConfirmed,
    /// An order will not be fulfilled; `reason` says why.
    #[serde(rename = "order.canceled")]
    #[oai(rename = "order.canceled")]
    OrderCanceled,
    /// Everything that an order promised was done.
    #[serde(rename = "order.completed")]
    #[oai(rename = "order.completed")]
    OrderCompleted,
    /// The money was taken.
    #[serde(rename = "payment.captured")]
    #[oai(rename = "payment.captured")]
    PaymentCaptured,
    /// The payment was declined for good; `reason` says why.
    #[serde(rename = "payment.failed")]
    #[oai(rename = "payment.failed")]
    PaymentFailed,
    /// Money went back.
    #[serde(rename = "payment.refunded")]
    #[oai(rename = "payment.refunded")]
    PaymentRefunded,
    /// An invoice can be downloaded at `link`.
    #[serde(rename = "invoice.rendered")]
    #[oai(rename = "invoice.rendered")]
    InvoiceRendered,
}

impl MessageKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::OrderPlaced,
        Self::OrderConfirmed,
        Self::OrderCanceled,
        Self::OrderCompleted,
        Self::PaymentCaptured,
        Self::PaymentFailed,
        Self::PaymentRefunded,
        Self::InvoiceRendered,
    ];
}

impl fmt::Display for MessageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::OrderPlaced => "order.placed",
            Self::OrderConfirmed => "order.confirmed",
            Self::OrderCanceled => "order.canceled",
            Self::OrderCompleted => "order.completed",
            Self::PaymentCaptured => "payment.captured",
            Self::PaymentFailed => "payment.failed",
            Self::PaymentRefunded => "payment.refunded",
            Self::InvoiceRendered => "invoice.rendered",
        })
    }
}

impl FromStr for MessageKind {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let known = Self::ALL.into_iter().find(|kind| kind.to_string() == text);
        known.ok_or_else(|| Invalid::quoting(text, "is no kind of message"))
    }
}

crate::text_column!(MessageKind);

/// What a message is about: ids, amounts and states, as its kind has them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, Object, AsExpression, FromSqlRow)]
#[diesel(sql_type = sql_types::Jsonb)]
#[oai(skip_serializing_if_is_none)]
pub struct MessageAbout {
    /// The order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_id: Option<OrderId>,
    /// The payment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment_id: Option<PaymentId>,
    /// The refund.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refund_id: Option<RefundId>,
    /// The invoice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invoice_id: Option<InvoiceId>,
    /// What it is about in money: an order's total, what was taken, what went back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
    /// Why: of a canceled order as its `reason`, of a failed payment as its `reason`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The path at which the thing itself is; it is to be asked for with the reader's own token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
}

crate::jsonb_column!(MessageAbout);

/// Asks for the messages to a person that came after one they have.
#[derive(Debug, Clone, Serialize, Deserialize, Object)]
pub struct GetMessages {
    /// To whom.
    pub user_id: UserId,
    /// The sequence of the one they have; without one no message is told, only where they are.
    pub after: Option<i64>,
    /// How many messages, at most 500.
    pub limit: i64,
}

/// Messages to a person, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct Messages {
    /// Those after the one they have; the oldest that are still kept, when it is from longer ago.
    pub messages: Vec<Message>,
    /// The sequence of the last message there is; 0 when there never was one.
    pub last: i64,
}

call!(GetMessages = "notify".get_messages -> Messages, or super::Never, idempotent: true);

/// For how long a ticket can be used.
pub const STREAM_TICKET_LASTS: Duration = Duration::from_secs(30);
/// The tickets for [streams of messages](MessagePosted), by their hashes; the gateway makes and takes them. The bucket
/// forgets them when they are too old, so no gateway's clock decides that.
pub const STREAM_TICKETS: StateBucket<StreamTicket> =
    StateBucket::new("stream_tickets", Some(STREAM_TICKET_LASTS), 16 << 20);

/// Whom a ticket lets in, once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamTicket {
    /// Who.
    pub user_id: UserId,
    /// In which session, when it was had with an access token.
    pub session_id: Option<SessionId>,
    /// With which key, when it was had with one.
    pub api_key_id: Option<ApiKeyId>,
    /// When the access token or key ends with which it was had, in seconds since 1970.
    pub credential_ends_at: u64,
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
