//! Following a stream: what happened of late, and what comes.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_nats::{HeaderMap, jetstream};
use nats::{
    connect::connect,
    consume::Received,
    contracts::Event,
    follow::follow,
    outbox::envelope,
    service::{Runtime, Service, StartError},
    types::{EventId, UserId},
};
use serde_json::{Value, json};
use stack::{
    Bed,
    bed::{BOUND, Refusals},
};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::{
    consume::event,
    probe::{self, DoThing, MIGRATIONS, ThingDone},
};

const HOUR: Duration = Duration::from_secs(3600);

/// What a watcher has seen.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<UserId>>>);

impl Seen {
    fn take(&self, received: Received<ThingDone>) {
        assert_ne!(received.event.mood, "panic", "as asked");
        self.0.lock().unwrap().push(received.event.thing);
    }

    fn forget(&self) {
        self.0.lock().unwrap().clear();
    }

    fn things(&self) -> Vec<UserId> {
        self.0.lock().unwrap().clone()
    }

    async fn until(&self, bed: &Bed, event: &ThingDone) {
        let look = || async { self.things().contains(&event.thing).then_some(()) };
        bed.wait_for("the event to be seen", look).await;
    }
}

/// A service that sees what has happened since so long ago.
fn watcher(seen: &Seen, ago: Duration) -> Service<Seen> {
    let seen = seen.clone();
    let start = move |_: Runtime| async move { Ok::<_, StartError>(seen) };
    Service::new("watcher", "Sees what happens to things.", MIGRATIONS, start).follow::<ThingDone, _>(ago, Seen::take)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_of_late_is_seen_and_then_what_comes() {
    let (bed, seen) = (Bed::start().await, Seen::default());
    let (first, second, third) = (event("fine"), event("fine"), event("fine"));
    bed.publish(&first).await;
    bed.publish(&second).await;

    let _watcher = bed.run(watcher(&seen, HOUR)).await;
    seen.until(&bed, &second).await;
    bed.publish(&third).await;
    seen.until(&bed, &third).await;

    assert_eq!(seen.things(), [first.thing, second.thing, third.thing]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_before_that_is_not_seen() {
    let (bed, seen) = (Bed::start().await, Seen::default());
    bed.publish(&event("fine")).await;

    let _watcher = bed.run(watcher(&seen, Duration::ZERO)).await;
    // Published again and again: when following has begun is not told.
    let known = bed
        .wait_for("an event to be seen", || async {
            let later = event("fine");
            bed.publish(&later).await;
            seen.things().first().copied()
        })
        .await;

    let all = bed.events::<ThingDone>(|_| true).await;
    assert_ne!(all.first().map(|event| event.thing), Some(known));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_told_when_everything_that_was_there_has_been_seen() {
    let (bed, seen) = (Bed::start().await, Seen::default());
    let _watcher = bed.run(watcher(&Seen::default(), HOUR)).await;
    let (client, _refusals) = bed.connect_as("watcher").await;
    let (take, stop) = (seen.clone(), CancellationToken::new());
    let (caught_up, run) = follow(&client, HOUR, move |received| take.take(received), stop.clone());
    let running = tokio::spawn(run);
    assert!(!caught_up.within(Duration::from_millis(300)).await, "there is no stream yet");

    let events: Vec<ThingDone> = (0..100).map(|_| event("fine")).collect();
    for event in &events {
        bed.publish(event).await;
    }
    assert!(caught_up.within(BOUND).await && caught_up.now());
    seen.until(&bed, &events[99]).await;
    stop.cancel();
    running.await.unwrap();

    let again = Seen::default();
    let take = again.clone();
    let (caught_up, run) = follow(&client, HOUR, move |received| take.take(received), CancellationToken::new());
    let _running = tokio::spawn(run);
    assert!(caught_up.within(BOUND).await);
    assert_eq!(again.things(), events.iter().map(|event| event.thing).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_great_many_events_none_is_missed() {
    let (bed, seen) = (Bed::start().await, Seen::default());
    let _watcher = bed.run(watcher(&Seen::default(), HOUR)).await;
    bed.publish(&event("fine")).await;
    // Over one connection, so that the last is in the stream after all others.
    let jetstream = jetstream::new(connect(&bed.settings("bed"), "bed").await.unwrap());
    let mut last = None;
    for _ in 0..20_000 {
        let event = event("fine");
        let mut headers = HeaderMap::new();
        for (name, value) in envelope(EventId::new(), &event) {
            headers.insert(name, value.as_str());
        }
        let body = serde_json::to_vec(&event).unwrap();
        last = Some(jetstream.publish_with_headers(event.subject(), headers, body.into()).await.unwrap());
    }
    last.unwrap().await.expect("stored");

    let (client, _refusals) = bed.connect_as("watcher").await;
    let take = seen.clone();
    let (caught_up, run) = follow(&client, HOUR, move |received| take.take(received), CancellationToken::new());
    let _running = tokio::spawn(run);

    assert!(caught_up.within(BOUND).await);
    assert_eq!(seen.things(), bed.events::<ThingDone>(|_| true).await.iter().map(|e| e.thing).collect::<Vec<_>>());
    assert_eq!(seen.things().len(), 20_001);
}

#[tokio::test(flavor = "multi_thread")]
async fn following_goes_on_after_a_reconnect() {
    let (mut bed, seen) = (Bed::start().await, Seen::default());
    let _watcher = bed.run(watcher(&seen, HOUR)).await;
    let (before, after) = (event("fine"), event("fine"));
    bed.publish(&before).await;
    seen.until(&bed, &before).await;

    bed.broker().process().kill();
    bed.broker().restart().await.expect("nats-server comes back");
    bed.publish(&after).await;

    seen.until(&bed, &after).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_beginning_is_told_once_it_has_caught_up() {
    let mut bed = Bed::start().await;
    let _watcher = bed.run(watcher(&Seen::default(), HOUR)).await;
    bed.publish(&event("fine")).await;
    let (client, _refusals) = bed.connect_as("watcher").await;
    let (mut caught_up, run) = follow(&client, HOUR, |_: Received<ThingDone>| (), CancellationToken::new());
    let running = tokio::spawn(run);
    assert!(timeout(BOUND, caught_up.again()).await.expect("the first one"));

    bed.broker().process().kill();
    bed.broker().restart().await.expect("nats-server comes back");

    assert!(timeout(BOUND, caught_up.again()).await.expect("one more after the reconnect"));
    running.abort();
    while timeout(BOUND, caught_up.again()).await.expect("the end") {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_lost_everything_is_seen_again_when_the_relay_has_filled_it() {
    let (mut bed, seen) = (Bed::start().await, Seen::default());
    let _probe = bed.run(probe::service()).await;
    let _watcher = bed.run(watcher(&seen, HOUR)).await;
    let done = event("fine");
    bed.call(&DoThing { thing: done.thing, mood: done.mood.clone(), commit: true }).await.expect("done");
    seen.until(&bed, &done).await;

    seen.forget();
    bed.lose_everything_in_nats().await;

    seen.until(&bed, &done).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_made_anew_is_followed_although_the_connection_lasts() {
    let (bed, seen) = (Bed::start().await, Seen::default());
    let _watcher = bed.run(watcher(&seen, HOUR)).await;
    let (before, after) = (event("fine"), event("fine"));
    bed.publish(&before).await;
    seen.until(&bed, &before).await;

    let jetstream = jetstream::new(connect(&bed.settings("bed"), "bed").await.unwrap());
    jetstream.delete_stream(ThingDone::stream()).await.expect("deleted");
    bed.publish(&after).await;

    seen.until(&bed, &after).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_event_is_passed_over_and_so_is_what_cannot_be_taken() {
    let (bed, seen) = (Bed::start().await, Seen::default());
    let _watcher = bed.run(watcher(&seen, HOUR)).await;
    let (forged, odd, honest) = (event("fine"), event("panic"), event("fine"));
    bed.publish(&odd).await;
    let (subject, body) = (forged.subject(), serde_json::to_string(&forged).unwrap());
    let elsewhere = format!("evt.thing.done.{}", UserId::new());
    let [one, other] = [uuid::Uuid::now_v7().to_string(), uuid::Uuid::now_v7().to_string()];

    for (subject, kind, id, message_id) in [
        (&subject, "thing.undone.v1", &one, "1"),
        (&subject, "thing.done.v1", &one, "2"),
        (&elsewhere, "thing.done.v1", &other, other.as_str()),
    ] {
        bed.publish_raw(subject, &[("ce-type", kind), ("ce-id", id), ("Nats-Msg-Id", message_id)], &body).await;
    }
    bed.publish_raw(&subject, &[], &body).await;
    bed.publish(&honest).await;

    seen.until(&bed, &honest).await;
    assert_eq!(seen.things(), [honest.thing]);
}

async fn refused(client: &async_nats::Client, refusals: &mut Refusals, subject: &str) {
    client.publish(subject.to_owned(), "{}".into()).await.unwrap();
    let refusal = refusals.next(Duration::from_secs(5)).await.unwrap_or_else(|| panic!("{subject} was not refused"));
    assert!(refusal.contains(subject), "expected a refusal of {subject}, got {refusal}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_follows_may_follow_what_its_list_names_and_read_nothing_else() {
    let (bed, seen) = (Bed::start().await, Seen::default());
    let _probe = bed.run(probe::service()).await;
    let _watcher = bed.run(watcher(&seen, HOUR)).await;
    let done = event("fine");
    bed.publish(&done).await;
    seen.until(&bed, &done).await;
    let (client, mut refusals) = bed.connect_as("watcher").await;

    for api in [
        "CONSUMER.CREATE.PROBE",
        "CONSUMER.CREATE.PROBE.mine",
        "CONSUMER.CREATE.PROBE.mine.evt.thing.undone.*",
        "CONSUMER.CREATE.ORDER.mine.evt.thing.done.*",
        // It would be given another filter.
        "CONSUMER.CREATE.PROBE.probe-note.evt.thing.done.*",
        "CONSUMER.DURABLE.CREATE.PROBE.mine",
        "CONSUMER.MSG.NEXT.PROBE.probe-note",
        "CONSUMER.INFO.PROBE.probe-note",
        "CONSUMER.DELETE.PROBE.probe-note",
        "STREAM.MSG.GET.PROBE",
        "DIRECT.GET.PROBE",
        "STREAM.INFO.PROBE",
    ] {
        refused(&client, &mut refusals, &format!("$JS.API.{api}")).await;
    }
    refused(&client, &mut refusals, &done.subject()).await;

    for filter in [json!({ "filter_subject": "evt.>" }), json!({ "filter_subjects": ["evt.>"] }), json!({})] {
        let mut question = json!({ "stream_name": "PROBE", "config": { "name": "mine", "ack_policy": "none" } });
        question["config"].as_object_mut().unwrap().extend(filter.as_object().unwrap().clone());
        let body = question.to_string().into();
        let answer = client.request("$JS.API.CONSUMER.CREATE.PROBE.mine.evt.thing.done.*", body).await.unwrap();
        let answer: Value = serde_json::from_slice(&answer.payload).unwrap();
        assert_eq!(answer["error"]["code"], 400, "{filter}: {answer}");
    }
}
