//! A shop that is open: the service running, staff at work, and a look into the ledger.

use diesel::{
    QueryableByName,
    sql_types::{BigInt, Integer, Text},
};
use diesel_async::RunQueryDsl;
use nats::{
    contracts::{
        catalog::{ReserveRefusal, ReserveStock, StockLine, StockReserved},
        order::{CancelReason, OrderCanceled, OrderConfirmed},
    },
    invoke::CallError,
    service::Running,
    types::{Currency, Money, OrderId, Quantity, UserId},
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

    pub(crate) async fn confirm(&self, order: OrderId) {
        self.bed.publish(&confirmed(order)).await;
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

    pub(crate) async fn execute(&self, statement: &str) {
        let mut sql = self.bed.sql("catalog").await;
        diesel::sql_query(statement).execute(&mut sql).await.unwrap();
    }

    /// Asserts that every level is what the ledger and the reservations say.
    pub(crate) async fn balances(&self) {
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

/// Asks until there is an answer: a call that timed out may be repeated.
pub(crate) async fn insist(bed: &Bed, question: &ReserveStock) -> Result<StockReserved, ReserveRefusal> {
    loop {
        match bed.call(question).await {
            Ok(reply) => return Ok(reply),
            Err(CallError::Refused(refusal)) => return Err(refusal),
            Err(CallError::TimedOut { .. } | CallError::Unavailable { .. }) => {}
            Err(CallError::Failed(reason)) => panic!("the reservation failed: {reason}"),
        }
    }
}

pub(crate) fn confirmed(order_id: OrderId) -> OrderConfirmed {
    OrderConfirmed { order_id, user_id: UserId::new(), total: Money::new(1000, Currency::EUR) }
}

pub(crate) fn canceled(order_id: OrderId) -> OrderCanceled {
    OrderCanceled { order_id, user_id: UserId::new(), reason: CancelReason::PaymentFailed }
}

/// What a reservation was refused for.
#[track_caller]
pub(crate) fn refusal<T: std::fmt::Debug>(outcome: Result<T, CallError<ReserveRefusal>>) -> ReserveRefusal {
    match outcome {
        Err(CallError::Refused(refusal)) => refusal,
        other => panic!("expected a refusal, got {other:?}"),
    }
}
