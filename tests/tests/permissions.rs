//! Every user of the real system may do what its list names, and is refused everything else.

use std::time::Duration;

use nats::{
    connect::inbox_prefix,
    manifest::Manifest,
    topology::{DEBUG, Topology},
};
use stack::{generate, system::SERVICES};
use tokio::sync::mpsc;

use crate::shop::Shop;

/// The subjects that matter of each service: its calls, its events, its HTTP.
fn subjects(manifests: &[Manifest]) -> Vec<(String, String)> {
    let mut subjects = Vec::new();
    for manifest in manifests {
        let owner = || manifest.service.clone();
        subjects.extend(manifest.answers.iter().map(|call| (owner(), call.subject.clone())));
        subjects.extend(manifest.publishes.iter().map(|event| (owner(), event.subject.replace('*', "x"))));
        if manifest.openapi.is_some() {
            subjects.push((owner(), format!("http.{}", manifest.service)));
        }
    }
    subjects
}

fn allows(permitted: &[String], subject: &str) -> bool {
    permitted.iter().any(|pattern| {
        let (mut pattern, mut subject) = (pattern.split('.'), subject.split('.'));
        loop {
            match (pattern.next(), subject.next()) {
                (Some(">"), Some(_)) | (None, None) => return true,
                (Some("*"), Some(_)) => {}
                (Some(one), Some(other)) if one == other => {}
                _ => return false,
            }
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn each_user_is_refused_on_every_subject_that_its_list_does_not_name() {
    let shop = Shop::shared().await;
    let topology = Topology::embedded().unwrap();
    let subjects = subjects(&generate::manifests().unwrap());
    assert!(subjects.len() > 20, "{subjects:?}");
    for user in SERVICES.iter().chain(&["gateway", DEBUG]) {
        let (client, mut refusals) = connect(shop, user).await;
        let permissions = &topology.users[*user];
        for (owner, subject) in subjects.iter().filter(|(_, subject)| !allows(&permissions.publish, subject)) {
            client.publish(subject.clone(), "{}".into()).await.unwrap();
            refused(&mut refusals, user, "publishing", owner, subject).await;
        }
        // Whoever could listen there would read what others are told, or answer in their place.
        for (owner, subject) in subjects.iter().filter(|(_, subject)| !allows(&permissions.subscribe, subject)) {
            let _subscription = client.subscribe(subject.clone()).await.unwrap();
            refused(&mut refusals, user, "subscribing", owner, subject).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_publishes_and_answers_what_is_its_own_alone() {
    let topology = Topology::embedded().unwrap();
    for (owner, subject) in subjects(&generate::manifests().unwrap()) {
        for user in SERVICES.iter().filter(|user| **user != owner) {
            let permissions = &topology.users[*user];
            assert!(!allows(&permissions.subscribe, &subject), "{user} may listen on {subject} of {owner}");
            let may_ask = subject.starts_with("svc.");
            assert!(may_ask || !allows(&permissions.publish, &subject), "{user} may publish on {subject} of {owner}");
        }
    }
}

/// Waits for the server to refuse what was just tried.
async fn refused(refusals: &mut mpsc::UnboundedReceiver<String>, user: &str, tried: &str, owner: &str, subject: &str) {
    let refusal = tokio::time::timeout(Duration::from_secs(5), refusals.recv()).await.ok().flatten();
    let refusal = refusal.unwrap_or_else(|| panic!("{user} was let through {tried} on {subject} of {owner}"));
    assert!(refusal.contains(subject), "{user} {tried} on {subject}: {refusal}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_gateway_may_speak_http_to_a_service() {
    let topology = Topology::embedded().unwrap();
    for (user, permissions) in &topology.users {
        let speaks = permissions.publish.iter().any(|subject| subject.starts_with("http."));
        assert_eq!(speaks, user == "gateway", "{user}");
    }
}

async fn connect(shop: &Shop, user: &str) -> (async_nats::Client, mpsc::UnboundedReceiver<String>) {
    let seed = std::fs::read_to_string(shop.system.seed_file(user)).unwrap();
    let (sender, refusals) = mpsc::unbounded_channel();
    let options = async_nats::ConnectOptions::with_nkey(seed.trim().to_owned())
        .custom_inbox_prefix(inbox_prefix(user))
        .event_callback(move |event| {
            let sender = sender.clone();
            async move {
                if let async_nats::Event::ServerError(error) = event {
                    let _gone = sender.send(error.to_string());
                }
            }
        });
    (options.connect(shop.system.nats.url()).await.unwrap(), refusals)
}
