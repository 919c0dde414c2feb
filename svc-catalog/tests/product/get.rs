use serde_json::json;

use crate::shop::Shop;

#[tokio::test(flavor = "multi_thread")]
async fn anyone_sees_prices_and_what_is_available() {
    let shop = Shop::open().await;
    let id = shop.product(&["LMP"]).await;
    shop.set("LMP", 7).await;
    let answer = shop.nobody.get(&format!("/v1/products/{id}")).send().await;
    assert_eq!(answer.at("/variants/0/available"), 7, "{answer}");
    assert_eq!(answer.at("/variants/0/price"), &json!({"amount": 1000, "currency": "EUR"}));
    assert_eq!(answer.header("cache-control"), Some("public, max-age=5, stale-if-error=600"));
    let yen = shop.nobody.get(&format!("/v1/products/{id}?currency=JPY")).send().await;
    assert!(yen.at("/variants/0/price").is_null() && yen.at("/price_from").is_null(), "no price in yen: {yen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_still_right_is_not_sent_again() {
    let shop = Shop::open().await;
    let id = shop.product(&["LMP"]).await;
    let path = format!("/v1/products/{id}");
    let first = shop.nobody.get(&path).send().await;
    let etag = first.header("etag").expect("an ETag").to_owned();
    let again = shop.nobody.get(&path).header("If-None-Match", &etag).send().await;
    assert_eq!((again.status, again.bytes.len(), again.header("etag")), (304, 0, Some(etag.as_str())));
    shop.set("LMP", 1).await;
    let changed = shop.nobody.get(&path).header("If-None-Match", &etag).send().await;
    assert_eq!(changed.status, 200, "the level is part of the answer: {changed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_product_is_not_found() {
    let shop = Shop::open().await;
    for id in ["prd_01h455vb4pex5vsknk084sn02q", "ord_01h455vb4pex5vsknk084sn02q", "7", "x"] {
        shop.nobody.get(&format!("/v1/products/{id}")).send().await.problem("not_found", "");
    }
    shop.nobody
        .get("/v1/products/prd_01h455vb4pex5vsknk084sn02q?currency=EURO")
        .send()
        .await
        .problem("malformed_request", "?currency");
}
