//! Notifications: what is told to whom, and how far it is.
//!
//! `queued` waits for a sender, `sending` has one, `sent` and `failed` are final until staff says to try again,
//! `suppressed` is for good: the person has said not to want such mail.

pub(crate) mod account_mail;
pub mod api;
pub(crate) mod audit;
pub(crate) mod company_invitation;
pub(crate) mod email_verification;
pub(crate) mod forget;
pub(crate) mod invoice;
pub(crate) mod order_canceled;
pub(crate) mod order_confirmed;
pub(crate) mod order_mail;
pub(crate) mod password_reset;
pub(crate) mod retry;
pub(crate) mod send;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests;
pub(crate) mod welcome;

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use diesel::{
    ExpressionMethods, Insertable, QueryDsl, Queryable, Selectable, deserialize::FromSqlRow, expression::AsExpression,
    insert_into, pg::Pg, sql_types,
};
use diesel_async::RunQueryDsl;
use nats::{
    consume::Failure,
    database::Tx,
    identity::{NotificationsRead, OwnerOr},
    telemetry::Trace,
    types::{Email, EventId, Locale, NotificationId, OrderId, UserId},
};
use poem_openapi::Enum;
use serde::{Deserialize, Serialize};

use crate::{
    Notify,
    mail::{Mail, MailError, Template},
    schema::{mail, notification},
};

/// How far a notification is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Enum, AsExpression, FromSqlRow)]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
#[diesel(sql_type = sql_types::Text)]
pub enum NotificationState {
    /// Waits to be sent, for the first time or again.
    Queued,
    /// Is being sent.
    Sending,
    /// The mail server took it.
    Sent,
    /// The mail server refused it for good, or could not be reached for a day.
    Failed,
    /// Is not sent: the person does not want such mail.
    Suppressed,
}

impl fmt::Display for NotificationState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Queued => "queued",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Suppressed => "suppressed",
        })
    }
}

impl FromStr for NotificationState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::Queued, Self::Sending, Self::Sent, Self::Failed, Self::Suppressed];
        let known = all.into_iter().find(|state| state.to_string() == text);
        known.ok_or_else(|| format!("`{text}` is no state of a notification"))
    }
}

nats::text_column!(NotificationState);

/// A row of `notification`.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = notification, check_for_backend(Pg))]
pub(crate) struct Notification {
    pub(crate) id: NotificationId,
    pub(crate) user_id: Option<UserId>,
    pub(crate) channel: String,
    pub(crate) template: String,
    pub(crate) subject: String,
    pub(crate) state: NotificationState,
    pub(crate) attempts: i32,
    pub(crate) last_error: Option<String>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) sent_at: Option<DateTime<Utc>>,
}

impl Notification {
    /// The notifications that `caller` may see: their own, or everybody's. The only way in from outside.
    pub(crate) fn visible_to(caller: &OwnerOr<NotificationsRead>) -> notification::BoxedQuery<'static, Pg> {
        let all = notification::table.into_boxed();
        if caller.reaches_all() { all } else { all.filter(notification::user_id.eq(caller.identity().user)) }
    }
}

/// A notification to be sent; the table's defaults make it due at once.
#[derive(Debug, Insertable)]
#[diesel(table_name = notification, check_for_backend(Pg))]
struct NewNotification<'a> {
    id: NotificationId,
    user_id: Option<UserId>,
    channel: &'a str,
    template: &'a str,
    subject: &'a str,
    event_id: EventId,
    order_id: Option<OrderId>,
    traceparent: String,
    request_id: String,
}

/// Its mail.
#[derive(Debug, Insertable)]
#[diesel(table_name = mail, check_for_backend(Pg))]
struct NewMail<'a> {
    notification_id: NotificationId,
    recipient: &'a Email,
    locale: &'a Locale,
    html: &'a str,
    text: &'a str,
}

/// What a mail tells of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Occasion {
    /// One event leads to one mail of a template.
    pub(crate) event_id: EventId,
    /// The order that it is about, when it is about one.
    pub(crate) order_id: Option<OrderId>,
}

/// To whom a mail goes.
pub(crate) struct Addressee<'a> {
    pub(crate) user_id: Option<UserId>,
    pub(crate) email: &'a Email,
    pub(crate) locale: &'a Locale,
    /// Whether they want to be told by mail.
    pub(crate) wanted: bool,
}

/// Renders a mail and puts it where the sender takes it from, once per event and template. Of one that is not wanted only the
/// log tells: whoever misses it sees why it is not there.
pub(crate) async fn queue(
    tx: &mut Tx,
    notify: &Notify,
    occasion: Occasion,
    template: Template,
    to: Addressee<'_>,
    data: &impl Serialize,
) -> Result<(), Failure> {
    let Mail { subject, html, text } = notify.templates.render(template, to.locale, data)?;
    let (id, trace) = (NotificationId::new(), Trace::current());
    let row = NewNotification {
        id,
        user_id: to.user_id,
        channel: "email",
        template: template.name(),
        subject: &subject,
        event_id: occasion.event_id,
        order_id: occasion.order_id,
        traceparent: trace.traceparent(),
        request_id: trace.request_id().to_owned(),
    };
    let fresh = insert_into(notification::table)
        .values(&row)
        .on_conflict((notification::event_id, notification::template))
        .do_nothing()
        .execute(tx)
        .await?;
    if fresh == 0 {
        return Ok(());
    }
    if !to.wanted {
        diesel::update(notification::table.find(id))
            .set((
                notification::state.eq(NotificationState::Suppressed),
                notification::next_try_at.eq(None::<DateTime<Utc>>),
            ))
            .execute(tx)
            .await?;
        return Ok(());
    }
    let body = NewMail { notification_id: id, recipient: to.email, locale: to.locale, html: &html, text: &text };
    insert_into(mail::table).values(&body).execute(tx).await?;
    tx.wake(&notify.due);
    Ok(())
}

impl From<MailError> for Failure {
    fn from(error: MailError) -> Self {
        Self::Failed(error.to_string())
    }
}
