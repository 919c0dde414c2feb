//! Stopping without losing a request, and what an instance tells of itself.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use nats::{
    connect::{Requests, connect},
    invoke::{CallError, Caller},
    resilience::{Policy, within},
    service::Running,
    types::UserId,
};
use stack::Bed;
use tokio::task::JoinSet;

use crate::probe::{self, DoThing};

fn question(mood: &str) -> DoThing {
    DoThing { thing: UserId::new(), mood: mood.to_owned(), commit: true }
}

/// Replaces each of two instances three times under load: every request must be answered.
async fn roll(bed: Bed, mut instances: Vec<Running>) {
    let bed = Arc::new(bed);
    let (done, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut load = JoinSet::new();
    for _ in 0..16 {
        let (bed, done, answered) = (Arc::clone(&bed), Arc::clone(&done), Arc::clone(&answered));
        load.spawn(async move {
            while !done.load(Ordering::Relaxed) {
                // What times out is not repeated: a request that got lost is seen.
                let answer = bed.nobody().get("/v1/whoami").send().await;
                assert_eq!(answer.status, 200, "a request got lost: {answer:?}");
                answered.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    for _ in 0..6 {
        let before = answered.load(Ordering::Relaxed);
        bed.wait_for("some load", || async { (answered.load(Ordering::Relaxed) > before + 50).then_some(()) }).await;
        let old = instances.remove(0);
        old.stop().await;
        instances.push(bed.run(probe::service()).await);
    }
    done.store(true, Ordering::Relaxed);
    load.join_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_rolling_restart_under_load_loses_no_request() {
    let bed = Bed::start().await;
    let instances = vec![bed.run(probe::service()).await, bed.run(probe::service()).await];

    roll(bed, instances).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_rolling_restart_loses_no_request_after_a_reconnect_either() {
    let mut bed = Bed::start().await;
    let instances = vec![bed.run(probe::service()).await, bed.run(probe::service()).await];
    // What the clients have counted by now the next server knows nothing of.
    for _ in 0..200 {
        assert_eq!(bed.nobody().get("/v1/whoami").send().await.status, 200);
    }
    bed.broker().process().kill();
    bed.broker().restart().await.expect("nats-server comes back");
    let (client, _refusals) = bed.connect_as("debug").await;
    bed.wait_for("both instances to be back", || async {
        let inbox = client.new_inbox();
        let answers = client.subscribe(inbox.clone()).await.ok()?;
        client.publish_with_reply("$SRV.PING.probe", inbox, "".into()).await.ok()?;
        let both = answers.take(2).collect::<Vec<_>>();
        tokio::time::timeout(Duration::from_millis(200), both).await.ok()
    })
    .await;
    bed.wait_for("an answer", || async { (bed.nobody().get("/v1/whoami").send().await.status == 200).then_some(()) })
        .await;

    roll(bed, instances).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_tells_who_it_is_and_how_it_goes() {
    let bed = Bed::start().await;
    let _probe = bed.run(probe::service()).await;
    for mood in ["fine", "fine", "break"] {
        let _answer = bed.call(&question(mood)).await;
    }
    let (client, _refusals) = bed.connect_as("debug").await;
    let ask = async |subject: &str| -> serde_json::Value {
        let message = client.request(subject.to_owned(), "".into()).await.expect("an answer");
        serde_json::from_slice(&message.payload).expect("JSON")
    };
    let ping = ask("$SRV.PING.probe").await;
    assert_eq!((&ping["name"], &ping["type"]), (&"probe".into(), &"io.nats.micro.v1.ping_response".into()), "{ping}");
    let id = ping["id"].as_str().unwrap();
    let info = ask(&format!("$SRV.INFO.probe.{id}")).await;
    let subjects: Vec<_> = info["endpoints"].as_array().unwrap().iter().map(|one| one["subject"].clone()).collect();
    for subject in ["svc.probe.do_thing", "svc.probe.audit", "http.probe"] {
        assert!(subjects.contains(&subject.into()), "{subject} is missing in {info}");
    }
    let stats = ask("$SRV.STATS").await;
    let endpoint = stats["endpoints"].as_array().unwrap().iter().find(|one| one["name"] == "do_thing").unwrap();
    assert_eq!((&endpoint["num_requests"], &endpoint["num_errors"]), (&3.into(), &1.into()), "{endpoint}");
    assert_eq!((&endpoint["last_error"], &endpoint["data"]["shed"]), (&"failed".into(), &0.into()), "{endpoint}");
    assert!(endpoint["average_processing_time"].as_u64().unwrap() > 0, "{endpoint}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_has_no_more_time_than_what_asks_it() {
    let bed = Bed::start().await;
    let _probe = bed.run(probe::service()).await;
    let began = Instant::now();
    let hung = within(Duration::from_millis(100), async { bed.call(&question("hang")).await }).await;
    assert!(matches!(hung, None | Some(Err(CallError::TimedOut { .. }))), "{hung:?}");
    assert!(began.elapsed() < Duration::from_millis(600), "its own deadline is 800 ms; it took {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_over_which_too_much_timed_out_is_replaced() {
    let bed = Bed::start().await;
    // Takes requests and never answers, not even that it takes too long.
    let mute = connect(&bed.settings("bed"), "bed").await.unwrap();
    let taken = mute.queue_subscribe("svc.probe.do_thing", "probe".to_owned()).await.unwrap();
    mute.flush().await.unwrap();
    // As everywhere in this bed: the user who may do everything, asking from where the gateway would.
    let settings = bed.settings("bed");
    let first = connect(&settings, "gateway").await.unwrap();
    let first_id = first.server_info().client_id;
    let requests = Requests::renewed_after(3, first, &settings, "gateway");
    let caller = Caller::over(requests.clone(), Policy { failures: 1_000, ..Policy::CALL });
    for _ in 0..3 {
        let hung = within(Duration::from_millis(50), async { caller.call(&question("hang")).await }).await;
        assert!(!matches!(hung, Some(Ok(_))), "{hung:?}");
    }
    bed.wait_for("another connection", || async {
        (requests.client().server_info().client_id != first_id).then_some(())
    })
    .await;
    drop(taken);
    let _probe = bed.run(probe::service()).await;
    caller.call(&question("fine")).await.expect("an answer over the new one");
}
