//! `place_order`: what a placed order is.

use nats::{
    contracts::order::OrderPlaced,
    types::{Adjustment, Currency, Line, Money, Quantity, TaxCategory, TaxRate, Totals},
};
use serde_json::json;

use crate::shop::{Shop, hamburg, one_lamp, with};

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_placed() {
    let shop = Shop::open().await;
    let alice = shop.bed.customer();
    let answer = alice.post("/v1/orders", &one_lamp()).key("k1").send().await;
    assert_eq!(answer.status, 201, "{answer}");
    let id = answer.text("/id");
    assert_eq!(answer.header("location"), Some(format!("/v1/orders/{id}").as_str()));
    assert_eq!(answer.at("/number"), "A-100001");
    assert_eq!(answer.at("/user_id"), &json!(alice.user_id()));
    assert_eq!(
        [answer.at("/status"), answer.at("/payment_status"), answer.at("/fulfillment_status")],
        ["pending", "awaiting", "not_fulfilled"]
    );
    assert_eq!(answer.at("/lines/0/name"), "Desk lamp");
    assert_eq!(answer.at("/lines/0/tax_rate"), "19");
    assert_eq!(
        answer.at("/shipping"),
        &json!({"service_level": "Parcel", "price": {"amount": 490, "currency": "EUR"}})
    );
    assert_eq!(answer.at("/shipping_address"), &hamburg());
    assert_eq!(answer.at("/payment_method"), "sandbox_ok");
    assert_eq!(answer.at("/cancel_reason"), &json!(null));
    // 49.90 + 4.90 shipping, and 19 % of both: 10.412.
    assert_eq!(answer.at("/tax_total/amount"), 1041);
    assert_eq!(answer.at("/total/amount"), 6521);

    let placed = shop.bed.event::<OrderPlaced>(|event| event.order_id.to_string() == id).await;
    assert_eq!(placed.total, Money::new(6521, Currency::EUR));
    assert_eq!((placed.user_id, placed.payment_method.as_str()), (alice.user_id(), "sandbox_ok"));
    let reread = alice.get(&format!("/v1/orders/{id}")).send().await;
    assert_eq!(reread.json, answer.json, "what is read later is what was answered");
    assert_eq!(shop.history(&alice, placed.order_id).await, ["placed"]);
    assert!(
        shop.catalog.reserved.lock().unwrap().contains_key(&placed.order_id),
        "the stock is held under the order's id"
    );
    assert!(shop.catalog.released.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_totals_are_the_engines() {
    let shop = Shop::open().await;
    let order = with(json!({
        "lines": [{"sku": "PEN", "quantity": 7}, {"sku": "BOOK", "quantity": 2}, {"sku": "LAMP", "quantity": 3}],
        "shipping_address": {"name": "Zoé", "line1": "12 rue de la Paix", "city": "Paris", "postal_code": "75002", "country": "FR"},
    }));
    let placed = shop.place(&shop.bed.customer(), &order).await;

    let rate = |category, percent: &str| {
        TaxRate::new(category, percent.parse::<nats::types::DecimalString>().unwrap().decimal()).unwrap()
    };
    let (standard, zero) = (rate(TaxCategory::Standard, "20"), rate(TaxCategory::Zero, "0"));
    let euros = |cents| Money::new(cents, Currency::EUR);
    let line = |quantity, cents, tax| {
        Line::priced(Currency::EUR, Quantity::new(quantity).unwrap(), euros(cents), tax).unwrap()
    };
    let lines = [line(7, 333, standard), line(2, 1995, zero), line(3, 4990, standard)];
    let shipping = Adjustment::priced(Currency::EUR, euros(1290), standard).unwrap();
    let totals = Totals::compute(Currency::EUR, &lines, &[], &[shipping]).unwrap();

    assert_eq!(placed.json["subtotal"], json!(totals.line_total));
    assert_eq!(placed.json["shipping"]["price"], json!(totals.charge_total));
    assert_eq!(placed.json["tax"], json!(totals.breakdown));
    assert_eq!(placed.json["tax_total"], json!(totals.tax_total));
    assert_eq!(placed.json["total"], json!(totals.tax_inclusive));
    for (index, net) in totals.line_net.iter().enumerate() {
        assert_eq!(placed.json["lines"][index]["net"], json!(net));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_free_of_tax() {
    let shop = Shop::open().await;
    let to_zurich =
        json!({"name": "Max", "line1": "Bahnhofstrasse 1", "city": "Zürich", "postal_code": "8001", "country": "CH"});
    let placed = shop.place(&shop.bed.customer(), &with(json!({"shipping_address": to_zurich}))).await;
    assert_eq!(placed.json["lines"][0]["tax_category"], "G");
    assert_eq!(
        placed.json["tax"][0],
        json!({
            "category": "G", "rate": "0", "taxable": {"amount": 6980, "currency": "EUR"}, "tax": {"amount": 0, "currency": "EUR"}
        })
    );
    assert_eq!(placed.total.amount, 6980);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_say_what_they_pay_in_pays_in_what_they_prefer() {
    let shop = Shop::open().await;
    shop.preferences.lock().unwrap().currency = Currency::CHF;
    // Nothing is for sale in francs here, so an order in francs is told from others.
    let unsaid = shop.bed.customer().post("/v1/orders", &with(json!({}))).key("k").send().await;
    unsaid.problem("invalid_request", "/lines/0/sku");
    assert!(unsaid.to_string().contains("CHF"), "{unsaid}");
    let said = shop.place(&shop.bed.customer(), &with(json!({"currency": "EUR"}))).await;
    assert_eq!(said.json["currency"], "EUR");
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_one_sku_are_put_together() {
    let shop = Shop::open().await;
    let lines = json!([
        {"sku": "PEN", "quantity": 1}, {"sku": "LAMP", "quantity": 2}, {"sku": "PEN", "quantity": 4}
    ]);
    let placed = shop.place(&shop.bed.customer(), &with(json!({"lines": lines}))).await;
    let lines = placed.json["lines"].as_array().unwrap();
    let found: Vec<_> =
        lines.iter().map(|line| (line["sku"].as_str().unwrap(), line["quantity"].as_i64().unwrap())).collect();
    assert_eq!(found, [("PEN", 5), ("LAMP", 2)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_address_is_copied() {
    let shop = Shop::open().await;
    let address_id = shop.address(hamburg()).await;
    let placed =
        shop.place(&shop.bed.customer(), &with(json!({"shipping_address": null, "address_id": address_id}))).await;
    assert_eq!(placed.json["shipping_address"], hamburg());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cart_is_ordered_and_emptied() {
    let shop = Shop::open().await;
    let alice = shop.bed.customer();
    for (sku, quantity) in [("BOOK", 2), ("PEN", 5)] {
        let added = alice.post("/v1/cart/items", &json!({"sku": sku, "quantity": quantity})).send().await;
        assert_eq!(added.status, 201, "{added}");
    }
    let placed = shop.place(&alice, &with(json!({"lines": null}))).await;
    assert_eq!(placed.json["lines"][0]["sku"], "BOOK");
    assert_eq!(placed.json["lines"][1]["quantity"], 5);
    let cart = alice.get("/v1/cart").send().await;
    assert_eq!(cart.at("/items"), &json!([]), "{cart}");
    assert_eq!(cart.at("/version"), 3, "emptying is an edit");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_with_lines_leaves_the_cart_alone() {
    let shop = Shop::open().await;
    let alice = shop.bed.customer();
    alice.post("/v1/cart/items", &json!({"sku": "BOOK", "quantity": 1})).send().await;
    shop.place(&alice, &one_lamp()).await;
    assert_eq!(alice.get("/v1/cart").send().await.at("/items/0/sku"), "BOOK");
}
