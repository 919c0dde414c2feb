//! One's own external identities.

use nats::{
    identity::{Identity, Permissions, Role},
    types::ExternalIdentityId,
};
use serde_json::json;
use stack::{Bed, bed::Answer};

use crate::{
    PASSWORD,
    auth::google::{self, Browser, somebody},
    count, login, register, signed_in, sql, user_of,
};

const IDENTITIES: &str = "/v1/users/me/external-identities";

/// Sets the password of whoever got this token answer, as the link of a mail would.
async fn with_password(bed: &Bed, answer: &Answer) {
    let question = nats::contracts::user::GetPasswordResetMail { user_id: user_of(answer) };
    let Ok(mail) = bed.call(&question).await else { panic!("no mail") };
    let (_, token) = mail.link.split_once("#token=").unwrap();
    let reset = json!({ "token": token, "password": PASSWORD });
    assert_eq!(bed.nobody().post("/v1/auth/password-reset/confirm", &reset).send().await.status, 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_sees_what_one_signs_in_with() {
    let (bed, _running, provider) = google::start().await;
    let (work, home) = (somebody(), somebody());
    let answer = google::signed_in(&bed, provider, &work, "ada@example.com").await;
    google::signed_in(&bed, provider, &home, "ada@example.com").await;
    google::signed_in(&bed, provider, &somebody(), "bob@example.com").await;
    let ada = signed_in(&bed, &answer).await;
    let first = ada.get(&format!("{IDENTITIES}?limit=1")).send().await;
    assert_eq!(first.status, 200, "{first}");
    let one = first.at("/data/0");
    assert_eq!((&one["issuer"], &one["email"]), (&json!(provider.issuer()), &json!("ada@example.com")));
    assert!(one["id"].as_str().unwrap().starts_with("ext_"), "{one}");
    assert_eq!(one.as_object().unwrap().len(), 5, "the subject is nobody's business: {one}");
    let rest = ada.get(&format!("{IDENTITIES}?cursor={}", first.text("/next_cursor"))).send().await;
    assert_eq!(rest.at("/data").as_array().map(Vec::len), Some(1), "two are Ada's: {rest}");
    bed.nobody().get(IDENTITIES).send().await.problem("unauthenticated", "");
    assert_eq!(bed.staff().get(IDENTITIES).send().await.at("/data"), &json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_way_to_sign_in_stays() {
    let (bed, _running, provider) = google::start().await;
    let (sub, email) = (somebody(), "ada@example.com");
    let answer = google::signed_in(&bed, provider, &sub, email).await;
    let ada = signed_in(&bed, &answer).await;
    let path = format!("{IDENTITIES}/{}", ada.get(IDENTITIES).send().await.text("/data/0/id"));
    let refused = ada.delete(&path).send().await;
    assert_eq!(refused.status, 409, "{refused}");
    refused.problem("conflict", "");

    with_password(&bed, &answer).await;
    // A code that is under way goes with the identity that brought it.
    let mut browser = Browser::default();
    let told = browser.told(&bed, provider, &[("sub", &sub)]).await;
    assert_eq!(ada.delete(&path).send().await.status, 204);
    browser.exchange(&bed, &told["code"]).await.problem("invalid_request", "/code");
    ada.delete(&path).send().await.problem("not_found", "");
    assert_eq!(login(&bed, email, PASSWORD).await.status, 200);

    let again = google::signed_in(&bed, provider, &sub, email).await;
    assert_eq!(user_of(&again), user_of(&answer), "signing in with it links it again");
    assert!(bed.broken_invariants("user").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_that_go_at_once_the_last_one_stays() {
    let (bed, _running, provider) = google::start().await;
    let answer = google::signed_in(&bed, provider, &somebody(), "ada@example.com").await;
    google::signed_in(&bed, provider, &somebody(), "ada@example.com").await;
    let ada = signed_in(&bed, &answer).await;
    let listed = ada.get(IDENTITIES).send().await;
    let [one, other] = ["/data/0/id", "/data/1/id"].map(|id| format!("{IDENTITIES}/{}", listed.text(id)));
    let (one, other) = tokio::join!(ada.delete(&one).send(), ada.delete(&other).send());
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 409], "{one} {other}");
    assert_eq!(count(&bed, "external_identity").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_elses_identity_does_not_exist_and_a_program_takes_none_away() {
    let (bed, _running, provider) = google::start().await;
    let answer = google::signed_in(&bed, provider, &somebody(), "ada@example.com").await;
    let ada = signed_in(&bed, &answer).await;
    let path = format!("{IDENTITIES}/{}", ada.get(IDENTITIES).send().await.text("/data/0/id"));
    let bob = signed_in(&bed, &register(&bed, "bob@example.com").await).await;
    bob.delete(&path).send().await.problem("not_found", "");
    bed.nobody().delete(&path).send().await.problem("unauthenticated", "");
    for unknown in [ExternalIdentityId::new().to_string(), "1".to_owned(), user_of(&answer).to_string()] {
        ada.delete(&format!("{IDENTITIES}/{unknown}")).send().await.problem("not_found", "");
    }
    sql(&bed, "update \"user\" set password_hash = '$argon2id$'").await;
    let (user, roles) = (user_of(&answer), vec![Role::CUSTOMER]);
    let key = Identity { user, session: None, roles, permissions: Permissions::default() };
    let refused = bed.client_of(key).delete(&path).send().await;
    assert_eq!(refused.status, 403, "{refused}");
    refused.problem("forbidden", "");
    assert_eq!(count(&bed, "external_identity").await, 1);
}
