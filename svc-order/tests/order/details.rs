//! `svc.order.get_order`: what other services are told.

use nats::{
    contracts::{
        order::{GetOrder, OrderDetails},
        user::Unknown,
    },
    invoke::CallError,
    types::{OrderId, TaxCategory},
};
use serde_json::json;

use crate::shop::{Shop, hamburg, with};

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_told_as_it_was_agreed() {
    let shop = Shop::open().await;
    let alice = shop.bed.customer();
    let lines = json!([{"sku": "LAMP", "quantity": 2}, {"sku": "BOOK", "quantity": 1}]);
    let placed = shop.place(&alice, &with(json!({"lines": lines}))).await;
    let details: OrderDetails = shop.bed.call(&GetOrder { order_id: placed.id }).await.unwrap();
    assert_eq!(details.number, placed.json["number"]);
    assert_eq!(details.user_id, alice.user_id());
    assert_eq!(details.email.to_string(), format!("{}@example.com", alice.user_id()));
    assert_eq!(json!(details.shipping_address), hamburg());
    assert_eq!(json!(details.placed_at), placed.json["placed_at"]);
    assert_eq!((details.shipping.amount, details.shipping_tax_category), (490, TaxCategory::Standard));
    assert_eq!(details.shipping_tax_rate, "19");
    assert_eq!(json!(details.tax_total), placed.json["tax_total"]);
    assert_eq!(details.total, placed.total);
    for (line, shown) in details.lines.iter().zip(placed.json["lines"].as_array().unwrap()) {
        let mut line = json!(line);
        line["product_id"] = shown["product_id"].clone();
        assert_eq!(&line, shown);
    }
    assert_eq!(details.lines.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_order_is_a_refusal() {
    let shop = Shop::open().await;
    let refused = shop.bed.call(&GetOrder { order_id: OrderId::new() }).await.unwrap_err();
    assert!(matches!(refused, CallError::Refused(Unknown::Unknown)), "{refused}");
}
