//! Forgetting messages after a week. What they were about is still there; the sequence goes on.

use diesel::sql_types;
use diesel_async::RunQueryDsl;
use nats::database::{DatabaseError, sql};

use crate::Notify;

/// How many messages are deleted at once.
const BATCH: i64 = 5_000;

/// Deletes the messages that were written over seven days ago.
///
/// # Errors
/// The database's.
pub(crate) async fn forget_messages(notify: Notify) -> Result<(), DatabaseError> {
    let mut connection = notify.database.connection().await?;
    loop {
        let forgotten = sql("with old as materialized (
                 select user_id, sequence from message where created_at < now() - interval '7 days'
                 order by created_at limit $1 for update skip locked)
             delete from message using old
             where message.user_id = old.user_id and message.sequence = old.sequence")
        .bind::<sql_types::BigInt, _>(BATCH)
        .execute(&mut connection)
        .await?;
        tracing::debug!(forgotten, "old messages are deleted");
        if i64::try_from(forgotten).is_ok_and(|forgotten| forgotten < BATCH) {
            return Ok(());
        }
    }
}
