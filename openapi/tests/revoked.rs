//! Sessions that ended before their time.

use std::time::{Duration, Instant};

use nats::{
    contracts::{
        Event,
        user::{
            API_KEY_PREFIX, RoleChanged, UserApiKeyRevoked, UserRolesChanged, UserSessionEnded, VerifiedApiKey,
            VerifyApiKey,
        },
    },
    identity::Role,
    types::{ApiKeyId, SessionId, UserId},
};
use reqwest::Method;
use stack::Bed;

use crate::scene::{Door, Scene};

fn ended(session_id: SessionId) -> UserSessionEnded {
    UserSessionEnded { user_id: UserId::new(), session_id }
}

/// The stream of what is followed, with some of others' in it.
pub(crate) async fn stream(scene: &Scene) {
    scene.bed.publish(&ended(SessionId::new())).await;
    scene.bed.publish(&UserApiKeyRevoked { user_id: UserId::new(), api_key_id: ApiKeyId::new() }).await;
    scene.bed.publish(&UserRolesChanged { user_id: UserId::new(), revision: 1 }).await;
    scene.bed.publish(&RoleChanged { role: "others".parse().unwrap(), revision: 1 }).await;
}

/// Whether the gateway reports ready, and whether it knows what ended before.
async fn ready(door: &Door) -> (bool, bool) {
    let answer = door.request(Method::GET, "/readyz").send().await.unwrap();
    let status = answer.status();
    let body: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(body["ready"], status.is_success(), "{body}");
    (status.is_success(), body["checks"]["revocations"]["ok"] == true)
}

pub(crate) async fn until_ready(scene: &Scene, door: &Door) {
    scene.bed.wait_for("the gateway to be ready", || async { ready(door).await.0.then_some(()) }).await;
}

async fn until_refused(scene: &Scene, door: &Door, token: &str) {
    let refused = scene.bed.wait_for("the token to be refused", || async {
        let answer = door.read_as(token).await;
        (answer.status != 200).then_some(answer)
    });
    let refused = refused.await;
    assert_eq!(refused.code(), (401, "unauthenticated".to_owned()));
    assert_eq!(refused.header("www-authenticate"), "Bearer");
    assert!(refused.detail().contains("session"), "{}", refused.detail());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_refused_within_a_second_of_the_end_of_its_session() {
    let scene = Scene::set().await;
    let door = scene.gateway(&[("LIMITS", "read=100000/60")]).await;
    let (session, other) = (SessionId::new(), SessionId::new());
    let (token, of_other) = (scene.token_of(session, 600), scene.token_of(other, 600));
    stream(&scene).await;
    until_ready(&scene, &door).await;
    assert_eq!(door.read_as(&token).await.status, 200);

    scene.bed.publish(&ended(session)).await;
    let end = Instant::now();

    until_refused(&scene, &door, &token).await;
    assert!(end.elapsed() < Duration::from_secs(1), "{:?}", end.elapsed());
    until_refused(&scene, &door, &scene.token_of(session, 500)).await;
    assert_eq!(door.read_as(&of_other).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rights_that_the_gateways_list_gives_it_are_enough() {
    let bed = Bed::start().await;
    bed.let_in(&openapi::manifest()).await;
    let scene = Scene::on(bed).await;
    let (session, scopes) = (SessionId::new(), vec!["catalog:read".to_owned()]);
    let expires_at = chrono::Utc::now() + Duration::from_secs(3600);
    let (api_key_id, user_id) = (ApiKeyId::new(), UserId::new());
    let (roles, permissions, revision) = (vec![Role::CUSTOMER], Vec::new(), 1);
    let verified = VerifiedApiKey { api_key_id, user_id, scopes, roles, permissions, revision, expires_at };
    scene.bed.answer::<VerifyApiKey>(move |_| Ok(verified.clone())).await;
    stream(&scene).await;

    let door = scene.gateway_as("gateway", &[("LIMITS", "read=100000/60")]).await;
    until_ready(&scene, &door).await;
    let (token, key) = (scene.token_of(session, 600), format!("{API_KEY_PREFIX}{}", "x".repeat(43)));
    assert_eq!(door.read_as(&token).await.status, 200);
    assert_eq!(door.read_as(&key).await.status, 200);
    scene.bed.publish(&ended(session)).await;
    scene.bed.publish(&UserApiKeyRevoked { user_id, api_key_id }).await;

    until_refused(&scene, &door, &token).await;
    scene
        .bed
        .wait_for("the key to be refused", || async { (door.read_as(&key).await.status == 401).then_some(()) })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_has_just_started_knows_what_ended_before() {
    let scene = Scene::set().await;
    let (session, other) = (SessionId::new(), SessionId::new());
    let first = scene.gateway(&[]).await;
    assert_eq!(ready(&first).await, (false, false), "there is nothing to know from yet");
    scene.bed.publish(&ended(session)).await;
    stream(&scene).await;
    until_ready(&scene, &first).await;

    let door = scene.gateway(&[]).await;
    until_ready(&scene, &door).await;

    assert_eq!(door.read_as(&scene.token_of(session, 600)).await.status, 401);
    assert_eq!(door.read_as(&scene.token_of(other, 600)).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ended_while_the_gateway_was_cut_off_is_known_afterwards() {
    let mut scene = Scene::set().await;
    let door = scene.gateway(&[("LIMITS", "read=100000/60")]).await;
    let session = SessionId::new();
    let token = scene.token_of(session, 600);
    stream(&scene).await;
    until_ready(&scene, &door).await;
    assert_eq!(door.read_as(&token).await.status, 200);

    scene.bed.broker().process().kill();
    scene.bed.broker().restart().await.expect("nats-server comes back");
    scene.bed.publish(&ended(session)).await;

    // Meanwhile the catalogue may be away as well.
    scene
        .bed
        .wait_for("the token to be refused", || async { (door.read_as(&token).await.status == 401).then_some(()) })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_end_ends_nothing() {
    let scene = Scene::set().await;
    let door = scene.gateway(&[("LIMITS", "read=100000/60")]).await;
    let (session, honest) = (SessionId::new(), SessionId::new());
    stream(&scene).await;

    let forged = ended(session);
    let headers = [("ce-type", "user.session_ended.v1"), ("ce-id", "0198"), ("Nats-Msg-Id", "forged")];
    scene.bed.publish_raw(&forged.subject(), &headers, &serde_json::to_string(&forged).unwrap()).await;
    scene.bed.publish(&ended(honest)).await;

    until_refused(&scene, &door, &scene.token_of(honest, 600)).await;
    assert_eq!(door.read_as(&scene.token_of(session, 600)).await.status, 200);
}
