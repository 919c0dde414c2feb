use serde_json::json;

use crate::shop::Shop;

#[tokio::test(flavor = "multi_thread")]
async fn a_category_is_created_and_found() {
    let shop = Shop::open().await;
    let body = json!({"slug": "desk-lamps", "name": "Desk lamps", "description": "Light for paper."});
    let created = shop.staff.post("/v1/categories", &body).send().await;
    assert_eq!(created.status, 201, "{created}");
    assert_eq!(created.header("location"), Some("/v1/categories/desk-lamps"));
    let found = shop.nobody.get("/v1/categories/desk-lamps").send().await;
    assert_eq!((found.status, &found.json), (200, &created.json));
    assert!(created.text("/id").starts_with("cat_"), "{created}");
    shop.nobody.get("/v1/categories/none").send().await.problem("not_found", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn categories_are_listed_by_name_in_pages() {
    let shop = Shop::open().await;
    for (slug, name) in [("c", "Cups"), ("a2", "Awls"), ("b", "Bags"), ("a1", "Awls"), ("d", "Desks")] {
        let answer = shop.staff.post("/v1/categories", &json!({"slug": slug, "name": name})).send().await;
        assert_eq!(answer.status, 201, "{answer}");
    }
    let (mut names, mut path) = (Vec::new(), "/v1/categories?limit=2".to_owned());
    loop {
        let page = shop.nobody.get(&path).send().await;
        assert_eq!(page.status, 200, "{page}");
        names.extend(page.at("/data").as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()));
        match page.at("/next_cursor").as_str() {
            Some(cursor) => path = format!("/v1/categories?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(names, ["Awls", "Awls", "Bags", "Cups", "Desks"], "each once");
    let hostile = "WyJcdTAwMDAiLCAiY2F0XzAxaDQ1NXZiNHBleDV2c2tuazA4NHNuMDJxIl0"; // ["\u0000", "cat_…"]
    shop.nobody.get(&format!("/v1/categories?cursor={hostile}")).send().await.problem("malformed_request", "?cursor");
    shop.nobody.get("/v1/categories?cursor=bm9uc2Vuc2U").send().await.problem("malformed_request", "?cursor");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slug_is_taken_once() {
    let shop = Shop::open().await;
    let body = json!({"slug": "lamps", "name": "Lamps"});
    assert_eq!(shop.staff.post("/v1/categories", &body).send().await.status, 201);
    shop.staff.post("/v1/categories", &body).send().await.problem("conflict", "/slug");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_with_the_same_key_creates_nothing() {
    let shop = Shop::open().await;
    let body = json!({"slug": "lamps", "name": "Lamps"});
    let first = shop.staff.post("/v1/categories", &body).key("k").send().await;
    let second = shop.staff.post("/v1/categories", &body).key("k").send().await;
    assert_eq!((second.status, &second.json), (201, &first.json));
    assert_eq!(second.header("idempotency-replayed"), Some("true"));
    let other = json!({"slug": "desks", "name": "Desks"});
    shop.staff.post("/v1/categories", &other).key("k").send().await.problem("idempotency_key_reused", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_staff_creates_and_only_what_is_valid() {
    let shop = Shop::open().await;
    let body = json!({"slug": "lamps", "name": "Lamps"});
    shop.nobody.post("/v1/categories", &body).send().await.problem("unauthenticated", "");
    shop.bed.customer().post("/v1/categories", &body).send().await.problem("forbidden", "");
    for (body, pointer) in [
        (json!({"slug": "Big Lamps", "name": "Lamps"}), "/slug"),
        (json!({"slug": "lamps", "name": " "}), "/name"),
        (json!({"slug": "lamps"}), "/name"),
        (json!({"slug": "lamps", "name": "Lamps", "colour": "red"}), "/colour"),
        (json!({"slug": "lamps", "name": 7}), "/name"),
    ] {
        shop.staff.post("/v1/categories", &body).send().await.problem("invalid_request", pointer);
    }
    assert_eq!(shop.nobody.get("/v1/categories").send().await.json, json!({"data": [], "next_cursor": null}));
}
