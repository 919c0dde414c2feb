use nats::{
    contracts::user::UserRolesChanged,
    identity::{Identity, Permission, Role},
    types::UserId,
};
use serde_json::{Value, json};
use stack::bed::{Answer, Client};

use super::{admin, clerk, role, somebody_with};
use crate::{PASSWORD, login, refresh, register, start, user_of, verified};

/// Sets somebody's roles.
async fn set(by: &Client, user: UserId, roles: &[&str]) -> Answer {
    by.put(&format!("/v1/users/{user}/roles"), &json!({ "roles": roles })).send().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_has_the_roles_that_were_set() {
    let (bed, _running) = start().await;
    let admin = admin(&bed).await;
    role(&admin, "refunds", &["orders:refund"]).await;
    let before = register(&bed, "rita@example.com").await;
    let rita = user_of(&before);

    let answer = set(&admin, rita, &["customer", "refunds", "customer"]).await;

    assert_eq!(answer.status, 200, "{answer}");
    assert_eq!(answer.at("/roles"), &json!(["customer", "refunds"]));
    assert_eq!(admin.get(&format!("/v1/users/{rita}")).send().await.json, answer.json);
    let after = refresh(&bed, &before.text("/refresh_token")).await;
    assert_eq!(after.status, 200, "the session goes on: {after}");
    let (old, new) = (verified(&bed, &before).await, verified(&bed, &after).await);
    assert_eq!((old.permissions, new.permissions), (vec![], vec!["orders:refund".to_owned()]));
    let told = bed.event(|event: &UserRolesChanged| event.user_id == rita).await;
    assert!(old.roles_revision < told.revision && told.revision <= new.roles_revision, "{told:?}");

    assert_eq!(set(&admin, rita, &["refunds", "customer"]).await.status, 200);
    assert_eq!(set(&admin, rita, &["customer"]).await.at("/roles"), &json!(["customer"]));
    bed.event(|event: &UserRolesChanged| event.revision > told.revision).await;
    let events = bed.events(|event: &UserRolesChanged| event.user_id == rita).await;
    assert_eq!(events.len(), 2, "what changed nothing is not told: {events:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_key_gives_nobody_a_role() {
    let (bed, _running) = start().await;
    let admin = admin(&bed).await;
    let rita = user_of(&register(&bed, "rita@example.com").await);
    let permissions = [Permission::RolesWrite, Permission::OrdersRefund].into_iter().collect();
    let roles = vec![Role::CUSTOMER, Role::ADMIN];
    let key = bed.client_of(Identity { user: admin.user_id(), session: None, roles, permissions });

    set(&key, rita, &["admin"]).await.problem("forbidden", "");
    set(&key, rita, &["customer"]).await.problem("forbidden", "");

    assert_eq!(set(&admin, rita, &["customer"]).await.at("/roles"), &json!(["customer"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_pointed_at() {
    let (bed, _running) = start().await;
    let admin = admin(&bed).await;
    let rita = user_of(&register(&bed, "rita@example.com").await);
    let many: Vec<String> = (0..17).map(|number| format!("role{number}")).collect();
    for (body, pointer) in [
        (json!({"roles": []}), "/roles"),
        (json!({"roles": many}), "/roles"),
        (json!({"roles": ["customer", "king"]}), "/roles"),
        (json!({"roles": ["Customer"]}), "/roles/0"),
        (json!({"roles": "customer"}), "/roles"),
        (Value::Null, ""),
    ] {
        let answer = admin.put(&format!("/v1/users/{rita}/roles"), &body).send().await;
        answer.problem("invalid_request", pointer);
    }
    set(&admin, UserId::new(), &["customer"]).await.problem("not_found", "");
    for (client, code) in [(bed.nobody(), "unauthenticated"), (bed.staff(), "forbidden"), (bed.customer(), "forbidden")]
    {
        set(&client, rita, &["customer"]).await.problem(code, "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gives_or_takes_what_they_do_not_hold() {
    let (bed, _running) = start().await;
    let admin = admin(&bed).await;
    let clerk = clerk(&bed, &admin).await;
    role(&admin, "refunds", &["orders:refund"]).await;
    let rita = somebody_with(&bed, "rita@example.com", Role::STAFF).await.user_id();

    assert_eq!(set(&clerk, rita, &["customer", "staff", "refunds"]).await.status, 200, "what it holds itself");
    for (user, roles) in [
        (rita, vec!["customer", "staff", "refunds", "admin"]),
        (rita, vec!["customer", "refunds"]),
        (clerk.user_id(), vec!["customer", "desk", "staff"]),
        (clerk.user_id(), vec!["customer", "desk", "admin"]),
        (admin.user_id(), vec!["customer"]),
    ] {
        set(&clerk, user, &roles).await.problem("forbidden", "");
    }
    assert_eq!(set(&clerk, rita, &["customer", "staff"]).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_right_was_taken_away_cannot_give_it_back_to_themselves() {
    let (bed, _running) = start().await;
    let admin = admin(&bed).await;
    let other = somebody_with(&bed, "mallory@example.com", Role::ADMIN).await;
    assert_eq!(set(&admin, other.user_id(), &["customer"]).await.status, 200);

    // The token of before says that they may, and a gateway may not have heard of it yet.
    set(&other, other.user_id(), &["customer", "admin"]).await.problem("forbidden", "");
    set(&other, admin.user_id(), &["customer"]).await.problem("forbidden", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_stays_who_may_do_everything() {
    let (bed, _running) = start().await;
    let admin = admin(&bed).await;
    set(&admin, admin.user_id(), &["customer", "staff"]).await.problem("conflict", "");

    let other = somebody_with(&bed, "grace@example.com", Role::ADMIN).await;
    // Each takes it from the other at once.
    let (one, two) =
        tokio::join!(set(&admin, other.user_id(), &["customer"]), set(&other, admin.user_id(), &["customer"]));
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 403], "whoever came second is no admin any more: {one} {two}");

    let third = somebody_with(&bed, "linus@example.com", Role::ADMIN).await;
    let last = if one.status == 200 { &admin } else { &other };
    let (one, two) =
        tokio::join!(set(last, last.user_id(), &["customer"]), set(&third, third.user_id(), &["customer"]));
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409], "both give it up at once: {one} {two}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_a_moment_when_roles_change_is_of_before_or_of_after_and_says_which() {
    let (bed, _running) = start().await;
    let admin = admin(&bed).await;
    let rita = user_of(&register(&bed, "rita@example.com").await);
    let mut tokens = Vec::new();
    for round in 0..10 {
        let roles: &[&str] = if round % 2 == 0 { &["customer", "staff"] } else { &["customer"] };
        let (changed, answer) = tokio::join!(set(&admin, rita, roles), login(&bed, "rita@example.com", PASSWORD));
        assert_eq!((changed.status, answer.status), (200, 200), "{changed} {answer}");
        tokens.push(verified(&bed, &answer).await);
    }

    let changes = bed
        .wait_for("ten changes", || async {
            let changes = bed.events(|event: &UserRolesChanged| event.user_id == rita).await;
            (changes.len() == 10).then_some(changes)
        })
        .await;

    for claims in tokens {
        let before = changes.iter().filter(|change| change.revision <= claims.roles_revision).count();
        assert_eq!(claims.permissions.is_empty(), before % 2 == 0, "after {before} changes: {claims:?}");
    }
}
