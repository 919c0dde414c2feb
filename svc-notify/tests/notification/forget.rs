//! Mails are forgotten, notifications are not.

use diesel::{QueryableByName, sql_query, sql_types};
use diesel_async::RunQueryDsl;
use nats::types::{NotificationId, UserId};
use serde_json::json;
use stack::bed::Bed;

use super::given::{entries, run};

/// A notification, what became of it, and whether its mail is kept.
const LOG: [(&str, &str, bool); 6] = [
    ("sent a day ago", "state = 'sent', next_try_at = null, sent_at = now() - interval '25 hours'", false),
    ("sent today", "state = 'sent', next_try_at = null, sent_at = now() - interval '23 hours'", true),
    ("failed a month ago", "state = 'failed', next_try_at = null, give_up_at = now() - interval '31 days'", false),
    ("failed this month", "state = 'failed', next_try_at = null, give_up_at = now() - interval '29 days'", true),
    ("waits for long", "next_try_at = now() + interval '1 hour', give_up_at = now() - interval '40 days'", true),
    (
        "is being sent",
        "state = 'sending', next_try_at = now() + interval '1 hour', give_up_at = now() - interval '40 days'",
        true,
    ),
];

#[derive(QueryableByName)]
struct Kept {
    #[diesel(sql_type = sql_types::Text)]
    subject: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn mails_are_deleted_a_day_after_they_were_sent_and_a_month_after_they_failed() {
    let bed = Bed::start().await;
    let (running, _) = run(&bed).await;
    running.stop().await;
    let (user, staff) = (UserId::new(), bed.staff());
    let mut sql = bed.sql("notify").await;
    let mut ids = Vec::new();
    for (subject, became, _) in LOG {
        let id = NotificationId::new();
        for statement in [
            "insert into notification (id, user_id, channel, template, subject, event_id, traceparent, request_id)
             values ($1, $2, 'email', 'invoice', $3, $1, '', '')",
            "insert into mail (notification_id, recipient, locale, html, text)
             select id, 'ada.' || $2 || '@example.com', 'en', '<p>Hello</p>', $3 from notification where id = $1",
            &format!("update notification set {became} where id = $1 and user_id = $2 and subject = $3"),
        ] {
            sql_query(statement)
                .bind::<sql_types::Uuid, _>(id)
                .bind::<sql_types::Uuid, _>(user)
                .bind::<sql_types::Text, _>(subject)
                .execute(&mut sql)
                .await
                .unwrap();
        }
        ids.push(id);
    }

    let (_running, _) = run(&bed).await;
    let expected: Vec<&str> = LOG.iter().filter(|(_, _, kept)| *kept).map(|(subject, _, _)| *subject).collect();
    bed.wait_for("the old mails are deleted, the others not", async || {
        let kept: Vec<Kept> = sql_query(
            "select subject from notification join mail on mail.notification_id = notification.id order by id",
        )
        .load(&mut bed.sql("notify").await)
        .await
        .unwrap();
        let kept: Vec<&str> = kept.iter().map(|row| row.subject.as_str()).collect();
        (kept == expected).then_some(())
    })
    .await;
    assert_eq!(entries(&bed, user).await.len(), LOG.len(), "the log stays");

    let retry =
        async |id: NotificationId| staff.post(&format!("/v1/notifications/{id}/retry"), &json!({})).send().await;
    let gone = retry(ids[2]).await;
    assert_eq!(gone.status, 409, "{gone}");
    gone.problem("conflict", "");
    assert!(gone.text("/detail").contains("was deleted"), "{gone}");
    let kept = retry(ids[3]).await;
    assert_eq!(kept.status, 200, "{kept}");
}
