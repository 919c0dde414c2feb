//! Durable consumers: effects exactly once, and nothing is lost or held up by what fails.

use diesel::sql_types;
use diesel_async::RunQueryDsl;
use nats::{service::Running, types::UserId};
use stack::Bed;

use crate::probe::{self, ThingDone};

pub(crate) fn event(mood: &str) -> ThingDone {
    ThingDone { thing: UserId::new(), mood: mood.to_owned() }
}

pub(crate) async fn effects(bed: &Bed, name: &str, thing: UserId) -> i64 {
    #[derive(diesel::QueryableByName)]
    struct Count {
        #[diesel(sql_type = sql_types::BigInt)]
        count: i64,
    }
    let mut sql = bed.sql("probe").await;
    let counted: Count = diesel::sql_query("select count(*) from effect where name = $1 and thing = $2")
        .bind::<sql_types::Text, _>(name)
        .bind::<sql_types::Uuid, _>(thing.uuid())
        .get_result(&mut sql)
        .await
        .expect("a count");
    counted.count
}

pub(crate) async fn until_noted(bed: &Bed, thing: UserId) {
    bed.wait_for("the effect", || async { (effects(bed, "note", thing).await > 0).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_duplicate_has_no_second_effect() {
    let bed = Bed::start().await;
    let _probe = bed.run(probe::service()).await;
    let (twice, last) = (event("fine"), event("fine"));

    bed.publish_twice(&twice).await;
    bed.publish(&last).await;

    until_noted(&bed, twice.thing).await;
    until_noted(&bed, last.thing).await;
    assert_eq!(effects(&bed, "note", twice.thing).await, 1, "one effect of two deliveries");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_leaves_nothing_behind_and_is_tried_again() {
    let bed = Bed::start().await;
    let _probe = bed.run(probe::service()).await;
    let hard = event("first time");

    bed.publish(&hard).await;

    bed.wait_for("the second attempt", || async { (effects(&bed, "suffer", hard.thing).await > 0).then_some(()) })
        .await;
    assert_eq!(effects(&bed, "suffer", hard.thing).await, 1, "the failed attempt was rolled back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_can_never_be_handled_is_kept_as_a_dead_letter_and_holds_up_nobody() {
    let bed = Bed::start().await;
    let _probe = bed.run(probe::service()).await;
    let (poison, healthy) = (event("dead"), event("fine"));

    bed.publish(&poison).await;
    bed.publish(&healthy).await;

    bed.wait_for("the healthy event", || async { (effects(&bed, "suffer", healthy.thing).await > 0).then_some(()) })
        .await;
    let letters = bed
        .wait_for("the dead letter", || async { Some(bed.dead_letters().await).filter(|all| !all.is_empty()) })
        .await;
    assert_eq!(letters, [("probe-suffer".to_owned(), "dead: as asked".to_owned())]);
    assert_eq!(effects(&bed, "suffer", poison.thing).await, 0, "its effect was rolled back");
    until_noted(&bed, poison.thing).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_a_failure_of_that_message_alone() {
    let bed = Bed::start().await;
    let _probe = bed.run(probe::service()).await;
    let (poison, healthy) = (event("panic"), event("fine"));

    bed.publish(&poison).await;
    bed.publish(&healthy).await;

    bed.wait_for("the healthy event", || async { (effects(&bed, "suffer", healthy.thing).await > 0).then_some(()) })
        .await;
    until_noted(&bed, poison.thing).await;
    assert_eq!(effects(&bed, "suffer", poison.thing).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_believed_only_when_all_of_it_agrees() {
    let bed = Bed::start().await;
    let _probe = bed.run(probe::service()).await;
    let honest = event("fine");
    let (subject, body) = (nats::contracts::Event::subject(&honest), serde_json::to_string(&honest).unwrap());
    let id = uuid::Uuid::now_v7().to_string();
    let other = uuid::Uuid::now_v7().to_string();
    let headers = |kind: &'static str, id: &str, msg_id: &str| {
        vec![
            ("ce-type".to_owned(), kind.to_owned()),
            ("ce-id".to_owned(), id.to_owned()),
            ("Nats-Msg-Id".to_owned(), msg_id.to_owned()),
        ]
    };
    let elsewhere = format!("evt.thing.done.{}", UserId::new());
    let forgeries = [
        (subject.as_str(), headers("thing.undone.v1", &id, &id), body.as_str(), "ce-type"),
        (subject.as_str(), headers("thing.done.v1", &other, &format!("{other}x")), body.as_str(), "Nats-Msg-Id"),
        (elsewhere.as_str(), headers("thing.done.v1", "0198", "0198"), body.as_str(), "UUID"),
        (
            elsewhere.as_str(),
            headers("thing.done.v1", &UserId::new().uuid().to_string(), "y"),
            body.as_str(),
            "Nats-Msg-Id",
        ),
        (subject.as_str(), vec![], body.as_str(), "missing"),
    ];
    for (subject, headers, body, _) in &forgeries {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        bed.publish_raw(subject, &headers, body).await;
    }

    // Three consumers take this type: each buries each forgery.
    let letters = bed
        .wait_for("the dead letters", || async {
            Some(bed.dead_letters().await).filter(|all| all.len() == 3 * forgeries.len())
        })
        .await;
    for (_, _, _, reason) in &forgeries {
        assert!(letters.iter().any(|(_, why)| why.contains(reason)), "expected a letter about {reason} in {letters:?}");
    }
    assert_eq!(effects(&bed, "note", honest.thing).await, 0, "no forgery had an effect");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_while_the_service_was_down_is_handled_when_it_is_back() {
    let bed = Bed::start().await;
    let probe = bed.run(probe::service()).await;
    probe.stop().await;
    let meanwhile = event("fine");
    bed.publish(&meanwhile).await;

    let _probe = bed.run(probe::service()).await;

    until_noted(&bed, meanwhile.thing).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_handler_waits_for_has_no_more_time_than_the_handler() {
    let bed = Bed::start().await;
    let _probe = bed.run(probe::service()).await;
    let patient = event("patient");

    bed.publish(&patient).await;

    bed.wait_for("its effect", || async { (effects(&bed, "suffer", patient.thing).await > 0).then_some(()) }).await;
}

/// Publishes these while nobody takes them, so that they wait together, and waits until each but `never` was gathered.
async fn gather(bed: &Bed, events: &[ThingDone], never: Option<UserId>) -> Running {
    bed.run(probe::service()).await.stop().await;
    for event in events {
        bed.publish(event).await;
    }
    let probe = bed.run(probe::service()).await;
    for event in events.iter().filter(|event| Some(event.thing) != never) {
        let due = i64::try_from(events.iter().filter(|other| other.thing == event.thing).count()).unwrap();
        bed.wait_for("the effect", || async { (effects(bed, "gather", event.thing).await >= due).then_some(()) }).await;
    }
    probe
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_wait_together_share_a_transaction_and_take_effect_once_each() {
    let bed = Bed::start().await;
    let events: Vec<ThingDone> = (0..40).map(|_| event("fine")).collect();

    let _probe = gather(&bed, &events, None).await;
    bed.publish_twice(&events[7]).await;
    bed.publish(&event("fine")).await;

    for event in &events {
        let times = if event.thing == events[7].thing { 2 } else { 1 };
        bed.wait_for("its effects", || async { (effects(&bed, "gather", event.thing).await == times).then_some(()) })
            .await;
    }
    let shared = events.iter().map(|event| probe::gathered_with(event.thing)[0].len()).max();
    assert!(shared > Some(1), "some of 40 events that waited together were handled together: {shared:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_events_that_wait_together_the_one_that_fails_fails_alone() {
    let bed = Bed::start().await;
    let mut events: Vec<ThingDone> = (0..9).map(|_| event("fine")).collect();
    let sour = event("sour");
    events.insert(4, sour.clone());

    let _probe = gather(&bed, &events, Some(sour.thing)).await;

    let letters = bed
        .wait_for("the dead letter", || async { Some(bed.dead_letters().await).filter(|all| !all.is_empty()) })
        .await;
    assert_eq!(letters, [("probe-gather".to_owned(), "dead: one is sour".to_owned())]);
    assert_eq!(effects(&bed, "gather", sour.thing).await, 0, "its effect was rolled back");
    for event in events.iter().filter(|event| event.thing != sour.thing) {
        assert_eq!(effects(&bed, "gather", event.thing).await, 1, "the others took effect once");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_one_entity_no_two_events_are_handled_together() {
    let bed = Bed::start().await;
    let often = event("fine");
    let mut events = vec![often.clone(), event("fine"), often.clone(), event("fine"), event("fine")];
    events.push(often.clone());

    let _probe = gather(&bed, &events, None).await;

    assert_eq!(effects(&bed, "gather", often.thing).await, 3, "each of its events took effect");
    for batch in probe::gathered_with(often.thing) {
        let times = batch.iter().filter(|thing| **thing == often.thing).count();
        assert_eq!(times, 1, "one of its events at a time: {batch:?}");
    }
}
