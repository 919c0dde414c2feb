//! What svc-user tells the operator.

use diesel::sql_query;
use diesel_async::RunQueryDsl;
use nats::contracts::operations::AuditCheck;
use stack::Bed;

use crate::{PASSWORD, login, refresh, register, sql, start};

async fn drop_index(bed: &Bed, name: &str) {
    sql_query(format!("drop index {name}")).execute(&mut bed.sql("user").await).await.unwrap();
}

/// The one invariant that does not hold.
async fn the_broken_one(bed: &Bed, invariant: &str) -> AuditCheck {
    let mut broken = bed.broken_invariants("user").await;
    assert_eq!(broken.len(), 1, "{broken:?}");
    assert!(broken[0].invariant.contains(invariant), "{broken:?}");
    broken.remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_do_breaks_no_invariant() {
    let (bed, _running) = start().await;
    let first = register(&bed, "ada@example.com").await;
    register(&bed, "bob@example.com").await;
    let next = refresh(&bed, &first.text("/refresh_token")).await;
    assert_eq!(refresh(&bed, &first.text("/refresh_token")).await.status, 200, "again, a moment later");
    assert_eq!(refresh(&bed, &next.text("/refresh_token")).await.status, 200);
    login(&bed, "ada@example.com", PASSWORD).await;
    assert_eq!(refresh(&bed, &first.text("/refresh_token")).await.status, 401, "it ends its session");
    assert_eq!(bed.broken_invariants("user").await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_cannot_go_on_or_goes_on_twice_is_found() {
    let (bed, _running) = start().await;
    register(&bed, "ada@example.com").await;
    sql(&bed, "update refresh_token set state = 'consumed', consumed_at = now()").await;
    let stuck = the_broken_one(&bed, "goes on in one line").await;
    assert!(stuck.violations[0].ends_with("has 0 tokens that work"), "{stuck:?}");

    sql(&bed, "update refresh_token set state = 'active', consumed_at = null").await;
    drop_index(&bed, "refresh_token_active").await;
    let copy = "insert into refresh_token (hash, session_id, expires_at)
                select sha256(hash), session_id, expires_at from refresh_token";
    sql(&bed, copy).await;
    let twice = the_broken_one(&bed, "goes on in one line").await;
    assert!(twice.violations[0].ends_with("has 2 tokens that work"), "{twice:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_outlives_its_session_is_found() {
    let (bed, _running) = start().await;
    register(&bed, "ada@example.com").await;
    sql(&bed, "update refresh_token set expires_at = now() + interval '31 days'").await;
    the_broken_one(&bed, "outlives its session").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_that_share_an_address_are_found_without_telling_it() {
    let (bed, _running) = start().await;
    register(&bed, "ada@example.com").await;
    register(&bed, "bob@example.com").await;
    drop_index(&bed, "user_email").await;
    sql(&bed, "update \"user\" set email = 'ADA@example.com' where email like 'bob%'").await;
    let shared = the_broken_one(&bed, "belongs to one account").await;
    assert!(shared.violations[0].starts_with("usr_"), "{shared:?}");
    assert!(shared.violations[0].ends_with("shares its address with 1 others"), "{shared:?}");
    assert!(!shared.violations[0].contains("@example.com"), "{shared:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_signing_key_is_found() {
    let (bed, _running) = start().await;
    sql(&bed, "update signing_key set retired_at = now()").await;
    the_broken_one(&bed, "a key to sign").await;
}
