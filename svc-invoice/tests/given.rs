//! What the tests begin with: the sample invoice, an order, a running service.

use std::{
    io::Write as _,
    process::{Command, Stdio},
    time::Duration,
};

use nats::{
    contracts::{
        order::{GetOrder, OrderConfirmed, OrderDetails, OrderLine},
        user::{GetUserDetails, Preferences, UserDetails},
    },
    service::Running,
    types::{Currency, Money, OrderId, TaxCategory, UserId},
};
use serde_json::{Value, json};
use stack::bed::{Bed, Client};

pub(crate) const SAMPLE: &str = include_str!("../../tests/seed/invoice.json");

/// The sample invoice, asking for what can be rendered. It comes to 184.80 + 4.90 net, 36.04 tax, 225.74.
pub(crate) fn invoice() -> Value {
    let mut invoice: Value = serde_json::from_str(SAMPLE).unwrap();
    invoice["formats"] = json!(["pdf"]);
    invoice
}

/// The service with WeasyPrint, and with patience for a busy machine.
pub(crate) async fn service(bed: &Bed) -> Running {
    let program = stack::weasyprint::binary().unwrap().display().to_string();
    bed.run_with(svc_invoice::service(), &[("WEASYPRINT", &program), ("RENDER_DEADLINE_S", "60")]).await
}

/// The service where nobody installed WeasyPrint: invoices are issued, documents are not made.
pub(crate) async fn service_without_weasyprint(bed: &Bed) -> Running {
    bed.run_with(svc_invoice::service(), &[("WEASYPRINT", "/nonexistent/weasyprint")]).await
}

/// Uploads and returns the id.
pub(crate) async fn uploaded(client: &Client, invoice: &Value) -> String {
    let answer = client.post("/v1/invoices", invoice).send().await;
    assert_eq!(answer.status, 202, "{answer}");
    answer.text("/id")
}

/// The invoice once it has its number.
pub(crate) async fn issued(bed: &Bed, client: &Client, id: &str) -> Value {
    bed.wait_for("the invoice is issued", || async {
        let answer = client.get(&format!("/v1/invoices/{id}")).send().await;
        assert_eq!(answer.status, 200, "{answer}");
        (answer.json["state"] != "draft").then_some(answer.json)
    })
    .await
}

/// The invoice once its document, the only one, is in `state`.
pub(crate) async fn document(client: &Client, id: &str, state: &str) -> Value {
    format(client, id, "pdf", state).await
}

/// The invoice once its document of this format is in `state`; rendering may take long where many tests run.
pub(crate) async fn format(client: &Client, id: &str, format: &str, state: &str) -> Value {
    let what = format!("the {format} of {id} is {state}");
    let found = stack::wait::wait_for(&what, Duration::from_secs(180), || async {
        let answer = client.get(&format!("/v1/invoices/{id}")).send().await;
        let documents = answer.json["documents"].as_array().cloned().unwrap_or_default();
        let there = documents.iter().any(|document| document["format"] == format && document["state"] == state);
        Ok::<_, String>(there.then_some(answer.json))
    });
    found.await.unwrap()
}

/// An order of two kinds of goods to Lyon, with shipping: 99.80 + 19.00 + 12.90 net, 25.02 tax, 156.72.
pub(crate) fn order(user_id: UserId) -> OrderDetails {
    let eur = |amount| Money::new(amount, Currency::EUR);
    let line = |sku: &str, name: &str, quantity: i64, price: i64| OrderLine {
        sku: sku.parse().unwrap(),
        name: name.to_owned(),
        quantity: quantity.try_into().unwrap(),
        unit_price: eur(price),
        tax_category: TaxCategory::Standard,
        tax_rate: "19".to_owned(),
        net: eur(price * quantity),
    };
    OrderDetails {
        order_id: OrderId::new(),
        number: "A-100023".to_owned(),
        user_id,
        email: "claire@example.com".parse().unwrap(),
        placed_at: chrono::Utc::now(),
        shipping_address: serde_json::from_value(json!({
            "name": "Claire Fontaine", "company": "Atelier Sud SARL", "line1": "12 rue de la Paix",
            "city": "Lyon", "postal_code": "69002", "country": "FR",
        }))
        .unwrap(),
        lines: vec![line("LMP-1", "Desk lamp", 2, 4990), line("BOK-7", "Handbook of lighting", 1, 1900)],
        shipping: eur(1290),
        shipping_tax_category: TaxCategory::Standard,
        shipping_tax_rate: "19".to_owned(),
        tax_total: eur(2502),
        total: eur(15672),
        company: None,
    }
}

/// Stands in for the services that know the order and its customer.
pub(crate) async fn known(bed: &Bed, order: &OrderDetails) {
    let answered = order.clone();
    bed.answer::<GetOrder>(move |_| Ok(answered.clone())).await;
    knows_users(bed, "fr-FR").await;
}

/// Stands in for svc-user: everyone reads this language.
pub(crate) async fn knows_users(bed: &Bed, locale: &'static str) {
    bed.answer::<GetUserDetails>(move |question| {
        Ok(UserDetails {
            user_id: question.user_id,
            email: "owner@example.com".parse().unwrap(),
            name: "Olga Owner".to_owned(),
            locale: locale.parse().unwrap(),
            preferences: Preferences::default(),
        })
    })
    .await;
}

pub(crate) fn confirmed(order: &OrderDetails) -> OrderConfirmed {
    OrderConfirmed { order_id: order.order_id, user_id: order.user_id, total: order.total }
}

/// The PDF's text, with every kind of blank made plain.
pub(crate) fn text_of(pdf: &[u8]) -> String {
    let mut reader = Command::new("pdftotext")
        .args(["-layout", "-", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("pdftotext, of the package poppler-utils");
    let mut stdin = reader.stdin.take().unwrap();
    let pdf = pdf.to_vec();
    let writing = std::thread::spawn(move || stdin.write_all(&pdf).unwrap());
    let output = reader.wait_with_output().unwrap();
    writing.join().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().replace(['\u{a0}', '\u{202f}'], " ")
}
