use serde_json::{Value, json};

use super::Company;
use crate::start;

#[tokio::test(flavor = "multi_thread")]
async fn a_company_begins_in_the_language_of_its_owner_and_without_limits() {
    let (bed, _running) = start().await;
    let company = Company::of_ada(bed).await;
    let read = company.owner.get(&company.at("configuration")).send().await;
    assert_eq!((read.status, read.header("etag")), (200, Some("\"1\"")), "{read}");
    assert_eq!((read.at("/currency"), read.at("/locale")), (&json!("EUR"), &json!("en")));
    assert_eq!(read.at("/purchase_order_required"), &json!(false));
    assert_eq!((read.at("/invoice_email"), read.at("/spending_limit")), (&Value::Null, &Value::Null));
    let staff = company.bed.staff().get(&company.at("configuration")).send().await;
    assert_eq!(staff.json, read.json);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_changes_and_everything_else_stays() {
    let (bed, _running) = start().await;
    let company = Company::of_ada(bed).await;
    let path = company.at("configuration");
    let limit = json!({"amount": 100_000, "currency": "SEK"});
    let changes = json!({
        "currency": "SEK", "locale": "sv-SE", "invoice_email": "invoices@kontor.example", "spending_limit": limit,
        "purchase_order_required": true,
    });
    let changed = company.owner.patch(&path, &changes).send().await;
    assert_eq!((changed.status, changed.header("etag")), (200, Some("\"2\"")), "{changed}");
    for (field, value) in changes.as_object().unwrap() {
        assert_eq!(changed.at(&format!("/{field}")), value);
    }
    let less = company.owner.patch(&path, &json!({"invoice_email": null, "spending_limit": null})).send().await;
    assert_eq!((less.at("/invoice_email"), less.at("/spending_limit")), (&Value::Null, &Value::Null));
    assert_eq!((less.at("/currency"), less.at("/purchase_order_required")), (&json!("SEK"), &json!(true)));
    let stale = company.owner.patch(&path, &json!({"locale": "en"})).header("If-Match", "\"2\"").send().await;
    stale.problem("precondition_failed", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_is_in_the_currency_of_the_orders() {
    let (bed, _running) = start().await;
    let company = Company::of_ada(bed).await;
    let path = company.at("configuration");
    let limit = |amount: i64, currency: &str| json!({"spending_limit": {"amount": amount, "currency": currency}});
    assert_eq!(company.owner.patch(&path, &limit(1, "EUR")).send().await.status, 200);
    for (changes, pointer) in [
        (limit(1, "USD"), "/spending_limit"),
        (limit(0, "EUR"), "/spending_limit/amount"),
        (limit(-1, "EUR"), "/spending_limit/amount"),
        (json!({"currency": "USD"}), "/spending_limit"),
        (json!({"currency": "euro"}), "/currency"),
        (json!({"payment_terms": 30}), "/payment_terms"),
    ] {
        company.owner.patch(&path, &changes).send().await.problem("invalid_request", pointer);
    }
    let both = json!({"currency": "USD", "spending_limit": null});
    assert_eq!(company.owner.patch(&path, &both).send().await.status, 200);
}
