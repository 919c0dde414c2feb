//! GET /v1/orders/{order_id}/payments

use nats::{
    contracts::{
        order::{GetOrder, OrderDetails, OrderPlaced},
        payment::PaymentRefunded,
        user::Unknown,
    },
    types::{Currency, Money, OrderId, TaxCategory},
};
use serde_json::json;
use stack::bed::Bed;

use super::ledger::{canceled, order, settled};
use crate::provider::Provider;

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_and_staff_see_an_orders_payment_and_nobody_else() {
    let (bed, provider) = (Bed::start().await, Provider::start().await);
    let _running = provider.run(&bed).await;
    let (alice, bob, staff, admin) = (bed.customer(), bed.customer(), bed.staff(), bed.admin());
    let placed = OrderPlaced { user_id: alice.user_id(), ..order("sandbox_ok") };
    svc_order_knows(&bed, &placed).await;
    bed.publish(&placed).await;
    let payment = settled(&bed, placed.order_id).await;
    let path = format!("/v1/orders/{}/payments", placed.order_id);

    let seen = alice.get(&path).send().await;
    assert_eq!(seen.status, 200, "{seen}");
    assert_eq!(seen.json["data"].as_array().unwrap().len(), 1, "{seen}");
    assert!(seen.text("/data/0/id").starts_with("pay_"), "{seen}");
    let (reference, operations) = (payment.provider_reference.unwrap(), provider.operations().await);
    for (pointer, expected) in [
        ("/data/0/order_id", json!(placed.order_id)),
        ("/data/0/amount", json!({"amount": 1299, "currency": "EUR"})),
        ("/data/0/refunded", json!({"amount": 0, "currency": "EUR"})),
        ("/data/0/method", json!("sandbox_ok")),
        ("/data/0/status", json!("succeeded")),
        ("/data/0/decline_reason", json!(null)),
        ("/data/0/provider_reference", json!(reference)),
        ("/data/0/transactions/0/kind", json!("authorize")),
        ("/data/0/transactions/0/amount", json!({"amount": 1299, "currency": "EUR"})),
        ("/data/0/transactions/0/provider_reference", json!(operations[0].reference)),
        ("/data/0/transactions/1/kind", json!("capture")),
        ("/data/0/transactions/1/amount", json!({"amount": 1299, "currency": "EUR"})),
        ("/data/0/transactions/1/provider_reference", json!(operations[1].reference)),
        ("/data/0/transactions/2", json!(null)),
    ] {
        assert_eq!(seen.at(pointer), &expected, "{pointer} in {seen}");
    }
    for boss in [&staff, &admin] {
        assert_eq!(boss.get(&path).send().await.json, seen.json);
    }
    let foreign = bob.get(&path).send().await;
    assert_eq!(foreign.status, 404, "{foreign}");
    foreign.problem("not_found", "");
    let unsigned = bed.nobody().get(&path).send().await;
    assert_eq!(unsigned.status, 401, "{unsigned}");
    unsigned.problem("unauthenticated", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declined_payment_says_why_and_has_an_empty_ledger() {
    let (bed, provider) = (Bed::start().await, Provider::start().await);
    let _running = provider.run(&bed).await;
    let alice = bed.customer();
    let placed = OrderPlaced { user_id: alice.user_id(), ..order("sandbox_insufficient_funds") };
    bed.publish(&placed).await;
    settled(&bed, placed.order_id).await;
    let seen = alice.get(&format!("/v1/orders/{}/payments", placed.order_id)).send().await;
    assert_eq!(seen.at("/data/0/status"), "failed", "{seen}");
    assert_eq!(seen.at("/data/0/decline_reason"), "insufficient_funds", "{seen}");
    assert_eq!(seen.at("/data/0/transactions"), &json!([]), "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_is_shown_beside_the_capture() {
    let (bed, provider) = (Bed::start().await, Provider::start().await);
    let _running = provider.run(&bed).await;
    let alice = bed.customer();
    let placed = OrderPlaced { user_id: alice.user_id(), ..order("sandbox_ok") };
    bed.publish(&placed).await;
    settled(&bed, placed.order_id).await;
    bed.publish(&canceled(&placed)).await;
    bed.event(|event: &PaymentRefunded| event.order_id == placed.order_id).await;
    let seen = alice.get(&format!("/v1/orders/{}/payments", placed.order_id)).send().await;
    for (pointer, expected) in [
        ("/data/0/status", json!("succeeded")),
        ("/data/0/refunded", json!({"amount": 1299, "currency": "EUR"})),
        ("/data/0/transactions/1/kind", json!("capture")),
        ("/data/0/transactions/2/kind", json!("refund")),
        ("/data/0/transactions/2/amount", json!({"amount": 1299, "currency": "EUR"})),
        ("/data/0/transactions/3", json!(null)),
    ] {
        assert_eq!(seen.at(pointer), &expected, "{pointer} in {seen}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_whose_payment_is_not_there_yet_has_none() {
    let (bed, provider) = (Bed::start().await, Provider::start().await);
    let _running = provider.run(&bed).await;
    let (alice, bob, staff) = (bed.customer(), bed.customer(), bed.staff());
    let placed = OrderPlaced { user_id: alice.user_id(), ..order("sandbox_ok") };
    let path = format!("/v1/orders/{}/payments", placed.order_id);

    let away = alice.get(&path).send().await;
    assert_eq!(away.status, 503, "nobody can say whose order it is: {away}");
    away.problem("unavailable", "");

    svc_order_knows(&bed, &placed).await;
    for entitled in [&alice, &staff] {
        let seen = entitled.get(&path).send().await;
        assert_eq!((seen.status, &seen.json), (200, &json!({"data": []})), "{seen}");
    }
    let foreign = bob.get(&path).send().await;
    assert_eq!(foreign.status, 404, "{foreign}");
    foreign.problem("not_found", "");
}

/// Stands in for svc-order, which knows this order and no other.
async fn svc_order_knows(bed: &Bed, order: &OrderPlaced) {
    let known = OrderDetails {
        order_id: order.order_id,
        number: "A-100023".to_owned(),
        user_id: order.user_id,
        email: "claire@example.com".parse().unwrap(),
        placed_at: chrono::Utc::now(),
        shipping_address: serde_json::from_value(json!({
            "name": "Claire Fontaine", "line1": "12 rue de la Paix",
            "city": "Lyon", "postal_code": "69002", "country": "FR",
        }))
        .unwrap(),
        lines: Vec::new(),
        shipping: Money::zero(Currency::EUR),
        shipping_tax_category: TaxCategory::Standard,
        shipping_tax_rate: "19".to_owned(),
        tax_total: Money::zero(Currency::EUR),
        total: order.total,
        company: None,
    };
    bed.answer::<GetOrder>(
        move |question| {
            if question.order_id == known.order_id { Ok(known.clone()) } else { Err(Unknown::Unknown) }
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_order_is_not_found() {
    let (bed, provider) = (Bed::start().await, Provider::start().await);
    let _running = provider.run(&bed).await;
    svc_order_knows(&bed, &order("sandbox_ok")).await;
    let staff = bed.staff();
    for id in [
        OrderId::new().to_string(),
        "ord_nonsense".to_owned(),
        "42".to_owned(),
        "usr_01h455vb4pex5vsknk084sn02q".to_owned(),
    ] {
        let answer = staff.get(&format!("/v1/orders/{id}/payments")).send().await;
        assert_eq!(answer.status, 404, "{id}: {answer}");
        answer.problem("not_found", "");
    }
    let answer = staff.post(&format!("/v1/orders/{}/payments", OrderId::new()), &json!({})).send().await;
    assert_eq!(answer.status, 405, "{answer}");
    answer.problem("method_not_allowed", "");
}
