//! The provider's statement and our ledger are brought together, or it is said where they differ.

use diesel::{sql_query, sql_types};
use diesel_async::RunQueryDsl;
use nats::{
    contracts::payment::{PaymentCaptured, PaymentRefunded},
    types::OrderId,
};
use stack::bed::Bed;
use svc_payment::payment::TransactionKind;

use super::ledger::{
    assert_captured, assert_nothing_broken, assert_refunded, effects, held, kept, number, order, payment_when, settled,
    when,
};
use crate::provider::Provider;

const AGREE: &str = "the ledger and the provider's statement agree";

#[tokio::test(flavor = "multi_thread")]
async fn what_a_lost_answer_hid_is_found() {
    let (bed, provider) = (Bed::start().await, Provider::start().await);
    provider.run(&bed).await.stop().await;
    let (taken, only_held) = (OrderId::new(), OrderId::new());
    for order in [taken, only_held] {
        held(&bed, order, 1).await;
        let payment = provider.authorize(order, "sandbox_ok").await;
        if order == taken {
            provider.capture(order, &payment.reference).await;
        }
    }
    let _one = provider.run(&bed).await;
    let _other = provider.run(&bed).await;
    bed.event(|event: &PaymentCaptured| event.order_id == taken).await;
    let payment = settled(&bed, taken).await;
    assert_eq!((payment.status.as_str(), payment.tries), ("succeeded", 1), "no worker was needed");
    let found = "select count(*) from payment where status = 'requires_capture' and tries = 1";
    when(&bed, "what is only held is known as that", found, 1).await;
    assert_eq!(provider.operations().await.len(), 3, "nothing was asked for");
    assert_captured(&bed, &provider, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_cannot_be_looked_at_hides_no_other() {
    let (bed, provider) = (Bed::start().await, Provider::start().await);
    provider.run(&bed).await.stop().await;
    let (broken, hidden) = (OrderId::new(), OrderId::new());
    for (order, method) in [(broken, "sandbox_look_broken"), (hidden, "sandbox_ok")] {
        held(&bed, order, 1).await;
        let payment = provider.authorize(order, method).await;
        provider.capture(order, &payment.reference).await;
    }
    let _running = provider.run(&bed).await;
    bed.event(|event: &PaymentCaptured| event.order_id == hidden).await;
    let open = payment_when(&bed, broken, "it is there", |_| true).await;
    assert_eq!((open.status.as_str(), open.tries), ("processing", 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_made_at_the_provider_is_ours_too() {
    let (bed, provider) = (Bed::start().await, Provider::start().await);
    let running = provider.run(&bed).await;
    let order = order("sandbox_ok");
    bed.publish(&order).await;
    let reference = settled(&bed, order.order_id).await.provider_reference.unwrap();
    running.stop().await;
    provider.refund("by hand", &reference, 500).await;
    let _running = provider.run(&bed).await;
    let event: PaymentRefunded = bed.event(|event: &PaymentRefunded| event.order_id == order.order_id).await;
    assert_eq!(event.amount.amount, 500);
    assert_refunded(&bed, &provider, 1).await;
    assert_captured(&bed, &provider, 1).await;
    assert_eq!(kept(&bed).await, 799);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_brought_together_is_told() {
    let (bed, provider) = (Bed::start().await, Provider::start().await);
    let running = provider.run(&bed).await;
    let order = order("sandbox_ok");
    bed.publish(&order).await;
    settled(&bed, order.order_id).await;
    assert_nothing_broken(&bed).await;
    running.stop().await;
    // A payment of nobody's, and an effect that the provider does not know.
    let foreign = provider.authorize(OrderId::new(), "sandbox_ok").await.operations[0].reference.clone();
    sql_query(
        "insert into transaction (payment_id, kind, amount, provider_reference) select id, 'refund', 5, 'sbo_made_up' from payment",
    )
    .execute(&mut bed.sql("payment").await)
    .await
    .unwrap();
    let _running = provider.run(&bed).await;
    when(&bed, "both are known to differ", "select count(*) from reconciliation_difference", 2).await;
    let broken = bed.broken_invariants("payment").await;
    let agree = broken.iter().find(|check| check.invariant == AGREE).unwrap_or_else(|| panic!("{broken:#?}"));
    for reference in [foreign.as_str(), "sbo_made_up"] {
        assert!(agree.violations.iter().any(|violation| violation.starts_with(reference)), "{reference}: {agree:#?}");
    }
    assert_eq!(effects(&bed).await, ["authorize 1299", "capture 1299", "refund 5"], "nothing was made up");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_forgets_is_told_of() {
    let (bed, mut provider) = (Bed::start().await, Provider::start().await);
    let running = provider.run(&bed).await;
    let order = order("sandbox_ok");
    bed.publish(&order).await;
    settled(&bed, order.order_id).await;
    running.stop().await;
    let running = provider.run(&bed).await;
    when(&bed, "the statement is read", "select sequence from statement", 2).await;
    running.stop().await;
    provider.kill();
    provider.forget();
    provider.restart().await;
    let _running = provider.run(&bed).await;
    when(&bed, "each operation is in doubt", "select count(*) from reconciliation_difference", 2).await;
    let broken = bed.broken_invariants("payment").await;
    assert_eq!(broken.iter().map(|check| check.invariant.as_str()).collect::<Vec<_>>(), [AGREE], "{broken:#?}");
    assert_eq!(provider.done(TransactionKind::Authorize).await.0, 0, "nobody charges again what was forgotten");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_provider_does_after_it_forgot_is_read() {
    // Fewer operations than were read before it forgot, and as many.
    for (captures, status) in [(false, "requires_capture"), (true, "succeeded")] {
        let (bed, mut provider) = (Bed::start().await, Provider::start().await);
        let running = provider.run(&bed).await;
        let before = order("sandbox_ok");
        bed.publish(&before).await;
        settled(&bed, before.order_id).await;
        running.stop().await;
        let running = provider.run(&bed).await;
        when(&bed, "the statement is read", "select sequence from statement", 2).await;
        running.stop().await;
        provider.kill();
        provider.forget();
        provider.restart().await;
        let after = OrderId::new();
        held(&bed, after, 1).await;
        let payment = provider.authorize(after, "sandbox_ok").await;
        if captures {
            provider.capture(after, &payment.reference).await;
        }
        let _running = provider.run(&bed).await;
        let found = payment_when(&bed, after, "it is found", |payment| payment.status == status).await;
        assert_eq!(found.tries, 1, "no worker was needed");
        when(&bed, "what it forgot is in doubt", "select count(*) from reconciliation_difference", 2).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_amount_at_the_provider_is_not_taken_for_ours() {
    let (bed, provider) = (Bed::start().await, Provider::start().await);
    provider.run(&bed).await.stop().await;
    let order = OrderId::new();
    held(&bed, order, 1).await;
    provider.authorize(order, "sandbox_ok").await;
    sql_query("update payment set amount = 1300 where order_id = $1")
        .bind::<sql_types::Uuid, _>(order)
        .execute(&mut bed.sql("payment").await)
        .await
        .unwrap();
    let _running = provider.run(&bed).await;
    let why =
        "select count(*) from reconciliation_difference where difference like 'it is about 12.99 EUR at the provider%'";
    when(&bed, "the contradiction is kept", why, 1).await;
    assert_eq!(effects(&bed).await, Vec::<String>::new());
    let open = "select count(*) from payment where status = 'processing'";
    assert_eq!(number(&mut bed.sql("payment").await, open).await, 1);
}
