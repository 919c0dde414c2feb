use serde_json::json;

use super::{ROLES, admin, clerk, new_role, role, somebody_with};
use crate::start;

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_nobody_has_can_be_removed() {
    let (bed, _running) = start().await;
    let admin = admin(&bed).await;
    let refunds = role(&admin, "refunds", &["orders:refund"]).await;
    let rita = somebody_with(&bed, "rita@example.com", refunds).await;
    let remove = || admin.delete("/v1/roles/refunds").send();

    let held = remove().await;
    held.problem("conflict", "");
    assert!(held.text("/detail").contains("/v1/users?role=refunds"), "{held}");
    let without = json!({"roles": ["customer"]});
    let taken = admin.put(&format!("/v1/users/{}/roles", rita.user_id()), &without).send().await;
    assert_eq!(taken.status, 200, "{taken}");

    assert_eq!(remove().await.status, 204);
    remove().await.problem("not_found", "");
    assert_eq!(admin.post(ROLES, &new_role("refunds", &[])).send().await.status, 201, "the name is free");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_is_removed_or_given_but_not_both() {
    let (bed, _running) = start().await;
    let admin = admin(&bed).await;
    let rita = somebody_with(&bed, "rita@example.com", "staff".parse().unwrap()).await;
    for round in 0..5 {
        let name = format!("round{round}");
        role(&admin, &name, &[]).await;
        let (path, wanted) = (format!("/v1/users/{}/roles", rita.user_id()), json!({"roles": [name]}));
        let target = format!("/v1/roles/{name}");

        let (given, removed) = tokio::join!(admin.put(&path, &wanted).send(), admin.delete(&target).send());

        match (given.status, removed.status) {
            (200, 409) => {}
            (422, 204) => given.problem("invalid_request", "/roles"),
            _ => panic!("round {round}: {given} {removed}"),
        }
    }
    assert_eq!(bed.broken_invariants("user").await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_built_in_and_what_one_does_not_hold_stays() {
    let (bed, _running) = start().await;
    let admin = admin(&bed).await;
    let clerk = clerk(&bed, &admin).await;
    role(&admin, "stockkeepers", &["stock:write"]).await;
    for name in ["customer", "staff", "admin"] {
        admin.delete(&format!("/v1/roles/{name}")).send().await.problem("conflict", "");
    }
    clerk.delete("/v1/roles/stockkeepers").send().await.problem("forbidden", "");
    bed.customer().delete("/v1/roles/stockkeepers").send().await.problem("forbidden", "");
    bed.nobody().delete("/v1/roles/stockkeepers").send().await.problem("unauthenticated", "");
}
