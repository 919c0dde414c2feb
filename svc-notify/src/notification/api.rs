//! Notifications, for those who got them and for staff.

use chrono::{DateTime, Utc};
use diesel::{ExpressionMethods, QueryDsl, SelectableHelper};
use diesel_async::RunQueryDsl;
use nats::{
    http::{Body, Listed},
    identity::{NotificationsRead, NotificationsRetry, OwnerOr},
    problem::Problem,
    types::{Cursor, Limit, NotificationId, Page, UserId},
};
use poem::web::Data;
use poem_openapi::{
    Object, OpenApi, Tags,
    param::{Path, Query},
};
use serde::{Deserialize, Serialize};

use super::{Notification, NotificationState, retry};
use crate::{Notify, schema::notification};

#[derive(Tags)]
enum Tag {
    /// What was told to whom.
    Notifications,
}

/// A notification: what it was about and how far it is. Address and body are not shown.
#[derive(Debug, Serialize, Deserialize, Object)]
#[oai(rename = "Notification")]
pub struct NotificationView {
    /// Which.
    id: NotificationId,
    /// To whom, when it is someone with an account.
    #[oai(nullable)]
    user_id: Option<UserId>,
    /// How it travels: `email`.
    channel: String,
    /// What it is about: `welcome`, `email_verification`, `password_reset`, `order_confirmed`, `order_canceled`, `invoice`.
    template: String,
    /// Its subject.
    subject: String,
    /// How far it is.
    state: NotificationState,
    /// How often it was tried.
    attempts: i32,
    /// Why the last try failed; told to those who may read everybody's.
    #[oai(nullable)]
    last_error: Option<String>,
    /// When it was written.
    created_at: DateTime<Utc>,
    /// When the mail server took it.
    #[oai(nullable)]
    sent_at: Option<DateTime<Utc>>,
}

impl NotificationView {
    fn of(row: Notification, for_shop: bool) -> Self {
        Self {
            id: row.id,
            user_id: row.user_id,
            channel: row.channel,
            template: row.template,
            subject: row.subject,
            state: row.state,
            attempts: row.attempts,
            last_error: row.last_error.filter(|_| for_shop),
            created_at: row.created_at,
            sent_at: row.sent_at,
        }
    }
}

/// The endpoints of notifications.
pub struct NotificationApi;

#[OpenApi(prefix_path = "/v1/notifications", tag = "Tag::Notifications")]
impl NotificationApi {
    /// List notifications
    ///
    /// Newest first: your own, or everybody's for whoever may read those. Filters narrow what you may see, they never widen it.
    #[oai(path = "/", method = "get", operation_id = "list_notifications")]
    async fn list(
        &self,
        Data(notify): Data<&Notify>,
        caller: OwnerOr<NotificationsRead>,
        /// Only those in this state.
        state: Query<Option<NotificationState>>,
        /// Only those to this user.
        user_id: Query<Option<UserId>>,
        /// How many.
        limit: Query<Limit>,
        /// The `next_cursor` of the page before.
        cursor: Query<Option<Cursor>>,
    ) -> Result<Listed<NotificationView>, Problem> {
        let mut query = Notification::visible_to(&caller);
        if let Some(state) = state.0 {
            query = query.filter(notification::state.eq(state));
        }
        if let Some(user_id) = user_id.0 {
            query = query.filter(notification::user_id.eq(user_id));
        }
        if let Some(cursor) = cursor.0 {
            query = query.filter(notification::id.lt(cursor.after::<NotificationId>()?));
        }
        let mut connection = notify.database.connection().await?;
        let rows: Vec<Notification> = query
            .order(notification::id.desc())
            .limit(limit.0.rows())
            .select(Notification::as_select())
            .load(&mut connection)
            .await?;
        let for_shop = caller.reaches_all();
        Ok(Listed(Page::from_rows(rows, limit.0, |row| row.id, |row| NotificationView::of(row, for_shop))?))
    }

    /// Send a notification again
    ///
    /// Makes a failed or waiting one due now, and gives it another day of tries. One that was sent, or is just being
    /// sent, is a `conflict`; so is one whose mail was deleted, thirty days after its last try.
    #[oai(path = "/:notification_id/retry", method = "post", operation_id = "retry_notification")]
    async fn retry(
        &self,
        Data(notify): Data<&Notify>,
        NotificationsRetry(_caller): NotificationsRetry,
        /// Which.
        notification_id: Path<NotificationId>,
    ) -> Result<Body<NotificationView>, Problem> {
        Ok(Body(NotificationView::of(retry::retry(notify, notification_id.0).await?, true)))
    }
}
