//! Carts of guests: made without signing in, merged when someone signs in, expired when nobody cares.

use futures_util::future::join_all;
use serde_json::{Value, json};
use stack::bed::{Answer, Client};

use crate::shop::{Shop, with};

/// A new guest's token.
async fn token(shop: &Shop) -> String {
    let created = shop.bed.nobody().request("POST", "/v1/carts").send().await;
    assert_eq!((created.status, created.header("location")), (201, Some("/v1/cart")), "{created}");
    assert!(created.at("/expires_at").is_string(), "{created}");
    created.text("/token")
}

async fn add(client: &Client, token: &str, sku: &str, quantity: i64) -> Answer {
    let body = json!({"sku": sku, "quantity": quantity});
    client.post("/v1/cart/items", &body).header("Cart-Token", token).send().await
}

async fn show(client: &Client, token: &str) -> Answer {
    client.get("/v1/cart").header("Cart-Token", token).send().await
}

fn items(cart: &Answer) -> Vec<(String, i64)> {
    let item = |item: &Value| (item["sku"].as_str().unwrap().to_owned(), item["quantity"].as_i64().unwrap());
    cart.at("/items").as_array().unwrap_or_else(|| panic!("expected a cart, got {cart}")).iter().map(item).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_has_a_cart_of_their_own() {
    let shop = Shop::open().await;
    let (guest, one, other) = (shop.bed.nobody(), token(&shop).await, token(&shop).await);
    assert_eq!(one.len(), 43, "256 bits");
    assert_ne!(one, other);
    assert_eq!(items(&show(&guest, &one).await), []);
    let added = add(&guest, &one, "LAMP", 2).await;
    assert_eq!((added.status, added.header("etag")), (201, Some("\"1\"")), "{added}");
    let set = guest.patch("/v1/cart/items/LAMP", &json!({"quantity": 3})).header("Cart-Token", &one);
    assert_eq!(set.header("If-Match", "\"1\"").send().await.status, 200);
    let stale = guest.delete("/v1/cart/items/LAMP").header("Cart-Token", &one).header("If-Match", "\"1\"");
    stale.send().await.problem("precondition_failed", "");
    assert_eq!(items(&show(&guest, &one).await), [("LAMP".to_owned(), 3)]);
    assert_eq!(items(&show(&guest, &other).await), []);
    let removed = guest.delete("/v1/cart/items/LAMP").header("Cart-Token", &one).send().await;
    assert_eq!(removed.status, 204);
    assert_eq!(shop.number("select count(*) from cart where token_hash is not null").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_with_its_key_adds_once() {
    let shop = Shop::open().await;
    let (guest, one, other) = (shop.bed.nobody(), token(&shop).await, token(&shop).await);
    let body = json!({"sku": "LAMP", "quantity": 2});
    let put =
        async |token: &str| guest.post("/v1/cart/items", &body).key("k1").header("Cart-Token", token).send().await;
    let (first, again) = (put(&one).await, put(&one).await);
    assert_eq!((again.status, &again.json), (201, &first.json));
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(put(&other).await.header("idempotency-replayed"), None, "another guest's key is another key");
    assert_eq!(items(&show(&guest, &one).await), [("LAMP".to_owned(), 2)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_opens_nothing() {
    let shop = Shop::open().await;
    let guest = shop.bed.nobody();
    for wrong in ["x".to_owned(), "A".repeat(43), "A".repeat(5000)] {
        show(&guest, &wrong).await.problem("not_found", "");
        add(&guest, &wrong, "LAMP", 1).await.problem("not_found", "");
    }
    show(&guest, "").await.problem("not_found", "");
    guest.get("/v1/cart").send().await.problem("unauthenticated", "");
    guest.post("/v1/orders", &with(json!({"lines": null}))).key("k1").send().await.problem("unauthenticated", "");
    // Someone who is signed in is not stopped by it.
    let alice = shop.bed.customer();
    assert_eq!(add(&alice, &"A".repeat(43), "LAMP", 1).await.status, 201);
    assert_eq!(items(&show(&alice, "x").await), [("LAMP".to_owned(), 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_signs_in_brings_their_cart() {
    let shop = Shop::open().await;
    let (guest, alice, token) = (shop.bed.nobody(), shop.bed.customer(), token(&shop).await);
    add(&guest, &token, "PEN", 99_999).await;
    add(&guest, &token, "BOOK", 1).await;
    let own = alice.post("/v1/cart/items", &json!({"sku": "PEN", "quantity": 2})).send().await;
    assert_eq!(own.status, 201, "{own}");

    let merged = show(&alice, &token).await;
    assert_eq!(merged.header("etag"), Some("\"2\""), "merging is an edit");
    let mut found = items(&merged);
    found.sort();
    assert_eq!(found, [("BOOK".to_owned(), 1), ("PEN".to_owned(), 100_000)], "added, and capped");
    show(&guest, &token).await.problem("not_found", "");
    assert_eq!(items(&show(&alice, &token).await).len(), 2);
    assert_eq!(show(&alice, &token).await.header("etag"), Some("\"2\""), "once");
    assert_eq!(shop.count("cart").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_at_once_merge_once() {
    let shop = Shop::open().await;
    let guest = shop.bed.nobody();
    for _ in 0..5 {
        let (alice, token) = (shop.bed.customer(), token(&shop).await);
        add(&guest, &token, "LAMP", 1).await;
        add(&guest, &token, "PEN", 2).await;
        let shown = join_all((0..6).map(|_| show(&alice, &token)));
        let (shown, added) = tokio::join!(shown, add(&alice, &token, "LAMP", 1));
        assert!(shown.iter().all(|cart| cart.status == 200) && added.status == 201, "{added}");
        let mut found = items(&show(&alice, &token).await);
        found.sort();
        assert_eq!(found, [("LAMP".to_owned(), 2), ("PEN".to_owned(), 2)]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merged_cart_is_bounded() {
    let shop = Shop::open().await;
    let (guest, alice, token) = (shop.bed.nobody(), shop.bed.customer(), token(&shop).await);
    for sku in ["LAMP", "PEN", "BOOK"] {
        add(&guest, &token, sku, 1).await;
    }
    alice.post("/v1/cart/items", &json!({"sku": "PEN", "quantity": 1})).send().await;
    let fill = "insert into cart_item (cart_id, sku, quantity, added_at)
         select id, 'S' || n, 1, now() + interval '1 h' from cart, generate_series(1, 98) as n where user_id is not null";
    shop.sql(fill).await;
    let cart = show(&alice, &token).await;
    assert_eq!(items(&cart).len(), 100);
    let quantity = |sku: &str| items(&cart).into_iter().find(|(one, _)| one == sku).map(|(_, quantity)| quantity);
    assert_eq!((quantity("PEN"), quantity("LAMP"), quantity("BOOK")), (Some(2), Some(1), None), "the first that fits");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_from_the_cart_brings_it_too() {
    let shop = Shop::open().await;
    let (guest, alice, token) = (shop.bed.nobody(), shop.bed.customer(), token(&shop).await);
    add(&guest, &token, "BOOK", 2).await;
    let order = with(json!({"lines": null}));
    let placed = alice.post("/v1/orders", &order).key("k1").header("Cart-Token", &token).send().await;
    assert_eq!((placed.status, placed.at("/lines/0/quantity")), (201, &json!(2)), "{placed}");
    let again = alice.post("/v1/orders", &order).key("k1").header("Cart-Token", &token).send().await;
    assert_eq!((again.status, &again.json), (201, &placed.json));
    assert_eq!(items(&show(&alice, &token).await), []);
    show(&guest, &token).await.problem("not_found", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cart_that_nobody_edits_expires() {
    let shop = Shop::open().await;
    let (guest, alice) = (shop.bed.nobody(), shop.bed.customer());
    let (old, young) = (token(&shop).await, token(&shop).await);
    for token in [&old, &young] {
        add(&guest, token, "BOOK", 1).await;
    }
    alice.post("/v1/cart/items", &json!({"sku": "PEN", "quantity": 1})).send().await;
    shop.sql("update cart set updated_at = now() - interval '29 days'").await;
    add(&guest, &young, "BOOK", 1).await;
    shop.sql("update cart set updated_at = updated_at - interval '2 days'").await;
    show(&guest, &old).await.problem("not_found", "");
    assert_eq!(items(&show(&alice, &old).await), [("PEN".to_owned(), 1)], "what has expired is not merged");
    // The job runs when the service starts.
    let shop = shop.restarted(async |_| {}).await;
    let look = async || (shop.count("cart").await == 2).then_some(());
    shop.bed.wait_for("the old cart to be gone", look).await;
    assert_eq!(shop.count("cart_item").await, 2);
    assert_eq!(items(&show(&guest, &young).await), [("BOOK".to_owned(), 2)]);
    assert_eq!(items(&show(&alice, "").await), [("PEN".to_owned(), 1)], "a person's cart stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_shows_no_token_is_told_so_whatever_else_is_wrong() {
    let shop = Shop::open().await;
    let nobody = shop.bed.nobody();
    let nonsense = json!({"sku": 7, "colour": "red"});

    nobody.get("/v1/cart").send().await.problem("unauthenticated", "");
    nobody.post("/v1/cart/items", &nonsense).send().await.problem("unauthenticated", "");
    nobody.patch("/v1/cart/items/LAMP", &nonsense).send().await.problem("unauthenticated", "");
    nobody.delete("/v1/cart/items/LAMP").send().await.problem("unauthenticated", "");
}
