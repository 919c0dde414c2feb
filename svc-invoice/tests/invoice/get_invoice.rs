//! `GET /v1/invoices` and `GET /v1/invoices/{id}`

use nats::types::InvoiceId;
use stack::bed::Bed;

use crate::given;

#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_is_its_owners_and_staffs() {
    let bed = Bed::start().await;
    let _running = given::service_without_weasyprint(&bed).await;
    let (alice, bob) = (bed.customer(), bed.customer());
    let id = given::uploaded(&alice, &given::invoice()).await;
    given::issued(&bed, &alice, &id).await;
    let seen = bed.staff().get(&format!("/v1/invoices/{id}")).send().await;
    assert_eq!(seen.text("/id"), id);
    for path in [format!("/v1/invoices/{id}"), format!("/v1/invoices/{id}/documents/pdf")] {
        let foreign = bob.get(&path).send().await;
        assert_eq!(foreign.status, 404, "{foreign}");
        foreign.problem("not_found", "");
    }
    bed.nobody().get(&format!("/v1/invoices/{id}")).send().await.problem("unauthenticated", "");
    bed.nobody().get(&format!("/v1/invoices/{id}/documents/pdf")).send().await.problem("not_found", "");
    for unknown in [InvoiceId::new().to_string(), "inv_1".to_owned(), "ord_01h455vb4pex5vsknk084sn02q".to_owned()] {
        alice.get(&format!("/v1/invoices/{unknown}")).send().await.problem("not_found", "");
        alice.get(&format!("/v1/invoices/{unknown}/documents/pdf")).send().await.problem("not_found", "");
    }
    alice.get(&format!("/v1/invoices/{id}/documents/docx")).send().await.problem("not_found", "");
    alice.get(&format!("/v1/invoices/{id}/documents/ubl")).send().await.problem("not_found", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_has_ones_own_newest_first_page_by_page() {
    let bed = Bed::start().await;
    let _running = given::service_without_weasyprint(&bed).await;
    let (alice, bob) = (bed.customer(), bed.customer());
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(given::uploaded(&alice, &given::invoice()).await);
    }
    let of_bob = given::uploaded(&bob, &given::invoice()).await;
    ids.reverse();
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = alice.get(&format!("/v1/invoices?limit=2{cursor}")).send().await;
        assert_eq!(page.status, 200, "{page}");
        seen.extend(page.at("/data").as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()));
        match page.at("/next_cursor").as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, ids);
    let all = bed.staff().get("/v1/invoices?limit=100").send().await;
    assert_eq!(all.at("/data").as_array().unwrap().len(), 6);
    assert_eq!(all.at("/data/0/id"), &of_bob.as_str());

    given::issued(&bed, &bob, &of_bob).await;
    let drafts = bob.get("/v1/invoices?state=draft").send().await;
    assert_eq!(drafts.at("/data").as_array().unwrap().len(), 0, "{drafts}");
    let issued = bob.get("/v1/invoices?state=issued").send().await;
    assert_eq!(issued.at("/data/0/number"), "WEB-2026-000001");

    for (query, pointer) in
        [("limit=0", "?limit"), ("limit=x", "?limit"), ("cursor=AAAA", "?cursor"), ("state=lost", "?state")]
    {
        let answer = alice.get(&format!("/v1/invoices?{query}")).send().await;
        assert_eq!(answer.status, 400, "{answer}");
        answer.problem("malformed_request", pointer);
    }
    bed.nobody().get("/v1/invoices").send().await.problem("unauthenticated", "");
}
