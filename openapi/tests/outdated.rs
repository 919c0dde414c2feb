//! What people may do has changed: tokens of before have to be refreshed, keys are asked about again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use nats::{
    contracts::user::{API_KEY_PREFIX, RoleChanged, UserRolesChanged, VerifiedApiKey, VerifyApiKey},
    identity::Role,
    types::{ApiKeyId, SessionId, UserId},
};

use crate::{
    revoked::{stream, until_ready},
    scene::{Door, Scene},
};

const UNLIMITED: (&str, &str) = ("LIMITS", "read=100000/60");

/// A token of this user, who has this role, as of this revision.
fn token(scene: &Scene, user: UserId, role: &Role, revision: i64) -> String {
    scene.token_saying(SessionId::new(), 600, |claims| {
        claims.sub = user;
        claims.roles = vec![Role::CUSTOMER, role.clone()];
        claims.roles_revision = revision;
    })
}

async fn until_refused(scene: &Scene, door: &Door, token: &str) {
    let refused = scene.bed.wait_for("the token to be refused", || async {
        let answer = door.read_as(token).await;
        (answer.status != 200).then_some(answer)
    });
    let refused = refused.await;
    assert_eq!(refused.code(), (401, "unauthenticated".to_owned()));
    assert_eq!(refused.header("www-authenticate"), "Bearer");
    assert!(refused.detail().contains("Refresh it"), "{}", refused.detail());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_from_before_its_users_roles_changed_is_refused_within_a_second() {
    let scene = Scene::set().await;
    let door = scene.gateway(&[UNLIMITED]).await;
    let (user, other) = (UserId::new(), UserId::new());
    stream(&scene).await;
    until_ready(&scene, &door).await;
    let [before, after, others] =
        [(user, 6), (user, 7), (other, 6)].map(|(user, revision)| token(&scene, user, &Role::STAFF, revision));
    for good in [&before, &after, &others] {
        assert_eq!(door.read_as(good).await.status, 200);
    }

    scene.bed.publish(&UserRolesChanged { user_id: user, revision: 7 }).await;
    let change = Instant::now();

    until_refused(&scene, &door, &before).await;
    assert!(change.elapsed() < Duration::from_secs(1), "{:?}", change.elapsed());
    assert_eq!(door.read_as(&after).await.status, 200, "it was refreshed before the gateway heard of the change");
    assert_eq!(door.read_as(&others).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_a_role_changes_the_tokens_of_all_who_have_it_are_refused() {
    let scene = Scene::set().await;
    let door = scene.gateway(&[UNLIMITED]).await;
    stream(&scene).await;
    until_ready(&scene, &door).await;
    let refunds: Role = "refunds".parse().unwrap();
    let with = |role: &Role, revision| token(&scene, UserId::new(), role, revision);
    let (one, other, later, staff) = (with(&refunds, 3), with(&refunds, 5), with(&refunds, 6), with(&Role::STAFF, 3));

    scene.bed.publish(&RoleChanged { role: refunds, revision: 6 }).await;

    until_refused(&scene, &door, &one).await;
    until_refused(&scene, &door, &other).await;
    assert_eq!(door.read_as(&later).await.status, 200);
    assert_eq!(door.read_as(&staff).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_has_just_started_knows_what_changed_before() {
    let scene = Scene::set().await;
    let user = UserId::new();
    stream(&scene).await;
    scene.bed.publish(&UserRolesChanged { user_id: user, revision: 7 }).await;

    let door = scene.gateway(&[UNLIMITED]).await;
    until_ready(&scene, &door).await;

    assert_eq!(door.read_as(&token(&scene, user, &Role::STAFF, 6)).await.status, 401);
    assert_eq!(door.read_as(&token(&scene, user, &Role::STAFF, 7)).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_goes_on_and_is_asked_about_again() {
    let scene = Scene::set().await;
    let (user_id, api_key_id) = (UserId::new(), ApiKeyId::new());
    // What svc-user says, and how often it was asked.
    let (revision, asked) = (Arc::new(AtomicI64::new(3)), Arc::new(AtomicI64::new(0)));
    let (current, counted) = (Arc::clone(&revision), Arc::clone(&asked));
    scene
        .bed
        .answer::<VerifyApiKey>(move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            let expires_at = chrono::Utc::now() + Duration::from_secs(3600);
            let (scopes, roles, permissions) = (vec!["catalog:read".to_owned()], vec![Role::CUSTOMER], Vec::new());
            let revision = current.load(Ordering::SeqCst);
            Ok(VerifiedApiKey { api_key_id, user_id, scopes, roles, permissions, revision, expires_at })
        })
        .await;
    let door = scene.gateway(&[UNLIMITED]).await;
    stream(&scene).await;
    until_ready(&scene, &door).await;
    let key = format!("{API_KEY_PREFIX}{}", "x".repeat(43));
    for _ in 0..3 {
        assert_eq!(door.read_as(&key).await.status, 200);
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);

    revision.store(4, Ordering::SeqCst);
    scene.bed.publish(&UserRolesChanged { user_id, revision: 4 }).await;

    scene
        .bed
        .wait_for("the key to be asked about again", || async {
            assert_eq!(door.read_as(&key).await.status, 200);
            (asked.load(Ordering::SeqCst) == 2).then_some(())
        })
        .await;
    assert_eq!(door.read_as(&key).await.status, 200);
    assert_eq!(asked.load(Ordering::SeqCst), 2, "what was said is of now");
}
