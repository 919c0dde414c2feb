//! What is no invoice, and where it says so.

use nats::{contracts::invoice::InvoiceUploaded, http::LARGEST_BODY};
use serde_json::{Value, json};
use stack::bed::Bed;

use crate::given;

/// Every way to be wrong: what is put where, and the pointer that tells.
fn mistakes() -> Vec<(&'static str, Value, &'static str)> {
    let line = given::invoice()["lines"][0].clone();
    let charge = given::invoice()["charges"][0].clone();
    vec![
        // Values that cannot be.
        ("/currency", json!("EURO"), "/currency"),
        ("/currency", json!("XAU"), "/currency"),
        ("/type", json!("389"), "/type"),
        ("/type", json!(380), "/type"),
        ("/series", json!("WEB 1"), "/series"),
        ("/series", json!(null), "/series"),
        ("/issue_date", json!("20.11.2026"), "/issue_date"),
        ("/issue_date", json!("1999-12-31"), "/issue_date"),
        ("/issue_date", json!("+2026-11-20"), "/issue_date"),
        ("/due_date", json!("2026-02-30"), "/due_date"),
        ("/due_date", json!("+12345-06-07"), "/due_date"),
        ("/due_date", json!("+12345-6-7"), "/due_date"),
        ("/delivery_date", json!("+12345-06-07"), "/delivery_date"),
        ("/delivery_date", json!("2026-1-2"), "/delivery_date"),
        ("/locale", json!("german"), "/locale"),
        ("/number", json!(""), "/number"),
        ("/number", json!("x".repeat(65)), "/number"),
        ("/note", json!("x".repeat(2001)), "/note"),
        ("/seller/name", json!("  "), "/seller/name"),
        ("/seller/vat_id", json!("123"), "/seller/vat_id"),
        ("/seller/email", json!("nobody"), "/seller/email"),
        ("/buyer/address/country", json!("XX"), "/buyer/address/country"),
        ("/buyer/address/planet", json!("Earth"), "/buyer/address/planet"),
        ("/color", json!("red"), "/color"),
        ("/lines/0/quantity", json!(2), "/lines/0/quantity"),
        ("/lines/0/quantity", json!("0"), "/lines/0/quantity"),
        ("/lines/0/quantity", json!("-1"), "/lines/0/quantity"),
        ("/lines/0/quantity", json!("1e3"), "/lines/0/quantity"),
        ("/lines/1/quantity", json!("1.00001"), "/lines/1/quantity"),
        ("/lines/0/unit", json!("piece"), "/lines/0/unit"),
        ("/lines/0/unit_price", json!("-0.01"), "/lines/0/unit_price"),
        ("/lines/0/unit_price", json!("free"), "/lines/0/unit_price"),
        ("/lines/0/tax_category", json!("X"), "/lines/0/tax_category"),
        ("/lines/0/discount", json!("5"), "/lines/0/discount"),
        ("/lines/1/allowances/0/amount", json!("0"), "/lines/1/allowances/0/amount"),
        ("/lines/1/allowances/0/amount", json!("1.005"), "/lines/1/allowances/0/amount"),
        ("/charges/0/amount", json!("-4.90"), "/charges/0/amount"),
        ("/payment_means/code", json!("580"), "/payment_means/code"),
        ("/payment_means/iban", json!("DE02120300000000202052"), "/payment_means/iban"),
        ("/payment_means/bic", json!("BANK"), "/payment_means/bic"),
        ("/formats/0", json!("docx"), "/formats/0"),
        ("/seller/vat_id", json!("DE12345678"), "/seller/vat_id"),
        ("/seller/legal_id", json!(""), "/seller/legal_id"),
        ("/lines/0/unit", json!("QQQ"), "/lines/0/unit"),
        ("/lines/0/price_base_quantity", json!("0"), "/lines/0/price_base_quantity"),
        ("/lines/0/price_base_quantity", json!("2.5"), "/lines/0/price_base_quantity"),
        ("/lines/0/price_base_quantity", json!("1000001"), "/lines/0/price_base_quantity"),
        ("/payment_means/code", json!("71"), "/payment_means/code"),
        ("/delivery_date", json!("1999-12-31"), "/delivery_date"),
        ("/due_date", json!("2101-01-01"), "/due_date"),
        ("/ship_to", json!({"name": "Depot"}), "/ship_to/address"),
        ("/exemptions", json!([{"tax_category": "E", "code": "exempt"}]), "/exemptions/0/code"),
        ("/totals", json!({"grand_total": "225.74"}), "/totals/grand_total"),
        ("/totals", json!({"due": 225.74}), "/totals/due"),
        // Values that do not go together.
        ("/exemptions", json!([{"tax_category": "S", "reason": "none"}]), "/exemptions/0/tax_category"),
        ("/exemptions", json!([{"tax_category": "E", "reason": "none"}]), "/exemptions/0/tax_category"),
        ("/exemptions", json!([{"tax_category": "E"}]), "/exemptions/0"),
        ("/exemptions", json!([{"tax_category": "E", "code": "VATEX-EU-0"}]), "/exemptions/0/code"),
        ("/totals", json!({"line_total": "184.81"}), "/totals/line_total"),
        ("/totals", json!({"allowance_total": "5"}), "/totals/allowance_total"),
        ("/totals", json!({"charge_total": "4.9001"}), "/totals/charge_total"),
        ("/totals", json!({"tax_exclusive": "0"}), "/totals/tax_exclusive"),
        ("/totals", json!({"tax_total": "36.05"}), "/totals/tax_total"),
        ("/totals", json!({"tax_inclusive": "-225.74"}), "/totals/tax_inclusive"),
        ("/totals", json!({"due": "0"}), "/totals/due"),
        ("/due_date", json!("2026-11-19"), "/due_date"),
        ("/lines/0/tax_rate", json!("0"), "/lines/0/tax_rate"),
        ("/lines/0/tax_rate", json!("101"), "/lines/0/tax_rate"),
        ("/lines/0/tax_category", json!("Z"), "/lines/0/tax_rate"),
        ("/charges/0/tax_category", json!("E"), "/charges/0/tax_rate"),
        ("/lines/1/allowances/0/amount", json!("90.01"), "/lines/1/allowances"),
        ("/allowances", json!([{"amount": "1000", "tax_category": "S", "tax_rate": "19"}]), "/allowances"),
        ("/payment_means", json!({"code": "58"}), "/payment_means/iban"),
        ("/seller/vat_id", json!(null), "/seller/vat_id"),
        ("/formats", json!([]), "/formats"),
        ("/formats", json!(["pdf", "pdf"]), "/formats/1"),
        // Too much, and too little.
        ("/lines", json!([]), "/lines"),
        ("/lines", json!(vec![line.clone(); 1001]), "/lines"),
        ("/charges", json!(vec![charge; 51]), "/charges"),
        ("/lines/1/allowances", json!(vec![json!({"amount": "1"}); 21]), "/lines/1/allowances"),
        ("/lines/0/unit_price", json!("9999999999999"), "/lines/0/unit_price"),
    ]
}

/// `value` put at `pointer`, which may be new in its object.
fn with(mut invoice: Value, pointer: &str, value: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    match invoice.pointer_mut(parent).unwrap() {
        Value::Array(items) => items[key.parse::<usize>().unwrap()] = value,
        parent => parent[key] = value,
    }
    invoice
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mistake_has_its_pointer() {
    let bed = Bed::start().await;
    let _running = given::service_without_weasyprint(&bed).await;
    let alice = bed.customer();
    for (at, value, pointer) in mistakes() {
        let answer = alice.post("/v1/invoices", &with(given::invoice(), at, value)).send().await;
        assert_eq!(answer.status, 422, "{at}: {answer}");
        answer.problem("invalid_request", pointer);
    }
    for field in ["series", "currency", "seller", "buyer", "lines"] {
        let mut invoice = given::invoice();
        invoice.as_object_mut().unwrap().remove(field);
        alice.post("/v1/invoices", &invoice).send().await.problem("invalid_request", &format!("/{field}"));
    }
    let listed = alice.get("/v1/invoices").send().await;
    assert_eq!(listed.at("/data"), &json!([]), "nothing is half-written");
    bed.no_event::<InvoiceUploaded>(|_| true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_mistakes_are_told_at_once() {
    let bed = Bed::start().await;
    let _running = given::service_without_weasyprint(&bed).await;
    let invoice = with(given::invoice(), "/due_date", json!("2026-01-01"));
    let invoice = with(invoice, "/lines/0/quantity", json!("0"));
    let invoice = with(invoice, "/formats", json!(["csv", "pdf", "csv"]));
    let answer = bed.customer().post("/v1/invoices", &invoice).send().await;
    for pointer in ["/due_date", "/lines/0/quantity", "/formats/2"] {
        answer.problem("invalid_request", pointer);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn totals_of_the_senders_own_are_checked_and_a_difference_is_told_with_both_figures() {
    let bed = Bed::start().await;
    let _running = given::service_without_weasyprint(&bed).await;
    let alice = bed.customer();
    let right = json!({
        "line_total": "184.80", "allowance_total": "0", "charge_total": "4.90", "tax_exclusive": "189.7",
        "tax_total": "36.04", "tax_inclusive": "225.74", "due": "225.7400",
    });
    given::uploaded(&alice, &with(given::invoice(), "/totals", right.clone())).await;
    let mut wrong = right;
    wrong["tax_total"] = json!("36.05");
    wrong["tax_inclusive"] = json!("225.75");
    let answer = alice.post("/v1/invoices", &with(given::invoice(), "/totals", wrong)).send().await;
    answer.problem("invalid_request", "/totals/tax_total");
    answer.problem("invalid_request", "/totals/tax_inclusive");
    let told = answer.to_string();
    assert!(told.contains("it says 36.05 EUR, but the invoice comes to 36.04 EUR"), "{told}");
    assert!(told.contains("it says 225.75 EUR, but the invoice comes to 225.74 EUR"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_e_invoice_needs_more_than_a_page() {
    let bed = Bed::start().await;
    let _running = given::service_without_weasyprint(&bed).await;
    let alice = bed.customer();
    let known_by_number =
        json!({"name": "Kontor", "tax_number": "27/1", "address": given::invoice()["seller"]["address"]});
    let mut across = given::invoice();
    for item in ["/lines/0", "/lines/1", "/charges/0"] {
        let item = across.pointer_mut(item).unwrap();
        (item["tax_category"], item["tax_rate"]) = (json!("K"), json!("0"));
    }
    let mut open = given::invoice();
    (open["due_date"], open["payment_terms"]) = (json!(null), json!(null));
    for (invoice, pointer) in [
        (with(given::invoice(), "/currency", json!("JOD")), "/formats/1"),
        (with(given::invoice(), "/currency", json!("HRK")), "/formats/1"),
        (with(given::invoice(), "/seller", known_by_number), "/seller/legal_id"),
        (across, "/delivery_date"),
        (open, "/due_date"),
    ] {
        given::uploaded(&alice, &invoice).await;
        for format in ["ubl", "cii", "facturx"] {
            let invoice = with(invoice.clone(), "/formats", json!(["pdf", format]));
            alice.post("/v1/invoices", &invoice).send().await.problem("invalid_request", pointer);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_spreadsheet_would_round_is_refused() {
    let bed = Bed::start().await;
    let _running = given::service_without_weasyprint(&bed).await;
    let alice = bed.customer();
    let invoice = with(given::invoice(), "/lines/0/unit_price", json!("900000000000"));
    let invoice = with(invoice, "/lines/0/quantity", json!("12"));
    given::uploaded(&alice, &invoice).await;
    let invoice = with(invoice, "/formats", json!(["pdf", "csv", "xlsx"]));
    alice.post("/v1/invoices", &invoice).send().await.problem("invalid_request", "/formats/2");
}

#[tokio::test(flavor = "multi_thread")]
async fn tax_without_tax_needs_vat_identifiers_and_may_be() {
    let bed = Bed::start().await;
    let _running = given::service_without_weasyprint(&bed).await;
    let alice = bed.customer();
    for category in ["AE", "K"] {
        let mut invoice = given::invoice();
        for item in ["/lines/0", "/lines/1", "/charges/0"] {
            let item = invoice.pointer_mut(item).unwrap();
            (item["tax_category"], item["tax_rate"]) = (json!(category), json!("0"));
        }
        given::uploaded(&alice, &invoice).await;
        let without = with(invoice.clone(), "/buyer/vat_id", json!(null));
        alice.post("/v1/invoices", &without).send().await.problem("invalid_request", "/buyer/vat_id");
        let without = with(
            invoice,
            "/seller",
            json!({"name": "Kontor", "tax_number": "27/1", "address": without["seller"]["address"]}),
        );
        alice.post("/v1/invoices", &without).send().await.problem("invalid_request", "/seller/vat_id");
    }
    let mut outside = given::invoice();
    for item in ["/lines/0", "/lines/1", "/charges/0"] {
        let item = outside.pointer_mut(item).unwrap();
        (item["tax_category"], item["tax_rate"]) = (json!("O"), json!("0"));
    }
    let answer = alice.post("/v1/invoices", &outside).send().await;
    answer.problem("invalid_request", "/seller/vat_id");
    answer.problem("invalid_request", "/buyer/vat_id");
    (outside["seller"]["vat_id"], outside["buyer"]["vat_id"]) = (json!(null), json!(null));
    given::uploaded(&alice, &outside).await;
    let mut mixed = given::invoice();
    (mixed["lines"][0]["tax_category"], mixed["lines"][0]["tax_rate"]) = (json!("O"), json!("0"));
    alice.post("/v1/invoices", &mixed).send().await.problem("invalid_request", "/lines");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_least_that_is_an_invoice() {
    let bed = Bed::start().await;
    let _running = given::service_without_weasyprint(&bed).await;
    let alice = bed.customer();
    let party = json!({"name": "Kontor", "tax_number": "27/1", "address": {"line1": "Kai 1", "city": "Hamburg", "country": "DE"}});
    let line = json!({"name": "Gift", "quantity": "1", "unit_price": "0", "tax_category": "S", "tax_rate": "19"});
    let least = json!({"series": "G", "currency": "JPY", "seller": party, "buyer": party, "lines": [line]});
    let id = given::uploaded(&alice, &least).await;
    let invoice = given::issued(&bed, &alice, &id).await;
    let today = chrono::Utc::now().date_naive();
    assert_eq!(invoice["issue_date"], json!(today));
    assert_eq!((&invoice["type"], &invoice["locale"]), (&json!("380"), &json!("en")));
    assert_eq!(invoice["totals"]["due"], json!({"amount": 0, "currency": "JPY"}));
    assert_eq!(invoice["lines"][0]["unit"], "C62");
    assert_eq!(invoice["documents"][0]["format"], "pdf");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_json_or_too_large_is_refused() {
    let bed = Bed::start().await;
    let _running = given::service_without_weasyprint(&bed).await;
    let alice = bed.customer();
    let post = |body: String, kind: &'static str| alice.request("POST", "/v1/invoices").raw(body, kind).send();
    let sample = given::invoice().to_string();
    post("{\"series\":".to_owned(), "application/json").await.problem("malformed_request", "");
    post(format!("{sample} {sample}"), "application/json").await.problem("malformed_request", "");
    post("[]".to_owned(), "application/json").await.problem("invalid_request", "");
    post(String::new(), "application/json").await.problem("malformed_request", "");
    post(sample.clone(), "text/plain").await.problem("unsupported_media_type", "");
    let padded = |length: usize| format!("{sample}{}", " ".repeat(length - sample.len()));
    let answer = post(padded(LARGEST_BODY), "application/json").await;
    assert_eq!(answer.status, 202, "the largest body: {answer}");
    let answer = post(padded(LARGEST_BODY + 1), "application/json").await;
    assert_eq!(answer.status, 413, "{answer}");
    answer.problem("payload_too_large", "");
    let key = alice.post("/v1/invoices", &given::invoice()).key("two words").send().await;
    assert_eq!(key.status, 400, "{key}");
}
