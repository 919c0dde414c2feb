//! `place_order`: once per key, whatever happens.

use futures_util::future::join_all;
use nats::contracts::order::OrderPlaced;
use serde_json::json;

use crate::shop::{Shop, one_lamp, with};

#[tokio::test(flavor = "multi_thread")]
async fn twenty_requests_at_once_make_one_order() {
    let shop = Shop::open().await;
    let alice = shop.bed.customer();
    let order = one_lamp();
    let answers = join_all((0..20).map(|_| alice.post("/v1/orders", &order).key("k1").send())).await;
    let mut placed = Vec::new();
    for answer in &answers {
        match answer.status {
            201 => placed.push(answer),
            409 => answer.problem("idempotency_key_in_flight", ""),
            _ => panic!("expected 201 or 409, got {answer}"),
        }
    }
    assert_eq!(placed.iter().filter(|answer| answer.header("idempotency-replayed").is_none()).count(), 1);
    assert!(placed.iter().all(|answer| answer.json == placed[0].json), "every replay is the first answer");
    assert_eq!(shop.count("orders").await, 1);
    assert_eq!(shop.catalog.reserved.lock().unwrap().len(), 1, "the stock is reserved once");
    shop.bed.event::<OrderPlaced>(|_| true).await;
    assert_eq!(shop.count("event_log").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_gets_the_first_answer() {
    let shop = Shop::open().await;
    let alice = shop.bed.customer();
    let first = alice.post("/v1/orders", &one_lamp()).key("k1").send().await;
    let id = first.text("/id");
    assert_eq!(alice.post(&format!("/v1/orders/{id}/cancel"), &json!({})).send().await.status, 200);
    let shop = shop.restarted(async |_| {}).await;
    let again = alice.post("/v1/orders", &one_lamp()).key("\"k1\"").send().await;
    assert_eq!((again.status, &again.json), (201, &first.json), "also after a restart, and although the order moved");
    assert_eq!(again.header("location"), first.header("location"));
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(shop.count("orders").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_belongs_to_one_body_and_one_caller() {
    let shop = Shop::open().await;
    let (alice, bob) = (shop.bed.customer(), shop.bed.customer());
    let first = alice.post("/v1/orders", &one_lamp()).key("k1").send().await;
    assert_eq!(first.status, 201, "{first}");
    let other = with(json!({"lines": [{"sku": "LAMP", "quantity": 2}]}));
    let reused = alice.post("/v1/orders", &other).key("k1").send().await;
    reused.problem("idempotency_key_reused", "");
    assert_eq!(reused.status, 422);
    let bobs = bob.post("/v1/orders", &one_lamp()).key("k1").send().await;
    assert_eq!(bobs.status, 201, "{bobs}");
    assert_ne!(bobs.at("/id"), first.at("/id"));
    assert_eq!(shop.count("orders").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_required() {
    let shop = Shop::open().await;
    let alice = shop.bed.customer();
    let without = alice.post("/v1/orders", &one_lamp()).send().await;
    without.problem("idempotency_key_missing", "");
    assert_eq!(without.status, 400);
    alice
        .post("/v1/orders", &one_lamp())
        .key(&"k".repeat(256))
        .send()
        .await
        .problem("malformed_request", "?Idempotency-Key");
    shop.assert_nothing_written().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cart_is_ordered_once() {
    let shop = Shop::open().await;
    let alice = shop.bed.customer();
    alice.post("/v1/cart/items", &json!({"sku": "BOOK", "quantity": 1})).send().await;
    let order = with(json!({"lines": null}));
    let keys: Vec<String> = (0..5).map(|n| format!("k{n}")).collect();
    let answers = join_all(keys.iter().map(|key| alice.post("/v1/orders", &order).key(key).send())).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1, "five keys, one cart, one order");
    for refused in answers.iter().filter(|answer| answer.status != 201) {
        refused.problem("invalid_request", "/lines");
    }
    assert_eq!(shop.count("orders").await, 1);
}
