use nats::contracts::user::{GetSigningKeys, RotateSigningKeys};
use stack::{Bed, bed::Answer};

use crate::{PASSWORD, count, login, register, sql, start, verified};

fn kid(answer: &Answer) -> String {
    jsonwebtoken::decode_header(answer.text("/access_token")).unwrap().kid.unwrap()
}

async fn published(bed: &Bed) -> Vec<String> {
    bed.call(&GetSigningKeys {}).await.unwrap().keys.into_iter().map(|key| key.kid).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_is_published_before_it_signs_and_the_old_one_for_as_long_as_its_tokens_last() {
    let (bed, running) = start().await;
    let before = register(&bed, "ada@example.com").await;
    let rotated = bed.call(&RotateSigningKeys {}).await.expect("rotated");
    assert_eq!((rotated.others_until - rotated.signs_from).num_seconds(), 900, "ten minutes and a margin");
    assert_eq!(published(&bed).await, [rotated.kid.clone(), kid(&before)]);
    let meanwhile = login(&bed, "ada@example.com", PASSWORD).await;
    assert_eq!(kid(&meanwhile), kid(&before), "verifiers may not have the new key yet");
    assert_eq!(bed.call(&RotateSigningKeys {}).await.unwrap(), rotated, "asked again, it changes nothing");

    sql(&bed, "update signing_key set signs_from = now() where signs_from > now()").await;
    let after = bed
        .wait_for("the new key to sign", async || {
            let answer = login(&bed, "ada@example.com", PASSWORD).await;
            (kid(&answer) == rotated.kid).then_some(answer)
        })
        .await;
    for answer in [&before, &meanwhile, &after] {
        verified(&bed, answer).await;
    }

    sql(&bed, "update signing_key set retired_at = now() where retired_at is not null").await;
    assert_eq!(published(&bed).await, std::slice::from_ref(&rotated.kid));
    // The job runs at the start, and then every hour.
    running.stop().await;
    let _again = bed.run(svc_user::service()).await;
    bed.wait_for("the old key to be deleted", async || (count(&bed, "signing_key").await == 1).then_some(())).await;
    verified(&bed, &after).await;
    assert_eq!(bed.broken_invariants("user").await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_instance_changes_over() {
    let bed = Bed::start().await;
    let settings = [("SIGNING_KEY_LEAD_S", "0")];
    let _one = bed.run_with(svc_user::service(), &settings).await;
    let _other = bed.run_with(svc_user::service(), &settings).await;
    register(&bed, "ada@example.com").await;
    let first = bed.call(&RotateSigningKeys {}).await.expect("rotated");
    let second = bed.call(&RotateSigningKeys {}).await.expect("rotated again");
    assert_ne!(first.kid, second.kid);
    assert_eq!(published(&bed).await.len(), 3);
    bed.wait_for("both to sign with the newest key", async || {
        let mut newest = true;
        for _ in 0..6 {
            let answer = login(&bed, "ada@example.com", PASSWORD).await;
            verified(&bed, &answer).await;
            newest &= kid(&answer) == second.kid;
        }
        newest.then_some(())
    })
    .await;
}
