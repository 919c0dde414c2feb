//! `order.confirmed` → the order's invoice.

use nats::{
    contracts::{
        invoice::InvoiceIssued,
        order::{GetOrder, OrderCompany, OrderDetails},
        user::{
            Unknown,
            company::{CompanyMembership, GetCompanyMembership},
        },
    },
    types::{CompanyRole, Currency, Money, OrderId},
};
use serde_json::json;
use stack::bed::{Bed, Client};

use crate::given;

async fn invoice_of(bed: &Bed, client: &Client, order: &OrderDetails) -> serde_json::Value {
    bed.wait_for("the order has its invoice", || async {
        let answer = client.get(&format!("/v1/orders/{}/invoice", order.order_id)).send().await;
        (answer.status == 200).then_some(answer.json)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmed_order_has_a_paid_invoice_whose_totals_are_the_orders() {
    let bed = Bed::start().await;
    let _running = given::service(&bed).await;
    let alice = bed.customer();
    let order = given::order(alice.user_id());
    given::known(&bed, &order).await;
    let early = alice.get(&format!("/v1/orders/{}/invoice", order.order_id)).send().await;
    assert_eq!(early.status, 404, "{early}");

    bed.publish(&given::confirmed(&order)).await;
    let invoice = invoice_of(&bed, &alice, &order).await;
    let year = chrono::Utc::now().format("%Y");
    assert_eq!(invoice["number"], format!("A-{year}-000001"));
    assert_eq!(invoice["state"], "paid");
    assert_eq!(invoice["paid_on"], invoice["issue_date"]);
    assert_eq!(invoice["order_id"], order.order_id.to_string());
    assert_eq!(invoice["order_reference"], "A-100023");
    assert_eq!(invoice["seller"]["name"], "Argosy Outfitters GmbH");
    assert_eq!(
        (&invoice["buyer"]["name"], &invoice["buyer"]["contact"]),
        (&json!("Atelier Sud SARL"), &json!("Claire Fontaine"))
    );
    assert_eq!(invoice["totals"]["tax_inclusive"], json!(order.total));
    assert_eq!(invoice["totals"]["tax_total"], json!(order.tax_total));
    assert_eq!(invoice["totals"]["paid"], json!(order.total));
    assert_eq!(invoice["totals"]["due"]["amount"], 0);
    let issued = bed.event::<InvoiceIssued>(|event| event.order_id == Some(order.order_id)).await;
    assert_eq!((issued.total, issued.user_id), (order.total, alice.user_id()));

    let id = invoice["id"].as_str().unwrap();
    given::document(&alice, id, "rendered").await;
    let file = alice.get(&format!("/v1/invoices/{id}/documents/pdf")).send().await;
    assert_eq!(
        file.header("content-disposition"),
        Some(format!("attachment; filename=\"Facture-A-{year}-000001.pdf\"").as_str())
    );
    let text = given::text_of(&file.bytes);
    for words in ["Facture", "A-100023", "Frais de port", "25,02 €", "156,72 €", "Argosy Outfitters GmbH", "HRB 158210"]
    {
        assert!(text.contains(words), "expected {words} in:\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_confirmed_again_and_again_has_one_invoice() {
    let bed = Bed::start().await;
    let _one = given::service_without_weasyprint(&bed).await;
    let _other = given::service_without_weasyprint(&bed).await;
    let alice = bed.customer();
    let (order, next) = (given::order(alice.user_id()), given::order(alice.user_id()));
    let both = [order.clone(), next.clone()];
    bed.answer::<GetOrder>(move |question| {
        both.iter().find(|order| order.order_id == question.order_id).cloned().ok_or(Unknown::Unknown)
    })
    .await;
    given::knows_users(&bed, "en").await;
    bed.publish_twice(&given::confirmed(&order)).await;
    for _ in 0..6 {
        bed.publish(&given::confirmed(&order)).await;
    }
    let invoice = invoice_of(&bed, &alice, &order).await;
    assert!(invoice["number"].as_str().unwrap().ends_with("-000001"), "{invoice}");
    // The next order's number tells that none was used up.
    bed.publish(&given::confirmed(&next)).await;
    let invoice = invoice_of(&bed, &alice, &next).await;
    assert!(invoice["number"].as_str().unwrap().ends_with("-000002"), "{invoice}");
    assert_eq!(bed.events::<InvoiceIssued>(|event| event.order_id == Some(order.order_id)).await.len(), 1);
    assert_eq!(alice.get("/v1/invoices").send().await.at("/data").as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_whose_figures_do_not_agree_gets_no_invoice_and_is_reported() {
    let bed = Bed::start().await;
    let _running = given::service_without_weasyprint(&bed).await;
    let alice = bed.customer();
    let mut order = given::order(alice.user_id());
    order.total = Money::new(15673, Currency::EUR);
    given::known(&bed, &order).await;
    bed.publish(&given::confirmed(&order)).await;
    let (subject, reason) =
        bed.wait_for("the message is dead", || async { bed.dead_letters().await.into_iter().next() }).await;
    assert!(subject.contains("invoice"), "{subject}");
    assert!(reason.contains("156.72 EUR") && reason.contains("156.73 EUR"), "both figures: {reason}");
    let answer = alice.get(&format!("/v1/orders/{}/invoice", order.order_id)).send().await;
    assert_eq!(answer.status, 404, "{answer}");
    bed.no_event::<InvoiceIssued>(|_| true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_waits_until_its_service_is_back() {
    let bed = Bed::start().await;
    let _running = given::service_without_weasyprint(&bed).await;
    let alice = bed.customer();
    let order = given::order(alice.user_id());
    bed.publish(&given::confirmed(&order)).await;
    given::knows_users(&bed, "de-DE").await;
    let answer = alice.get(&format!("/v1/orders/{}/invoice", order.order_id)).send().await;
    assert_eq!(answer.status, 404, "svc-order is away: {answer}");
    given::known(&bed, &order).await;
    invoice_of(&bed, &alice, &order).await;
    assert_eq!(bed.dead_letters().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn free_shipping_is_no_line_of_the_invoice() {
    let bed = Bed::start().await;
    let _running = given::service_without_weasyprint(&bed).await;
    let alice = bed.customer();
    let mut order = given::order(alice.user_id());
    let eur = |amount| Money::new(amount, Currency::EUR);
    (order.shipping, order.tax_total, order.total) = (eur(0), eur(2257), eur(14137));
    given::known(&bed, &order).await;
    bed.publish(&given::confirmed(&order)).await;
    let invoice = invoice_of(&bed, &alice, &order).await;
    assert_eq!(invoice["charges"], json!([]));
    assert_eq!(invoice["totals"]["due"]["amount"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_too_long_for_a_line_is_cut_there_and_whole_in_its_description() {
    let bed = Bed::start().await;
    let _running = given::service_without_weasyprint(&bed).await;
    let alice = bed.customer();
    let mut order = given::order(alice.user_id());
    // An article's name and its variant's, each as long as it may be.
    let (article, variant) = ("ä".repeat(200), "ö".repeat(119));
    let [longest, fits] = [format!("{article} – {variant}"), article];
    (order.lines[0].name, order.lines[1].name) = (longest.clone(), fits.clone());
    given::known(&bed, &order).await;
    bed.publish(&given::confirmed(&order)).await;
    let invoice = invoice_of(&bed, &alice, &order).await;
    assert_eq!(invoice["lines"][0]["name"], format!("{}…", "ä".repeat(199)));
    assert_eq!(invoice["lines"][0]["description"], longest);
    assert_eq!((&invoice["lines"][1]["name"], &invoice["lines"][1]["description"]), (&json!(fits), &json!(null)));
    assert_eq!(bed.dead_letters().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orders_invoice_is_its_customers_and_staffs() {
    let bed = Bed::start().await;
    let _running = given::service_without_weasyprint(&bed).await;
    let alice = bed.customer();
    let order = given::order(alice.user_id());
    given::known(&bed, &order).await;
    bed.publish(&given::confirmed(&order)).await;
    let invoice = invoice_of(&bed, &alice, &order).await;
    assert_eq!(invoice_of(&bed, &bed.staff(), &order).await["id"], invoice["id"]);
    let path = format!("/v1/orders/{}/invoice", order.order_id);
    for (client, status) in [(bed.customer(), 404), (bed.nobody(), 401)] {
        let answer = client.get(&path).send().await;
        assert_eq!(answer.status, status, "{answer}");
    }
    let unknown = alice.get(&format!("/v1/orders/{}/invoice", OrderId::new())).send().await;
    unknown.problem("not_found", "");
    alice.get("/v1/orders/17/invoice").send().await.problem("not_found", "");
}

/// A company that ordered.
fn company() -> OrderCompany {
    let company = json!({
        "company_id": "cmp_01h455vb4pex5vsknk084sn02q", "purchase_order_number": "4500012345", "buyer": {
            "name": "Kontor & Söhne GmbH", "vat_id": "DE123456789", "registration_number": "HRB 1",
            "email": "invoices@kontor.example", "locale": "de-DE",
            "address": {"name": "Kontor", "line1": "Alter Wall 1", "city": "Hamburg", "country": "DE"},
        },
    });
    serde_json::from_value(company).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_companys_order_is_invoiced_to_the_company() {
    let bed = Bed::start().await;
    let _running = given::service_without_weasyprint(&bed).await;
    let alice = bed.customer();
    let mut order = given::order(alice.user_id());
    order.company = Some(company());
    given::known(&bed, &order).await;
    bed.publish(&given::confirmed(&order)).await;
    let invoice = invoice_of(&bed, &alice, &order).await;
    assert_eq!(invoice["buyer"]["name"], "Kontor & Söhne GmbH");
    assert_eq!((&invoice["buyer"]["vat_id"], &invoice["buyer"]["legal_id"]), (&json!("DE123456789"), &json!("HRB 1")));
    assert_eq!(invoice["buyer"]["address"]["city"], "Hamburg");
    assert_eq!((&invoice["locale"], &invoice["buyer_reference"]), (&json!("de-DE"), &json!("4500012345")));
    assert_eq!(invoice["buyer"]["email"], "invoices@kontor.example", "where its mail goes");
    assert_eq!(invoice["ship_to"]["address"]["city"], "Lyon", "where the goods went");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_companys_invoice_is_its_members() {
    let bed = Bed::start().await;
    let _running = given::service_without_weasyprint(&bed).await;
    let (alice, bookkeeper, stranger) = (bed.customer(), bed.customer(), bed.customer());
    let mut order = given::order(alice.user_id());
    order.company = Some(company());
    given::known(&bed, &order).await;
    let (company_id, member) = (company().company_id, bookkeeper.user_id());
    bed.answer::<GetCompanyMembership>(move |question| {
        if question.company_id != company_id || question.user_id != member {
            return Err(Unknown::Unknown);
        }
        Ok(CompanyMembership {
            company_id,
            role: CompanyRole::Viewer,
            active: true,
            currency: Currency::EUR,
            purchase_order_required: false,
            spending_limit: None,
            buyer: company().buyer,
        })
    })
    .await;
    bed.publish(&given::confirmed(&order)).await;
    let invoice = invoice_of(&bed, &bookkeeper, &order).await;
    let path = format!("/v1/invoices/{}", invoice["id"].as_str().unwrap());
    let (theirs, hers) = (bookkeeper.get(&path).send().await, alice.get(&path).send().await);
    // Its documents are being tried meanwhile.
    for part in ["/number", "/buyer", "/lines", "/totals"] {
        assert_eq!(theirs.at(part), hers.at(part), "{part}");
    }
    let of_company = format!("/v1/invoices?company_id={company_id}");
    assert_eq!(bookkeeper.get(&of_company).send().await.at("/data/0/id"), &invoice["id"]);
    assert_eq!(bookkeeper.get("/v1/invoices").send().await.at("/data"), &json!([]), "it is not one's own");
    assert_eq!(bed.staff().get(&of_company).send().await.at("/data/0/id"), &invoice["id"]);
    // It is not rendered here; whoever may see it is told so.
    let documents = format!("{path}/documents/pdf");
    assert_ne!(bookkeeper.get(&documents).send().await.at("/code"), "not_found");
    for path in [path, of_company, documents, format!("/v1/orders/{}/invoice", order.order_id)] {
        stranger.get(&path).send().await.problem("not_found", "");
    }
}
