//! POST /v1/notifications/{notification_id}/retry

use diesel::{sql_query, sql_types};
use diesel_async::RunQueryDsl;
use nats::types::{NotificationId, UserId};
use serde_json::json;
use stack::{
    bed::{Bed, Client},
    mail::MailCatcher,
    scratch::Scratch,
};

use super::given::{everybody_is_called, free_port, logged, mail, mails_to, register, run, run_at};

async fn id_of(staff: &Client, user: UserId) -> String {
    staff.get(&format!("/v1/notifications?user_id={user}")).send().await.text("/data/0/id")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_mail_is_sent_when_staff_says_so() {
    let bed = Bed::start().await;
    everybody_is_called(&bed, "Ada", "en").await;
    let port = free_port();
    let _running = run_at(&bed, port).await;
    let (user, staff) = (register(&bed).await, bed.staff());
    logged(&bed, user, "it was tried", |entry| entry.attempts > 0).await;
    // Its day is over.
    sql_query("update notification set give_up_at = now() where user_id = $1")
        .bind::<sql_types::Uuid, _>(user)
        .execute(&mut bed.sql("notify").await)
        .await
        .unwrap();
    logged(&bed, user, "it has failed", |entry| entry.state == "failed").await;
    let scratch = Scratch::new("mail").unwrap();
    let catcher = MailCatcher::start(scratch.path(), Some(port), None).await.unwrap();

    let path = format!("/v1/notifications/{}/retry", id_of(&staff, user).await);
    let answer = staff.request("POST", &path).send().await;
    assert_eq!(answer.status, 200, "{answer}");
    assert_eq!(answer.at("/state"), "queued", "{answer}");
    mail(&catcher, user, "Welcome").await;
    logged(&bed, user, "it is sent", |entry| entry.state == "sent").await;

    let answer = staff.request("POST", &path).send().await;
    assert_eq!(answer.status, 409, "{answer}");
    answer.problem("conflict", "");
    assert_eq!(mails_to(&catcher, user).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_mail_need_not_wait_longer() {
    let bed = Bed::start().await;
    everybody_is_called(&bed, "Ada", "en").await;
    let (running, catcher) = run(&bed).await;
    running.stop().await;
    let (id, user, staff) = (NotificationId::new(), UserId::new(), bed.staff());
    for statement in [
        "insert into notification (id, user_id, channel, template, subject, event_id, next_try_at, traceparent, request_id)
         values ($1, $2, 'email', 'welcome', 'Hello again', $1, now() + interval '1 hour', '', '')",
        "insert into mail (notification_id, recipient, locale, html, text)
         select id, 'to.' || $2 || '@example.com', 'en', '<p>Hello</p>', 'Hello' from notification where id = $1",
    ] {
        sql_query(statement)
            .bind::<sql_types::Uuid, _>(id)
            .bind::<sql_types::Uuid, _>(user)
            .execute(&mut bed.sql("notify").await)
            .await
            .unwrap();
    }
    let (_running, _) = run(&bed).await;
    let path = format!("/v1/notifications/{}/retry", id_of(&staff, user).await);
    assert_eq!(staff.request("POST", &path).send().await.status, 200);
    logged(&bed, user, "it is sent", |entry| entry.state == "sent").await;
    let to = format!("to.{}@example.com", user.uuid());
    catcher.wait_for_mail(&to, "Hello again", stack::bed::BOUND).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn only_staff_may_and_only_for_what_there_is() {
    let bed = Bed::start().await;
    everybody_is_called(&bed, "Ada", "en").await;
    let (_running, _) = run(&bed).await;
    let unknown = format!("/v1/notifications/{}/retry", NotificationId::new());
    for (client, path, status, code) in [
        (bed.nobody(), unknown.as_str(), 401, "unauthenticated"),
        (bed.customer(), unknown.as_str(), 403, "forbidden"),
        (bed.staff(), unknown.as_str(), 404, "not_found"),
        (bed.staff(), "/v1/notifications/ntf_nonsense/retry", 404, "not_found"),
        (bed.staff(), "/v1/notifications/42/retry", 404, "not_found"),
    ] {
        let answer = client.post(path, &json!({})).send().await;
        assert_eq!(answer.status, status, "{path}: {answer}");
        answer.problem(code, "");
    }
}
