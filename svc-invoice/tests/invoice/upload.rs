//! `POST /v1/invoices`

use std::collections::BTreeSet;

use nats::contracts::invoice::{InvoiceUploaded, UPLOADS};
use serde_json::json;
use stack::bed::Bed;

use crate::given;

#[tokio::test(flavor = "multi_thread")]
async fn the_sample_is_accepted_issued_and_rendered() {
    let bed = Bed::start().await;
    let _running = given::service(&bed).await;
    let alice = bed.customer();

    let answer = alice.post("/v1/invoices", &given::invoice()).send().await;
    assert_eq!(answer.status, 202, "{answer}");
    let id = answer.text("/id");
    assert_eq!(answer.header("location"), Some(format!("/v1/invoices/{id}").as_str()));
    assert_eq!((answer.at("/state"), answer.at("/number")), (&json!("draft"), &json!(null)));
    assert_eq!(answer.at("/total"), &json!({"amount": 22574, "currency": "EUR"}));

    let invoice = given::document(&alice, &id, "rendered").await;
    assert_eq!(invoice["state"], "issued");
    assert_eq!(invoice["number"], "WEB-2026-000001");
    assert_eq!(invoice["lines"][1]["net"], json!({"amount": 8500, "currency": "EUR"}));
    assert_eq!(invoice["totals"]["tax_exclusive"]["amount"], 18970);
    assert_eq!(invoice["totals"]["tax_total"]["amount"], 3604);
    assert_eq!(invoice["totals"]["due"]["amount"], 22574);

    let file = alice.get(&format!("/v1/invoices/{id}/documents/pdf")).send().await;
    assert_eq!(file.status, 200, "{file}");
    assert_eq!(file.header("content-type"), Some("application/pdf"));
    assert_eq!(file.header("content-disposition"), Some("attachment; filename=\"Rechnung-WEB-2026-000001.pdf\""));
    assert_eq!(json!(file.bytes.len()), invoice["documents"][0]["size"]);
    let text = given::text_of(&file.bytes);
    for words in ["WEB-2026-000001", "189,70 €", "36,04 €", "225,74 €", "Atelier Sud SARL", "DE02 1203 0000"] {
        assert!(text.contains(words), "expected {words} in:\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_is_kept_byte_for_byte() {
    let bed = Bed::start().await;
    let _running = given::service_without_weasyprint(&bed).await;
    let sent = given::SAMPLE.replace(r#", "xlsx", "csv", "facturx", "ubl", "cii""#, "");
    let answer = bed
        .customer()
        .request("POST", "/v1/invoices")
        .raw(sent.clone(), "application/json; charset=utf-8")
        .send()
        .await;
    assert_eq!(answer.status, 202, "{answer}");
    let kept = bed.objects().get(UPLOADS, &answer.text("/id")).await.unwrap();
    assert_eq!(kept, sent.as_bytes(), "blanks and line ends included");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_is_uploaded_once_per_key() {
    let bed = Bed::start().await;
    let _running = given::service_without_weasyprint(&bed).await;
    let alice = bed.customer();
    let first = alice.post("/v1/invoices", &given::invoice()).key("k1").send().await;
    assert_eq!(first.status, 202, "{first}");
    let again = alice.post("/v1/invoices", &given::invoice()).key("k1").send().await;
    assert_eq!((again.status, &again.json), (202, &first.json), "the first answer is replayed");
    assert_eq!(again.header("location"), first.header("location"));
    assert_eq!(again.header("idempotency-replayed"), Some("true"));

    let mut other = given::invoice();
    other["note"] = json!("Another one.");
    let reused = alice.post("/v1/invoices", &other).key("k1").send().await;
    assert_eq!(reused.status, 422, "{reused}");
    reused.problem("idempotency_key_reused", "");

    let someone = bed.customer().post("/v1/invoices", &given::invoice()).key("k1").send().await;
    assert_ne!(someone.at("/id"), first.at("/id"), "a key is the caller's own");
    given::issued(&bed, &alice, &first.text("/id")).await;
    let of_first = bed.events::<InvoiceUploaded>(|event| event.invoice_id.to_string() == first.text("/id")).await;
    assert_eq!(of_first.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_requests_with_one_key_one_counts() {
    let bed = Bed::start().await;
    let _running = given::service_without_weasyprint(&bed).await;
    let alice = bed.customer();
    let requests = (0..8).map(|_| {
        let alice = alice.clone();
        tokio::spawn(async move { alice.post("/v1/invoices", &given::invoice()).key("k1").send().await })
    });
    let mut ids = BTreeSet::new();
    for request in requests.collect::<Vec<_>>() {
        let answer = request.await.unwrap();
        match answer.status {
            202 => drop(ids.insert(answer.text("/id"))),
            _ => answer.problem("idempotency_key_in_flight", ""),
        }
    }
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert_eq!(alice.get("/v1/invoices").send().await.at("/data").as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_of_ones_own_is_used_once_per_seller() {
    let bed = Bed::start().await;
    let _running = given::service_without_weasyprint(&bed).await;
    let (alice, bob) = (bed.customer(), bed.customer());
    let mut invoice = given::invoice();
    invoice["number"] = json!("2026/77");
    let id = given::uploaded(&alice, &invoice).await;
    assert_eq!(given::issued(&bed, &alice, &id).await["number"], "2026/77");

    let taken = alice.post("/v1/invoices", &invoice).send().await;
    assert_eq!(taken.status, 409, "{taken}");
    taken.problem("conflict", "/number");

    let of_bob = given::uploaded(&bob, &invoice).await;
    assert_eq!(given::issued(&bed, &bob, &of_bob).await["number"], "2026/77", "another account has books of its own");
    invoice["seller"]["vat_id"] = json!("DE999999999");
    given::uploaded(&alice, &invoice).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn uploading_needs_somebody() {
    let bed = Bed::start().await;
    let _running = given::service_without_weasyprint(&bed).await;
    let answer = bed.nobody().post("/v1/invoices", &given::invoice()).send().await;
    assert_eq!(answer.status, 401, "{answer}");
    answer.problem("unauthenticated", "");
    bed.no_event::<InvoiceUploaded>(|_| true).await;
}
