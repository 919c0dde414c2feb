use nats::types::OrderId;
use serde_json::json;

use crate::shop::Shop;

const PATH: &str = "/v1/stock/A/movements";

#[tokio::test(flavor = "multi_thread")]
async fn receipts_and_adjustments_move_stock_once_per_key() {
    let shop = Shop::open().await;
    shop.product(&["A"]).await;
    let receipt = json!({"kind": "receipt", "quantity": 12, "reason": "Delivery 4711"});
    let first = shop.staff.post(PATH, &receipt).key("k1").send().await;
    assert_eq!((first.status, first.header("location")), (201, Some(PATH)), "{first}");
    assert_eq!((first.text("/kind").as_str(), first.at("/quantity")), ("receipt", &json!(12)));
    let again = shop.staff.post(PATH, &receipt).key("k1").send().await;
    assert_eq!((again.status, &again.json), (201, &first.json));
    let adjustment = json!({"kind": "adjustment", "quantity": -2, "reason": "Broken"});
    assert_eq!(shop.staff.post(PATH, &adjustment).key("k2").send().await.status, 201);
    assert_eq!(shop.level("A").await, (10, 0, 10));
    shop.staff.post(PATH, &adjustment).key("k1").send().await.problem("idempotency_key_reused", "");
    shop.product(&["B"]).await;
    shop.staff.post("/v1/stock/B/movements", &receipt).key("k1").send().await.problem("idempotency_key_reused", "");
    shop.balances().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_at_once_moves_stock_once() {
    let shop = Shop::open().await;
    shop.product(&["A"]).await;
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let staff = shop.staff.clone();
        requests.spawn(async move {
            let receipt = json!({"kind": "receipt", "quantity": 5});
            staff.post(PATH, &receipt).key("k").send().await
        });
    }
    for answer in requests.join_all().await {
        match answer.status {
            201 => {}
            _ => answer.problem("idempotency_key_in_flight", ""),
        }
    }
    assert_eq!(shop.level("A").await, (5, 0, 5));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_reserved_cannot_be_adjusted_away() {
    let shop = Shop::open().await;
    shop.stocked("A", 10).await;
    shop.reserve(OrderId::new(), &[("A", 6)]).await.unwrap();
    let adjustment = json!({"kind": "adjustment", "quantity": -5});
    shop.staff.post(PATH, &adjustment).key("k").send().await.problem("conflict", "/quantity");
    let adjustment = json!({"kind": "adjustment", "quantity": -4});
    assert_eq!(
        shop.staff.post(PATH, &adjustment).key("k").send().await.status,
        201,
        "a refusal does not use up the key"
    );
    assert_eq!(shop.level("A").await, (6, 6, 0));
    let receipt = json!({"kind": "receipt", "quantity": 1_000_000_000});
    shop.staff.post(PATH, &receipt).key("k3").send().await.problem("conflict", "/quantity");
    shop.balances().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_pointed_at_and_nothing_moves() {
    let shop = Shop::open().await;
    shop.stocked("A", 10).await;
    for (body, pointer) in [
        (json!({"kind": "receipt", "quantity": 0}), "/quantity"),
        (json!({"kind": "receipt", "quantity": -1}), "/quantity"),
        (json!({"kind": "adjustment", "quantity": 0}), "/quantity"),
        (json!({"kind": "adjustment", "quantity": 1_000_000_001}), "/quantity"),
        (json!({"kind": "adjustment", "quantity": i32::MIN}), "/quantity"),
        (json!({"kind": "sale", "quantity": 1}), "/kind"),
        (json!({"quantity": 1}), "/kind"),
        (json!({"kind": "receipt", "quantity": 1, "reason": ""}), "/reason"),
        (json!({"kind": "receipt", "quantity": 1, "sku": "B"}), "/sku"),
    ] {
        shop.staff.post(PATH, &body).key("k").send().await.problem("invalid_request", pointer);
    }
    let receipt = json!({"kind": "receipt", "quantity": 1});
    shop.staff.post(PATH, &receipt).send().await.problem("idempotency_key_missing", "");
    shop.staff.post("/v1/stock/none/movements", &receipt).key("k").send().await.problem("not_found", "");
    shop.nobody.post(PATH, &receipt).key("k").send().await.problem("unauthenticated", "");
    shop.bed.customer().post(PATH, &receipt).key("k").send().await.problem("forbidden", "");
    assert_eq!(shop.level("A").await, (10, 0, 10));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_is_listed_newest_first_in_pages() {
    let shop = Shop::open().await;
    shop.product(&["A"]).await;
    for quantity in 1..=5 {
        let receipt = json!({"kind": "receipt", "quantity": quantity});
        assert_eq!(shop.staff.post(PATH, &receipt).key(&format!("k{quantity}")).send().await.status, 201);
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = shop.staff.get(&format!("{PATH}?limit=2{cursor}")).send().await;
        seen.extend(page.at("/data").as_array().unwrap().iter().map(|one| one["quantity"].as_i64().unwrap()));
        match page.at("/next_cursor").as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, [5, 4, 3, 2, 1]);
    shop.nobody.get(PATH).send().await.problem("unauthenticated", "");
    shop.bed.customer().get(PATH).send().await.problem("forbidden", "");
    shop.staff.get("/v1/stock/none/movements").send().await.problem("not_found", "");
    shop.staff.get(&format!("{PATH}?cursor=IngiCg")).send().await.problem("malformed_request", "?cursor");
}
