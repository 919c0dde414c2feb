//! Redriving and discarding dead letters, and who may.

use std::time::Duration;

use nats::{
    contracts::{
        Event,
        operations::{AuditedInbox, DeadLetterState, DiscardDeadLetter, NoDeadLetter},
    },
    invoke::CallError,
};
use stack::Bed;

use super::{
    audit, doomed, forged, get, kill, letters, publish, redrive, until_dead, until_effect, until_settled,
    until_suffered,
};
use crate::{
    consume::{effects, event, until_noted},
    probe,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_is_redriven_by_its_own_consumer_alone_once_the_cause_is_mended() {
    let bed = Bed::start().await;
    let _probe = bed.run(probe::service()).await;
    let _other_instance = bed.run(probe::service()).await;
    let poison = event("dead");
    let letter = kill(&bed, &poison).await;
    until_noted(&bed, poison.thing).await;

    probe::cure(poison.thing);
    assert_eq!(redrive(&bed, Some(letter.id), None).await.unwrap().count, 1);

    until_dead(&bed, 0).await;
    assert_eq!(effects(&bed, "suffer", poison.thing).await, 1, "its effect, once");
    assert_eq!(effects(&bed, "note", poison.thing).await, 1, "the other consumer saw nothing of it");
    assert_eq!(audit(&bed, &letter).await, AuditedInbox { missing: vec![], dead: vec![] });
    let gone = redrive(&bed, Some(letter.id), None).await.unwrap_err();
    assert!(matches!(gone, CallError::Refused(NoDeadLetter::NotFound)), "{gone}");
    assert!(matches!(get(&bed, letter.id).await, Err(CallError::Refused(NoDeadLetter::NotFound))));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_again_is_dead_again_with_the_new_count() {
    let bed = Bed::start().await;
    let _probe = bed.run(probe::service()).await;
    let letter = kill(&bed, &event("dead")).await;

    redrive(&bed, Some(letter.id), None).await.unwrap();

    let again = bed
        .wait_for("the second failure", || async {
            letters(&bed).await.into_iter().find(|letter| letter.attempts == 2)
        })
        .await;
    assert_eq!((again.id, again.state), (letter.id, DeadLetterState::Dead));
    assert_eq!(again.first_at, letter.first_at);
    assert!(again.last_at > letter.last_at);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_are_redriven_at_once_and_those_that_still_fail_hold_up_no_other() {
    let bed = Bed::start().await;
    let _probe = bed.run(probe::service()).await;
    let poisons = [event("dead"), event("dead"), event("dead")];
    for poison in &poisons {
        kill(&bed, poison).await;
    }
    probe::cure(poisons[1].thing);
    probe::cure(poisons[2].thing);

    assert_eq!(redrive(&bed, None, Some("probe-note")).await.unwrap().count, 0);
    assert_eq!(redrive(&bed, None, Some("probe-suffer")).await.unwrap().count, 3);

    let left = until_dead(&bed, 1).await;
    assert_eq!((left[0].subject.clone(), left[0].attempts), (poisons[0].subject(), 2));
    probe::cure(poisons[0].thing);
    assert_eq!(redrive(&bed, None, None).await.unwrap().count, 1);
    until_dead(&bed, 0).await;
    for poison in &poisons {
        assert_eq!(effects(&bed, "suffer", poison.thing).await, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_a_killed_process_was_redriving_is_redriven_by_another() {
    let bed = Bed::start().await;
    let (process, _running) = doomed(&bed).await;
    let poison = event("hang once dead");
    let letter = kill(&bed, &poison).await;
    redrive(&bed, Some(letter.id), None).await.unwrap();
    until_suffered(&bed, poison.thing, 2).await;

    process.shutdown_background();
    probe::cure(poison.thing);
    let _probe = bed.run(probe::service()).await;

    until_effect(&bed, poison.thing).await;
    until_dead(&bed, 0).await;
    assert_eq!(effects(&bed, "suffer", poison.thing).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_discarded_letter_is_not_handled_and_not_missing() {
    let bed = Bed::start().await;
    let _probe = bed.run(probe::service()).await;
    let poison = event("dead");
    bed.publish_twice(&poison).await;
    let letter = until_dead(&bed, 1).await.remove(0);
    let question = DiscardDeadLetter { id: letter.id, reason: "nobody needs it".to_owned(), by: "a test".to_owned() };

    let discarded = bed.call_at("probe", &question).await.expect("the letter").letter;

    assert_eq!(discarded, letter);
    assert_eq!(letters(&bed).await, []);
    assert_eq!(audit(&bed, &letter).await, AuditedInbox { missing: vec![], dead: vec![] });
    until_settled(&bed, "probe-suffer").await;
    assert_eq!(effects(&bed, "suffer", poison.thing).await, 0);
    let gone = bed.call_at("probe", &question).await.unwrap_err();
    assert!(matches!(gone, CallError::Refused(NoDeadLetter::NotFound)), "{gone}");
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_whose_help_is_away_hold_up_no_other() {
    let bed = Bed::start().await;
    let _probe = bed.run(probe::service()).await;
    for _ in 0..8 {
        kill(&bed, &event("dead, then away")).await;
    }
    let last = event("dead");
    kill(&bed, &last).await;
    probe::cure(last.thing);

    assert_eq!(redrive(&bed, None, None).await.unwrap().count, 9);

    // A pause of three seconds for each of the others would be longer than anything is waited for here.
    until_effect(&bed, last.thing).await;
    let left = letters(&bed).await;
    assert!(left.iter().all(|letter| (letter.state, letter.attempts) == (DeadLetterState::Redriving, 1)), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_discarded_forgery_does_not_silence_the_event_whose_id_it_names() {
    let bed = Bed::start().await;
    let _probe = bed.run(probe::service()).await;
    let (honest, headers) = forged(&bed).await;

    for letter in letters(&bed).await {
        let question = DiscardDeadLetter { id: letter.id, reason: "forged".to_owned(), by: "a test".to_owned() };
        bed.call_at("probe", &question).await.expect("the letter");
    }
    publish(&bed, &honest, &headers).await;

    until_noted(&bed, honest.thing).await;
    until_effect(&bed, honest.thing).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_operator_and_the_gateway_may_ask() {
    let bed = Bed::start().await;
    let _probe = bed.run(probe::service()).await;

    for (user, may) in [("operator", true), ("gateway", true), ("debug", false), ("probe", false)] {
        let (client, mut refusals) = bed.connect_as(user).await;
        for subject in ["svc.probe.redrive_dead_letters", "nobody.may"] {
            client.publish(subject, "{}".into()).await.unwrap();
        }
        let refused = refusals.next(Duration::from_secs(5)).await.expect("a refusal");
        assert_eq!(refused.contains("nobody.may"), may, "{user}: {refused}");
    }
}
