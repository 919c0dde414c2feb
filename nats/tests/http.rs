//! HTTP over NATS.

use nats::{
    identity::Permission::{OrdersRead, OrdersRefund, OrdersWrite},
    invoke::CallError,
    types::UserId,
};
use serde_json::json;
use stack::{Bed, bed::Client};

use crate::probe::{self, DoThing, GATE};

#[tokio::test(flavor = "multi_thread")]
async fn a_request_reaches_its_endpoint_and_its_answer_comes_back() {
    let bed = Bed::start().await;
    let _probe = bed.run(probe::service()).await;
    let alice = bed.customer();

    let answer = alice.post("/v1/orders", &json!({ "name": "Lamp", "quantity": 2 })).send().await;

    assert_eq!(answer.status, 201, "{answer}");
    assert_eq!(answer.header("location"), Some("/v1/orders/1"));
    assert_eq!(answer.json, json!({ "name": "Lamp", "quantity": 2 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_is_who_the_gateway_says() {
    let bed = Bed::start().await;
    let _probe = bed.run(probe::service()).await;
    let (alice, nobody) = (bed.customer(), bed.nobody());

    assert_eq!(nobody.get("/v1/whoami").send().await.at("/text"), "nobody");
    assert_eq!(alice.get("/v1/whoami").send().await.at("/text"), &json!(alice.user_id()));
    // A client cannot bring its own identity: the gateway's headers are not taken over from a client.
    let forged = nobody.get("/v1/whoami").header("Argosy-User", &alice.user_id().to_string()).send().await;
    assert_eq!(forged.at("/text"), "nobody");
    let forged = alice.get("/v1/permitted").header("Argosy-Permissions", "orders:write").send().await;
    forged.problem("forbidden", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_lets_in_whoever_holds_its_permission_and_says_which_is_missing() {
    let bed = Bed::start().await;
    let _probe = bed.run(probe::service()).await;
    let (clerk, other) = (bed.holding(&[OrdersWrite]), bed.holding(&[OrdersRead, OrdersRefund]));

    assert_eq!(clerk.get("/v1/permitted").send().await.status, 200);
    assert_eq!(bed.admin().get("/v1/permitted").send().await.status, 200);
    bed.nobody().get("/v1/permitted").send().await.problem("unauthenticated", "");
    let refused = other.get("/v1/permitted").send().await;
    refused.problem("forbidden", "");
    assert_eq!(refused.at("/detail"), "This needs the permission `orders:write`.");
}

#[tokio::test(flavor = "multi_thread")]
async fn everyone_reaches_their_own_and_whoever_holds_the_permission_what_is_anyones() {
    let bed = Bed::start().await;
    let _probe = bed.run(probe::service()).await;
    let (alice, clerk, other) = (bed.customer(), bed.holding(&[OrdersRead]), bed.holding(&[OrdersWrite]));
    let reach = async |client: &Client| {
        let [own, hers] = [client.user_id(), alice.user_id()].map(|owner| client.get(&format!("/v1/reach/{owner}")));
        (own.send().await.text("/text"), hers.send().await.text("/text"))
    };

    let only_own = ("(true, false)".to_owned(), "(false, false)".to_owned());
    assert_eq!(reach(&other).await, only_own);
    assert_eq!(reach(&bed.customer()).await, only_own);
    assert_eq!(reach(&clerk).await, ("(true, true)".to_owned(), "(true, true)".to_owned()));
    bed.nobody().get(&format!("/v1/reach/{}", alice.user_id())).send().await.problem("unauthenticated", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_wrong_with_a_request_is_a_problem_that_points_at_it() {
    let bed = Bed::start().await;
    let _probe = bed.run(probe::service()).await;
    let alice = bed.customer();
    let post = |body: &'static str| alice.request("POST", "/v1/orders").raw(body, "application/json");

    post("{").send().await.problem("malformed_request", "");
    post("").send().await.problem("malformed_request", "");
    post(r#"{"name":"Lamp"}"#).send().await.problem("invalid_request", "/quantity");
    post(r#"{"name":"Lamp","quantity":0}"#).send().await.problem("invalid_request", "/quantity");
    post(r#"{"name":"Lamp","quantity":"two"}"#).send().await.problem("invalid_request", "/quantity");
    post(r#"{"name":"","quantity":1}"#).send().await.problem("invalid_request", "/name");
    post(r#"{"name":"a\u0000b","quantity":1}"#).send().await.problem("invalid_request", "/name");
    post(r#"{"name":"Lamp","quantity":1,"color":"red"}"#).send().await.problem("invalid_request", "/color");
    alice
        .request("POST", "/v1/orders")
        .raw("name=Lamp", "text/plain")
        .send()
        .await
        .problem("unsupported_media_type", "");
    alice.get("/v1/nothing").send().await.problem("not_found", "");
    alice.delete("/v1/orders").send().await.problem("method_not_allowed", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_inside_stays_inside() {
    let bed = Bed::start().await;
    let _probe = bed.run(probe::service()).await;

    for path in ["/v1/broken", "/v1/panic"] {
        let answer = bed.nobody().get(path).send().await;

        answer.problem("internal", "");
        assert_eq!(answer.status, 500);
        assert!(
            !answer.to_string().contains("secret") && !answer.to_string().contains("asked"),
            "the cause leaked: {answer}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_larger_than_a_message_travel_through_the_object_store() {
    let bed = Bed::start().await;
    let _probe = bed.run(probe::service()).await;
    let nobody = bed.nobody();

    let long = nobody.get("/v1/long/1500000").send().await;
    assert_eq!(long.text("/text").len(), 1_500_000);

    let measured = nobody.post("/v1/measure", &json!({ "text": "y".repeat(1_400_000) })).send().await;
    assert_eq!(measured.at("/text"), "1400000", "{}", measured.status);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_stops_answers_what_it_has_begun() {
    let bed = Bed::start().await;
    let probe = bed.run(probe::service()).await;
    let nobody = bed.nobody();
    let asking: Vec<_> = (0..20)
        .map(|_| {
            let nobody = nobody.clone();
            tokio::spawn(async move { nobody.get("/v1/gated").send().await.status })
        })
        .collect();
    GATE.begun.acquire_many(20).await.unwrap().forget();

    let stopping = tokio::spawn(probe.stop());
    bed.wait_for("the service to take nothing new", || async {
        let question = DoThing { thing: UserId::new(), mood: "refuse".to_owned(), commit: false };
        matches!(bed.call(&question).await, Err(CallError::Unavailable { .. })).then_some(())
    })
    .await;
    GATE.open.add_permits(20);

    for answer in asking {
        assert_eq!(answer.await.unwrap(), 200, "a request that was begun is answered");
    }
    stopping.await.unwrap();
}
