//! Tokens that somebody made who should not have, or for something else, or for another time.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, crypto::sign};
use serde_json::{Value, json};

use crate::scene::{Answer, Scene};

const UNLIMITED: (&str, &str) = ("LIMITS", "read=100000/60");

/// The parts of a real token: what it says of itself, and of its user.
fn parts(token: &str) -> (Value, Value) {
    let mut parts =
        token.split('.').map(|part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap_or_default()));
    (parts.next().unwrap().unwrap(), parts.next().unwrap().unwrap())
}

fn with(of: &Value, field: &str, value: Value) -> Value {
    let mut changed = of.clone();
    changed[field] = value;
    changed
}

/// What is signed.
fn message(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", part(header), part(claims))
}

fn signed(header: &Value, claims: &Value, key: &EncodingKey, algorithm: Algorithm) -> String {
    let message = message(header, claims);
    format!("{message}.{}", sign(message.as_bytes(), key, algorithm).unwrap())
}

fn assert_refused(answer: &Answer, what: &str) {
    assert_eq!(answer.code(), (401, "unauthenticated".to_owned()), "{what}: {}", answer.detail());
    assert_eq!(answer.header("www-authenticate"), "Bearer", "{what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_says_how_to_verify_it_is_not_listened_to() {
    let scene = Scene::set().await;
    let door = scene.gateway(&[UNLIMITED]).await;
    let (header, claims) = parts(&scene.token());
    let again = signed(&header, &claims, &scene.signing_key(), Algorithm::ES256);
    assert_eq!(door.read_as(&again).await.status, 200, "put together like this, an honest one is believed");

    for algorithm in ["none", "None", "NONE", "nOnE", ""] {
        let unsigned = format!("{}.", message(&with(&header, "alg", json!(algorithm)), &claims));
        assert_refused(&door.read_as(&unsigned).await, algorithm);
    }
    for (name, algorithm) in [("HS256", Algorithm::HS256), ("HS384", Algorithm::HS384), ("HS512", Algorithm::HS512)] {
        for public in scene.public_forms() {
            let key = EncodingKey::from_secret(&public);
            let forged = signed(&with(&header, "alg", json!(name)), &claims, &key, algorithm);
            assert_refused(&door.read_as(&forged).await, &format!("{name} with the public key"));
            let disguised = signed(&header, &claims, &key, algorithm);
            assert_refused(&door.read_as(&disguised).await, &format!("{name} called ES256"));
        }
    }
    let stranger = Scene::on(stack::Bed::start().await).await.signing_key();
    let own_key = json!({ "kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" });
    for (field, value) in [
        ("jwk", own_key),
        ("jku", json!("https://attacker.example/jwks.json")),
        ("x5u", json!("https://attacker.example/key.pem")),
        ("kid", json!("../../../../dev/null")),
        ("kid", json!("key' or '1'='1")),
        ("kid", Value::Null),
    ] {
        // Another key's signature, with a hint where to find that key.
        let forged = signed(&with(&header, field, value), &claims, &stranger, Algorithm::ES256);
        assert_refused(&door.read_as(&forged).await, field);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_ours_for_something_else_or_another_time_is_refused() {
    let scene = Scene::set().await;
    let door = scene.gateway(&[UNLIMITED]).await;
    let (header, claims) = parts(&scene.token());
    let now = chrono::Utc::now().timestamp();

    for (field, value) in [
        ("typ", json!("JWT")),
        ("typ", json!("id_token+jwt")),
        ("typ", json!("rt+jwt")),
        ("typ", Value::Null),
        ("alg", json!("ES384")),
        ("alg", json!("RS256")),
    ] {
        let token = signed(&with(&header, field, value.clone()), &claims, &scene.signing_key(), Algorithm::ES256);
        assert_refused(&door.read_as(&token).await, &format!("{field} {value}"));
    }
    for (field, value) in [
        ("iss", json!("https://attacker.example")),
        ("iss", Value::Null),
        ("aud", json!("another-api")),
        ("aud", json!([])),
        ("aud", Value::Null),
        ("sub", json!("somebody")),
        ("sub", Value::Null),
        ("sid", Value::Null),
        ("exp", json!(now - 31)),
        ("exp", json!(0)),
        ("exp", json!("tomorrow")),
        ("exp", Value::Null),
        ("nbf", json!(now + 60)),
        ("iat", json!(now + 60)),
    ] {
        let token = signed(&header, &with(&claims, field, value.clone()), &scene.signing_key(), Algorithm::ES256);
        assert_refused(&door.read_as(&token).await, &format!("{field} {value}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_unknown_keys_asks_svc_user_nothing() {
    let scene = Scene::set().await;
    let door = scene.gateway(&[UNLIMITED]).await;
    let token = scene.token();
    let (header, claims) = parts(&token);
    assert_eq!(door.read_as(&token).await.status, 200, "the first token has the keys asked for");
    let mut everything = scene.bed.listen(">").await;

    for number in 0..200 {
        let unknown = with(&header, "kid", json!(format!("key-{number}")));
        let forged = signed(&unknown, &claims, &scene.signing_key(), Algorithm::ES256);
        assert_refused(&door.read_as(&forged).await, "an unknown key");
    }

    assert!(everything.never("svc.user.get_signing_keys").await, "nothing was asked for any of these");
    assert_eq!(door.read_as(&token).await.status, 200, "who has a good token does not notice");
}
