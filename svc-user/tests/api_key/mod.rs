use chrono::{Duration, Utc};
use nats::{
    contracts::user::{
        API_KEY_PREFIX, GetPasswordResetMail, GrantRole, Unknown, UserApiKeyRevoked, VerifiedApiKey, VerifyApiKey,
    },
    identity::{Identity, Permissions, Role},
    invoke::CallError,
    types::ApiKeyId,
};
use serde_json::{Value, json};
use stack::{Bed, bed::Client};

use crate::{count, register, signed_in, sql, start, user_of};

const KEYS: &str = "/v1/api-keys";

fn new_key() -> Value {
    let expires_at = Utc::now() + Duration::days(90);
    json!({"name": "ERP import", "scopes": ["order:read", "catalog:write"], "expires_at": expires_at})
}

async fn ada(bed: &Bed) -> Client {
    signed_in(bed, &register(bed, "ada@example.com").await).await
}

async fn verify(bed: &Bed, key: &str) -> Option<VerifiedApiKey> {
    match bed.call(&VerifyApiKey::of(key)).await {
        Ok(verified) => Some(verified),
        Err(CallError::Refused(Unknown::Unknown)) => None,
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_told_once_and_speaks_for_its_owner_within_its_scopes() {
    let (bed, _running) = start().await;
    let ada = ada(&bed).await;
    let created = ada.post(KEYS, &new_key()).send().await;
    assert_eq!(created.status, 201, "{created}");
    assert_eq!(created.header("cache-control"), Some("no-store"));
    assert_eq!(created.at("/scopes"), &json!(["catalog:write", "order:read"]));
    let (id, key) = (created.text("/id"), created.text("/key"));
    assert_eq!(created.header("location"), Some(format!("{KEYS}/{id}").as_str()));
    assert!(key.starts_with(API_KEY_PREFIX) && key.len() == API_KEY_PREFIX.len() + 43, "{key}");

    let verified = verify(&bed, &key).await.expect("a key that is good");
    assert_eq!((verified.user_id, verified.api_key_id.to_string()), (ada.user_id(), id.clone()));
    assert_eq!(
        (verified.scopes.join(" "), verified.roles),
        ("catalog:write order:read".to_owned(), vec![Role::CUSTOMER])
    );
    let grant = GrantRole { email: "ada@example.com".parse().unwrap(), role: Role::STAFF };
    bed.call(&grant).await.expect("granted");
    let roles = verify(&bed, &key).await.expect("still good").roles;
    assert_eq!(roles, [Role::CUSTOMER, Role::STAFF], "the roles of this moment");

    let list = ada.get(KEYS).send().await;
    assert_eq!(list.at("/data/0/name"), "ERP import", "{list}");
    assert!(list.at("/data/0/last_used_at").is_string(), "{list}");
    assert_eq!(ada.get(&format!("{KEYS}/{id}")).send().await.json, *list.at("/data/0"));
    assert!(!list.to_string().contains(&key), "{list}");
    assert_eq!(count(&bed, &format!("api_key where api_key::text like '%{key}%'")).await, 0, "a hash is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_is_worthless_and_gone() {
    let (bed, _running) = start().await;
    let ada = ada(&bed).await;
    let created = ada.post(KEYS, &new_key()).send().await;
    let path = format!("{KEYS}/{}", created.text("/id"));
    assert_eq!(ada.delete(&path).send().await.status, 204);
    assert_eq!(verify(&bed, &created.text("/key")).await, None);
    let id: ApiKeyId = created.text("/id").parse().unwrap();
    let event = bed.event::<UserApiKeyRevoked>(|event| event.api_key_id == id).await;
    assert_eq!(event.user_id, ada.user_id());
    ada.delete(&path).send().await.problem("not_found", "");
    assert_eq!(ada.get(KEYS).send().await.at("/data"), &json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_key_is_worthless_and_deleted_after_a_month() {
    let (bed, running) = start().await;
    let ada = ada(&bed).await;
    let key = ada.post(KEYS, &new_key()).send().await.text("/key");
    sql(&bed, "update api_key set expires_at = now()").await;
    assert_eq!(verify(&bed, &key).await, None);
    assert_eq!(ada.get(KEYS).send().await.at("/data").as_array().map(Vec::len), Some(1), "its owner sees why");
    sql(&bed, "update api_key set expires_at = now() - interval '31 days'").await;
    // The job runs at the start, and then every hour.
    running.stop().await;
    let _again = bed.run(svc_user::service()).await;
    bed.wait_for("the key to go", async || (count(&bed, "api_key").await == 0).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_key_of_ours_is_refused() {
    let (bed, _running) = start().await;
    for key in ["", "argosy_key_", &format!("{API_KEY_PREFIX}{}", "A".repeat(43))] {
        assert_eq!(verify(&bed, key).await, None, "{key}");
    }
    for hash in ["", "not base64url!", "AAAA", &"A".repeat(100_000)] {
        let answer = bed.call(&VerifyApiKey { hash: hash.to_owned() }).await;
        assert!(matches!(answer, Err(CallError::Refused(Unknown::Unknown))), "{hash:.20}: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_elses_key_does_not_exist() {
    let (bed, _running) = start().await;
    let ada = ada(&bed).await;
    let eve = signed_in(&bed, &register(&bed, "eve@example.com").await).await;
    let path = format!("{KEYS}/{}", ada.post(KEYS, &new_key()).send().await.text("/id"));
    for client in [&eve, &bed.staff(), &bed.admin()] {
        client.get(&path).send().await.problem("not_found", "");
        client.delete(&path).send().await.problem("not_found", "");
    }
    assert_eq!(eve.get(KEYS).send().await.at("/data"), &json!([]));
    let nobody = bed.nobody();
    nobody.get(KEYS).send().await.problem("unauthenticated", "");
    nobody.post(KEYS, &new_key()).send().await.problem("unauthenticated", "");
    nobody.delete(&path).send().await.problem("unauthenticated", "");
    assert_eq!(ada.get(&path).send().await.status, 200, "it is still there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_makes_no_keys_and_fifty_are_enough() {
    let (bed, _running) = start().await;
    let registered = register(&bed, "ada@example.com").await;
    let (user, ada) = (user_of(&registered), signed_in(&bed, &registered).await);
    let (roles, permissions) = (vec![Role::CUSTOMER], Permissions::default());
    let key = bed.client_of(Identity { user, session: None, roles, permissions });
    key.post(KEYS, &new_key()).send().await.problem("conflict", "");
    let fill = "insert into api_key (id, user_id, name, hash, scopes, expires_at)
                select gen_random_uuid(), id, 'n', sha256(n::text::bytea), '{a:b}', now() + interval '1 day'
                from \"user\", generate_series(1, 49) as n";
    sql(&bed, fill).await;
    let new = new_key();
    let (one, other) = tokio::join!(ada.post(KEYS, &new).send(), ada.post(KEYS, &new).send());
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409], "one was left");
    bed.customer().post(KEYS, &new).send().await.problem("not_found", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_pointed_at_and_makes_nothing() {
    let (bed, _running) = start().await;
    let ada = ada(&bed).await;
    let many: Vec<String> = ('a'..='z').flat_map(|c| [format!("{c}:read"), format!("{c}:write")]).take(33).collect();
    for (field, value) in [
        ("name", json!("")),
        ("name", json!("x".repeat(101))),
        ("scopes", json!([])),
        ("scopes", json!(["orders:read", "orders:read"])),
        ("scopes", json!(many)),
        ("scopes/0", json!("everything")),
        ("expires_at", json!(Utc::now() - Duration::seconds(1))),
        ("expires_at", json!(Utc::now() + Duration::days(367))),
        ("expires_at", json!("tomorrow")),
        ("roles", json!(["admin"])),
    ] {
        let mut body = new_key();
        match field {
            "scopes/0" => body["scopes"] = json!([value]),
            _ => body[field] = value.clone(),
        }
        let answer = ada.post(KEYS, &body).send().await;
        assert_eq!(answer.status, 422, "{field} = {value}: {answer}");
        answer.problem("invalid_request", &format!("/{field}"));
    }
    for field in ["name", "scopes", "expires_at"] {
        let mut body = new_key();
        body.as_object_mut().unwrap().remove(field);
        ada.post(KEYS, &body).send().await.problem("invalid_request", &format!("/{field}"));
    }
    assert_eq!(count(&bed, "api_key").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_reset_revokes_every_key() {
    let (bed, _running) = start().await;
    let ada = ada(&bed).await;
    let key = ada.post(KEYS, &new_key()).send().await;
    let mail = bed.call(&GetPasswordResetMail { user_id: ada.user_id() }).await.expect("the mail");
    let token = mail.link.strip_prefix("/password-reset#token=").expect("the page of the shop");
    let reset = json!({"token": token, "password": "another horse, another battery"});

    let set = bed.nobody().post("/v1/auth/password-reset/confirm", &reset).send().await;

    assert_eq!(set.status, 204, "{set}");
    assert_eq!(verify(&bed, &key.text("/key")).await, None, "someone else may have made it");
    let id: ApiKeyId = key.text("/id").parse().unwrap();
    bed.event::<UserApiKeyRevoked>(|event| event.api_key_id == id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_has_ended_makes_no_keys() {
    let (bed, _running) = start().await;
    let ada = ada(&bed).await;
    let ended = ada.post("/v1/auth/logout", &json!({})).send().await;
    assert_eq!(ended.status, 204, "{ended}");
    // Its access token is believed for another moment.
    ada.post(KEYS, &new_key()).send().await.problem("unauthenticated", "");
    assert_eq!(count(&bed, "api_key").await, 0);
}
