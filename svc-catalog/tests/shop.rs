//! A shop that is open: the service running, staff at work, and a look into the ledger.

use std::{fmt::Debug, time::Duration};

use diesel::{
    QueryableByName,
    sql_types::{BigInt, Integer, Text},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use nats::{
    contracts::{
        Call,
        catalog::{
            CommitRefusal, CommitStock, ReleaseStock, ReserveRefusal, ReserveStock, StockCommitted, StockLine,
            StockReserved,
        },
        order::{CancelReason, OrderCanceled},
    },
    invoke::CallError,
    service::Running,
    types::{Currency, OrderId, Quantity, UserId},
};
use serde_json::{Value, json};
use stack::bed::{Bed, Client};

/// The service, and who uses it. Fields are dropped from top to bottom: the service before its world.
pub(crate) struct Shop {
    pub(crate) running: Running,
    pub(crate) staff: Client,
    pub(crate) nobody: Client,
    pub(crate) bed: Bed,
}

impl Shop {
    pub(crate) async fn open() -> Self {
        Self::open_with(&[]).await
    }

    pub(crate) async fn open_with(settings: &[(&str, &str)]) -> Self {
        let bed = Bed::start().await;
        let running = bed.run_with(svc_catalog::service(), settings).await;
        Self { running, staff: bed.staff(), nobody: bed.nobody(), bed }
    }

    /// A product of one variant per SKU, at 10.00 EUR each; its id.
    pub(crate) async fn product(&self, skus: &[&str]) -> String {
        let variants: Vec<Value> = skus.iter().map(|sku| variant(sku)).collect();
        let answer = self.staff.post("/v1/products", &json!({"name": "Lamp", "variants": variants})).send().await;
        assert_eq!(answer.status, 201, "{answer}");
        answer.text("/id")
    }

    /// A SKU of which there are so many.
    pub(crate) async fn stocked(&self, sku: &str, on_hand: i32) {
        self.product(&[sku]).await;
        self.set(sku, on_hand).await;
    }

    pub(crate) async fn set(&self, sku: &str, on_hand: i32) {
        let answer = self.staff.put(&format!("/v1/stock/{sku}"), &json!({"on_hand": on_hand})).send().await;
        assert_eq!(answer.status, 200, "{answer}");
    }

    /// (on hand, reserved, available), as anyone sees it.
    pub(crate) async fn level(&self, sku: &str) -> (i64, i64, i64) {
        let answer = self.nobody.get(&format!("/v1/stock/{sku}")).send().await;
        assert_eq!(answer.status, 200, "{answer}");
        let number = |name: &str| answer.json[name].as_i64().unwrap();
        (number("on_hand"), number("reserved"), number("available"))
    }

    pub(crate) async fn reserve(
        &self,
        order: OrderId,
        lines: &[(&str, i64)],
    ) -> Result<StockReserved, CallError<ReserveRefusal>> {
        self.bed.call(&reserve_stock(order, lines)).await
    }

    pub(crate) async fn commit(&self, order: OrderId) -> Result<StockCommitted, CallError<CommitRefusal>> {
        self.bed.call(&CommitStock { order_id: order }).await
    }

    pub(crate) async fn release(&self, order: OrderId) {
        self.bed.call(&ReleaseStock { order_id: order }).await.unwrap();
    }

    pub(crate) async fn cancel(&self, order: OrderId) {
        self.bed.publish(&canceled(order)).await;
    }

    /// Waits until a consumer has taken so many events.
    pub(crate) async fn taken(&self, consumer: &str, events: i64) {
        self.wait_for_number(
            &format!("{consumer} has taken {events} events"),
            &format!("select count(*) as number from inbox where consumer = '{consumer}'"),
            events,
        )
        .await;
    }

    /// Waits until the reservation is in this state.
    pub(crate) async fn settled(&self, order: OrderId, state: &str) {
        let order_uuid = order.uuid();
        self.wait_for_number(
            &format!("the reservation of {order} is {state}"),
            &format!(
                "select count(*) as number from reservation where order_id = '{order_uuid}' and state = '{state}'"
            ),
            1,
        )
        .await;
    }

    async fn wait_for_number(&self, what: &str, query: &str, expected: i64) {
        self.bed.wait_for(what, async || (self.number(query).await == expected).then_some(())).await;
    }

    /// The one number that a query `select … as number` gives.
    pub(crate) async fn number(&self, query: &str) -> i64 {
        let mut sql = self.bed.sql("catalog").await;
        diesel::sql_query(query).get_result::<Number>(&mut sql).await.unwrap().number
    }

    /// How many deadlocks PostgreSQL has broken in the service's database. Ends the service's sessions: each reports
    /// what it counted when it ends, and may keep it to itself before.
    pub(crate) async fn deadlocks(&self) -> i64 {
        const OTHERS: &str = "from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()";
        let sessions = format!("select pid::bigint as number {OTHERS}");
        let mut sql = self.bed.sql("catalog").await;
        let counted: Vec<Number> = diesel::sql_query(sessions).load(&mut sql).await.unwrap();
        let ended = format!("select count(pg_terminate_backend(pid)) as number {OTHERS}");
        assert!(self.number(&ended).await > 0);
        let pids = counted.iter().map(|pid| pid.number.to_string()).collect::<Vec<_>>().join(", ");
        let left = format!("select count(*) as number from pg_stat_activity where pid in ({pids})");
        self.wait_for_number("the sessions to end", &left, 0).await;
        self.number("select deadlocks as number from pg_stat_database where datname = current_database()").await
    }

    pub(crate) async fn execute(&self, statement: &str) {
        let mut sql = self.bed.sql("catalog").await;
        diesel::sql_query(statement).execute(&mut sql).await.unwrap();
    }

    /// Makes the time of every held reservation be up; the sweep comes every few seconds, and when an instance starts.
    pub(crate) async fn time_passes(&self) {
        self.execute("update reservation set expires_at = now() - interval '1 minute' where state = 'held'").await;
    }

    /// Waits until so many of the service's statements wait for a lock.
    pub(crate) async fn blocked(&self, statements: i64) {
        self.wait_for_number(
            &format!("{statements} statements to wait for a lock"),
            "select count(*) as number from pg_stat_activity
             where datname = current_database() and wait_event_type = 'Lock'",
            statements,
        )
        .await;
    }

    /// A transaction that holds the level of a SKU until it is dropped or rolled back.
    pub(crate) async fn hold(&self, sku: &str) -> AsyncPgConnection {
        let mut sql = self.bed.sql("catalog").await;
        sql.batch_execute(&format!("begin; select from stock where sku = '{sku}' for update")).await.unwrap();
        sql
    }

    /// Asserts that every level is what the ledger and the reservations say, by our own sums and by the service's audit.
    pub(crate) async fn balances(&self) {
        let broken = self.bed.broken_invariants("catalog").await;
        assert!(broken.is_empty(), "the service finds itself broken: {broken:#?}");
        let mut sql = self.bed.sql("catalog").await;
        let sheets: Vec<Sheet> = diesel::sql_query(BALANCE).load(&mut sql).await.unwrap();
        for sheet in sheets {
            assert_eq!(sheet.ledger_on_hand, i64::from(sheet.on_hand), "on hand is the ledger's sum: {sheet:?}");
            assert_eq!(sheet.ledger_reserved, i64::from(sheet.reserved), "reserved is the ledger's sum: {sheet:?}");
            assert_eq!(sheet.held, i64::from(sheet.reserved), "reserved is what orders hold: {sheet:?}");
            assert_eq!(sheet.sold, sheet.sales, "sold is what orders were sold: {sheet:?}");
        }
    }
}

const BALANCE: &str = "
    select sku, on_hand, reserved,
        (select coalesce(sum(case kind when 'sale' then -quantity when 'reservation' then 0 when 'release' then 0 else quantity end), 0)
         from movement where movement.sku = stock.sku) as ledger_on_hand,
        (select coalesce(sum(case kind when 'reservation' then quantity when 'release' then -quantity when 'sale' then -quantity else 0 end), 0)
         from movement where movement.sku = stock.sku) as ledger_reserved,
        (select coalesce(sum(quantity), 0) from reservation_line join reservation using (order_id)
         where reservation_line.sku = stock.sku and state = 'held') as held,
        (select coalesce(sum(quantity), 0) from reservation_line join reservation using (order_id)
         where reservation_line.sku = stock.sku and state = 'sold') as sold,
        (select coalesce(sum(case kind when 'sale' then quantity when 'return' then -quantity else 0 end), 0)
         from movement where movement.sku = stock.sku) as sales
    from stock order by sku";

#[derive(Debug, QueryableByName)]
struct Sheet {
    #[diesel(sql_type = Text)]
    #[expect(dead_code, reason = "shown when a balance is off")]
    sku: String,
    #[diesel(sql_type = Integer)]
    on_hand: i32,
    #[diesel(sql_type = Integer)]
    reserved: i32,
    #[diesel(sql_type = BigInt)]
    ledger_on_hand: i64,
    #[diesel(sql_type = BigInt)]
    ledger_reserved: i64,
    #[diesel(sql_type = BigInt)]
    held: i64,
    #[diesel(sql_type = BigInt)]
    sold: i64,
    #[diesel(sql_type = BigInt)]
    sales: i64,
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

/// A variant with a price, as it is sent.
pub(crate) fn variant(sku: &str) -> Value {
    json!({"sku": sku, "name": "Brass", "price": {"amount": 1000, "currency": "EUR"}, "tax_category": "S", "weight_g": 500})
}

pub(crate) fn reserve_stock(order_id: OrderId, lines: &[(&str, i64)]) -> ReserveStock {
    let line = |(sku, quantity): &(&str, i64)| StockLine {
        sku: sku.parse().unwrap(),
        quantity: Quantity::new(*quantity).unwrap(),
    };
    ReserveStock { order_id, currency: Currency::EUR, lines: lines.iter().map(line).collect() }
}

/// Asks until there is an answer, as one may ask again: the service may be away, or the answer lost. Waits for an answer
/// no longer than a second each time.
pub(crate) async fn insist<C: Call>(bed: &Bed, question: &C) -> Result<C::Reply, C::Refusal> {
    loop {
        match tokio::time::timeout(Duration::from_secs(1), bed.call(question)).await {
            Ok(Ok(reply)) => return Ok(reply),
            Ok(Err(CallError::Refused(refusal))) => return Err(refusal),
            Ok(Err(CallError::TimedOut { .. } | CallError::Unavailable { .. })) | Err(_) => {}
            Ok(Err(CallError::Failed(reason))) => panic!("the call failed: {reason}"),
        }
    }
}

pub(crate) fn canceled(order_id: OrderId) -> OrderCanceled {
    OrderCanceled { order_id, user_id: UserId::new(), reason: CancelReason::PaymentFailed }
}

/// What a call was refused for.
#[track_caller]
pub(crate) fn refusal<T: Debug, R: Debug>(outcome: Result<T, CallError<R>>) -> R {
    match outcome {
        Err(CallError::Refused(refusal)) => refusal,
        other => panic!("expected a refusal, got {other:?}"),
    }
}
