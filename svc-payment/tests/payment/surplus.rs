//! A provider that takes money twice, against its own rules: the order is paid once, and the rest goes back once.

use diesel::sql_query;
use diesel_async::RunQueryDsl;
use nats::{
    contracts::{
        order::OrderPlaced,
        payment::{GetPayment, PaymentCaptured, PaymentProgress, PaymentRefunded},
    },
    types::{Currency, Money, OrderId, UserId},
};
use serde_json::Value;
use stack::bed::Bed;
use svc_payment::payment::TransactionKind;

use super::ledger::{
    assert_nothing_broken, canceled, compared, effects, held, kept, number, order, release, settled, taken, when,
};
use crate::provider::Provider;

const METHOD: &str = "sandbox_captured_twice";

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_is_captured_twice_is_paid_once_and_the_rest_goes_back_once() {
    let (bed, mut provider) = (Bed::start().await, Provider::start().await);
    let (one, other) = (provider.run(&bed).await, provider.run(&bed).await);
    let order = order(METHOD);
    bed.publish_twice(&order).await;
    bed.event(|event: &PaymentCaptured| event.order_id == order.order_id).await;
    gone_back(&bed, 1).await;
    let payment = settled(&bed, order.order_id).await;
    assert_eq!((payment.status.as_str(), payment.tries), ("succeeded", 1), "nothing was in its way");
    assert_paid_once(&bed, &provider, 1).await;
    let known = bed.call(&GetPayment { order_id: order.order_id }).await.unwrap();
    let eur = |amount| Money::new(amount, Currency::EUR);
    assert_eq!((known.progress, known.captured, known.refunded), (PaymentProgress::Captured, eur(1299), eur(0)));
    let seen = bed.staff().get(&format!("/v1/orders/{}/payments", order.order_id)).send().await;
    assert_eq!(seen.at("/data/0/refunded/amount"), 0, "{seen}");
    assert_eq!(seen.at("/data/0/transactions/2"), &Value::Null, "{seen}");

    // Everything once more: the event, the request, the processes, the statement.
    bed.publish(&order).await;
    taken(&bed, 2).await;
    one.stop().await;
    other.stop().await;
    provider.kill();
    provider.restart().await;
    provider.capture(order.order_id, &payment.provider_reference.unwrap()).await;
    let _running = provider.run(&bed).await;
    when(&bed, "the statement agrees", "select count(*) from statement_line where matched", 4).await;
    assert_paid_once(&bed, &provider, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_provider_that_dies_has_captured_twice_or_given_back_is_looked_up() {
    for kind in ["capture", "refund"] {
        let (bed, mut provider) = (Bed::start().await, Provider::start_with(&[("DIE_AFTER", kind)]).await);
        let _running = provider.run(&bed).await;
        let order = order(METHOD);
        bed.publish(&order).await;
        bed.wait_for("the provider to die", || async { (!provider.is_running()).then_some(()) }).await;
        provider.restart().await;
        gone_back(&bed, 1).await;
        assert_eq!(settled(&bed, order.order_id).await.status, "succeeded");
        assert_paid_once(&bed, &provider, 1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_killed_amid_it_gives_each_surplus_back_once() {
    let (bed, provider) = (Bed::start().await, Provider::start().await);
    let mut service = bed.spawn(&svc_payment::service(), &provider.settings()).await;
    let orders: Vec<_> = (0..12).map(|_| order(METHOD)).collect();
    for (index, order) in orders.iter().enumerate() {
        bed.publish(order).await;
        if index % 4 == 3 {
            provider.until_done(&bed, TransactionKind::Refund).await;
            service.kill();
            service.respawn().unwrap();
        }
    }
    for order in &orders {
        assert_eq!(settled(&bed, order.order_id).await.status, "succeeded");
    }
    gone_back(&bed, 12).await;
    bed.wait_for("the service to answer", || async {
        bed.call(&GetPayment { order_id: orders[0].order_id }).await.ok()
    })
    .await;
    assert_paid_once(&bed, &provider, 12).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canceled_order_that_is_captured_twice_costs_nothing() {
    let (bed, provider) = (Bed::start().await, Provider::start().await);
    provider.run(&bed).await.stop().await;
    // One is captured and known; of the other nobody knows, and it is to be voided.
    let (known, hidden) = (order(METHOD), OrderId::new());
    held(&bed, hidden, 1).await;
    let payment = provider.authorize(hidden, METHOD).await;
    provider.capture(hidden, &payment.reference).await;
    compared(&bed, &provider).await;
    let _running = provider.run(&bed).await;
    bed.publish(&known).await;
    settled(&bed, known.order_id).await;
    let hidden = OrderPlaced { order_id: hidden, user_id: UserId::new(), ..order(METHOD) };
    for order in [&known, &hidden] {
        bed.publish_twice(&canceled(order)).await;
    }
    taken(&bed, 3).await;
    release(&bed).await;
    for order in [&known, &hidden] {
        let event: PaymentRefunded = bed.event(|event: &PaymentRefunded| event.order_id == order.order_id).await;
        assert_eq!(event.amount, order.total);
        assert_eq!(settled(&bed, order.order_id).await.status, "succeeded");
    }
    gone_back(&bed, 2).await;
    assert_eq!(kept(&bed).await, 0);
    assert_eq!(provider.done(TransactionKind::Capture).await, (4, 4 * 1299));
    assert_eq!(provider.done(TransactionKind::Refund).await, (4, 4 * 1299), "each was given back what it was charged");
    assert_eq!(bed.events(|_: &PaymentRefunded| true).await.len(), 2, "one of each order's is its own");
    assert_nothing_broken(&bed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_surplus_that_the_provider_does_not_take_back_is_told() {
    let (bed, provider) = (Bed::start().await, Provider::start().await);
    provider.run(&bed).await.stop().await;
    let order = OrderId::new();
    held(&bed, order, 1).await;
    let payment = provider.authorize(order, METHOD).await;
    let payment = provider.capture(order, &payment.reference).await;
    let key = format!("surplus:{}", payment.operations[2].reference);
    assert!(provider.refund(&key, &payment.reference, i64::MAX).await.refused(&key));
    let _running = provider.run(&bed).await;
    when(&bed, "it is known as refused", "select count(*) from surplus where state = 'failed'", 1).await;
    assert_eq!(settled(&bed, order).await.status, "succeeded", "the order is paid all the same");
    assert_nothing_broken(&bed).await;
    let later = "update surplus set created_at = created_at - interval '11 minutes'";
    sql_query(later).execute(&mut bed.sql("payment").await).await.unwrap();
    let broken = bed.broken_invariants("payment").await;
    assert_eq!(broken.len(), 1, "{broken:#?}");
    assert_eq!(broken[0].invariant, "no surplus capture older than ten minutes is unrefunded");
    assert_eq!(broken[0].figures, "1 surplus captures: 0 went back, 0 are about to, 1 were refused");
    assert!(broken[0].violations[0].starts_with(&order.to_string()), "{broken:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_charge_under_our_key_goes_back_as_a_whole() {
    let (bed, mut provider) = (Bed::start().await, Provider::start().await);
    let running = provider.run(&bed).await;
    let order = order("sandbox_ok");
    bed.publish(&order).await;
    settled(&bed, order.order_id).await;
    running.stop().await;
    // It has forgotten the first, and does the same once more.
    provider.kill();
    provider.forget();
    provider.restart().await;
    let second = provider.authorize(order.order_id, "sandbox_ok").await;
    provider.capture(order.order_id, &second.reference).await;
    let _running = provider.run(&bed).await;
    gone_back(&bed, 1).await;
    assert_eq!(provider.done(TransactionKind::Refund).await, (1, 1299));
    assert_eq!(effects(&bed).await, ["authorize 1299", "capture 1299"], "the order's ledger is as it was");
    assert_eq!(settled(&bed, order.order_id).await.status, "succeeded");
    let agreed = format!("select count(*) from statement_line where matched and payment = '{}'", second.reference);
    when(&bed, "all of it is accounted for", &agreed, 2).await;
    bed.no_event::<PaymentRefunded>(|_| true).await;
}

/// Once so many were captured beyond what is owed, and have gone back.
async fn gone_back(bed: &Bed, times: i64) {
    when(bed, "each surplus went back", "select count(*) from surplus where state = 'refunded'", times).await;
}

/// Asserts that so many orders were captured twice and paid once.
async fn assert_paid_once(bed: &Bed, provider: &Provider, orders: i64) {
    assert_eq!(provider.done(TransactionKind::Capture).await, (2 * orders, 2 * orders * 1299));
    assert_eq!(provider.done(TransactionKind::Refund).await, (orders, orders * 1299), "what was too much, once");
    assert_eq!(kept(bed).await, orders * 1299);
    let mut sql = bed.sql("payment").await;
    for (what, query, expected) in [
        ("captures in the ledger", "select count(*) from transaction where kind = 'capture'", orders),
        ("refunds in the ledger", "select count(*) from transaction where kind = 'refund'", 0),
        ("refunds", "select count(*) from refund", 0),
        ("surplus captures", "select count(*) from surplus", orders),
        ("captures told", "select count(*) from event_log where subject like 'evt.payment.captured.%'", orders),
        ("refunds told", "select count(*) from event_log where subject like 'evt.payment.refunded.%'", 0),
    ] {
        assert_eq!(number(&mut sql, query).await, expected, "{what}");
    }
    assert_nothing_broken(bed).await;
}
