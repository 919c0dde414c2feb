use nats::types::CompanyRole::{Admin, Buyer, Owner, Viewer};
use serde_json::{Value, json};

use super::{Company, entries, join, person};
use crate::{sql, start};

#[tokio::test(flavor = "multi_thread")]
async fn members_see_each_other() {
    let (bed, _running) = start().await;
    let company = Company::of_ada(bed).await;
    let viewer = company.member("vera@example.com", Viewer).await;
    let path = company.at("members");
    let listed = viewer.get(&path).send().await;
    assert_eq!(entries(&listed), 2);
    assert_eq!((listed.at("/data/0/email"), listed.at("/data/0/role")), (&json!("ada@example.com"), &json!("owner")));
    assert_eq!(listed.at("/data/1/user_id"), &json!(viewer.user_id()));
    let first = viewer.get(&format!("{path}?limit=1")).send().await;
    let rest = viewer.get(&format!("{path}?limit=1&cursor={}", first.text("/next_cursor"))).send().await;
    assert_eq!((rest.at("/data/0/role"), rest.at("/next_cursor")), (&json!("viewer"), &Value::Null));
    assert_eq!(entries(&company.bed.staff().get(&path).send().await), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn admins_change_roles_and_owners_those_of_owners() {
    let (bed, _running) = start().await;
    let company = Company::of_ada(bed).await;
    let (admin, buyer) = (company.member("al@example.com", Admin).await, company.member("bo@example.com", Buyer).await);
    let of = |member: &stack::bed::Client| company.at(&format!("members/{}", member.user_id()));
    let role = |role: &str| json!({ "role": role });
    let changed = admin.patch(&of(&buyer), &role("viewer")).send().await;
    assert_eq!((changed.status, changed.at("/role")), (200, &json!("viewer")), "{changed}");
    assert_eq!(admin.patch(&of(&buyer), &role("admin")).send().await.status, 200);
    admin.patch(&of(&buyer), &role("owner")).send().await.problem("forbidden", "");
    admin.patch(&of(&company.owner), &role("viewer")).send().await.problem("forbidden", "");
    admin.delete(&of(&company.owner)).send().await.problem("forbidden", "");
    assert_eq!(company.owner.patch(&of(&buyer), &role("owner")).send().await.status, 200);
    assert_eq!(buyer.patch(&of(&company.owner), &role("buyer")).send().await.status, 200, "one owner is left");
    buyer.patch(&of(&buyer), &role("admin")).send().await.problem("conflict", "");
    buyer.patch(&of(&buyer), &role("king")).send().await.problem("invalid_request", "/role");
    let stranger = person(&company.bed, "eve@example.com").await;
    admin.patch(&of(&stranger), &role("viewer")).send().await.problem("not_found", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn everyone_may_leave_but_the_last_owner() {
    let (bed, _running) = start().await;
    let company = Company::of_ada(bed).await;
    let viewer = company.member("vera@example.com", Viewer).await;
    let of = |member: &stack::bed::Client| company.at(&format!("members/{}", member.user_id()));
    viewer.delete(&of(&company.owner)).send().await.problem("forbidden", "");
    assert_eq!(viewer.delete(&of(&viewer)).send().await.status, 204);
    viewer.get(&company.path).send().await.problem("not_found", "");
    viewer.delete(&of(&viewer)).send().await.problem("not_found", "");
    company.owner.delete(&of(&viewer)).send().await.problem("not_found", "");
    company.owner.delete(&of(&company.owner)).send().await.problem("conflict", "");
    let buyer = company.member("bo@example.com", Buyer).await;
    assert_eq!(company.owner.delete(&of(&buyer)).send().await.status, 204, "and may be made to");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_last_owners_who_leave_at_once_one_stays() {
    let (bed, _running) = start().await;
    let company = Company::of_ada(bed).await;
    let other = company.member("olga@example.com", Owner).await;
    let of = |member: &stack::bed::Client| company.at(&format!("members/{}", member.user_id()));
    let (of_ada, of_olga) = (of(&company.owner), of(&other));
    for round in 0..5 {
        let (one, two) = tokio::join!(company.owner.delete(&of_ada).send(), other.delete(&of_olga).send());
        let mut statuses = [one.status, two.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [204, 409], "round {round}: {one} {two}");
        let gone = if one.status == 204 { &company.owner } else { &other };
        join(&company.bed, &company.path, gone, Owner).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_owners_who_unmake_each_other_one_stays() {
    let (bed, _running) = start().await;
    let company = Company::of_ada(bed).await;
    let other = company.member("olga@example.com", Owner).await;
    let of = |member: &stack::bed::Client| company.at(&format!("members/{}", member.user_id()));
    let (of_ada, of_olga, less) = (of(&company.owner), of(&other), json!({"role": "viewer"}));
    let (one, two) = tokio::join!(company.owner.patch(&of_olga, &less).send(), other.patch(&of_ada, &less).send());
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 403], "the second is no owner any more: {one} {two}");
    assert_eq!(company.bed.broken_invariants("user").await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_company_without_an_owner_is_found() {
    let (bed, _running) = start().await;
    let company = Company::of_ada(bed).await;
    sql(&company.bed, "delete from company_member").await;
    let broken = company.bed.broken_invariants("user").await;
    assert_eq!(broken.len(), 1, "{broken:?}");
    assert_eq!(broken[0].violations, [format!("{} has nobody who owns it", company.id())]);
}
