use super::{Browser, claims, refused, somebody, start};
use crate::count;

/// What somebody who sits between us and the provider might say; each of these is something that a verifier has been
/// known to believe.
const FORGERIES: [&str; 15] = [
    "none",
    "hs256_client_secret",
    "hs256_public_key",
    "signature",
    "unknown_key",
    "issuer",
    "audience",
    "audiences",
    "authorized_party",
    "nonce",
    "no_nonce",
    "expired",
    "stale",
    "future",
    "missing",
];

#[tokio::test(flavor = "multi_thread")]
async fn an_id_token_that_is_not_the_providers_for_us_and_now_signs_nobody_in() {
    let (bed, _running, provider) = start().await;
    for forgery in FORGERIES {
        let (sub, mut browser) = (somebody(), Browser::default());
        let said = [&claims(&sub, "ada@example.com")[..], &[("forge", forgery)]].concat();
        let told = browser.told(&bed, provider, &said).await;
        assert_eq!(told.get("error").map(String::as_str), Some("provider_error"), "{forgery}: {told:?}");
        refused(&told, "provider_error");
    }
    assert_eq!((count(&bed, "\"user\"").await, count(&bed, "sign_in_code").await), (0, 0), "nothing is written");

    let (sub, mut browser) = (somebody(), Browser::default());
    let said = [&claims(&sub, "ada@example.com")[..], &[("forge", "resigned")]].concat();
    let told = browser.told(&bed, provider, &said).await;
    assert!(told.contains_key("code"), "the same token, signed as the provider does: {told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_end_is_not_read() {
    let (bed, _running, provider) = start().await;
    let (sub, mut browser) = (somebody(), Browser::default());
    let said = [&claims(&sub, "ada@example.com")[..], &[("forge", "huge")]].concat();
    refused(&browser.told(&bed, provider, &said).await, "provider_error");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_the_provider_has_not_verified_is_nobodys() {
    let (bed, _running, provider) = start().await;
    let sub = somebody();
    let (unsaid, denied) =
        ([("email", "ada@example.com")], [("email", "ada@example.com"), ("email_verified", "false")]);
    for said in [&[][..], &unsaid, &denied, &[("email", "no address"), ("email_verified", "true")]] {
        let said = [&[("sub", sub.as_str())], said].concat();
        refused(&Browser::default().told(&bed, provider, &said).await, "email_not_verified");
    }
    assert_eq!(count(&bed, "\"user\"").await, 0);
}
