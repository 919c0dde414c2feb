mod rotate;

use diesel::sql_query;
use diesel_async::RunQueryDsl;
use nats::contracts::user::GetSigningKeys;

use crate::{PASSWORD, login, register, start, verified};

#[tokio::test(flavor = "multi_thread")]
async fn anyone_can_read_the_public_halves() {
    let (bed, _running) = start().await;
    let answer = bed.nobody().get("/.well-known/jwks.json").send().await;
    assert_eq!(answer.status, 200, "{answer}");
    assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
    let keys = bed.call(&GetSigningKeys {}).await.expect("the same by call");
    assert_eq!(answer.json, serde_json::to_value(&keys).unwrap());
    assert_eq!(keys.keys.len(), 1);
    let key = answer.at("/keys/0").as_object().unwrap();
    let mut names: Vec<_> = key.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["alg", "crv", "kid", "kty", "use", "x", "y"], "no private part");
    assert_eq!((key["kty"].as_str(), key["crv"].as_str()), (Some("EC"), Some("P-256")));
    assert_eq!((key["alg"].as_str(), key["use"].as_str()), (Some("ES256"), Some("sig")));
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_that_start_together_share_a_key_and_keep_it() {
    let (bed, running) = start().await;
    running.stop().await;
    // As at the first start of all, except that the database is there.
    sql_query("delete from signing_key").execute(&mut bed.sql("user").await).await.unwrap();
    let (one, other) = tokio::join!(bed.run(svc_user::service()), bed.run(svc_user::service()));
    let first = register(&bed, "ada@example.com").await;
    for _ in 0..6 {
        let answer = login(&bed, "ada@example.com", PASSWORD).await;
        verified(&bed, &answer).await;
    }
    let keys = bed.call(&GetSigningKeys {}).await.unwrap();
    assert_eq!(keys.keys.len(), 1, "{keys:?}");
    one.stop().await;
    other.stop().await;
    let _again = bed.run(svc_user::service()).await;
    assert_eq!(bed.call(&GetSigningKeys {}).await.unwrap(), keys);
    verified(&bed, &first).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retired_key_leaves_the_set_and_a_new_one_takes_over() {
    let (bed, running) = start().await;
    let before = bed.call(&GetSigningKeys {}).await.unwrap();
    running.stop().await;
    sql_query("update signing_key set retired_at = now()").execute(&mut bed.sql("user").await).await.unwrap();
    let _again = bed.run(svc_user::service()).await;
    let after = bed.call(&GetSigningKeys {}).await.unwrap();
    assert_eq!(after.keys.len(), 1);
    assert_ne!(after.keys[0].kid, before.keys[0].kid);
    let answer = register(&bed, "ada@example.com").await;
    verified(&bed, &answer).await;
}
