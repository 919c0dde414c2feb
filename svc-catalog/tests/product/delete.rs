use nats::{
    contracts::catalog::{ProductDeleted, ReserveRefusal},
    types::OrderId,
};
use serde_json::json;

use crate::shop::{Shop, refusal, variant};

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_product_is_gone_and_cannot_be_ordered() {
    let shop = Shop::open().await;
    let id = shop.product(&["A"]).await;
    shop.set("A", 5).await;
    let path = format!("/v1/products/{id}");
    assert_eq!(shop.staff.delete(&path).send().await.status, 204);
    shop.bed.event::<ProductDeleted>(|event| event.product_id.to_string() == id).await;
    shop.nobody.get(&path).send().await.problem("not_found", "");
    shop.staff.patch(&path, &json!({"name": "Lamp"})).send().await.problem("not_found", "");
    shop.staff.delete(&path).send().await.problem("not_found", "");
    assert_eq!(shop.nobody.get("/v1/products").send().await.at("/data"), &json!([]));
    assert_eq!(refusal(shop.reserve(OrderId::new(), &[("A", 1)]).await), ReserveRefusal::Unknown(vec![0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_reserved_is_sold_even_so_and_the_sku_stays_taken() {
    let shop = Shop::open().await;
    let id = shop.product(&["A"]).await;
    shop.set("A", 5).await;
    let order = OrderId::new();
    shop.reserve(order, &[("A", 2)]).await.unwrap();
    assert_eq!(shop.staff.delete(&format!("/v1/products/{id}")).send().await.status, 204);
    shop.commit(order).await.unwrap();
    assert_eq!(shop.level("A").await, (3, 0, 3));
    let body = json!({"name": "Again", "variants": [variant("A")]});
    shop.staff.post("/v1/products", &body).send().await.problem("conflict", "/variants/0/sku");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_staff_deletes() {
    let shop = Shop::open().await;
    let path = format!("/v1/products/{}", shop.product(&["A"]).await);
    shop.nobody.delete(&path).send().await.problem("unauthenticated", "");
    shop.bed.customer().delete(&path).send().await.problem("forbidden", "");
    assert_eq!(shop.nobody.get(&path).send().await.status, 200);
}
