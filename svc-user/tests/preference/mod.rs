//! One's own preferences.

use nats::{
    contracts::user::{EmailPreferences, GetUserDetails, Preferences},
    types::Currency,
};
use serde_json::json;

use crate::{count, register, signed_in, start, user_of};

const PREFERENCES: &str = "/v1/users/me/preferences";

#[tokio::test(flavor = "multi_thread")]
async fn whoever_says_nothing_has_the_defaults() {
    let (bed, _running) = start().await;
    let answer = register(&bed, "ada@example.com").await;
    let ada = signed_in(&bed, &answer).await;
    let read = ada.get(PREFERENCES).send().await;
    let defaults = json!({"locale": "en", "currency": "EUR", "emails": {"orders": true, "invoices": true}});
    assert_eq!((read.status, &read.json), (200, &defaults), "{read}");
    assert_eq!(count(&bed, "preference").await, 0, "nothing has to be written for that");
    let details = bed.call(&GetUserDetails { user_id: user_of(&answer) }).await.expect("details");
    assert_eq!(details.preferences, Preferences::default());
    let nothing = ada.patch(PREFERENCES, &json!({})).send().await;
    assert_eq!((nothing.status, &nothing.json), (200, &defaults), "{nothing}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_is_changed_and_other_services_learn_it() {
    let (bed, _running) = start().await;
    let answer = register(&bed, "ada@example.com").await;
    let ada = signed_in(&bed, &answer).await;
    for (said, expected) in [
        (
            json!({"emails": {"orders": false}}),
            json!({"locale": "en", "currency": "EUR", "emails": {"orders": false, "invoices": true}}),
        ),
        (
            json!({"currency": "CHF", "locale": "de-ch"}),
            json!({"locale": "de-CH", "currency": "CHF", "emails": {"orders": false, "invoices": true}}),
        ),
        (
            json!({"emails": {"orders": true, "invoices": false}}),
            json!({"locale": "de-CH", "currency": "CHF", "emails": {"orders": true, "invoices": false}}),
        ),
    ] {
        let changed = ada.patch(PREFERENCES, &said).send().await;
        assert_eq!((changed.status, &changed.json), (200, &expected), "{said}: {changed}");
        assert_eq!(ada.get(PREFERENCES).send().await.json, expected);
    }
    assert_eq!(ada.get("/v1/users/me").send().await.at("/locale"), "de-CH", "the profile's language is the same");
    let details = bed.call(&GetUserDetails { user_id: user_of(&answer) }).await.expect("details");
    let emails = EmailPreferences { orders: true, invoices: false };
    assert_eq!(details.preferences, Preferences { currency: Currency::CHF, emails });
    let bob = signed_in(&bed, &register(&bed, "bob@example.com").await).await;
    assert_eq!(bob.get(PREFERENCES).send().await.at("/currency"), "EUR", "each has their own");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_pointed_at_and_changes_nothing() {
    let (bed, _running) = start().await;
    let ada = signed_in(&bed, &register(&bed, "ada@example.com").await).await;
    for (said, pointer) in [
        (json!({"locale": "de", "currency": "XXX"}), "/currency"),
        (json!({"locale": "german"}), "/locale"),
        (json!({"emails": {"orders": "no"}}), "/emails/orders"),
        (json!({"emails": {"security": false}}), "/emails/security"),
        (json!({"color": "red"}), "/color"),
    ] {
        ada.patch(PREFERENCES, &said).send().await.problem("invalid_request", pointer);
    }
    assert_eq!(ada.get(PREFERENCES).send().await.at("/locale"), "en");
    bed.nobody().get(PREFERENCES).send().await.problem("unauthenticated", "");
    bed.customer().get(PREFERENCES).send().await.problem("not_found", "");
    bed.customer().patch(PREFERENCES, &json!({})).send().await.problem("not_found", "");
}
