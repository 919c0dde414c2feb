use nats::{contracts::user::GrantRole, identity::Role};
use serde_json::json;

use crate::{PASSWORD, count, login, refresh, register, signed_in, sql, start, verified};

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
async fn a_token_that_comes_again_after_its_successor_was_used_ends_its_session_and_no_other() {
    let (bed, _running) = start().await;
    let first = register(&bed, "ada@example.com").await;
    let elsewhere = login(&bed, "ada@example.com", PASSWORD).await;
    let second = refresh(&bed, &first.text("/refresh_token")).await;
    let third = refresh(&bed, &second.text("/refresh_token")).await;
    assert_eq!(third.status, 200, "{third}");

    let stolen = refresh(&bed, &first.text("/refresh_token")).await;
    assert_eq!(stolen.status, 401, "an old token, however young: {stolen}");
    stolen.problem("unauthenticated", "");
    refresh(&bed, &third.text("/refresh_token")).await.problem("unauthenticated", "");
    refresh(&bed, &first.text("/refresh_token")).await.problem("unauthenticated", "");
    sql(&bed, "update session set last_used_at = now() where end_reason = 'reuse'").await;
    assert_eq!(refresh(&bed, &elsewhere.text("/refresh_token")).await.status, 200, "the other session goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_did_not_get_the_answer_asks_again_and_gets_the_same_token() {
    let (bed, _running) = start().await;
    let first = register(&bed, "ada@example.com").await;
    let second = refresh(&bed, &first.text("/refresh_token")).await;
    let again = refresh(&bed, &first.text("/refresh_token")).await;
    assert_eq!(again.status, 200, "{again}");
    assert_eq!(again.text("/refresh_token"), second.text("/refresh_token"));
    assert_eq!(verified(&bed, &again).await.sid, verified(&bed, &first).await.sid);
    let third = refresh(&bed, &again.text("/refresh_token")).await;
    assert_eq!(third.status, 200, "the session goes on: {third}");
    let once_more = refresh(&bed, &second.text("/refresh_token")).await;
    assert_eq!(once_more.text("/refresh_token"), third.text("/refresh_token"), "each in its turn");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_at_once_each_gets_the_one_successor() {
    let (bed, _running) = start().await;
    let _other = bed.run(svc_user::service()).await;
    let first = register(&bed, "ada@example.com").await.text("/refresh_token");
    let crowd: Vec<_> = (0..8)
        .map(|_| {
            let (client, body) = (bed.nobody(), json!({"refresh_token": first}));
            tokio::spawn(async move { client.post("/v1/auth/refresh", &body).send().await })
        })
        .collect();
    let mut successors = Vec::new();
    for one in crowd {
        let answer = one.await.unwrap();
        assert_eq!(answer.status, 200, "{answer}");
        successors.push(answer.text("/refresh_token"));
    }
    successors.dedup();
    assert_eq!(successors.len(), 1, "one token, one successor");
    assert_eq!(count(&bed, "refresh_token").await, 2);
    assert_eq!(refresh(&bed, &successors[0]).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_ten_seconds_a_token_that_comes_again_ends_its_session() {
    let (bed, _running) = start().await;
    let first = register(&bed, "ada@example.com").await.text("/refresh_token");
    let second = refresh(&bed, &first).await.text("/refresh_token");
    sql(&bed, "update refresh_token set consumed_at = now() - interval '11 seconds' where state = 'consumed'").await;
    refresh(&bed, &first).await.problem("unauthenticated", "");
    refresh(&bed, &second).await.problem("unauthenticated", "");
    sql(&bed, "update session set last_used_at = now() where end_reason = 'reuse'").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_brings_an_ended_session_back() {
    let (bed, _running) = start().await;
    let answer = register(&bed, "ada@example.com").await;
    let first = answer.text("/refresh_token");
    assert_eq!(refresh(&bed, &first).await.status, 200);
    assert_eq!(signed_in(&bed, &answer).await.post("/v1/auth/logout", &json!({})).send().await.status, 204);
    refresh(&bed, &first).await.problem("unauthenticated", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_last_exchange_can_be_computed_again() {
    let (bed, _running) = start().await;
    let mut last = register(&bed, "ada@example.com").await;
    for _ in 0..3 {
        last = refresh(&bed, &last.text("/refresh_token")).await;
        assert_eq!(count(&bed, "refresh_token where successor_salt is not null").await, 1);
    }
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
    let (bed, running) = start().await;
    register(&bed, "ada@example.com").await;
    sql(&bed, "update session set last_used_at = now() - interval '31 days'").await;
    let kept = login(&bed, "ada@example.com", PASSWORD).await.text("/refresh_token");
    // The job runs at the start, and then every hour.
    running.stop().await;
    let _again = bed.run(svc_user::service()).await;
    bed.wait_for("the old session to go", async || {
        (count(&bed, "refresh_token join session on session.id = session_id").await == 1).then_some(())
    })
    .await;
    assert_eq!(refresh(&bed, &kept).await.status, 200, "the other one is still good");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_stands_in_the_next_token() {
    let (bed, _running) = start().await;
    let first = register(&bed, "ada@example.com").await;
    let question = GrantRole { email: "ada@example.com".parse().unwrap(), role: Role::STAFF };
    bed.call(&question).await.expect("granted");
    assert_eq!(verified(&bed, &first).await.roles, [Role::CUSTOMER], "what is out stays as it is");
    let next = refresh(&bed, &first.text("/refresh_token")).await;
    assert_eq!(verified(&bed, &next).await.roles, [Role::CUSTOMER, Role::STAFF]);
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
