//! The ledger's own guards, and the audit that looks behind them.

use diesel::{sql_query, sql_types};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use nats::types::{OrderId, PaymentId, RefundId, UserId};
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use stack::bed::Bed;

use super::ledger::{compared, effects, order, settled};
use crate::provider::Provider;

/// A payment of 12.99 EUR with nothing in its ledger, that no worker looks at.
async fn payment(sql: &mut AsyncPgConnection) -> PaymentId {
    let id = PaymentId::new();
    sql_query(
        "insert into payment (id, order_id, user_id, amount, currency, method, status, next_try_at, traceparent, request_id)
         values ($1, $2, $3, 1299, 'EUR', 'sandbox_ok', 'processing', now() + interval '1 hour', '', '')",
    )
    .bind::<sql_types::Uuid, _>(id)
    .bind::<sql_types::Uuid, _>(OrderId::new())
    .bind::<sql_types::Uuid, _>(UserId::new())
    .execute(sql)
    .await
    .unwrap();
    id
}

async fn write(sql: &mut AsyncPgConnection, payment: PaymentId, kind: &str, amount: i64) -> bool {
    let effect =
        sql_query("insert into transaction (payment_id, kind, amount, provider_reference) values ($1, $2, $3, $4)")
            .bind::<sql_types::Uuid, _>(payment)
            .bind::<sql_types::Text, _>(kind)
            .bind::<sql_types::BigInt, _>(amount)
            .bind::<sql_types::Text, _>(OrderId::new().to_string());
    effect.execute(sql).await.is_ok()
}

async fn promise(sql: &mut AsyncPgConnection, payment: PaymentId, amount: i64) -> bool {
    let refund = sql_query(
        "insert into refund (id, payment_id, amount, key, traceparent, request_id) values ($1, $2, $3, $4, '', '')",
    )
    .bind::<sql_types::Uuid, _>(RefundId::new())
    .bind::<sql_types::Uuid, _>(payment)
    .bind::<sql_types::BigInt, _>(amount)
    .bind::<sql_types::Text, _>(OrderId::new().to_string());
    refund.execute(sql).await.is_ok()
}

/// What the guards should say, said once more in other words.
#[derive(Default)]
struct Sums {
    held: Option<i64>,
    taken: Option<i64>,
    let_go: Option<i64>,
    given_back: i64,
    promised: i64,
}

impl Sums {
    fn takes(&mut self, kind: &str, amount: i64) -> bool {
        let (held, taken, let_go) = (self.held.unwrap_or(0), self.taken.unwrap_or(0), self.let_go.unwrap_or(0));
        let fits = amount >= 0
            && match kind {
                "authorize" => self.held.is_none() && (amount == 1299 || amount == 0),
                "capture" => self.taken.is_none() && (amount == 1299 || amount == 0) && amount + let_go <= held,
                "void" => self.let_go.is_none() && taken + amount <= held,
                "refund" => self.given_back + amount <= taken,
                _ => self.promised + amount <= taken && amount > 0,
            };
        if fits {
            match kind {
                "authorize" => self.held = Some(amount),
                "capture" => self.taken = Some(amount),
                "void" => self.let_go = Some(amount),
                "refund" => self.given_back += amount,
                _ => self.promised += amount,
            }
        }
        fits
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_takes_nothing_that_does_not_add_up() {
    let (bed, provider) = (Bed::start().await, Provider::start().await);
    provider.run(&bed).await.stop().await;
    let mut sql = bed.sql("payment").await;
    let mut runner = TestRunner::deterministic();
    let one = (
        prop::sample::select(vec![
            "authorize",
            "authorize",
            "capture",
            "capture",
            "void",
            "refund",
            "refund",
            "promise",
        ]),
        prop_oneof![3 => Just(1299_i64), 1 => Just(0), 3 => -1_i64..1400],
    );
    let story = prop::collection::vec(one, 1..14);
    let (mut taken, mut refused) = (0, 0);
    for _ in 0..60 {
        let payment = payment(&mut sql).await;
        let mut sums = Sums::default();
        let story = story.new_tree(&mut runner).unwrap().current();
        for (kind, amount) in story {
            let written = match kind {
                "promise" => promise(&mut sql, payment, amount).await,
                _ => write(&mut sql, payment, kind, amount).await,
            };
            assert_eq!(written, sums.takes(kind, amount), "{kind} {amount}");
            if written { taken += 1 } else { refused += 1 }
        }
    }
    assert!(taken > 50 && refused > 50, "{taken} taken, {refused} refused: the stories are too tame");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_the_ledger_stays_as_it_is() {
    let (bed, provider) = (Bed::start().await, Provider::start().await);
    let _running = provider.run(&bed).await;
    let order = order("sandbox_ok");
    bed.publish(&order).await;
    settled(&bed, order.order_id).await;
    let mut sql = bed.sql("payment").await;
    for change in ["update transaction set amount = 1", "delete from transaction"] {
        assert!(sql_query(change).execute(&mut sql).await.is_err(), "{change}");
    }
    assert_eq!(effects(&bed).await, ["authorize 1299", "capture 1299"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_finds_what_the_guards_would_have_stopped() {
    let (bed, provider) = (Bed::start().await, Provider::start().await);
    let _running = provider.run(&bed).await;
    let order = order("sandbox_ok");
    bed.publish(&order).await;
    settled(&bed, order.order_id).await;
    assert_eq!(bed.broken_invariants("payment").await, []);
    let captured = provider.operations().await[1].reference.clone();
    let recapture = format!(
        "insert into transaction (payment_id, kind, amount, provider_reference)
         select id, 'capture', 1299, '{captured}' from payment"
    );
    // The reconciliation would mend it before we look.
    compared(&bed, &provider).await;
    for (damage, repair, invariant) in [
        (
            "delete from transaction where kind = 'capture'",
            recapture.as_str(),
            "every succeeded payment has one capture",
        ),
        (
            "insert into transaction (payment_id, kind, amount, provider_reference) select id, 'refund', 1300, 'x' from payment",
            "delete from transaction where kind = 'refund'",
            "refunds never exceed",
        ),
        (
            "insert into transaction (payment_id, kind, amount, provider_reference) select id, 'refund', 1, 'x' from payment",
            "delete from transaction where kind = 'refund'",
            "every refund that succeeded is in the ledger",
        ),
        (
            "insert into canceled_order (order_id) select order_id from payment",
            "delete from canceled_order",
            "no canceled order keeps",
        ),
        (
            "insert into transaction (payment_id, kind, amount, provider_reference) select id, 'void', 1, 'x' from payment",
            "delete from transaction where kind = 'void'",
            "what was held is captured or let go",
        ),
        (
            "insert into refund (id, payment_id, amount, key, next_try_at, traceparent, request_id, created_at)
          select id, id, 1, 'x', now() + interval '1 hour', '', '', now() - interval '11 minutes' from payment",
            "delete from refund",
            "nothing waits for the provider",
        ),
        (
            "insert into surplus (reference, payment_id, charge, amount, currency, refund_key, next_try_at, traceparent,
                                  request_id, created_at)
             select 'x', id, 'x', 1, 'EUR', 'surplus:x', now() + interval '1 hour', '', '', now() - interval '11 minutes'
             from payment",
            "delete from surplus",
            "no surplus capture older than ten minutes",
        ),
    ] {
        let mut sql = bed.sql("payment").await;
        sql.batch_execute(
            "begin; alter table transaction disable trigger user; alter table refund disable trigger user;",
        )
        .await
        .unwrap();
        sql.batch_execute(damage).await.unwrap();
        sql.batch_execute(
            "alter table transaction enable trigger user; alter table refund enable trigger user; commit;",
        )
        .await
        .unwrap();
        let broken = bed.broken_invariants("payment").await;
        assert!(broken.iter().any(|check| check.invariant.starts_with(invariant)), "{invariant}: {broken:#?}");
        sql.batch_execute("begin; alter table transaction disable trigger user;").await.unwrap();
        sql.batch_execute(repair).await.unwrap();
        sql.batch_execute("alter table transaction enable trigger user; commit;").await.unwrap();
    }
}
