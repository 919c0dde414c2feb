use nats::identity::Permission;
use serde_json::{Value, json};
use stack::bed::of_staff;

use super::{ROLES, admin, role};
use crate::start;

#[tokio::test(flavor = "multi_thread")]
async fn the_permissions_there_are_stand_in_one_list() {
    let (bed, _running) = start().await;
    let reader = bed.holding(&[Permission::RolesRead]);

    let list = reader.get("/v1/permissions").send().await;

    let names: Vec<_> = list.at("/data").as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
    let registry: Vec<_> = Permission::ALL.iter().map(|permission| json!(permission.as_str())).collect();
    assert_eq!(names, registry);
    assert!(list.text("/data/0/description").len() > 10, "{list}");
}

#[tokio::test(flavor = "multi_thread")]
async fn three_roles_are_built_in() {
    let (bed, _running) = start().await;
    let list = bed.holding(&[Permission::RolesRead]).get(ROLES).send().await;
    let held = |place: &str| {
        let role = list.at("/data").as_array().unwrap().iter().find(|role| role["name"] == place).unwrap();
        assert_eq!(role["built_in"], true, "{role}");
        role["permissions"].clone()
    };
    let names = |permissions: Vec<String>| json!(permissions);

    assert_eq!(held("customer"), json!([]));
    // What the harness lets staff do is what they may.
    assert_eq!(held("staff"), names(of_staff().names()));
    assert_eq!(held("admin"), names(nats::identity::Permissions::all().names()));
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_show_every_role_once() {
    let (bed, _running) = start().await;
    let admin = admin(&bed).await;
    role(&admin, "refunds", &["orders:refund"]).await;
    let (mut seen, mut target) = (Vec::new(), format!("{ROLES}?limit=3"));
    loop {
        let page = admin.get(&target).send().await;
        seen.extend(page.at("/data").as_array().unwrap().iter().map(|role| role["name"].clone()));
        let Some(cursor) = page.at("/next_cursor").as_str() else { break };
        target = format!("{ROLES}?limit=3&cursor={cursor}");
    }
    assert_eq!(Value::from(seen), json!(["admin", "customer", "refunds", "staff"]));
    admin.get("/v1/roles/nobody").send().await.problem("not_found", "");
    admin.get("/v1/roles/No%20Body").send().await.problem("not_found", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn they_are_for_those_who_may_read_them() {
    let (bed, _running) = start().await;
    for target in ["/v1/permissions", ROLES, "/v1/roles/staff"] {
        bed.nobody().get(target).send().await.problem("unauthenticated", "");
        let refused = bed.holding(&[Permission::UsersRead, Permission::RolesWrite]).get(target).send().await;
        refused.problem("forbidden", "");
        assert!(refused.text("/detail").contains("`roles:read`"), "{refused}");
    }
}
