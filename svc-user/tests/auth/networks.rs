//! How often one may try to sign in from one network, and who is not held up by that.

use serde_json::json;
use stack::{Bed, bed::Answer};

use crate::{PASSWORD, count, register, sql, start, told_to_wait};

const WRONG: &str = "wrong horse battery";
const HOME: &str = "198.51.100.7";
const ELSEWHERE: &str = "203.0.113.9";
const ANYWHERE: &str = "2001:db8:7::";

async fn login_at(bed: &Bed, network: &str, email: &str, password: &str) -> Answer {
    let credentials = json!({"email": email, "password": password});
    bed.nobody().at(network).post("/v1/auth/login", &credentials).send().await
}

async fn signs_in(bed: &Bed, network: &str, email: &str) {
    let answer = login_at(bed, network, email, PASSWORD).await;
    assert_eq!(answer.status, 200, "{email} at {network}: {answer}");
}

/// As if the pauses of this kind had just begun to be long.
async fn long_pauses(bed: &Bed, purpose: &str) {
    sql(bed, &format!("update attempt set blocked_until = now() + interval '10 minutes' where purpose = '{purpose}'"))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_tries_passwords_with_many_addresses_is_slowed_down_and_nobody_else() {
    let (bed, _running) = start().await;
    for email in ["ada@example.com", "bob@example.com"] {
        register(&bed, email).await;
        signs_in(&bed, HOME, email).await;
    }
    signs_in(&bed, ELSEWHERE, "ada@example.com").await;

    for victim in 0..21 {
        let answer = login_at(&bed, ELSEWHERE, &format!("victim-{victim}@example.com"), WRONG).await;
        answer.problem("bad_credentials", "");
    }
    assert_eq!(count(&bed, "attempt where purpose = 'sign_in_network' and blocked_until > last_at").await, 1);
    long_pauses(&bed, "sign_in_network").await;

    for (email, password) in [("victim-21@example.com", WRONG), ("bob@example.com", PASSWORD)] {
        told_to_wait(&login_at(&bed, ELSEWHERE, email, password).await);
    }
    for network in [HOME, ANYWHERE] {
        signs_in(&bed, network, "bob@example.com").await;
    }
    signs_in(&bed, ELSEWHERE, "ada@example.com").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pause_of_a_network_grows_and_a_minute_forgets_one_attempt() {
    let (bed, _running) = start().await;
    login_at(&bed, ELSEWHERE, "victim@example.com", WRONG).await.problem("bad_credentials", "");
    let network = "attempt where purpose = 'sign_in_network'";
    for (attempts, ago, then, pause) in [
        (20, 0, 21, 1),
        (21, 0, 22, 2),
        (25, 0, 26, 32),
        (1_000_000, 0, 1_001, 900),
        (30, 600, 21, 1),
        (5, 3_600, 1, 0),
    ] {
        let before = format!(
            "update attempt set attempts = {attempts}, blocked_until = now(), last_at = now() - interval '{ago} seconds'
             where purpose = 'sign_in_network'"
        );
        sql(&bed, &before).await;
        let victim = format!("victim-{attempts}-{ago}@example.com");
        login_at(&bed, ELSEWHERE, &victim, WRONG).await.problem("bad_credentials", "");
        let now = format!("{network} and attempts = {then} and blocked_until = last_at + interval '{pause} seconds'");
        assert_eq!(count(&bed, &now).await, 1, "{attempts} attempts, {ago} seconds ago");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_who_guess_hold_up_nobody_who_signed_in_from_there_before() {
    let (bed, _running) = start().await;
    register(&bed, "ada@example.com").await;
    signs_in(&bed, HOME, "ada@example.com").await;

    login_at(&bed, ELSEWHERE, "ada@example.com", WRONG).await.problem("bad_credentials", "");
    long_pauses(&bed, "sign_in").await;
    told_to_wait(&login_at(&bed, ELSEWHERE, "ada@example.com", PASSWORD).await);
    signs_in(&bed, HOME, "ada@example.com").await;

    for stranger in 0..10 {
        let network = format!("192.0.2.{stranger}");
        login_at(&bed, &network, "ada@example.com", WRONG).await.problem("bad_credentials", "");
    }
    assert_eq!(count(&bed, "attempt where purpose = 'sign_in_everywhere' and blocked_until > last_at").await, 1);
    long_pauses(&bed, "sign_in_everywhere").await;
    told_to_wait(&login_at(&bed, ANYWHERE, "ada@example.com", PASSWORD).await);
    signs_in(&bed, HOME, "ada@example.com").await;
    told_to_wait(&login_at(&bed, ANYWHERE, "ada@example.com", PASSWORD).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_passwords_make_wait_at_home_as_well() {
    let (bed, _running) = start().await;
    register(&bed, "ada@example.com").await;
    signs_in(&bed, HOME, "ada@example.com").await;

    login_at(&bed, HOME, "ada@example.com", WRONG).await.problem("bad_credentials", "");
    long_pauses(&bed, "sign_in").await;

    told_to_wait(&login_at(&bed, HOME, "ada@example.com", PASSWORD).await);
    assert_eq!(count(&bed, "attempt").await, 1, "and count for nothing else");
    signs_in(&bed, ANYWHERE, "ada@example.com").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_session_was_ended_because_it_may_be_a_thiefs_nobody_is_at_home() {
    let (bed, _running) = start().await;
    register(&bed, "ada@example.com").await;
    signs_in(&bed, ELSEWHERE, "ada@example.com").await;
    let ended = |reason: &str| {
        format!("update session set ended_at = now(), end_reason = '{reason}' where address = '{ELSEWHERE}'")
    };
    for (reason, status) in [("logout", 200), ("reuse", 429), ("revoked", 429), ("password_reset", 429)] {
        sql(&bed, &ended(reason)).await;
        sql(
            &bed,
            "insert into attempt (email_hash, purpose, attempts, blocked_until)
             values (sha256('ada@example.com'), 'sign_in_everywhere', 20, now() + interval '10 minutes')
             on conflict do nothing",
        )
        .await;
        let answer = login_at(&bed, ELSEWHERE, "ada@example.com", PASSWORD).await;
        assert_eq!(answer.status, status, "{reason}: {answer}");
        sql(&bed, "delete from attempt").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_account_it_is_is_told_to_the_gateway_alone() {
    let (bed, _running) = start().await;
    let ada = register(&bed, "ada@example.com").await;
    let whose = ada.text("/user/id");
    let concerns = |answer: &Answer| answer.header("argosy-concerns").map(str::to_owned);
    assert_eq!(concerns(&ada).as_ref(), Some(&whose));
    assert_eq!(concerns(&login_at(&bed, HOME, "ada@example.com", PASSWORD).await).as_ref(), Some(&whose));
    let wrong = login_at(&bed, HOME, "ada@example.com", WRONG).await;
    assert_eq!(concerns(&wrong).as_ref(), Some(&whose));
    assert!(!wrong.to_string().contains(&whose), "{wrong}");
    assert_eq!(concerns(&login_at(&bed, HOME, "nobody@example.com", WRONG).await), None);
}
