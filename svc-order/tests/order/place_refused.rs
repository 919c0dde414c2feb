//! `place_order`: what is refused, and that nothing is left of it.

use nats::{
    contracts::{Call, catalog::ReserveStock},
    types::{AddressId, OrderId},
};
use serde_json::{Value, json};
use stack::bed::Answer;

use crate::shop::{Shop, hamburg, one_lamp, with};

async fn refused(shop: &Shop, order: &Value, code: &str, pointer: &str) -> Answer {
    let answer = shop.bed.customer().post("/v1/orders", order).key("k1").send().await;
    answer.problem(code, pointer);
    answer
}

/// Waits until all stock that was reserved is given back.
async fn assert_released(shop: &Shop) {
    let look = async || {
        let reserved: Vec<OrderId> = shop.catalog.reserved.lock().unwrap().keys().copied().collect();
        let released = shop.catalog.released.lock().unwrap().clone();
        (!reserved.is_empty() && reserved == released).then_some(())
    };
    shop.bed.wait_for("the stock to be given back", look).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_sku() {
    let shop = Shop::open().await;
    let lines = json!([
        {"sku": "LAMP", "quantity": 1}, {"sku": "LAMP", "quantity": 1}, {"sku": "NOSUCH", "quantity": 1}
    ]);
    let answer = refused(&shop, &with(json!({"lines": lines})), "invalid_request", "/lines/2/sku").await;
    assert_eq!(answer.status, 422);
    assert_eq!(answer.at("/errors/0/detail"), "`NOSUCH` is not for sale in EUR");
    shop.assert_nothing_written().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_currency_without_prices() {
    let shop = Shop::open().await;
    refused(&shop, &with(json!({"currency": "JPY"})), "invalid_request", "/lines/0/sku").await;
    shop.assert_nothing_written().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_there_is() {
    let shop = Shop::open().await;
    let lines = json!([{"sku": "PEN", "quantity": 1}, {"sku": "LAMP", "quantity": 11}]);
    let answer = refused(&shop, &with(json!({"lines": lines})), "out_of_stock", "/lines/1").await;
    assert_eq!(answer.status, 409);
    assert_eq!(answer.at("/errors/0/detail"), "only 10 of `LAMP` are available");
    shop.assert_nothing_written().await;
    assert!(shop.catalog.released.lock().unwrap().is_empty(), "nothing was held, nothing is given back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_request_leaves_its_key_free_at_once() {
    let shop = Shop::open().await;
    let alice = shop.bed.customer();
    let too_many = with(json!({"lines": [{"sku": "LAMP", "quantity": 11}]}));
    for n in 0..20 {
        let key = format!("k{n}");
        alice.post("/v1/orders", &too_many).key(&key).send().await.problem("out_of_stock", "/lines/0");
        let mended = alice.post("/v1/orders", &one_lamp()).key(&key).send().await;
        assert_eq!(mended.status, 201, "{mended}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_country_we_do_not_ship_to() {
    let shop = Shop::open().await;
    let antarctica = json!({"name": "Ada", "line1": "Dome C", "city": "Concordia", "country": "AQ"});
    let order = with(json!({"shipping_address": antarctica}));
    refused(&shop, &order, "invalid_request", "/shipping_address/country").await;
    assert_released(&shop).await;

    let address_id = shop.address(antarctica).await;
    let order = with(json!({"shipping_address": null, "address_id": address_id}));
    refused(&shop, &order, "invalid_request", "/address_id").await;
    assert_released(&shop).await;
    shop.assert_nothing_written().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_heavy_for_any_rate() {
    let shop = Shop::open().await;
    let anvils = json!({"lines": [{"sku": "ANVIL", "quantity": 100}]});
    let answer = refused(&shop, &with(anvils), "invalid_request", "/currency").await;
    let detail = "there is no rate to Germany: either none in EUR, or none for a parcel of 8000000 g";
    assert_eq!(answer.at("/errors/0/detail"), detail);
    assert_released(&shop).await;
    shop.assert_nothing_written().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_address() {
    let shop = Shop::open().await;
    shop.address(hamburg()).await;
    let order = with(json!({"shipping_address": null, "address_id": AddressId::new()}));
    refused(&shop, &order, "invalid_request", "/address_id").await;
    shop.assert_nothing_written().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_cart() {
    let shop = Shop::open().await;
    refused(&shop, &with(json!({"lines": null})), "invalid_request", "/lines").await;
    shop.assert_nothing_written().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_pointed_at() {
    let shop = Shop::open().await;
    let line = |sku: Value, quantity: Value| with(json!({"lines": [{"sku": sku, "quantity": quantity}]}));
    let many: Vec<Value> = (0..101).map(|n| json!({"sku": format!("S{n}"), "quantity": 1})).collect();
    let most = json!({"sku": "PEN", "quantity": 100_000});
    for (order, pointer) in [
        (line(json!("LAMP"), json!(0)), "/lines/0/quantity"),
        (line(json!("LAMP"), json!(-1)), "/lines/0/quantity"),
        (line(json!("LAMP"), json!(1.5)), "/lines/0/quantity"),
        (line(json!("LAMP"), json!("1")), "/lines/0/quantity"),
        (line(json!("LAMP"), json!(100_001)), "/lines/0/quantity"),
        (line(json!("no such"), json!(1)), "/lines/0/sku"),
        (line(json!(7), json!(1)), "/lines/0/sku"),
        (with(json!({"lines": [{"sku": "LAMP"}]})), "/lines/0/quantity"),
        (with(json!({"lines": [{"sku": "LAMP", "quantity": 1, "price": 1}]})), "/lines/0/price"),
        (with(json!({"lines": [most, most]})), "/lines/1/quantity"),
        (with(json!({"lines": []})), "/lines"),
        (with(json!({"lines": many})), "/lines"),
        (with(json!({"lines": "LAMP"})), "/lines"),
        (with(json!({"coupon": "FREE"})), "/coupon"),
        (with(json!({"currency": "EURO"})), "/currency"),
        (with(json!({"currency": "XXX"})), "/currency"),
        (with(json!({"payment_method": null})), "/payment_method"),
        (with(json!({"payment_method": ""})), "/payment_method"),
        (with(json!({"payment_method": "4111 1111 1111 1111"})), "/payment_method"),
        (with(json!({"shipping_address": null})), "/shipping_address"),
        (with(json!({"shipping_address": {"name": "Ada"}})), "/shipping_address/line1"),
        (
            with(json!({"shipping_address": {"name": "A", "line1": "x", "city": "y", "country": "DE"}})),
            "/shipping_address/postal_code",
        ),
        (
            with(json!({"shipping_address": {"name": "A", "line1": "x", "city": "y", "country": "XX"}})),
            "/shipping_address/country",
        ),
        (with(json!({"address_id": "adr_1"})), "/address_id"),
        (with(json!({"address_id": AddressId::new()})), "/address_id"),
    ] {
        let answer = refused(&shop, &order, "invalid_request", pointer).await;
        assert_eq!(answer.status, 422, "{answer}");
    }
    let alice = shop.bed.customer();
    for body in ["", "{", "nonsense", "{\"lines\": ["] {
        let sent = alice.request("POST", "/v1/orders").key("k1").raw(body, "application/json").send().await;
        sent.problem("malformed_request", "");
    }
    let sent = alice.request("POST", "/v1/orders").key("k1").raw(one_lamp().to_string(), "text/plain").send().await;
    sent.problem("unsupported_media_type", "");
    shop.assert_nothing_written().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reservation_of_something_else() {
    let shop = Shop::without_catalog_and_shipping().await;
    shop.broken_catalog_comes().await;
    refused(&shop, &one_lamp(), "internal", "").await;
    assert_released(&shop).await;
    shop.assert_nothing_written().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalogue_that_takes_the_question_and_says_nothing() {
    let shop = Shop::without_catalog_and_shipping().await;
    let _silent = shop.bed.listen(&ReserveStock::subject()).await;
    shop.releases().await;
    refused(&shop, &one_lamp(), "timeout", "").await;
    // It may have reserved something all the same.
    let look = async || (shop.catalog.released.lock().unwrap().len() == 1).then_some(());
    shop.bed.wait_for("the stock to be given back", look).await;
    shop.assert_nothing_written().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_in_particular() {
    let shop = Shop::open().await;
    let answer = shop.bed.nobody().post("/v1/orders", &one_lamp()).key("k1").send().await;
    answer.problem("unauthenticated", "");
    shop.assert_nothing_written().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_half_written_while_the_catalogue_is_away() {
    let shop = Shop::without_catalog_and_shipping().await;
    let alice = shop.bed.customer();
    let answer = alice.post("/v1/orders", &one_lamp()).key("k1").send().await;
    answer.problem("unavailable", "");
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    shop.assert_nothing_written().await;

    shop.catalog_comes().await;
    let answer = alice.post("/v1/orders", &one_lamp()).key("k1").send().await;
    answer.problem("unavailable", "");
    assert_released(&shop).await;
    shop.assert_nothing_written().await;

    shop.shipping_comes().await;
    let answer = alice.post("/v1/orders", &one_lamp()).key("k1").send().await;
    assert_eq!(answer.status, 201, "the key is free again: {answer}");
}
