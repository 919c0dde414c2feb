use std::time::{Duration, Instant};

use diesel::sql_query;
use diesel_async::RunQueryDsl;
use serde_json::json;
use stack::Bed;

use crate::{PASSWORD, count, login, pauses_are_over, refresh, register, start, user_of, verified};

#[tokio::test(flavor = "multi_thread")]
async fn the_right_password_opens_a_session_of_its_own() {
    let (bed, _running) = start().await;
    let first = register(&bed, "ada@example.com").await;
    let second = login(&bed, "ADA@example.com", PASSWORD).await;
    assert_eq!(second.status, 200, "the address in whatever case: {second}");
    assert_eq!(second.header("cache-control"), Some("no-store"));
    assert_eq!(second.at("/user"), first.at("/user"));
    assert_eq!(second.at("/expires_in"), 600);
    assert_ne!(second.text("/refresh_token"), first.text("/refresh_token"));
    let (one, other) = (verified(&bed, &first).await, verified(&bed, &second).await);
    assert_eq!((one.sub, other.sub), (user_of(&first), user_of(&first)));
    assert_ne!(one.sid, other.sid);
    assert_ne!(one.jti, other.jti);
    assert_eq!(refresh(&bed, &first.text("/refresh_token")).await.status, 200, "the first session goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_not_told_whether_the_account_or_the_password_is_wrong() {
    let (bed, _running) = start().await;
    register(&bed, "ada@example.com").await;
    let long = "x".repeat(5000);
    let mut answers = Vec::new();
    for (email, password) in [
        ("ada@example.com", "wrong horse battery"),
        ("ada@example.com", " correct horse battery"),
        ("ada@example.com", "Correct horse battery"),
        ("ada@example.com", ""),
        ("ada@example.com", &long),
        ("nobody@example.com", PASSWORD),
        ("nobody@example.com", ""),
    ] {
        let mut answer = login(&bed, email, password).await;
        assert_eq!(answer.status, 401, "{answer}");
        answer.problem("bad_credentials", "");
        answer.json["request_id"] = json!(null);
        answers.push(answer.json);
        pauses_are_over(&bed).await;
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "all answers are the same: {answers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_account_takes_as_long_as_a_wrong_password() {
    let (bed, _running) = start().await;
    register(&bed, "ada@example.com").await;
    let fastest = async |email: &str| {
        let mut best = Duration::MAX;
        for _ in 0..5 {
            let started = Instant::now();
            login(&bed, email, "wrong horse battery").await.problem("bad_credentials", "");
            best = best.min(started.elapsed());
            pauses_are_over(&bed).await;
        }
        best
    };
    let (known, unknown) = (fastest("ada@example.com").await, fastest("nobody@example.com").await);
    // Without the decoy it is a fraction: a hash takes many times what all the rest does.
    assert!(unknown * 2 > known, "known {known:?}, unknown {unknown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_is_changed_at_this_moment_opens_no_session() {
    let (bed, _running) = start().await;
    register(&bed, "ada@example.com").await;
    let mut changing = bed.sql("user").await;
    for statement in ["begin", "update \"user\" set password_hash = password_hash || 'x'"] {
        sql_query(statement).execute(&mut changing).await.unwrap();
    }
    let (client, body) = (bed.nobody(), json!({"email": "ada@example.com", "password": PASSWORD}));
    let signing_in = tokio::spawn(async move { client.post("/v1/auth/login", &body).send().await });
    bed.wait_for("the sign-in to wait for the change", async || {
        let waiting = "pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()";
        (count(&bed, waiting).await > 0).then_some(())
    })
    .await;
    sql_query("commit").execute(&mut changing).await.unwrap();
    signing_in.await.unwrap().problem("bad_credentials", "");
    assert_eq!(count(&bed, "session").await, 1, "the one of registering");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_is_told_to_come_back() {
    let bed = Bed::start().await;
    let _running = bed.run_with(svc_user::service(), &[("PASSWORD_WORKERS", "1"), ("PASSWORD_QUEUE", "1")]).await;
    register(&bed, "ada@example.com").await;
    let crowd: Vec<_> = (0..16)
        .map(|_| {
            let client = bed.nobody();
            let body = json!({"email": "ada@example.com", "password": PASSWORD});
            tokio::spawn(async move { client.post("/v1/auth/login", &body).send().await })
        })
        .collect();
    let (mut served, mut shed) = (0, 0);
    for one in crowd {
        let answer = one.await.unwrap();
        match answer.status {
            200 => served += 1,
            _ => {
                assert_eq!(answer.status, 503, "{answer}");
                answer.problem("unavailable", "");
                assert!(answer.header("retry-after").is_some());
                shed += 1;
            }
        }
    }
    assert!(served >= 2, "whoever has a place is served, not {served}");
    assert!(shed >= 1, "the others are told at once");
    assert_eq!(login(&bed, "ada@example.com", PASSWORD).await.status, 200, "afterwards there is room again");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_pointed_at() {
    let (bed, _running) = start().await;
    let nobody = bed.nobody();
    for (body, pointer) in [
        (json!({"email": "ada", "password": PASSWORD}), "/email"),
        (json!({"email": "ada@example.com"}), "/password"),
        (json!({"email": "ada@example.com", "password": 5}), "/password"),
        (json!({"email": "ada@example.com", "password": PASSWORD, "remember": true}), "/remember"),
        (json!([]), ""),
    ] {
        let answer = nobody.post("/v1/auth/login", &body).send().await;
        assert_eq!(answer.status, 422, "{body}: {answer}");
        answer.problem("invalid_request", pointer);
    }
    nobody.request("POST", "/v1/auth/login").send().await.problem("malformed_request", "");
    nobody.request("GET", "/v1/auth/login").send().await.problem("method_not_allowed", "");
}
