//! OrderConfirmed → order_confirmed, OrderCanceled → order_canceled

use nats::{
    contracts::{
        order::{CancelReason, OrderCanceled, OrderConfirmed},
        user::{GetUserDetails, Unknown},
    },
    types::{Currency, Money, OrderId, UserId},
};
use stack::bed::Bed;

use super::given::{entries, every_order_is, everybody_is_called, logged, mail, mails_to, run};

fn confirmed(user_id: UserId) -> OrderConfirmed {
    OrderConfirmed { order_id: OrderId::new(), user_id, total: Money::new(12_483, Currency::EUR) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmed_order_is_shown_with_lines_totals_and_address() {
    let (bed, user) = (Bed::start().await, UserId::new());
    everybody_is_called(&bed, "Ada Lovelace", "de-DE").await;
    every_order_is(&bed, user, "Tischlampe <Messing>").await;
    let (_running, catcher) = run(&bed).await;
    bed.publish_twice(&confirmed(user)).await;
    let mail = mail(catcher, user, "Bestellung A-100023").await;
    assert_eq!(mail.subject, "Bestellung A-100023 ist bestätigt");
    for said in [
        "Ada Lovelace",
        "A-100023",
        "20. November 2026",
        "LMP-1",
        "2 × 50,00\u{a0}€",
        "100,00\u{a0}€",
        "4,90\u{a0}€",
        "19,93\u{a0}€",
        "124,83\u{a0}€",
        "Speicherstadt 4",
        "20457 Hamburg",
        "Deutschland",
    ] {
        assert!(mail.text.contains(said), "the text lacks {said}: {}", mail.text);
        assert!(
            mail.html.contains(said) || mail.html.contains(&said.replace('\u{a0}', "&nbsp;")),
            "the page lacks {said}"
        );
    }
    assert!(mail.text.contains("Tischlampe <Messing>"), "{}", mail.text);
    assert!(mail.html.contains("Tischlampe &lt;Messing&gt;"), "{}", mail.html);
    logged(&bed, user, "it is sent", |entry| entry.state == "sent").await;
    assert_eq!((entries(&bed, user).await.len(), mails_to(catcher, user).await), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declined_payment_is_said_plainly() {
    let (bed, user) = (Bed::start().await, UserId::new());
    everybody_is_called(&bed, "Ada Lovelace", "en").await;
    every_order_is(&bed, user, "Desk lamp").await;
    let (_running, catcher) = run(&bed).await;
    let canceled = OrderCanceled { order_id: OrderId::new(), user_id: user, reason: CancelReason::PaymentFailed };
    bed.publish(&canceled).await;
    let mail = mail(catcher, user, "A-100023").await;
    assert_eq!(mail.subject, "Order A-100023 is canceled");
    for body in [&mail.text, &mail.html] {
        assert!(body.contains("Your payment was declined") && body.contains("Nothing was charged."), "{body}");
        assert!(body.contains("Desk lamp"), "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_outlives_its_account() {
    let (bed, user) = (Bed::start().await, UserId::new());
    bed.answer::<GetUserDetails>(|_| Err(Unknown::Unknown)).await;
    every_order_is(&bed, user, "Desk lamp").await;
    let (_running, catcher) = run(&bed).await;
    bed.publish(&confirmed(user)).await;
    let mail = mail(catcher, user, "A-100023").await;
    assert!(mail.text.contains("Hello,\n"), "{}", mail.text);
}
