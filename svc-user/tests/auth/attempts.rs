//! How often one may try to sign in.

use diesel::{QueryableByName, sql_query, sql_types};
use diesel_async::RunQueryDsl;
use serde_json::json;
use stack::Bed;

use crate::{PASSWORD, count, login, pauses_are_long, pauses_are_over, register, sql, start, told_to_wait};

const WRONG: &str = "wrong horse battery";

/// How many attempts count with each e-mail address and network, and how long the pause after the last one is, in seconds.
async fn pauses(bed: &Bed) -> Vec<(i32, i64)> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = sql_types::Integer)]
        attempts: i32,
        #[diesel(sql_type = sql_types::BigInt)]
        pause: i64,
    }
    let rows: Vec<Row> =
        sql_query("select attempts, extract(epoch from blocked_until - last_at)::bigint as pause from attempt where purpose = 'sign_in'")
            .load(&mut bed.sql("user").await)
            .await
            .unwrap();
    rows.into_iter().map(|row| (row.attempts, row.pause)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_wrong_password_doubles_the_pause_up_to_a_quarter_of_an_hour() {
    for email in ["ada@example.com", "nobody@example.com"] {
        let (bed, _running) = start().await;
        register(&bed, "ada@example.com").await;
        let mut seen = Vec::new();
        for _ in 0..12 {
            login(&bed, email, WRONG).await.problem("bad_credentials", "");
            seen.extend(pauses(&bed).await);
            pauses_are_over(&bed).await;
        }
        let expected = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900];
        assert_eq!(seen, (1..).zip(expected).collect::<Vec<_>>(), "{email}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn during_a_pause_nothing_is_tried_and_nothing_is_told() {
    let (bed, _running) = start().await;
    register(&bed, "ada@example.com").await;
    for (email, password) in [("ada@example.com", WRONG), ("nobody@example.com", WRONG)] {
        login(&bed, email, password).await.problem("bad_credentials", "");
    }
    pauses_are_long(&bed).await;
    let mut answers = Vec::new();
    for (email, password) in [
        ("ada@example.com", WRONG),
        ("ada@example.com", PASSWORD),
        ("ADA@example.com", PASSWORD),
        ("nobody@example.com", WRONG),
    ] {
        let mut answer = login(&bed, email, password).await;
        told_to_wait(&answer);
        answer.json["request_id"] = json!(null);
        answers.push(answer.json);
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "all answers are the same: {answers:?}");
    assert_eq!(pauses(&bed).await.iter().map(|(attempts, _)| attempts).sum::<i32>(), 2, "none of these counted");
    register(&bed, "bob@example.com").await;
    assert_eq!(login(&bed, "bob@example.com", PASSWORD).await.status, 200, "others are not concerned");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_right_password_works_after_the_pause_whatever_was_before() {
    let (bed, _running) = start().await;
    register(&bed, "ada@example.com").await;
    login(&bed, "ada@example.com", WRONG).await.problem("bad_credentials", "");
    sql(&bed, "update attempt set attempts = 1000000, blocked_until = now()").await;
    login(&bed, "ada@example.com", WRONG).await.problem("bad_credentials", "");
    assert_eq!(pauses(&bed).await, [(1001, 900)], "nobody is locked out");
    pauses_are_over(&bed).await;
    assert_eq!(login(&bed, "ada@example.com", PASSWORD).await.status, 200);
    assert_eq!(count(&bed, "attempt").await, 0, "and all is forgotten");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_guesses_at_once_one_is_answered() {
    let (bed, _running) = start().await;
    register(&bed, "ada@example.com").await;
    login(&bed, "ada@example.com", WRONG).await.problem("bad_credentials", "");
    // The next pause outlasts the burst.
    sql(&bed, "update attempt set attempts = 10, blocked_until = now()").await;
    let burst: Vec<_> = (0..10)
        .map(|guess| {
            let client = bed.nobody();
            let body = json!({"email": "ada@example.com", "password": format!("guess number {guess}")});
            tokio::spawn(async move { client.post("/v1/auth/login", &body).send().await.status })
        })
        .collect();
    let mut statuses = Vec::new();
    for guess in burst {
        statuses.push(guess.await.unwrap());
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [vec![401], vec![429; 9]].concat(), "a burst learns as much as one guess");
    assert_eq!(pauses(&bed).await, [(11, 900)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_day_all_is_forgotten_and_no_address_is_kept() {
    let (bed, running) = start().await;
    login(&bed, "Typo@example.com", WRONG).await.problem("bad_credentials", "");
    login(&bed, "other@example.com", WRONG).await.problem("bad_credentials", "");
    assert_eq!(count(&bed, "attempt where attempt::text ilike '%typo%'").await, 0, "only a hash is kept");
    let typed = "email_hash = sha256('typo@example.com')";
    sql(&bed, &format!("update attempt set last_at = now() - interval '25 hours' where {typed}")).await;
    // The job runs at the start, and then every hour.
    running.stop().await;
    let _again = bed.run(svc_user::service()).await;
    bed.wait_for("the old attempts to be forgotten", async || {
        (count(&bed, "attempt where purpose = 'sign_in'").await == 1).then_some(())
    })
    .await;
}
