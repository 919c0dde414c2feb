use serde_json::{Value, json};

use super::{COMPANIES, company_of, entries, kontor, person};
use crate::start;

#[tokio::test(flavor = "multi_thread")]
async fn a_company_is_pending_and_whoever_registered_it_owns_it() {
    let (bed, _running) = start().await;
    let ada = person(&bed, "ada@example.com").await;
    let created = ada.post(COMPANIES, &kontor()).send().await;
    assert_eq!(created.status, 201, "{created}");
    assert_eq!(created.header("location"), Some(format!("{COMPANIES}/{}", created.text("/id")).as_str()));
    for (field, value) in kontor().as_object().unwrap() {
        assert_eq!(created.at(&format!("/{field}")), value);
    }
    assert_eq!((created.at("/status"), created.at("/role")), (&json!("pending"), &json!("owner")));
    assert_eq!(created.at("/status_reason"), &Value::Null);
    let read = ada.get(created.header("location").unwrap()).send().await;
    assert_eq!((read.status, &read.json, read.header("etag")), (200, &created.json, Some("\"1\"")), "{read}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_its_name_its_mail_and_its_address_are_needed() {
    let (bed, _running) = start().await;
    let ada = person(&bed, "ada@example.com").await;
    let mut little = kontor();
    for field in ["legal_name", "vat_id", "registration_number", "eori", "phone"] {
        little.as_object_mut().unwrap().remove(field);
    }
    let created = ada.post(COMPANIES, &little).send().await;
    assert_eq!((created.status, created.at("/vat_id")), (201, &Value::Null), "{created}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_makes_it_happen_once() {
    let (bed, _running) = start().await;
    let ada = person(&bed, "ada@example.com").await;
    let first = ada.post(COMPANIES, &kontor()).key("k1").send().await;
    let again = ada.post(COMPANIES, &kontor()).key("k1").send().await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (201, Some("true")), "{again}");
    assert_eq!((&again.json, again.header("location")), (&first.json, first.header("location")));
    assert_eq!(entries(&ada.get(COMPANIES).send().await), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_pointed_at_and_writes_nothing() {
    let (bed, _running) = start().await;
    let ada = person(&bed, "ada@example.com").await;
    for (pointer, value) in [
        ("/name", json!("")),
        ("/vat_id", json!("DE12345678")),
        ("/vat_id", json!("GR123456789")),
        ("/eori", json!("1234")),
        ("/email", json!("office")),
        ("/address/country", json!("XX")),
        ("/address/postal_code", json!("2045")),
        ("/status", json!("active")),
    ] {
        let mut body = kontor();
        match pointer {
            "/status" => body["status"] = value.clone(),
            _ => *body.pointer_mut(pointer).unwrap() = value.clone(),
        }
        let answer = ada.post(COMPANIES, &body).send().await;
        assert_eq!(answer.status, 422, "{pointer} = {value}: {answer}");
        answer.problem("invalid_request", pointer);
    }
    ada.post(COMPANIES, &json!({})).send().await.problem("invalid_request", "/name");
    assert_eq!(entries(&ada.get(COMPANIES).send().await), 0);
    bed.nobody().post(COMPANIES, &kontor()).send().await.problem("unauthenticated", "");
    bed.customer().post(COMPANIES, &kontor()).send().await.problem("not_found", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_owns_twenty_even_at_once() {
    let (bed, _running) = start().await;
    let ada = person(&bed, "ada@example.com").await;
    for _ in 0..18 {
        company_of(&ada).await;
    }
    let new = kontor();
    let [one, two, three] = [(); 3].map(|()| ada.post(COMPANIES, &new).send());
    let (one, two, three) = tokio::join!(one, two, three);
    let mut statuses = [one.status, two.status, three.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 201, 409], "two were left");
    ada.post(COMPANIES, &new).send().await.problem("conflict", "");
}
