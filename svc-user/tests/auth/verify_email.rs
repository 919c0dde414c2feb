use nats::{
    contracts::user::{GetEmailVerificationMail, GetPasswordResetMail, Unknown, UserEmailVerificationRequested},
    invoke::CallError,
    types::UserId,
};
use serde_json::json;
use stack::{Bed, bed::Answer};

use crate::{pauses_are_long, register, signed_in, sql, start, told_to_wait, user_of};

async fn verify(bed: &Bed, token: &str) -> Answer {
    bed.nobody().post("/v1/auth/verify-email", &json!({"token": token})).send().await
}

/// The token of the link that svc-notify would send now.
async fn token_for(bed: &Bed, user_id: UserId) -> String {
    let mail = bed.call(&GetEmailVerificationMail { user_id }).await.expect("the mail");
    mail.link.strip_prefix("/verify-email#token=").expect("the page of the shop").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_link_of_the_mail_verifies_the_address_once() {
    let (bed, _running) = start().await;
    let ada = register(&bed, "ada@example.com").await;
    let (user_id, client) = (user_of(&ada), signed_in(&bed, &ada).await);
    bed.event::<UserEmailVerificationRequested>(|event| event.user_id == user_id).await;
    let token = token_for(&bed, user_id).await;
    assert_eq!(client.get("/v1/users/me").send().await.at("/email_verified"), false);
    assert_eq!(verify(&bed, &token).await.status, 204);
    assert_eq!(client.get("/v1/users/me").send().await.at("/email_verified"), true);

    verify(&bed, &token).await.problem("invalid_request", "/token");
    let another = bed.call(&GetEmailVerificationMail { user_id }).await.err();
    assert!(matches!(another, Some(CallError::Refused(Unknown::Unknown))), "there is nothing to verify: {another:?}");
    client.post("/v1/auth/verify-email/resend", &json!({})).send().await.problem("conflict", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_is_worthless_verifies_nothing() {
    let (bed, _running) = start().await;
    let ada = register(&bed, "ada@example.com").await;
    let user_id = user_of(&ada);
    let replaced = token_for(&bed, user_id).await;
    let expired = token_for(&bed, user_id).await;
    sql(&bed, "update mail_token set expires_at = now()").await;
    let reset = bed.call(&GetPasswordResetMail { user_id }).await.expect("the mail").link;
    let reset = reset.rsplit('=').next().unwrap();
    for token in ["", "x", &"A".repeat(43), &replaced, &expired, reset] {
        verify(&bed, token).await.problem("invalid_request", "/token");
    }
    bed.nobody().post("/v1/auth/verify-email", &json!({})).send().await.problem("invalid_request", "/token");
    let me = signed_in(&bed, &ada).await.get("/v1/users/me").send().await;
    assert_eq!(me.at("/email_verified"), false);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_link_is_sent_to_whoever_asks_for_it_now_and_then() {
    let (bed, _running) = start().await;
    let ada = register(&bed, "ada@example.com").await;
    let (user, client) = (user_of(&ada), signed_in(&bed, &ada).await);
    let resend = || client.post("/v1/auth/verify-email/resend", &json!({})).send();
    let answer = resend().await;
    assert_eq!(answer.status, 202, "{answer}");
    bed.wait_for("the second event", async || {
        let events = bed.events::<UserEmailVerificationRequested>(|event| event.user_id == user).await;
        (events.len() == 2).then_some(())
    })
    .await;
    pauses_are_long(&bed).await;
    told_to_wait(&resend().await);
    let nobody = bed.nobody().post("/v1/auth/verify-email/resend", &json!({})).send().await;
    nobody.problem("unauthenticated", "");
    let stranger = bed.customer().post("/v1/auth/verify-email/resend", &json!({})).send().await;
    stranger.problem("not_found", "");
}
