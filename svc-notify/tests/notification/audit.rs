//! What svc-notify tells the operator.

use diesel::sql_query;
use diesel_async::RunQueryDsl;
use nats::{
    contracts::{
        invoice::{GetInvoiceMail, InvoiceMail, InvoiceRendered},
        notify::{AuditMails, AuditedMail},
        operations::AuditCheck,
        order::{CancelReason, OrderCanceled, OrderConfirmed},
    },
    types::{Currency, InvoiceId, Money, OrderId, UserId},
};
use stack::bed::Bed;

use super::given::{address, every_order_is, everybody_is_called, free_port, logged, register, run, run_at};

async fn sql(bed: &Bed, statement: &str) {
    sql_query(statement).execute(&mut bed.sql("notify").await).await.unwrap();
}

/// What does not hold, with its figures and violations.
async fn broken(bed: &Bed) -> Vec<AuditCheck> {
    bed.broken_invariants("notify").await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_orders_mails_are_counted_by_what_they_say() {
    let (bed, user) = (Bed::start().await, UserId::new());
    everybody_is_called(&bed, "Ada", "en").await;
    every_order_is(&bed, user, "Desk lamp").await;
    bed.answer::<GetInvoiceMail>(move |_| {
        Ok(InvoiceMail {
            email: address(user).parse().unwrap(),
            name: "Ada".to_owned(),
            locale: "en".parse().unwrap(),
            number: "A-2026-000042".to_owned(),
            order_number: None,
            total: Money::new(1_299, Currency::EUR),
            link: "/v1/invoices/x".to_owned(),
        })
    })
    .await;
    let (_running, _) = run(&bed).await;
    let mut orders = [OrderId::new(), OrderId::new(), OrderId::new()];
    orders.sort();
    let [paid, lost, invoiced] = orders;
    let total = Money::new(12_483, Currency::EUR);
    bed.publish_twice(&OrderConfirmed { order_id: paid, user_id: user, total }).await;
    bed.publish(&OrderCanceled { order_id: lost, user_id: user, reason: CancelReason::PaymentFailed }).await;
    for order_id in [Some(invoiced), None] {
        bed.publish(&InvoiceRendered { invoice_id: InvoiceId::new(), order_id, user_id: user }).await;
    }
    register(&bed).await;

    let mails = |order_id, confirmations, cancellations, invoices| AuditedMail {
        order_id,
        confirmations,
        cancellations,
        invoices,
        unsent: 0,
    };
    let expected = [mails(paid, 1, 0, 0), mails(lost, 0, 1, 0), mails(invoiced, 0, 0, 1)];
    bed.wait_for("every order's mail is sent", || async {
        let page = bed.call(&AuditMails { after: None, limit: 100 }).await.unwrap();
        (page.orders == expected).then_some(())
    })
    .await;
    let page = bed.call(&AuditMails { after: Some(paid), limit: 1 }).await.unwrap();
    assert_eq!(page.orders, expected[1..2], "the page after the first");
    assert!(bed.call(&AuditMails { after: Some(invoiced), limit: 1 }).await.unwrap().orders.is_empty());
    assert_eq!(broken(&bed).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_waits_too_long_is_found() {
    let bed = Bed::start().await;
    everybody_is_called(&bed, "Ada", "en").await;
    let _running = run_at(&bed, free_port()).await;
    let user = register(&bed).await;
    logged(&bed, user, "it was tried", |entry| entry.attempts > 0 && entry.state == "queued").await;
    assert_eq!(broken(&bed).await, [], "it waits for moments");

    sql(&bed, "update notification set give_up_at = give_up_at - interval '11 minutes'").await;
    let late = broken(&bed).await;
    assert_eq!(late.len(), 1, "{late:?}");
    assert!(late[0].figures.contains("1 waiting, 1 of them for over ten minutes"), "{late:?}");
    assert!(late[0].violations[0].starts_with("ntf_") && late[0].violations[0].contains("welcome"), "{late:?}");

    sql(&bed, "update notification set state = 'failed', next_try_at = null").await;
    assert_eq!(broken(&bed).await, [], "what has failed does not wait, and can be seen");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notification_without_its_mail_is_found() {
    let bed = Bed::start().await;
    everybody_is_called(&bed, "Ada", "en").await;
    let _running = run_at(&bed, free_port()).await;
    let user = register(&bed).await;
    logged(&bed, user, "it is there", |_| true).await;
    sql(&bed, "delete from mail").await;
    let without = broken(&bed).await;
    assert!(without.len() == 1 && without[0].violations[0].contains("has no mail"), "{without:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_was_told_twice_is_found() {
    let bed = Bed::start().await;
    everybody_is_called(&bed, "Ada", "en").await;
    let (_running, _) = run(&bed).await;
    let user = register(&bed).await;
    logged(&bed, user, "it is sent", |entry| entry.state == "sent").await;
    assert_eq!(broken(&bed).await, []);
    sql(&bed, "alter table notification drop constraint notification_event_id_template_key").await;
    sql(
        &bed,
        "insert into notification (id, channel, template, subject, event_id, traceparent, request_id)
         select gen_random_uuid(), channel, template, subject, event_id, '', '' from notification",
    )
    .await;
    let twice = broken(&bed).await;
    assert!(twice.iter().any(|check| check.violations[0].contains("2 mails")), "{twice:?}");
}
