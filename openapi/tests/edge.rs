//! What the outermost gate says of every answer, and asks of every request.

use reqwest::Method;

use crate::scene::{Answer, Scene};

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_by_https_is_told_to_stay_there() {
    let scene = Scene::set().await;

    for (url, expected) in [("https://shop.example", "max-age=31536000"), ("http://localhost:8080", "")] {
        let door = scene.gateway(&[("PUBLIC_URL", url)]).await;
        for path in ["/v1/products", "/v1/nothing", "/docs"] {
            let answer = door.get(path).await;
            assert_eq!(answer.header("strict-transport-security"), expected, "{url}{path}");
            assert_eq!(answer.header("x-content-type-options"), "nosniff");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_of_no_use_are_refused() {
    let scene = Scene::set().await;
    let door = scene.gateway(&[]).await;
    let too_large = (431, "headers_too_large".to_owned());

    let many = (0..80).fold(door.request(Method::GET, "/v1/products"), |request, number| {
        request.header(format!("X-Header-{number}"), "value")
    });
    assert_eq!(Answer::of(many).await.code(), too_large);
    let long = door.request(Method::GET, "/v1/products").header("X-Long", "x".repeat(40_000));
    assert_eq!(Answer::of(long).await.code(), too_large);
    let target = format!("/v1/products?search={}", "1".repeat(9_000));
    assert_eq!(door.get(&target).await.code(), (414, "uri_too_long".to_owned()));
    let huge = door.request(Method::GET, "/v1/products").header("X-Long", "x".repeat(1_000_000));
    // So much is not even read, and a client that still sends may see nothing but the connection's end.
    let bare = huge.send().await.map_or(431, |answer| answer.status().as_u16());
    assert_eq!(bare, 431);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reference_loads_nothing_from_elsewhere() {
    let scene = Scene::set().await;
    let door = scene.gateway(&[]).await;

    let reference = door.get("/docs").await;
    let page = String::from_utf8(reference.bytes.clone()).unwrap();
    assert!(page.contains("SwaggerUIBundle") && page.contains("place_order"));
    for tag in ["<script src", "<link rel=\"stylesheet\" href", "@import"] {
        assert!(!page.contains(tag), "{tag}");
    }
    let policy = reference.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'") && policy.contains("connect-src 'self'"), "{policy}");
    for code in nats::problem::Code::ALL {
        assert_eq!(door.get(&format!("/problems/{}", code.as_str())).await.status, 200, "{}", code.as_str());
    }
}
