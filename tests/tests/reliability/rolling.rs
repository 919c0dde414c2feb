//! A new version is rolled out under load: every process is asked to stop and started again, one after the other, and no
//! request fails twice.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use nats::topology::PROVISIONER;
use stack::{
    postgres::Data,
    scratch::Scratch,
    system::{Options, PROVIDER, System},
};

use super::load::{Bought, ON_HAND, Orders};
use crate::{
    journey::new_article,
    shop::{Answer, Person, Shop},
};

const BUYERS: u32 = 4;

/// What a client asks for; each may be asked twice.
enum Request {
    Order { key: String, sku: String },
    Look(String),
}

/// A client that knows two gateways and repeats a request once, at the other one.
struct Client {
    people: [Person; 2],
    repeats: Arc<AtomicU32>,
    failed: Vec<String>,
}

impl Client {
    /// Asks one gateway, and the other when there is no answer or one that says so.
    async fn ask(&mut self, turn: usize, request: Request) -> Option<Answer> {
        let mut seen = Vec::new();
        for attempt in 0..2 {
            let person = &self.people[(turn + attempt) % 2];
            let answer = match &request {
                Request::Order { key, sku } => person.try_order(key, sku, 1, "sandbox_ok").await,
                Request::Look(path) => person.try_get(path).await,
            };
            match answer {
                Ok(answer) if answer.status < 300 => return Some(answer),
                Ok(answer) => seen.push(answer.to_string()),
                Err(error) => seen.push(error),
            }
            self.repeats.fetch_add(1, Ordering::Relaxed);
        }
        self.failed.push(seen.join(", then "));
        None
    }
}

/// Orders, and looks at orders and products, in turns, until it is over.
async fn use_the_shop(mut client: Client, sku: String, over: Arc<AtomicBool>) -> (Client, Vec<String>) {
    let (mut orders, mut turn) = (Vec::<String>::new(), 0);
    while !over.load(Ordering::Relaxed) {
        let key = uuid::Uuid::new_v4().to_string();
        let placed = client.ask(turn, Request::Order { key, sku: sku.clone() }).await;
        if let Some(placed) = placed {
            let path = format!("/v1/orders/{}", placed.text("/id"));
            client.ask(turn + 1, Request::Look(path)).await;
            orders.push(placed.text("/id"));
        }
        client.ask(turn, Request::Look("/v1/products?limit=5".to_owned())).await;
        turn += 1;
    }
    (client, orders)
}

/// Stops and starts every process of ours; not the provisioner, which answers nobody, nor the payment provider, which is not.
async fn roll_everything(system: &mut System) -> Vec<(String, Duration)> {
    let mut times = Vec::new();
    for name in system.names() {
        if name != PROVISIONER && name != PROVIDER {
            times.push((name.clone(), system.roll(&name).await.unwrap()));
        }
    }
    times
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_twice_while_every_process_is_replaced() {
    let scratch = Scratch::new("system").unwrap();
    let options = Options { instances: 2, ..Options::new(scratch.path(), Data::Scratch) };
    let mut shop = Shop::open_with(options, scratch).await;
    let sku = new_article(&shop.demo("STAFF").await, ON_HAND).await;
    let [first, second]: [String; 2] = shop.system.gateway_urls().try_into().unwrap();
    let (over, repeats) = (Arc::<AtomicBool>::default(), Arc::<AtomicU32>::default());
    let mut using = Vec::new();
    for _ in 0..BUYERS {
        let ines = shop.shopper().await;
        let people = [Person { url: first.clone(), ..ines.clone() }, Person { url: second.clone(), ..ines }];
        let client = Client { people, repeats: Arc::clone(&repeats), failed: Vec::new() };
        using.push(tokio::spawn(use_the_shop(client, sku.clone(), Arc::clone(&over))));
    }

    let times = roll_everything(&mut shop.system).await;

    over.store(true, Ordering::Relaxed);
    let (mut bought, mut failed) = (Vec::new(), Vec::new());
    for user in using {
        let (client, orders) = user.await.unwrap();
        failed.extend(client.failed);
        let [buyer, _] = client.people;
        bought.push(Bought { buyer, orders, repeats: 0, gap: Duration::ZERO });
    }
    assert!(failed.is_empty(), "{} requests failed twice: {failed:#?}", failed.len());
    let orders = Orders::of(bought, sku);
    assert!(orders.count() >= times.len(), "there was load: {} orders", orders.count());
    orders.all_arrive(&shop).await;
    let slowest = times.iter().max_by_key(|(_, time)| *time).unwrap();
    let repeats = repeats.load(Ordering::Relaxed);
    println!(
        "{} processes replaced under {} orders, {repeats} requests repeated; slowest: {slowest:?}",
        times.len(),
        orders.count()
    );
}
