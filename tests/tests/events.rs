//! What docs/EVENTS.md promises to whoever debugs with the nats CLI, by the protocol that the CLI speaks.

use std::time::Duration;

use async_nats::{Client, HeaderMap, jetstream};
use futures_util::StreamExt;
use nats::{connect::inbox_prefix, topology::DEBUG};
use serde_json::Value;

use crate::{journey::new_article, shop::Shop};

const PAGE: &str = include_str!("../../docs/EVENTS.md");

async fn debugger(shop: &Shop) -> Client {
    let seed = std::fs::read_to_string(shop.system.seed_file(DEBUG)).unwrap();
    let options =
        async_nats::ConnectOptions::with_nkey(seed.trim().to_owned()).custom_inbox_prefix(inbox_prefix(DEBUG));
    options.connect(shop.system.nats.url()).await.unwrap()
}

fn header(headers: Option<&HeaderMap>, name: &str) -> String {
    headers.and_then(|headers| headers.get(name)).map(ToString::to_string).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orders_events_can_be_watched_as_they_happen() {
    assert!(PAGE.contains("nats sub 'evt.order.>'"), "the page shows how");
    let shop = Shop::shared().await;
    let debugger = debugger(shop).await;
    let mut watched = debugger.subscribe("evt.>").await.unwrap();
    debugger.flush().await.unwrap();
    let (staff, ines) = (shop.demo("STAFF").await, shop.shopper().await);
    let sku = new_article(&staff, 3).await;

    let id = ines.order("watched", &sku, 1, "sandbox_ok").await.text("/id");

    let mut seen = Vec::new();
    let watching = async {
        while let Some(message) = watched.next().await {
            let body: Value = serde_json::from_slice(&message.payload).expect("readable JSON");
            if body["order_id"] != id.as_str() {
                continue;
            }
            let headers = message.headers.as_ref();
            let kind = header(headers, "ce-type");
            assert_eq!(header(headers, "ce-specversion"), "1.0");
            assert_eq!(header(headers, "ce-id"), header(headers, "Nats-Msg-Id"));
            assert!(header(headers, "traceparent").starts_with("00-"), "{headers:?}");
            let (entity, verb) = kind.trim_end_matches(".v1").split_once('.').unwrap();
            assert!(message.subject.starts_with(&format!("evt.{entity}.{verb}.")), "{} is {kind}", message.subject);
            seen.push(kind);
            let wanted = [
                "order.placed.v1",
                "payment.captured.v1",
                "order.confirmed.v1",
                "stock.sold.v1",
                "invoice.issued.v1",
                "invoice.rendered.v1",
            ];
            if wanted.iter().all(|one| seen.iter().any(|kind| kind == one)) {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), watching).await.unwrap_or_else(|_| panic!("only saw {seen:?}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_runs_from_the_request_to_the_last_event() {
    let shop = Shop::shared().await;
    let debugger = debugger(shop).await;
    let mut watched = debugger.subscribe("evt.*.*.*").await.unwrap();
    debugger.flush().await.unwrap();
    let ines = shop.shopper().await;
    let sku = new_article(&shop.demo("STAFF").await, 3).await;
    let trace = uuid::Uuid::new_v4().simple().to_string();
    let body = serde_json::json!({
        "lines": [{ "sku": sku, "quantity": 1 }], "payment_method": "sandbox_ok", "currency": "EUR",
        "shipping_address": { "name": "Ines", "line1": "Kai 1", "city": "Hamburg", "postal_code": "20457", "country": "DE" },
    });
    let request = ines.request(reqwest::Method::POST, "/v1/orders").json(&body).header("Idempotency-Key", "traced");
    let placed =
        crate::shop::Answer::of(request.header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01"))).await;
    assert_eq!(placed.status, 201, "{placed}");

    let mut kinds = Vec::new();
    let watching = async {
        while let Some(message) = watched.next().await {
            if header(message.headers.as_ref(), "traceparent").contains(&trace) {
                kinds.push(header(message.headers.as_ref(), "ce-type"));
                if kinds.iter().any(|kind| kind == "invoice.rendered.v1")
                    && kinds.iter().any(|kind| kind == "stock.sold.v1")
                {
                    return;
                }
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), watching)
        .await
        .unwrap_or_else(|_| panic!("the trace has only {kinds:?}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn services_can_be_listed_with_their_statistics() {
    assert!(PAGE.contains("nats service ls"), "the page shows how");
    let shop = Shop::shared().await;
    let debugger = debugger(shop).await;
    for service in stack::system::SERVICES {
        for verb in ["PING", "INFO", "STATS"] {
            let answer = debugger.request(format!("$SRV.{verb}.{service}"), "".into()).await;
            let answer = answer.unwrap_or_else(|error| panic!("$SRV.{verb}.{service}: {error}"));
            let answer: Value = serde_json::from_slice(&answer.payload).unwrap();
            assert_eq!(answer["name"], service);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_and_consumers_can_be_looked_at_but_not_changed() {
    assert!(PAGE.contains("nats stream info ORDER") && PAGE.contains("nats consumer info"), "the page shows how");
    let shop = Shop::shared().await;
    let debugger = debugger(shop).await;
    let ask = |subject: &'static str, body: &'static str| {
        let debugger = debugger.clone();
        async move {
            let request = async_nats::Request::new().payload(body.into()).timeout(Some(Duration::from_secs(1)));
            debugger
                .send_request(subject, request)
                .await
                .map(|answer| serde_json::from_slice::<Value>(&answer.payload).unwrap())
        }
    };

    let streams = ask("$JS.API.STREAM.NAMES", "").await.unwrap();
    assert!(streams["streams"].as_array().unwrap().contains(&"ORDER".into()), "{streams}");
    let info = ask("$JS.API.STREAM.INFO.ORDER", "").await.unwrap();
    assert!(info["config"]["subjects"].as_array().unwrap().contains(&"evt.order.placed.*".into()), "{info}");
    let consumer = ask("$JS.API.CONSUMER.INFO.ORDER.payment-charge-placed", "").await.unwrap();
    assert_eq!(consumer["config"]["filter_subject"], "evt.order.placed.*", "{consumer}");
    for forbidden in [
        "$JS.API.STREAM.DELETE.ORDER",
        "$JS.API.STREAM.PURGE.ORDER",
        "$JS.API.CONSUMER.DELETE.ORDER.payment-charge-placed",
    ] {
        let refused = debugger.request(forbidden, "".into());
        let refused = tokio::time::timeout(Duration::from_millis(500), refused).await;
        assert!(!matches!(refused, Ok(Ok(_))), "the debugging user may {forbidden}");
    }
    let still = jetstream::new(debugger.clone());
    assert!(still.get_stream("ORDER").await.is_ok(), "the stream is still there");
}
