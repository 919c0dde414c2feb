//! GET /v1/payments/{id}, and what other services may ask.

use nats::{
    contracts::{
        order::OrderPlaced,
        payment::{AuditPayments, GetPayment, PaymentProgress},
        user::Unknown,
    },
    invoke::CallError,
    types::{Currency, Money, OrderId, PaymentId},
};
use serde_json::json;
use stack::bed::Bed;

use super::ledger::{canceled, held, order, settled, when};
use crate::provider::Provider;

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_and_staff_get_a_payment_and_nobody_else() {
    let (bed, provider) = (Bed::start().await, Provider::start().await);
    let _running = provider.run(&bed).await;
    let (alice, bob, staff) = (bed.customer(), bed.customer(), bed.staff());
    let placed = OrderPlaced { user_id: alice.user_id(), ..order("sandbox_ok") };
    bed.publish(&placed).await;
    settled(&bed, placed.order_id).await;
    let listed = alice.get(&format!("/v1/orders/{}/payments", placed.order_id)).send().await;
    let path = format!("/v1/payments/{}", listed.text("/data/0/id"));
    for entitled in [&alice, &staff] {
        let seen = entitled.get(&path).send().await;
        assert_eq!((seen.status, &seen.json), (200, listed.at("/data/0")), "{seen}");
    }
    assert_eq!(bed.nobody().get(&path).send().await.status, 401);
    for (client, path) in [(&bob, path), (&staff, format!("/v1/payments/{}", PaymentId::new()))] {
        let answer = client.get(&path).send().await;
        assert_eq!(answer.status, 404, "{answer}");
        answer.problem("not_found", "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_services_are_told_how_a_payment_stands() {
    let (bed, provider) = (Bed::start().await, Provider::start().await);
    let _running = provider.run(&bed).await;
    let eur = |amount| Money::new(amount, Currency::EUR);
    let unknown = bed.call(&GetPayment { order_id: OrderId::new() }).await;
    assert!(matches!(unknown, Err(CallError::Refused(Unknown::Unknown))), "{unknown:?}");

    let (paid, declined, refunded) = (order("sandbox_ok"), order("sandbox_declined"), order("sandbox_ok"));
    for order in [&paid, &declined, &refunded] {
        bed.publish(order).await;
        settled(&bed, order.order_id).await;
    }
    bed.publish(&canceled(&refunded)).await;
    when(&bed, "the refund is made", "select count(*) from refund where status = 'succeeded'", 1).await;
    let open = OrderId::new();
    held(&bed, open, 1).await;
    for (order, progress, captured, given_back) in [
        (paid.order_id, PaymentProgress::Captured, 1299, 0),
        (declined.order_id, PaymentProgress::Failed, 0, 0),
        (refunded.order_id, PaymentProgress::Captured, 1299, 1299),
        (open, PaymentProgress::Processing, 0, 0),
    ] {
        let details = bed.call(&GetPayment { order_id: order }).await.unwrap();
        assert_eq!(
            (details.progress, details.captured, details.refunded),
            (progress, eur(captured), eur(given_back)),
            "{order}"
        );
    }

    let mut orders = [paid.order_id, declined.order_id, refunded.order_id, open];
    orders.sort();
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let page = bed.call(&AuditPayments { after, limit: 3 }).await.unwrap().payments;
        let Some(last) = page.last() else { break };
        after = Some(last.order_id);
        seen.extend(page);
    }
    assert_eq!(seen.iter().map(|one| one.order_id).collect::<Vec<_>>(), orders);
    let of =
        |order| seen.iter().find(|one| one.order_id == order).map(|one| serde_json::to_value(one).unwrap()).unwrap();
    let money = |amount: i64| json!({ "amount": amount, "currency": "EUR" });
    assert_eq!(
        of(refunded.order_id),
        json!({
            "order_id": refunded.order_id, "status": "succeeded", "captured": money(1299), "refunded": money(1299),
            "refund_pending": money(0),
        })
    );
    assert_eq!(of(open)["status"], "processing");
}
