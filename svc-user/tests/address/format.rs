use serde_json::json;

use super::{ADDRESSES, home, resident};
use crate::start;

#[tokio::test(flavor = "multi_thread")]
async fn anybody_may_ask_how_addresses_of_a_country_are_written() {
    let (bed, _running) = start().await;
    let answer = bed.nobody().get("/v1/countries/US/address-format").send().await;
    assert_eq!(answer.status, 200, "{answer}");
    assert_eq!(answer.header("cache-control"), Some("public, max-age=86400"));
    assert_eq!(answer.at("/country"), "US");
    assert_eq!(answer.at("/required"), &json!(["name", "line1", "city", "postal_code", "region"]));
    assert_eq!((answer.at("/postal_code/label"), answer.at("/region/label")), (&json!("zip"), &json!("state")));
    let options = answer.at("/region/options").as_array().unwrap();
    assert!(options.contains(&json!({"code": "CA", "name": "California"})), "{answer}");
    let answer = bed.nobody().get("/v1/countries/HK/address-format").send().await;
    assert_eq!(answer.at("/postal_code"), &json!(null), "there are none: {answer}");
    for unknown in ["XX", "us", "USA", "1"] {
        bed.nobody().get(&format!("/v1/countries/{unknown}/address-format")).send().await.problem("not_found", "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_the_post_could_not_deliver_is_not_stored() {
    let (bed, _running) = start().await;
    let ada = resident(&bed, "ada@example.com").await;
    let stored = ada.post(ADDRESSES, &home()).send().await;
    let path = stored.header("location").unwrap().to_owned();
    let with = |country: &str, postal_code: &str, region: Option<&str>| {
        let mut address = home();
        (address["country"], address["postal_code"]) = (json!(country), json!(postal_code));
        address["region"] = json!(region);
        address
    };
    for (address, pointer) in [
        (with("DE", "2045", None), "/postal_code"),
        (with("GB", "20457", None), "/postal_code"),
        (with("US", "95014", None), "/region"),
        (with("US", "95014", Some("Bavaria")), "/region"),
    ] {
        for answer in [ada.post(ADDRESSES, &address).send().await, ada.put(&path, &address).send().await] {
            assert_eq!(answer.status, 422, "{address}: {answer}");
            answer.problem("invalid_request", pointer);
        }
    }
    assert_eq!(ada.get(ADDRESSES).send().await.at("/data").as_array().map(Vec::len), Some(1));
    assert_eq!(ada.get(&path).send().await.json, stored.json);
    assert_eq!(ada.post(ADDRESSES, &with("US", "95014", Some("CA"))).send().await.status, 201);
}
