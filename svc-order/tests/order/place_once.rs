//! `place_order`: once per key, whatever happens.

use diesel_async::SimpleAsyncConnection;
use futures_util::future::join_all;
use nats::contracts::order::OrderPlaced;
use serde_json::json;

use crate::shop::{Shop, one_lamp, with};

/// Waits until all stock is given back that no order has.
async fn assert_others_released(shop: &Shop, orders: usize) {
    let look = async || {
        let (reserved, released) = (&shop.catalog.reserved, &shop.catalog.released);
        (reserved.lock().unwrap().len() == released.lock().unwrap().len() + orders).then_some(())
    };
    shop.bed.wait_for("the stock of the others to be given back", look).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_requests_at_once_make_one_order() {
    let shop = Shop::open().await;
    let second = shop.bed.run(svc_order::service()).await;
    let alice = shop.bed.customer();
    let order = one_lamp();
    let answers = join_all((0..50).map(|_| alice.post("/v1/orders", &order).key("k1").send())).await;
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
    assert_others_released(&shop, 1).await;
    shop.bed.event::<OrderPlaced>(|_| true).await;
    assert_eq!(shop.count("event_log").await, 1);
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_different_requests_with_one_key_one_is_placed() {
    let shop = Shop::open().await;
    let second = shop.bed.run(svc_order::service()).await;
    let orders = [one_lamp(), with(json!({"lines": [{"sku": "PEN", "quantity": 3}]}))];
    for round in 1..=5 {
        let alice = shop.bed.customer();
        let send = |n: usize| alice.post("/v1/orders", &orders[n % 2]).key("k1").send();
        let answers = join_all((0..16).map(send)).await;
        let won = answers.iter().position(|answer| answer.status == 201).unwrap() % 2;
        for (n, answer) in answers.iter().enumerate() {
            match answer.status {
                201 => assert_eq!(n % 2, won, "only one of the two is ever placed"),
                409 => answer.problem("idempotency_key_in_flight", ""),
                422 => answer.problem("idempotency_key_reused", ""),
                _ => panic!("expected 201, 409 or 422, got {answer}"),
            }
        }
        assert_eq!(shop.count("orders").await, round);
        send(won + 1).await.problem("idempotency_key_reused", "");
    }
    assert_others_released(&shop, 5).await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_refused_for_good_is_not_ordered_by_an_earlier_try_that_still_runs() {
    let shop = Shop::open().await;
    let second = shop.bed.run(svc_order::service()).await;
    let alice = shop.bed.customer();
    alice.post("/v1/cart/items", &json!({"sku": "BOOK", "quantity": 1})).send().await;
    let order = with(json!({"lines": null}));
    // The first try has its goods, and waits for its cart.
    let mut sql = shop.bed.sql("order").await;
    sql.batch_execute("begin; select 1 from cart for update").await.unwrap();
    let earlier = async {
        let earlier = alice.post("/v1/orders", &order).key("k1").send().await;
        earlier.problem("idempotency_key_in_flight", "");
    };
    let meanwhile = async {
        let reserved = async || (!shop.catalog.reserved.lock().unwrap().is_empty()).then_some(());
        shop.bed.wait_for("the first try to reserve", reserved).await;
        *shop.catalog.sold_out.lock().unwrap() = true;
        let elsewhere = async || {
            let answer = alice.post("/v1/orders", &order).key("k1").send().await;
            (answer.text("/code") != "idempotency_key_in_flight").then_some(answer)
        };
        let refused = shop.bed.wait_for("an answer of the other instance", elsewhere).await;
        refused.problem("out_of_stock", "/lines/0");
        sql.batch_execute("commit").await.unwrap();
    };
    tokio::join!(earlier, meanwhile);
    assert_eq!(shop.count("orders").await, 0, "whoever was told that nothing was ordered has no order");
    assert_others_released(&shop, 0).await;

    *shop.catalog.sold_out.lock().unwrap() = false;
    let later = alice.post("/v1/orders", &order).key("k1").send().await;
    assert_eq!(later.status, 201, "what was sold out may be there again: {later}");
    assert_eq!(shop.count("orders").await, 1);
    second.stop().await;
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
        match refused.status {
            // The cart was there when it was read, or it was empty already.
            409 => refused.problem("conflict", ""),
            _ => refused.problem("invalid_request", "/lines"),
        }
    }
    assert_eq!(shop.count("orders").await, 1);
    assert_others_released(&shop, 1).await;
}
