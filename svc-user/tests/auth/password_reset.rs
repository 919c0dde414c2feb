use nats::{
    contracts::user::{
        GetEmailVerificationMail, GetPasswordResetMail, Unknown, UserPasswordResetRequested, UserSessionEnded,
    },
    invoke::CallError,
    types::UserId,
};
use serde_json::json;
use stack::{Bed, bed::Answer};

use crate::{
    PASSWORD, count, login, pauses_are_long, pauses_are_over, refresh, register, signed_in, sql, start, user_of,
    verified,
};

const NEW: &str = "another horse, another battery";

async fn ask(bed: &Bed, email: &str) -> Answer {
    bed.nobody().post("/v1/auth/password-reset", &json!({"email": email})).send().await
}

async fn confirm(bed: &Bed, token: &str, password: &str) -> Answer {
    let body = json!({"token": token, "password": password});
    bed.nobody().post("/v1/auth/password-reset/confirm", &body).send().await
}

/// The token of the link that svc-notify would send now.
async fn token_for(bed: &Bed, user_id: UserId) -> String {
    let mail = bed.call(&GetPasswordResetMail { user_id }).await.expect("the mail");
    mail.link.strip_prefix("/password-reset#token=").expect("the page of the shop").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_link_of_the_mail_sets_a_new_password_and_ends_every_session() {
    let (bed, _running) = start().await;
    let ada = register(&bed, "ada@example.com").await;
    let (elsewhere, user) = (login(&bed, "ada@example.com", PASSWORD).await, user_of(&ada));
    let asked = ask(&bed, "ADA@example.com").await;
    assert_eq!(asked.status, 202, "{asked}");
    let event = bed.event::<UserPasswordResetRequested>(|event| event.user_id == user).await;
    assert_eq!(serde_json::to_value(event).unwrap(), json!({"user_id": user}), "neither address nor token in events");
    assert_eq!(count(&bed, "mail_token").await, 0, "the token is made when the mail is written");

    let mail = bed.call(&GetPasswordResetMail { user_id: user }).await.expect("the mail");
    assert_eq!(
        (mail.email.as_str(), mail.name.as_str(), mail.locale.as_str()),
        ("ada@example.com", "Ada Lovelace", "en")
    );
    let token = token_for(&bed, user).await;
    assert_eq!(confirm(&bed, &token, NEW).await.status, 204);

    for session in [&ada, &elsewhere] {
        refresh(&bed, &session.text("/refresh_token")).await.problem("unauthenticated", "");
        let sid = verified(&bed, session).await.sid;
        bed.event::<UserSessionEnded>(|event| event.session_id == sid).await;
    }
    login(&bed, "ada@example.com", PASSWORD).await.problem("bad_credentials", "");
    pauses_are_over(&bed).await;
    let again = login(&bed, "ada@example.com", NEW).await;
    assert_eq!(again.status, 200, "{again}");
    assert_eq!(again.at("/user/email_verified"), true, "whoever has the link reads the mail");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_not_told_who_has_an_account() {
    let (bed, _running) = start().await;
    let user = user_of(&register(&bed, "ada@example.com").await);
    let (known, unknown) = (ask(&bed, "ada@example.com").await, ask(&bed, "nobody@example.com").await);
    assert_eq!((known.status, unknown.status), (202, 202));
    assert_eq!((known.bytes.len(), unknown.bytes.len()), (0, 0));
    assert_eq!(count(&bed, "attempt").await, 2, "both are counted");
    bed.event::<UserPasswordResetRequested>(|event| event.user_id == user).await;
    assert_eq!(bed.events::<UserPasswordResetRequested>(|_| true).await.len(), 1);
    let nobody = bed.call(&GetPasswordResetMail { user_id: UserId::new() }).await.err();
    assert!(matches!(nobody, Some(CallError::Refused(Unknown::Unknown))), "{nobody:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_is_not_flooded() {
    let (bed, _running) = start().await;
    register(&bed, "ada@example.com").await;
    assert_eq!(ask(&bed, "ada@example.com").await.status, 202);
    pauses_are_long(&bed).await;
    for _ in 0..3 {
        assert_eq!(ask(&bed, "ada@example.com").await.status, 202, "the answer is always the same");
    }
    pauses_are_over(&bed).await;
    assert_eq!(ask(&bed, "ada@example.com").await.status, 202);
    let wanted = "event_log where subject like 'evt.user.password_reset_requested.%'";
    assert_eq!(count(&bed, wanted).await, 2, "one before the pause, one after it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_works_once_and_only_the_last_one() {
    let (bed, _running) = start().await;
    let user = user_of(&register(&bed, "ada@example.com").await);
    let (first, second) = (token_for(&bed, user).await, token_for(&bed, user).await);
    confirm(&bed, &first, NEW).await.problem("invalid_request", "/token");
    let (one, other) = tokio::join!(confirm(&bed, &second, NEW), confirm(&bed, &second, NEW));
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 422], "of two at once, one");
    confirm(&bed, &second, NEW).await.problem("invalid_request", "/token");

    let late = token_for(&bed, user).await;
    sql(&bed, "update mail_token set expires_at = now()").await;
    confirm(&bed, &late, "too late, too late").await.problem("invalid_request", "/token");
    assert_eq!(login(&bed, "ada@example.com", NEW).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_works_while_one_may_not_try_to_sign_in() {
    let (bed, _running) = start().await;
    let user = user_of(&register(&bed, "ada@example.com").await);
    login(&bed, "ada@example.com", "wrong horse battery").await.problem("bad_credentials", "");
    pauses_are_long(&bed).await;
    assert_eq!(ask(&bed, "ada@example.com").await.status, 202);
    bed.event::<UserPasswordResetRequested>(|event| event.user_id == user).await;
    let token = token_for(&bed, user).await;
    assert_eq!(confirm(&bed, &token, NEW).await.status, 204);
    assert_eq!(login(&bed, "ada@example.com", NEW).await.status, 200, "and ends the pause");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_password_makes_the_link_worthless() {
    let (bed, _running) = start().await;
    let ada = register(&bed, "ada@example.com").await;
    let token = token_for(&bed, user_of(&ada)).await;
    let change = json!({"current_password": PASSWORD, "new_password": NEW});
    let changed = signed_in(&bed, &ada).await.put("/v1/users/me/password", &change).send().await;
    assert_eq!(changed.status, 204, "{changed}");
    confirm(&bed, &token, "a third horse").await.problem("invalid_request", "/token");
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_tokens_are_deleted_and_what_is_kept_is_none() {
    let (bed, running) = start().await;
    let user = user_of(&register(&bed, "ada@example.com").await);
    let token = token_for(&bed, user).await;
    assert_eq!(
        count(&bed, &format!("mail_token where translate(encode(hash, 'base64'), '+/=', '-_') = '{token}'")).await,
        0
    );
    sql(&bed, "update mail_token set expires_at = now()").await;
    // The job runs at the start, and then every hour.
    running.stop().await;
    let _again = bed.run(svc_user::service()).await;
    bed.wait_for("the token to go", async || (count(&bed, "mail_token").await == 0).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_pointed_at() {
    let (bed, _running) = start().await;
    let user_id = user_of(&register(&bed, "ada@example.com").await);
    let token = token_for(&bed, user_id).await;
    let mail = bed.call(&GetEmailVerificationMail { user_id }).await.expect("the mail");
    let other = mail.link.strip_prefix("/verify-email#token=").unwrap();
    for worthless in ["", "x", &"A".repeat(43), &"A".repeat(5000), other] {
        confirm(&bed, worthless, NEW).await.problem("invalid_request", "/token");
    }
    confirm(&bed, &token, "short").await.problem("invalid_request", "/password");
    ask(&bed, "ada").await.problem("invalid_request", "/email");
    let nobody = bed.nobody();
    for (path, body, pointer) in [
        ("/v1/auth/password-reset", json!({}), "/email"),
        ("/v1/auth/password-reset", json!({"email": "ada@example.com", "link": "x"}), "/link"),
        ("/v1/auth/password-reset/confirm", json!({"password": NEW}), "/token"),
        ("/v1/auth/password-reset/confirm", json!({"token": token}), "/password"),
    ] {
        nobody.post(path, &body).send().await.problem("invalid_request", pointer);
    }
    assert_eq!(confirm(&bed, &token, NEW).await.status, 204, "the link was not used up by any of these");
}
