//! The sandbox provider by itself: what it answers, and what it remembers.

use nats::types::OrderId;
use serde_json::json;
use svc_payment::{payment::TransactionKind, provider::ProviderStatus};

use crate::provider::Provider;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_survives_a_kill() {
    let mut provider = Provider::start().await;
    let (held, taken) = (OrderId::new(), OrderId::new());
    provider.authorize(held, "sandbox_ok").await;
    let payment = provider.authorize(taken, "sandbox_ok").await;
    provider.capture(taken, &payment.reference).await;
    provider.refund("r", &payment.reference, 300).await;
    let before = provider.operations().await;
    provider.kill();
    provider.restart().await;
    assert_eq!(provider.operations().await, before);
    let again = provider.capture(taken, &payment.reference).await;
    assert_eq!(
        (again.status, again.operations.len()),
        (ProviderStatus::Succeeded, 3),
        "the same key, the same capture"
    );
    assert!(provider.refund("more", &payment.reference, 1000).await.operations[3].refusal.is_some());
    assert_eq!(provider.refund("rest", &payment.reference, 999).await.operations[4].refusal, None);
    assert_eq!(provider.done(TransactionKind::Refund).await, (2, 1299));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_takes_twice_against_the_rules_it_takes_twice_once() {
    let mut provider = Provider::start().await;
    let order = OrderId::new();
    let payment = provider.authorize(order, "sandbox_captured_twice").await;
    let taken = provider.capture(order, &payment.reference).await;
    assert_eq!(provider.done(TransactionKind::Capture).await, (2, 2 * 1299));
    provider.kill();
    provider.restart().await;
    assert_eq!(provider.capture(order, &payment.reference).await, taken);
    assert!(provider.refund("more", &payment.reference, 2 * 1299 + 1).await.refused("more"));
    assert!(!provider.refund("all", &payment.reference, 2 * 1299).await.refused("all"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_cannot_do_it_says() {
    let provider = Provider::start().await;
    let order = OrderId::new();
    let payment = provider.authorize(order, "sandbox_ok").await;
    let capture = format!("/v1/payments/{}/capture", payment.reference);
    let amount = json!({ "amount": { "amount": 1299, "currency": "EUR" } });
    let key = format!("order:{order}:authorize");
    for (path, key, body, status) in [
        (capture.as_str(), key.as_str(), &amount, 422),
        ("/v1/payments/sbx_none/capture", "c", &amount, 404),
        (&capture, "", &amount, 400),
        (&capture, "c", &json!({ "amount": 1299 }), 400),
        ("/v1/payments", "a", &json!({ "amount": { "amount": -1, "currency": "EUR" }, "method": "sandbox_ok" }), 422),
        ("/v1/nothing", "n", &amount, 404),
    ] {
        let (answered, said) = provider.try_post(path, key, body).await;
        assert_eq!(answered, status, "{path} {key}: {said}");
    }
    assert_eq!(provider.operations().await.len(), 1);
    assert_eq!(provider.try_get("/v1/payments/sbx_none").await.0, 404);
    assert_eq!(provider.try_get("/v1/payments?authorization=nobody").await.0, 404);
    assert_eq!(provider.unsigned_get("/v1/operations").await, 401);
}
