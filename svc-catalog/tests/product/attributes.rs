use serde_json::{Value, json};

use crate::shop::{Shop, variant};

fn many(count: usize) -> Value {
    (0..count).map(|index| (format!("a{index}"), json!("x"))).collect::<serde_json::Map<_, _>>().into()
}

#[tokio::test(flavor = "multi_thread")]
async fn they_are_set_kept_and_replaced_as_a_whole() {
    let shop = Shop::open().await;
    let attributes = json!({"material": "Brass", "Schutzart": "IP 44"});
    let body = json!({"name": "Lamp", "attributes": attributes, "variants": [variant("A")]});
    let created = shop.staff.post("/v1/products", &body).key("k").send().await;
    assert_eq!((created.status, created.at("/attributes")), (201, &attributes), "{created}");
    let again = shop.staff.post("/v1/products", &body).key("k").send().await;
    assert_eq!((again.status, &again.json), (201, &created.json));
    let path = format!("/v1/products/{}", created.text("/id"));
    assert_eq!(shop.nobody.get(&path).send().await.at("/attributes"), &attributes);
    assert_eq!(shop.nobody.get("/v1/products").send().await.at("/data/0/attributes"), &attributes);

    let kept = shop.staff.patch(&path, &json!({"name": "Better Lamp"})).send().await;
    assert_eq!(kept.at("/attributes"), &attributes, "{kept}");
    let replaced = shop.staff.patch(&path, &json!({"attributes": {"material": "Steel"}})).send().await;
    assert_eq!((replaced.at("/attributes"), replaced.at("/version")), (&json!({"material": "Steel"}), &json!(3)));
    let cleared = shop.staff.patch(&path, &json!({"attributes": {}})).send().await;
    assert_eq!((cleared.status, cleared.at("/attributes")), (200, &json!({})), "{cleared}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_there_are_none() {
    let shop = Shop::open().await;
    let id = shop.product(&["A"]).await;
    assert_eq!(shop.nobody.get(&format!("/v1/products/{id}")).send().await.at("/attributes"), &json!({}));
}

#[tokio::test(flavor = "multi_thread")]
async fn they_are_bounded() {
    let shop = Shop::open().await;
    let path = format!("/v1/products/{}", shop.product(&["A"]).await);
    let most = json!({"attributes": many(50)});
    assert_eq!(shop.staff.patch(&path, &most).send().await.status, 200);
    let longest = json!({"attributes": {"ä".repeat(64): "ü".repeat(500)}});
    let before = shop.staff.patch(&path, &longest).send().await;
    assert_eq!(before.status, 200, "{before}");
    for (attributes, pointer) in [
        (many(51), "/attributes"),
        (json!([]), "/attributes"),
        (json!("Brass"), "/attributes"),
        // A name that is not acceptable is pointed at by itself.
        (json!({"": "x"}), "/attributes/"),
        (json!({"n".repeat(65): "x"}), &format!("/attributes/{}", "n".repeat(65))),
        (json!({"material": ""}), "/attributes/material"),
        (json!({"material": 7}), "/attributes/material"),
        (json!({"material": null}), "/attributes/material"),
        (json!({"material": "x".repeat(501)}), "/attributes/material"),
        (json!({"material": "a\u{0}b"}), "/attributes/material"),
    ] {
        let body = json!({"attributes": attributes});
        shop.staff.patch(&path, &body).send().await.problem("invalid_request", pointer);
        let body = json!({"name": "Lamp", "attributes": attributes, "variants": [variant("B")]});
        shop.staff.post("/v1/products", &body).send().await.problem("invalid_request", pointer);
    }
    assert_eq!(shop.nobody.get(&path).send().await.json, before.json);
}
