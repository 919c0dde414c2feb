use serde_json::json;

use super::SESSIONS;
use crate::{PASSWORD, count, login, refresh, register, registration, signed_in, sql, start, user_of, verified};

#[tokio::test(flavor = "multi_thread")]
async fn one_sees_where_one_is_signed_in() {
    let (bed, _running) = start().await;
    let nobody = bed.nobody();
    let registering = nobody.post("/v1/auth/register", &registration("ada@example.com"));
    let first = registering.header("User-Agent", "Laptop/1.0 (Ubuntu)").send().await;
    let nobody = nobody.clone().at("2001:db8:1:2::");
    register(&bed, "bob@example.com").await;
    let signing_in = nobody.post("/v1/auth/login", &json!({"email": "ada@example.com", "password": PASSWORD}));
    let second = signing_in.header("User-Agent", &"Phone ".repeat(100)).send().await;
    let third = login(&bed, "ada@example.com", PASSWORD).await;

    let answer = signed_in(&bed, &second).await.get(SESSIONS).send().await;
    assert_eq!(answer.status, 200, "{answer}");
    let sessions = answer.at("/data").as_array().unwrap();
    assert_eq!(sessions.len(), 3, "one's own: {answer}");
    for (session, (signed_in, user_agent, address, current)) in sessions.iter().zip([
        (&third, json!(null), json!(null), false),
        (&second, json!(&"Phone ".repeat(100)[..200]), json!("2001:db8:1:2::"), true),
        (&first, json!("Laptop/1.0 (Ubuntu)"), json!(null), false),
    ]) {
        assert_eq!(session["id"], json!(verified(&bed, signed_in).await.sid), "the newest first");
        assert_eq!((&session["user_agent"], &session["current"]), (&user_agent, &json!(current)), "{session}");
        assert_eq!(session["address"], address, "{session}");
        assert_eq!(session["created_at"], session["last_used_at"]);
        assert_eq!(session.as_object().unwrap().len(), 7, "nothing else is told: {session}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn use_is_noted_and_what_has_ended_is_not_shown() {
    let (bed, _running) = start().await;
    let first = register(&bed, "ada@example.com").await;
    let client = signed_in(&bed, &first).await;
    sql(&bed, "update session set created_at = now() - interval '20 days', last_used_at = now() - interval '6 days'")
        .await;
    assert_eq!(refresh(&bed, &first.text("/refresh_token")).await.status, 200);
    let shown = client.get(SESSIONS).send().await;
    let time = |field: &str| shown.text(&format!("/data/0/{field}")).parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    let days = |from: &str, to: &str| (time(to) - time(from)).num_days();
    assert_eq!((days("created_at", "last_used_at"), days("last_used_at", "expires_at")), (20, 7), "{shown}");

    for end in ["last_used_at = now() - interval '8 days'", "created_at = now() - interval '31 days'"] {
        sql(&bed, &format!("update session set {end}")).await;
        assert_eq!(client.get(SESSIONS).send().await.at("/data"), &json!([]), "{end}");
        sql(&bed, "update session set created_at = now(), last_used_at = now()").await;
    }
    assert_eq!(client.post("/v1/auth/logout", &json!({})).send().await.status, 204);
    assert_eq!(client.get(SESSIONS).send().await.at("/data"), &json!([]));
    bed.nobody().get(SESSIONS).send().await.problem("unauthenticated", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_show_each_once() {
    let (bed, _running) = start().await;
    let client = signed_in(&bed, &register(&bed, "ada@example.com").await).await;
    for _ in 0..2 {
        login(&bed, "ada@example.com", PASSWORD).await;
    }
    let first = client.get(&format!("{SESSIONS}?limit=2")).send().await;
    assert_eq!(first.at("/data").as_array().map(Vec::len), Some(2), "{first}");
    let rest = client.get(&format!("{SESSIONS}?limit=2&cursor={}", first.text("/next_cursor"))).send().await;
    assert_eq!(rest.at("/data").as_array().map(Vec::len), Some(1), "{rest}");
    assert_eq!((rest.at("/data/0/current"), rest.at("/next_cursor")), (&json!(true), &json!(null)));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_more_than_two_hundred_the_one_unused_for_longest_ends() {
    let (bed, _running) = start().await;
    let oldest = register(&bed, "ada@example.com").await;
    let fill = "insert into session (id, user_id, created_at, last_used_at)
                select gen_random_uuid(), id, now() + n * interval '1 second', now() + n * interval '1 second'
                from \"user\", generate_series(1, 199) as n";
    sql(&bed, fill).await;
    assert_eq!(count(&bed, "session where ended_at is null").await, 200);
    let newest = login(&bed, "ada@example.com", PASSWORD).await;
    assert_eq!(newest.status, 200, "{newest}");
    assert_eq!(count(&bed, "session where ended_at is null").await, 200);
    refresh(&bed, &oldest.text("/refresh_token")).await.problem("unauthenticated", "");
    assert_eq!(refresh(&bed, &newest.text("/refresh_token")).await.status, 200);
    assert_eq!(user_of(&newest), user_of(&oldest));
}
