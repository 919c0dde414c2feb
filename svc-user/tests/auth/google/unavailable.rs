use stack::{Bed, openid::OpenIdProvider, scratch::Scratch};

use super::{Browser, claims, page, refused, run, somebody};
use crate::{login, register};

#[tokio::test(flavor = "multi_thread")]
async fn without_a_client_this_way_to_sign_in_is_not_offered_and_all_others_are() {
    let (bed, _running) = crate::start().await;
    for target in ["/v1/auth/google", "/v1/auth/google/callback?code=x&state=y"] {
        let answer = bed.nobody().get(target).send().await;
        assert_eq!(answer.status, 404, "{answer}");
        answer.problem("not_configured", "");
        assert_eq!(answer.header("set-cookie"), None);
    }
    Browser::default().exchange(&bed, "x").await.problem("invalid_request", "/code");
    register(&bed, "ada@example.com").await;
    assert_eq!(login(&bed, "ada@example.com", crate::PASSWORD).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_away_is_no_matter_to_anybody_else() {
    let (bed, scratch) = (Bed::start().await, Scratch::new("openid").unwrap());
    let mut provider =
        OpenIdProvider::start(scratch.path(), "http://127.0.0.1:8080/v1/auth/google/callback").await.unwrap();
    let _running = run(&bed, &provider).await;
    provider.process().kill();

    let answer = bed.nobody().get("/v1/auth/google").send().await;
    refused(&page(&answer), "provider_unavailable");
    register(&bed, "bob@example.com").await;

    provider.restart().await.unwrap();
    let mut browser = Browser::default();
    bed.wait_for("the provider to be asked again", async || {
        let answer = bed.nobody().get("/v1/auth/google").send().await;
        answer.header("location").filter(|url| url.starts_with(&provider.issuer())).map(drop)
    })
    .await;
    let sub = somebody();
    let link = browser.away(&bed, &provider, &claims(&sub, "ada@example.com")).await;
    provider.process().kill();
    refused(&page(&browser.get(&bed, &link).await), "provider_unavailable");

    // Where people are sent is known; whether somebody is there, is found out when they are back.
    let answer = bed.nobody().get("/v1/auth/google").send().await;
    assert!(answer.header("location").unwrap().starts_with(&provider.issuer()), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_says_nothing_is_not_waited_for() {
    let (bed, scratch) = (Bed::start().await, Scratch::new("openid").unwrap());
    let provider =
        OpenIdProvider::start(scratch.path(), "http://127.0.0.1:8080/v1/auth/google/callback").await.unwrap();
    let _running = run(&bed, &provider).await;
    provider.process().pause().unwrap();
    let answers = (0..4).map(|_| {
        let client = bed.nobody();
        tokio::spawn(async move { client.get("/v1/auth/google").send().await })
    });
    for answer in answers.collect::<Vec<_>>() {
        refused(&page(&answer.await.unwrap()), "provider_unavailable");
    }
}
