//! Calls.

use std::time::Instant;

use nats::{
    connect::connect,
    invoke::{CallError, OUTCOME},
    types::UserId,
};
use stack::Bed;

use crate::probe::{self, AskNobody, DoThing, Done, NotDone, ThingDone};

fn question(mood: &str) -> DoThing {
    DoThing { thing: UserId::new(), mood: mood.to_owned(), commit: true }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_gets_its_answer_or_its_refusal() {
    let bed = Bed::start().await;
    let _probe = bed.run(probe::service()).await;

    let asked = question("fine");
    assert_eq!(bed.call(&asked).await.expect("an answer"), Done { thing: asked.thing });
    let refused = bed.call(&question("refuse")).await;
    assert!(matches!(refused, Err(CallError::Refused(NotDone::BadMood))), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_over_a_question_is_not_told() {
    let bed = Bed::start().await;
    let _probe = bed.run(probe::service()).await;

    for mood in ["break", "panic"] {
        let broken = bed.call(&question(mood)).await;

        let Err(CallError::Failed(reason)) = &broken else { panic!("expected a failure, got {broken:?}") };
        assert!(!reason.contains("inside") && !reason.contains("asked"), "the cause leaked: {reason}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_past_the_deadline() {
    let bed = Bed::start().await;
    let _probe = bed.run(probe::service()).await;

    let started = Instant::now();
    let hung = bed.call(&question("hang")).await;

    assert!(matches!(hung, Err(CallError::TimedOut { .. } | CallError::Failed(_))), "{hung:?}");
    assert!(started.elapsed().as_secs() < 5, "took {:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_not_there_is_unavailable_at_once() {
    let bed = Bed::start().await;

    let started = Instant::now();
    let answer = bed.call(&AskNobody {}).await;

    assert!(matches!(answer, Err(CallError::Unavailable { service: "nobody" })), "{answer:?}");
    assert!(
        started.elapsed() < <AskNobody as nats::contracts::Call>::DEADLINE,
        "not by waiting: {:?}",
        started.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_comes_too_late_is_told_so_and_nothing_is_done() {
    let bed = Bed::start().await;
    let _probe = bed.run(probe::service()).await;
    // The user who may do everything, asking from where the gateway would.
    let client = connect(&bed.settings("bed"), "gateway").await.unwrap();
    let (late, punctual) = (question("late"), question("punctual"));
    let mut headers = async_nats::HeaderMap::new();
    headers.insert("Argosy-Expires", "1");

    let body = serde_json::to_vec(&late).unwrap();
    let answer = client.request_with_headers("svc.probe.do_thing", headers, body.into()).await.expect("an answer");

    let headers = answer.headers.expect("headers");
    assert_eq!(headers.get(OUTCOME).map(|outcome| outcome.as_str()), Some("busy"));
    bed.call(&punctual).await.expect("an answer");
    bed.event::<ThingDone>(|event| event.thing == punctual.thing).await;
    bed.no_event::<ThingDone>(|event| event.thing == late.thing).await;
}
