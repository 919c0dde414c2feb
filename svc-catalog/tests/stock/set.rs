use nats::types::OrderId;
use serde_json::json;

use crate::shop::Shop;

#[tokio::test(flavor = "multi_thread")]
async fn a_level_is_set_and_the_ledger_gets_the_difference() {
    let shop = Shop::open().await;
    shop.stocked("A", 10).await;
    let answer = shop.staff.put("/v1/stock/A", &json!({"on_hand": 4, "reorder_point": 3})).send().await;
    assert_eq!(answer.json, json!({"sku": "A", "on_hand": 4, "reserved": 0, "available": 4, "reorder_point": 3}));
    let ledger = shop.staff.get("/v1/stock/A/movements").send().await;
    let quantities: Vec<_> =
        ledger.at("/data").as_array().unwrap().iter().map(|one| one["quantity"].as_i64().unwrap()).collect();
    assert_eq!(quantities, [-6, 10], "newest first");
    assert_eq!(ledger.at("/data/0/actor"), &json!(shop.staff.user_id()));
    let same = shop.staff.put("/v1/stock/A", &json!({"on_hand": 4})).send().await;
    assert_eq!(same.at("/reorder_point"), 3, "what is not sent stays: {same}");
    assert_eq!(shop.number("select count(*) as number from movement").await, 2, "no change, no movement");
    shop.balances().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_level_below_what_is_reserved_is_refused() {
    let shop = Shop::open().await;
    shop.stocked("A", 10).await;
    shop.reserve(OrderId::new(), &[("A", 6)]).await.unwrap();
    shop.staff.put("/v1/stock/A", &json!({"on_hand": 5})).send().await.problem("conflict", "/on_hand");
    assert_eq!(shop.level("A").await, (10, 6, 4));
    shop.set("A", 6).await;
    assert_eq!(shop.level("A").await, (6, 6, 0));
    shop.balances().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn anyone_sees_the_level_and_only_staff_when_to_buy() {
    let shop = Shop::open().await;
    shop.stocked("A.b_c-1", 2).await;
    let answer = shop.nobody.get("/v1/stock/A.b_c-1").send().await;
    assert_eq!(answer.json, json!({"sku": "A.b_c-1", "on_hand": 2, "reserved": 0, "available": 2}));
    assert_eq!(shop.staff.get("/v1/stock/A.b_c-1").send().await.at("/reorder_point"), 0);
    shop.nobody.get("/v1/stock/none").send().await.problem("not_found", "");
    shop.nobody.get("/v1/stock/no%20sku").send().await.problem("not_found", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_pointed_at_and_nothing_moves() {
    let shop = Shop::open().await;
    shop.stocked("A", 10).await;
    for (body, pointer) in [
        (json!({}), "/on_hand"),
        (json!({"on_hand": -1}), "/on_hand"),
        (json!({"on_hand": 1_000_000_001}), "/on_hand"),
        (json!({"on_hand": 99_999_999_999_i64}), "/on_hand"),
        (json!({"on_hand": "4"}), "/on_hand"),
        (json!({"on_hand": 4.5}), "/on_hand"),
        (json!({"on_hand": 4, "reorder_point": -1}), "/reorder_point"),
        (json!({"on_hand": 4, "reserved": 1}), "/reserved"),
    ] {
        shop.staff.put("/v1/stock/A", &body).send().await.problem("invalid_request", pointer);
    }
    let body = json!({"on_hand": 4});
    shop.staff.put("/v1/stock/none", &body).send().await.problem("not_found", "");
    shop.nobody.put("/v1/stock/A", &body).send().await.problem("unauthenticated", "");
    shop.bed.customer().put("/v1/stock/A", &body).send().await.problem("forbidden", "");
    assert_eq!(shop.level("A").await, (10, 0, 10));
}
