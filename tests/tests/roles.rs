//! Roles, end to end: what a role lets do and nothing else, and that what was taken away is gone at once.

use std::time::Instant;

use reqwest::Method;
use serde_json::{Value, json};
use stack::wait::wait_for;

use crate::{
    journey::new_article,
    shop::{Answer, BOUND, Person, Shop},
};

/// Somebody who registered, and the refresh token of their session.
async fn registered(shop: &Shop) -> (Person, String, String) {
    let nobody = shop.nobody();
    let email = format!("rita-{}@example.com", uuid::Uuid::new_v4().simple());
    let body = json!({ "email": email, "password": "correct horse battery", "name": "Rita Returns" });
    let answer = nobody.post("/v1/auth/register", &body).await;
    assert_eq!(answer.status, 201, "{answer}");
    let person = Person { token: Some(answer.text("/access_token")), email, ..nobody };
    (person, answer.text("/refresh_token"), answer.text("/user/id"))
}

/// The same session, with the next access token.
async fn refreshed(person: &Person, refresh_token: &mut String) -> Person {
    let answer = person.post("/v1/auth/refresh", &json!({ "refresh_token": refresh_token })).await;
    assert_eq!(answer.status, 200, "the session goes on: {answer}");
    *refresh_token = answer.text("/refresh_token");
    Person { token: Some(answer.text("/access_token")), ..person.clone() }
}

/// Waits until the gateway asks for another token.
async fn until_outdated(person: &Person) {
    let began = Instant::now();
    let refused = wait_for("the token to be outdated", BOUND, || async {
        let answer = person.try_get("/v1/users/me").await?;
        if answer.status == 401 { Ok(Some(answer)) } else { Err(answer.to_string()) }
    });
    let refused = refused.await.unwrap_or_else(|error| panic!("{error}"));
    refused.problem("unauthenticated");
    assert!(refused.text("/detail").contains("Refresh"), "{refused}");
    println!("a token of before is refused after {} ms", began.elapsed().as_millis());
}

/// Sets somebody's roles.
async fn set_roles(admin: &Person, user: &str, roles: &[&str]) {
    let answer = admin.put(&format!("/v1/users/{user}/roles"), &json!({ "roles": roles })).await;
    assert_eq!(answer.status, 200, "{answer}");
}

async fn refund(person: &Person, payment: &str, key: &str) -> Answer {
    let part = json!({ "amount": { "amount": 100, "currency": "EUR" }, "reason": "A scratch" });
    let request = person.request(Method::POST, &format!("/v1/payments/{payment}/refunds")).json(&part);
    Answer::of(request.header("Idempotency-Key", key)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_give_money_back_may_do_that_and_nothing_else_until_it_is_taken_away() {
    let shop = Shop::shared().await;
    let (admin, ines) = (shop.demo("ADMIN").await, shop.shopper().await);
    let sku = new_article(&shop.demo("STAFF").await, 5).await;
    let order = ines.order("first", &sku, 1, "sandbox_ok").await.text("/id");
    ines.until(&format!("/v1/orders/{order}"), "/status", "confirmed").await;
    let payment = ines.get(&format!("/v1/orders/{order}/payments")).await.text("/data/0/id");
    let role = format!("refunds_{}", &uuid::Uuid::new_v4().simple().to_string()[..8]);
    let new = json!({ "name": role, "description": "The returns desk.", "permissions": ["orders:refund"] });
    let made = admin.post("/v1/roles", &new).await;
    assert_eq!(made.status, 201, "{made}");
    let (rita, mut session, rita_id) = registered(shop).await;
    refund(&rita, &payment, "r0").await.problem("forbidden");

    set_roles(&admin, &rita_id, &["customer", &role]).await;
    until_outdated(&rita).await;
    let clerk = refreshed(&rita, &mut session).await;

    let given = refund(&clerk, &payment, "r1").await;
    assert_eq!(given.status, 201, "{given}");
    for (method, path, code) in [
        (Method::GET, format!("/v1/orders/{order}"), "not_found"),
        (Method::POST, format!("/v1/orders/{order}/cancel"), "not_found"),
        (Method::POST, format!("/v1/orders/{order}/complete"), "forbidden"),
        (Method::GET, format!("/v1/payments/{payment}"), "not_found"),
        (Method::GET, format!("/v1/orders/{order}/invoice"), "not_found"),
        (Method::GET, format!("/v1/stock/{sku}/movements"), "forbidden"),
        (Method::GET, "/v1/users".to_owned(), "forbidden"),
        (Method::GET, "/v1/roles".to_owned(), "forbidden"),
        (Method::PUT, format!("/v1/users/{rita_id}/roles"), "forbidden"),
        (Method::GET, "/v1/dead-letters".to_owned(), "forbidden"),
    ] {
        let request = clerk.request(method.clone(), &path);
        // A body that would do, for where one is needed.
        let request = if method == Method::PUT { request.json(&json!({ "roles": ["admin"] })) } else { request };
        let refused = Answer::of(request).await;
        assert_eq!(refused.at("/code"), code, "{method} {path}: {refused}");
    }

    set_roles(&admin, &rita_id, &["customer"]).await;
    until_outdated(&clerk).await;
    let customer = refreshed(&clerk, &mut session).await;
    refund(&customer, &payment, "r2").await.problem("forbidden");
    let refunds = ines.get(&format!("/v1/payments/{payment}/refunds")).await;
    assert_eq!(refunds.at("/data").as_array().map(Vec::len), Some(1), "{refunds}");
}

#[tokio::test(flavor = "multi_thread")]
async fn when_a_role_lets_do_more_whoever_has_it_is_asked_to_refresh() {
    let shop = Shop::shared().await;
    let admin = shop.demo("ADMIN").await;
    let role = format!("readers_{}", &uuid::Uuid::new_v4().simple().to_string()[..8]);
    let new = json!({ "name": role, "description": "They read.", "permissions": [] });
    assert_eq!(admin.post("/v1/roles", &new).await.status, 201);
    let (rita, mut session, rita_id) = registered(shop).await;
    set_roles(&admin, &rita_id, &["customer", &role]).await;
    until_outdated(&rita).await;
    let reader = refreshed(&rita, &mut session).await;
    reader.get("/v1/users").await.problem("forbidden");

    let changes = json!({ "permissions": ["users:read"] });
    let changed = Answer::of(admin.request(Method::PATCH, &format!("/v1/roles/{role}")).json(&changes)).await;
    assert_eq!(changed.status, 200, "{changed}");

    until_outdated(&reader).await;
    let reader = refreshed(&reader, &mut session).await;
    assert_eq!(reader.get(&format!("/v1/users?role={role}")).await.at("/data/0/id"), &Value::from(rita_id));
    assert_eq!(shop.shopper().await.get("/v1/users/me").await.status, 200, "nobody else is concerned");
}
