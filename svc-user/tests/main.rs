//! svc-user on the real thing: its own nats-server with the real permissions, its own databases.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "tests"
)]

mod address;
mod api_key;
mod audit;
mod auth;
mod company;
mod external_identity;
mod preference;
mod role;
mod session;
mod signing_key;
mod trail;
mod user;

use diesel::sql_query;
use diesel_async::RunQueryDsl;
use nats::{
    identity::{Identity, Permissions},
    service::Running,
    types::UserId,
};
use serde_json::{Value, json};
use stack::{
    Bed,
    bed::{Answer, Client},
};

const PASSWORD: &str = "correct horse battery";

/// A bed in which svc-user runs.
async fn start() -> (Bed, Running) {
    let bed = Bed::start().await;
    let running = bed.run(svc_user::service()).await;
    (bed, running)
}

/// What somebody sends to register.
fn registration(email: &str) -> Value {
    json!({"email": email, "password": PASSWORD, "name": "Ada Lovelace"})
}

/// Registers somebody with [`PASSWORD`].
async fn register(bed: &Bed, email: &str) -> Answer {
    let answer = bed.nobody().post("/v1/auth/register", &registration(email)).send().await;
    assert_eq!(answer.status, 201, "{email} registers: {answer}");
    answer
}

async fn login(bed: &Bed, email: &str, password: &str) -> Answer {
    bed.nobody().post("/v1/auth/login", &json!({"email": email, "password": password})).send().await
}

async fn refresh(bed: &Bed, token: &str) -> Answer {
    bed.nobody().post("/v1/auth/refresh", &json!({"refresh_token": token})).send().await
}

/// A client of whoever got this token answer, in the session that it is of.
async fn signed_in(bed: &Bed, answer: &Answer) -> Client {
    let claims = verified(bed, answer).await;
    let permissions = Permissions::named(&claims.permissions);
    bed.client_of(Identity { user: claims.sub, session: Some(claims.sid), roles: claims.roles, permissions })
}

/// Changes what is in the database, as time would.
async fn sql(bed: &Bed, statement: &str) {
    let changed = sql_query(statement).execute(&mut bed.sql("user").await).await.unwrap();
    assert!(changed > 0, "nothing is changed by: {statement}");
}

/// As if the pauses that follow attempts were over.
async fn pauses_are_over(bed: &Bed) {
    sql_query("update attempt set blocked_until = now()").execute(&mut bed.sql("user").await).await.unwrap();
}

/// As if the pauses that follow attempts had just begun to be long.
async fn pauses_are_long(bed: &Bed) {
    sql(bed, "update attempt set blocked_until = now() + interval '10 minutes'").await;
}

/// Asserts that one has to wait, for most of ten minutes.
fn told_to_wait(answer: &Answer) {
    assert_eq!(answer.status, 429, "{answer}");
    answer.problem("too_many_requests", "");
    let seconds: u64 = answer.header("retry-after").expect("how long").parse().expect("seconds");
    assert!((500..=600).contains(&seconds), "wait for {seconds} s");
}

/// How many rows a table has.
async fn count(bed: &Bed, table: &str) -> i64 {
    #[derive(diesel::QueryableByName)]
    struct Count {
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        rows: i64,
    }
    let counted: Count = sql_query(format!("select count(*) as rows from {table}"))
        .get_result(&mut bed.sql("user").await)
        .await
        .unwrap();
    counted.rows
}

/// Whose token answer this is.
fn user_of(answer: &Answer) -> UserId {
    answer.text("/user/id").parse().expect("a user's id")
}

/// The claims of the access token, as whoever has only our key set verifies them.
async fn verified(bed: &Bed, answer: &Answer) -> nats::contracts::user::AccessClaims {
    use jsonwebtoken::{Algorithm, DecodingKey, Validation};
    use nats::contracts::user::{GetSigningKeys, TOKEN_AUDIENCE, TOKEN_ISSUER};

    let token = answer.text("/access_token");
    let header = jsonwebtoken::decode_header(&token).expect("a JWT");
    assert_eq!(header.typ.as_deref(), Some("at+jwt"));
    assert_eq!(header.alg, Algorithm::ES256);
    let keys = bed.call(&GetSigningKeys {}).await.expect("the key set").keys;
    let key = keys.iter().find(|key| Some(&key.kid) == header.kid.as_ref()).expect("the token's key is in the set");
    let mut validation = Validation::new(Algorithm::ES256);
    validation.set_issuer(&[TOKEN_ISSUER]);
    validation.set_audience(&[TOKEN_AUDIENCE]);
    let key = DecodingKey::from_ec_components(&key.x, &key.y).expect("a point on P-256");
    jsonwebtoken::decode(&token, &key, &validation).expect("a token that verifies").claims
}
