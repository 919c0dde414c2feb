use serde_json::json;

use super::{ADDRESSES, home, resident};
use crate::start;

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_stored_as_it_was_given() {
    let (bed, _running) = start().await;
    let ada = resident(&bed, "ada@example.com").await;
    let created = ada.post(ADDRESSES, &home()).send().await;
    assert_eq!(created.status, 201, "{created}");
    let location = created.header("location").expect("where it is").to_owned();
    assert_eq!(location, format!("{ADDRESSES}/{}", created.text("/id")));
    for (field, value) in home().as_object().unwrap() {
        assert_eq!(created.at(&format!("/{field}")), value);
    }
    let read = ada.get(&location).send().await;
    assert_eq!((read.status, &read.json), (200, &created.json), "{read}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_makes_it_happen_once() {
    let (bed, _running) = start().await;
    let (ada, bob) = (resident(&bed, "ada@example.com").await, resident(&bed, "bob@example.com").await);
    let first = ada.post(ADDRESSES, &home()).key("k1").send().await;
    assert_eq!((first.status, first.header("idempotency-replayed")), (201, None), "{first}");
    let again = ada.post(ADDRESSES, &home()).key("k1").send().await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (201, Some("true")), "{again}");
    assert_eq!((again.header("location"), &again.json), (first.header("location"), &first.json));
    let mut other = home();
    other["line1"] = json!("Elsewhere 1");
    ada.post(ADDRESSES, &other).key("k1").send().await.problem("idempotency_key_reused", "");
    let (one, two) =
        tokio::join!(ada.post(ADDRESSES, &other).key("k2").send(), ada.post(ADDRESSES, &other).key("k2").send(),);
    for answer in [one, two].iter().filter(|answer| answer.status != 201) {
        answer.problem("idempotency_key_in_flight", "");
    }
    assert_eq!(ada.get(ADDRESSES).send().await.at("/data").as_array().map(Vec::len), Some(2));
    let his = bob.post(ADDRESSES, &home()).key("k1").send().await;
    assert_eq!(his.header("idempotency-replayed"), None, "keys of different callers never meet: {his}");
    ada.post(ADDRESSES, &home()).key("with blank").send().await.problem("malformed_request", "?Idempotency-Key");
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_are_enough_even_at_once() {
    let (bed, _running) = start().await;
    let ada = resident(&bed, "ada@example.com").await;
    for _ in 0..48 {
        assert_eq!(ada.post(ADDRESSES, &home()).send().await.status, 201);
    }
    let home = home();
    let [one, two, three] = [(); 3].map(|()| ada.post(ADDRESSES, &home).send());
    let (one, two, three) = tokio::join!(one, two, three);
    let mut statuses = [one.status, two.status, three.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 201, 409], "two were left");
    let full = ada.post(ADDRESSES, &home).send().await;
    full.problem("conflict", "");
    let all = ada.get(&format!("{ADDRESSES}?limit=100")).send().await;
    assert_eq!(all.at("/data").as_array().map(Vec::len), Some(50));
    let first = format!("{ADDRESSES}/{}", all.text("/data/0/id"));
    assert_eq!(ada.delete(&first).send().await.status, 204);
    assert_eq!(ada.post(ADDRESSES, &home).send().await.status, 201, "there is room for one again");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_pointed_at_and_writes_nothing() {
    let (bed, _running) = start().await;
    let ada = resident(&bed, "ada@example.com").await;
    for (field, value) in [
        ("country", json!("XX")),
        ("country", json!("de")),
        ("line1", json!("")),
        ("city", json!("x".repeat(101))),
        ("postal_code", json!(20457)),
        ("planet", json!("Earth")),
    ] {
        let mut body = home();
        body[field] = value.clone();
        let answer = ada.post(ADDRESSES, &body).send().await;
        assert_eq!(answer.status, 422, "{field} = {value}: {answer}");
        answer.problem("invalid_request", &format!("/{field}"));
    }
    ada.post(ADDRESSES, &json!({})).send().await.problem("invalid_request", "/name");
    ada.request("POST", ADDRESSES).send().await.problem("malformed_request", "");
    ada.request("POST", ADDRESSES).raw("{", "application/json").send().await.problem("malformed_request", "");
    assert_eq!(ada.get(ADDRESSES).send().await.json, json!({"data": [], "next_cursor": null}));
    bed.nobody().post(ADDRESSES, &home()).send().await.problem("unauthenticated", "");
    bed.customer().post(ADDRESSES, &home()).send().await.problem("not_found", "");
}
