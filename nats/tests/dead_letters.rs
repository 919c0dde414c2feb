//! Dead letters: kept in the service's own database, and shown.

mod redrive;

use std::time::{Duration, Instant};

use diesel_async::SimpleAsyncConnection;
use nats::{
    contracts::{
        Event,
        operations::{
            AuditInbox, AuditedEvent, AuditedInbox, DeadLetter, DeadLetterDetails, DeadLetterState, GetDeadLetter,
            ListDeadLetters, NoDeadLetter, RedriveDeadLetters, RedrivenDeadLetters,
        },
    },
    invoke::CallError,
    service::Running,
    types::{DeadLetterId, UserId},
};
use stack::Bed;

use crate::{
    consume::{effects, event, until_noted},
    probe::{self, ThingDone},
};

/// The dead letters of the probe, as it tells them.
async fn letters(bed: &Bed) -> Vec<DeadLetter> {
    let question = ListDeadLetters { consumer: None, after: None, limit: 100 };
    bed.call_at("probe", &question).await.expect("the list").letters
}

async fn get(bed: &Bed, id: DeadLetterId) -> Result<DeadLetterDetails, CallError<NoDeadLetter>> {
    bed.call_at("probe", &GetDeadLetter { id }).await
}

async fn redrive(
    bed: &Bed,
    id: Option<DeadLetterId>,
    consumer: Option<&str>,
) -> Result<RedrivenDeadLetters, CallError<NoDeadLetter>> {
    let question = RedriveDeadLetters { id, consumer: consumer.map(str::to_owned), by: "a test".to_owned() };
    bed.call_at("probe", &question).await
}

/// Waits until there are so many letters, all dead.
async fn until_dead(bed: &Bed, count: usize) -> Vec<DeadLetter> {
    bed.wait_for(&format!("{count} dead letters"), || async {
        let letters = letters(bed).await;
        let settled = letters.iter().all(|letter| letter.state == DeadLetterState::Dead);
        (settled && letters.len() == count).then_some(letters)
    })
    .await
}

/// Publishes an event that kills `suffer`, and waits for its letter.
async fn kill(bed: &Bed, poison: &ThingDone) -> DeadLetter {
    let before = letters(bed).await.len();
    bed.publish(poison).await;
    until_dead(bed, before + 1).await.pop().expect("the newest letter")
}

/// Waits until the consumer has nothing before it any more, and has settled all it got.
async fn until_settled(bed: &Bed, durable: &str) {
    let (client, _refusals) = bed.connect_as("operator").await;
    let jetstream = async_nats::jetstream::new(client);
    bed.wait_for("the consumer to settle everything", || async {
        let consumer: async_nats::jetstream::consumer::PullConsumer =
            jetstream.get_consumer_from_stream(durable, ThingDone::stream()).await.ok()?;
        let info = consumer.cached_info();
        (info.num_pending == 0 && info.num_ack_pending == 0).then_some(())
    })
    .await;
}

/// Runs the probe as a process that can end without a word: its tasks stop where they are.
async fn doomed(bed: &Bed) -> (tokio::runtime::Runtime, Running) {
    // The database outlives the process.
    drop(bed.sql("probe").await);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let running = std::thread::scope(|scope| {
        scope.spawn(|| runtime.block_on(bed.run(probe::service()))).join().expect("the service runs")
    });
    (runtime, running)
}

/// Publishes a message that names an event's id and is no event, and waits until both consumers have buried it; the event
/// itself, and its headers, are still to be published.
async fn forged(bed: &Bed) -> (ThingDone, Vec<(&'static str, String)>) {
    let honest = event("fine");
    let headers = nats::outbox::envelope(nats::types::EventId::new(), &honest);
    let forged = headers.iter().filter(|(name, _)| *name != "Nats-Msg-Id");
    let forged: Vec<(&str, &str)> = forged.map(|(name, value)| (*name, value.as_str())).collect();
    bed.publish_raw(&honest.subject(), &forged, "forged").await;
    until_dead(bed, 3).await;
    (honest, headers)
}

async fn publish(bed: &Bed, event: &ThingDone, headers: &[(&'static str, String)]) {
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    bed.publish_raw(&event.subject(), &headers, &serde_json::to_string(event).unwrap()).await;
}

async fn until_effect(bed: &Bed, thing: UserId) {
    bed.wait_for("its effect", || async { (effects(bed, "suffer", thing).await > 0).then_some(()) }).await;
}

async fn until_suffered(bed: &Bed, thing: UserId, times: usize) {
    bed.wait_for("the handler to begin", || async { (probe::suffered(thing) >= times).then_some(()) }).await;
}

async fn audit(bed: &Bed, letter: &DeadLetter) -> AuditedInbox {
    let event_id = letter.event_id.expect("an event");
    let day = event_id.timestamp().date_naive();
    let event = AuditedEvent { log_id: 1, event_id, event_type: ThingDone::event_type(), day };
    let question = AuditInbox { consumer: letter.consumer.clone(), events: vec![event] };
    bed.call_at("probe", &question).await.expect("the inbox")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_is_shown_with_all_it_carried() {
    let bed = Bed::start().await;
    let _probe = bed.run(probe::service()).await;
    let poison = event("dead");

    let letter = kill(&bed, &poison).await;

    assert_eq!((letter.service.as_str(), letter.consumer.as_str()), ("probe", "probe-suffer"));
    assert_eq!((letter.subject.as_str(), letter.attempts), (poison.subject().as_str(), 1));
    assert_eq!(letter.reason, "dead: as asked");
    let details = get(&bed, letter.id).await.expect("the letter");
    assert_eq!(details.letter, letter);
    let id = letter.event_id.expect("the event's id").uuid().to_string();
    let header = |name: &str| details.headers.iter().find(|header| header.name == name).map(|one| one.value.clone());
    assert_eq!(header("ce-id"), Some(id.clone()));
    assert_eq!(header("Nats-Msg-Id"), Some(id));
    assert_eq!(serde_json::from_str::<ThingDone>(&details.payload).unwrap(), poison);
    assert_eq!(details.payload_size, details.payload.len() as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_paged_and_filtered_by_consumer() {
    let bed = Bed::start().await;
    let _probe = bed.run(probe::service()).await;
    for _ in 0..3 {
        kill(&bed, &event("dead")).await;
    }
    let page = |after, limit, consumer: &str| ListDeadLetters { consumer: Some(consumer.to_owned()), after, limit };

    let first = bed.call_at("probe", &page(None, 2, "probe-suffer")).await.unwrap().letters;
    let second = bed.call_at("probe", &page(Some(first[1].id), 2, "probe-suffer")).await.unwrap().letters;
    let other = bed.call_at("probe", &page(None, 2, "probe-note")).await.unwrap().letters;

    assert_eq!([first, second].concat(), letters(&bed).await);
    assert_eq!(other, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_event_that_is_delivered_again_is_not_handled() {
    let bed = Bed::start().await;
    let _probe = bed.run(probe::service()).await;
    let poison = event("dead");

    bed.publish_twice(&poison).await;

    let letter = until_dead(&bed, 1).await.remove(0);
    until_settled(&bed, "probe-suffer").await;
    assert_eq!(letters(&bed).await, std::slice::from_ref(&letter), "one letter, one failure");
    assert_eq!(probe::suffered(poison.thing), 1, "the second delivery did not reach the handler");
    assert_eq!(audit(&bed, &letter).await, AuditedInbox { missing: vec![], dead: vec![letter.event_id.unwrap()] });
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_outlive_a_wiped_stream_and_are_buried_once() {
    let mut bed = Bed::start().await;
    let _probe = bed.run(probe::service()).await;
    let poison = event("dead");
    let question = probe::DoThing { thing: poison.thing, mood: poison.mood.clone(), commit: true };
    bed.call(&question).await.expect("an event in the log");
    let letter = until_dead(&bed, 1).await.remove(0);

    bed.lose_everything_in_nats().await;

    bed.event::<ThingDone>(|event| event.thing == poison.thing).await;
    until_settled(&bed, "probe-suffer").await;
    assert_eq!(letters(&bed).await, std::slice::from_ref(&letter));
    assert_eq!(probe::suffered(poison.thing), 1, "what was published again did not reach the handler");
    probe::cure(poison.thing);
    redrive(&bed, Some(letter.id), None).await.unwrap();
    until_dead(&bed, 0).await;
    assert_eq!(effects(&bed, "suffer", poison.thing).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_panics_ends_in_a_dead_letter_and_is_redriven_once_it_is_mended() {
    let bed = Bed::start().await;
    let _probe = bed.run_with(probe::service(), &[("CONSUME_ATTEMPTS", "3")]).await;
    let (poison, healthy) = (event("panic"), event("fine"));
    let began = Instant::now();

    bed.publish(&poison).await;
    bed.publish(&healthy).await;

    bed.wait_for("the healthy event", || async { (effects(&bed, "suffer", healthy.thing).await > 0).then_some(()) })
        .await;
    let letter = until_dead(&bed, 1).await.remove(0);
    // 200 and 400 ms, each up to a quarter less.
    assert!(began.elapsed() >= Duration::from_millis(450), "after {:?}", began.elapsed());
    assert_eq!((letter.attempts, letter.reason.as_str()), (3, "failed: the handler panicked"));
    redrive(&bed, Some(letter.id), None).await.unwrap();
    bed.wait_for("the fourth failure", || async {
        letters(&bed).await.iter().any(|letter| letter.attempts == 4).then_some(())
    })
    .await;
    probe::cure(poison.thing);
    redrive(&bed, Some(letter.id), None).await.unwrap();
    until_dead(&bed, 0).await;
    assert_eq!(effects(&bed, "suffer", poison.thing).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_to_be_tried_later_is_tried_after_its_delay_and_dies_in_the_end() {
    let bed = Bed::start().await;
    let _probe = bed.run_with(probe::service(), &[("CONSUME_ATTEMPTS", "4")]).await;
    let (poison, began) = (event("later"), Instant::now());

    bed.publish(&poison).await;

    let letter = until_dead(&bed, 1).await.remove(0);
    assert!(began.elapsed() >= 3 * probe::LATER, "after {:?}", began.elapsed());
    assert_eq!((letter.attempts, letter.reason.as_str()), (4, "retry: not now"));
    assert_eq!(probe::suffered(poison.thing), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_something_that_is_away_is_tried_until_it_is_back_and_never_dies() {
    let bed = Bed::start().await;
    let _probe = bed.run_with(probe::service(), &[("CONSUME_ATTEMPTS", "2")]).await;
    let waiting = event("away");

    bed.publish(&waiting).await;
    bed.wait_for("more tries than a failure has", || async { (probe::suffered(waiting.thing) > 3).then_some(()) })
        .await;
    probe::cure(waiting.thing);

    until_effect(&bed, waiting.thing).await;
    assert_eq!(letters(&bed).await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_a_killed_process_had_begun_is_delivered_again() {
    let bed = Bed::start().await;
    let (process, _running) = doomed(&bed).await;
    let begun = event("hang");
    bed.publish(&begun).await;
    until_suffered(&bed, begun.thing, 1).await;

    process.shutdown_background();
    probe::cure(begun.thing);
    let _probe = bed.run(probe::service()).await;

    until_effect(&bed, begun.thing).await;
    assert_eq!(effects(&bed, "suffer", begun.thing).await, 1, "what was begun first was rolled back");
    assert_eq!(letters(&bed).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_kept_is_not_lost() {
    let bed = Bed::start().await;
    let _probe = bed.run(probe::service()).await;
    let mut sql = bed.sql("probe").await;
    sql.batch_execute("alter table dead_letter rename to hidden").await.unwrap();
    bed.publish_raw("evt.thing.done.x", &[], "{}").await;
    let (client, _refusals) = bed.connect_as("operator").await;
    let jetstream = async_nats::jetstream::new(client);
    bed.wait_for("a second delivery", || async {
        let consumer: async_nats::jetstream::consumer::PullConsumer =
            jetstream.get_consumer_from_stream("probe-suffer", ThingDone::stream()).await.ok()?;
        (consumer.cached_info().num_redelivered > 0).then_some(())
    })
    .await;

    sql.batch_execute("alter table hidden rename to dead_letter").await.unwrap();

    // Three consumers take this type.
    let letters = until_dead(&bed, 3).await;
    assert!(letters.iter().all(|letter| letter.event_id.is_none() && letter.reason.contains("missing")), "{letters:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgery_does_not_pass_for_the_event_whose_id_it_names() {
    let bed = Bed::start().await;
    let _probe = bed.run(probe::service()).await;
    let (honest, headers) = forged(&bed).await;

    publish(&bed, &honest, &headers).await;

    until_noted(&bed, honest.thing).await;
    until_effect(&bed, honest.thing).await;
    let letters = letters(&bed).await;
    assert!(letters.iter().all(|letter| letter.event_id.is_some()), "{letters:?}");
    // A letter that is no event, and never will be one, stays dead when it is redriven.
    redrive(&bed, None, None).await.unwrap();
    bed.wait_for("the second failures", || async {
        let again = self::letters(&bed).await;
        (again.len() == 3 && again.iter().all(|letter| letter.attempts == 2)).then_some(())
    })
    .await;
}
