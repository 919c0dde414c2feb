use serde_json::json;

use super::{ROLES, admin, clerk, new_role, role};
use crate::{count, sql, start};

#[tokio::test(flavor = "multi_thread")]
async fn a_role_is_made_of_permissions() {
    let (bed, _running) = start().await;
    let admin = admin(&bed).await;

    let made = admin.post(ROLES, &new_role("refunds", &["orders:refund", "orders:read"])).send().await;

    assert_eq!(made.status, 201, "{made}");
    assert_eq!(made.header("location"), Some("/v1/roles/refunds"));
    assert_eq!(made.at("/permissions"), &json!(["orders:read", "orders:refund"]));
    assert_eq!((made.at("/built_in"), made.text("/name")), (&json!(false), "refunds".to_owned()));
    let read = admin.get("/v1/roles/refunds").send().await;
    assert_eq!((read.header("etag"), &read.json), (Some("\"1\""), &made.json));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_makes_a_role_of_what_they_do_not_hold() {
    let (bed, _running) = start().await;
    let admin = admin(&bed).await;
    let clerk = clerk(&bed, &admin).await;

    role(&clerk, "readers", &["orders:read"]).await;
    let refused = clerk.post(ROLES, &new_role("more", &["orders:read", "users:read", "stock:write"])).send().await;

    refused.problem("forbidden", "");
    let detail = refused.text("/detail");
    assert!(detail.contains("`stock:write`, `users:read`") && !detail.contains("orders"), "{detail}");
    for (client, code) in [(bed.nobody(), "unauthenticated"), (bed.customer(), "forbidden"), (bed.staff(), "forbidden")]
    {
        client.post(ROLES, &new_role("more", &[])).send().await.problem(code, "");
    }
    // They come with a token that says that they may, but there is nobody whom it speaks for.
    bed.admin().post(ROLES, &new_role("more", &[])).send().await.problem("forbidden", "");
    assert_eq!(count(&bed, "role").await, 5, "built-in ones, the desk, and the readers");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_pointed_at() {
    let (bed, _running) = start().await;
    let admin = admin(&bed).await;
    for (body, pointer) in [
        (new_role("Refunds", &[]), "/name"),
        (new_role("refunds", &["orders:everything"]), "/permissions/0"),
        (json!({"name": "refunds", "description": "", "permissions": []}), "/description"),
        (json!({"name": "refunds", "description": "x"}), "/permissions"),
        (json!({"name": "refunds", "description": "x", "permissions": [], "built_in": true}), "/built_in"),
    ] {
        admin.post(ROLES, &body).send().await.problem("invalid_request", pointer);
    }
    for taken in ["customer", "staff", "admin"] {
        admin.post(ROLES, &new_role(taken, &[])).send().await.problem("conflict", "/name");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_makes_one_role() {
    let (bed, _running) = start().await;
    let admin = admin(&bed).await;
    let make = || admin.post(ROLES, &new_role("refunds", &["orders:refund"])).key("k1").send();

    let (first, again) = (make().await, make().await);

    assert_eq!((first.status, again.status), (201, 201), "{first} {again}");
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!((&again.json, again.header("location")), (&first.json, Some("/v1/roles/refunds")));
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_a_hundred_roles_at_most() {
    let (bed, _running) = start().await;
    let admin = admin(&bed).await;
    sql(
        &bed,
        "insert into role (name, description, permissions)
         select 'role' || number, 'One of many.', '{}' from generate_series(1, 96) number",
    )
    .await;
    let make = |name| admin.post(ROLES, &new_role(name, &[])).send();

    let (one, other) = tokio::join!(make("one"), make("other"));

    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409], "one of two at once is the hundredth");
}
