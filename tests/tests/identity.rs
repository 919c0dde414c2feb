//! Accounts, end to end: what has ended is refused at the gateway, keys rotate, mails bring links, programs come with keys.

use chrono::{Duration, Utc};
use nats::topology::OPERATOR;
use reqwest::Method;
use serde_json::json;
use stack::{tools, wait::wait_for};
use tokio::process::Command;

use crate::shop::{Answer, BOUND, Person, Shop};

const PASSWORD: &str = "correct horse battery";

/// The same person, signed in once more.
async fn again(shop: &Shop, person: &Person, password: &str) -> Person {
    let credentials = json!({ "email": person.email, "password": password });
    let answer = shop.nobody().post("/v1/auth/login", &credentials).await;
    assert_eq!(answer.status, 200, "{answer}");
    Person { token: Some(answer.text("/access_token")), ..person.clone() }
}

/// Waits until the gateway does not know somebody any more.
async fn refused(person: &Person) {
    wait_for("the gateway to refuse the token", BOUND, || async {
        let answer = person.try_get("/v1/users/me").await?;
        if answer.status == 401 { Ok(Some(())) } else { Err(answer.to_string()) }
    })
    .await
    .unwrap_or_else(|error| panic!("{error}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_ended_elsewhere_is_over_although_its_token_is_not() {
    let shop = Shop::shared().await;
    let here = shop.shopper().await;
    let elsewhere = again(shop, &here, PASSWORD).await;
    let sessions = elsewhere.get("/v1/sessions").await;
    let current = sessions.at("/data/0/current") == &json!(true);
    let id = sessions.text(if current { "/data/0/id" } else { "/data/1/id" });

    let ended = Answer::of(here.request(Method::DELETE, &format!("/v1/sessions/{id}"))).await;

    assert_eq!(ended.status, 204, "{ended}");
    refused(&elsewhere).await;
    assert_eq!(here.get("/v1/users/me").await.status, 200, "the other session goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_in_a_mail_sets_a_new_password_and_ends_every_session() {
    let shop = Shop::shared().await;
    let ines = shop.shopper().await;
    let asked = shop.nobody().post("/v1/auth/password-reset", &json!({ "email": ines.email })).await;
    assert_eq!(asked.status, 202, "{asked}");
    let mail = shop.mail(&ines.email, "Set a new password").await;
    let (_, rest) = mail.text.split_once("#token=").unwrap_or_else(|| panic!("no link in {}", mail.text));
    let token = rest.split_whitespace().next().unwrap_or_default();

    let reset = json!({ "token": token, "password": "a new horse, a new battery" });
    let set = shop.nobody().post("/v1/auth/password-reset/confirm", &reset).await;

    assert!((200..300).contains(&set.status), "{set}");
    refused(&ines).await;
    again(shop, &ines, "a new horse, a new battery").await;
    let twice = shop.nobody().post("/v1/auth/password-reset/confirm", &reset).await;
    assert!((400..500).contains(&twice.status), "the link works once: {twice}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_does_what_its_key_is_for_until_the_key_is_revoked() {
    let shop = Shop::shared().await;
    let ines = shop.shopper().await;
    let expires_at = (Utc::now() + Duration::days(1)).to_rfc3339();
    let wanted = json!({ "name": "bookkeeping", "scopes": ["order:read"], "expires_at": expires_at });
    let made = ines.post("/v1/api-keys", &wanted).await;
    assert_eq!(made.status, 201, "{made}");
    let program = Person { token: Some(made.text("/key")), ..ines.clone() };

    let orders = program.get("/v1/orders").await;
    assert_eq!(orders.status, 200, "{orders}");
    program.order("k1", "LAMP-1", 1, "sandbox_ok").await.problem("forbidden");
    program.get("/v1/sessions").await.problem("forbidden");

    let path = format!("/v1/api-keys/{}", made.text("/id"));
    assert_eq!(Answer::of(ines.request(Method::DELETE, &path)).await.status, 204);
    wait_for("the gateway to refuse the key", BOUND, || async {
        let answer = program.try_get("/v1/orders").await?;
        if answer.status == 401 { Ok(Some(())) } else { Err(answer.to_string()) }
    })
    .await
    .unwrap_or_else(|error| panic!("{error}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_rotates_the_signing_keys_and_nobody_has_to_sign_in_again() {
    let shop = Shop::shared().await;
    let ines = shop.shopper().await;
    let before = shop.nobody().get("/.well-known/jwks.json").await.at("/keys").as_array().map_or(0, Vec::len);

    let mut command = Command::new(tools::built("argosy").unwrap());
    command.args(["user", "rotate-keys"]).env("NATS_URL", shop.system.nats.url()).env("LOG", "off");
    command.env("NATS_SEED_FILE", shop.system.seed_file(OPERATOR)).kill_on_drop(true);
    let output = command.output().await.unwrap();

    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains("signs from"), "{output:?}");
    let after = shop.nobody().get("/.well-known/jwks.json").await;
    assert_eq!(after.at("/keys").as_array().map_or(0, Vec::len), before + 1, "published before it signs: {after}");
    assert_eq!(ines.get("/v1/users/me").await.status, 200);
    again(shop, &ines, PASSWORD).await;
}
