//! Buyers who do not give up, and what has to come of each order that they were told is accepted.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::Value;
use stack::wait::wait_for;
use tokio::{task::JoinHandle, time::MissedTickBehavior};

use crate::{
    journey::new_article,
    shop::{Answer, Person, Shop},
};

/// How long a buyer tries for one order: longer than any fault of these tests lasts.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long after the last fault every accepted order may take until all of it is done.
pub(crate) const TERMINAL_WITHIN: Duration = Duration::from_secs(60);
/// A buyer begins an order at most this often.
const PACE: Duration = Duration::from_millis(250);
/// What there is to be bought.
pub(super) const ON_HAND: u32 = 10_000;

/// Buyers at work, each with one order after the other.
pub(crate) struct Load {
    buyers: Vec<JoinHandle<Bought>>,
    over: Arc<AtomicBool>,
    accepted: Arc<AtomicU32>,
    sku: String,
}

/// What one buyer was told.
pub(super) struct Bought {
    pub(super) buyer: Person,
    pub(super) orders: Vec<String>,
    /// Attempts that were not accepted and had to be repeated.
    pub(super) repeats: u32,
    /// The longest time between two accepted orders.
    pub(super) gap: Duration,
}

/// What all of them were told.
pub(crate) struct Orders {
    bought: Vec<Bought>,
    sku: String,
    /// Attempts that had to be repeated.
    pub(crate) repeats: u32,
    /// The longest that one buyer waited between two accepted orders.
    pub(crate) gap: Duration,
}

impl Load {
    /// Lets so many buyers begin, and returns when each has bought something.
    pub(crate) async fn start(shop: &Shop, buyers: u32) -> Self {
        let staff = shop.demo("STAFF").await;
        let sku = new_article(&staff, ON_HAND).await;
        let (over, accepted) = (Arc::<AtomicBool>::default(), Arc::<AtomicU32>::default());
        let mut tasks = Vec::new();
        for _ in 0..buyers {
            let buyer = shop.shopper().await;
            tasks.push(tokio::spawn(buy(buyer, sku.clone(), Arc::clone(&over), Arc::clone(&accepted))));
        }
        let load = Self { buyers: tasks, over, accepted, sku };
        load.goes_on(buyers).await;
        load
    }

    /// Waits until so many more orders have been accepted.
    pub(crate) async fn goes_on(&self, more: u32) {
        let goal = self.accepted.load(Ordering::Relaxed) + more;
        wait_for(&format!("{more} more orders to be accepted"), PATIENCE, async || {
            let accepted = self.accepted.load(Ordering::Relaxed);
            if accepted >= goal { Ok(Some(())) } else { Err(format!("{accepted} of {goal} are")) }
        })
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    }

    /// How many orders have been accepted so far.
    pub(crate) fn accepted(&self) -> u32 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Lets each buyer finish what it has begun.
    pub(crate) async fn finish(self) -> Orders {
        self.over.store(true, Ordering::Relaxed);
        let mut bought = Vec::new();
        for buyer in self.buyers {
            bought.push(buyer.await.unwrap());
        }
        Orders::of(bought, self.sku)
    }
}

async fn buy(buyer: Person, sku: String, over: Arc<AtomicBool>, accepted: Arc<AtomicU32>) -> Bought {
    let mut bought = Bought { buyer, orders: Vec::new(), repeats: 0, gap: Duration::ZERO };
    let (mut last, mut pace) = (Instant::now(), tokio::time::interval(PACE));
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !over.load(Ordering::Relaxed) {
        pace.tick().await;
        let key = uuid::Uuid::new_v4().to_string();
        let (order, repeats) = persist(&bought.buyer, &key, &sku).await;
        bought.orders.push(order.text("/id"));
        bought.repeats += repeats;
        bought.gap = bought.gap.max(last.elapsed());
        last = Instant::now();
        accepted.fetch_add(1, Ordering::Relaxed);
    }
    bought
}

/// Sends one order until it is accepted, under one key, as a client should that gets no answer or a temporary refusal.
async fn persist(buyer: &Person, key: &str, sku: &str) -> (Answer, u32) {
    let repeats = AtomicU32::new(0);
    let order = wait_for("an order to be accepted", PATIENCE, async || {
        let answer = buyer.try_order(key, sku, 1, "sandbox_ok").await;
        if let Ok(answer) = &answer
            && !matches!(answer.status, 201 | 409 | 429 | 500..=599)
        {
            panic!("an order that is as it should be was refused for good: {answer}");
        }
        match answer {
            Ok(answer) if answer.status == 201 => Ok(Some(answer)),
            other => {
                repeats.fetch_add(1, Ordering::Relaxed);
                Err(other.map_or_else(|error| error, |answer| answer.to_string()))
            }
        }
    });
    (order.await.unwrap_or_else(|error| panic!("{error}")), repeats.into_inner())
}

impl Orders {
    /// What these buyers were told, of one article.
    pub(super) fn of(bought: Vec<Bought>, sku: String) -> Self {
        let repeats = bought.iter().map(|one| one.repeats).sum();
        let gap = bought.iter().map(|one| one.gap).max().unwrap_or_default();
        Self { bought, sku, repeats, gap }
    }

    /// How many were accepted.
    pub(crate) fn count(&self) -> usize {
        self.bought.iter().map(|one| one.orders.len()).sum()
    }

    /// Waits until each order is confirmed and has its invoice, and asserts that each is there once, charged once, confirmed
    /// by one mail, under a number of its own, and that exactly so many units have left the stock. An attempt that got no
    /// answer may have reserved a unit, which comes back by itself when the reservation expires.
    pub(crate) async fn all_arrive(&self, shop: &Shop) {
        let (until, mut numbers) = (Instant::now() + TERMINAL_WITHIN, BTreeSet::new());
        for Bought { buyer, orders, .. } in &self.bought {
            let distinct: BTreeSet<&String> = orders.iter().collect();
            assert_eq!(distinct.len(), orders.len(), "each key has an order of its own");
            for id in orders {
                let order =
                    settled(buyer, &format!("/v1/orders/{id}"), until, |order| order["status"] == "confirmed").await;
                let payments = buyer.get(&format!("/v1/orders/{id}/payments")).await;
                let transactions = payments.at("/data/0/transactions").as_array().cloned().unwrap_or_default();
                let captures = transactions.iter().filter(|transaction| transaction["kind"] == "capture").count();
                let attempts = payments.at("/data").as_array().map(Vec::len);
                assert_eq!((attempts, captures), (Some(1), 1), "charged once: {payments}");
                let path = format!("/v1/orders/{id}/invoice");
                let invoice = settled(buyer, &path, until, |invoice| invoice["number"].is_string()).await;
                assert_eq!(
                    invoice.pointer("/totals/tax_inclusive/amount"),
                    order.pointer("/total/amount"),
                    "{invoice}"
                );
                assert!(numbers.insert(invoice["number"].to_string()), "an invoice number was used twice: {invoice}");
            }
            let theirs = self.mails(shop, buyer, orders, until).await;
            assert_eq!(theirs, orders.len(), "one confirmation for each order of {}", buyer.email);
        }
        let sold = u32::try_from(self.count()).unwrap();
        let staff = shop.demo("STAFF").await;
        let stock =
            settled(&staff, &format!("/v1/stock/{}", self.sku), until, |stock| stock["on_hand"] == ON_HAND - sold)
                .await;
        let figure = |name: &str| u32::try_from(stock[name].as_u64().unwrap()).unwrap();
        assert_eq!(figure("available") + figure("reserved"), ON_HAND - sold, "{stock}");
        assert!(
            figure("reserved") <= self.repeats,
            "reserved by more than {} repeated attempts: {stock}",
            self.repeats
        );
    }

    /// How many confirmations a buyer has got, once there are enough.
    async fn mails(&self, shop: &Shop, buyer: &Person, orders: &[String], until: Instant) -> usize {
        let mut numbers = Vec::new();
        for id in orders {
            numbers.push(buyer.get(&format!("/v1/orders/{id}")).await.text("/number"));
        }
        wait_for("every confirmation", left(until), async || {
            let mails = shop.system.mail.mails().await.map_err(|error| error.to_string())?;
            let about = |subject: &str| numbers.iter().any(|number| subject.contains(number));
            let theirs = mails.iter().filter(|mail| mail.is_to(&buyer.email) && about(&mail.subject)).count();
            if theirs >= orders.len() { Ok(Some(theirs)) } else { Err(format!("{theirs} of {}", orders.len())) }
        })
        .await
        .unwrap_or_else(|error| panic!("{error}"))
    }
}

/// What stands at `path`, once it is as it has to become.
async fn settled(person: &Person, path: &str, until: Instant, is_it: impl Fn(&Value) -> bool) -> Value {
    let what = format!("{path} to settle");
    let found = wait_for(&what, left(until), || async {
        let answer = person.try_get(path).await?;
        if answer.status == 200 && is_it(&answer.json) { Ok(Some(answer.json)) } else { Err(answer.to_string()) }
    });
    found.await.unwrap_or_else(|error| panic!("{error}"))
}

/// The time until then, and never so little that what is there already is not seen.
fn left(until: Instant) -> Duration {
    until.saturating_duration_since(Instant::now()).max(Duration::from_secs(10))
}
