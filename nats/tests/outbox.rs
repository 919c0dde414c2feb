//! Events commit with the state, and reach the stream whatever happens in between.

use nats::types::UserId;
use stack::Bed;

use crate::{
    consume::{effects, until_noted},
    probe::{self, DoThing, ThingDone},
};

async fn do_thing(bed: &Bed, commit: bool) -> UserId {
    let thing = UserId::new();
    bed.call(&DoThing { thing, mood: "fine".to_owned(), commit }).await.expect("done");
    thing
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_published_when_its_transaction_commits_and_only_then() {
    let bed = Bed::start().await;
    let _probe = bed.run(probe::service()).await;

    let lost = do_thing(&bed, false).await;
    let kept = do_thing(&bed, true).await;

    bed.event::<ThingDone>(|event| event.thing == kept).await;
    bed.no_event::<ThingDone>(|event| event.thing == lost).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_wait_for_a_broker_that_is_away() {
    let mut bed = Bed::start().await;
    let _probe = bed.run(probe::service()).await;
    let before = do_thing(&bed, true).await;
    bed.event::<ThingDone>(|event| event.thing == before).await;

    bed.broker().process().kill();
    bed.broker().restart().await.expect("nats-server comes back");

    let after = bed
        .wait_for("the service to answer again", || async {
            let thing = UserId::new();
            let question = DoThing { thing, mood: "fine".to_owned(), commit: true };
            bed.call(&question).await.ok().map(|_| thing)
        })
        .await;
    bed.event::<ThingDone>(|event| event.thing == after).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_aggregates_events_keep_their_order() {
    let bed = Bed::start().await;
    let _probe = bed.run(probe::service()).await;
    let thing = UserId::new();

    for step in 0..30 {
        bed.call(&DoThing { thing, mood: step.to_string(), commit: true }).await.expect("done");
    }

    bed.event::<ThingDone>(|event| event.thing == thing && event.mood == "29").await;
    let order: Vec<String> =
        bed.events::<ThingDone>(|event| event.thing == thing).await.into_iter().map(|e| e.mood).collect();
    assert_eq!(order, (0..30).map(|step| step.to_string()).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_lost_everything_gets_it_all_back_and_nothing_happens_twice() {
    let mut bed = Bed::start().await;
    let _probe = bed.run(probe::service()).await;
    let mut things = Vec::new();
    for _ in 0..20 {
        things.push(do_thing(&bed, true).await);
    }
    for thing in &things {
        until_noted(&bed, *thing).await;
    }

    bed.lose_everything_in_nats().await;

    bed.wait_for("every event to be back", || async {
        let back = bed.events::<ThingDone>(|_| true).await;
        things.iter().all(|thing| back.iter().any(|event| event.thing == *thing)).then_some(())
    })
    .await;
    let after = bed
        .wait_for("the service to answer again", || async {
            let thing = UserId::new();
            let question = DoThing { thing, mood: "fine".to_owned(), commit: true };
            bed.call(&question).await.ok().map(|_| thing)
        })
        .await;
    until_noted(&bed, after).await;
    for thing in things {
        assert_eq!(effects(&bed, "note", thing).await, 1, "the repeat had no effect");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_was_set_back_gets_back_what_it_lost_whoever_has_published_since() {
    let mut bed = Bed::start().await;
    let probe = bed.run(probe::service()).await;
    let kept = do_thing(&bed, true).await;
    bed.event::<ThingDone>(|event| event.thing == kept).await;
    let snapshot = bed.broker().copy_store().expect("a copy of the store");
    let mut lost = Vec::new();
    for _ in 0..20 {
        lost.push(do_thing(&bed, true).await);
    }
    for thing in &lost {
        until_noted(&bed, *thing).await;
    }
    probe.stop().await;

    bed.broker().process().kill();
    bed.broker().set_store_back(&snapshot).expect("the store set back");
    bed.broker().restart().await.expect("nats-server comes back");
    // More than was lost, so that the stream's last sequence looks right.
    for _ in 0..30 {
        bed.publish(&ThingDone { thing: UserId::new(), mood: "fine".to_owned() }).await;
    }
    let _probe = bed.run(probe::service()).await;

    bed.wait_for("every event to be back", || async {
        let back = bed.events::<ThingDone>(|_| true).await;
        lost.iter().all(|thing| back.iter().any(|event| event.thing == *thing)).then_some(())
    })
    .await;
    let after = do_thing(&bed, true).await;
    until_noted(&bed, after).await;
    for thing in lost {
        assert_eq!(effects(&bed, "note", thing).await, 1, "the repeat had no effect");
    }
}
