//! `audit_orders`, and the order service's part of an audit: what holds, and that it is seen when it does not.

use nats::{
    contracts::{
        operations::{Audit, AuditReport},
        order::{AuditOrders, AuditedOrder},
    },
    invoke::Caller,
    topology::OPERATOR,
    types::PaymentId,
};
use serde_json::json;

use crate::shop::{Shop, one_lamp, with};

async fn audit(shop: &Shop) -> AuditReport {
    let (operator, _) = shop.bed.connect_as(OPERATOR).await;
    Caller::new(operator).call_at("order", &Audit {}).await.unwrap()
}

/// The invariants that do not hold.
async fn broken(shop: &Shop) -> Vec<(String, Vec<String>)> {
    let report = audit(shop).await;
    report.checks.into_iter().filter(|check| !check.holds).map(|check| (check.invariant, check.violations)).collect()
}

/// Orders in many states.
async fn busy() -> Shop {
    let shop = Shop::open().await;
    let alice = shop.bed.customer();
    let lines = json!([{"sku": "LAMP", "quantity": 2}, {"sku": "BOOK", "quantity": 3}]);
    let order = with(json!({"lines": lines}));
    let (payment, late) = (PaymentId::new(), PaymentId::new());
    let (paid, canceled) = (shop.place(&alice, &order).await, shop.place(&alice, &order).await);
    shop.place(&alice, &one_lamp()).await;
    assert_eq!(alice.request("POST", &format!("/v1/orders/{}/cancel", canceled.id)).send().await.status, 200);
    shop.bed.publish(&paid.captured(payment)).await;
    shop.bed.publish(&paid.refunded(payment, 100)).await;
    shop.bed.publish(&canceled.captured(late)).await;
    shop.settled(&alice, paid.id, ["confirmed", "partially_refunded", "not_fulfilled"]).await;
    shop.settled(&alice, canceled.id, ["canceled", "captured", "canceled"]).await;
    shop
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_holds() {
    let shop = busy().await;
    let report = audit(&shop).await;
    assert!(report.checks.iter().all(|check| check.holds), "{report:?}");
    let figures: Vec<&str> = report.checks.iter().map(|check| check.figures.as_str()).collect();
    assert!(figures.contains(&"3 orders; 1 await their payment, 0 their goods, 1 a refund"), "{figures:?}");
    assert!(figures.contains(&"5 lines, 1 refunds"), "{figures:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_hold_is_seen() {
    for (damage, invariant, violation) in [
        (
            "update order_saga set deadline = now() - interval '2 min', due_at = now() + interval '1 h' where step = 'awaiting_refund'",
            "no order waits past its deadline",
            "is awaiting_refund and should not be since",
        ),
        (
            "update order_saga set step = 'done', deadline = null, due_at = null where step = 'awaiting_payment'",
            "states are legal and agree with the saga",
            "wait for done instead of awaiting_payment",
        ),
        (
            "update orders set fulfillment_status = 'shipped' where status = 'confirmed'",
            "states are legal and agree with the saga",
            "no order can get there",
        ),
        (
            "update order_line set quantity = quantity + 1, net = net + unit_price where position = 1",
            "amounts add up: lines, taxes, totals, refunds",
            "lines ",
        ),
        (
            "update order_refund set amount = amount + 1",
            "amounts add up: lines, taxes, totals, refunds",
            "refunded 100, refunds 101",
        ),
        (
            "delete from order_history where change = 'placed'",
            "every order was placed once, and its history ends where it is",
            "was placed 0 times",
        ),
        (
            "update order_history set payment_status = 'captured' where payment_status = 'partially_refunded'",
            "every order was placed once, and its history ends where it is",
            "its history ends with confirmed, captured, not_fulfilled",
        ),
    ] {
        let shop = busy().await;
        shop.sql(damage).await;
        let found = broken(&shop).await;
        let seen =
            found.iter().any(|(what, where_)| what == invariant && where_.iter().any(|one| one.contains(violation)));
        assert!(seen, "after `{damage}`: {found:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_are_told_page_by_page() {
    let shop = busy().await;
    let mut told: Vec<AuditedOrder> = Vec::new();
    loop {
        let after = told.last().map(|order| order.order_id);
        let page = shop.bed.call(&AuditOrders { after, limit: 2 }).await.unwrap().orders;
        assert!(page.len() <= 2);
        if page.is_empty() {
            break;
        }
        told.extend(page);
    }
    assert!(told.is_sorted_by_key(|order| order.order_id));
    let states: Vec<_> = told
        .iter()
        .map(|order| (order.status.as_str(), order.payment_status.as_str(), order.refunded.amount))
        .collect();
    assert_eq!(
        states,
        [("confirmed", "partially_refunded", 100), ("canceled", "captured", 0), ("pending", "awaiting", 0)]
    );
    let all = shop.bed.call(&AuditOrders { after: None, limit: i64::MAX }).await.unwrap().orders;
    assert_eq!(all, told);
}
