//! Realtime, end to end: what happens to a person's things reaches them while they look, and only them, whatever is killed.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use stack::{postgres::Data, system::GATEWAY, wait::wait_for};
use tokio::time::timeout;
use tokio_tungstenite::{connect_async, tungstenite::Message as Frame};

use crate::{
    journey::new_article,
    shop::{Answer, BOUND, Person, Shop},
};

const STREAM: &str = "/v1/notifications/stream";
/// What a person is told of an order for which all goes well. The invoice and the confirmation come in any order.
const TOLD: [&str; 4] = ["invoice.rendered", "order.confirmed", "order.placed", "payment.captured"];

/// Somebody listens.
struct Listening {
    response: Response,
    read: String,
}

/// What came: the id, and what was said.
#[derive(Debug, Clone, PartialEq)]
struct Told {
    event: String,
    id: i64,
    data: Value,
}

impl Listening {
    async fn open(person: &Person, after: Option<i64>) -> Result<Self, String> {
        let mut request = person.request(Method::GET, STREAM);
        if let Some(after) = after {
            request = request.header("Last-Event-ID", after);
        }
        let response = request.send().await.map_err(|error| error.to_string())?;
        match response.status().as_u16() {
            200 => Ok(Self { response, read: String::new() }),
            other => Err(format!("{other}")),
        }
    }

    /// The next event; `None` when the stream is over, or broken.
    async fn next(&mut self) -> Option<Told> {
        loop {
            if let Some((block, rest)) = self.read.split_once("\n\n") {
                let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
                let (event, id, data) = (field("event: "), field("id: "), field("data: "));
                let told = (!data.is_empty()).then(|| Told {
                    event: event.to_owned(),
                    id: id.parse().unwrap_or_default(),
                    data: serde_json::from_str(data).unwrap(),
                });
                self.read = rest.to_owned();
                match told {
                    Some(told) => return Some(told),
                    None => continue,
                }
            }
            let more = timeout(BOUND, self.response.chunk()).await.expect("something to come");
            self.read.push_str(std::str::from_utf8(&more.ok()??).unwrap());
        }
    }

    /// The next event, which is a message.
    async fn message(&mut self) -> Told {
        let told = self.next().await.expect("a message");
        assert_eq!(told.event, "", "{told:?}");
        told
    }

    /// As many messages as there are about one order.
    async fn about_an_order(&mut self) -> Vec<Told> {
        let mut all = Vec::new();
        while all.len() < TOLD.len() {
            all.push(self.message().await);
        }
        all
    }
}

/// Each kind once, all about this order, with numbers one after the other.
fn assert_about(told: &[Told], order: &str) {
    let mut kinds: Vec<&str> = told.iter().map(|told| told.data["kind"].as_str().unwrap()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, TOLD, "{told:?}");
    assert!(told.iter().all(|told| told.data["about"]["order_id"] == order), "{told:?}");
    assert!(told.windows(2).all(|two| two[1].id == two[0].id + 1), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orders_way_is_told_to_whoever_placed_it_and_to_nobody_else() {
    let shop = Shop::shared().await;
    let sku = new_article(&shop.demo("STAFF").await, 10).await;
    let (ines, olga) = (shop.shopper().await, shop.shopper().await);
    let mut of_ines = Listening::open(&ines, None).await.unwrap();
    let mut of_olga = Listening::open(&olga, None).await.unwrap();
    assert_eq!([of_ines.next().await, of_olga.next().await].map(|told| told.unwrap().event), ["ready", "ready"]);

    let order = ines.order("realtime", &sku, 1, "sandbox_ok").await.text("/id");
    let told = of_ines.about_an_order().await;
    assert_about(&told, &order);
    let text = told.iter().map(|told| told.data.to_string()).collect::<String>();
    for personal in [ines.email.as_str(), "Ines", "Speicherstadt"] {
        assert!(!text.contains(personal), "{personal} in {text}");
    }
    // Where each thing is, for its owner.
    for told in &told {
        let link = told.data["about"]["link"].as_str().unwrap();
        let answer = ines.get(link).await;
        assert_eq!(answer.status, 200, "{link}");
        olga.get(link).await.problem("not_found");
    }

    let other = olga.order("realtime", &sku, 1, "sandbox_ok").await.text("/id");
    let told = of_olga.about_an_order().await;
    assert_about(&told, &other);
    assert_eq!(told[0].id, 1, "the first message to her is her own");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_opens_a_websocket_with_a_ticket_that_stands_in_no_log() {
    let shop = Shop::shared().await;
    let sku = new_article(&shop.demo("STAFF").await, 10).await;
    let ines = shop.shopper().await;
    let ticket = ines.post("/v1/notifications/tickets", &json!({})).await.text("/ticket");
    let url = format!("{}/v1/notifications/ws?ticket={ticket}", ines.url.replace("http://", "ws://"));
    let (mut socket, _) = connect_async(&url).await.unwrap();
    let used = connect_async(&url).await;
    assert!(used.is_err(), "a ticket lets in once");

    let order = ines.order("socket", &sku, 1, "sandbox_ok").await.text("/id");
    let mut told = Vec::new();
    while told.len() < TOLD.len() {
        let frame = timeout(BOUND, socket.next()).await.expect("a message").unwrap().unwrap();
        let Frame::Text(text) = frame else { continue };
        let said: Value = serde_json::from_str(text.as_str()).unwrap();
        if said["event"] == "message" {
            let id = said["id"].as_str().unwrap().parse().unwrap();
            told.push(Told { event: String::new(), id, data: said["data"].clone() });
        }
    }
    assert_about(&told, &order);

    // Its end, within a second of the session's.
    let sessions = ines.get("/v1/sessions").await;
    let end = Answer::of(ines.request(Method::DELETE, &format!("/v1/sessions/{}", sessions.text("/data/0/id")))).await;
    assert_eq!(end.status, 204, "{end}");
    let ended = Instant::now();
    let close = loop {
        match timeout(BOUND, socket.next()).await.expect("the end").unwrap().unwrap() {
            Frame::Close(close) => break close.unwrap(),
            other => assert!(!other.is_text(), "{other:?}"),
        }
    };
    assert_eq!(u16::from(close.code), 4401);
    assert!(ended.elapsed() < Duration::from_secs(2), "{:?}", ended.elapsed());
    for name in shop.system.names() {
        let log = std::fs::read_to_string(shop.system.process(&name).unwrap().log()).unwrap_or_default();
        assert!(!log.contains(&ticket), "the ticket stands in the log of {name}");
    }
}

/// Listens until there are so many messages, and comes again whenever the stream breaks.
async fn listen_through(person: Person, wanted: usize) -> Vec<Told> {
    let mut all: Vec<Told> = Vec::new();
    let listen = async {
        while all.len() < wanted {
            let last = all.last().map_or(0, |told| told.id);
            let open = || async { Listening::open(&person, Some(last)).await.map(Some) };
            let mut listening = wait_for("the stream to open", BOUND, open).await.unwrap();
            while let Some(told) = listening.next().await {
                if told.event.is_empty() {
                    all.push(told);
                }
                if all.len() >= wanted {
                    break;
                }
            }
        }
    };
    timeout(BOUND, listen).await.expect("all messages to come");
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_missed_and_nothing_comes_twice_whatever_is_killed() {
    let mut shop = Shop::open(Data::Kept).await;
    let sku = new_article(&shop.demo("STAFF").await, 100).await;
    let ines = shop.shopper().await;
    let faults = ["notify", GATEWAY, "nats", GATEWAY];
    let wanted = (faults.len() + 1) * TOLD.len();
    let listening = tokio::spawn(listen_through(ines.clone(), wanted));
    let mut orders = vec![ines.order("0", &sku, 1, "sandbox_ok").await.text("/id")];
    for (number, fault) in faults.into_iter().enumerate() {
        let key = (number + 1).to_string();
        orders.push(ines.order(&key, &sku, 1, "sandbox_ok").await.text("/id"));
        if fault == "nats" {
            shop.system.nats.kill();
            shop.system.nats.restart().await.unwrap();
        } else {
            shop.system.kill(fault).unwrap();
            shop.system.restart(fault).await.unwrap();
        }
        ines.until(&format!("/v1/orders/{}", orders[number]), "/status", "confirmed").await;
    }

    let told = listening.await.unwrap();

    let ids: Vec<i64> = told.iter().map(|told| told.id).collect();
    assert_eq!(ids, (1..).take(wanted).collect::<Vec<_>>());
    for order in orders {
        let about: Vec<Told> = told.iter().filter(|told| told.data["about"]["order_id"] == *order).cloned().collect();
        let mut kinds: Vec<&str> = about.iter().map(|told| told.data["kind"].as_str().unwrap()).collect();
        kinds.sort_unstable();
        assert_eq!(kinds, TOLD, "{order}");
    }
}
