use openidconnect::url::Url;

use super::{Browser, claims, page, refused, somebody, start};
use crate::{count, sql};

/// The target with another value of a parameter, or without it.
fn with(target: &str, name: &str, value: Option<&str>) -> String {
    let mut url = Url::parse(&format!("{}{target}", super::PUBLIC_URL)).unwrap();
    let kept: Vec<(String, String)> = url.query_pairs().into_owned().filter(|(one, _)| one != name).collect();
    url.query_pairs_mut().clear().extend_pairs(kept).extend_pairs(value.map(|value| (name, value)));
    format!("{}?{}", url.path(), url.query().unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_back_works_in_the_browser_that_began_only() {
    let (bed, _running, provider) = start().await;
    let (mallory, mut mallorys) = (somebody(), Browser::default());
    // Whoever follows this link is to be signed in as Mallory, and to leave their address there.
    let link = mallorys.away(&bed, provider, &claims(&mallory, "mallory@example.com")).await;
    refused(&page(&Browser::default().get(&bed, &link).await), "expired");
    let mut adas = Browser::default();
    adas.begin(&bed).await;
    refused(&page(&adas.clone().get(&bed, &link).await), "state_mismatch");
    assert_eq!(count(&bed, "\"user\"").await, 0);

    let ada = somebody();
    assert_eq!(count(&bed, "external_sign_in").await, 2, "nobody's attempt is used up by that");
    let told = page(&mallorys.get(&bed, &link).await);
    assert!(told.contains_key("code"), "Mallory may sign in as Mallory: {told:?}");
    let told = adas.told(&bed, provider, &claims(&ada, "ada@example.com")).await;
    assert!(told.contains_key("code"), "and Ada as Ada: {told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_of_the_providers_is_of_use_in_its_own_attempt_only() {
    let (bed, _running, provider) = start().await;
    let (mallory, ada) = (somebody(), somebody());
    let (mut mallorys, mut adas) = (Browser::default(), Browser::default());
    let stolen = adas.away(&bed, provider, &claims(&ada, "ada@example.com")).await;
    let own = mallorys.away(&bed, provider, &claims(&mallory, "mallory@example.com")).await;
    let url = Url::parse(&format!("{}{stolen}", super::PUBLIC_URL)).unwrap();
    let (_, code) = url.query_pairs().find(|(name, _)| name == "code").unwrap();
    let injected = with(&own, "code", Some(&code));
    refused(&page(&mallorys.get(&bed, &injected).await), "provider_error");
    assert_eq!(count(&bed, "\"user\"").await, 0, "the provider has seen another verifier");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_is_the_browsers_own() {
    let (bed, _running, provider) = start().await;
    let (sub, mut browser) = (somebody(), Browser::default());
    let link = browser.away(&bed, provider, &claims(&sub, "ada@example.com")).await;
    for state in [None, Some(""), Some("x"), Some("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")] {
        refused(&page(&browser.clone().get(&bed, &with(&link, "state", state)).await), "state_mismatch");
    }
    let told = page(&browser.get(&bed, &link).await);
    assert!(told.contains_key("code"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_comes_back_once_and_in_time() {
    let (bed, _running, provider) = start().await;
    let (sub, mut browser) = (somebody(), Browser::default());
    let link = browser.away(&bed, provider, &claims(&sub, "ada@example.com")).await;
    let told = page(&browser.get(&bed, &link).await);
    assert!(told.contains_key("code"), "{told:?}");
    refused(&page(&browser.clone().get(&bed, &link).await), "expired");

    let late = browser.away(&bed, provider, &claims(&sub, "ada@example.com")).await;
    sql(&bed, "update external_sign_in set expires_at = now()").await;
    refused(&page(&browser.get(&bed, &late).await), "expired");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_that_come_back_at_once_one_does() {
    let (bed, _running, provider) = start().await;
    let (sub, mut browser) = (somebody(), Browser::default());
    let link = browser.away(&bed, provider, &claims(&sub, "ada@example.com")).await;
    let (mut one, mut other) = (browser.clone(), browser);
    let (one, other) = tokio::join!(one.get(&bed, &link), other.get(&bed, &link));
    let errors: Vec<_> = [page(&one), page(&other)].iter().filter_map(|told| told.get("error").cloned()).collect();
    assert_eq!(errors, ["expired"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_no_at_the_provider_is_told_so() {
    let (bed, _running, provider) = start().await;
    let mut browser = Browser::default();
    let link = browser.away(&bed, provider, &[("error", "access_denied")]).await;
    let answer = browser.get(&bed, &link).await;
    refused(&page(&answer), "access_denied");
    assert!(answer.header("set-cookie").unwrap().contains("=; Max-Age=0;"), "{answer}");
    let other = browser.away(&bed, provider, &[("error", "temporarily_unavailable")]).await;
    refused(&page(&browser.get(&bed, &other).await), "provider_error");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_providers_answer_is_not_taken_for_this_ones() {
    let (bed, _running, provider) = start().await;
    let sub = somebody();
    // This provider says who it is (RFC 9207): whoever does not say so is another one.
    for issuer in [Some("https://accounts.example.com"), Some(""), None] {
        let mut browser = Browser::default();
        let link = browser.away(&bed, provider, &claims(&sub, "ada@example.com")).await;
        refused(&page(&browser.get(&bed, &with(&link, "iss", issuer)).await), "provider_error");
    }
    assert_eq!(count(&bed, "\"user\"").await, 0);
}
