//! Each permission lets in where the document says that it is needed, and nothing else does.

use std::collections::{BTreeMap, BTreeSet};

use nats::identity::{Permission, Permissions};
use serde_json::{Value, json};

use super::{
    Operation, operations,
    scene::{Scene, given},
};
use crate::shop::{Person, Shop};

/// What an operation asks for.
enum Needed {
    /// This, of everybody.
    Always(Permission),
    /// This, of whoever comes for what is somebody else's.
    UnlessOwn(Permission),
}

fn needed() -> BTreeMap<String, Needed> {
    let document: Value = serde_json::from_str(include_str!("../../../openapi/openapi.json")).unwrap();
    let items = document["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values());
    let permission = |operation: &Value, extension: &str| {
        let name = operation[extension].as_str()?;
        Some(name.parse().unwrap_or_else(|error| panic!("{}: {error}", operation["operationId"])))
    };
    let needed = |operation: &Value| {
        let always = permission(operation, "x-argosy-permission").map(Needed::Always);
        let needed = always.or(permission(operation, "x-argosy-permission-unless-own").map(Needed::UnlessOwn))?;
        Some((operation["operationId"].as_str().unwrap().to_owned(), needed))
    };
    items.filter_map(needed).collect()
}

#[test]
fn every_permission_is_needed_somewhere() {
    let asked_for: BTreeSet<Permission> = needed()
        .into_values()
        .map(|needed| match needed {
            Needed::Always(permission) | Needed::UnlessOwn(permission) => permission,
        })
        .collect();
    let idle: Vec<_> = Permission::ALL.iter().filter(|permission| !asked_for.contains(permission)).collect();
    assert!(idle.is_empty(), "no operation asks for {idle:?}; take them out of the registry");
}

/// Somebody new with a role of just these permissions.
async fn holding(shop: &Shop, admin: &Person, permissions: &Permissions) -> Person {
    let name = format!("visits_{}", &uuid::Uuid::new_v4().simple().to_string()[..16]);
    let new = json!({ "name": name, "description": "For visits.", "permissions": permissions.names() });
    let made = admin.post("/v1/roles", &new).await;
    assert_eq!(made.status, 201, "{made}");
    given(shop, name.parse().unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn just_the_permission_lets_in_and_all_others_do_not() {
    let operations = operations();
    let needed = needed();
    let mut scene = Scene::set(&operations).await;
    let (shop, admin) = (Shop::shared().await, Shop::shared().await.demo("ADMIN").await);
    let mut people = BTreeMap::new();
    for permission in Permission::ALL {
        let just = [*permission].into_iter().collect();
        let others = Permissions::all().without(&just);
        people.insert(*permission, (holding(shop, &admin, &just).await, holding(shop, &admin, &others).await));
    }
    let mut faults = Vec::new();
    for operation in &operations {
        let Some(needed) = needed.get(&operation.id) else { continue };
        let (Needed::Always(permission) | Needed::UnlessOwn(permission)) = needed;
        let (with, without) = &people[permission];
        let (refused, let_in) = (scene.visit(operation, without).await, scene.visit(operation, with).await);
        let own = |text: &[u8]| {
            let text = String::from_utf8_lossy(text);
            scene.own.values().any(|id| text.contains(id.as_str()))
        };
        let kept_out = match needed {
            Needed::Always(_) => refused.at("/code") == "forbidden",
            Needed::UnlessOwn(_) if is_list(operation) => refused.status == 200 && !own(&refused.bytes),
            Needed::UnlessOwn(_) => refused.at("/code") == "not_found",
        };
        if !kept_out {
            faults.push(format!("{} lets in without {permission:?}: {refused}", operation.id));
        }
        let came_in = match needed {
            Needed::UnlessOwn(_) if is_list(operation) => let_in.status == 200 && own(&let_in.bytes),
            // A letter that there is would be another test's.
            _ if operation.id.ends_with("_dead_letter") => let_in.status == 404,
            _ => let_in.status < 500 && !matches!(let_in.status, 401 | 403 | 404 | 429),
        };
        if !came_in {
            faults.push(format!("{} does not let in with {permission:?}: {let_in}", operation.id));
        }
        scene.put_back(&operation.id).await;
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Whether it tells of many things, of which one may see some.
fn is_list(operation: &Operation) -> bool {
    operation.id.starts_with("list_") && !operation.path.contains('{')
}
