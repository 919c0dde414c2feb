//! POST /v1/webhooks/payments/sandbox

use chrono::Utc;
use diesel_async::SimpleAsyncConnection;
use nats::{contracts::payment::PaymentCaptured, types::OrderId};
use poem::{
    EndpointExt, Route, Server, handler,
    http::{HeaderMap, StatusCode},
    listener::TcpListener,
    post,
    web::Data,
};
use serde_json::json;
use stack::{
    bed::{Answer, Bed, Client},
    ports,
};
use svc_payment::{
    provider::Operation,
    signature::{ID, SIGNATURE, SigningSecret, TIMESTAMP, TOLERANCE},
};

use super::ledger::{assert_captured, effects, held, number, order, payment_when, release, settled, when};
use crate::provider::{Provider, SECRET};

const PATH: &str = "/v1/webhooks/payments/sandbox";

/// A message as the provider would send it, `late` seconds ago.
async fn send(client: &Client, id: &str, operation: &Operation, late: i64) -> Answer {
    let body = json!({
        "type": format!("payment.{}", operation.kind),
        "timestamp": operation.created_at,
        "data": { "payment": operation.payment, "operation": operation.reference },
    });
    // With blanks that a parser would drop: the signature is over the bytes.
    send_raw(client, id, &format!("  {body}\n"), late, SECRET).await
}

async fn send_raw(client: &Client, id: &str, body: &str, late: i64, secret: &str) -> Answer {
    let at = Utc::now().timestamp() - late;
    let signature = secret.parse::<SigningSecret>().unwrap().sign(id, at, body.as_bytes());
    let request = client.request("POST", PATH).header(ID, id).header(TIMESTAMP, &at.to_string());
    request.header(SIGNATURE, &signature).raw(body, "application/json").send().await
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_late_twice_and_out_of_order_settle_a_payment_once() {
    let (bed, provider) = (Bed::start().await, Provider::start().await);
    let _running = provider.run(&bed).await;
    let (client, order) = (bed.nobody(), OrderId::new());
    // Its worker is gone with the answers.
    held(&bed, order, 1).await;
    let payment = provider.authorize(order, "sandbox_ok").await;
    let payment = provider.capture(order, &payment.reference).await;
    let [authorized, captured] = [&payment.operations[0], &payment.operations[1]];
    for (id, operation) in [("msg_2", captured), ("msg_1", authorized), ("msg_2", captured), ("msg_1", authorized)] {
        let answer = send(&client, id, operation, TOLERANCE - 5).await;
        assert_eq!(answer.status, 204, "{answer}");
    }
    bed.event(|event: &PaymentCaptured| event.order_id == order).await;
    assert_eq!(settled(&bed, order).await.tries, 1, "no worker was needed");
    when(&bed, "all are read up on", "select count(*) from webhook where next_try_at is null", 2).await;
    assert_eq!(effects(&bed).await, ["authorize 1299", "capture 1299"]);
    // A day late, with what everybody knows.
    assert_eq!(send(&client, "msg_3", authorized, 0).await.status, 204);
    let known = "select count(*) from webhook where id = 'msg_3' and next_try_at is null and tries = 0";
    assert_eq!(number(&mut bed.sql("payment").await, known).await, 1, "the provider is not asked about it");
    assert_captured(&bed, &provider, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_provider_did_not_sign_is_not_heard() {
    let (bed, provider) = (Bed::start().await, Provider::start().await);
    let _running = provider.run(&bed).await;
    let (client, order) = (bed.nobody(), OrderId::new());
    held(&bed, order, 1).await;
    let payment = provider.authorize(order, "sandbox_ok").await;
    let operation = &payment.operations[0];
    let body = json!({
        "type": "payment.authorize", "timestamp": Utc::now(),
        "data": { "payment": operation.payment, "operation": operation.reference },
    })
    .to_string();
    let other = "whsec_c29tZWJvZHktZWxzZXMtc2VjcmV0LW9mLTMyLWJ5dGU=";
    for (what, answer) in [
        ("forged", send_raw(&client, "msg_1", &body, 0, other).await),
        ("stale", send_raw(&client, "msg_1", &body, TOLERANCE + 5, SECRET).await),
        ("from the future", send_raw(&client, "msg_1", &body, -TOLERANCE - 5, SECRET).await),
        ("unsigned", client.request("POST", PATH).raw(body.clone(), "application/json").send().await),
    ] {
        assert_eq!(answer.status, 401, "{what}: {answer}");
        answer.problem("unauthenticated", "");
    }
    let nonsense = send_raw(&client, "msg_1", "{}", 0, SECRET).await;
    assert_eq!(nonsense.status, 400, "{nonsense}");
    nonsense.problem("malformed_request", "");
    let huge = send_raw(&client, "msg_1", &" ".repeat(70_000), 0, SECRET).await;
    assert_eq!(huge.status, 413, "{huge}");
    assert_eq!(number(&mut bed.sql("payment").await, "select count(*) from webhook").await, 0);
    let payment = payment_when(&bed, order, "it is there", |_| true).await;
    assert_eq!(payment.status, "processing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_about_what_is_not_ours_does_no_harm() {
    let (bed, provider) = (Bed::start().await, Provider::start().await);
    let _running = provider.run(&bed).await;
    let client = bed.nobody();
    let foreign = provider.authorize(OrderId::new(), "sandbox_ok").await;
    assert_eq!(send(&client, "msg_1", &foreign.operations[0], 0).await.status, 204);
    let unknown =
        Operation { payment: "sbx_none".to_owned(), reference: "sbo_none".to_owned(), ..foreign.operations[0].clone() };
    assert_eq!(send(&client, "msg_2", &unknown, 0).await.status, 204);
    when(&bed, "both are read up on", "select count(*) from webhook where next_try_at is null and tries = 1", 2).await;
    assert_eq!(effects(&bed).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_another_instance_has_is_not_waited_for() {
    let (bed, provider) = (Bed::start().await, Provider::start().await);
    let running = provider.run(&bed).await;
    let order = order("sandbox_ok");
    bed.publish(&order).await;
    settled(&bed, order.order_id).await;
    running.stop().await;
    let mut sql = bed.sql("payment").await;
    sql.batch_execute(
        "insert into webhook (id, kind, payment, operation, next_try_at)
         select ids.id, 'payment.capture', 'sbx', provider_reference, now()
         from transaction, (values ('msg_1'), ('msg_2')) ids (id) where kind = 'capture'",
    )
    .await
    .unwrap();
    // The other instance is about to write this one down.
    sql.batch_execute("begin; select from webhook where id = 'msg_1' for update").await.unwrap();
    let _running = provider.run(&bed).await;
    let open = "select count(*) from webhook where next_try_at is not null";
    when(&bed, "the one that is free is done with", open, 1).await;
    sql.batch_execute("commit").await.unwrap();
    when(&bed, "the other is as well", open, 0).await;
}

#[handler]
async fn relay(client: Data<&Client>, headers: &HeaderMap, body: Vec<u8>) -> StatusCode {
    let mut request = client.request("POST", PATH).raw(body, "application/json");
    for name in [ID, TIMESTAMP, SIGNATURE] {
        request = request.header(name, headers.get(name).unwrap().to_str().unwrap());
    }
    StatusCode::from_u16(request.send().await.status).unwrap()
}

/// What the gateway does: a port that takes webhooks and sends them on.
async fn port(bed: &Bed) -> String {
    let address = format!("127.0.0.1:{}", ports::free().unwrap());
    let server = Server::new(TcpListener::bind(address.clone()));
    tokio::spawn(server.run(Route::new().at(PATH, post(relay)).data(bed.nobody())));
    format!("http://{address}{PATH}")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sandboxs_own_webhooks_arrive_however_badly_it_sends_them() {
    let bed = Bed::start().await;
    let url = port(&bed).await;
    let faults = [
        ("WEBHOOK_URL", url.as_str()),
        ("WEBHOOK_COPIES", "3"),
        ("WEBHOOK_JITTER_MS", "800"),
        ("WEBHOOK_DELAY_MS", "200"),
    ];
    let mut provider = Provider::start_with(&faults).await;
    let _running = provider.run(&bed).await;
    let orders: Vec<_> = (0..10).map(|_| order("sandbox_ok")).collect();
    for order in &orders {
        bed.publish(order).await;
    }
    let lost = OrderId::new();
    held(&bed, lost, 1).await;
    provider.authorize(lost, "sandbox_ok").await;
    for order in &orders {
        assert_eq!(settled(&bed, order.order_id).await.status, "succeeded");
    }
    let heard = payment_when(&bed, lost, "the webhook is heard", |payment| payment.status == "requires_capture").await;
    assert_eq!(heard.tries, 1, "no worker was needed");
    // What was not taken yet is sent after a restart.
    provider.kill();
    provider.restart().await;
    when(&bed, "each is heard once", "select count(*) from webhook where next_try_at is null", 21).await;
    release(&bed).await;
    settled(&bed, lost).await;
    assert_captured(&bed, &provider, 11).await;
}
