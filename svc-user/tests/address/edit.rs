use serde_json::json;

use super::{ADDRESSES, NOWHERE, home, resident};
use crate::start;

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_replaced_as_a_whole_and_deleted() {
    let (bed, _running) = start().await;
    let ada = resident(&bed, "ada@example.com").await;
    let mut office = home();
    office["company"] = json!("Analytical Engines");
    let created = ada.post(ADDRESSES, &office).send().await;
    let path = created.header("location").unwrap().to_owned();
    let new =
        json!({"name": "Ada", "line1": "12 rue de la Paix", "city": "Paris", "postal_code": "75002", "country": "FR"});
    let replaced = ada.put(&path, &new).send().await;
    assert_eq!(replaced.status, 200, "{replaced}");
    assert_eq!((replaced.at("/id"), replaced.at("/city")), (created.at("/id"), &json!("Paris")));
    assert_eq!(replaced.at("/created_at"), created.at("/created_at"));
    assert!(replaced.json.get("company").is_none(), "what is left out is gone: {replaced}");
    assert_eq!(ada.get(&path).send().await.json, replaced.json);

    ada.put(&path, &json!({"city": "Rome"})).send().await.problem("invalid_request", "/name");
    assert_eq!(ada.get(&path).send().await.json, replaced.json, "nothing is half-written");

    assert_eq!(ada.delete(&path).send().await.status, 204);
    ada.get(&path).send().await.problem("not_found", "");
    ada.delete(&path).send().await.problem("not_found", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_go_in_the_order_of_storing() {
    let (bed, _running) = start().await;
    let ada = resident(&bed, "ada@example.com").await;
    for number in 0..3 {
        let mut address = home();
        address["line1"] = json!(format!("Street {number}"));
        assert_eq!(ada.post(ADDRESSES, &address).send().await.status, 201);
    }
    let first = ada.get(&format!("{ADDRESSES}?limit=2")).send().await;
    assert_eq!((first.at("/data/0/line1"), first.at("/data/1/line1")), (&json!("Street 0"), &json!("Street 1")));
    let cursor = first.text("/next_cursor");
    let rest = ada.get(&format!("{ADDRESSES}?limit=2&cursor={cursor}")).send().await;
    assert_eq!(rest.at("/data/0/line1"), "Street 2");
    assert_eq!((rest.at("/data/1"), rest.at("/next_cursor")), (&json!(null), &json!(null)));
    let staff = bed.staff().get(&format!("{ADDRESSES}?cursor={cursor}")).send().await;
    assert_eq!(staff.at("/data"), &json!([]), "a cursor shows nothing that is not the caller's: {staff}");
    let foreign = ada.get(&format!("{ADDRESSES}?cursor=abcd")).send().await;
    foreign.problem("malformed_request", "?cursor");
    assert_eq!(foreign.status, 400, "{foreign}");
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_elses_address_does_not_exist() {
    let (bed, _running) = start().await;
    let ada = resident(&bed, "ada@example.com").await;
    let bob = resident(&bed, "bob@example.com").await;
    let path = ada.post(ADDRESSES, &home()).send().await.header("location").unwrap().to_owned();
    for (client, status, code) in
        [(bob, 404, "not_found"), (bed.staff(), 404, "not_found"), (bed.nobody(), 401, "unauthenticated")]
    {
        let answers = [
            client.get(&path).send().await,
            client.put(&path, &home()).send().await,
            client.delete(&path).send().await,
        ];
        for answer in answers {
            assert_eq!(answer.status, status, "{answer}");
            answer.problem(code, "");
        }
    }
    assert_eq!(ada.get(&path).send().await.status, 200, "it is still there");
    for unknown in [NOWHERE, "/v1/users/me/addresses/usr_01h455vb4pex5vsknk084sn02q", "/v1/users/me/addresses/1"] {
        let answer = ada.get(unknown).send().await;
        assert_eq!(answer.status, 404, "{answer}");
        answer.problem("not_found", "");
    }
}
