use diesel::sql_query;
use diesel_async::RunQueryDsl;
use nats::{contracts::user::GrantRole, identity::Role};
use serde_json::json;
use stack::Bed;

use crate::{PASSWORD, login, refresh, register, start, verified};

async fn sql(bed: &Bed, statement: &str) {
    let changed = sql_query(statement).execute(&mut bed.sql("user").await).await.unwrap();
    assert!(changed > 0, "{statement}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_token_works_once_and_brings_the_next() {
    let (bed, running) = start().await;
    let first = register(&bed, "ada@example.com").await;
    let mut last = first.clone();
    for _ in 0..3 {
        let next = refresh(&bed, &last.text("/refresh_token")).await;
        assert_eq!(next.status, 200, "{next}");
        assert_eq!(next.header("cache-control"), Some("no-store"));
        assert_eq!(next.at("/user"), first.at("/user"));
        assert_ne!(next.text("/refresh_token"), last.text("/refresh_token"));
        assert_eq!(verified(&bed, &next).await.sid, verified(&bed, &first).await.sid, "the session stays the same");
        last = next;
    }
    running.stop().await;
    let _again = bed.run(svc_user::service()).await;
    assert_eq!(refresh(&bed, &last.text("/refresh_token")).await.status, 200, "a restart ends no session");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_comes_twice_ends_its_session_and_no_other() {
    let (bed, _running) = start().await;
    let first = register(&bed, "ada@example.com").await;
    let elsewhere = login(&bed, "ada@example.com", PASSWORD).await;
    let second = refresh(&bed, &first.text("/refresh_token")).await;
    let third = refresh(&bed, &second.text("/refresh_token")).await;
    assert_eq!(third.status, 200, "{third}");

    let stolen = refresh(&bed, &first.text("/refresh_token")).await;
    assert_eq!(stolen.status, 401, "an old token: {stolen}");
    stolen.problem("unauthenticated", "");
    refresh(&bed, &third.text("/refresh_token")).await.problem("unauthenticated", "");
    refresh(&bed, &first.text("/refresh_token")).await.problem("unauthenticated", "");
    sql(&bed, "update session set last_used_at = now() where end_reason = 'reuse'").await;
    assert_eq!(refresh(&bed, &elsewhere.text("/refresh_token")).await.status, 200, "the other session goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_at_once_one_wins_and_the_session_ends() {
    let (bed, _running) = start().await;
    let first = register(&bed, "ada@example.com").await.text("/refresh_token");
    let (one, other) = tokio::join!(refresh(&bed, &first), refresh(&bed, &first));
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 401], "one token, one successor");
    let winner = if one.status == 200 { one } else { other };
    refresh(&bed, &winner.text("/refresh_token")).await.problem("unauthenticated", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_token_is_refused_and_ends_nothing() {
    let (bed, _running) = start().await;
    let token = register(&bed, "ada@example.com").await.text("/refresh_token");
    sql(&bed, "update refresh_token set expires_at = now() - interval '1 second'").await;
    refresh(&bed, &token).await.problem("unauthenticated", "");
    sql(&bed, "update session set last_used_at = now() where ended_at is null").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_nobody_used_for_a_lifetime_are_forgotten() {
    #[derive(diesel::QueryableByName)]
    struct Count {
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        rows: i64,
    }
    let (bed, running) = start().await;
    register(&bed, "ada@example.com").await;
    sql(&bed, "update session set last_used_at = now() - interval '31 days'").await;
    let kept = login(&bed, "ada@example.com", PASSWORD).await.text("/refresh_token");
    // The job runs at the start, and then every hour.
    running.stop().await;
    let _again = bed.run(svc_user::service()).await;
    bed.wait_for("the old session to go", async || {
        let statement = "select count(*) as rows from refresh_token join session on session.id = session_id";
        let left: Count = sql_query(statement).get_result(&mut bed.sql("user").await).await.unwrap();
        (left.rows == 1).then_some(())
    })
    .await;
    assert_eq!(refresh(&bed, &kept).await.status, 200, "the other one is still good");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_stands_in_the_next_token() {
    let (bed, _running) = start().await;
    let first = register(&bed, "ada@example.com").await;
    let question = GrantRole { email: "ada@example.com".parse().unwrap(), role: Role::Staff };
    bed.call(&question).await.expect("granted");
    assert_eq!(verified(&bed, &first).await.roles, [Role::Customer], "what is out stays as it is");
    let next = refresh(&bed, &first.text("/refresh_token")).await;
    assert_eq!(verified(&bed, &next).await.roles, [Role::Customer, Role::Staff]);
    assert_eq!(next.at("/user/roles"), &json!(["customer", "staff"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_token_of_ours_is_refused() {
    let (bed, _running) = start().await;
    let access_token = register(&bed, "ada@example.com").await.text("/access_token");
    for token in ["", "x", &"A".repeat(43), &"A".repeat(10_000), &access_token] {
        let answer = refresh(&bed, token).await;
        assert_eq!(answer.status, 401, "{token:.20}: {answer}");
        answer.problem("unauthenticated", "");
    }
    let nobody = bed.nobody();
    nobody.post("/v1/auth/refresh", &json!({})).send().await.problem("invalid_request", "/refresh_token");
    nobody
        .post("/v1/auth/refresh", &json!({"refresh_token": 5}))
        .send()
        .await
        .problem("invalid_request", "/refresh_token");
    let unknown = json!({"refresh_token": "x", "scope": "all"});
    nobody.post("/v1/auth/refresh", &unknown).send().await.problem("invalid_request", "/scope");
}
