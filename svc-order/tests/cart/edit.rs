//! `add_cart_item`, `set_cart_item`, `remove_cart_item`.

use futures_util::future::join_all;
use serde_json::{Value, json};
use stack::bed::{Answer, Client};

use crate::shop::Shop;

async fn add(client: &Client, sku: &str, quantity: i64) -> Answer {
    client.post("/v1/cart/items", &json!({"sku": sku, "quantity": quantity})).send().await
}

async fn items(client: &Client) -> Vec<(String, i64)> {
    let cart = client.get("/v1/cart").send().await;
    let item = |item: &Value| (item["sku"].as_str().unwrap().to_owned(), item["quantity"].as_i64().unwrap());
    cart.at("/items").as_array().unwrap().iter().map(item).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn adding_adds() {
    let shop = Shop::open().await;
    let alice = shop.bed.customer();
    let added = add(&alice, "LAMP", 2).await;
    assert_eq!(added.status, 201, "{added}");
    assert_eq!(added.header("location"), Some("/v1/cart/items/LAMP"));
    assert_eq!(added.header("etag"), Some("\"1\""));
    assert_eq!((added.at("/quantity"), added.at("/name")), (&json!(2), &json!("Desk lamp")));
    assert_eq!(add(&alice, "LAMP", 3).await.at("/quantity"), 5);
    assert_eq!(items(&alice).await, [("LAMP".to_owned(), 5)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_with_its_key_adds_once() {
    let shop = Shop::open().await;
    let alice = shop.bed.customer();
    let body = json!({"sku": "LAMP", "quantity": 2});
    let first = alice.post("/v1/cart/items", &body).key("k1").send().await;
    let again = alice.post("/v1/cart/items", &body).key("k1").send().await;
    assert_eq!((again.status, &again.json), (201, &first.json));
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(items(&alice).await, [("LAMP".to_owned(), 2)]);
    let other = alice.post("/v1/cart/items", &json!({"sku": "PEN", "quantity": 2})).key("k1").send().await;
    other.problem("idempotency_key_reused", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn prices_are_in_the_currency_asked_for() {
    let shop = Shop::open().await;
    let alice = shop.bed.customer();
    let body = json!({"sku": "LAMP", "quantity": 2});
    let added = alice.post("/v1/cart/items?currency=USD", &body).key("k1").send().await;
    assert_eq!((added.status, added.at("/net")), (201, &json!({"amount": 9980, "currency": "USD"})), "{added}");
    let set = alice.patch("/v1/cart/items/LAMP?currency=USD", &json!({"quantity": 1})).send().await;
    assert_eq!((set.status, set.at("/unit_price/currency")), (200, &json!("USD")), "{set}");
    let cart = alice.get("/v1/cart?currency=USD").send().await;
    assert_eq!(cart.at("/subtotal"), &json!({"amount": 4990, "currency": "USD"}));
    assert_eq!(alice.get("/v1/cart").send().await.at("/currency"), "EUR", "the cart itself has no currency");

    let other = alice.post("/v1/cart/items?currency=EUR", &body).key("k1").send().await;
    other.problem("idempotency_key_reused", "");
    let yen = alice.post("/v1/cart/items?currency=JPY", &body).send().await;
    yen.problem("invalid_request", "/sku");
    assert_eq!(yen.at("/errors/0/detail"), "`LAMP` is not for sale in JPY");
    let set = alice.patch("/v1/cart/items/LAMP?currency=JPY", &json!({"quantity": 3})).send().await;
    assert_eq!((set.status, set.at("/quantity"), set.at("/available")), (200, &json!(3), &json!(0)), "{set}");
    assert_eq!(set.at("/unit_price"), &Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_in_parallel_lose_nothing() {
    let shop = Shop::open().await;
    let alice = shop.bed.customer();
    let skus = ["LAMP", "BOOK", "PEN"];
    let answers = join_all((0..30).map(|n| add(&alice, skus[n % 3], 1))).await;
    assert!(
        answers.iter().all(|answer| answer.status == 201),
        "{:?}",
        answers.iter().map(|a| a.status).collect::<Vec<_>>()
    );
    let mut found = items(&alice).await;
    found.sort();
    assert_eq!(found, [("BOOK".to_owned(), 10), ("LAMP".to_owned(), 10), ("PEN".to_owned(), 10)]);
    assert_eq!(alice.get("/v1/cart").send().await.header("etag"), Some("\"30\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn setting_and_removing() {
    let shop = Shop::open().await;
    let (alice, bob) = (shop.bed.customer(), shop.bed.customer());
    add(&alice, "LAMP", 2).await;
    add(&alice, "PEN", 1).await;
    let set = alice.patch("/v1/cart/items/LAMP", &json!({"quantity": 7})).send().await;
    assert_eq!((set.status, set.at("/quantity"), set.at("/available")), (200, &json!(7), &json!(10)), "{set}");
    assert_eq!(set.header("etag"), Some("\"3\""));
    assert_eq!(alice.delete("/v1/cart/items/PEN").send().await.status, 204);
    assert_eq!(items(&alice).await, [("LAMP".to_owned(), 7)]);
    alice.delete("/v1/cart/items/PEN").send().await.problem("not_found", "");
    alice.patch("/v1/cart/items/PEN", &json!({"quantity": 1})).send().await.problem("not_found", "");
    bob.patch("/v1/cart/items/LAMP", &json!({"quantity": 1})).send().await.problem("not_found", "");
    bob.delete("/v1/cart/items/LAMP").send().await.problem("not_found", "");
    let cart = alice.get("/v1/cart").send().await;
    assert_eq!(cart.header("etag"), Some("\"4\""), "what was refused is no edit");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_of_a_cart_that_changed_is_refused() {
    let shop = Shop::open().await;
    let alice = shop.bed.customer();
    add(&alice, "LAMP", 1).await;
    let seven = json!({"quantity": 7});
    let set = |tag| alice.patch("/v1/cart/items/LAMP", &seven).header("If-Match", tag);
    set("\"0\"").send().await.problem("precondition_failed", "");
    assert_eq!(items(&alice).await, [("LAMP".to_owned(), 1)]);
    assert_eq!(set("\"1\"").send().await.status, 200);
    set("\"1\"").send().await.problem("precondition_failed", "");
    assert_eq!(set("*").send().await.status, 200);
    alice.delete("/v1/cart/items/LAMP").header("If-Match", "\"1\"").send().await.problem("precondition_failed", "");
    assert_eq!(items(&alice).await, [("LAMP".to_owned(), 7)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cart_is_bounded() {
    let shop = Shop::open().await;
    let alice = shop.bed.customer();
    add(&alice, "PEN", 100_000).await;
    add(&alice, "PEN", 1).await.problem("invalid_request", "/quantity");
    assert_eq!(items(&alice).await, [("PEN".to_owned(), 100_000)]);
    let fill =
        "insert into cart_item (cart_id, sku, quantity) select id, 'S' || n, 1 from cart, generate_series(1, 99) as n";
    shop.sql(fill).await;
    add(&alice, "LAMP", 1).await.problem("invalid_request", "/sku");
    assert_eq!(items(&alice).await.len(), 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_pointed_at() {
    let shop = Shop::open().await;
    let alice = shop.bed.customer();
    add(&alice, "NOSUCH", 1).await.problem("invalid_request", "/sku");
    let pen = json!({"sku": "PEN", "quantity": 1});
    alice.post("/v1/cart/items?currency=EURO", &pen).send().await.problem("malformed_request", "?currency");
    alice.patch("/v1/cart/items/PEN?currency=EURO", &pen).send().await.problem("malformed_request", "?currency");
    for (body, pointer) in [
        (json!({"sku": "LAMP", "quantity": 0}), "/quantity"),
        (json!({"sku": "LAMP", "quantity": -3}), "/quantity"),
        (json!({"sku": "LAMP", "quantity": "1"}), "/quantity"),
        (json!({"sku": "LAMP"}), "/quantity"),
        (json!({"quantity": 1}), "/sku"),
        (json!({"sku": "", "quantity": 1}), "/sku"),
        (json!({"sku": "LAMP", "quantity": 1, "price": 0}), "/price"),
    ] {
        alice.post("/v1/cart/items", &body).send().await.problem("invalid_request", pointer);
    }
    let patch = async |body: Value| alice.patch("/v1/cart/items/LAMP", &body).send().await;
    patch(json!({"quantity": 0})).await.problem("invalid_request", "/quantity");
    patch(json!({})).await.problem("invalid_request", "/quantity");
    patch(json!({"quantity": 1, "sku": "PEN"})).await.problem("invalid_request", "/sku");
    alice.request("POST", "/v1/cart/items").send().await.problem("malformed_request", "");
    alice.delete("/v1/cart/items/no%20such").send().await.problem("not_found", "");
    let nobody = shop.bed.nobody();
    add(&nobody, "LAMP", 1).await.problem("unauthenticated", "");
    nobody.delete("/v1/cart/items/LAMP").send().await.problem("unauthenticated", "");
    assert_eq!(items(&alice).await, []);
    assert_eq!(shop.count("cart").await, 0, "nothing was written");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_added_unseen() {
    let shop = Shop::without_catalog_and_shipping().await;
    let alice = shop.bed.customer();
    add(&alice, "LAMP", 1).await.problem("unavailable", "");
    assert_eq!(shop.count("cart").await, 0);
}
