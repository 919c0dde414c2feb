//! Who did what, end to end: everything that was done is in the trail, also what was cut off, and nothing that was secret.

use std::time::Duration;

use nats::{connect::connect, contracts::user::GrantRole, identity::Role, invoke::Caller, topology::OPERATOR};
use reqwest::Method;
use serde_json::{Value, json};
use stack::{postgres::Data, wait::wait_for};

use crate::{
    journey::new_article,
    shop::{Answer, BOUND, Person, Shop},
};

const PASSWORD: &str = "correct horse battery";

/// Somebody new who runs the system.
async fn administrator(shop: &Shop) -> Person {
    let person = shop.shopper().await;
    let operator = Caller::new(connect(&shop.system.settings(OPERATOR), OPERATOR).await.unwrap());
    operator.call(&GrantRole { email: person.email.parse().unwrap(), role: Role::ADMIN }).await.unwrap();
    let credentials = json!({ "email": person.email, "password": PASSWORD });
    let answer = shop.nobody().post("/v1/auth/login", &credentials).await;
    Person { token: Some(answer.text("/access_token")), ..person }
}

/// The entries that `path` lists, once they are `enough`, the newest first.
async fn entries(person: &Person, path: &str, enough: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let what = format!("the entries of {path}");
    let found = wait_for(&what, BOUND, || async {
        let answer = person.try_get(path).await?;
        let entries = answer.at("/data").as_array().cloned().unwrap_or_default();
        if enough(&entries) { Ok(Some(entries)) } else { Err(answer.to_string()) }
    });
    found.await.unwrap_or_else(|error| panic!("{error}"))
}

fn all(entries: &[Value], field: &str) -> Vec<String> {
    entries.iter().map(|entry| entry[field].as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_did_is_there_for_them_and_for_administrators_and_holds_no_secret() {
    let shop = Shop::shared().await;
    let (admin, ines) = (administrator(shop).await, shop.shopper().await);
    let guess = json!({ "email": ines.email, "password": "a wrong horse" });
    assert_eq!(shop.nobody().post("/v1/auth/login", &guess).await.status, 401);
    let sku = new_article(&shop.demo("STAFF").await, 10).await;
    let placed = ines.order("trail", &sku, 1, "sandbox_ok").await;
    assert_eq!(placed.status, 201, "{placed}");
    let order = placed.text("/id");
    ines.request(Method::GET, "/v1/orders").send().await.unwrap();
    shop.shopper().await.post(&format!("/v1/orders/{order}/cancel"), &json!({})).await.problem("not_found");
    let id = ines.get("/v1/users/me").await.text("/id");

    let done = |entries: &[Value]| entries.len() >= 3 && entries.iter().all(|entry| entry["outcome"] != "unknown");
    let own = entries(&ines, "/v1/users/me/activity", done).await;
    assert_eq!(all(&own, "operation"), ["place_order", "login", "register"]);
    assert_eq!(all(&own, "outcome"), ["succeeded", "refused", "succeeded"]);
    assert_eq!(all(&own, "by"), ["you", "nobody", "nobody"]);
    assert_eq!((&own[0]["created"], &own[0]["address"]), (&json!(order), &json!("127.0.0.1")));

    let path = format!("/v1/audit-trail?target={order}");
    let about = entries(&admin, &path, |entries| {
        entries.len() == 2 && entries.iter().all(|entry| entry["outcome"] != "unknown")
    });
    let about = about.await;
    assert_eq!(all(&about, "operation"), ["cancel_order", "place_order"]);
    assert_eq!(all(&about, "outcome"), ["refused", "succeeded"]);
    assert_eq!((&about[1]["user_id"], &about[1]["request_id"]), (&json!(id), &json!(placed.header("x-request-id"))));
    ines.get("/v1/audit-trail").await.problem("forbidden");

    let tables = ["trail_entry", "trail_outcome", "trail_mention"];
    let rows = tables.map(|table| format!("select {table}::text from {table}")).join(" union all ");
    let rows = shop.system.postgres.psql("argosy_user", &rows).await.unwrap();
    assert!(rows.contains("place_order"), "{rows}");
    let token = ines.token.as_deref().unwrap();
    let (_, signature) = token.rsplit_once('.').unwrap();
    for secret in [PASSWORD, "a wrong horse", token, signature, &ines.email, "@example.com", "Speicherstadt"] {
        assert!(!rows.contains(secret), "{secret} stands in the trail");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_about_people_is_written_down_as_well() {
    let shop = Shop::shared().await;
    let admin = administrator(shop).await;
    let id = admin.get("/v1/users/me").await.text("/id");
    assert_eq!(admin.get("/v1/users?search=ines").await.status, 200);

    let own = format!("/v1/audit-trail?actor={id}");
    // Looking at the trail is such a reading itself.
    let both = |entries: &[Value]| {
        let read = all(entries, "operation");
        read.contains(&"list_users".to_owned()) && read.contains(&"list_audit_trail".to_owned())
    };
    let read = entries(&admin, &own, both).await;

    assert!(!all(&read, "operation").contains(&"get_me".to_owned()), "{read:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_under_way_when_the_gateway_died_is_there_without_an_outcome() {
    let mut shop = Shop::open(Data::Kept).await;
    let (admin, ines) = (administrator(&shop).await, shop.shopper().await);
    let id = ines.get("/v1/users/me").await.text("/id");
    let path = format!("/v1/audit-trail?actor={id}&operation=place_order");
    let sku = new_article(&shop.demo("STAFF").await, 10).await;

    shop.system.pause("order").unwrap();
    let (placing, same) = (ines.clone(), sku.clone());
    let cut_off = tokio::spawn(async move { placing.try_order("cut-off", &same, 1, "sandbox_ok").await });
    let begun = entries(&admin, &path, |entries| entries.len() == 1).await;
    assert_eq!(all(&begun, "outcome"), ["unknown"]);
    shop.system.kill("gateway").unwrap();
    assert!(cut_off.await.unwrap().is_err(), "there is no answer");
    shop.system.restart("gateway").await.unwrap();
    shop.system.resume("order").await.unwrap();

    let again = wait_for("the order, under the same key", BOUND, || async {
        let answer = ines.try_order("cut-off", &sku, 1, "sandbox_ok").await?;
        if answer.status == 201 { Ok(Some(answer)) } else { Err(answer.to_string()) }
    });
    let again = again.await.unwrap_or_else(|error| panic!("{error}"));
    let done = |entries: &[Value]| entries.first().is_some_and(|newest| newest["outcome"] == "succeeded");
    let both = entries(&admin, &path, done).await;
    assert_eq!(both[0]["created"], json!(again.text("/id")));
    assert_eq!(both.last().unwrap()["id"], begun[0]["id"], "{both:?}");
    assert_eq!(both.last().unwrap()["outcome"], "unknown", "what became of the first is not known: {both:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_svc_user_deeds_wait_in_jetstream() {
    let mut shop = Shop::open(Data::Kept).await;
    let (admin, staff) = (administrator(&shop).await, shop.demo("STAFF").await);
    let sku = new_article(&staff, 10).await;
    shop.system.kill("user").unwrap();
    let level = json!({ "on_hand": 7, "reorder_point": 1 });

    let set = Answer::of(
        staff.request(Method::PUT, &format!("/v1/stock/{sku}")).json(&level).timeout(Duration::from_secs(30)),
    )
    .await;
    assert!(set.status < 300, "who runs the shop is not held up: {set}");

    shop.system.restart("user").await.unwrap();
    let path = format!("/v1/audit-trail?target={sku}&operation=set_stock&outcome=succeeded");
    let kept = entries(&admin, &path, |entries| entries.len() == 2).await;
    assert_eq!(kept[0]["targets"], json!([{ "name": "sku", "value": sku }]));
}
