//! Tickets: one stream each, for whoever asked for it.

use std::time::Duration;

use futures_util::future::join_all;
use nats::{connect::jetstream, contracts::notify::STREAM_TICKETS};
use reqwest::{Method, StatusCode};

use super::{
    client::{Events, try_open},
    given::{Person, Realtime, SOCKET, STREAM, TICKETS},
};
use crate::scene::{Answer, Door};

async fn ticket(door: &Door, person: &Person) -> String {
    let answer = Answer::of(door.request(Method::POST, TICKETS).bearer_auth(&person.token)).await;
    assert_eq!(answer.status, 200, "{}", answer.detail());
    assert_eq!(answer.header("cache-control"), "no-store");
    let body: serde_json::Value = serde_json::from_slice(&answer.bytes).unwrap();
    assert_eq!(body["expires_in"], 30);
    body["ticket"].as_str().unwrap().to_owned()
}

async fn refused(door: &Door, ticket: &str) {
    let answer = door.get(&format!("{STREAM}?ticket={ticket}")).await;
    assert_eq!(answer.code(), (401, "unauthenticated".to_owned()), "{ticket}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_opens_one_stream_of_whoever_asked_for_it() {
    let realtime = Realtime::set().await;
    let (door, other) = (realtime.gateway(&[]).await, realtime.gateway(&[]).await);
    let (ada, eve) = (realtime.somebody(), realtime.somebody());
    let had = realtime.post(ada.user).await;
    let missed = realtime.post(ada.user).await;
    realtime.post(eve.user).await;

    let first = ticket(&door, &ada).await;
    let query = format!("?ticket={first}&last_event_id={}", had.sequence);
    // At another gateway than the one that made it.
    let mut events = Events::open(other.request(Method::GET, &format!("{STREAM}{query}"))).await;
    events.says(&missed).await;
    refused(&door, &first).await;
    refused(&other, &first).await;

    let second = ticket(&door, &ada).await;
    assert_ne!(first, second);
    let mut socket = try_open(&door, None, &format!("?ticket={second}&last_event_id=1"), &[]).await.unwrap();
    assert_eq!(socket.next().await["event"], "ready");
    socket.says(&missed).await;
    assert_eq!(try_open(&door, None, &format!("?ticket={second}"), &[]).await.err(), Some(StatusCode::UNAUTHORIZED));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_those_who_bring_it_at_once_one_gets_in() {
    let realtime = Realtime::set().await;
    let doors = [realtime.gateway(&[]).await, realtime.gateway(&[]).await];
    let ada = realtime.somebody();
    for _ in 0..5 {
        let ticket = ticket(&doors[0], &ada).await;
        let path = format!("{STREAM}?ticket={ticket}");
        let opened = (0..8).map(|turn: usize| doors[turn % 2].request(Method::GET, &path).send());
        let statuses: Vec<u16> =
            join_all(opened).await.into_iter().map(|answer| answer.unwrap().status().as_u16()).collect();
        assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
        assert!(statuses.iter().all(|status| [200, 401].contains(status)), "{statuses:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_ticket_lets_nobody_in_and_a_ticket_nowhere_else() {
    let realtime = Realtime::set().await;
    let door = realtime.gateway(&[]).await;
    let ada = realtime.somebody();
    for wrong in ["", "x", &"x".repeat(43), &"%41".repeat(43), &ada.token] {
        refused(&door, wrong).await;
    }
    let ticket = ticket(&door, &ada).await;
    for (method, path) in [(Method::POST, TICKETS), (Method::GET, "/v1/orders"), (Method::GET, "/v1/notifications")] {
        let answer = Answer::of(door.request(method, &format!("{path}?ticket={ticket}"))).await;
        assert_eq!(answer.code(), (401, "unauthenticated".to_owned()), "{path}");
    }
    // None of them used it up. Whoever brings a token as well is who the token says.
    let eve = realtime.somebody();
    let both = door.request(Method::GET, &format!("{STREAM}?ticket={ticket}")).bearer_auth(&eve.token);
    let mut of_eve = Events::open(both).await;
    let message = realtime.post(eve.user).await;
    of_eve.says(&message).await;
    Events::open(door.request(Method::GET, &format!("{STREAM}?ticket={ticket}"))).await;
    assert_eq!(door.get(&format!("{SOCKET}?ticket={ticket}")).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_is_forgotten() {
    let realtime = Realtime::set().await;
    let door = realtime.gateway(&[]).await;
    let ada = realtime.somebody();
    let (client, _) = realtime.scene.bed.connect_as("bed").await;
    let bucket = jetstream(&client).get_stream(format!("KV_{}", STREAM_TICKETS.name)).await.unwrap();
    let mut config = bucket.cached_info().config.clone();
    assert_eq!(config.max_age, Duration::from_secs(30));
    // Time passes faster.
    (config.max_age, config.duplicate_window) = (Duration::from_millis(500), Duration::from_millis(500));
    jetstream(&client).update_stream(&config).await.unwrap();
    let ticket = ticket(&door, &ada).await;

    let forgotten = || async {
        let messages = jetstream(&client).get_stream(&config.name).await.unwrap().cached_info().state.messages;
        (messages == 0).then_some(())
    };
    realtime.scene.bed.wait_for("the ticket to be forgotten", forgotten).await;

    refused(&door, &ticket).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_tries_many_tickets_is_held_up() {
    let realtime = Realtime::set().await;
    let door = realtime.gateway(&[("LIMITS", "read=5/60")]).await;
    let wrong = "x".repeat(43);
    let mut answers = Vec::new();
    for _ in 0..8 {
        answers.push(door.get(&format!("{STREAM}?ticket={wrong}")).await.status);
    }
    assert!(answers.starts_with(&[401]) && answers.ends_with(&[429]), "{answers:?}");
}
