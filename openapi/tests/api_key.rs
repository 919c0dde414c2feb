//! API keys, verified by svc-user and remembered for a short while.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use nats::{
    contracts::user::{API_KEY_PREFIX, Unknown, UserApiKeyRevoked, VerifiedApiKey, VerifyApiKey},
    http::Body,
    identity::{Role, User},
    problem::Problem,
    service::{Running, Runtime, Service, StartError},
    types::{ApiKeyId, UserId},
};
use poem_openapi::{Object, OpenApi};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::scene::{Answer, Door, Scene};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../nats/tests/migrations");
const UNLIMITED: (&str, &str) = ("LIMITS", "read=100000/60 write=100000/60");

/// Stands where the orders' paths lead, and tells who asked.
fn orders() -> Service<()> {
    Service::new("order", "Tells who asked.", MIGRATIONS, async |_: Runtime| Ok::<_, StartError>(())).http(OrderApi)
}

/// Who asked.
#[derive(Debug, Clone, Serialize, Deserialize, Object)]
struct Asker {
    user: UserId,
    in_session: bool,
    roles: Vec<Role>,
}

struct OrderApi;

#[OpenApi]
impl OrderApi {
    /// Tell who reads
    #[oai(path = "/v1/orders", method = "get", operation_id = "list_orders")]
    async fn list(&self, User(identity): User) -> Result<Body<Asker>, Problem> {
        Ok(Body(Asker { user: identity.user, in_session: identity.session.is_some(), roles: identity.roles }))
    }

    /// Tell who writes
    #[oai(path = "/v1/orders", method = "post", operation_id = "place_order")]
    async fn place(&self, User(identity): User) -> Result<Body<Asker>, Problem> {
        Ok(Body(Asker { user: identity.user, in_session: identity.session.is_some(), roles: identity.roles }))
    }
}

/// What svc-user has, and what it was asked.
#[derive(Clone, Default)]
struct Keys {
    known: Arc<Mutex<HashMap<String, VerifiedApiKey>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Keys {
    fn verify(&self, question: VerifyApiKey) -> Result<VerifiedApiKey, Unknown> {
        self.asked.lock().unwrap().push(question.hash.clone());
        self.known.lock().unwrap().get(&question.hash).cloned().ok_or(Unknown::Unknown)
    }

    /// A new key of this user with these scopes.
    fn make(&self, user_id: UserId, scopes: &[&str]) -> (String, VerifiedApiKey) {
        let key = random_key();
        let verified = VerifiedApiKey {
            api_key_id: ApiKeyId::new(),
            user_id,
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            roles: vec![Role::CUSTOMER, Role::STAFF],
            permissions: vec!["orders:read".to_owned()],
            revision: 1,
            expires_at: chrono::Utc::now() + Duration::from_secs(3600),
        };
        self.known.lock().unwrap().insert(VerifyApiKey::of(&key).hash, verified.clone());
        (key, verified)
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// Of the right form, and nobody's.
fn random_key() -> String {
    let random = [UserId::new(), UserId::new()].map(|id| id.uuid().simple().to_string()).concat();
    format!("{API_KEY_PREFIX}{}", &random[..43])
}

/// A scene in which svc-user answers for keys.
async fn scene() -> (Scene, Keys, Running) {
    let (scene, keys) = (Scene::set().await, Keys::default());
    let answering = keys.clone();
    scene.bed.answer::<VerifyApiKey>(move |question| answering.verify(question)).await;
    let orders = scene.bed.run(orders()).await;
    (scene, keys, orders)
}

async fn ask(door: &Door, method: Method, path: &str, key: &str) -> Answer {
    Answer::of(door.request(method, path).bearer_auth(key)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_may_do_what_its_owner_may_within_its_scopes() {
    let (scene, keys, _orders) = scene().await;
    let (door, user) = (scene.gateway(&[]).await, UserId::new());
    let (reading, _) = keys.make(user, &["order:read"]);
    let (writing, _) = keys.make(user, &["order:write", "user:write"]);

    for (method, path, key, missing) in [
        (Method::GET, "/v1/orders", &reading, None),
        (Method::HEAD, "/v1/orders", &reading, None),
        (Method::POST, "/v1/orders", &reading, Some("order:write")),
        (Method::GET, "/v1/orders", &writing, None),
        (Method::POST, "/v1/orders", &writing, None),
        // Although anyone may: a key says what it is for.
        (Method::GET, "/v1/products", &writing, Some("catalog:read")),
        (Method::GET, "/v1/notifications", &writing, Some("notify:read")),
        (Method::GET, "/v1/dead-letters", &writing, Some("gateway:read")),
        // Sessions and keys are for people, whatever the scopes.
        (Method::POST, "/v1/auth/logout", &writing, Some("Sign in")),
        (Method::GET, "/v1/sessions", &writing, Some("Sign in")),
        (Method::POST, "/v1/api-keys", &writing, Some("Sign in")),
    ] {
        let answer = ask(&door, method.clone(), path, key).await;
        match missing {
            Some(missing) => {
                assert_eq!(answer.code(), (403, "forbidden".to_owned()), "{method} {path}");
                assert!(answer.detail().contains(missing), "{method} {path}: {}", answer.detail());
            }
            None => assert_eq!(answer.status, 200, "{method} {path}: {}", answer.detail()),
        }
    }
    let asker: Value = serde_json::from_slice(&ask(&door, Method::GET, "/v1/orders", &reading).await.bytes).unwrap();
    assert_eq!(asker["user"], user.to_string());
    assert_eq!((&asker["in_session"], &asker["roles"]), (&false.into(), &serde_json::json!(["customer", "staff"])));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_remembered_and_refused_as_soon_as_it_is_revoked() {
    let (scene, keys, _orders) = scene().await;
    let door = scene.gateway(&[UNLIMITED]).await;
    let mut calls = scene.bed.listen("svc.user.verify_api_key").await;
    let (key, verified) = keys.make(UserId::new(), &["order:read"]);
    let (other, _) = keys.make(verified.user_id, &["order:read"]);
    for _ in 0..5 {
        assert_eq!(ask(&door, Method::GET, "/v1/orders", &key).await.status, 200);
    }
    assert_eq!(keys.asked(), [VerifyApiKey::of(&key).hash]);
    let call = calls.next(Duration::from_secs(5)).await.expect("the call");
    assert!(!call.contains(&key), "the key itself does not travel: {call}");

    // svc-user would still answer for it: what counts is its word.
    scene.bed.publish(&UserApiKeyRevoked { user_id: verified.user_id, api_key_id: verified.api_key_id }).await;

    let refused = scene.bed.wait_for("the key to be refused", || async {
        let answer = ask(&door, Method::GET, "/v1/orders", &key).await;
        (answer.status != 200).then_some(answer)
    });
    assert_eq!(refused.await.code(), (401, "unauthenticated".to_owned()));
    assert_eq!(ask(&door, Method::GET, "/v1/orders", &other).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_nobody_knows_is_refused_and_not_asked_about_each_time() {
    let (scene, keys, _orders) = scene().await;
    let door = scene.gateway(&[UNLIMITED]).await;

    let unknown = random_key();
    for _ in 0..3 {
        let refused = ask(&door, Method::GET, "/v1/orders", &unknown).await;
        assert_eq!(refused.code(), (401, "unauthenticated".to_owned()));
        assert_eq!(refused.header("www-authenticate"), "Bearer");
    }
    assert_eq!(keys.asked().len(), 1);
    for malformed in [API_KEY_PREFIX, "argosy_key_short", &format!("{unknown}x"), &unknown.replacen('_', "-", 2)] {
        let refused = ask(&door, Method::GET, "/v1/orders", malformed).await;
        assert_eq!(refused.code(), (401, "unauthenticated".to_owned()), "{malformed}");
    }
    assert_eq!(keys.asked().len(), 1, "what cannot be a key is not asked about");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_nobody_can_tell_nothing_is_said_against_a_key() {
    let scene = Scene::set().await;
    let door = scene.gateway(&[]).await;

    let answer = ask(&door, Method::GET, "/v1/orders", &random_key()).await;

    assert_eq!(answer.code(), (503, "unavailable".to_owned()), "{}", answer.detail());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_key_is_a_caller_of_its_own() {
    let (scene, keys, _orders) = scene().await;
    let door = scene.gateway(&[("LIMITS", "read=3/3600")]).await;
    let user = UserId::new();
    let (one, other) = (keys.make(user, &["order:read"]).0, keys.make(user, &["order:read"]).0);

    for status in [200, 200, 200, 429] {
        assert_eq!(ask(&door, Method::GET, "/v1/orders", &one).await.status, status);
    }
    assert_eq!(ask(&door, Method::GET, "/v1/orders", &other).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_tries_one_key_after_the_other_is_held_up() {
    let (scene, keys, _orders) = scene().await;
    let door = scene.gateway(&[UNLIMITED, ("TRUSTED_PROXIES", "1")]).await;
    let from = |address: &'static str, key: String| {
        let request = door.request(Method::GET, "/v1/orders").header("X-Forwarded-For", address);
        Answer::of(request.bearer_auth(key))
    };
    let (key, _) = keys.make(UserId::new(), &["order:read"]);
    assert_eq!(from("198.51.100.7", key.clone()).await.status, 200);

    let mut tried = 1;
    let held_up = loop {
        let answer = from("198.51.100.7", random_key()).await;
        if answer.status != 401 {
            break answer;
        }
        tried += 1;
        assert!(tried < 2_000, "nobody is held up");
    };

    assert_eq!(held_up.code(), (429, "too_many_requests".to_owned()));
    assert!(tried >= 300, "held up after {tried}");
    assert_eq!(from("198.51.100.7", key).await.status, 200, "a key that is known is not asked about");
    assert_eq!(from("198.51.100.8", random_key()).await.status, 401, "others are not held up");
}
