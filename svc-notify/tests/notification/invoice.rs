//! InvoiceRendered → invoice

use nats::{
    contracts::{
        invoice::{GetInvoiceMail, InvoiceMail, InvoiceRendered},
        user::Unknown,
    },
    types::{Currency, InvoiceId, Money, UserId},
};
use stack::bed::Bed;

use super::given::{address, entries, everybody_is_called, mail, register, run};

#[tokio::test(flavor = "multi_thread")]
async fn the_buyer_gets_a_link_that_leads_to_the_document() {
    let (bed, user) = (Bed::start().await, UserId::new());
    everybody_is_called(&bed, "Ada", "en").await;
    bed.answer::<GetInvoiceMail>(move |question| {
        Ok(InvoiceMail {
            email: address(user).parse().unwrap(),
            name: "Atelier Sud SARL".to_owned(),
            locale: "en".parse().unwrap(),
            number: "WEB-2026-000042".to_owned(),
            order_number: None,
            total: Money::new(1_299, Currency::EUR),
            link: format!("/v1/invoices/{}/documents/pdf?token=a.b&x=1", question.invoice_id),
        })
    })
    .await;
    let (_running, catcher) = run(&bed).await;
    let invoice_id = InvoiceId::new();
    bed.publish_twice(&InvoiceRendered { invoice_id, order_id: None, user_id: user }).await;
    let mail = mail(catcher, user, "WEB-2026-000042").await;
    let link = format!("https://shop.example/v1/invoices/{invoice_id}/documents/pdf?token=a.b&x=1");
    assert!(mail.text.contains(&link), "{}", mail.text);
    assert!(mail.html.contains(&link.replace('&', "&amp;").replace('=', "&#x3D;")), "{}", mail.html);
    assert!(mail.text.contains("€12.99") && mail.text.contains("Atelier Sud SARL"), "{}", mail.text);
    assert!(!mail.text.contains("Order:"), "an uploaded invoice has no order: {}", mail.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_without_an_address_is_not_mailed() {
    let (bed, user) = (Bed::start().await, UserId::new());
    everybody_is_called(&bed, "Ada", "en").await;
    bed.answer::<GetInvoiceMail>(|_| Err(Unknown::Unknown)).await;
    let (_running, catcher) = run(&bed).await;
    bed.publish(&InvoiceRendered { invoice_id: InvoiceId::new(), order_id: None, user_id: user }).await;
    let later = register(&bed).await;
    mail(catcher, later, "Welcome").await;
    assert_eq!(entries(&bed, user).await, []);
    assert!(bed.dead_letters().await.is_empty());
}
