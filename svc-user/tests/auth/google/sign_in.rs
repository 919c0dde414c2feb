use std::collections::BTreeMap;

use nats::contracts::user::{UserEmailVerificationRequested, UserRegistered};
use openidconnect::url::Url;
use serde_json::json;

use super::{Browser, claims, page, signed_in, somebody, start};
use crate::{count, login, refresh, user_of, verified};

#[tokio::test(flavor = "multi_thread")]
async fn the_browser_is_sent_to_the_provider_with_a_secret_of_its_own() {
    let (bed, _running, provider) = start().await;
    let answer = bed.nobody().get("/v1/auth/google").send().await;
    assert_eq!(answer.status, 303, "{answer}");
    let url = Url::parse(answer.header("location").unwrap()).unwrap();
    assert!(url.as_str().starts_with(&format!("{}/auth?", provider.issuer())), "{url}");
    let asked: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", "argosy"),
        ("redirect_uri", "http://127.0.0.1:8080/v1/auth/google/callback"),
        ("scope", "openid email profile"),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(asked[name], value, "{name}");
    }
    let cookie = answer.header("set-cookie").unwrap();
    assert!(cookie.starts_with("__Host-argosy-sign-in="), "{cookie}");
    for attribute in ["; Secure", "; HttpOnly", "; SameSite=Lax", "; Path=/", "; Max-Age=660"] {
        assert!(cookie.contains(attribute), "{attribute} in {cookie}");
    }
    assert!(!cookie.contains("Domain"), "{cookie}");
    let secret = cookie.split(['=', ';']).nth(1).unwrap();
    assert_eq!(secret.len(), 43);
    for told in ["state", "nonce", "code_challenge"] {
        assert_eq!(asked[told].len(), 43, "256 bits of {told}");
        assert_ne!(asked[told], secret, "{told} is not the secret");
    }
    let other = bed.nobody().get("/v1/auth/google").send().await;
    assert_ne!(other.header("set-cookie"), answer.header("set-cookie"), "each has its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_new_has_an_account_and_is_signed_in() {
    let (bed, _running, provider) = start().await;
    let (sub, mut browser) = (somebody(), Browser::default());
    let said = [&claims(&sub, "Ada@Example.com")[..], &[("name", "Ada Lovelace"), ("locale", "de-DE")]].concat();
    let told = browser.told(&bed, provider, &said).await;
    assert_eq!(told.keys().collect::<Vec<_>>(), ["code", "return_to"], "no token in a URL");
    assert_eq!((told["code"].len(), told["return_to"].as_str()), (43, "/"));
    assert_eq!(count(&bed, "session").await, 0, "the code has to come back first");

    let answer = browser.exchange(&bed, &told["code"]).await;
    assert_eq!(answer.status, 200, "{answer}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert!(answer.header("set-cookie").unwrap().contains("=; Max-Age=0;"), "the cookie has done its duty: {answer}");
    assert_eq!(answer.at("/user/email"), "Ada@example.com");
    assert_eq!(answer.at("/user/email_verified"), true);
    assert_eq!((answer.at("/user/name"), answer.at("/user/locale")), (&json!("Ada Lovelace"), &json!("de-DE")));
    assert_eq!(answer.at("/user/roles"), &json!(["customer"]));
    let id = user_of(&answer);
    assert_eq!(verified(&bed, &answer).await.sub, id, "an access token like others");
    assert_eq!(refresh(&bed, &answer.text("/refresh_token")).await.status, 200);

    bed.event::<UserRegistered>(|event| event.user_id == id).await;
    bed.no_event::<UserEmailVerificationRequested>(|event| event.user_id == id).await;
    login(&bed, "ada@example.com", "").await.problem("bad_credentials", "");
    assert!(bed.broken_invariants("user").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_again_is_known_by_subject_whatever_their_address() {
    let (bed, _running, provider) = start().await;
    let sub = somebody();
    let first = signed_in(&bed, provider, &sub, "ada@example.com").await;
    let again = signed_in(&bed, provider, &sub, "ada.king@example.com").await;
    assert_eq!(user_of(&again), user_of(&first));
    assert_eq!(again.at("/user/email"), "ada@example.com", "the account's own address is its own");
    let (mut browser, unnamed) = (Browser::default(), [("sub", sub.as_str())]);
    let told = browser.told(&bed, provider, &unnamed).await;
    let without = browser.exchange(&bed, &told["code"]).await;
    assert_eq!(user_of(&without), user_of(&first), "an address is not needed any more");
    let other = signed_in(&bed, provider, &somebody(), "ada.king@example.com").await;
    assert_ne!(user_of(&other), user_of(&first), "the address was not theirs here");
    assert_eq!((count(&bed, "\"user\"").await, count(&bed, "external_identity").await), (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_without_a_name_is_called_by_their_address() {
    let (bed, _running, provider) = start().await;
    let answer = signed_in(&bed, provider, &somebody(), "ada.lovelace@example.com").await;
    assert_eq!((answer.at("/user/name"), answer.at("/user/locale")), (&json!("ada.lovelace"), &json!("en")));
}

#[tokio::test(flavor = "multi_thread")]
async fn people_come_back_to_where_they_were_and_to_nowhere_else() {
    let (bed, _running, provider) = start().await;
    let mut browser = Browser::default();
    let begun = browser.get(&bed, "/v1/auth/google?return_to=%2Forders%3Fstate%3Dopen").await;
    let sub = somebody();
    let said = claims(&sub, "ada@example.com");
    let back = provider.sign_in(begun.header("location").unwrap(), &said).await.unwrap();
    let told = page(&browser.get(&bed, back.strip_prefix(super::PUBLIC_URL).unwrap()).await);
    assert_eq!(told["return_to"], "/orders?state=open");
    for elsewhere in ["https://evil.example/", "//evil.example", "/%5Cevil.example", "/%09/evil.example", "orders", ""]
    {
        let answer = bed.nobody().get(&format!("/v1/auth/google?return_to={elsewhere}")).send().await;
        answer.problem("malformed_request", "?return_to");
        assert_eq!(answer.header("set-cookie"), None);
    }
}
