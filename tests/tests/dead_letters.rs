//! Dead letters of the whole system: through the gateway, and by the operator's command.

use std::process::Command;

use nats::topology::OPERATOR;
use serde_json::json;
use stack::{tools, wait::wait_for};

use crate::shop::{BOUND, Shop};

/// Something on a service's own subject that is no event.
async fn forge(shop: &Shop, service: &str, subject: &str) {
    let seed = std::fs::read_to_string(shop.system.seed_file(service)).unwrap();
    let client = async_nats::ConnectOptions::with_nkey(seed.trim().to_owned()).connect(shop.system.nats.url()).await;
    let client = client.unwrap();
    client.publish(subject.to_owned(), "no event".into()).await.unwrap();
    client.flush().await.unwrap();
}

/// What the operator's command prints.
async fn argosy(shop: &Shop, arguments: &[&str]) -> String {
    let mut command = Command::new(tools::built("argosy").unwrap());
    command.args(arguments).env("NATS_URL", shop.system.nats.url());
    command.env("NATS_SEED_FILE", shop.system.seed_file(OPERATOR)).env("LOG", "off");
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_handled_appears_is_shown_redriven_and_discarded() {
    let shop = Shop::shared().await;
    let (admin, staff, customer) = (shop.demo("ADMIN").await, shop.demo("STAFF").await, shop.shopper().await);
    let subject = format!("evt.user.registered.{}", uuid::Uuid::new_v4().simple());
    forge(shop, "user", &subject).await;

    let list = "/v1/dead-letters?service=notify&consumer=notify-welcome&limit=100";
    let letter = wait_for("the dead letter", BOUND, async || {
        let answer = admin.try_get(list).await?;
        let letters = answer.at("/data").as_array().cloned().ok_or_else(|| answer.to_string())?;
        Ok::<_, String>(letters.into_iter().find(|letter| letter["subject"] == subject.as_str()))
    });
    let letter = letter.await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((&letter["state"], &letter["attempts"]), (&json!("dead"), &json!(1)));
    let id = letter["id"].as_str().unwrap();
    let path = format!("/v1/dead-letters/notify/{id}");

    for (person, code) in [(&staff, "forbidden"), (&customer, "forbidden"), (&shop.nobody(), "unauthenticated")] {
        person.get(list).await.problem(code);
        person.get(&path).await.problem(code);
        person.post(&format!("{path}/redrive"), &json!(null)).await.problem(code);
        person.post(&format!("{path}/discard"), &json!({ "reason": "mine" })).await.problem(code);
        person.post("/v1/dead-letters/redrive", &json!({})).await.problem(code);
    }
    assert_eq!(admin.get(&path).await.at("/payload"), "no event");
    assert_eq!(admin.post(&format!("{path}/redrive"), &json!(null)).await.status, 202);
    admin.until(&path, "/letter/attempts", 2).await;

    assert!(argosy(shop, &["dead", "list", "notify-welcome"]).await.contains(id));
    assert!(argosy(shop, &["dead", "show", id]).await.contains("no event"));
    argosy(shop, &["dead", "redrive", id]).await;
    admin.until(&path, "/letter/attempts", 3).await;
    argosy(shop, &["dead", "discard", id, "a test"]).await;
    admin.get(&path).await.problem("not_found");
}
