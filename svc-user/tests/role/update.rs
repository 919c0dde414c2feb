use nats::{contracts::user::RoleChanged, identity::Role};
use serde_json::json;

use super::{admin, clerk, role, somebody_with};
use crate::{PASSWORD, login, start, verified};

#[tokio::test(flavor = "multi_thread")]
async fn what_a_role_lets_do_can_change_and_the_next_token_says_so() {
    let (bed, _running) = start().await;
    let admin = admin(&bed).await;
    let refunds = role(&admin, "refunds", &["orders:refund"]).await;
    somebody_with(&bed, "rita@example.com", refunds.clone()).await;
    let before = verified(&bed, &login(&bed, "rita@example.com", PASSWORD).await).await;

    let changes = json!({"permissions": ["orders:refund", "payments:read"]});
    let changed = admin.patch("/v1/roles/refunds", &changes).header("If-Match", "\"1\"").send().await;

    assert_eq!((changed.status, changed.header("etag")), (200, Some("\"2\"")), "{changed}");
    assert_eq!(changed.at("/permissions"), &json!(["orders:refund", "payments:read"]));
    assert_eq!(changed.at("/description"), "For this test.");
    let after = verified(&bed, &login(&bed, "rita@example.com", PASSWORD).await).await;
    assert_eq!(
        (before.permissions.as_slice(), after.permissions.as_slice()),
        (["orders:refund".to_owned()].as_slice(), ["orders:refund".to_owned(), "payments:read".to_owned()].as_slice(),)
    );
    let told: RoleChanged = bed.event(|event: &RoleChanged| event.role == refunds).await;
    assert!(before.roles_revision < told.revision && told.revision <= after.roles_revision, "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_lets_do_nothing_else_is_not_told() {
    let (bed, _running) = start().await;
    let admin = admin(&bed).await;
    role(&admin, "refunds", &["orders:refund"]).await;
    let changes = json!({"description": "Gives money back.", "permissions": ["orders:refund"]});

    let changed = admin.patch("/v1/roles/refunds", &changes).send().await;

    assert_eq!(changed.at("/description"), "Gives money back.", "{changed}");
    let then = json!({"permissions": []});
    assert_eq!(admin.patch("/v1/roles/refunds", &then).send().await.at("/permissions"), &json!([]));
    bed.event(|_: &RoleChanged| true).await;
    assert_eq!(bed.events(|_: &RoleChanged| true).await.len(), 1, "of the second change only");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_of_somebody_else_is_not_overwritten() {
    let (bed, _running) = start().await;
    let admin = admin(&bed).await;
    role(&admin, "refunds", &["orders:refund"]).await;
    let edit = |permission: &str| {
        let changes = json!({"permissions": [permission]});
        admin.patch("/v1/roles/refunds", &changes).header("If-Match", "\"1\"").send()
    };

    let (one, other) = tokio::join!(edit("orders:read"), edit("orders:write"));

    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412], "{one} {other}");
    let stale = admin.delete("/v1/roles/refunds").header("If-Match", "\"1\"").send().await;
    stale.problem("precondition_failed", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_adds_or_takes_away_what_they_do_not_hold() {
    let (bed, _running) = start().await;
    let admin = admin(&bed).await;
    let clerk = clerk(&bed, &admin).await;
    role(&admin, "mixed", &["orders:read", "stock:write"]).await;
    for permissions in [vec!["orders:read", "stock:write", "users:read"], vec!["orders:read"], vec![]] {
        let changes = json!({"permissions": permissions});
        clerk.patch("/v1/roles/mixed", &changes).send().await.problem("forbidden", "");
    }
    // Its own role, too.
    let more =
        json!({"permissions": ["roles:read", "roles:write", "orders:read", "orders:refund", "operations:write"]});
    clerk.patch("/v1/roles/desk", &more).send().await.problem("forbidden", "");

    let own = json!({"permissions": ["stock:write", "orders:refund"]});
    let changed = clerk.patch("/v1/roles/mixed", &own).send().await;
    assert_eq!(changed.at("/permissions"), &json!(["orders:refund", "stock:write"]), "{changed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_everyone_has_and_what_lets_do_everything_stay_as_they_are() {
    let (bed, _running) = start().await;
    let admin = admin(&bed).await;
    for name in [Role::CUSTOMER, Role::ADMIN] {
        let changes = json!({"permissions": ["orders:read"]});
        admin.patch(&format!("/v1/roles/{name}"), &changes).send().await.problem("conflict", "");
    }
    let staff = admin.patch("/v1/roles/staff", &json!({"permissions": ["orders:read"]})).send().await;
    assert_eq!(staff.at("/permissions"), &json!(["orders:read"]), "the shop decides what its people do: {staff}");
    let unknown = admin.patch("/v1/roles/staff", &json!({"permissions": ["orders:paint"]})).send().await;
    unknown.problem("invalid_request", "/permissions/0");
    admin.patch("/v1/roles/nobody", &json!({})).send().await.problem("not_found", "");
}
