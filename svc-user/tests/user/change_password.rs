use nats::{
    contracts::user::UserSessionEnded,
    identity::{Identity, Permissions, Role},
};
use serde_json::json;
use stack::bed::{Answer, Client};

use crate::{
    PASSWORD, login, pauses_are_long, pauses_are_over, refresh, register, signed_in, start, told_to_wait, user_of,
    verified,
};

const NEW: &str = "another horse, another battery";

async fn change(client: &Client, current: &str, new: &str) -> Answer {
    client.put("/v1/users/me/password", &json!({"current_password": current, "new_password": new})).send().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_ends_the_other_sessions_and_no_other() {
    let (bed, _running) = start().await;
    let here = register(&bed, "ada@example.com").await;
    let elsewhere = login(&bed, "ada@example.com", PASSWORD).await;
    let bob = register(&bed, "bob@example.com").await;
    let answer = change(&signed_in(&bed, &here).await, PASSWORD, NEW).await;
    assert_eq!(answer.status, 204, "{answer}");

    let (mine, theirs) = (verified(&bed, &here).await.sid, verified(&bed, &elsewhere).await.sid);
    bed.event::<UserSessionEnded>(|event| event.session_id == theirs).await;
    bed.no_event::<UserSessionEnded>(|event| event.session_id == mine).await;
    refresh(&bed, &elsewhere.text("/refresh_token")).await.problem("unauthenticated", "");
    for session in [&here, &bob] {
        assert_eq!(refresh(&bed, &session.text("/refresh_token")).await.status, 200);
    }
    login(&bed, "ada@example.com", PASSWORD).await.problem("bad_credentials", "");
    pauses_are_over(&bed).await;
    assert_eq!(login(&bed, "ada@example.com", NEW).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_does_not_know_the_password_does_not_guess_it_here() {
    let (bed, _running) = start().await;
    let ada = register(&bed, "ada@example.com").await;
    let client = signed_in(&bed, &ada).await;
    change(&client, "wrong horse battery", NEW).await.problem("invalid_request", "/current_password");
    pauses_are_long(&bed).await;
    told_to_wait(&change(&client, PASSWORD, NEW).await);
    assert_eq!(login(&bed, "ada@example.com", PASSWORD).await.status, 200, "it is what it was");
    pauses_are_over(&bed).await;
    assert_eq!(change(&client, PASSWORD, NEW).await.status, 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_who_guesses_at_sign_in_keeps_nobody_from_changing_it() {
    let (bed, _running) = start().await;
    let client = signed_in(&bed, &register(&bed, "ada@example.com").await).await;
    login(&bed, "ada@example.com", "wrong horse battery").await.problem("bad_credentials", "");
    pauses_are_long(&bed).await;
    told_to_wait(&login(&bed, "ada@example.com", PASSWORD).await);
    assert_eq!(change(&client, PASSWORD, NEW).await.status, 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_changes_at_once_one_counts() {
    let (bed, _running) = start().await;
    let client = signed_in(&bed, &register(&bed, "ada@example.com").await).await;
    let (one, other) =
        tokio::join!(change(&client, PASSWORD, "the first one"), change(&client, PASSWORD, "the other one"));
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses[0], 204, "{one} {other}");
    assert!([409, 422].contains(&statuses[1]), "{one} {other}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_pointed_at_and_changes_nothing() {
    let (bed, _running) = start().await;
    let ada = register(&bed, "ada@example.com").await;
    let client = signed_in(&bed, &ada).await;
    change(&client, PASSWORD, "short").await.problem("invalid_request", "/new_password");
    for (body, pointer) in [
        (json!({"new_password": NEW}), "/current_password"),
        (json!({"current_password": PASSWORD}), "/new_password"),
        (json!({"current_password": PASSWORD, "new_password": NEW, "user": "x"}), "/user"),
    ] {
        client.put("/v1/users/me/password", &body).send().await.problem("invalid_request", pointer);
    }
    change(&bed.nobody(), PASSWORD, NEW).await.problem("unauthenticated", "");
    change(&bed.customer(), PASSWORD, NEW).await.problem("not_found", "");
    let (user, roles) = (user_of(&ada), vec![Role::CUSTOMER]);
    let key = Identity { user, session: None, roles, permissions: Permissions::default() };
    change(&bed.client_of(key), PASSWORD, NEW).await.problem("conflict", "");
    assert_eq!(login(&bed, "ada@example.com", PASSWORD).await.status, 200);
}
