use nats::contracts::user::{UserApiKeyRevoked, UserRegistered, UserSessionEnded};
use serde_json::json;
use stack::bed::Answer;

use super::{Browser, claims, signed_in, somebody, start};
use crate::{PASSWORD, count, login, refresh, register, sql, user_of, verified};

#[tokio::test(flavor = "multi_thread")]
async fn an_account_whose_address_is_verified_is_linked_and_stays_what_it_is() {
    let (bed, _running, provider) = start().await;
    let registered = register(&bed, "ada@example.com").await;
    sql(&bed, "update \"user\" set email_verified_at = now()").await;
    let answer = signed_in(&bed, provider, &somebody(), "ADA@example.com").await;
    assert_eq!(user_of(&answer), user_of(&registered), "the address in whatever case");
    assert_eq!(answer.at("/user/name"), "Ada Lovelace");
    assert_eq!(login(&bed, "ada@example.com", PASSWORD).await.status, 200, "the password is what it was");
    assert_eq!(refresh(&bed, &registered.text("/refresh_token")).await.status, 200, "so are sessions");
    let id = user_of(&answer);
    assert_eq!(bed.events::<UserRegistered>(|event| event.user_id == id).await.len(), 1, "nobody registered again");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_registered_with_somebody_elses_address_loses_what_they_have_of_the_account() {
    let (bed, _running, provider) = start().await;
    // Mallory cannot read Ada's mail, so the address stays unverified; but has a password, a session, an API key.
    let mallorys = register(&bed, "ada@example.com").await;
    let key = api_key(&bed, &mallorys).await;
    let session = verified(&bed, &mallorys).await.sid;

    let adas = signed_in(&bed, provider, &somebody(), "ada@example.com").await;

    assert_eq!((user_of(&adas), adas.at("/user/email_verified")), (user_of(&mallorys), &json!(true)));
    login(&bed, "ada@example.com", PASSWORD).await.problem("bad_credentials", "");
    refresh(&bed, &mallorys.text("/refresh_token")).await.problem("unauthenticated", "");
    bed.event::<UserSessionEnded>(|event| event.session_id == session).await;
    bed.event::<UserApiKeyRevoked>(|event| event.api_key_id.to_string() == key).await;
    assert_eq!((count(&bed, "api_key").await, count(&bed, "mail_token").await), (0, 0));
    assert_eq!(refresh(&bed, &adas.text("/refresh_token")).await.status, 200, "Ada's session goes on");
    assert_eq!(count(&bed, "session where end_reason = 'claimed'").await, 1);
    assert!(bed.broken_invariants("user").await.is_empty());
}

/// An API key of whoever got this token answer.
async fn api_key(bed: &stack::Bed, answer: &Answer) -> String {
    let expires_at = (chrono::Utc::now() + chrono::Duration::days(1)).to_rfc3339();
    let wanted = json!({ "name": "a way back", "scopes": ["order:read"], "expires_at": expires_at });
    let made = crate::signed_in(bed, answer).await.post("/v1/api-keys", &wanted).send().await;
    assert_eq!(made.status, 201, "{made}");
    made.text("/id")
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_sign_ins_of_somebody_new_at_once_there_is_one_account() {
    let (bed, _running, provider) = start().await;
    let sub = somebody();
    let mut links = Vec::new();
    for _ in 0..4 {
        let mut browser = Browser::default();
        let link = browser.away(&bed, provider, &claims(&sub, "ada@example.com")).await;
        links.push((browser, link));
    }
    let Ok([one, two, three, four]) = <[(Browser, String); 4]>::try_from(links) else { panic!("four links") };
    let back = async |(mut browser, link): (Browser, String)| {
        let told = super::page(&browser.get(&bed, &link).await);
        browser.exchange(&bed, told.get("code").unwrap_or_else(|| panic!("no code: {told:?}"))).await.status
    };
    let statuses = tokio::join!(back(one), back(two), back(three), back(four));
    assert_eq!(statuses, (200, 200, 200, 200));
    assert_eq!((count(&bed, "\"user\"").await, count(&bed, "external_identity").await), (1, 1));
    assert_eq!(count(&bed, "session").await, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_can_be_set_by_the_link_of_a_mail() {
    let (bed, _running, provider) = start().await;
    let answer = signed_in(&bed, provider, &somebody(), "ada@example.com").await;
    let client = crate::signed_in(&bed, &answer).await;
    let change = json!({ "current_password": PASSWORD, "new_password": PASSWORD });
    client.put("/v1/users/me/password", &change).send().await.problem("conflict", "");

    let question = nats::contracts::user::GetPasswordResetMail { user_id: user_of(&answer) };
    let Ok(mail) = bed.call(&question).await else { panic!("no mail") };
    let (_, token) = mail.link.split_once("#token=").unwrap();
    let reset = json!({ "token": token, "password": PASSWORD });
    let set = bed.nobody().post("/v1/auth/password-reset/confirm", &reset).send().await;
    assert_eq!(set.status, 204, "{set}");
    assert_eq!(login(&bed, "ada@example.com", PASSWORD).await.status, 200);
}
