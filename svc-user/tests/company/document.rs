use nats::{
    contracts::user::company::COMPANY_DOCUMENTS,
    types::CompanyRole::{Admin, Viewer},
};
use serde_json::{Value, json};
use stack::bed::{Answer, Client};

use super::{Company, company_of, entries, person};
use crate::{count, start};

const PDF: &[u8] = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj";

/// A company, and a type of document that staff asks for.
async fn asked(bed: stack::Bed) -> (Company, String) {
    let company = Company::of_ada(bed).await;
    let kind = json!({"name": "Register extract", "validity_days": 90});
    let kind = company.bed.staff().post("/v1/document-types", &kind).send().await.text("/id");
    (company, kind)
}

async fn upload(client: &Client, company: &Company, kind: &str, content: &[u8], media_type: &str) -> Answer {
    let path = company.at(&format!("documents?document_type_id={kind}&filename=extract.pdf"));
    client.request("POST", &path).raw(content, media_type).send().await
}

async fn uploaded(company: &Company, kind: &str) -> String {
    let answer = upload(&company.owner, company, kind, PDF, "application/pdf").await;
    assert_eq!(answer.status, 201, "{answer}");
    answer.header("location").unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_is_kept_byte_for_byte_and_can_be_downloaded() {
    let (bed, _running) = start().await;
    let (company, kind) = asked(bed).await;
    let admin = company.member("al@example.com", Admin).await;
    let created = upload(&admin, &company, &kind, PDF, "application/pdf").await;
    assert_eq!((created.status, created.at("/state")), (201, &json!("submitted")), "{created}");
    assert_eq!((created.at("/document_type"), created.at("/size")), (&json!("Register extract"), &json!(PDF.len())));
    assert_eq!((created.at("/uploaded_by"), created.at("/expires_at")), (&json!(admin.user_id()), &Value::Null));
    let path = created.header("location").unwrap().to_owned();
    for client in [&company.owner, &company.bed.staff()] {
        assert_eq!(client.get(&path).send().await.json, created.json);
        assert_eq!(client.get(&company.at("documents")).send().await.at("/data/0"), &created.json);
        let file = client.get(&format!("{path}/content")).send().await;
        assert_eq!((file.status, file.bytes.as_slice()), (200, PDF));
        assert_eq!(file.header("content-type"), Some("application/pdf"));
        assert_eq!(file.header("content-disposition"), Some("attachment; filename=\"extract.pdf\""));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_document_is_taken_and_one_that_the_object_store_lost_is_still_there() {
    let (bed, _running) = start().await;
    let (company, kind) = asked(bed).await;
    let mut large = PDF.to_vec();
    large.resize(1_500_000, b'x');
    let created = upload(&company.owner, &company, &kind, &large, "application/pdf").await;
    assert_eq!(created.status, 201, "{created}");
    let content = format!("{}/content", created.header("location").unwrap());
    assert_eq!(company.owner.get(&content).send().await.bytes, large);
    company.bed.objects().delete(COMPANY_DOCUMENTS, &created.text("/id")).await;
    assert!(!company.bed.objects().has(COMPANY_DOCUMENTS, &created.text("/id")).await.unwrap());
    assert_eq!(company.owner.get(&content).send().await.bytes, large, "from the database");
    large.resize(2 * 1024 * 1024 + 1, b'x');
    upload(&company.owner, &company, &kind, &large, "application/pdf").await.problem("payload_too_large", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn staff_accepts_for_as_long_as_the_type_says_or_rejects_with_a_reason() {
    let (bed, _running) = start().await;
    let (company, kind) = asked(bed).await;
    let staff = company.bed.staff();
    let (one, other) = (uploaded(&company, &kind).await, uploaded(&company, &kind).await);
    let accepted = staff.request("POST", &format!("{one}/accept")).send().await;
    assert_eq!((accepted.status, accepted.at("/state")), (200, &json!("accepted")), "{accepted}");
    let until: chrono::DateTime<chrono::Utc> = accepted.text("/expires_at").parse().unwrap();
    assert_eq!((until - chrono::Utc::now()).num_hours() / 24, 89, "ninety days, but for a moment");
    staff.post(&format!("{other}/reject"), &json!({})).send().await.problem("invalid_request", "/reason");
    let rejected = staff.post(&format!("{other}/reject"), &json!({"reason": "It is cut off."})).send().await;
    assert_eq!((rejected.at("/state"), rejected.at("/reason")), (&json!("rejected"), &json!("It is cut off.")));
    for path in [&one, &other] {
        staff.request("POST", &format!("{path}/accept")).send().await.problem("conflict", "");
        staff.post(&format!("{path}/reject"), &json!({"reason": "No."})).send().await.problem("conflict", "");
    }
    let documents = company.at("documents");
    assert_eq!(entries(&company.owner.get(&format!("{documents}?state=accepted")).send().await), 1);
    assert_eq!(entries(&company.owner.get(&format!("{documents}?state=submitted")).send().await), 0);
    company.owner.request("POST", &format!("{one}/accept")).send().await.problem("forbidden", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_accepted_can_be_deleted_with_its_content() {
    let (bed, _running) = start().await;
    let (company, kind) = asked(bed).await;
    let (kept, deleted) = (uploaded(&company, &kind).await, uploaded(&company, &kind).await);
    assert_eq!(company.bed.staff().request("POST", &format!("{kept}/accept")).send().await.status, 200);
    assert_eq!(company.owner.get(&format!("{deleted}/content")).send().await.status, 200);
    company.owner.delete(&kept).send().await.problem("conflict", "");
    assert_eq!(company.owner.delete(&deleted).send().await.status, 204);
    company.owner.delete(&deleted).send().await.problem("not_found", "");
    company.owner.get(&format!("{deleted}/content")).send().await.problem("not_found", "");
    assert_eq!(count(&company.bed, "company_document_content").await, 1);
    let object = deleted.rsplit('/').next().unwrap();
    assert!(!company.bed.objects().has(COMPANY_DOCUMENTS, object).await.unwrap(), "nor in the object store");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_what_it_says_and_is_asked_for() {
    let (bed, _running) = start().await;
    let (company, kind) = asked(bed).await;
    let send =
        async |content: &[u8], media_type: &str| upload(&company.owner, &company, &kind, content, media_type).await;
    send(b"<script>alert(1)</script>", "text/html").await.problem("unsupported_media_type", "");
    send(b"<script>alert(1)</script>", "application/pdf").await.problem("unsupported_media_type", "");
    send(PDF, "image/png").await.problem("unsupported_media_type", "");
    send(b"", "application/pdf").await.problem("malformed_request", "");
    let nothing = "dty_01h455vb4pex5vsknk084sn02q";
    let unknown = upload(&company.owner, &company, nothing, PDF, "application/pdf").await;
    unknown.problem("malformed_request", "?document_type_id");
    let documents = company.at("documents");
    for (query, parameter) in [
        (format!("document_type_id={kind}"), "?filename"),
        (format!("document_type_id={kind}&filename=%20"), "?filename"),
        ("filename=x.pdf".to_owned(), "?document_type_id"),
    ] {
        let request = company.owner.request("POST", &format!("{documents}?{query}")).raw(PDF, "application/pdf");
        request.send().await.problem("malformed_request", parameter);
    }
    assert_eq!(count(&company.bed, "company_document").await, 0);
    company.bed.staff().delete(&format!("/v1/document-types/{kind}")).send().await;
    send(PDF, "application/pdf").await.problem("malformed_request", "?document_type_id");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_makes_it_happen_once() {
    let (bed, _running) = start().await;
    let (company, kind) = asked(bed).await;
    let path = company.at(&format!("documents?document_type_id={kind}&filename=extract.pdf"));
    let send = |content: &[u8]| company.owner.request("POST", &path).raw(content, "application/pdf").key("k1").send();
    let (first, again) = (send(PDF).await, send(PDF).await);
    assert_eq!((again.status, &again.json), (201, &first.json), "{again}");
    send(b"%PDF-1.4").await.problem("idempotency_key_reused", "");
    assert_eq!(count(&company.bed, "company_document").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_are_for_admins_of_their_company() {
    let (bed, _running) = start().await;
    let (company, kind) = asked(bed).await;
    let path = uploaded(&company, &kind).await;
    let viewer = company.member("vera@example.com", Viewer).await;
    let eve = person(&company.bed, "eve@example.com").await;
    let theirs = format!("{}/documents/{}", company_of(&eve).await, path.rsplit('/').next().unwrap());
    for (client, path, code) in [
        (&viewer, path.as_str(), "forbidden"),
        (&eve, path.as_str(), "not_found"),
        (&eve, theirs.as_str(), "not_found"),
        (&company.bed.nobody(), path.as_str(), "unauthenticated"),
    ] {
        client.get(path).send().await.problem(code, "");
        client.get(&format!("{path}/content")).send().await.problem(code, "");
        client.delete(path).send().await.problem(code, "");
    }
}
