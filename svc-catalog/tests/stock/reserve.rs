use std::sync::Arc;

use diesel_async::SimpleAsyncConnection;
use nats::{
    contracts::catalog::{ReserveRefusal, Shortage},
    invoke::CallError,
    types::{Currency, Money, OrderId},
};

use crate::shop::{Shop, insist, refusal, reserve_stock};

#[tokio::test(flavor = "multi_thread")]
async fn an_order_gets_all_of_its_lines() {
    let shop = Shop::open().await;
    let id = shop.product(&["A", "B"]).await;
    shop.set("A", 5).await;
    shop.set("B", 1).await;
    let reply = shop.reserve(OrderId::new(), &[("B", 1), ("A", 2)]).await.unwrap();
    let line = &reply.lines[0];
    assert_eq!((line.sku.as_str(), line.quantity.get(), line.name.as_str()), ("B", 1, "Lamp, Brass"));
    assert_eq!(
        (line.product_id.to_string(), line.unit_price, line.weight_g),
        (id, Money::new(1000, Currency::EUR), 500)
    );
    assert_eq!(reply.lines[1].sku.as_str(), "A");
    assert_eq!(shop.level("A").await, (5, 2, 3));
    assert_eq!(shop.level("B").await, (1, 1, 0));
    shop.balances().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_cannot_have_everything_gets_nothing() {
    let shop = Shop::open().await;
    shop.stocked("A", 5).await;
    shop.stocked("B", 1).await;
    let short = refusal(shop.reserve(OrderId::new(), &[("A", 5), ("B", 2)]).await);
    let shortage = Shortage { line: 1, sku: "B".parse().unwrap(), available: 1 };
    assert_eq!(short, ReserveRefusal::OutOfStock(vec![shortage]));
    let unknown = refusal(shop.reserve(OrderId::new(), &[("none", 1), ("A", 1), ("nothing", 1)]).await);
    assert_eq!(unknown, ReserveRefusal::Unknown(vec![0, 2]));
    let mut yen = reserve_stock(OrderId::new(), &[("A", 1)]);
    yen.currency = Currency::JPY;
    assert_eq!(refusal(shop.bed.call(&yen).await), ReserveRefusal::Unknown(vec![0]), "no price in yen");
    assert_eq!((shop.level("A").await, shop.level("B").await), ((5, 0, 5), (1, 0, 1)));
    assert_eq!(shop.number("select count(*) as number from reservation").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_order_may_ask_again() {
    let shop = Shop::open().await;
    shop.stocked("A", 1).await;
    let order = OrderId::new();
    assert!(matches!(refusal(shop.reserve(order, &[("A", 2)]).await), ReserveRefusal::OutOfStock(_)));
    shop.set("A", 2).await;
    shop.reserve(order, &[("A", 2)]).await.unwrap();
    assert_eq!(shop.level("A").await, (2, 2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn asking_again_gives_the_first_answer_even_after_a_restart_and_another_price() {
    let mut shop = Shop::open().await;
    let id = shop.product(&["A"]).await;
    shop.set("A", 3).await;
    let order = OrderId::new();
    let first = shop.reserve(order, &[("A", 2)]).await.unwrap();
    let body = serde_json::json!({"variants": [{"sku": "A", "price": {"amount": 9999, "currency": "EUR"}}]});
    assert_eq!(shop.staff.patch(&format!("/v1/products/{id}"), &body).send().await.status, 200);
    shop.running.stop().await;
    shop.running = shop.bed.run(svc_catalog::service()).await;
    assert_eq!(shop.reserve(order, &[("A", 2)]).await.unwrap(), first);
    assert_eq!(shop.level("A").await, (3, 2, 1));
    assert_eq!(
        refusal(shop.reserve(order, &[("A", 1)]).await),
        ReserveRefusal::Settled,
        "other lines are another order"
    );
    shop.release(order).await;
    assert_eq!(refusal(shop.reserve(order, &[("A", 2)]).await), ReserveRefusal::Settled);
    shop.balances().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_order_at_once_gets_one_reservation() {
    let shop = Shop::open().await;
    shop.stocked("A", 100).await;
    shop.stocked("B", 100).await;
    let second = shop.bed.run(svc_catalog::service()).await;
    let question = reserve_stock(OrderId::new(), &[("A", 3), ("B", 1)]);
    let asking = (0..50).map(|_| insist(&shop.bed, &question));
    let answers = join_all(asking).await;
    let first = answers[0].clone().expect("a reservation");
    assert!(answers.iter().all(|answer| answer.as_ref() == Ok(&first)), "all get the same answer: {answers:?}");
    assert_eq!((shop.level("A").await, shop.level("B").await), ((100, 3, 97), (100, 1, 99)));
    assert_eq!(shop.number("select count(*) as number from reservation").await, 1);
    shop.balances().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_with_different_lines_at_once_get_one_of_them_each() {
    let shop = Shop::open().await;
    let skus = ["A", "B", "C", "D", "E", "F"];
    shop.product(&skus).await;
    for sku in skus {
        shop.set(sku, 100).await;
    }
    let orders: Vec<OrderId> = (0..20).map(|_| OrderId::new()).collect();
    let questions: Vec<_> =
        orders.iter().flat_map(|order| skus.iter().map(|sku| reserve_stock(*order, &[(sku, 1)]))).collect();
    let answers = join_all(questions.iter().map(|question| insist(&shop.bed, question))).await;
    for answers in answers.chunks(skus.len()) {
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
        assert!(
            answers.iter().flat_map(|answer| answer.as_ref().err()).all(|refusal| *refusal == ReserveRefusal::Settled)
        );
    }
    assert_eq!(shop.number("select sum(reserved) as number from stock").await, 20);
    shop.balances().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_breaks_the_contract_is_no_reservation() {
    let shop = Shop::open().await;
    shop.stocked("A", 10).await;
    for lines in [&[][..], &[("A", 1), ("A", 1)]] {
        let outcome = shop.reserve(OrderId::new(), lines).await;
        assert!(matches!(outcome, Err(CallError::Failed(_))), "{outcome:?}");
    }
    assert_eq!(shop.level("A").await, (10, 0, 10));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_poison_order_fails_alone() {
    let shop = Arc::new(Shop::open().await);
    shop.stocked("A", 1000).await;
    shop.execute("alter table reservation_line add constraint unlucky check (quantity <> 13)").await;
    let mut held = shop.hold("A").await;
    let mut asking = tokio::task::JoinSet::new();
    for index in 0..60 {
        let shop = Arc::clone(&shop);
        let quantity = if index == 30 { 13 } else { 1 };
        asking.spawn(async move { (quantity, shop.reserve(OrderId::new(), &[("A", quantity)]).await) });
    }
    shop.blocked(2).await;
    held.batch_execute("rollback").await.unwrap();
    for (quantity, outcome) in asking.join_all().await {
        match quantity {
            13 => assert!(matches!(outcome, Err(CallError::Failed(_))), "{outcome:?}"),
            _ => drop(outcome.unwrap()),
        }
    }
    assert_eq!(shop.level("A").await, (1000, 59, 941));
    shop.balances().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn orders_that_wait_together_are_reserved_together() {
    let shop = Arc::new(Shop::open().await);
    shop.stocked("A", 1000).await;
    let mut held = shop.hold("A").await;
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let shop = Arc::clone(&shop);
        asking.spawn(async move { insist(&shop.bed, &reserve_stock(OrderId::new(), &[("A", 1)])).await });
    }
    shop.blocked(2).await;
    held.batch_execute("rollback").await.unwrap();
    assert!(asking.join_all().await.into_iter().all(|answer| answer.is_ok()));
    let transactions = shop.number("select count(distinct xmin::text) as number from reservation").await;
    assert!(transactions <= 50, "200 reservations took {transactions} transactions");
    assert_eq!(shop.level("A").await, (1000, 200, 800));
    shop.balances().await;
}

/// All of these at once.
async fn join_all<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut pending: Vec<_> = futures.map(Box::pin).collect();
    let mut done: Vec<Option<F::Output>> = pending.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, slot) in pending.iter_mut().zip(&mut done) {
            if slot.is_none()
                && let std::task::Poll::Ready(output) = future.as_mut().poll(context)
            {
                *slot = Some(output);
            }
        }
        if done.iter().all(Option::is_some) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}
