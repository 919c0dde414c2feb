use serde_json::{Value, json};

use super::Company;
use crate::start;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_changes_and_everything_else_stays() {
    let (bed, _running) = start().await;
    let company = Company::of_ada(bed).await;
    let mut expected = company.owner.get(&company.path).send().await.json;
    let changes = json!({"email": "new@kontor.example", "phone": null, "eori": "FR1"});
    let changed = company.owner.patch(&company.path, &changes).send().await;
    assert_eq!((changed.status, changed.header("etag")), (200, Some("\"2\"")), "{changed}");
    expected["email"] = json!("new@kontor.example");
    expected["phone"] = Value::Null;
    expected["eori"] = json!("FR1");
    expected["updated_at"] = changed.at("/updated_at").clone();
    assert_eq!(changed.json, expected);
    assert_eq!(company.owner.get(&company.path).send().await.json, expected);
    for (changes, pointer) in [
        (json!({"vat_id": "DE1"}), "/vat_id"),
        (json!({"name": ""}), "/name"),
        (json!({"status": "active"}), "/status"),
        (json!({"address": {"city": "Rome"}}), "/address/name"),
    ] {
        company.owner.patch(&company.path, &changes).send().await.problem("invalid_request", pointer);
    }
    assert_eq!(company.owner.get(&company.path).send().await.json, expected, "nothing is half-written");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_of_another_version_is_refused() {
    let (bed, _running) = start().await;
    let company = Company::of_ada(bed).await;
    let rename = |name: &str, tag: &str| {
        company.owner.patch(&company.path, &json!({ "name": name })).header("If-Match", tag).send()
    };
    let (one, two) = tokio::join!(rename("One", "\"1\""), rename("Two", "\"1\""));
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412], "of two at once, one is refused: {one} {two}");
    rename("Three", "\"1\"").await.problem("precondition_failed", "");
    assert_eq!(rename("Four", "\"2\"").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_says_to_be_somebody_else_is_looked_at_again() {
    let (bed, _running) = start().await;
    let company = Company::of_ada(bed).await;
    company.approved().await;
    let status = async |changes: Value| {
        let changed = company.owner.patch(&company.path, &changes).send().await;
        assert_eq!(changed.status, 200, "{changed}");
        changed.text("/status")
    };
    assert_eq!(status(json!({"email": "other@kontor.example", "phone": "1"})).await, "active");
    assert_eq!(status(json!({"vat_id": "DE123456789"})).await, "active", "it says the same");
    assert_eq!(status(json!({"vat_id": "DE999999999"})).await, "pending");

    let staff = company.bed.staff();
    let reason = json!({"reason": "There is no such company."});
    assert_eq!(staff.post(&company.at("reject"), &reason).send().await.status, 200);
    assert_eq!(status(json!({"email": "third@kontor.example"})).await, "rejected");
    assert_eq!(status(json!({"registration_number": "HRB 2"})).await, "pending");
    company.approved().await;
    assert_eq!(staff.post(&company.at("suspend"), &reason).send().await.status, 200);
    assert_eq!(status(json!({"legal_name": null})).await, "suspended", "nobody talks themselves out of that");
}
