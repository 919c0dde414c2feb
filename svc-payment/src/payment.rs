//! Payments: the intent to charge an order, what came of it, and what went back.
//!
//! | from | what the provider says | to |
//! |---|---|---|
//! | `processing` | it holds the money | `requires_capture` |
//! | `processing`, `requires_capture` | it has taken the money | `succeeded` |
//! | `processing`, `requires_capture` | it declined | `failed` |
//! | `processing`, `requires_capture` | nothing is held any more | `canceled` if the order is, else `failed` |
//! | `failed`, `canceled` | it has taken the money all the same | `succeeded`, and all of it goes back |
//!
//! Whatever else the provider says, be it late or repeated, changes nothing (`PaymentStatus::after`). What goes back is a
//! refund of its own and does not change the status either; how much it was, the ledger says. Only one capture counts: what
//! the provider takes beyond it goes back by itself (`payment/surplus.rs`).

pub mod api;
pub(crate) mod audit;
pub(crate) mod cancel;
pub(crate) mod charge;
pub(crate) mod details;
pub(crate) mod intent;
pub(crate) mod refund;
pub(crate) mod settle;
pub(crate) mod surplus;

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use diesel::{
    BelongingToDsl, ExpressionMethods, QueryDsl, Queryable, QueryableByName, Selectable, SelectableHelper,
    associations::{Associations, Identifiable},
    deserialize::FromSqlRow,
    expression::AsExpression,
    pg::Pg,
    sql_types,
};
use diesel_async::RunQueryDsl;
use nats::{
    contracts::payment::DeclineReason,
    database::{Connection, DatabaseError, Tx},
    identity::{OwnerOr, PaymentsRead},
    types::{Currency, Money, OrderId, PaymentId, UserId},
};
use poem_openapi::Enum;
use serde::{Deserialize, Serialize};

use crate::{
    provider::ProviderStatus,
    schema::{payment, transaction},
};

/// How far a payment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Enum, AsExpression, FromSqlRow)]
#[serde(rename_all = "snake_case")]
#[oai(rename = "PaymentAttemptStatus", rename_all = "snake_case")]
#[diesel(sql_type = sql_types::Text)]
pub enum PaymentStatus {
    /// The provider is being asked.
    Processing,
    /// The provider holds the money; it is not captured yet.
    RequiresCapture,
    /// The money is ours.
    Succeeded,
    /// The provider declined; nothing was charged.
    Failed,
    /// Given up before it was charged.
    Canceled,
}

/// What happened to money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Enum, AsExpression, FromSqlRow)]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
#[diesel(sql_type = sql_types::Text)]
pub enum TransactionKind {
    /// Held for us.
    Authorize,
    /// Taken.
    Capture,
    /// What was held was let go.
    Void,
    /// What was taken went back.
    Refund,
}

macro_rules! text_enum {
    ($name:ident: $($variant:ident = $text:literal),+) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $text,)+ })
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err(format!(concat!("`{}` is no ", stringify!($name)), text)),
                }
            }
        }

        nats::text_column!($name);
    };
}

pub(crate) use text_enum;

text_enum!(PaymentStatus: Processing = "processing", RequiresCapture = "requires_capture", Succeeded = "succeeded",
    Failed = "failed", Canceled = "canceled");
text_enum!(TransactionKind: Authorize = "authorize", Capture = "capture", Void = "void", Refund = "refund");

/// The columns of [`Payment`] by their names. A statement that is prepared once must not change its result with the table: a
/// newer instance may add a column while an older one still runs.
macro_rules! payment_columns {
    () => {
        "payment.id, payment.order_id, payment.user_id, payment.amount, payment.currency, payment.method, payment.status, \
         payment.tries, payment.provider_reference, payment.decline_reason, payment.traceparent, payment.request_id, \
         payment.created_at, payment.updated_at"
    };
}

pub(crate) use payment_columns;

/// A row of `payment`.
#[derive(Debug, Clone, Queryable, QueryableByName, Selectable, Identifiable)]
#[diesel(table_name = payment, check_for_backend(Pg))]
pub(crate) struct Payment {
    pub(crate) id: PaymentId,
    pub(crate) order_id: OrderId,
    pub(crate) user_id: UserId,
    pub(crate) amount: i64,
    pub(crate) currency: Currency,
    pub(crate) method: String,
    pub(crate) status: PaymentStatus,
    pub(crate) tries: i32,
    pub(crate) provider_reference: Option<String>,
    pub(crate) decline_reason: Option<DeclineReason>,
    pub(crate) traceparent: String,
    pub(crate) request_id: String,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
}

/// A row of `transaction`.
#[derive(Debug, Clone, Queryable, Selectable, Identifiable, Associations)]
#[diesel(table_name = transaction, belongs_to(Payment), check_for_backend(Pg))]
pub(crate) struct Transaction {
    pub(crate) id: i64,
    pub(crate) payment_id: PaymentId,
    pub(crate) kind: TransactionKind,
    pub(crate) amount: i64,
    pub(crate) provider_reference: String,
    pub(crate) created_at: DateTime<Utc>,
}

impl PaymentStatus {
    /// What becomes of a payment that the provider says this of, at whatever time it said it.
    pub(crate) const fn after(self, seen: ProviderStatus, canceled: bool) -> Self {
        match (self, seen) {
            (_, ProviderStatus::Succeeded) => Self::Succeeded,
            (Self::Processing, ProviderStatus::RequiresCapture) => Self::RequiresCapture,
            (Self::Processing | Self::RequiresCapture, ProviderStatus::Declined) => Self::Failed,
            (Self::Processing | Self::RequiresCapture, ProviderStatus::Voided) => {
                if canceled {
                    Self::Canceled
                } else {
                    Self::Failed
                }
            }
            (status, _) => status,
        }
    }
}

impl Payment {
    /// How much.
    pub(crate) const fn money(&self) -> Money {
        Money::new(self.amount, self.currency)
    }

    /// The key of an operation: derived, so that it is the same after a crash.
    pub(crate) fn key(&self, operation: TransactionKind) -> String {
        format!("order:{}:{operation}", self.order_id)
    }

    /// The payments that `caller` may see: their own, or everybody's. The only way in from outside.
    pub(crate) fn visible_to(caller: &OwnerOr<PaymentsRead>) -> payment::BoxedQuery<'static, Pg> {
        let all = payment::table.into_boxed();
        if caller.reaches_all() { all } else { all.filter(payment::user_id.eq(caller.identity().user)) }
    }

    /// Gives it up before anybody asked the provider for it.
    pub(crate) async fn cancel(&self, tx: &mut Tx) -> Result<(), DatabaseError> {
        diesel::update(payment::table.find(self.id))
            .set((
                payment::status.eq(PaymentStatus::Canceled),
                payment::next_try_at.eq(None::<DateTime<Utc>>),
                payment::updated_at.eq(diesel::dsl::now),
            ))
            .execute(tx)
            .await?;
        tracing::info!(payment = %self.id, "canceled, nobody was asked for it");
        Ok(())
    }

    /// Its ledger, in the order in which things happened.
    pub(crate) async fn ledger(&self, connection: &mut Connection) -> Result<Vec<Transaction>, DatabaseError> {
        Ok(Transaction::belonging_to(self)
            .order(transaction::id)
            .select(Transaction::as_select())
            .load(connection)
            .await?)
    }
}
