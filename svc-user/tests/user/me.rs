use serde_json::json;

use crate::{register, start, user_of};

#[tokio::test(flavor = "multi_thread")]
async fn name_and_language_can_be_changed() {
    let (bed, _running) = start().await;
    let registered = register(&bed, "ada@example.com").await;
    let ada = bed.customer_with_id(user_of(&registered));
    let mut expected = registered.at("/user").clone();
    for (changes, name, locale) in [
        (json!({"name": " Ada King "}), "Ada King", "en"),
        (json!({"locale": "FR-fr"}), "Ada King", "fr-FR"),
        (json!({"name": "Ada", "locale": "en"}), "Ada", "en"),
        (json!({}), "Ada", "en"),
    ] {
        let answer = ada.patch("/v1/users/me", &changes).send().await;
        assert_eq!(answer.status, 200, "{changes}: {answer}");
        expected["name"] = json!(name);
        expected["locale"] = json!(locale);
        assert_eq!(answer.json, expected, "{changes}");
        assert_eq!(ada.get("/v1/users/me").send().await.json, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_else_can() {
    let (bed, _running) = start().await;
    let registered = register(&bed, "ada@example.com").await;
    let ada = bed.customer_with_id(user_of(&registered));
    for (changes, pointer) in [
        (json!({"roles": ["admin"]}), "/roles"),
        (json!({"email": "other@example.com"}), "/email"),
        (json!({"id": "usr_01h455vb4pex5vsknk084sn02q"}), "/id"),
        (json!({"name": "Eve", "locale": "english"}), "/locale"),
        (json!({"name": ""}), "/name"),
        (json!({"name": 5}), "/name"),
    ] {
        let answer = ada.patch("/v1/users/me", &changes).send().await;
        assert_eq!(answer.status, 422, "{changes}: {answer}");
        answer.problem("invalid_request", pointer);
    }
    ada.request("PATCH", "/v1/users/me").send().await.problem("malformed_request", "");
    ada.request("PATCH", "/v1/users/me").raw("{", "application/json").send().await.problem("malformed_request", "");
    assert_eq!(ada.get("/v1/users/me").send().await.json, *registered.at("/user"), "nothing is half-written");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_has_to_be_somebody() {
    let (bed, _running) = start().await;
    let (nobody, stranger) = (bed.nobody(), bed.customer());
    nobody.get("/v1/users/me").send().await.problem("unauthenticated", "");
    nobody.patch("/v1/users/me", &json!({})).send().await.problem("unauthenticated", "");
    stranger.get("/v1/users/me").send().await.problem("not_found", "");
    stranger.patch("/v1/users/me", &json!({"name": "Eve"})).send().await.problem("not_found", "");
}
