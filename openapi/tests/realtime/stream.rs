//! Server-sent events: what comes, in which order, and how to go on where one left off.

use nats::types::UserId;
use reqwest::Method;

use super::given::{Realtime, STREAM, stream};
use crate::scene::Answer;

#[tokio::test(flavor = "multi_thread")]
async fn messages_come_as_they_are_posted_and_nobody_elses() {
    let realtime = Realtime::set().await;
    let door = realtime.gateway(&[]).await;
    let (ada, eve) = (realtime.somebody(), realtime.somebody());
    realtime.post(ada.user).await;
    let mut of_ada = realtime.listen(&door, &ada, None).await;
    let mut again = realtime.listen(&door, &ada, None).await;
    let mut of_eve = realtime.listen(&door, &eve, None).await;
    assert_eq!([&of_ada, &again, &of_eve].map(|events| events.began_after.as_str()), ["1", "1", "0"]);

    for _ in 0..3 {
        let message = realtime.post(ada.user).await;
        of_ada.says(&message).await;
        again.says(&message).await;
    }
    let message = realtime.post(eve.user).await;
    of_eve.says(&message).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stream_is_alive_though_nothing_happens_and_nobody_keeps_or_gathers_it() {
    let realtime = Realtime::set().await;
    let door = realtime.gateway(&[("STREAM_KEEP_ALIVE_MS", "50"), ("CLIENT_TIMEOUT_MS", "100")]).await;
    let ada = realtime.somebody();
    let response = stream(&door, &ada).header("Accept-Encoding", "gzip, br, zstd").send().await.unwrap();
    for (name, value) in [
        ("content-type", "text/event-stream"),
        ("cache-control", "no-store, no-transform"),
        ("x-accel-buffering", "no"),
        ("x-content-type-options", "nosniff"),
    ] {
        assert_eq!(response.headers()[name], value);
    }
    assert!(response.headers().contains_key("ratelimit") && !response.headers().contains_key("content-encoding"));

    let mut events = realtime.listen(&door, &ada, None).await;
    let mut comments = 0;
    while comments < 10 {
        comments += usize::from(events.block().await.expect("a comment").comment);
    }
    let message = realtime.post(ada.user).await;
    events.says(&message).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_says_which_message_they_had_last_gets_all_that_came_since() {
    let realtime = Realtime::set().await;
    let door = realtime.gateway(&[]).await;
    let ada = realtime.somebody();
    let mut posted = Vec::new();
    for _ in 0..450 {
        // More than are asked for at once; what is long past was told to nobody.
        posted.push(realtime.write(ada.user));
    }

    let mut events = realtime.listen(&door, &ada, Some(0)).await;
    for message in &posted {
        events.says(message).await;
    }
    let next = realtime.post(ada.user).await;
    events.says(&next).await;

    let request = door.request(Method::GET, &format!("{STREAM}?last_event_id=449")).bearer_auth(&ada.token);
    let mut by_query = super::client::Events::open(request).await;
    by_query.says(&posted[449]).await;
    by_query.says(&next).await;

    // Whoever names one that there never was gets what comes.
    let mut latest = next;
    for unknown in [1_000, i64::MAX] {
        let mut lost = realtime.listen(&door, &ada, Some(unknown)).await;
        assert_eq!(lost.began_after, latest.sequence.to_string());
        latest = realtime.post(ada.user).await;
        lost.says(&latest).await;
    }
    let wrong = Answer::of(stream(&door, &ada).header("Last-Event-ID", "yesterday")).await;
    assert_eq!(wrong.code(), (400, "malformed_request".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_told_is_missed_by_its_number_and_asked_for() {
    let realtime = Realtime::set().await;
    let door = realtime.gateway(&[]).await;
    let ada = realtime.somebody();
    let mut events = realtime.listen(&door, &ada, None).await;
    let first = realtime.post(ada.user).await;
    events.says(&first).await;

    let lost = [realtime.write(ada.user), realtime.write(ada.user)];
    let told = realtime.post(ada.user).await;
    // Told late, when it is known already.
    realtime.tell(ada.user, &lost[0]).await;
    let next = realtime.post(ada.user).await;

    for message in [&lost[0], &lost[1], &told, &next] {
        events.says(message).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_while_the_gateway_was_cut_off_from_nats_comes_afterwards() {
    let mut realtime = Realtime::set().await;
    let door = realtime.gateway(&[]).await;
    let ada = realtime.somebody();
    let mut events = realtime.listen(&door, &ada, None).await;
    let before = realtime.post(ada.user).await;
    events.says(&before).await;

    realtime.scene.bed.broker().process().kill();
    let meanwhile = [realtime.write(ada.user), realtime.write(ada.user)];
    realtime.scene.bed.broker().restart().await.expect("nats-server comes back");
    // Nothing else is told: the stream looks by itself.
    for message in &meanwhile {
        events.says(message).await;
    }

    let after = realtime.post(ada.user).await;
    events.says(&after).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_gateway_goes_on_where_the_first_one_stopped() {
    let realtime = Realtime::set().await;
    let first = realtime.gateway(&[]).await;
    let ada = realtime.somebody();
    let mut events = realtime.listen(&first, &ada, None).await;
    let seen = realtime.post(ada.user).await;
    events.says(&seen).await;

    let stopping = tokio::spawn(first.gateway.stop());
    events.ends_with("restarting").await;
    stopping.await.unwrap();
    let missed = realtime.post(ada.user).await;
    let second = realtime.gateway(&[]).await;

    let mut events = realtime.listen(&second, &ada, Some(seen.sequence)).await;
    events.says(&missed).await;
    let next = realtime.post(ada.user).await;
    events.says(&next).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_has_so_many_streams() {
    let realtime = Realtime::set().await;
    let door = realtime.gateway(&[("STREAMS_PER_USER", "2")]).await;
    let (ada, eve) = (realtime.somebody(), realtime.somebody());
    let first = realtime.listen(&door, &ada, None).await;
    let second = realtime.listen(&door, &ada, None).await;

    let refused = Answer::of(stream(&door, &ada)).await;
    assert_eq!(refused.code(), (429, "too_many_requests".to_owned()));
    assert!(!refused.header("retry-after").is_empty());
    let _other = realtime.listen(&door, &eve, None).await;

    drop(first);
    let let_in = || async { (stream(&door, &ada).send().await.unwrap().status() == 200).then_some(()) };
    realtime.scene.bed.wait_for("the place of the one that went", let_in).await;
    drop(second);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_is_known_listens_and_only_by_reading() {
    let realtime = Realtime::set().await;
    let door = realtime.gateway(&[]).await;
    let ada = realtime.somebody();

    assert_eq!(door.get(STREAM).await.code(), (401, "unauthenticated".to_owned()));
    // Said by the client itself, who it is.
    let said = door.request(Method::GET, STREAM).header("Argosy-User", UserId::new().to_string());
    assert_eq!(Answer::of(said).await.code(), (401, "unauthenticated".to_owned()));
    let head = door.request(Method::HEAD, STREAM).bearer_auth(&ada.token).send().await.unwrap();
    assert_eq!((head.status().as_u16(), head.headers()["allow"].to_str().unwrap()), (405, "GET"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_svc_notify_no_stream_begins() {
    let scene = crate::scene::Scene::set().await;
    let door = scene.gateway(&[]).await;

    let away = Answer::of(door.request(Method::GET, STREAM).bearer_auth(scene.token())).await;

    assert_eq!(away.code(), (503, "unavailable".to_owned()));
}
