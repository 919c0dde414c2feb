//! Which other origins' pages may use the API.

use reqwest::Method;

use crate::scene::{Answer, Scene};

const SHOP: &str = "https://shop.example";
const ORIGINS: (&str, &str) = ("CORS_ORIGINS", "https://shop.example http://localhost:5173");

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_a_listed_origin_may_read_and_others_may_not() {
    let scene = Scene::set().await;
    let door = scene.gateway(&[ORIGINS]).await;
    let from = |origin: &str, path: &str| Answer::of(door.request(Method::GET, path).header("Origin", origin));

    for path in ["/v1/products", "/v1/nothing", "/openapi.json"] {
        let ours = from(SHOP, path).await;
        assert_eq!(ours.header("access-control-allow-origin"), SHOP, "{path}: problems too");
        assert_eq!(ours.header("access-control-allow-credentials"), "");
        for name in ["ETag", "Location", "Link", "RateLimit", "Retry-After", "X-Request-Id", "Idempotency-Replayed"] {
            let exposed = ours.header("access-control-expose-headers");
            assert!(exposed.split(", ").any(|one| one == name), "{name} in {exposed}");
        }
        for origin in ["https://shop.example.evil", "http://shop.example", "null"] {
            let theirs = from(origin, path).await;
            assert_eq!(theirs.status, ours.status, "the browser keeps the answer from the page");
            assert_eq!(theirs.header("access-control-allow-origin"), "", "{origin}");
            let vary = theirs.headers.get_all("vary").iter().any(|value| value == "Origin");
            assert!(vary, "caches tell origins apart");
        }
    }
    assert_eq!(door.get("/v1/products").await.header("access-control-allow-origin"), "", "not asked for");
}

#[tokio::test(flavor = "multi_thread")]
async fn preflights_are_answered_at_the_edge() {
    let scene = Scene::set().await;
    let door = scene.gateway(&[ORIGINS, ("LIMITS", "write=1/3600")]).await;
    let preflight = |origin: &str| {
        let request = door.request(Method::OPTIONS, "/v1/orders").header("Origin", origin);
        Answer::of(request.header("Access-Control-Request-Method", "POST"))
    };

    // Nobody runs svc-order here, and nothing is counted.
    for _ in 0..3 {
        let allowed = preflight(SHOP).await;
        assert_eq!((allowed.status, allowed.header("access-control-allow-origin")), (204, SHOP));
        assert!(allowed.header("access-control-allow-methods").contains("POST"));
        assert!(allowed.header("access-control-allow-headers").contains("Idempotency-Key"));
        assert_eq!((allowed.header("access-control-max-age"), allowed.header("ratelimit")), ("7200", ""));
    }
    let refused = preflight("https://evil.example").await;
    assert_eq!((refused.status, refused.header("access-control-allow-origin")), (204, ""));
    assert_eq!(refused.header("access-control-allow-methods"), "");
    let plain = Answer::of(door.request(Method::OPTIONS, "/v1/orders")).await;
    assert_eq!(plain.code(), (405, "method_not_allowed".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_origins_there_is_no_cors() {
    let scene = Scene::set().await;
    let door = scene.gateway(&[]).await;

    let answer = Answer::of(door.request(Method::GET, "/v1/products").header("Origin", SHOP)).await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, ""));
}
