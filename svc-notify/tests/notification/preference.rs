//! What people prefer decides which mails they get.

use nats::{
    contracts::{
        invoice::{GetInvoiceMail, InvoiceMail, InvoiceRendered},
        order::OrderConfirmed,
        user::{AccountMail, EmailPreferences, GetPasswordResetMail, Preferences, UserPasswordResetRequested},
    },
    types::{Currency, InvoiceId, Money, NotificationId, OrderId, UserId},
};
use serde_json::json;
use stack::bed::Bed;

use super::given::{address, entries, every_order_is, everybody_prefers, logged, mail, mails_to, run};

/// A bed in which nobody wants mails about these.
async fn start(orders: bool, invoices: bool) -> (Bed, UserId) {
    let (bed, user) = (Bed::start().await, UserId::new());
    let preferences = Preferences { emails: EmailPreferences { orders, invoices }, ..Preferences::default() };
    everybody_prefers(&bed, ("Ada", "en"), preferences).await;
    every_order_is(&bed, user, "Desk lamp").await;
    (bed, user)
}

/// svc-invoice has every invoice, and its mail goes there.
async fn invoices_go_to(bed: &Bed, email: String) {
    bed.answer::<GetInvoiceMail>(move |question| {
        Ok(InvoiceMail {
            email: email.parse().unwrap(),
            name: "Ada".to_owned(),
            locale: "en".parse().unwrap(),
            number: "WEB-2026-000042".to_owned(),
            order_number: None,
            total: Money::new(1_299, Currency::EUR),
            link: format!("/v1/invoices/{}/documents/pdf?token=a.b", question.invoice_id),
        })
    })
    .await;
}

fn confirmed(user_id: UserId) -> OrderConfirmed {
    OrderConfirmed { order_id: OrderId::new(), user_id, total: Money::new(12_483, Currency::EUR) }
}

fn rendered(user_id: UserId) -> InvoiceRendered {
    InvoiceRendered { invoice_id: InvoiceId::new(), order_id: None, user_id }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_is_not_wanted_is_noted_and_not_sent() {
    let (bed, user) = start(false, true).await;
    invoices_go_to(&bed, address(user)).await;
    let (_running, catcher) = run(&bed).await;
    bed.publish_twice(&confirmed(user)).await;
    logged(&bed, user, "it is suppressed", |entry| entry.state == "suppressed" && entry.attempts == 0).await;
    bed.publish(&rendered(user)).await;
    mail(catcher, user, "WEB-2026-000042").await;
    assert_eq!(mails_to(catcher, user).await, 1, "what is wanted is sent");
    assert_eq!(entries(&bed, user).await.len(), 2, "one event, one entry");

    let ada = bed.customer_with_id(user);
    let suppressed = ada.get("/v1/notifications?state=suppressed").send().await;
    assert_eq!(suppressed.at("/data/0/template"), "order_confirmed", "whoever misses it sees why: {suppressed}");
    assert_eq!(suppressed.at("/data/1"), &json!(null));
    let id: NotificationId = suppressed.text("/data/0/id").parse().unwrap();
    bed.staff().request("POST", &format!("/v1/notifications/{id}/retry")).send().await.problem("conflict", "");
    assert!(bed.broken_invariants("notify").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_is_a_matter_of_preference_in_ones_own_mailbox_only() {
    let (bed, user) = start(true, false).await;
    let bookkeeping = UserId::new();
    invoices_go_to(&bed, address(bookkeeping)).await;
    let (_running, catcher) = run(&bed).await;
    bed.publish(&rendered(user)).await;
    mail(catcher, bookkeeping, "WEB-2026-000042").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_prefers_not_to_get_back_into_their_account() {
    let (bed, user) = start(false, false).await;
    bed.answer::<GetPasswordResetMail>(|question| {
        let email = address(question.user_id).parse().unwrap();
        let (name, locale) = ("Ada".to_owned(), "en".parse().unwrap());
        Ok(AccountMail { email, name, locale, link: "/password-reset#token=t".to_owned() })
    })
    .await;
    let (_running, catcher) = run(&bed).await;
    bed.publish(&UserPasswordResetRequested { user_id: user }).await;
    mail(catcher, user, "password").await;
}
