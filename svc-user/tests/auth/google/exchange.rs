use diesel::{QueryableByName, sql_query, sql_types};
use diesel_async::RunQueryDsl;
use serde_json::json;
use stack::{Bed, openid::OpenIdProvider};

use super::{Browser, claims, somebody, start};
use crate::{count, sql};

/// Somebody who is back, with the code that the shop's page was told.
async fn back(bed: &Bed, provider: &OpenIdProvider, email: &str) -> (Browser, String) {
    let (sub, mut browser) = (somebody(), Browser::default());
    let mut told = browser.told(bed, provider, &claims(&sub, email)).await;
    let code = told.remove("code").unwrap_or_else(|| panic!("no code: {told:?}"));
    (browser, code)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_works_once() {
    let (bed, _running, provider) = start().await;
    let (browser, code) = back(&bed, provider, "ada@example.com").await;
    assert_eq!(browser.clone().exchange(&bed, &code).await.status, 200);
    let again = browser.clone().exchange(&bed, &code).await;
    assert_eq!(again.status, 422, "{again}");
    again.problem("invalid_request", "/code");
    assert!(!again.to_string().contains(&code), "a code is not repeated: {again}");
    assert_eq!(count(&bed, "session").await, 1);

    let (browser, code) = back(&bed, provider, "ada@example.com").await;
    let (mut one, mut other) = (browser.clone(), browser);
    let (one, other) = tokio::join!(one.exchange(&bed, &code), other.exchange(&bed, &code));
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 422], "{one} {other}");
    assert_eq!(count(&bed, "session").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stolen_code_is_of_no_use_and_stays_its_owners() {
    let (bed, _running, provider) = start().await;
    let (mut adas, code) = back(&bed, provider, "ada@example.com").await;
    let (mallorys, _) = back(&bed, provider, "mallory@example.com").await;
    for mut thief in [Browser::default(), mallorys] {
        thief.exchange(&bed, &code).await.problem("invalid_request", "/code");
    }
    let answer = adas.exchange(&bed, &code).await;
    assert_eq!((answer.status, answer.at("/user/email")), (200, &json!("ada@example.com")), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_good_for_a_minute() {
    let (bed, _running, provider) = start().await;
    let (mut browser, code) = back(&bed, provider, "ada@example.com").await;
    sql(&bed, "update sign_in_code set expires_at = expires_at - interval '50 seconds'").await;
    assert!(count(&bed, "sign_in_code where expires_at > now()").await == 1, "a minute is more than 50 seconds");
    sql(&bed, "update sign_in_code set expires_at = expires_at - interval '10 seconds'").await;
    browser.exchange(&bed, &code).await.problem("invalid_request", "/code");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_pointed_at() {
    let (bed, _running, provider) = start().await;
    let (browser, _) = back(&bed, provider, "ada@example.com").await;
    for code in ["", "x", "not base64url!", &"A".repeat(43), &"A".repeat(100_000)] {
        browser.clone().exchange(&bed, code).await.problem("invalid_request", "/code");
    }
    let nobody = bed.nobody();
    for (body, pointer) in
        [(json!({}), "/code"), (json!({"code": 7}), "/code"), (json!({"code": "x", "redirect": "y"}), "/redirect")]
    {
        nobody.post("/v1/auth/exchange", &body).send().await.problem("invalid_request", pointer);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_signs_in_can_be_read_from_the_database() {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = sql_types::Text)]
        all: String,
    }
    let (bed, _running, provider) = start().await;
    let mut waiting = Browser::default();
    let url = waiting.begin(&bed).await;
    let (browser, code) = back(&bed, provider, "ada@example.com").await;
    let rows: Vec<Row> = sql_query(
        "select external_sign_in::text as all from external_sign_in union all select sign_in_code::text from sign_in_code
         union all select external_identity::text from external_identity union all select event_log::text from event_log",
    )
    .load(&mut bed.sql("user").await)
    .await
    .unwrap();
    assert_eq!(rows.len(), 4, "one who is away, a code, an identity, an event");
    let secret = |browser: &Browser| browser.cookie.split('=').nth(1).unwrap().to_owned();
    let mut secrets = vec![code, secret(&browser), secret(&waiting)];
    let url = openidconnect::url::Url::parse(&url).unwrap();
    secrets.extend(
        url.query_pairs().filter(|(name, _)| name == "state" || name == "nonce").map(|(_, value)| value.into()),
    );
    assert_eq!(secrets.len(), 5);
    for Row { all } in rows {
        for secret in &secrets {
            assert!(!all.contains(secret), "{all}");
        }
    }
}
