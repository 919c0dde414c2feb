use nats::{
    contracts::user::{CannotGrant, GrantRole},
    identity::Role,
    invoke::CallError,
};
use serde_json::json;

use crate::{PASSWORD, login, register, start, user_of, verified};

#[tokio::test(flavor = "multi_thread")]
async fn a_role_is_added_once() {
    let (bed, _running) = start().await;
    let user = user_of(&register(&bed, "ada@example.com").await);
    let email = || "ADA@example.com".parse().unwrap();
    for role in [Role::STAFF, Role::STAFF, Role::CUSTOMER, Role::ADMIN] {
        let granted = bed.call(&GrantRole { email: email(), role }).await.expect("granted");
        assert_eq!(granted.user_id, user);
    }
    let answer = login(&bed, "ada@example.com", PASSWORD).await;
    assert_eq!(answer.at("/user/roles"), &json!(["customer", "staff", "admin"]));
    assert_eq!(verified(&bed, &answer).await.roles, [Role::CUSTOMER, Role::STAFF, Role::ADMIN]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_grants_at_once_are_both_there() {
    let (bed, _running) = start().await;
    register(&bed, "ada@example.com").await;
    let email = || "ada@example.com".parse().unwrap();
    let (staff, admin) =
        (GrantRole { email: email(), role: Role::STAFF }, GrantRole { email: email(), role: Role::ADMIN });
    let (one, other) = tokio::join!(bed.call(&staff), bed.call(&admin));
    assert!(one.is_ok() && other.is_ok(), "{one:?} {other:?}");
    let roles = login(&bed, "ada@example.com", PASSWORD).await.at("/user/roles").clone();
    assert_eq!(roles.as_array().map(Vec::len), Some(3), "{roles}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_address_is_refused() {
    let (bed, _running) = start().await;
    let answer = bed.call(&GrantRole { email: "nobody@example.com".parse().unwrap(), role: Role::ADMIN }).await;
    assert!(matches!(answer, Err(CallError::Refused(CannotGrant::UnknownUser))), "{answer:?}");
}
