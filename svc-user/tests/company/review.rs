use nats::identity::Permission;
use serde_json::{Value, json};

use super::{Company, NOWHERE};
use crate::{sql, start};

const DOCUMENT_TYPES: &str = "/v1/document-types";

#[tokio::test(flavor = "multi_thread")]
async fn a_company_is_approved_suspended_and_approved_again() {
    let (bed, _running) = start().await;
    let company = Company::of_ada(bed).await;
    let staff = company.bed.staff();
    let reason = json!({"reason": "Invoices were not paid."});
    staff.post(&company.at("suspend"), &reason).send().await.problem("conflict", "");
    let approved = company.approved().await;
    assert_eq!((approved.at("/status"), approved.header("etag")), (&json!("active"), Some("\"2\"")));
    staff.request("POST", &company.at("approve")).send().await.problem("conflict", "");
    staff.post(&company.at("reject"), &reason).send().await.problem("conflict", "");
    let suspended = staff.post(&company.at("suspend"), &reason).send().await;
    assert_eq!(suspended.at("/status"), "suspended", "{suspended}");
    let seen = company.owner.get(&company.path).send().await;
    assert_eq!(seen.at("/status_reason"), "Invoices were not paid.", "its members are told why");
    assert_eq!(company.approved().await.at("/status_reason"), &Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_company_is_rejected_with_a_reason() {
    let (bed, _running) = start().await;
    let company = Company::of_ada(bed).await;
    let staff = company.bed.staff();
    for (body, pointer) in [(json!({}), "/reason"), (json!({"reason": " "}), "/reason"), (json!({"why": "x"}), "/why")]
    {
        staff.post(&company.at("reject"), &body).send().await.problem("invalid_request", pointer);
    }
    let rejected = staff.post(&company.at("reject"), &json!({"reason": "It is not in the register."})).send().await;
    assert_eq!(
        (rejected.at("/status"), rejected.at("/status_reason")),
        (&json!("rejected"), &json!("It is not in the register."))
    );
    company.approved().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_was_looked_at_is_approved() {
    let (bed, _running) = start().await;
    let company = Company::of_ada(bed).await;
    let seen = company.bed.staff().get(&company.path).send().await.header("etag").unwrap().to_owned();
    assert_eq!(company.owner.patch(&company.path, &json!({"name": "Other"})).send().await.status, 200);
    let approve = company.bed.staff().request("POST", &company.at("approve")).header("If-Match", &seen).send().await;
    approve.problem("precondition_failed", "");
    assert_eq!(company.owner.get(&company.path).send().await.at("/status"), "pending");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_company_shows_all_that_is_required_of_its_country_first() {
    let (bed, _running) = start().await;
    let company = Company::of_ada(bed).await;
    let staff = company.bed.staff();
    let mut types = Vec::new();
    for (name, required, countries) in
        [("Register extract", true, json!(["DE"])), ("Kbis", true, json!(["FR"])), ("Letter", false, json!([]))]
    {
        let new = json!({"name": name, "required": required, "countries": countries, "validity_days": 90});
        types.push(staff.post(DOCUMENT_TYPES, &new).send().await.text("/id"));
    }
    let approve = async || staff.request("POST", &company.at("approve")).send().await;
    let refused = approve().await;
    refused.problem("conflict", "");
    assert!(refused.text("/detail").contains("Register extract"), "{refused}");
    assert!(!refused.text("/detail").contains("Kbis") && !refused.text("/detail").contains("Letter"), "{refused}");

    let upload = company.at(&format!("documents?document_type_id={}&filename=extract.pdf", types[0]));
    let uploaded = company.owner.request("POST", &upload).raw("%PDF-1.7", "application/pdf").send().await;
    assert_eq!(uploaded.status, 201, "{uploaded}");
    approve().await.problem("conflict", "");
    let accept = company.at(&format!("documents/{}/accept", uploaded.text("/id")));
    assert_eq!(staff.request("POST", &accept).send().await.status, 200);
    sql(&company.bed, "update company_document set expires_at = now()").await;
    approve().await.problem("conflict", "");
    sql(&company.bed, "update company_document set expires_at = now() + interval '1 minute'").await;
    assert_eq!(approve().await.at("/status"), "active");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_for_those_who_may() {
    let (bed, _running) = start().await;
    let company = Company::of_ada(bed).await;
    let reason = json!({"reason": "Why not."});
    for operation in ["approve", "reject", "suspend"] {
        let path = company.at(operation);
        company.owner.post(&path, &reason).send().await.problem("forbidden", "");
        company.bed.holding(&[Permission::CompaniesRead]).post(&path, &reason).send().await.problem("forbidden", "");
        company.bed.nobody().post(&path, &reason).send().await.problem("unauthenticated", "");
        company.bed.staff().post(&format!("{NOWHERE}/{operation}"), &reason).send().await.problem("not_found", "");
    }
    let writer = company.bed.holding(&[Permission::CompaniesWrite]);
    assert_eq!(writer.request("POST", &company.at("approve")).send().await.status, 200);
}
