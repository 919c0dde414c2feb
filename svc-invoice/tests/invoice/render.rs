//! `invoice.issued` → documents.

use diesel::sql_query;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use nats::contracts::invoice::{DOCUMENTS, GetInvoiceMail, InvoiceIssued, InvoiceRendered};
use serde_json::json;
use stack::bed::Bed;

use crate::given;

/// How many documents there are of which this holds.
async fn documents(sql: &mut AsyncPgConnection, condition: &str) -> usize {
    sql_query(format!("update document set attempts = attempts where {condition}")).execute(sql).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_weasyprint_the_document_says_why_and_is_made_once_it_is_there() {
    let bed = Bed::start().await;
    let running = given::service_without_weasyprint(&bed).await;
    let alice = bed.customer();
    let id = given::uploaded(&alice, &given::invoice()).await;
    let invoice = given::document(&alice, &id, "failed").await;
    assert_eq!(invoice["state"], "issued", "the invoice is valid all the same");
    let reason = invoice["documents"][0]["error"].as_str().unwrap();
    assert!(reason.contains("WeasyPrint") && reason.contains("not installed"), "{reason}");
    let file = alice.get(&format!("/v1/invoices/{id}/documents/pdf")).send().await;
    assert_eq!(file.status, 409, "{file}");
    assert!(file.text("/detail").contains(reason), "{file}");
    bed.no_event::<InvoiceRendered>(|_| true).await;
    running.stop().await;

    let _installed = given::service(&bed).await;
    // It is looked for again each minute; the test does not wait that long.
    let mut sql = bed.sql("invoice").await;
    sql_query("update document set next_attempt_at = now()").execute(&mut sql).await.unwrap();
    let invoice = given::document(&alice, &id, "rendered").await;
    assert_eq!(invoice["documents"][0]["error"], json!(null));
    bed.event::<InvoiceRendered>(|event| event.invoice_id.to_string() == id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_format_that_waits_for_weasyprint_does_not_hold_up_those_that_do_not() {
    let bed = Bed::start().await;
    let _running = given::service_without_weasyprint(&bed).await;
    let alice = bed.customer();
    let mut invoice = given::invoice();
    invoice["formats"] = json!(["cii", "csv", "facturx", "pdf", "ubl", "xlsx"]);
    let id = given::uploaded(&alice, &invoice).await;
    for (format, state) in [
        ("cii", "rendered"),
        ("csv", "rendered"),
        ("facturx", "failed"),
        ("pdf", "failed"),
        ("ubl", "rendered"),
        ("xlsx", "rendered"),
    ] {
        given::format(&alice, &id, format, state).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_weasyprint_fails_on_is_given_up_after_three_failures() {
    let bed = Bed::start().await;
    let _running = bed.run_with(svc_invoice::service(), &[("WEASYPRINT", "/bin/false")]).await;
    let alice = bed.customer();
    let id = given::uploaded(&alice, &given::invoice()).await;
    let invoice = given::document(&alice, &id, "failed").await;
    assert!(invoice["documents"][0]["error"].as_str().unwrap().contains("could not be rendered"), "{invoice}");
    let mut sql = bed.sql("invoice").await;
    assert_eq!(documents(&mut sql, "failures = 3 and attempts = 3 and next_attempt_at is null").await, 1);
    bed.no_event::<InvoiceRendered>(|_| true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_weasyprint_is_too_slow_for_is_shown_as_failed_and_tried_again_all_the_same() {
    let bed = Bed::start().await;
    let program = stack::weasyprint::binary().unwrap().display().to_string();
    let _running =
        bed.run_with(svc_invoice::service(), &[("WEASYPRINT", program.as_str()), ("RENDER_DEADLINE_S", "1")]).await;
    let alice = bed.customer();
    let mut invoice = given::invoice();
    invoice["lines"] = json!(vec![invoice["lines"][0].clone(); 1000]);
    let id = given::uploaded(&alice, &invoice).await;
    let invoice = given::document(&alice, &id, "failed").await;
    assert!(invoice["documents"][0]["error"].as_str().unwrap().contains("not finished within 1 s"), "{invoice}");
    let mut sql = bed.sql("invoice").await;
    assert_eq!(documents(&mut sql, "failures >= 3 and next_attempt_at > now()").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_for_something_else_is_no_failure() {
    let bed = Bed::start().await;
    let running = given::service_without_weasyprint(&bed).await;
    let alice = bed.customer();
    let id = given::uploaded(&alice, &given::invoice()).await;
    given::document(&alice, &id, "failed").await;
    running.stop().await;
    let mut sql = bed.sql("invoice").await;
    assert_eq!(documents(&mut sql, "failures = 0 and attempts = 1 and next_attempt_at is not null").await, 1);
    // As after a long time without WeasyPrint, without the object store, or with workers that were killed.
    let claimed = "update document set state = 'queued', attempts = 40, next_attempt_at = now()";
    sql_query(claimed).execute(&mut sql).await.unwrap();
    let _running = bed.run_with(svc_invoice::service(), &[("WEASYPRINT", "/bin/false")]).await;
    given::document(&alice, &id, "failed").await;
    assert_eq!(documents(&mut sql, "failures = 3 and attempts = 43 and next_attempt_at is null").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_fails_for_good_holds_up_none_that_is_rendered() {
    let bed = Bed::start().await;
    let running = given::service_without_weasyprint(&bed).await;
    given::knows_users(&bed, "en").await;
    let alice = bed.customer();
    let mut invoice = given::invoice();
    invoice["formats"] = json!(["pdf", "xlsx"]);
    let id = given::uploaded(&alice, &invoice).await;
    given::format(&alice, &id, "pdf", "failed").await;
    given::format(&alice, &id, "xlsx", "rendered").await;
    running.stop().await;
    let mut sql = bed.sql("invoice").await;
    let again = "update document set state = 'queued', next_attempt_at = now() where format = 'pdf'";
    assert_eq!(sql_query(again).execute(&mut sql).await.unwrap(), 1);
    bed.no_event::<InvoiceRendered>(|_| true).await;
    let _running = bed.run_with(svc_invoice::service(), &[("WEASYPRINT", "/bin/false")]).await;
    bed.event::<InvoiceRendered>(|event| event.invoice_id.to_string() == id).await;
    assert_eq!(documents(&mut sql, "format = 'pdf' and state = 'failed' and next_attempt_at is null").await, 1);
    let mail = bed.call(&GetInvoiceMail { invoice_id: id.parse().unwrap() }).await.unwrap();
    assert!(mail.link.contains("/documents/xlsx?"), "{}", mail.link);
    assert_eq!(bed.events::<InvoiceRendered>(|_| true).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_instances_render_each_document_once() {
    let bed = Bed::start().await;
    let _one = given::service(&bed).await;
    let _other = given::service(&bed).await;
    let alice = bed.customer();
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(given::uploaded(&alice, &given::invoice()).await);
    }
    for id in &ids {
        let invoice = given::document(&alice, id, "rendered").await;
        let kept = bed.objects().get(DOCUMENTS, &format!("{id}/pdf")).await.unwrap();
        assert_eq!(json!(kept.len()), invoice["documents"][0]["size"]);
        bed.event::<InvoiceRendered>(|event| event.invoice_id.to_string() == *id).await;
    }
    assert_eq!(bed.events::<InvoiceRendered>(|_| true).await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_worker_had_begun_is_taken_over() {
    let bed = Bed::start().await;
    let running = given::service_without_weasyprint(&bed).await;
    let alice = bed.customer();
    let id = given::uploaded(&alice, &given::invoice()).await;
    given::document(&alice, &id, "failed").await;
    running.stop().await;
    let mut sql = bed.sql("invoice").await;
    // As a worker leaves it that was killed in the middle: queued, its lease running.
    let left = "update document set state = 'queued', attempts = 1, next_attempt_at = now() + interval '2 seconds'";
    sql_query(left).execute(&mut sql).await.unwrap();
    let _running = given::service(&bed).await;
    given::document(&alice, &id, "rendered").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_event_renders_nothing_again() {
    let bed = Bed::start().await;
    let _running = given::service(&bed).await;
    let alice = bed.customer();
    let id = given::uploaded(&alice, &given::invoice()).await;
    let first = given::document(&alice, &id, "rendered").await;
    let issued = bed.event::<InvoiceIssued>(|event| event.invoice_id.to_string() == id).await;
    bed.publish_twice(&issued).await;
    let next = given::uploaded(&alice, &given::invoice()).await;
    given::document(&alice, &next, "rendered").await;
    let again = given::document(&alice, &id, "rendered").await;
    assert_eq!(again, first);
    assert_eq!(bed.events::<InvoiceRendered>(|event| event.invoice_id.to_string() == id).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_lines_are_rendered() {
    let bed = Bed::start().await;
    let program = stack::weasyprint::binary().unwrap().display().to_string();
    let settings = [("WEASYPRINT", program.as_str()), ("RENDER_DEADLINE_S", "150")];
    let _running = bed.run_with(svc_invoice::service(), &settings).await;
    let alice = bed.customer();
    let mut invoice = given::invoice();
    let line = invoice["lines"][0].clone();
    invoice["lines"] = json!(vec![line; 1000]);
    let id = given::uploaded(&alice, &invoice).await;
    let invoice = given::document(&alice, &id, "rendered").await;
    assert_eq!(invoice["totals"]["line_total"]["amount"], 9_980_000);
    let file = alice.get(&format!("/v1/invoices/{id}/documents/pdf")).send().await;
    let text = given::text_of(&file.bytes);
    assert_eq!(text.matches("LMP-1").count(), 1000);
    assert!(text.contains("118.767,83 €"), "(99,800.00 + 4.90) × 1.19");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_the_store_has_lost_is_made_again_and_nobody_is_told_twice() {
    let mut bed = Bed::start().await;
    let _running = given::service(&bed).await;
    let alice = bed.customer();
    let id = given::uploaded(&alice, &given::invoice()).await;
    given::document(&alice, &id, "rendered").await;
    let path = format!("/v1/invoices/{id}/documents/pdf");
    let before = alice.get(&path).send().await;
    assert_eq!(before.status, 200, "{before}");

    bed.lose_everything_in_nats().await;

    let what = "the document is there again";
    let after = stack::wait::wait_for(what, std::time::Duration::from_secs(60), || async {
        let after = alice.get(&path).send().await;
        if after.status == 200 { Ok(Some(after)) } else { Err(after.to_string()) }
    });
    assert_eq!(given::text_of(&after.await.unwrap().bytes), given::text_of(&before.bytes));
    let told = "select from event_log where headers ->> 'ce-type' = 'invoice.rendered.v1'";
    assert_eq!(sql_query(told).execute(&mut bed.sql("invoice").await).await.unwrap(), 1);
}
