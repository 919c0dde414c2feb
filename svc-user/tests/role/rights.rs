use nats::{
    contracts::user::{CannotGrant, GrantRole, VerifyApiKey},
    identity::{Permissions, Role},
    invoke::CallError,
};
use serde_json::json;

use super::{admin, role, somebody_with};
use crate::{PASSWORD, login, register, sql, start, verified};

#[tokio::test(flavor = "multi_thread")]
async fn a_token_says_what_all_of_ones_roles_let_do() {
    let (bed, _running) = start().await;
    let admin = admin(&bed).await;
    role(&admin, "refunds", &["orders:refund", "orders:read"]).await;
    role(&admin, "readers", &["orders:read", "users:read"]).await;
    register(&bed, "rita@example.com").await;
    for role in ["refunds", "readers"] {
        let grant = GrantRole { email: "rita@example.com".parse().unwrap(), role: role.parse().unwrap() };
        bed.call(&grant).await.expect("granted");
    }

    let claims = verified(&bed, &login(&bed, "rita@example.com", PASSWORD).await).await;
    assert_eq!(claims.permissions, ["orders:read", "orders:refund", "users:read"]);
    let claims = verified(&bed, &login(&bed, "root@example.com", PASSWORD).await).await;
    assert_eq!(claims.permissions, Permissions::all().names(), "who runs the system may do everything");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_claim_of_permissions_has_the_name_that_the_standard_gives_it() {
    let (bed, _running) = start().await;
    somebody_with(&bed, "stefan@example.com", Role::STAFF).await;
    let token = login(&bed, "stefan@example.com", PASSWORD).await.text("/access_token");

    let payload = token.split('.').nth(1).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(
        &base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, payload).unwrap(),
    )
    .unwrap();

    assert_eq!(claims["roles"], json!(["customer", "staff"]));
    assert_eq!(claims["entitlements"][0], "catalog:write");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_later_version_wrote_down_lets_do_nothing_here() {
    let (bed, _running) = start().await;
    sql(&bed, "update role set permissions = '{orders:read,moons:write}' where name = 'staff'").await;
    somebody_with(&bed, "stefan@example.com", Role::STAFF).await;
    let claims = verified(&bed, &login(&bed, "stefan@example.com", PASSWORD).await).await;
    assert_eq!(claims.permissions, ["orders:read"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_may_do_what_its_owner_may_at_that_moment() {
    let (bed, _running) = start().await;
    let admin = admin(&bed).await;
    let refunds = role(&admin, "refunds", &["orders:refund"]).await;
    let rita = somebody_with(&bed, "rita@example.com", refunds).await;
    let expires_at = (chrono::Utc::now() + chrono::Duration::days(1)).to_rfc3339();
    let new = json!({"name": "desk", "scopes": ["payment:write"], "expires_at": expires_at});
    let key = VerifyApiKey::of(&rita.post("/v1/api-keys", &new).send().await.text("/key"));
    let before = bed.call(&key).await.expect("a key that is good");

    let without = json!({"roles": ["customer"]});
    assert_eq!(admin.put(&format!("/v1/users/{}/roles", rita.user_id()), &without).send().await.status, 200);

    let after = bed.call(&key).await.expect("a key that is good");
    assert_eq!((before.permissions, after.permissions), (vec!["orders:refund".to_owned()], vec![]));
    assert!(before.revision < after.revision);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_can_give_only_what_there_is() {
    let (bed, _running) = start().await;
    register(&bed, "rita@example.com").await;
    let grant = |email: &str, role: &str| GrantRole { email: email.parse().unwrap(), role: role.parse().unwrap() };
    for (question, refusal) in [
        (grant("nobody@example.com", "staff"), CannotGrant::UnknownUser),
        (grant("rita@example.com", "kings"), CannotGrant::UnknownRole),
    ] {
        let answer = bed.call(&question).await;
        assert!(matches!(answer, Err(CallError::Refused(found)) if found == refusal), "{answer:?}");
    }
    sql(&bed, "update \"user\" set roles = (select array_agg('role' || n) from generate_series(1, 16) n)").await;
    let answer = bed.call(&grant("rita@example.com", "staff")).await;
    assert!(matches!(answer, Err(CallError::Refused(CannotGrant::TooManyRoles))), "{answer:?}");
    assert_eq!(bed.broken_invariants("user").await.len(), 1, "roles that there are not");
}
