//! Sending what is due: claim, hand over to the mail server, write down how it went.
//!
//! At least once: a crash after the server took the mail, and before that is written down, sends it again, with the same
//! Message-ID. What the server refuses for good fails at once; what fails for now is tried for a day.

use diesel::{ExpressionMethods, QueryDsl, QueryableByName, sql_types};
use diesel_async::RunQueryDsl;
use nats::{
    contracts::notify::NotificationSent,
    database::{Database, DatabaseError, sql},
    telemetry::Trace,
    types::{NotificationId, UserId},
};

use super::{NotificationState, account_mail};
use crate::{
    Notify,
    schema::{mail, notification},
    smtp::{Letter, Undelivered},
};

/// How many mails an instance sends at once.
pub(crate) const AT_ONCE: usize = 4;
/// How long a claimed mail is left to its claimer: longer than a delivery may take.
const LEASE_MS: i32 = 60_000;
/// The longest time between two tries.
const LONGEST_DELAY_MS: i32 = 15 * 60_000;

/// A mail that is ours to send.
#[derive(QueryableByName)]
#[diesel(check_for_backend(diesel::pg::Pg))]
pub(crate) struct Due {
    #[diesel(sql_type = sql_types::Uuid)]
    id: NotificationId,
    #[diesel(sql_type = sql_types::Nullable<sql_types::Uuid>)]
    user_id: Option<UserId>,
    #[diesel(sql_type = sql_types::Text)]
    template: String,
    #[diesel(sql_type = sql_types::Text)]
    recipient: String,
    #[diesel(sql_type = sql_types::Text)]
    subject: String,
    #[diesel(sql_type = sql_types::Text)]
    html: String,
    #[diesel(sql_type = sql_types::Text)]
    text: String,
    #[diesel(sql_type = sql_types::Integer)]
    attempts: i32,
    #[diesel(sql_type = sql_types::Text)]
    traceparent: String,
    #[diesel(sql_type = sql_types::Text)]
    request_id: String,
}

/// Sends one mail, as part of the trace of the event it tells of. What fails here is tried again later.
pub(crate) async fn deliver(notify: Notify, mail: Due) {
    let trace = Trace::continued(Some(&mail.traceparent), Some(&mail.request_id));
    let span = tracing::info_span!(
        "send", notification = %mail.id, template = mail.template, attempts = mail.attempts,
        request_id = trace.request_id(), trace_id = %trace
    );
    let work = async {
        if let Err(error) = send(&notify, &mail).await {
            tracing::warn!(%error, "not written down; it is sent again when the lease has run out");
        }
    };
    trace.scope(span, work).await;
}

/// Takes the mails that are due for longest, for the time of a lease. One statement, its own transaction.
pub(crate) async fn claim(notify: Notify, at_most: i64) -> Result<Vec<Due>, DatabaseError> {
    let mut connection = notify.database.connection().await?;
    let claimed = sql(
        "with due as materialized (
             select id from notification where state in ('queued', 'sending') and next_try_at <= now()
             order by next_try_at limit $2 for update skip locked)
         update notification
         set state = 'sending', attempts = attempts + 1, next_try_at = now() + $1 * interval '1 millisecond'
         from due join mail on mail.notification_id = due.id where notification.id = due.id
         returning notification.id, user_id, template, recipient, subject, html, text, attempts, traceparent, request_id",
    )
    .bind::<sql_types::Integer, _>(LEASE_MS)
    .bind::<sql_types::BigInt, _>(at_most)
    .load(&mut connection)
    .await?;
    Ok(claimed)
}

async fn send(notify: &Notify, mail: &Due) -> Result<(), DatabaseError> {
    let letter =
        Letter { id: mail.id, recipient: &mail.recipient, subject: &mail.subject, html: &mail.html, text: &mail.text };
    match notify.mailer.send(&letter).await {
        Ok(()) => sent(&notify.database, mail).await,
        Err(Undelivered::ForGood(reason)) => {
            tracing::warn!(reason, "the mail server refused it for good");
            not_sent(&notify.database, mail, &reason, true).await
        }
        Err(Undelivered::ForNow(reason)) => {
            tracing::warn!(reason, "not sent; it will be tried again");
            not_sent(&notify.database, mail, &reason, false).await
        }
    }
}

/// State and event in one transaction.
async fn sent(database: &Database, mail: &Due) -> Result<(), DatabaseError> {
    let mut tx = database.begin().await?;
    let moved = diesel::update(notification::table.find(mail.id))
        .filter(notification::state.eq(NotificationState::Sending))
        .set((
            notification::state.eq(NotificationState::Sent),
            notification::sent_at.eq(diesel::dsl::now),
            notification::next_try_at.eq(None::<chrono::DateTime<chrono::Utc>>),
            notification::last_error.eq(None::<String>),
        ))
        .execute(&mut tx)
        .await?;
    if moved == 0 {
        return tx.roll_back().await;
    }
    if account_mail::TEMPLATES.contains(&mail.template.as_str()) {
        diesel::delete(mail::table.find(mail.id)).execute(&mut tx).await?;
    }
    let (notification_id, user_id, template) = (mail.id, mail.user_id, mail.template.clone());
    tx.record(&NotificationSent { notification_id, user_id, template }).await?;
    tx.commit().await?;
    tracing::info!("sent");
    Ok(())
}

/// Ends the lease: for good when that is what the server said or a day is over, else until the next try.
async fn not_sent(database: &Database, mail: &Due, reason: &str, for_good: bool) -> Result<(), DatabaseError> {
    let mut connection = database.connection().await?;
    // Only while the claim is ours: a later one has its own lease.
    sql("update notification
         set last_error = $3,
             state = case when $4 or give_up_at <= now() then 'failed' else 'queued' end,
             next_try_at = case when $4 or give_up_at <= now() then null else now() + $5 * interval '1 millisecond' end
         where id = $1 and attempts = $2 and state = 'sending'")
    .bind::<sql_types::Uuid, _>(mail.id)
    .bind::<sql_types::Integer, _>(mail.attempts)
    .bind::<sql_types::Text, _>(reason)
    .bind::<sql_types::Bool, _>(for_good)
    .bind::<sql_types::Integer, _>(delay_ms(mail.attempts))
    .execute(&mut connection)
    .await?;
    Ok(())
}

/// Half a second after the first attempt, doubled with each further one, at most a quarter of an hour.
fn delay_ms(attempts: i32) -> i32 {
    let doublings = u32::try_from(attempts.clamp(1, 20)).unwrap_or_default().saturating_sub(1);
    500_i32.saturating_mul(1 << doublings).min(LONGEST_DELAY_MS)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_a_quarter_of_an_hour() {
        let delays: Vec<i32> = [i32::MIN, 1, 2, 3, 11, 12, i32::MAX].into_iter().map(delay_ms).collect();
        assert_eq!(delays, [500, 500, 1_000, 2_000, 512_000, 900_000, 900_000]);
    }
}
