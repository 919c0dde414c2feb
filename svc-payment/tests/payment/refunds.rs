//! POST and GET /v1/payments/{id}/refunds

use nats::{
    contracts::{order::OrderPlaced, payment::PaymentRefunded},
    identity::{Permission, Permissions},
    types::PaymentId,
};
use serde_json::{Value, json};
use stack::bed::{Bed, Client};

use super::ledger::{assert_captured, assert_refunded, canceled, kept, number, order, settled, when};
use crate::provider::Provider;

fn refund(amount: i64) -> Value {
    json!({ "amount": { "amount": amount, "currency": "EUR" }, "reason": "The box was open." })
}

/// The path of the refunds of a captured payment of 12.99 EUR, whose owner this is.
async fn paid(bed: &Bed, owner: &Client, method: &str) -> (OrderPlaced, String) {
    let placed = OrderPlaced { user_id: owner.user_id(), ..order(method) };
    bed.publish(&placed).await;
    settled(bed, placed.order_id).await;
    let listed = owner.get(&format!("/v1/orders/{}/payments", placed.order_id)).send().await;
    (placed, format!("/v1/payments/{}/refunds", listed.text("/data/0/id")))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_is_refunded_in_parts_and_never_beyond_what_was_captured() {
    let (bed, provider) = (Bed::start().await, Provider::start().await);
    let _running = provider.run(&bed).await;
    let (alice, staff) = (bed.customer(), bed.staff());
    let (placed, path) = paid(&bed, &alice, "sandbox_ok").await;

    let first = staff.post(&path, &refund(300)).key("first").send().await;
    assert_eq!(first.status, 201, "{first}");
    let location = first.header("location").unwrap().to_owned();
    assert_eq!(location, format!("{path}/{}", first.text("/id")));
    for (pointer, expected) in [
        ("/payment_id", json!(path.split('/').nth(3))),
        ("/amount", json!({"amount": 300, "currency": "EUR"})),
        ("/reason", json!("The box was open.")),
        ("/status", json!("pending")),
        ("/failure", json!(null)),
    ] {
        assert_eq!(first.at(pointer), &expected, "{pointer} in {first}");
    }
    let event: PaymentRefunded = bed.event(|event: &PaymentRefunded| event.amount.amount == 300).await;
    assert_eq!((event.order_id, event.refund_id.to_string()), (placed.order_id, first.text("/id")));
    let made = alice.get(&location).send().await;
    assert_eq!((made.status, made.text("/status")), (200, "succeeded".to_owned()), "{made}");

    let much = staff.post(&path, &refund(1000)).key("much").send().await;
    assert_eq!(much.status, 409, "{much}");
    much.problem("conflict", "/amount/amount");
    assert!(much.text("/detail").contains("9.99 EUR is left"), "{much}");

    let rest = staff.post(&path, &refund(999)).key("rest").send().await;
    assert_eq!(rest.status, 201, "{rest}");
    let nothing = staff.post(&path, &refund(1)).key("nothing").send().await;
    assert_eq!(nothing.status, 409, "what is about to go back is not there any more: {nothing}");
    bed.event(|event: &PaymentRefunded| event.amount.amount == 999).await;
    assert_captured(&bed, &provider, 1).await;
    assert_refunded(&bed, &provider, 2).await;
    assert_eq!(kept(&bed).await, 0);

    let listed = alice.get(&format!("{path}?limit=1")).send().await;
    assert_eq!(listed.at("/data/0/id"), first.at("/id"), "{listed}");
    let next = alice.get(&format!("{path}?limit=1&cursor={}", listed.text("/next_cursor"))).send().await;
    assert_eq!((next.at("/data/0/id"), next.at("/next_cursor")), (rest.at("/id"), &Value::Null), "{next}");
    let payment = alice.get(&format!("/v1/orders/{}/payments", placed.order_id)).send().await;
    assert_eq!(payment.at("/data/0/refunded/amount"), 1299, "{payment}");
    assert_eq!(payment.at("/data/0/status"), "succeeded", "{payment}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_refund_is_refused() {
    let (bed, provider) = (Bed::start().await, Provider::start().await);
    let _running = provider.run(&bed).await;
    let (alice, bob, staff) = (bed.customer(), bed.customer(), bed.staff());
    let (_, path) = paid(&bed, &alice, "sandbox_ok").await;
    let (_, declined) = paid(&bed, &alice, "sandbox_declined").await;
    let unknown = format!("/v1/payments/{}/refunds", PaymentId::new());
    let dollars = json!({ "amount": { "amount": 1, "currency": "USD" }, "reason": "r" });
    for (client, path, body, status, code, pointer) in [
        (&staff, &path, refund(0), 422, "invalid_request", "/amount/amount"),
        (&staff, &path, refund(-1), 422, "invalid_request", "/amount/amount"),
        (&staff, &path, refund(i64::MAX), 409, "conflict", "/amount/amount"),
        (&staff, &path, dollars, 422, "invalid_request", "/amount/currency"),
        (&staff, &path, json!({ "amount": { "amount": 1, "currency": "EUR" } }), 422, "invalid_request", "/reason"),
        (&staff, &path, json!({ "reason": "r" }), 422, "invalid_request", "/amount"),
        (&staff, &declined, refund(1), 409, "conflict", ""),
        (&staff, &unknown, refund(1), 404, "not_found", ""),
        (&alice, &path, refund(1), 403, "forbidden", ""),
    ] {
        let answer = client.post(path, &body).key("the-same").send().await;
        assert_eq!(answer.status, status, "{body}: {answer}");
        answer.problem(code, pointer);
    }
    let keyless = staff.post(&path, &refund(1)).send().await;
    assert_eq!(keyless.status, 400, "{keyless}");
    keyless.problem("idempotency_key_missing", "");
    assert_eq!(bed.nobody().post(&path, &refund(1)).key("k").send().await.status, 401);
    assert_eq!(bob.get(&path).send().await.status, 404, "it is not Bob's");
    assert_eq!(alice.get(&format!("{path}/rfd_01h455vb4pex5vsknk084sn02q")).send().await.status, 404);
    assert_eq!(number(&mut bed.sql("payment").await, "select count(*) from refund").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_is_the_same_refund() {
    let (bed, provider) = (Bed::start().await, Provider::start().await);
    let _running = provider.run(&bed).await;
    let (alice, staff) = (bed.customer(), bed.staff());
    let (_, path) = paid(&bed, &alice, "sandbox_ok").await;
    let first = staff.post(&path, &refund(300)).key("once").send().await;
    let again = staff.post(&path, &refund(300)).key("once").send().await;
    assert_eq!((again.status, &again.json, again.header("location")), (201, &first.json, first.header("location")));
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    let other = staff.post(&path, &refund(301)).key("once").send().await;
    assert_eq!(other.status, 422, "{other}");
    other.problem("idempotency_key_reused", "");
    bed.event(|_: &PaymentRefunded| true).await;
    assert_refunded(&bed, &provider, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refunds_at_the_same_time_share_what_is_left() {
    let (bed, provider) = (Bed::start().await, Provider::start().await);
    let _one = provider.run(&bed).await;
    let _other = provider.run(&bed).await;
    let (alice, staff) = (bed.customer(), bed.staff());
    let (_, path) = paid(&bed, &alice, "sandbox_ok").await;
    let asking: Vec<_> = (0..20)
        .map(|number| {
            let (staff, path) = (staff.clone(), path.clone());
            tokio::spawn(async move { staff.post(&path, &refund(200)).key(&format!("k{number}")).send().await })
        })
        .collect();
    let mut granted = 0;
    for answer in asking {
        let answer = answer.await.unwrap();
        match answer.status {
            201 => granted += 1,
            409 => answer.problem("conflict", "/amount/amount"),
            _ => panic!("{answer}"),
        }
    }
    assert_eq!(granted, 6, "six times 2.00 of 12.99");
    when(&bed, "every refund is made", "select count(*) from refund where status = 'succeeded'", 6).await;
    assert_refunded(&bed, &provider, 6).await;
    assert_captured(&bed, &provider, 1).await;
    assert_eq!(kept(&bed).await, 99);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_that_fails_can_be_asked_for_again() {
    let (bed, provider) = (Bed::start().await, Provider::start().await);
    let _running = provider.run(&bed).await;
    let (alice, staff) = (bed.customer(), bed.staff());
    let (_, path) = paid(&bed, &alice, "sandbox_refund_declined").await;
    for key in ["first", "second"] {
        let asked = staff.post(&path, &refund(1299)).key(key).send().await;
        assert_eq!(asked.status, 201, "{asked}");
        let location = asked.header("location").unwrap().to_owned();
        let failed = bed
            .wait_for("the refund to fail", || async {
                let seen = alice.get(&location).send().await;
                (seen.at("/status") == "failed").then_some(seen)
            })
            .await;
        assert_eq!(failed.at("/failure"), "the issuer declined the refund", "{failed}");
    }
    assert_refunded(&bed, &provider, 0).await;
    assert_captured(&bed, &provider, 1).await;
    bed.no_event::<PaymentRefunded>(|_| true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancellation_gives_back_what_is_left() {
    let (bed, provider) = (Bed::start().await, Provider::start().await);
    let _running = provider.run(&bed).await;
    let (alice, staff) = (bed.customer(), bed.staff());
    let (placed, path) = paid(&bed, &alice, "sandbox_ok").await;
    assert_eq!(staff.post(&path, &refund(300)).key("part").send().await.status, 201);
    bed.publish_twice(&canceled(&placed)).await;
    bed.event(|event: &PaymentRefunded| event.amount.amount == 999).await;
    when(&bed, "every refund is made", "select count(*) from refund where status = 'succeeded'", 2).await;
    assert_refunded(&bed, &provider, 2).await;
    assert_captured(&bed, &provider, 1).await;
    assert_eq!(kept(&bed).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_permission_lets_give_money_back_and_nothing_else_does() {
    let (bed, provider) = (Bed::start().await, Provider::start().await);
    let _running = provider.run(&bed).await;
    let (_placed, path) = paid(&bed, &bed.customer(), "sandbox_ok").await;
    let clerk = bed.holding(&[Permission::OrdersRefund]);
    let refunding = [Permission::OrdersRefund].into_iter().collect();
    let all_but_that: Vec<_> = Permissions::all().without(&refunding).iter().collect();

    let refused = bed.holding(&all_but_that).post(&path, &refund(300)).key("r1").send().await;
    refused.problem("forbidden", "");
    assert!(refused.text("/detail").contains("`orders:refund`"), "{refused}");
    let given = clerk.post(&path, &refund(300)).key("r2").send().await;

    assert_eq!(given.status, 201, "{given}");
    for target in [path.clone(), given.header("location").unwrap().to_owned(), path.replace("/refunds", "")] {
        clerk.get(&target).send().await.problem("not_found", "");
    }
}
