//! The workload: what buyers and staff do, at a steady rate, whatever becomes of it.
//!
//! | who | what |
//! |---|---|
//! | buyers | order 1 to 4 SKUs in random order, some of them scarce, by every payment method |
//! | some of them | send the same request three times at once, or again later, or use its key for another body |
//! | cart owners | put things into the cart, in parallel, and order what is in it |
//! | everyone | reads orders, stock and products, and cancels now and then |
//! | staff | restocks what is scarce, and refunds, in whole or in part |
//!
//! Open loop: a new order begins at every tick, also when those before it are still being tried. What one of them does is a
//! function of the seed and its number.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, future::join_all, stream};
use rand::{
    Rng, SeedableRng,
    rngs::StdRng,
    seq::{IndexedRandom, SliceRandom},
};
use serde_json::{Value, json};
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
    time::MissedTickBehavior,
};

use super::{
    client::{PATIENCE, Person, Request},
    history::{Certainty, Lines, Operation},
    world::{CartOwner, World},
};

/// How many are under way at once; past it the load is shed and counted, so that nothing here grows without bound.
const AT_ONCE: usize = 1_500;
/// Tokens last ten minutes.
const SIGN_IN_EVERY: Duration = Duration::from_secs(150);
/// How many people sign in at once.
const SIGN_IN_AT_ONCE: usize = 4;

/// What was offered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Offered {
    /// Orders that were begun.
    pub begun: u64,
    /// Orders that were not even begun, because too many were under way.
    pub shed: u64,
}

/// Runs the load, `rate` new orders a second, until it is told to stop and all that was begun has come to its end.
pub async fn run(world: Arc<World>, seed: u64, rate: u32, mut stop: watch::Receiver<bool>) -> Offered {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate.max(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let (mut tasks, mut offered) = (JoinSet::new(), Offered::default());
    let mut signed_in = Instant::now();
    for number in 0_u64.. {
        tokio::select! {
            biased;
            _ = stop.changed() => break,
            _ = ticks.tick() => {}
        }
        while tasks.try_join_next().is_some() {}
        if signed_in.elapsed() >= SIGN_IN_EVERY {
            signed_in = Instant::now();
            tasks.spawn(sign_in_again(Arc::clone(&world)));
        }
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            offered.shed += 1;
            continue;
        };
        offered.begun += 1;
        let buyer = Act { world: Arc::clone(&world), random: random(seed, number), key: format!("o{number}") };
        tasks.spawn(async move {
            let _place = place;
            buyer.act().await;
        });
    }
    // Each of them is bounded by its patience.
    let all = async { while tasks.join_next().await.is_some() {} };
    let _over = tokio::time::timeout(PATIENCE * 3, all).await;
    offered
}

fn random(seed: u64, number: u64) -> StdRng {
    StdRng::seed_from_u64(seed.rotate_left(32) ^ number)
}

/// The old tokens are good for some minutes more: who cannot sign in now is signed in the next time.
async fn sign_in_again(world: Arc<World>) {
    let people: Vec<Arc<Person>> = world.everybody().cloned().collect();
    let signing_in = stream::iter(people).map(|person| {
        let client = world.client.clone();
        async move { client.sign_in(&person).await }
    });
    signing_in.buffer_unordered(SIGN_IN_AT_ONCE).for_each(|_next_time| async {}).await;
}

/// What happens at one tick.
struct Act {
    world: Arc<World>,
    random: StdRng,
    key: String,
}

impl Act {
    async fn act(mut self) {
        let (a, b) = match self.random.random_range(0..100) {
            0..10 => (true, false),
            10..45 => (false, true),
            _ => (false, false),
        };
        let mut aside =
            Self { world: Arc::clone(&self.world), random: self.fork(), key: format!("{}-aside", self.key) };
        let beside = async {
            if b {
                aside.read_something().await;
            } else if a {
                aside.staff_does_something().await;
            }
        };
        let main = async {
            if self.random.random_ratio(1, 10) { self.order_by_cart().await } else { self.order_by_lines().await }
        };
        tokio::join!(main, beside);
    }

    fn fork(&mut self) -> StdRng {
        StdRng::seed_from_u64(self.random.random())
    }

    fn buyer(&mut self) -> Option<Arc<Person>> {
        self.world.buyers.choose(&mut self.random).cloned()
    }

    fn payment_method(&mut self) -> &'static str {
        match self.random.random_range(0..100) {
            0..70 => "sandbox_ok",
            70..80 => "sandbox_declined",
            80..84 => "sandbox_insufficient_funds",
            84..92 => "sandbox_timeout_then_ok",
            _ => "sandbox_slow",
        }
    }

    /// 1 to 4 SKUs, each once, in any order: two orders want the same ones the other way around now and then.
    fn lines(&mut self) -> Vec<(String, i64)> {
        let count = self.random.random_range(1..=4);
        let mut skus: Vec<String> = self.world.plentiful.choose_multiple(&mut self.random, count).cloned().collect();
        if self.random.random_ratio(1, 8)
            && let (Some(last), Some(scarce)) = (skus.last_mut(), self.world.scarce.choose(&mut self.random))
        {
            scarce.clone_into(last);
        }
        skus.shuffle(&mut self.random);
        skus.into_iter().map(|sku| (sku, self.random.random_range(1..=3))).collect()
    }

    async fn order_by_lines(&mut self) {
        let Some(buyer) = self.buyer() else { return };
        let (lines, method) = (self.lines(), self.payment_method());
        let expected: Lines = lines.iter().cloned().collect();
        let order = Request::order(&self.key, Some(&lines), expected, method);
        let client = self.world.client.clone();
        let manner = self.random.random_range(0..100);
        let reply = if manner < 8 {
            let twins = join_all((0..3).map(|_| client.send(Some(&buyer), &order))).await;
            match twins.into_iter().next() {
                Some(reply) => reply,
                None => return,
            }
        } else {
            client.send(Some(&buyer), &order).await
        };
        let Some(id) = reply.id() else { return };
        self.world.remember(&buyer, id);
        match manner {
            8..14 => {
                client.send(Some(&buyer), &order).await;
            }
            14..18 => {
                let other = lines.into_iter().map(|(sku, quantity)| (sku, quantity + 1)).collect::<Vec<_>>();
                let other = Request::order(&self.key, Some(&other), Lines::new(), method);
                let other = Request { operation: Operation::ReuseKey, lines: None, ..other };
                client.send(Some(&buyer), &other).await;
            }
            18..26 => self.cancel(&buyer, id).await,
            _ => {}
        }
    }

    async fn cancel(&self, buyer: &Person, id: &str) {
        let key = format!("{}-cancel", self.key);
        let cancel = Request::post(Operation::CancelOrder, format!("/v1/orders/{id}/cancel"), &key, Value::Null);
        self.world.client.send(Some(buyer), &cancel.about(id)).await;
    }

    /// The cart is its owner's alone, so the answers say what must be in it.
    async fn order_by_cart(&mut self) {
        let owner = self.world.carts.choose(&mut self.random).cloned();
        let Some(owner) = owner else { return };
        let Ok(mut cart) = owner.cart.try_lock() else { return self.order_by_lines().await };
        let Some(known) = cart.as_mut() else { return };
        if !self.put_into_cart(&owner, known).await {
            *cart = None;
            return;
        }
        let method = self.payment_method();
        let order = Request::order(&self.key, None, known.clone(), method);
        let reply = self.world.client.send(Some(&owner.person), &order).await;
        match reply.outcome.certainty() {
            Certainty::Done => {
                known.clear();
                if let Some(id) = reply.id() {
                    self.world.remember(&owner.person, id);
                }
            }
            Certainty::Refused => {}
            Certainty::Unknown => *cart = None,
        }
    }

    /// Puts up to three things into the cart at once; false when it is not known what is in it now.
    async fn put_into_cart(&mut self, owner: &CartOwner, known: &mut Lines) -> bool {
        let count = self.random.random_range(1..=3);
        let things: Vec<(String, i64)> = (0..count)
            .filter_map(|_| {
                let sku = self.world.plentiful.choose(&mut self.random)?.clone();
                Some((sku, self.random.random_range(1..=2)))
            })
            .collect();
        let client = &self.world.client;
        let adding = things.iter().enumerate().map(|(n, (sku, quantity))| {
            let body = json!({ "sku": sku, "quantity": quantity });
            let key = format!("{}-item{n}", self.key);
            let add = Request::post(Operation::AddToCart, "/v1/cart/items", &key, body).about(sku);
            async move { client.send(Some(&owner.person), &add).await.outcome.certainty() }
        });
        let certain = join_all(adding).await.into_iter().all(|certainty| certainty == Certainty::Done);
        for (sku, quantity) in things {
            *known.entry(sku).or_default() += quantity;
        }
        certain
    }

    async fn read_something(&mut self) {
        let world = Arc::clone(&self.world);
        let some_order = world.some_order(self.random.random_range(0..10_000));
        let (person, request) = match (self.random.random_range(0..10), some_order) {
            (0..4, Some(order)) => {
                let path = format!("/v1/orders/{}", order.id);
                (Some(order.buyer), Request::get(Operation::ReadOrder, path).about(order.id))
            }
            (4..5, Some(order)) => (Some(order.buyer), Request::get(Operation::ListOrders, "/v1/orders?limit=10")),
            (5..6, _) => (None, Request::get(Operation::Browse, "/v1/products?limit=10")),
            _ => {
                let Some(sku) = world.scarce.choose(&mut self.random) else { return };
                (None, Request::get(Operation::ReadStock, format!("/v1/stock/{sku}")).about(sku))
            }
        };
        world.client.send(person.as_deref(), &request).await;
    }

    async fn staff_does_something(&mut self) {
        let world = Arc::clone(&self.world);
        if self.random.random_ratio(1, 2) {
            let Some(sku) = world.scarce.choose(&mut self.random) else { return };
            let pieces: i64 = self.random.random_range(1..=4);
            let body = json!({ "kind": "receipt", "quantity": pieces });
            let path = format!("/v1/stock/{sku}/movements");
            let restock = Request::post(Operation::Restock, path, &self.key, body).about(sku);
            world.client.send(Some(&world.staff), &Request { amount: Some(pieces), ..restock }).await;
        } else if let Some(order) = world.some_order(self.random.random_range(0..10_000)) {
            self.refund(&order.id).await;
        }
    }

    /// All of it, or a part.
    async fn refund(&mut self, order: &str) {
        let (client, staff) = (self.world.client.clone(), Arc::clone(&self.world.staff));
        let read = Request::get(Operation::ReadPayments, format!("/v1/orders/{order}/payments")).about(order);
        let payments = client.send(Some(&staff), &read).await.body;
        let Some(payment) =
            payments.pointer("/data/0").filter(|payment| payment.get("status") == Some(&json!("succeeded")))
        else {
            return;
        };
        let (id, captured) = (payment.get("id").and_then(Value::as_str), payment.pointer("/amount/amount"));
        let (Some(id), Some(captured)) = (id, captured.and_then(Value::as_i64)) else { return };
        let amount = if self.random.random_ratio(1, 2) { captured } else { captured / 3 };
        let body = json!({ "amount": { "amount": amount, "currency": "EUR" }, "reason": "It was broken." });
        let refund =
            Request::post(Operation::Refund, format!("/v1/payments/{id}/refunds"), &self.key, body).about(order);
        client.send(Some(&staff), &Request { amount: Some(amount), ..refund }).await;
    }
}
