//! `get_cart`: what is in it, and what it costs now.

use serde_json::{Value, json};

use crate::shop::Shop;

#[tokio::test(flavor = "multi_thread")]
async fn a_cart_begins_empty() {
    let shop = Shop::open().await;
    let cart = shop.bed.customer().get("/v1/cart").send().await;
    assert_eq!(cart.status, 200, "{cart}");
    assert_eq!(cart.header("etag"), Some("\"0\""));
    let nothing = json!({"amount": 0, "currency": "EUR"});
    let empty = json!({"items": [], "currency": "EUR", "subtotal": nothing, "prices_unavailable": false, "version": 0});
    assert_eq!(cart.json, empty);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_shows_what_the_catalogue_says_now() {
    let shop = Shop::open().await;
    let (alice, bob) = (shop.bed.customer(), shop.bed.customer());
    for (sku, quantity) in [("PEN", 3), ("LAMP", 1)] {
        alice.post("/v1/cart/items", &json!({"sku": sku, "quantity": quantity})).send().await;
    }
    let cart = alice.get("/v1/cart").send().await;
    assert_eq!(cart.header("etag"), Some("\"2\""));
    assert_eq!(cart.at("/items/0/name"), "Fountain pen");
    assert_eq!(cart.at("/items/0/unit_price/amount"), 333);
    assert_eq!(cart.at("/items/0/net/amount"), 999);
    assert_eq!(cart.at("/items/1/available"), 10);
    assert_eq!(cart.at("/subtotal/amount"), 5989);
    assert_eq!(bob.get("/v1/cart").send().await.at("/items"), &json!([]), "everyone has their own");
    shop.bed.nobody().get("/v1/cart").send().await.problem("unauthenticated", "");
    alice.get("/v1/cart?currency=EURO").send().await.problem("malformed_request", "?currency");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_shown_without_prices_while_the_catalogue_is_away() {
    let shop = Shop::without_catalog_and_shipping().await;
    let alice = shop.bed.customer();
    let user = alice.user_id().uuid();
    for statement in [
        format!("insert into cart (id, user_id, version) values ('{user}', '{user}', 1)"),
        format!("insert into cart_item (cart_id, sku, quantity) values ('{user}', 'LAMP', 2), ('{user}', 'GONE', 1)"),
    ] {
        shop.sql(&statement).await;
    }
    let cart = alice.get("/v1/cart").send().await;
    assert_eq!(cart.status, 200, "{cart}");
    assert_eq!(cart.at("/prices_unavailable"), true);
    assert_eq!(cart.at("/subtotal"), &Value::Null);
    assert_eq!(cart.at("/items/1/sku"), "LAMP");
    assert_eq!(cart.at("/items/1/quantity"), 2);
    assert_eq!([cart.at("/items/1/name"), cart.at("/items/1/available")], [&Value::Null, &Value::Null]);

    shop.catalog_comes().await;
    let cart = alice.get("/v1/cart").send().await;
    assert_eq!(cart.at("/prices_unavailable"), false);
    assert_eq!(cart.at("/subtotal/amount"), 9980);
    assert_eq!(cart.at("/items/0/available"), 0, "what is not for sale any more cannot be had: {cart}");
    assert_eq!(cart.at("/items/0/name"), &Value::Null);
}
