//! A stream ends with what it was opened by.

use std::time::{Duration, Instant};

use nats::{
    contracts::user::{API_KEY_PREFIX, UserApiKeyRevoked, UserSessionEnded, VerifiedApiKey, VerifyApiKey},
    types::{ApiKeyId, UserId},
};
use reqwest::{Method, StatusCode};

use super::{
    client::{Events, Socket, try_open},
    given::{Realtime, STREAM, TICKETS, stream},
};
use crate::scene::{Answer, Door};

const UNAUTHENTICATED: u16 = 4401;

async fn until_ready(realtime: &Realtime, door: &Door) {
    let ready = || async { (door.request(Method::GET, "/readyz").send().await.unwrap().status() == 200).then_some(()) };
    realtime.scene.bed.wait_for("the gateway to be ready", ready).await;
}

/// What svc-user tells, with streams for the gateway to follow.
async fn streams_of_ends(realtime: &Realtime) {
    realtime.scene.bed.publish(&UserApiKeyRevoked { user_id: UserId::new(), api_key_id: ApiKeyId::new() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_end_within_a_second_of_their_session_and_others_go_on() {
    let realtime = Realtime::set().await;
    let door = realtime.gateway(&[]).await;
    let ada = realtime.somebody();
    let elsewhere = realtime.again(&ada);
    streams_of_ends(&realtime).await;
    let answer = Answer::of(door.request(Method::POST, TICKETS).bearer_auth(&ada.token)).await;
    let ticket: serde_json::Value = serde_json::from_slice(&answer.bytes).unwrap();
    let by_ticket = format!("{STREAM}?ticket={}", ticket["ticket"].as_str().unwrap());
    let mut by_ticket = Events::open(door.request(Method::GET, &by_ticket)).await;
    let mut events = realtime.listen(&door, &ada, None).await;
    let mut socket = Socket::open(&door, &ada, "").await;
    let mut other = realtime.listen(&door, &elsewhere, None).await;

    realtime.scene.bed.publish(&UserSessionEnded { user_id: ada.user, session_id: ada.session }).await;
    let end = Instant::now();

    events.ends_with("unauthenticated").await;
    by_ticket.ends_with("unauthenticated").await;
    socket.closes_with(UNAUTHENTICATED).await;
    assert!(end.elapsed() < Duration::from_secs(1), "{:?}", end.elapsed());
    let message = realtime.post(ada.user).await;
    other.says(&message).await;
    // Who comes again needs another session.
    assert_eq!(Answer::of(stream(&door, &ada)).await.code(), (401, "unauthenticated".to_owned()));
    assert_eq!(try_open(&door, Some(&ada), "", &[]).await.err(), Some(StatusCode::UNAUTHORIZED));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_is_worth_nothing_once_its_session_has_ended() {
    let realtime = Realtime::set().await;
    let door = realtime.gateway(&[]).await;
    let ada = realtime.somebody();
    let answer = Answer::of(door.request(Method::POST, TICKETS).bearer_auth(&ada.token)).await;
    let ticket: serde_json::Value = serde_json::from_slice(&answer.bytes).unwrap();
    realtime.scene.bed.publish(&UserSessionEnded { user_id: ada.user, session_id: ada.session }).await;
    let refused = || async {
        (Answer::of(door.request(Method::POST, TICKETS).bearer_auth(&ada.token)).await.status == 401).then_some(())
    };
    realtime.scene.bed.wait_for("the end to be known", refused).await;

    let late = door.get(&format!("{STREAM}?ticket={}", ticket["ticket"].as_str().unwrap())).await;

    assert_eq!(late.code(), (401, "unauthenticated".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_its_token() {
    let realtime = Realtime::set().await;
    let door = realtime.gateway(&[]).await;
    // Half a minute more is allowed for clocks that differ.
    let ada = realtime.somebody_for(-27);
    let mut socket = Socket::open(&door, &ada, "").await;
    let mut events = realtime.listen(&door, &ada, None).await;
    let message = realtime.post(ada.user).await;
    events.says(&message).await;

    events.ends_with("unauthenticated").await;

    socket.says(&message).await;
    socket.closes_with(UNAUTHENTICATED).await;
    let mut again = realtime.listen(&door, &realtime.again(&ada), Some(message.sequence)).await;
    let next = realtime.post(ada.user).await;
    again.says(&next).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_listens_with_a_key_that_has_the_scope_until_it_is_revoked() {
    let realtime = Realtime::set().await;
    let door = realtime.gateway(&[]).await;
    streams_of_ends(&realtime).await;
    let (user_id, api_key_id) = (UserId::new(), ApiKeyId::new());
    let (good, other) = [("a", "notify:read"), ("b", "order:read")]
        .map(|(letter, scope)| (format!("{API_KEY_PREFIX}{}", letter.repeat(43)), scope.to_owned()))
        .into();
    let known = [good.clone(), other.clone()];
    realtime
        .scene
        .bed
        .answer::<VerifyApiKey>(move |question| {
            let (_, scope) = known.iter().find(|(key, _)| VerifyApiKey::of(key).hash == question.hash).unwrap();
            Ok(VerifiedApiKey {
                api_key_id,
                user_id,
                scopes: vec![scope.clone()],
                roles: vec![],
                permissions: vec![],
                revision: 1,
                expires_at: chrono::Utc::now() + Duration::from_secs(3600),
            })
        })
        .await;
    until_ready(&realtime, &door).await;
    let with = |key: &str, method: Method, path: &str| door.request(method, path).bearer_auth(key);

    for (method, path) in [(Method::GET, STREAM), (Method::POST, TICKETS)] {
        let refused = Answer::of(with(&other.0, method, path)).await;
        assert_eq!(refused.code(), (403, "forbidden".to_owned()), "{path}");
        assert!(refused.detail().contains("notify:read"), "{}", refused.detail());
    }
    let mut events = Events::open(with(&good.0, Method::GET, STREAM)).await;
    let message = realtime.post(user_id).await;
    events.says(&message).await;
    let answer = Answer::of(with(&good.0, Method::POST, TICKETS)).await;
    let ticket: serde_json::Value = serde_json::from_slice(&answer.bytes).unwrap();
    let path = format!("{STREAM}?ticket={}", ticket["ticket"].as_str().unwrap());
    let mut by_ticket = Events::open(door.request(Method::GET, &path)).await;

    realtime.scene.bed.publish(&UserApiKeyRevoked { user_id, api_key_id }).await;

    events.ends_with("unauthenticated").await;
    by_ticket.ends_with("unauthenticated").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_stops_tells_so_and_does_not_wait_for_whoever_stays() {
    let realtime = Realtime::set().await;
    let door = realtime.gateway(&[]).await;
    let (ada, eve) = (realtime.somebody(), realtime.somebody());
    let mut events = realtime.listen(&door, &ada, None).await;
    let mut socket = Socket::open(&door, &ada, "").await;
    // Neither reads nor leaves.
    let _idle = (Socket::open(&door, &eve, "").await, realtime.listen(&door, &eve, None).await);

    let begin = Instant::now();
    let stopping = tokio::spawn(door.gateway.stop());

    events.ends_with("restarting").await;
    socket.closes_with(1012).await;
    stopping.await.unwrap();
    assert!(begin.elapsed() < Duration::from_secs(12), "{:?}", begin.elapsed());
}
