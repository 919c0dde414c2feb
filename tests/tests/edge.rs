//! The gateway: routing, tokens, limits, problems, downloads, the reference.

use std::{
    collections::BTreeSet,
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    journey::new_article,
    shop::{Answer, Person, Shop},
};

#[tokio::test(flavor = "multi_thread")]
async fn what_the_document_does_not_name_does_not_exist() {
    let shop = Shop::shared().await;
    let nobody = shop.nobody();

    for path in ["/v1", "/v1/nothing", "/v1/orders/a/b/c", "/metrics", "/v1/../etc/passwd", "/v1/products/%00"] {
        nobody.get(path).await.problem("not_found");
    }
    let wrong = Answer::of(nobody.request(Method::DELETE, "/v1/products")).await;
    wrong.problem("method_not_allowed");
    assert_eq!(wrong.header("allow"), "GET, POST");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_a_request_id_and_security_headers() {
    let shop = Shop::shared().await;

    let answer = shop.nobody().get("/v1/products?limit=1").await;
    assert!(answer.header("x-request-id").starts_with("req_"), "{:?}", answer.headers);
    for (name, value) in
        [("x-content-type-options", "nosniff"), ("x-frame-options", "DENY"), ("referrer-policy", "no-referrer")]
    {
        assert_eq!(answer.header(name), value);
    }
    let mine =
        Answer::of(shop.nobody().request(Method::GET, "/v1/nothing").header("X-Request-Id", "client-chosen-1")).await;
    assert_eq!(mine.at("/request_id"), "client-chosen-1");
}

/// A token whose parts are chosen and whose signature is whatever `sign` makes of it.
fn token(header: &Value, claims: &Value, signature: &[u8]) -> String {
    let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let signed = format!("{}.{}", part(header.to_string().as_bytes()), part(claims.to_string().as_bytes()));
    format!("{signed}.{}", part(signature))
}

/// The parts of a real token.
fn parts(token: &str) -> (Value, Value, Vec<u8>) {
    let mut parts = token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap());
    let mut json = || serde_json::from_slice(&parts.next().unwrap()).unwrap();
    let (header, claims) = (json(), json());
    (header, claims, parts.next().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn only_our_own_unexpired_tokens_are_believed() {
    let shop = Shop::shared().await;
    let ines = shop.shopper().await;
    let (header, claims, signature) = parts(ines.token.as_deref().unwrap());
    assert_eq!((&header["alg"], &header["typ"]), (&json!("ES256"), &json!("at+jwt")));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let with = |field: &str, value: Value, of: &Value| {
        let mut changed = of.clone();
        changed[field] = value;
        changed
    };
    let forgeries = [
        ("nonsense", "nonsense".to_owned()),
        ("empty", String::new()),
        ("alg none", token(&with("alg", json!("none"), &header), &claims, b"")),
        ("HS256 with a guessed key", token(&with("alg", json!("HS256"), &header), &claims, &[7; 32])),
        (
            "another subject under the old signature",
            token(&header, &with("sub", json!("usr_01h455vb4pex5vsknk084sn02q"), &claims), &signature),
        ),
        ("roles raised", token(&header, &with("roles", json!(["admin"]), &claims), &signature)),
        ("expired", token(&header, &with("exp", json!(now - 3600), &claims), &signature)),
        ("unknown key", token(&with("kid", json!("nobody's"), &header), &claims, &signature)),
        ("no key", token(&with("kid", Value::Null, &header), &claims, &signature)),
        ("another type", token(&with("typ", json!("JWT"), &header), &claims, &signature)),
        ("no signature", token(&header, &claims, b"")),
        ("far too long", "x".repeat(20_000)),
    ];
    for (what, forged) in forgeries {
        let person = Person { token: Some(forged), ..shop.nobody() };
        let answer = person.get("/v1/users/me").await;
        assert_eq!(answer.status, 401, "{what}: {answer}");
        answer.problem("unauthenticated");
        assert_eq!(answer.header("www-authenticate"), "Bearer", "{what}");
        // Where none is asked for, none is looked at: an expired one does not keep anyone from signing in again.
        assert_eq!(person.get("/.well-known/jwks.json").await.status, 200, "{what}");
    }
    shop.nobody().get("/v1/users/me").await.problem("unauthenticated");
    let basic =
        Answer::of(shop.nobody().request(Method::GET, "/v1/users/me").header("Authorization", "Basic eDp5")).await;
    basic.problem("unauthenticated");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_can_bring_an_identity_along() {
    let shop = Shop::shared().await;
    let request = shop.nobody().request(Method::GET, "/v1/users/me");
    let forged = request.header("Argosy-User", "usr_01h455vb4pex5vsknk084sn02q").header("Argosy-Roles", "admin");

    Answer::of(forged).await.problem("unauthenticated");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_may_not_do_what_staff_does() {
    let shop = Shop::shared().await;
    let ines = shop.shopper().await;

    ines.post("/v1/products", &json!({ "name": "Mine", "description": "", "variants": [] })).await.problem("forbidden");
    ines.put("/v1/stock/ANY-1", &json!({ "on_hand": 1, "reorder_point": 0 })).await.problem("forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_somebody_elses_looks_like_what_does_not_exist() {
    let shop = Shop::shared().await;
    let (ines, guesser) = (shop.shopper().await, shop.shopper().await);
    let sku = new_article(&shop.demo("STAFF").await, 5).await;
    let order = ines.order("guessed", &sku, 1, "sandbox_ok").await.text("/id");
    ines.until(&format!("/v1/orders/{order}/payments"), "/data/0/status", "succeeded").await;
    let payment = ines.get(&format!("/v1/orders/{order}/payments")).await.text("/data/0/id");
    let none = "01h455vb4pex5vsknk084sn02q";

    for (theirs, nobodys) in [
        (format!("/v1/orders/{order}"), format!("/v1/orders/ord_{none}")),
        (format!("/v1/orders/{order}/history"), format!("/v1/orders/ord_{none}/history")),
        (format!("/v1/orders/{order}/payments"), format!("/v1/orders/ord_{none}/payments")),
        (format!("/v1/orders/{order}/invoice"), format!("/v1/orders/ord_{none}/invoice")),
        (format!("/v1/payments/{payment}"), format!("/v1/payments/pay_{none}")),
        (format!("/v1/payments/{payment}/refunds"), format!("/v1/payments/pay_{none}/refunds")),
    ] {
        let (guessed, missing) = (guesser.get(&theirs).await, guesser.get(&nobodys).await);
        guessed.problem("not_found");
        missing.problem("not_found");
        assert_eq!(guessed.at("/detail"), missing.at("/detail"), "{theirs}");
        let names = |answer: &Answer| answer.headers.keys().map(ToString::to_string).collect::<BTreeSet<_>>();
        assert_eq!(names(&guessed), names(&missing), "{theirs}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_bodies_are_refused_and_pointed_at() {
    let shop = Shop::shared().await;
    let nobody = shop.nobody();
    let post = |body: String, kind: &str| {
        nobody.request(Method::POST, "/v1/auth/login").header("Content-Type", kind).body(body)
    };

    Answer::of(post("{".to_owned(), "application/json")).await.problem("malformed_request");
    Answer::of(post(String::new(), "application/json")).await.problem("malformed_request");
    Answer::of(post("a=b".to_owned(), "application/x-www-form-urlencoded")).await.problem("unsupported_media_type");
    Answer::of(post("x".repeat(3_000_000), "application/json")).await.problem("payload_too_large");
    let unknown = Answer::of(post(
        json!({ "email": "a@example.com", "password": "12345678", "admin": true }).to_string(),
        "application/json",
    ))
    .await;
    unknown.problem("invalid_request");
    assert_eq!(unknown.at("/errors/0/pointer"), "/admin", "{unknown}");
    nobody.get("/v1/products?limit=0").await.problem("malformed_request");
    nobody.get("/v1/products?limit=many").await.problem("malformed_request");
    nobody.get("/v1/products/prd_nonsense").await.problem("not_found");
    nobody.get("/v1/products/prd_01h455vb4pex5vsknk084sn02q").await.problem("not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_cannot_be_read_is_not_ignored() {
    let shop = Shop::shared().await;
    let ines = shop.shopper().await;
    let key = reqwest::header::HeaderValue::from_bytes(b"caf\xe9").unwrap();
    let request = ines.request(Method::POST, "/v1/orders").json(&json!({})).header("Idempotency-Key", key);

    Answer::of(request).await.problem("malformed_request");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_is_downloaded_whole_in_part_or_not_again() {
    let shop = Shop::shared().await;
    let ines = shop.shopper().await;
    let mut data: Value = serde_json::from_str(include_str!("../seed/invoice.json")).unwrap();
    data["formats"] = json!(["pdf"]);
    let path = format!("/v1/invoices/{}", ines.post("/v1/invoices", &data).await.text("/id"));
    ines.until(&path, "/documents/0/state", "rendered").await;
    let document = format!("{path}/documents/pdf");
    let ask = |name: &'static str, value: String| {
        let request = ines.request(Method::GET, &document).header(name, value);
        async move { Answer::of(request).await }
    };

    let whole = ines.get(&document).await;
    let size = whole.bytes.len();
    assert_eq!(whole.header("content-length"), size.to_string());
    assert!(whole.header("content-disposition").starts_with("attachment; filename=\""), "{:?}", whole.headers);
    let first = ask("Range", "bytes=0-4".to_owned()).await;
    assert_eq!((first.status, first.bytes.as_slice()), (206, &b"%PDF-"[..]));
    assert_eq!(first.header("content-range"), format!("bytes 0-4/{size}"));
    let last = ask("Range", "bytes=-10".to_owned()).await;
    assert_eq!((last.status, last.bytes.as_slice()), (206, &whole.bytes[size - 10..]));
    ask("Range", format!("bytes={size}-")).await.problem("range_not_satisfiable");
    let unchanged = ask("If-None-Match", whole.header("etag").to_owned()).await;
    assert_eq!((unchanged.status, unchanged.bytes.len()), (304, 0));
    let head = Answer::of(ines.request(Method::HEAD, &document)).await;
    assert_eq!((head.status, head.bytes.len()), (200, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reference_the_document_and_the_problem_pages_are_served() {
    let shop = Shop::shared().await;
    let nobody = shop.nobody();

    let document = nobody.get("/openapi.json").await;
    assert_eq!(document.json, serde_json::from_str::<Value>(include_str!("../../openapi/openapi.json")).unwrap());
    let reference = String::from_utf8(nobody.get("/docs").await.bytes).unwrap();
    assert!(
        reference.contains("place_order") && reference.contains("SwaggerUIBundle"),
        "the reference has the document and its code"
    );
    for host in ["https://unpkg.com", "https://cdn."] {
        assert!(!reference.contains(&format!("src=\"{host}")), "the reference loads from {host}");
    }
    for code in nats::problem::Code::ALL {
        let page = nobody.get(&format!("/problems/{}", code.as_str())).await;
        assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"), "{}", code.as_str());
    }
    nobody.get("/problems/nonsense").await.problem("not_found");
    assert_eq!(nobody.get("/").await.bytes, nobody.get("/docs").await.bytes, "the front door leads to the reference");
    assert_eq!(nobody.get("/livez").await.status, 200);
    assert_eq!(nobody.get("/readyz").await.at("/ready"), true);
}
