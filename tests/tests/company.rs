//! A company, end to end: registered, approved, joined by the link of a mail, ordered for, and invoiced.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    journey::new_article,
    shop::{Answer, Person, Shop},
};

/// The token of the link in a mail.
async fn token_in_mail(shop: &Shop, to: &str, subject: &str) -> String {
    let mail = shop.mail(to, subject).await;
    let (_, rest) = mail.text.split_once("#token=").unwrap_or_else(|| panic!("no link in {}", mail.text));
    rest.split_whitespace().next().unwrap_or_default().to_owned()
}

/// Somebody new whose address is verified.
async fn verified(shop: &Shop) -> Person {
    let person = shop.shopper().await;
    let token = token_in_mail(shop, &person.email, "Please confirm").await;
    let answer = shop.nobody().post("/v1/auth/verify-email", &json!({ "token": token })).await;
    assert_eq!(answer.status, 204, "{answer}");
    person
}

/// Registers a company and has it approved: its path.
async fn company_of(owner: &Person, staff: &Person) -> String {
    let new = json!({
        "name": "Kontor", "legal_name": "Kontor & Söhne GmbH", "vat_id": "DE123456789", "registration_number": "HRB 1",
        "email": owner.email, "address": {
            "name": "Kontor & Söhne", "line1": "Speicherstadt 4", "city": "Hamburg", "postal_code": "20457",
            "country": "DE",
        },
    });
    let created = owner.post("/v1/companies", &new).await;
    assert_eq!(created.status, 201, "{created}");
    let path = created.header("location").to_owned();
    let approved = staff.post(&format!("{path}/approve"), &Value::Null).await;
    assert_eq!((approved.status, approved.at("/status")), (200, &json!("active")), "{approved}");
    path
}

async fn configure(owner: &Person, path: &str, changes: &Value) {
    let changed = Answer::of(owner.request(Method::PATCH, &format!("{path}/configuration")).json(changes)).await;
    assert_eq!(changed.status, 200, "{changed}");
}

/// An order of `quantity` of the article for the company.
async fn order(buyer: &Person, (key, company): (&str, &str), sku: &str, quantity: u32, changes: Value) -> Answer {
    let mut body = json!({
        "lines": [{ "sku": sku, "quantity": quantity }],
        "shipping_address": {
            "name": "Ines Shopper", "line1": "12 rue de la Paix", "city": "Paris", "postal_code": "75002", "country": "FR",
        },
        "payment_method": "sandbox_ok", "company_id": company, "purchase_order_number": "4500012345",
    });
    for (field, value) in changes.as_object().unwrap() {
        body[field] = value.clone();
    }
    Answer::of(buyer.request(Method::POST, "/v1/orders").header("Idempotency-Key", key).json(&body)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_buyer_orders_for_the_company_and_the_company_gets_the_invoice() {
    let shop = Shop::shared().await;
    let staff = shop.demo("STAFF").await;
    let (owner, buyer, stranger) = (shop.shopper().await, verified(shop).await, shop.shopper().await);
    let path = company_of(&owner, &staff).await;
    let company = path.rsplit('/').next().unwrap();

    let invited = owner.post(&format!("{path}/invitations"), &json!({ "email": buyer.email, "role": "buyer" })).await;
    assert_eq!(invited.status, 201, "{invited}");
    let token = token_in_mail(shop, &buyer.email, "You are invited to join Kontor").await;
    stranger.post("/v1/company-invitations/accept", &json!({ "token": token })).await.problem("forbidden");
    let joined = buyer.post("/v1/company-invitations/accept", &json!({ "token": token })).await;
    assert_eq!((joined.status, joined.at("/role")), (201, &json!("buyer")), "{joined}");

    let invoices = format!("invoices-{}@kontor.example", uuid::Uuid::new_v4().simple());
    let limit = json!({ "amount": 50_000, "currency": "EUR" });
    let terms = json!({
        "locale": "de-DE", "invoice_email": invoices, "purchase_order_required": true, "spending_limit": limit,
    });
    configure(&owner, &path, &terms).await;
    let sku = new_article(&staff, 1000).await;
    order(&buyer, ("c1", company), &sku, 50, json!({})).await.problem("forbidden");
    order(&buyer, ("c2", company), &sku, 1, json!({ "purchase_order_number": null })).await.problem("invalid_request");
    order(&stranger, ("c3", company), &sku, 1, json!({})).await.problem("invalid_request");
    let placed = order(&buyer, ("c4", company), &sku, 2, json!({})).await;
    assert_eq!((placed.status, placed.at("/company_id")), (201, &json!(company)), "{placed}");

    let id = placed.text("/id");
    let seen = owner.get(&format!("/v1/orders?company_id={company}")).await;
    assert_eq!(seen.at("/data/0/id"), &json!(id), "{seen}");
    assert_eq!(owner.get(&format!("/v1/orders/{id}")).await.at("/purchase_order_number"), "4500012345");
    stranger.get(&format!("/v1/orders?company_id={company}")).await.problem("not_found");
    stranger.get(&format!("/v1/orders/{id}")).await.problem("not_found");

    let invoice = buyer.until(&format!("/v1/orders/{id}/invoice"), "/documents/0/state", "rendered").await;
    assert_eq!(invoice["buyer"]["name"], "Kontor & Söhne GmbH", "{invoice}");
    assert_eq!(invoice["buyer"]["vat_id"], "DE123456789", "{invoice}");
    assert_eq!(invoice["buyer"]["address"]["city"], "Hamburg", "not where the goods go: {invoice}");
    assert_eq!(invoice["buyer_reference"], "4500012345", "{invoice}");
    assert_eq!(owner.get(&format!("/v1/orders/{id}/invoice")).await.at("/id"), &invoice["id"], "its members read it");
    let of_company = owner.get(&format!("/v1/invoices?company_id={company}")).await;
    assert_eq!(of_company.at("/data/0/id"), &invoice["id"], "{of_company}");
    stranger.get(&format!("/v1/orders/{id}/invoice")).await.problem("not_found");
    shop.mail(&invoices, "Ihre Rechnung").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_goes_through_the_gateway_and_comes_back_as_it_was() {
    let shop = Shop::shared().await;
    let staff = shop.demo("STAFF").await;
    let owner = shop.shopper().await;
    let path = company_of(&owner, &staff).await;
    let kind = json!({ "name": format!("Letter {}", uuid::Uuid::new_v4().simple()) });
    let kind = staff.post("/v1/document-types", &kind).await.text("/id");
    let mut content = b"%PDF-1.7\n".to_vec();
    content.resize(1_000_000, 7);

    let upload = format!("{path}/documents?document_type_id={kind}&filename=letter.pdf");
    let upload = owner.request(Method::POST, &upload).header("Content-Type", "application/pdf").body(content.clone());
    let uploaded = Answer::of(upload).await;
    assert_eq!(uploaded.status, 201, "{uploaded}");
    let location = uploaded.header("location").to_owned();
    let file = staff.get(&format!("{location}/content")).await;
    assert_eq!((file.status, file.header("content-type")), (200, "application/pdf"));
    assert!(file.bytes == content, "{} bytes came back", file.bytes.len());
    let part = owner.request(Method::GET, &format!("{location}/content")).header("Range", "bytes=0-4");
    let part = Answer::of(part).await;
    assert_eq!((part.status, part.bytes.as_slice()), (206, b"%PDF-".as_slice()));
}
