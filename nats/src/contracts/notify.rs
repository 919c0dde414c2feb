//! svc-notify: what was told to whom.

use super::event;
use crate::types::{NotificationId, UserId};

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
