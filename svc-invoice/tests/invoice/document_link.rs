//! `svc.invoice.get_invoice_mail`, and the links it makes.

use diesel::sql_query;
use diesel_async::RunQueryDsl;
use nats::{
    contracts::{
        invoice::{GetInvoiceMail, InvoiceMail, InvoiceRendered},
        user::Unknown,
    },
    invoke::CallError,
    types::InvoiceId,
};
use serde_json::json;
use stack::bed::Bed;

use crate::given;

async fn mail_of(bed: &Bed, id: &str) -> InvoiceMail {
    bed.call(&GetInvoiceMail { invoice_id: id.parse().unwrap() }).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_opens_its_document_without_signing_in() {
    let bed = Bed::start().await;
    let _running = given::service(&bed).await;
    given::knows_users(&bed, "es-ES").await;
    let alice = bed.customer();
    let id = given::uploaded(&alice, &given::invoice()).await;
    let other = given::uploaded(&alice, &given::invoice()).await;
    given::document(&alice, &id, "rendered").await;
    given::document(&alice, &other, "rendered").await;

    let mail = mail_of(&bed, &id).await;
    assert_eq!(mail.email.as_str(), "owner@example.com", "an uploaded invoice goes back to its owner");
    assert_eq!((mail.name.as_str(), mail.locale.as_str()), ("Olga Owner", "es-ES"));
    assert_eq!((mail.number.len(), mail.total.amount, mail.order_number), (15, 22574, None));
    let (path, token) = mail.link.split_once("?token=").unwrap();
    assert_eq!(path, format!("/v1/invoices/{id}/documents/pdf"));
    assert_eq!(token.len(), 43, "256 bits in base64url");

    for client in [bed.nobody(), bed.customer()] {
        let file = client.get(&mail.link).send().await;
        assert_eq!(file.status, 200, "{file}");
        assert!(file.bytes.starts_with(b"%PDF-"));
    }
    let wrong = [
        path.to_owned(),
        format!("{path}?token="),
        format!("{path}?token={}", "A".repeat(43)),
        format!("{path}?token={}", token.to_lowercase()),
        format!("/v1/invoices/{other}/documents/pdf?token={token}"),
    ];
    for target in wrong {
        let answer = bed.nobody().get(&target).send().await;
        assert_eq!(answer.status, 404, "{target}: {answer}");
        answer.problem("not_found", "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_link_is_to_the_document_that_there_is() {
    let bed = Bed::start().await;
    let _running = given::service(&bed).await;
    given::knows_users(&bed, "en").await;
    let alice = bed.customer();
    let mut invoice = given::invoice();
    // The first cannot be made.
    invoice["formats"] = json!(["xlsx", "pdf"]);
    let id = given::uploaded(&alice, &invoice).await;
    bed.event::<InvoiceRendered>(|event| event.invoice_id.to_string() == id).await;
    let mail = mail_of(&bed, &id).await;
    assert!(mail.link.starts_with(&format!("/v1/invoices/{id}/documents/pdf?token=")), "{}", mail.link);
    assert_eq!(bed.nobody().get(&mail.link).send().await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_or_revoked_link_opens_nothing() {
    let bed = Bed::start().await;
    let _running = given::service(&bed).await;
    given::knows_users(&bed, "en").await;
    let alice = bed.customer();
    let id = given::uploaded(&alice, &given::invoice()).await;
    given::document(&alice, &id, "rendered").await;
    let mut sql = bed.sql("invoice").await;
    for end in ["expires_at = now() - interval '1 second'", "revoked_at = now()"] {
        let link = mail_of(&bed, &id).await.link;
        assert_eq!(bed.nobody().get(&link).send().await.status, 200);
        sql_query(format!("update document_link set {end}")).execute(&mut sql).await.unwrap();
        let answer = bed.nobody().get(&link).send().await;
        assert_eq!(answer.status, 404, "{end}: {answer}");
        assert_eq!(alice.get(&link).send().await.status, 200, "its owner needs no token");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orders_mail_goes_to_its_buyer() {
    let bed = Bed::start().await;
    let _running = given::service_without_weasyprint(&bed).await;
    let alice = bed.customer();
    let order = given::order(alice.user_id());
    given::known(&bed, &order).await;
    bed.publish(&given::confirmed(&order)).await;
    let issued =
        bed.event::<nats::contracts::invoice::InvoiceIssued>(|event| event.order_id == Some(order.order_id)).await;
    let mail = mail_of(&bed, &issued.invoice_id.to_string()).await;
    assert_eq!(mail.email, order.email);
    assert_eq!((mail.name.as_str(), mail.locale.as_str()), ("Claire Fontaine", "fr-FR"));
    assert_eq!((mail.order_number.as_deref(), mail.total), (Some("A-100023"), order.total));
    assert_eq!(mail.number, issued.number);
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_no_mail_about_what_is_not_there() {
    let bed = Bed::start().await;
    let _running = given::service_without_weasyprint(&bed).await;
    let refused = bed.call(&GetInvoiceMail { invoice_id: InvoiceId::new() }).await.unwrap_err();
    assert!(matches!(refused, CallError::Refused(Unknown::Unknown)), "{refused}");
}
