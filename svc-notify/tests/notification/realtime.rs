//! Events → messages in real time, one each; `get_messages`.

use std::collections::BTreeSet;

use diesel::{sql_query, sql_types};
use diesel_async::RunQueryDsl;
use nats::{
    contracts::{
        Event,
        invoice::{GetInvoiceMail, InvoiceRendered},
        notify::{GetMessages, Message, MessageAbout, MessageKind, MessagePosted, Messages},
        order::{CancelReason, OrderCanceled, OrderCompleted, OrderConfirmed, OrderPlaced},
        payment::{DeclineReason, PaymentCaptured, PaymentFailed, PaymentRefunded},
        user::Unknown,
    },
    types::{Currency, InvoiceId, Money, OrderId, PaymentId, RefundId, UserId},
};
use stack::bed::Bed;

use super::given::{every_order_is, everybody_is_called, free_port, run_at};

fn euro(cents: i64) -> Money {
    Money::new(cents, Currency::EUR)
}

fn placed(user_id: UserId) -> OrderPlaced {
    OrderPlaced { order_id: OrderId::new(), user_id, total: euro(6_428), payment_method: "sandbox_ok".to_owned() }
}

async fn messages(bed: &Bed, user_id: UserId, after: Option<i64>, limit: i64) -> Messages {
    bed.call(&GetMessages { user_id, after, limit }).await.unwrap()
}

/// The messages to somebody, once there are so many.
async fn until(bed: &Bed, user_id: UserId, count: usize) -> Vec<Message> {
    bed.wait_for("the messages", || async {
        let found = messages(bed, user_id, Some(0), 500).await.messages;
        (found.len() >= count).then_some(found)
    })
    .await
}

fn sequences(messages: &[Message]) -> Vec<i64> {
    messages.iter().map(|message| message.sequence).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_leads_to_one_message_to_whom_it_concerns() {
    let (bed, user_id) = (Bed::start().await, UserId::new());
    everybody_is_called(&bed, "Ada", "en").await;
    every_order_is(&bed, user_id, "Desk lamp").await;
    bed.answer::<GetInvoiceMail>(|_| Err(Unknown::Unknown)).await;
    let _running = run_at(&bed, free_port()).await;
    let (order_id, payment_id, refund_id, invoice_id) =
        (OrderId::new(), PaymentId::new(), RefundId::new(), InvoiceId::new());

    bed.publish_twice(&OrderPlaced { order_id, ..placed(user_id) }).await;
    until(&bed, user_id, 1).await;
    bed.publish_twice(&PaymentCaptured { payment_id, order_id, user_id, amount: euro(6_428) }).await;
    until(&bed, user_id, 2).await;
    bed.publish_twice(&OrderConfirmed { order_id, user_id, total: euro(6_428) }).await;
    until(&bed, user_id, 3).await;
    bed.publish_twice(&InvoiceRendered { invoice_id, order_id: Some(order_id), user_id }).await;
    until(&bed, user_id, 4).await;
    bed.publish_twice(&OrderCompleted { order_id, user_id }).await;
    until(&bed, user_id, 5).await;
    bed.publish_twice(&PaymentRefunded { payment_id, order_id, refund_id, amount: euro(100) }).await;
    until(&bed, user_id, 6).await;
    bed.publish_twice(&PaymentFailed { payment_id, order_id, user_id, reason: DeclineReason::InsufficientFunds }).await;
    until(&bed, user_id, 7).await;
    bed.publish_twice(&OrderCanceled { order_id, user_id, reason: CancelReason::OutOfStock }).await;
    let told = until(&bed, user_id, 8).await;

    let order = || MessageAbout {
        order_id: Some(order_id),
        link: Some(format!("/v1/orders/{order_id}")),
        ..MessageAbout::default()
    };
    let payment = || MessageAbout {
        order_id: Some(order_id),
        payment_id: Some(payment_id),
        link: Some(format!("/v1/payments/{payment_id}")),
        ..MessageAbout::default()
    };
    let invoice = MessageAbout {
        order_id: Some(order_id),
        invoice_id: Some(invoice_id),
        link: Some(format!("/v1/invoices/{invoice_id}/documents/pdf")),
        ..MessageAbout::default()
    };
    let text = |text: &str| Some(text.to_owned());
    let expected = [
        (MessageKind::OrderPlaced, MessageAbout { amount: Some(euro(6_428)), ..order() }),
        (MessageKind::PaymentCaptured, MessageAbout { amount: Some(euro(6_428)), ..payment() }),
        (MessageKind::OrderConfirmed, MessageAbout { amount: Some(euro(6_428)), ..order() }),
        (MessageKind::InvoiceRendered, invoice),
        (MessageKind::OrderCompleted, order()),
        (
            MessageKind::PaymentRefunded,
            MessageAbout { refund_id: Some(refund_id), amount: Some(euro(100)), ..payment() },
        ),
        (MessageKind::PaymentFailed, MessageAbout { reason: text("insufficient_funds"), ..payment() }),
        (MessageKind::OrderCanceled, MessageAbout { reason: text("out_of_stock"), ..order() }),
    ];
    let found: Vec<_> = told.iter().map(|message| (message.kind, message.about.clone())).collect();
    assert_eq!(found, expected);
    assert_eq!(sequences(&told), (1..=8).collect::<Vec<_>>());
    // The same on the person's own subject.
    let last = MessagePosted { user_id, message: told[7].clone() };
    bed.event::<MessagePosted>(|posted| *posted == last).await;
    let posted = bed.events::<MessagePosted>(|_| true).await;
    assert_eq!(posted.iter().map(|posted| posted.message.clone()).collect::<Vec<_>>(), told);
    assert_eq!(posted[0].subject(), format!("evt.message.posted.{user_id}"));
    assert!(bed.dead_letters().await.is_empty());
    assert_eq!(bed.broken_invariants("notify").await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_to_one_person_are_told_in_their_order_whatever_happens_at_once() {
    const EACH: usize = 40;
    let bed = Bed::start().await;
    let _running = (run_at(&bed, free_port()).await, run_at(&bed, free_port()).await);
    let people = [UserId::new(), UserId::new()];
    for _ in 0..EACH {
        for user_id in people {
            bed.publish(&placed(user_id)).await;
        }
    }
    let everything: Vec<i64> = (1..=40).collect();
    for user_id in people {
        let told = until(&bed, user_id, EACH).await;
        assert_eq!(sequences(&told), everything);
        let posted = bed
            .wait_for("everything to be told", || async {
                let posted = bed.events::<MessagePosted>(|posted| posted.user_id == user_id).await;
                (posted.len() >= EACH).then_some(posted)
            })
            .await;
        let in_stream: Vec<i64> = posted.iter().map(|posted| posted.message.sequence).collect();
        assert_eq!(in_stream, everything);
        let orders: BTreeSet<Option<OrderId>> = told.iter().map(|message| message.about.order_id).collect();
        assert_eq!(orders.len(), EACH);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_back_gets_what_came_after_the_message_they_have_and_only_their_own() {
    let bed = Bed::start().await;
    let _running = run_at(&bed, free_port()).await;
    let (ada, eve, nobody) = (UserId::new(), UserId::new(), UserId::new());
    for user_id in [ada, eve, ada, eve, ada] {
        bed.publish(&placed(user_id)).await;
    }
    let (of_ada, of_eve) = (until(&bed, ada, 3).await, until(&bed, eve, 2).await);
    let ids = |messages: &[Message]| messages.iter().map(|message| message.id).collect::<BTreeSet<_>>();
    assert!(ids(&of_ada).is_disjoint(&ids(&of_eve)));

    for (after, limit, expected) in [
        (None, 500, vec![]),
        (Some(0), 2, vec![1, 2]),
        (Some(1), 500, vec![2, 3]),
        (Some(1), -1, vec![2]),
        (Some(3), 500, vec![]),
        (Some(i64::MAX), 500, vec![]),
        (Some(i64::MIN), 500, vec![1, 2, 3]),
    ] {
        let answer = messages(&bed, ada, after, limit).await;
        assert_eq!((sequences(&answer.messages), answer.last), (expected, 3), "after {after:?}, {limit} of them");
    }
    assert_eq!(messages(&bed, nobody, Some(0), 10).await, Messages { messages: vec![], last: 0 });
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_forgotten_after_a_week_and_the_sequence_goes_on() {
    let (bed, user_id) = (Bed::start().await, UserId::new());
    let running = run_at(&bed, free_port()).await;
    for _ in 0..3 {
        bed.publish(&placed(user_id)).await;
    }
    until(&bed, user_id, 3).await;
    running.stop().await;
    sql_query(
        "update message set created_at = now() - interval '1 week'
             + case sequence when 3 then interval '1 minute' else interval '-1 minute' end
         where user_id = $1",
    )
    .bind::<sql_types::Uuid, _>(user_id)
    .execute(&mut bed.sql("notify").await)
    .await
    .unwrap();

    let _running = run_at(&bed, free_port()).await;
    bed.wait_for("the old messages to be forgotten", || async {
        let kept = messages(&bed, user_id, Some(0), 500).await;
        (sequences(&kept.messages) == [3] && kept.last == 3).then_some(())
    })
    .await;
    bed.publish(&placed(user_id)).await;
    let told = until(&bed, user_id, 2).await;

    assert_eq!(sequences(&told), [3, 4]);
    assert_eq!(bed.broken_invariants("notify").await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_is_found_by_the_audit() {
    let (bed, user_id) = (Bed::start().await, UserId::new());
    let _running = run_at(&bed, free_port()).await;
    for _ in 0..3 {
        bed.publish(&placed(user_id)).await;
    }
    until(&bed, user_id, 3).await;
    sql_query("delete from message where sequence = 2").execute(&mut bed.sql("notify").await).await.unwrap();

    let broken = bed.broken_invariants("notify").await;

    assert_eq!(broken.len(), 1, "{broken:?}");
    assert!(broken[0].invariant.contains("without a gap"), "{broken:?}");
    assert!(broken[0].violations[0].starts_with(&user_id.to_string()), "{broken:?}");
}
