//! Events commit with the state, and reach the stream whatever happens in between.

use std::time::Duration;

use async_nats::jetstream::{self, stream::DiscardPolicy};
use diesel::sql_types;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use nats::{
    connect::connect,
    contracts::{Event, operations::RepublishEvents},
    types::{EventId, UserId},
};
use serde_json::Value;
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

/// Records events of these things, all at once.
async fn record(sql: &mut AsyncPgConnection, things: impl Iterator<Item = UserId>) {
    let (mut ids, mut entities, mut subjects, mut headers, mut bodies) = (vec![], vec![], vec![], vec![], vec![]);
    for thing in things {
        let (id, event) = (EventId::new(), ThingDone { thing, mood: "fine".to_owned() });
        ids.push(id.uuid());
        entities.push(event.entity_id());
        subjects.push(event.subject());
        let envelope = nats::outbox::envelope(id, &event).into_iter();
        headers.push(envelope.map(|(name, value)| (name.to_owned(), Value::String(value))).collect::<Value>());
        bodies.push(serde_json::to_string(&event).unwrap());
    }
    diesel::sql_query(
        "with logged as (
             insert into event_log (event_id, shard, entity_id, subject, headers, payload)
             select event_id, 0, entity_id, subject, headers, payload
             from unnest($1, $2, $3, $4, $5) with ordinality as e (event_id, entity_id, subject, headers, payload, place)
             order by place
             returning id, shard)
         insert into outbox_pending (id, shard) select id, shard from logged",
    )
    .bind::<sql_types::Array<sql_types::Uuid>, _>(ids)
    .bind::<sql_types::Array<sql_types::Text>, _>(entities)
    .bind::<sql_types::Array<sql_types::Text>, _>(subjects)
    .bind::<sql_types::Array<sql_types::Jsonb>, _>(headers)
    .bind::<sql_types::Array<sql_types::Text>, _>(bodies)
    .execute(sql)
    .await
    .expect("the events recorded");
}

/// Waits until the stream has an event of each thing.
async fn until_all_are_there(bed: &Bed, things: &[UserId]) {
    bed.wait_for("every event to be back", || async {
        let back = bed.events::<ThingDone>(|_| true).await;
        things.iter().all(|thing| back.iter().any(|event| event.thing == *thing)).then_some(())
    })
    .await;
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

    until_all_are_there(&bed, &things).await;
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

    until_all_are_there(&bed, &lost).await;
    let after = do_thing(&bed, true).await;
    until_noted(&bed, after).await;
    for thing in lost {
        assert_eq!(effects(&bed, "note", thing).await, 1, "the repeat had no effect");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aggregate_with_many_events_holds_up_no_other() {
    let bed = Bed::start().await;
    let _probe = bed.run(probe::service()).await;
    let (busy, other) = (UserId::new(), UserId::new());

    // More than a wave has, before the one of the other.
    record(&mut bed.sql("probe").await, std::iter::repeat_n(busy, 600).chain([other])).await;

    bed.event::<ThingDone>(|event| event.thing == other).await;
    let published = bed.events::<ThingDone>(|_| true).await;
    let before = published.iter().position(|event| event.thing == other).unwrap();
    assert!(before < 10, "{before} events of the busy one came first");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_relay_finds_lost_is_published_again_whosever_shard_it_is_in() {
    #[derive(diesel::QueryableByName)]
    struct Count {
        #[diesel(sql_type = sql_types::BigInt)]
        count: i64,
    }
    let mut bed = Bed::start().await;
    let probe = bed.run(probe::service()).await;
    let mut things = Vec::new();
    for _ in 0..20 {
        things.push(do_thing(&bed, true).await);
    }
    until_all_are_there(&bed, &things).await;
    probe.stop().await;
    bed.lose_everything_in_nats().await;
    // Another instance, which owns half of the shards and has not looked yet.
    let mut other = bed.sql("probe").await;
    let own = format!("select pg_advisory_lock({}, shard) from generate_series(0, 7) as shard", 0x6f75_7462);
    diesel::sql_query(own).execute(&mut other).await.expect("the locks");

    let _probe = bed.run(probe::service()).await;

    bed.wait_for("its events in the outbox", || async {
        let waiting = diesel::sql_query("select count(*) from outbox_pending where shard < 8");
        let counted: Count = waiting.get_result(&mut bed.sql("probe").await).await.ok()?;
        (counted.count > 0).then_some(())
    })
    .await;
    drop(other);
    until_all_are_there(&bed, &things).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_operator_has_republished_is_back_and_nothing_happens_twice() {
    let bed = Bed::start().await;
    let _probe = bed.run(probe::service()).await;
    let mut things = Vec::new();
    for _ in 0..5 {
        things.push(do_thing(&bed, true).await);
    }
    for thing in &things {
        until_noted(&bed, *thing).await;
    }
    // Aged out, as far as anybody can see: the loss detector has nothing to do.
    let jetstream = jetstream::new(connect(&bed.settings("bed"), "bed").await.unwrap());
    for max_messages in [1, -1] {
        let mut config = jetstream.get_stream(ThingDone::stream()).await.unwrap().cached_info().config.clone();
        (config.max_messages, config.discard) = (max_messages, DiscardPolicy::Old);
        config.duplicate_window = Duration::from_millis(100);
        jetstream.update_stream(config).await.expect("another configuration");
    }
    assert_eq!(bed.events::<ThingDone>(|_| true).await.len(), 1);

    // As long as the stream remembers their ids, it takes them for repeats.
    bed.wait_for("every event to be back", || async {
        let question = RepublishEvents { entity_id: None, since: None };
        let republished = bed.call_at("probe", &question).await.expect("the count");
        let back = bed.events::<ThingDone>(|_| true).await;
        let all = things.iter().all(|thing| back.iter().any(|event| event.thing == *thing));
        (republished.count > 0 && all).then_some(())
    })
    .await;

    let after = do_thing(&bed, true).await;
    until_noted(&bed, after).await;
    for thing in things {
        assert_eq!(effects(&bed, "note", thing).await, 1, "the repeat had no effect");
    }
}
