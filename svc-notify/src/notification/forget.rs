//! Forgetting mails: they have people's addresses, and links to documents that work without signing in.
//!
//! The notification stays, as the log of what was told to whom.

use diesel::sql_types;
use diesel_async::RunQueryDsl;
use nats::database::{DatabaseError, sql};

use super::account_mail::TEMPLATES;
use crate::Notify;

/// How many mails are deleted at once.
const BATCH: i64 = 1_000;

/// Deletes the mails that were sent over a day ago, and those that failed and whose day of tries ended over
/// thirty days ago; at once those that failed and would let somebody into an account.
///
/// # Errors
/// The database's.
pub(crate) async fn forget_mails(notify: Notify) -> Result<(), DatabaseError> {
    let mut connection = notify.database.connection().await?;
    loop {
        // The lock keeps staff from retrying a notification while its mail is deleted. What somebody else has locked is
        // left to the next time.
        let forgotten = sql("with old as materialized (
                 select notification.id from mail join notification on notification.id = mail.notification_id
                 where (state = 'sent' and sent_at < now() - interval '1 day')
                    or (state = 'failed' and give_up_at < now() - interval '30 days')
                    or (state = 'failed' and template = any($2))
                 limit $1 for update of notification skip locked)
             delete from mail using old where mail.notification_id = old.id")
        .bind::<sql_types::BigInt, _>(BATCH)
        .bind::<sql_types::Array<sql_types::Text>, _>(TEMPLATES.as_slice())
        .execute(&mut connection)
        .await?;
        tracing::debug!(forgotten, "old mails are deleted");
        if i64::try_from(forgotten).is_ok_and(|forgotten| forgotten < BATCH) {
            return Ok(());
        }
    }
}
