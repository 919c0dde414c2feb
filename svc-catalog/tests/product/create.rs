use nats::contracts::catalog::ProductCreated;
use serde_json::{Value, json};

use crate::shop::{Shop, variant};

#[tokio::test(flavor = "multi_thread")]
async fn a_product_is_created_with_variants_prices_and_no_stock() {
    let shop = Shop::open().await;
    let category =
        shop.staff.post("/v1/categories", &json!({"slug": "lamps", "name": "Lamps"})).send().await.text("/id");
    let body = json!({
        "name": "Desk Lamp", "description": "Two arms.", "category_id": category,
        "variants": [
            {"sku": "LMP-2", "name": "Brass", "price": {"amount": 4990, "currency": "EUR"}, "tax_category": "S", "weight_g": 1200,
             "hs_code": "940521", "country_of_origin": "PT", "options": {"finish": "Brass"}},
            {"sku": "LMP-1", "prices": [{"amount": 3990, "currency": "EUR"}, {"amount": 600000, "currency": "JPY"}]},
        ],
    });
    let created = shop.staff.post("/v1/products", &body).send().await;
    assert_eq!(created.status, 201, "{created}");
    let id = created.text("/id");
    assert_eq!(created.header("location"), Some(format!("/v1/products/{id}").as_str()));
    assert_eq!(created.at("/category_id"), &json!(category));
    assert_eq!(created.at("/price_from"), &json!({"amount": 3990, "currency": "EUR"}));
    assert_eq!(created.at("/variants/0/sku"), "LMP-2", "variants keep the order in which they were sent");
    assert_eq!(created.at("/variants/0/options"), &json!({"finish": "Brass"}));
    assert_eq!(created.at("/variants/0/hs_code"), "940521");
    assert_eq!(created.at("/variants/1/tax_category"), "S");
    assert_eq!(created.at("/variants/1/prices/1"), &json!({"amount": 600_000, "currency": "JPY"}));
    assert_eq!(created.at("/variants/1/available"), 0);
    assert_eq!(shop.level("LMP-1").await, (0, 0, 0));
    shop.bed.event::<ProductCreated>(|event| event.product_id.to_string() == id).await;
    assert_eq!(shop.nobody.get(&format!("/v1/products/{id}")).send().await.json, created.json);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_with_the_same_key_creates_nothing() {
    let shop = Shop::open().await;
    let body = json!({"name": "Lamp", "variants": [variant("LMP")]});
    let first = shop.staff.post("/v1/products", &body).key("k").send().await;
    let second = shop.staff.post("/v1/products", &body).key("\"k\"").send().await;
    assert_eq!((first.status, second.status, &second.json), (201, 201, &first.json));
    let other = json!({"name": "Lamp", "variants": [variant("LMP-2")]});
    shop.staff.post("/v1/products", &other).key("k").send().await.problem("idempotency_key_reused", "");
    assert_eq!(
        shop.bed.staff().post("/v1/products", &other).key("k").send().await.status,
        201,
        "keys are the caller's own"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_repeats_one_after_the_other_never_meets_themselves() {
    let shop = Shop::open().await;
    let body = json!({"name": "Lamp", "variants": [variant("LMP")]});
    let taken = json!({"name": "Other", "variants": [variant("LMP")]});
    for _ in 0..50 {
        let replayed = shop.staff.post("/v1/products", &body).key("k").send().await;
        assert_eq!(replayed.status, 201, "the transaction of the answer before is over: {replayed}");
        shop.staff.post("/v1/products", &taken).key("another").send().await.problem("conflict", "/variants/0/sku");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sku_is_taken_once() {
    let shop = Shop::open().await;
    shop.product(&["A", "B"]).await;
    let body = json!({"name": "Other", "variants": [variant("C"), variant("B")]});
    shop.staff.post("/v1/products", &body).send().await.problem("conflict", "/variants/1/sku");
    shop.nobody.get("/v1/stock/C").send().await.problem("not_found", "");
    let body = json!({"name": "Other", "variants": [variant("D"), variant("D")]});
    shop.staff.post("/v1/products", &body).send().await.problem("invalid_request", "/variants/1/sku");
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_of_the_same_skus_in_any_order_do_not_wait_for_each_other_forever() {
    let shop = Shop::open().await;
    let mut skus: Vec<String> = (0..8).map(|index| format!("S{index}")).collect();
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..12 {
        skus.rotate_left(3);
        let variants: Vec<Value> = skus.iter().map(|sku| variant(sku)).collect();
        let staff = shop.staff.clone();
        writers
            .spawn(async move { staff.post("/v1/products", &json!({"name": "L", "variants": variants})).send().await });
    }
    let mut statuses: Vec<u16> = writers.join_all().await.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses[0], 201);
    assert!(statuses[1..].iter().all(|status| *status == 409), "one wins, all others hear of it: {statuses:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_pointed_at_and_nothing_is_written() {
    let shop = Shop::open().await;
    let with = |variant: Value| json!({"name": "Lamp", "variants": [variant]});
    let price =
        |amount: Value, currency: &str| with(json!({"sku": "A", "price": {"amount": amount, "currency": currency}}));
    let mut many = variant("A");
    many["options"] = (0..11).map(|index| (format!("o{index}"), json!("x"))).collect();
    for (body, pointer) in [
        (json!({"variants": [variant("A")]}), "/name"),
        (json!({"name": "", "variants": [variant("A")]}), "/name"),
        (json!({"name": "Lamp"}), "/variants"),
        (json!({"name": "Lamp", "variants": []}), "/variants"),
        (json!({"name": "Lamp", "variants": {}}), "/variants"),
        (
            json!({"name": "Lamp", "variants": (0..101).map(|index| variant(&format!("A{index}"))).collect::<Vec<_>>()}),
            "/variants",
        ),
        (json!({"name": "Lamp", "variants": [variant("A")], "price": 3}), "/price"),
        (
            json!({"name": "Lamp", "variants": [variant("A")], "category_id": "cat_01h455vb4pex5vsknk084sn02q"}),
            "/category_id",
        ),
        (
            json!({"name": "Lamp", "variants": [variant("A")], "category_id": "prd_01h455vb4pex5vsknk084sn02q"}),
            "/category_id",
        ),
        (with(json!({"sku": "A"})), "/variants/0/price"),
        (with(json!({"sku": "A B", "price": {"amount": 1, "currency": "EUR"}})), "/variants/0/sku"),
        (price(json!(-1), "EUR"), "/variants/0/price/amount"),
        (price(json!(1.5), "EUR"), "/variants/0/price/amount"),
        (price(json!(1_000_000_000_001_i64), "EUR"), "/variants/0/price/amount"),
        (price(json!(1), "EURO"), "/variants/0/price/currency"),
        (price(json!(1), "XXX"), "/variants/0/price/currency"),
        (
            with(
                json!({"sku": "A", "price": {"amount": 1, "currency": "EUR"}, "prices": [{"amount": 2, "currency": "EUR"}]}),
            ),
            "/variants/0/prices/0/currency",
        ),
        (with(json!({"sku": "A", "price": {"amount": 1, "currency": "EUR"}, "weight_g": -1})), "/variants/0/weight_g"),
        (
            with(json!({"sku": "A", "price": {"amount": 1, "currency": "EUR"}, "tax_category": "X"})),
            "/variants/0/tax_category",
        ),
        (with(json!({"sku": "A", "price": {"amount": 1, "currency": "EUR"}, "hs_code": "12"})), "/variants/0/hs_code"),
        (
            with(json!({"sku": "A", "price": {"amount": 1, "currency": "EUR"}, "country_of_origin": "XX"})),
            "/variants/0/country_of_origin",
        ),
        (with(many), "/variants/0/options"),
    ] {
        shop.staff.post("/v1/products", &body).send().await.problem("invalid_request", pointer);
    }
    shop.staff
        .post("/v1/products", &"")
        .raw("{\"name\":", "application/json")
        .send()
        .await
        .problem("malformed_request", "");
    shop.staff.request("POST", "/v1/products").send().await.problem("malformed_request", "");
    let body = json!({"name": "Lamp", "variants": [variant("A")]});
    shop.nobody.post("/v1/products", &body).send().await.problem("unauthenticated", "");
    shop.bed.customer().post("/v1/products", &body).send().await.problem("forbidden", "");
    assert_eq!(shop.number("select count(*) as number from product").await, 0);
    shop.bed.no_event::<ProductCreated>(|_| true).await;
}
