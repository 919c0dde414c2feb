use nats::identity::Permission;
use serde_json::{Value, json};

use super::{entries, person};
use crate::start;

const TYPES: &str = "/v1/document-types";

fn extract() -> Value {
    json!({
        "name": "Register extract", "description": "Not older than three months.", "required": true,
        "countries": ["DE", "AT"], "validity_days": 90,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn staff_says_what_companies_have_to_show() {
    let (bed, _running) = start().await;
    let staff = bed.staff();
    let created = staff.post(TYPES, &extract()).key("k1").send().await;
    assert_eq!(created.status, 201, "{created}");
    let location = created.header("location").unwrap().to_owned();
    for (field, value) in extract().as_object().unwrap() {
        assert_eq!(created.at(&format!("/{field}")), value);
    }
    assert_eq!(staff.post(TYPES, &extract()).key("k1").send().await.json, created.json);
    let little = staff.post(TYPES, &json!({"name": "Letter"})).send().await;
    assert_eq!((little.at("/required"), little.at("/countries")), (&json!(false), &json!([])));

    let ada = person(&bed, "ada@example.com").await;
    let read = ada.get(&location).send().await;
    assert_eq!((&read.json, read.header("etag")), (&created.json, Some("\"1\"")));
    for (query, expected) in [("", 2), ("?country=DE", 2), ("?country=FR", 1), ("?limit=1", 1)] {
        assert_eq!(entries(&ada.get(&format!("{TYPES}{query}")).send().await), expected, "{query}");
    }
    ada.get(&format!("{TYPES}?country=XX")).send().await.problem("malformed_request", "?country");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_type_is_changed_and_retired() {
    let (bed, _running) = start().await;
    let staff = bed.staff();
    let path = staff.post(TYPES, &extract()).send().await.header("location").unwrap().to_owned();
    let changes = json!({"required": false, "validity_days": null, "countries": []});
    let changed = staff.patch(&path, &changes).header("If-Match", "\"1\"").send().await;
    assert_eq!((changed.status, changed.header("etag")), (200, Some("\"2\"")), "{changed}");
    assert_eq!((changed.at("/validity_days"), changed.at("/name")), (&Value::Null, &json!("Register extract")));
    staff.patch(&path, &changes).header("If-Match", "\"1\"").send().await.problem("precondition_failed", "");
    staff.post(TYPES, &json!({"name": "register EXTRACT"})).send().await.problem("conflict", "/name");
    for _ in 0..2 {
        assert_eq!(staff.delete(&path).send().await.status, 204);
    }
    assert_eq!(entries(&staff.get(TYPES).send().await), 0);
    assert_ne!(staff.get(&path).send().await.at("/retired_at"), &Value::Null, "it is still there to be read about");
    assert_eq!(staff.post(TYPES, &json!({"name": "Register extract"})).send().await.status, 201, "the name is free");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_pointed_at() {
    let (bed, _running) = start().await;
    let staff = bed.staff();
    for (field, value, pointer) in [
        ("name", json!(""), "/name"),
        ("countries", json!(["DE", "XX"]), "/countries/1"),
        ("countries", json!(["DE", "FR", "DE"]), "/countries/2"),
        ("validity_days", json!(0), "/validity_days"),
        ("validity_days", json!(4000), "/validity_days"),
        ("color", json!("red"), "/color"),
    ] {
        let mut body = extract();
        body[field] = value;
        staff.post(TYPES, &body).send().await.problem("invalid_request", pointer);
    }
    let unknown = format!("{TYPES}/dty_01h455vb4pex5vsknk084sn02q");
    staff.get(&unknown).send().await.problem("not_found", "");
    staff.patch(&unknown, &json!({})).send().await.problem("not_found", "");
    staff.delete(&unknown).send().await.problem("not_found", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn writing_is_for_those_who_may() {
    let (bed, _running) = start().await;
    let path = bed.staff().post(TYPES, &extract()).send().await.header("location").unwrap().to_owned();
    for (client, code) in [
        (bed.customer(), "forbidden"),
        (bed.holding(&[Permission::CompaniesRead]), "forbidden"),
        (bed.nobody(), "unauthenticated"),
    ] {
        client.post(TYPES, &extract()).send().await.problem(code, "");
        client.patch(&path, &json!({})).send().await.problem(code, "");
        client.delete(&path).send().await.problem(code, "");
    }
    bed.nobody().get(TYPES).send().await.problem("unauthenticated", "");
    assert_eq!(bed.customer().get(TYPES).send().await.status, 200);
}
