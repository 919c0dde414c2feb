use nats::contracts::catalog::ProductUpdated;
use serde_json::json;

use crate::shop::{Shop, variant};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_changes_and_everything_else_stays() {
    let shop = Shop::open().await;
    let id = shop.product(&["A", "B"]).await;
    let path = format!("/v1/products/{id}");
    let before = shop.nobody.get(&path).send().await;
    let body = json!({
        "name": "Better Lamp",
        "variants": [
            {"sku": "B", "price": {"amount": 900, "currency": "EUR"}, "hs_code": "940521"},
            {"sku": "C", "price": {"amount": 1500, "currency": "EUR"}},
            {"sku": "A", "prices": [{"amount": 1100, "currency": "USD"}]},
        ],
    });
    let after = shop.staff.patch(&path, &body).send().await;
    assert_eq!(after.status, 200, "{after}");
    assert_eq!((after.text("/name").as_str(), after.at("/version")), ("Better Lamp", &json!(2)));
    assert_eq!(after.at("/description"), before.at("/description"));
    assert_eq!(after.at("/price_from/amount"), 900);
    let skus: Vec<_> =
        after.at("/variants").as_array().unwrap().iter().map(|one| one["sku"].as_str().unwrap()).collect();
    assert_eq!(skus, ["A", "B", "C"]);
    assert_eq!(after.at("/variants/0/prices").as_array().unwrap().len(), 2, "the price in euros stays: {after}");
    assert_eq!(after.at("/variants/1/id"), before.at("/variants/1/id"));
    assert_eq!(after.at("/variants/1/weight_g"), 500);
    assert_eq!(shop.level("C").await, (0, 0, 0));
    shop.bed.event::<ProductUpdated>(|event| event.product_id.to_string() == id).await;
    let cleared = shop.staff.patch(&path, &json!({"variants": [{"sku": "B", "hs_code": null}]})).send().await;
    assert!(cleared.at("/variants/1/hs_code").is_null(), "{cleared}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_category_is_set_and_taken_away() {
    let shop = Shop::open().await;
    let path = format!("/v1/products/{}", shop.product(&["A"]).await);
    let category =
        shop.staff.post("/v1/categories", &json!({"slug": "lamps", "name": "Lamps"})).send().await.text("/id");
    let set = shop.staff.patch(&path, &json!({"category_id": category})).send().await;
    assert_eq!(set.at("/category_id"), &json!(category));
    let kept = shop.staff.patch(&path, &json!({"name": "Lamp"})).send().await;
    assert_eq!(kept.at("/category_id"), &json!(category));
    let gone = shop.staff.patch(&path, &json!({"category_id": null})).send().await;
    assert!(gone.at("/category_id").is_null(), "{gone}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_of_what_changed_meanwhile_is_refused() {
    let shop = Shop::open().await;
    let path = format!("/v1/products/{}", shop.product(&["A"]).await);
    let etag = shop.nobody.get(&path).send().await.header("etag").unwrap().to_owned();
    shop.set("A", 5).await;
    let first = shop.staff.patch(&path, &json!({"name": "One"})).header("If-Match", &etag).send().await;
    assert_eq!(first.status, 200, "a sale is no edit: {first}");
    let second = shop.staff.patch(&path, &json!({"name": "Two"})).header("If-Match", &etag).send().await;
    second.problem("precondition_failed", "");
    let next = first.header("etag").unwrap();
    assert_eq!(shop.staff.patch(&path, &json!({"name": "Two"})).header("If-Match", next).send().await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_edits_of_the_same_version_one_wins() {
    let shop = Shop::open().await;
    let path = format!("/v1/products/{}", shop.product(&["A"]).await);
    let etag = shop.nobody.get(&path).send().await.header("etag").unwrap().to_owned();
    let mut edits = tokio::task::JoinSet::new();
    for index in 0..8 {
        let (staff, path, etag) = (shop.staff.clone(), path.clone(), etag.clone());
        edits.spawn(async move {
            staff.patch(&path, &json!({"name": format!("Lamp {index}")})).header("If-Match", &etag).send().await.status
        });
    }
    let mut statuses = edits.join_all().await;
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412, 412, 412, 412, 412, 412, 412]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_pointed_at_and_nothing_changes() {
    let shop = Shop::open().await;
    let path = format!("/v1/products/{}", shop.product(&["A"]).await);
    shop.product(&["B"]).await;
    let before = shop.nobody.get(&path).send().await;
    let taken = json!({"name": "New", "variants": [variant("C"), variant("B")]});
    shop.staff.patch(&path, &taken).send().await.problem("conflict", "/variants/1/sku");
    for (body, pointer) in [
        (json!({"name": ""}), "/name"),
        (json!({"variants": [{"sku": "C"}]}), "/variants/0/price"),
        (json!({"variants": [{"price": {"amount": 1, "currency": "EUR"}}]}), "/variants/0/sku"),
        (json!({"variants": [{"sku": "A", "price": {"amount": -5, "currency": "EUR"}}]}), "/variants/0/price/amount"),
        (json!({"category_id": "cat_01h455vb4pex5vsknk084sn02q"}), "/category_id"),
        (json!({"version": 7}), "/version"),
    ] {
        shop.staff.patch(&path, &body).send().await.problem("invalid_request", pointer);
    }
    shop.bed.customer().patch(&path, &json!({"name": "Mine"})).send().await.problem("forbidden", "");
    let unknown = "/v1/products/prd_01h455vb4pex5vsknk084sn02q";
    shop.staff.patch(unknown, &json!({"name": "New"})).send().await.problem("not_found", "");
    assert_eq!(shop.nobody.get(&path).send().await.json, before.json);
    shop.bed.no_event::<ProductUpdated>(|_| true).await;
}
