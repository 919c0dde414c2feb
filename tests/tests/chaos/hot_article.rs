//! 500 units of one article, and 2,000 orders that want one each.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use nats::topology::OPERATOR;
use stack::{
    StackError,
    chaos::{
        checker::check,
        client::{Client, Request},
        history::{Certainty, History, Lines, Operation},
        measure::order_latencies,
        observe,
        world::{Size, World, stock},
    },
    postgres::Data,
    scratch::Scratch,
    seed::{ACCOUNTS, Api, accounts},
    system::{Options, System},
    wait::wait_for,
};
use tokio::{sync::Semaphore, time::MissedTickBehavior};

use super::MACHINE;

const SKU: &str = "CHAOS-HOT";
const UNITS: i64 = 500;
const ORDERS: usize = 2_000;
const MOST_WAVES: usize = 5;
/// Accounts; each of them sends forty of the orders.
const BUYERS: usize = 50;
/// Sent at once; the next one follows when one of them is answered.
const AT_ONCE: usize = 32;
/// Seconds after which a unit is for sale again whose reservation was lost with a killed process.
const RESERVATION_TTL: &str = "30";
const PAYMENT_TIMEOUT: &str = "25";
const BOUND: Duration = Duration::from_secs(120);

/// A system with the article, and the people who want it.
struct Rush {
    system: System,
    world: Arc<World>,
    _scratch: Scratch,
}

impl Rush {
    async fn prepare() -> Self {
        let scratch = Scratch::new("rush").unwrap();
        let options = Options { instances: 2, ..Options::new(scratch.path().join("system"), Data::Kept) };
        let options = options.with("RESERVATION_TTL", RESERVATION_TTL).with("PAYMENT_TIMEOUT", PAYMENT_TIMEOUT);
        let system = System::start(&options, |_| ()).await.unwrap_or_else(|error| panic!("{error}"));
        let url = system.gateway_url();
        accounts(&url, &system.settings(OPERATOR)).await.unwrap_or_else(|error| panic!("{error}"));
        let history = Arc::new(History::create(&scratch.path().join("history.jsonl")).unwrap());
        let client = Client::new(system.gateway_urls(), history).unwrap();
        let mut world = World::create(&url, client, Size { buyers: BUYERS, carts: 0 }).await.unwrap();
        let staff = Api::login(&url, ACCOUNTS[1]).await.unwrap();
        stock(&staff, SKU, UNITS).await.unwrap();
        world.initial = BTreeMap::from([(SKU.to_owned(), UNITS)]);
        Self { system, world: Arc::new(world), _scratch: scratch }
    }

    /// All orders go out, while `disturb` does its worst and somebody looks at the level all the time. What a killed process
    /// had reserved comes back after a while, so those who were too late may try again until nothing is left. Then exactly
    /// 500 units were sold, each is paid for, and nobody ever saw less than nothing.
    async fn sells_exactly_what_is_there(mut self, disturb: impl AsyncFn(&mut System, &AtomicBool)) {
        let over = AtomicBool::new(false);
        let selling = async {
            let (mut waves, mut left) = (0, UNITS);
            while left > 0 && waves < MOST_WAVES {
                everybody_orders(&self.world, waves).await;
                left = settled(&self.world).await;
                waves += 1;
                println!("{left} units are left after {} orders", waves * ORDERS);
            }
            over.store(true, Ordering::Relaxed);
        };
        tokio::join!(selling, watch(&self.world, &over), disturb(&mut self.system, &over));

        let books = wait_for("every order to be paid", BOUND, async || {
            let books = observe::books(&self.world).await?;
            let done = books.orders.values().all(|order| order.is_terminal());
            if done { Ok(Some(books)) } else { Err(StackError::new("some are pending")) }
        });
        let books = books.await.unwrap();
        let sold: Vec<_> = books.orders.values().filter(|order| order.is_kept()).collect();
        assert_eq!(i64::try_from(sold.len()), Ok(UNITS), "each unit is sold once");
        let left = books.stock[SKU];
        assert_eq!((left.on_hand, left.reserved, left.available), (0, 0, 0), "nothing is left, and nothing is owed");
        for order in sold {
            assert_eq!(
                (order.count("capture"), order.sum("capture") - order.sum("refund")),
                (1, order.total),
                "{order:?}"
            );
        }
        let history = self.world.client.history().records().unwrap();
        let verdicts = check(&history, &books);
        // Nobody waited for mails here.
        for verdict in verdicts.iter().filter(|verdict| !verdict.property.contains("mail")) {
            assert!(verdict.holds(), "{}: {:?}", verdict.property, verdict.violations);
        }
        let looks = history.iter().filter(|record| record.operation == Operation::ReadStock).count();
        assert!(looks > 20, "somebody looked {looks} times");
        let (times, _) = order_latencies(&history, &[]);
        println!("{times:?}, and {looks} looks at the level");
    }
}

/// Everybody orders one, and is told that it is theirs, that there is none left, or nothing for a minute.
async fn everybody_orders(world: &Arc<World>, wave: usize) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let order = |n: usize| {
        let (world, places) = (Arc::clone(world), Arc::clone(&places));
        tokio::spawn(async move {
            let _place = places.acquire().await.unwrap();
            let line = [(SKU.to_owned(), 1)];
            let key = format!("{wave}-{n}");
            let order = Request::order(&key, Some(&line), Lines::from(line.clone()), "sandbox_ok");
            let buyer = &world.buyers[n % world.buyers.len()];
            world.client.send(Some(buyer), &order).await.outcome
        })
    };
    for order in (0..ORDERS).map(order).collect::<Vec<_>>() {
        let outcome = order.await.unwrap();
        match outcome.certainty() {
            Certainty::Done | Certainty::Unknown => {}
            Certainty::Refused => {
                let problem = outcome.answer().and_then(|answer| answer.problem.as_deref());
                assert_eq!(problem, Some("out_of_stock"), "{outcome:?}");
            }
        }
    }
}

/// Somebody who looks at the level all the time.
async fn watch(world: &World, over: &AtomicBool) {
    let look = Request::get(Operation::ReadStock, format!("/v1/stock/{SKU}")).about(SKU);
    while !over.load(Ordering::Relaxed) {
        world.client.send(None, &look).await;
    }
}

/// Waits until nothing is on its way any more; the units that are left.
async fn settled(world: &World) -> i64 {
    let settled = wait_for("every order and every reservation to be settled", BOUND, async || {
        let (level, pending) = (observe::levels(world).await?[SKU], observe::pending(world).await?);
        if level.reserved == 0 && pending == 0 {
            return Ok(Some(level.on_hand));
        }
        Err(StackError::new(format!("{pending} orders are pending, and the level is {level:?}")))
    });
    settled.await.unwrap()
}

/// One instance of svc-catalog after the other is killed and started again, one a second.
async fn kill_svc_catalog_every_second(system: &mut System, over: &AtomicBool) {
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    seconds.set_missed_tick_behavior(MissedTickBehavior::Skip);
    for name in system.instances("catalog").into_iter().cycle() {
        seconds.tick().await;
        if over.load(Ordering::Relaxed) {
            break;
        }
        system.kill(&name).unwrap();
        system.restart(&name).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_500_units_exactly_500_are_sold_to_2000_orders() {
    let _alone = MACHINE.lock().await;
    Rush::prepare().await.sells_exactly_what_is_there(async |_, _| ()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_500_units_exactly_500_are_sold_while_svc_catalog_is_killed_every_second() {
    let _alone = MACHINE.lock().await;
    Rush::prepare().await.sells_exactly_what_is_there(kill_svc_catalog_every_second).await;
}
