//! `invoice.uploaded` → a number.

use std::collections::BTreeSet;

use diesel::sql_query;
use diesel_async::RunQueryDsl;
use nats::contracts::invoice::{InvoiceIssued, InvoiceUploaded};
use serde_json::json;
use stack::bed::Bed;

use crate::given;

#[tokio::test(flavor = "multi_thread")]
async fn twenty_at_once_get_the_numbers_one_to_twenty() {
    let bed = Bed::start().await;
    // Two instances: the numbers are the database's, not a process's.
    let _one = given::service_without_weasyprint(&bed).await;
    let _other = given::service_without_weasyprint(&bed).await;
    let alice = bed.customer();
    let uploads = (0..20).map(|_| {
        let alice = alice.clone();
        tokio::spawn(async move { given::uploaded(&alice, &given::invoice()).await })
    });
    let mut numbers = BTreeSet::new();
    for upload in uploads.collect::<Vec<_>>() {
        let id = upload.await.unwrap();
        let invoice = given::issued(&bed, &alice, &id).await;
        numbers.insert(invoice["number"].as_str().unwrap().to_owned());
    }
    let expected: BTreeSet<String> = (1..=20).map(|number| format!("WEB-2026-{number:06}")).collect();
    assert_eq!(numbers, expected, "without a gap, each once");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_series_year_seller_and_account_counts_from_one() {
    let bed = Bed::start().await;
    let _running = given::service_without_weasyprint(&bed).await;
    let (alice, bob) = (bed.customer(), bed.customer());
    let number = async |client, change: serde_json::Value| {
        let mut invoice = given::invoice();
        invoice.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let id = given::uploaded(client, &invoice).await;
        given::issued(&bed, client, &id).await["number"].as_str().unwrap().to_owned()
    };
    assert_eq!(number(&alice, json!({})).await, "WEB-2026-000001");
    assert_eq!(number(&alice, json!({})).await, "WEB-2026-000002");
    assert_eq!(number(&alice, json!({"series": "B2B"})).await, "B2B-2026-000001");
    assert_eq!(number(&alice, json!({"issue_date": "2025-12-31"})).await, "WEB-2025-000001");
    assert_eq!(number(&bob, json!({})).await, "WEB-2026-000001");
    let mut seller = given::invoice()["seller"].clone();
    seller["vat_id"] = json!("DE 999 999 999");
    assert_eq!(number(&alice, json!({"seller": seller})).await, "WEB-2026-000001");
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_that_callers_brought_are_passed_over() {
    let bed = Bed::start().await;
    let _running = given::service_without_weasyprint(&bed).await;
    let alice = bed.customer();
    for own in ["WEB-2026-000001", "WEB-2026-000002", "WEB-2026-000004"] {
        let mut invoice = given::invoice();
        invoice["number"] = json!(own);
        given::uploaded(&alice, &invoice).await;
    }
    for expected in ["WEB-2026-000003", "WEB-2026-000005", "WEB-2026-000006"] {
        let id = given::uploaded(&alice, &given::invoice()).await;
        assert_eq!(given::issued(&bed, &alice, &id).await["number"], expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_event_issues_nothing_twice() {
    let bed = Bed::start().await;
    let _running = given::service_without_weasyprint(&bed).await;
    let alice = bed.customer();
    let id = given::uploaded(&alice, &given::invoice()).await;
    given::issued(&bed, &alice, &id).await;
    // The same fact under other ids, as after a stream was rebuilt by hand.
    bed.publish(&InvoiceUploaded { invoice_id: id.parse().unwrap() }).await;
    bed.publish_twice(&InvoiceUploaded { invoice_id: id.parse().unwrap() }).await;
    let next = given::uploaded(&alice, &given::invoice()).await;
    assert_eq!(given::issued(&bed, &alice, &next).await["number"], "WEB-2026-000002");
    let of_first = bed.events::<InvoiceIssued>(|event| event.invoice_id.to_string() == id).await;
    assert_eq!(of_first.len(), 1, "{of_first:?}");
    assert_eq!(of_first[0].number, "WEB-2026-000001");
    assert_eq!(of_first[0].user_id, alice.user_id());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_before_a_stop_is_issued_after_it() {
    let bed = Bed::start().await;
    let running = given::service_without_weasyprint(&bed).await;
    let alice = bed.customer();
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(given::uploaded(&alice, &given::invoice()).await);
    }
    running.stop().await;
    let _again = given::service_without_weasyprint(&bed).await;
    for id in ids {
        given::issued(&bed, &alice, &id).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issued_invoice_cannot_be_changed_even_in_the_database() {
    let bed = Bed::start().await;
    let _running = given::service_without_weasyprint(&bed).await;
    let alice = bed.customer();
    let id = given::uploaded(&alice, &given::invoice()).await;
    given::issued(&bed, &alice, &id).await;
    let mut sql = bed.sql("invoice").await;
    for change in [
        "update invoice set number = 'X-1'",
        "update invoice set data = jsonb_set(data, '{note}', '\"Changed.\"')",
        "update invoice set totals = jsonb_set(totals, '{tax_inclusive,amount}', '1')",
        "update invoice set issue_date = issue_date + 1",
        "update invoice set state = 'draft'",
        "update invoice set state = 'void'",
        "delete from document; delete from invoice",
        "update number_series set next = 1",
        "delete from number_series",
    ] {
        for statement in change.split(';').filter(|statement| !statement.contains("from document")) {
            let error = sql_query(statement).execute(&mut sql).await.expect_err(statement).to_string();
            assert!(error.contains("cannot") || error.contains("only go up"), "{statement}: {error}");
        }
    }
    sql_query("update invoice set state = 'paid', paid_on = current_date").execute(&mut sql).await.unwrap();
    let error = sql_query("update invoice set state = 'issued'").execute(&mut sql).await.unwrap_err();
    assert!(error.to_string().contains("cannot become"), "{error}");
}
