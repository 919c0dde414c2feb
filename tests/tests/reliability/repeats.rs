//! Events come twice and in any order: what comes of them is what comes of them once and in order.

use std::{collections::BTreeMap, time::Duration};

use async_nats::{
    HeaderMap,
    jetstream::{
        self,
        consumer::{DeliverPolicy, OrderedPullConsumer, pull::OrderedConfig},
    },
};
use futures_util::StreamExt;
use nats::{
    connect::{connect, jetstream},
    topology::{PROVISIONER, Topology},
};
use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};
use serde_json::{Value, json};
use stack::{
    StackError,
    postgres::Data,
    scratch::Scratch,
    system::{Options, PROVIDER, SERVICES, System},
    wait::wait_for,
};
use tokio::sync::{Mutex, OnceCell};

use crate::{
    journey::new_article,
    shop::{BOUND, Person, Shop},
};

/// An event as it stands in its stream, with the service that published it.
struct Event {
    service: String,
    subject: String,
    headers: HeaderMap,
    payload: Vec<u8>,
}

/// Tables that are not state: what the relays know of their streams, and how far the payment provider's statement was read.
const OF_THE_MOMENT: [&str; 4] = ["relay_state", "relay_checkpoint", "statement", "statement_line"];

#[tokio::test(flavor = "multi_thread")]
async fn events_that_come_again_twice_and_out_of_order_change_nothing() {
    let mut shop = repeating().await.lock().await;
    let staff = shop.demo("STAFF").await;
    let (sku, ines) = (new_article(&staff, 50).await, shop.shopper().await);
    for (n, method) in ["sandbox_ok", "sandbox_declined", "sandbox_ok", "sandbox_timeout_then_ok"].iter().enumerate() {
        let placed = ines.order(&format!("order-{n}"), &sku, 2, method).await;
        assert_eq!(placed.status, 201, "{placed}");
        let (path, declined) = (format!("/v1/orders/{}", placed.text("/id")), *method == "sandbox_declined");
        let order = ines.until(&path, "/status", if declined { "canceled" } else { "confirmed" }).await;
        shop.mail(&ines.email, order["number"].as_str().unwrap()).await;
        if !declined {
            let invoice = ines.until(&format!("{path}/invoice"), "/documents/0/state", "rendered").await;
            shop.mail(&ines.email, invoice["number"].as_str().unwrap()).await;
        }
    }
    let system = &mut shop.system;
    let provisioner = connect(&system.settings(PROVISIONER), PROVISIONER).await.unwrap();
    let context = jetstream(&provisioner);
    until_all_is_read(&context).await;
    let before = rows(system).await;
    let mails = system.mail.mails().await.unwrap().len();

    // It would put back what this test changes about the streams.
    system.kill(PROVISIONER).unwrap();
    let events = events(&context).await;
    assert!(events.len() > 20, "there is something to repeat: {}", events.len());
    publish_twice_shuffled(system, &context, &events).await;
    until_all_is_read(&context).await;

    let after = rows(system).await;
    for (table, rows) in &before {
        assert_eq!(after.get(table), Some(rows), "{table} has changed");
    }
    assert_eq!(system.mail.mails().await.unwrap().len(), mails, "nobody got a mail again");
    system.restart(PROVISIONER).await.unwrap();
}

/// Who does not hear of an order while it is placed and canceled, and so finds it all at once.
const LATE: [&str; 3] = ["payment", "invoice", "notify"];
/// How each order is paid, and whether it is canceled before anybody has heard of it.
const ORDERS: [(&str, bool); 6] = [
    ("sandbox_ok", false),
    ("sandbox_ok", true),
    ("sandbox_declined", false),
    ("sandbox_timeout_then_ok", false),
    ("sandbox_declined", true),
    ("sandbox_ok", false),
];

/// svc-payment sees orders canceled before it sees them placed, and everything twice.
#[tokio::test(flavor = "multi_thread")]
async fn events_that_come_first_twice_and_out_of_order_end_as_those_that_come_once_and_in_order() {
    let mut shop = repeating().await.lock().await;
    let in_order = piled_up(&shop).await;
    for name in LATE {
        shop.system.restart(name).await.unwrap();
    }
    let in_order = in_order.ends(&shop).await;

    let shuffled = piled_up(&shop).await;
    let system = &mut shop.system;
    let provisioner = connect(&system.settings(PROVISIONER), PROVISIONER).await.unwrap();
    let context = jetstream(&provisioner);
    let events = until_published(system, &context).await;
    let services: Vec<String> =
        system.names().into_iter().filter(|name| name != PROVISIONER && name != PROVIDER).collect();
    services.iter().for_each(|name| system.kill(name).unwrap());
    system.wipe_nats().await.unwrap();
    system.kill(PROVISIONER).unwrap();
    publish_twice_shuffled(system, &context, &events).await;
    for name in services {
        system.restart(&name).await.unwrap();
    }
    let shuffled = shuffled.ends(&shop).await;
    shop.system.restart(PROVISIONER).await.unwrap();

    assert_eq!(shuffled, in_order);
}

/// Orders that were placed, and some of them canceled, while those who have to act on it were away.
struct PiledUp {
    ines: Person,
    sku: String,
    orders: Vec<String>,
}

async fn piled_up(shop: &Shop) -> PiledUp {
    let (sku, ines) = (new_article(&shop.demo("STAFF").await, 50).await, shop.shopper().await);
    LATE.iter().for_each(|name| shop.system.kill(name).unwrap());
    let mut orders = Vec::new();
    for (n, (method, canceled)) in ORDERS.iter().enumerate() {
        let placed = ines.order(&format!("order-{n}"), &sku, 1, method).await;
        assert_eq!(placed.status, 201, "{placed}");
        let id = placed.text("/id");
        if *canceled {
            let answer = ines.post(&format!("/v1/orders/{id}/cancel"), &json!({})).await;
            assert_eq!(answer.status, 200, "{answer}");
        }
        orders.push(id);
    }
    PiledUp { ines, sku, orders }
}

impl PiledUp {
    /// What has come of it, without what is another's each time: ids, numbers, times.
    async fn ends(self, shop: &Shop) -> Vec<Value> {
        let mut ends = Vec::new();
        for (id, (method, canceled)) in self.orders.iter().zip(ORDERS) {
            let path = format!("/v1/orders/{id}");
            let confirmed = !canceled && method != "sandbox_declined";
            self.ines.until(&path, "/status", if confirmed { "confirmed" } else { "canceled" }).await;
            let number = self.ines.get(&path).await.text("/number");
            shop.mail(&self.ines.email, &number).await;
            if confirmed {
                let invoice = self.ines.until(&format!("{path}/invoice"), "/documents/0/state", "rendered").await;
                shop.mail(&self.ines.email, invoice["number"].as_str().unwrap()).await;
            }
        }
        let provisioner = connect(&shop.system.settings(PROVISIONER), PROVISIONER).await.unwrap();
        until_all_is_read(&jetstream(&provisioner)).await;
        for id in &self.orders {
            let order = self.ines.get(&format!("/v1/orders/{id}")).await;
            let payments = self.ines.get(&format!("/v1/orders/{id}/payments")).await;
            let invoice = self.ines.get(&format!("/v1/orders/{id}/invoice")).await;
            let payments = payments.at("/data").as_array().cloned().unwrap_or_default();
            // Whether an order was authorized before its cancellation came is a race, and either end is the same.
            let kinds = |payment: &Value| -> Vec<Value> {
                let kinds = payment["transactions"].as_array().into_iter().flatten().map(|one| one["kind"].clone());
                let kinds: Vec<Value> = kinds.collect();
                if kinds.contains(&json!("void")) { Vec::new() } else { kinds }
            };
            let payments: Vec<Value> =
                payments.iter().map(|payment| json!([payment["status"], kinds(payment)])).collect();
            let number = order.text("/number");
            let mails = shop.system.mail.mails().await.unwrap();
            ends.push(json!({
                "status": [order.at("/status"), order.at("/payment_status"), order.at("/fulfillment_status")],
                "canceled": order.at("/cancel_reason"),
                "total": order.at("/total"),
                "payments": payments,
                "invoice": [invoice.status, invoice.at("/totals/tax_inclusive")],
                "mails": mails.iter().filter(|mail| mail.subject.contains(&number)).count(),
            }));
        }
        let stock = self.ines.get(&format!("/v1/stock/{}", self.sku)).await;
        ends.push(json!([stock.at("/on_hand"), stock.at("/reserved"), stock.at("/available")]));
        ends
    }
}

/// Every event that the streams hold, once every outbox is empty.
async fn until_published(system: &System, context: &jetstream::Context) -> Vec<Event> {
    for service in SERVICES {
        wait_for("the outbox to be empty", BOUND, async || {
            let pending =
                system.postgres.psql(&format!("argosy_{service}"), "select count(*) from outbox_pending").await?;
            // What a service that is away has not published is published when it is back.
            if pending == "0" || LATE.contains(&service) { Ok(Some(())) } else { Err(StackError::new(pending)) }
        })
        .await
        .unwrap();
    }
    events(context).await
}

/// One shop for these tests, used by one at a time.
async fn repeating() -> &'static Mutex<Shop> {
    static SHOP: OnceCell<Mutex<Shop>> = OnceCell::const_new();
    let open = || async {
        let scratch = Scratch::new("system").unwrap();
        Mutex::new(Shop::open_with(Options::new(scratch.path(), Data::Scratch), scratch).await)
    };
    SHOP.get_or_init(open).await
}

/// Every event that the streams hold.
async fn events(context: &jetstream::Context) -> Vec<Event> {
    let mut events = Vec::new();
    for service in SERVICES {
        let Ok(stream) = context.get_stream(service.to_uppercase()).await else { continue };
        let config = OrderedConfig { deliver_policy: DeliverPolicy::All, ..OrderedConfig::default() };
        let consumer: OrderedPullConsumer = stream.create_consumer(config).await.unwrap();
        let pending = usize::try_from(consumer.cached_info().num_pending).unwrap();
        let mut messages = consumer.messages().await.unwrap().take(pending);
        while let Some(message) = messages.next().await {
            let message = message.unwrap();
            events.push(Event {
                service: service.to_owned(),
                subject: message.subject.to_string(),
                headers: message.headers.clone().unwrap_or_default(),
                payload: message.payload.to_vec(),
            });
        }
    }
    events
}

/// As its owner would, past the streams' own deduplication.
async fn publish_twice_shuffled(system: &System, context: &jetstream::Context, events: &[Event]) {
    let seed: u64 = rand::random();
    println!("shuffled with seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut owners = BTreeMap::new();
    for service in SERVICES {
        let Ok(stream) = context.get_stream(service.to_uppercase()).await else { continue };
        let mut config = stream.cached_info().config.clone();
        config.duplicate_window = Duration::from_millis(100);
        context.update_stream(&config).await.unwrap();
        let owner = connect(&system.settings(service), service).await.unwrap();
        owners.insert(service.to_owned(), jetstream(&owner));
    }
    for _ in 0..2 {
        let mut order: Vec<&Event> = events.iter().collect();
        order.shuffle(&mut random);
        for event in order {
            // Until the stream has forgotten that it knows this id.
            wait_for("the stream to take a repeat", BOUND, async || {
                let (subject, headers) = (event.subject.clone(), event.headers.clone());
                let owner = &owners[&event.service];
                let ack = owner.publish_with_headers(subject, headers, event.payload.clone().into()).await;
                let ack = ack.map_err(|error| error.to_string())?.await.map_err(|error| error.to_string())?;
                if ack.duplicate { Err("taken for a repeat".to_owned()) } else { Ok(Some(())) }
            })
            .await
            .unwrap();
        }
    }
}

/// Waits until every consumer has read and settled all there is.
async fn until_all_is_read(context: &jetstream::Context) {
    let topology = Topology::embedded().unwrap();
    wait_for("every consumer to have read everything", BOUND, async || {
        for consumer in &topology.consumers {
            let stream = context.get_stream(&consumer.stream).await.map_err(|error| error.to_string())?;
            let info = stream.consumer_info(&consumer.durable).await.map_err(|error| error.to_string())?;
            if info.num_pending > 0 || info.num_ack_pending > 0 {
                return Err(format!(
                    "{}: {} to read, {} open",
                    consumer.durable, info.num_pending, info.num_ack_pending
                ));
            }
        }
        Ok(Some(()))
    })
    .await
    .unwrap();
}

/// The rows of every table of every service, as text.
async fn rows(system: &System) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for service in SERVICES {
        let database = format!("argosy_{service}");
        let tables = "select tablename from pg_tables where schemaname = 'public' order by 1";
        for table in
            system.postgres.psql(&database, tables).await.unwrap().lines().filter(|name| !OF_THE_MOMENT.contains(name))
        {
            let sql = format!("select t::text from {table} t order by 1");
            all.insert(format!("{database}.{table}"), system.postgres.psql(&database, &sql).await.unwrap());
        }
    }
    all
}
