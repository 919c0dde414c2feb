use diesel::{QueryableByName, sql_query, sql_types};
use diesel_async::RunQueryDsl;
use nats::{
    contracts::user::{UserEmailVerificationRequested, UserRegistered},
    identity::Role,
};
use serde_json::json;

use crate::{PASSWORD, count, register, registration, start, user_of, verified};

#[tokio::test(flavor = "multi_thread")]
async fn who_registers_is_signed_in() {
    let (bed, _running) = start().await;
    let body = json!({"email": "Ada@Example.COM", "password": "  pässword ", "name": " Ada ", "locale": "de-de"});
    let answer = bed.nobody().post("/v1/auth/register", &body).send().await;
    assert_eq!(answer.status, 201, "{answer}");
    assert_eq!(answer.header("location"), Some("/v1/users/me"));
    assert_eq!(answer.header("cache-control"), Some("no-store"), "tokens stay out of caches");
    assert_eq!(answer.at("/user/email"), "Ada@example.com");
    assert_eq!(answer.at("/user/email_verified"), false);
    assert_eq!(answer.at("/user/name"), "Ada");
    assert_eq!(answer.at("/user/locale"), "de-DE");
    assert_eq!(answer.at("/user/roles"), &json!(["customer"]));
    assert_eq!(answer.at("/token_type"), "Bearer");
    assert_eq!(answer.at("/expires_in"), 600);
    let (user, fields) = (answer.at("/user").as_object().unwrap(), answer.json.as_object().unwrap());
    assert_eq!((user.len(), fields.len()), (7, 5), "nothing else is told: {answer}");

    let id = user_of(&answer);
    let claims = verified(&bed, &answer).await;
    assert_eq!((claims.sub, claims.roles, claims.exp - claims.iat), (id, vec![Role::CUSTOMER], 600));
    assert!(!claims.client_id.is_empty() && !claims.jti.is_empty());

    let event = bed.event::<UserRegistered>(|event| event.user_id == id).await;
    assert_eq!(serde_json::to_value(event).unwrap(), json!({"user_id": id}), "no personal data in events");
    let event = bed.event::<UserEmailVerificationRequested>(|event| event.user_id == id).await;
    assert_eq!(serde_json::to_value(event).unwrap(), json!({"user_id": id}), "no token in events");
    let me = bed.customer_with_id(id).get("/v1/users/me").send().await;
    assert_eq!(me.json, *answer.at("/user"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_has_one_account_whatever_its_case() {
    let (bed, _running) = start().await;
    register(&bed, "ada@example.com").await;
    for email in ["ada@example.com", "ADA@example.com", "Ada@EXAMPLE.com"] {
        let again = bed.nobody().post("/v1/auth/register", &registration(email)).send().await;
        assert_eq!(again.status, 409, "{again}");
        again.problem("conflict", "/email");
        assert!(!again.to_string().to_lowercase().contains("ada@"), "the address is not repeated: {again}");
    }
    assert_eq!(count(&bed, "event_log").await, 2, "a refused registration is no event");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_at_once_one_gets_the_address() {
    let (bed, _running) = start().await;
    let attempts = (0..6).map(|attempt| {
        let client = bed.nobody();
        let email = if attempt % 2 == 0 { "ada@example.com" } else { "ADA@example.com" };
        tokio::spawn(async move { client.post("/v1/auth/register", &registration(email)).send().await.status })
    });
    let mut statuses = Vec::new();
    for attempt in attempts.collect::<Vec<_>>() {
        statuses.push(attempt.await.unwrap());
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409, 409, 409]);
    assert_eq!(count(&bed, "\"user\"").await, 1);
    assert_eq!(count(&bed, "session").await, 1, "whoever lost left nothing half-written");
    assert_eq!(count(&bed, "event_log").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_pointed_at_and_writes_nothing() {
    let (bed, _running) = start().await;
    let nobody = bed.nobody();
    let good = registration("ada@example.com");
    for (field, value) in [
        ("email", json!("ada")),
        ("email", json!("ada@example.com ")),
        ("email", json!(5)),
        ("email", json!(null)),
        ("password", json!("1234567")),
        ("password", json!("x".repeat(201))),
        ("password", json!(12_345_678)),
        ("name", json!("")),
        ("name", json!("   ")),
        ("name", json!("x".repeat(201))),
        ("name", json!("a\u{0}b")),
        ("locale", json!("german")),
        ("roles", json!(["admin"])),
    ] {
        let mut body = good.clone();
        body[field] = value.clone();
        let answer = nobody.post("/v1/auth/register", &body).send().await;
        assert_eq!(answer.status, 422, "{field} = {value}: {answer}");
        answer.problem("invalid_request", &format!("/{field}"));
        assert!(!answer.to_string().contains("12345678"), "a password is not repeated: {answer}");
    }
    for field in ["email", "password", "name"] {
        let mut body = good.clone();
        body.as_object_mut().unwrap().remove(field);
        nobody.post("/v1/auth/register", &body).send().await.problem("invalid_request", &format!("/{field}"));
    }
    let post = || nobody.request("POST", "/v1/auth/register");
    post().send().await.problem("malformed_request", "");
    post().raw("{\"email\":", "application/json").send().await.problem("malformed_request", "");
    post().raw(good.to_string(), "text/plain").send().await.problem("unsupported_media_type", "");
    assert_eq!(count(&bed, "\"user\"").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_password_nor_token_can_be_read_from_the_database() {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = sql_types::Text)]
        all: String,
    }
    let (bed, _running) = start().await;
    let answer = register(&bed, "ada@example.com").await;
    let rows: Vec<Row> = sql_query(
        r#"select "user"::text as all from "user" union all select session::text from session
           union all select refresh_token::text from refresh_token union all select event_log::text from event_log"#,
    )
    .load(&mut bed.sql("user").await)
    .await
    .unwrap();
    assert_eq!(rows.len(), 5, "a user, a session, a refresh token, two events");
    for Row { all } in rows {
        for secret in [PASSWORD, &answer.text("/refresh_token"), &answer.text("/access_token")] {
            assert!(!all.contains(secret), "{all}");
        }
    }
}
