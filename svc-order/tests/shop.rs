//! A bed with svc-order on it, and stand-ins for the services that it calls.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use diesel_async::RunQueryDsl;
use nats::{
    contracts::{
        catalog::{
            Article, Articles, CommitRefusal, CommitStock, GetArticles, ReleaseStock, ReserveRefusal, ReserveStock,
            ReservedLine, Shortage, StockCommitted, StockFree, StockReserved,
        },
        payment::{
            DeclineReason, GetPayment, PaymentCaptured, PaymentDetails, PaymentFailed, PaymentProgress, PaymentRefunded,
        },
        shipping::{QuoteRefusal, QuoteShipping, ShippingQuote},
        user::{GetAddress, GetUserDetails, Preferences, Unknown, UserDetails},
    },
    service::Running,
    types::{Address, AddressId, Currency, Money, OrderId, PaymentId, ProductId, RefundId, TaxCategory},
};
use serde_json::{Value, json};
use stack::bed::{Answer, Bed, Client};

/// SKU, name, price in cents, tax category, grams, how many there are.
const ARTICLES: [(&str, &str, i64, TaxCategory, i32, i32); 5] = [
    ("LAMP", "Desk lamp", 4990, TaxCategory::Standard, 1200, 10),
    ("BOOK", "A history of ink", 1995, TaxCategory::Zero, 400, 1_000_000),
    ("PEN", "Fountain pen", 333, TaxCategory::Standard, 30, 1_000_000),
    ("ANVIL", "Anvil", 19_900, TaxCategory::Standard, 80_000, 1_000_000),
    // PostgreSQL takes no such name: an order that cannot be written.
    ("POISON", "A \0 in its name", 100, TaxCategory::Standard, 1, 1_000_000),
];

/// An order of one lamp to Hamburg.
pub(crate) fn one_lamp() -> Value {
    json!({"lines": [{"sku": "LAMP", "quantity": 1}], "shipping_address": hamburg(), "payment_method": "sandbox_ok"})
}

pub(crate) fn hamburg() -> Value {
    json!({"name": "Ada Lovelace", "line1": "Speicherstadt 4", "city": "Hamburg", "postal_code": "20457", "country": "DE"})
}

/// `one_lamp` with other values at the top.
pub(crate) fn with(changes: Value) -> Value {
    let mut order = one_lamp();
    for (key, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => order.as_object_mut().unwrap().remove(key),
            value => order.as_object_mut().unwrap().insert(key.clone(), value.clone()),
        };
    }
    order
}

/// What the stand-in for the catalogue did.
#[derive(Default)]
pub(crate) struct Catalog {
    pub(crate) reserved: Mutex<BTreeMap<OrderId, StockReserved>>,
    pub(crate) released: Mutex<Vec<OrderId>>,
    /// There is nothing any more.
    pub(crate) sold_out: Mutex<bool>,
    /// Whose goods it was asked to secure, each time.
    pub(crate) committed: Mutex<Vec<OrderId>>,
    /// What it says to that, instead of yes.
    pub(crate) refuses: Mutex<Option<CommitRefusal>>,
}

/// What the stand-in for svc-payment knows.
pub(crate) type Payments = Mutex<BTreeMap<OrderId, PaymentDetails>>;

pub(crate) struct Shop {
    // Before the bed, so that it is dropped before it.
    pub(crate) service: Running,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) payments: Arc<Payments>,
    /// What everybody prefers.
    pub(crate) preferences: Arc<Mutex<Preferences>>,
    pub(crate) bed: Bed,
}

impl Shop {
    /// Everything is there.
    pub(crate) async fn open() -> Self {
        let shop = Self::without_catalog_and_shipping().await;
        shop.catalog_comes().await;
        shop.goods_can_be_had().await;
        shop.shipping_comes().await;
        shop.payment_comes().await;
        shop
    }

    /// Everything is there, except that nobody answers whether goods can be had.
    pub(crate) async fn without_goods() -> Self {
        let shop = Self::without_catalog_and_shipping().await;
        shop.catalog_comes().await;
        shop.shipping_comes().await;
        shop.payment_comes().await;
        shop
    }

    /// Only svc-user is there.
    pub(crate) async fn without_catalog_and_shipping() -> Self {
        let bed = Bed::start().await;
        let preferences = Arc::<Mutex<Preferences>>::default();
        let prefers = Arc::clone(&preferences);
        bed.answer::<GetUserDetails>(move |question| {
            let user_id = question.user_id;
            let email = format!("{user_id}@example.com").parse().unwrap();
            let (name, locale) = ("Ada".to_owned(), "en-GB".parse().unwrap());
            Ok(UserDetails { user_id, email, name, locale, preferences: prefers.lock().unwrap().clone() })
        })
        .await;
        let service = bed.run(svc_order::service()).await;
        Self { service, catalog: Arc::default(), payments: Arc::default(), preferences, bed }
    }

    pub(crate) async fn catalog_comes(&self) {
        let catalog = Arc::clone(&self.catalog);
        self.bed.answer::<ReserveStock>(move |question| catalog.reserve(&question)).await;
        self.bed.answer::<GetArticles>(|question| Ok(articles(&question))).await;
        self.releases().await;
    }

    /// A catalogue that reserves, and says something else.
    pub(crate) async fn broken_catalog_comes(&self) {
        let catalog = Arc::clone(&self.catalog);
        let reserve = move |question: ReserveStock| {
            catalog.reserve(&question)?;
            Ok(StockReserved { lines: Vec::new() })
        };
        self.bed.answer::<ReserveStock>(reserve).await;
        self.releases().await;
    }

    /// The catalogue says whether the goods of a paid order can be had.
    pub(crate) async fn goods_can_be_had(&self) {
        let catalog = Arc::clone(&self.catalog);
        let commit = move |question: CommitStock| {
            catalog.committed.lock().unwrap().push(question.order_id);
            catalog.refuses.lock().unwrap().map_or(Ok(StockCommitted {}), Err)
        };
        self.bed.answer::<CommitStock>(commit).await;
    }

    /// svc-payment says what it knows of payments.
    pub(crate) async fn payment_comes(&self) {
        let payments = Arc::clone(&self.payments);
        let answer = move |question: GetPayment| {
            payments.lock().unwrap().get(&question.order_id).cloned().ok_or(Unknown::Unknown)
        };
        self.bed.answer::<GetPayment>(answer).await;
    }

    /// The catalogue takes back what was reserved.
    pub(crate) async fn releases(&self) {
        let catalog = Arc::clone(&self.catalog);
        let release = move |question: ReleaseStock| {
            catalog.released.lock().unwrap().push(question.order_id);
            Ok(StockFree {})
        };
        self.bed.answer::<ReleaseStock>(release).await;
    }

    pub(crate) async fn shipping_comes(&self) {
        let quote = |question: QuoteShipping| {
            let (zone, cents) = match question.country.as_str() {
                "DE" => ("domestic", 490),
                "FR" => ("eu", 1290),
                "CH" => ("europe", 1990),
                _ => return Err(QuoteRefusal::NoZone),
            };
            if question.weight_g > 1_000_000 {
                return Err(QuoteRefusal::NoRate);
            }
            let price = Money::new(cents, question.currency);
            Ok(ShippingQuote { zone: zone.to_owned(), service_level: "Parcel".to_owned(), price })
        };
        self.bed.answer::<QuoteShipping>(quote).await;
    }

    /// Stores an address in svc-user, for everyone.
    pub(crate) async fn address(&self, address: Value) -> AddressId {
        let known = AddressId::new();
        let address: Address = serde_json::from_value(address).unwrap();
        let answer = move |question: GetAddress| {
            if question.address_id == known { Ok(address.clone()) } else { Err(Unknown::Unknown) }
        };
        self.bed.answer::<GetAddress>(answer).await;
        known
    }

    /// Places `order` and asserts that it was placed.
    pub(crate) async fn place(&self, customer: &Client, order: &Value) -> Placed {
        let key = OrderId::new().to_string();
        let answer = customer.post("/v1/orders", order).key(&key).send().await;
        assert_eq!(answer.status, 201, "{answer}");
        Placed::of(&answer, customer)
    }

    /// Stops svc-order, does something, and starts it again.
    pub(crate) async fn restarted(self, between: impl AsyncFnOnce(&Bed)) -> Self {
        let Self { service, catalog, payments, preferences, bed } = self;
        service.stop().await;
        between(&bed).await;
        let service = bed.run(svc_order::service()).await;
        Self { service, catalog, payments, preferences, bed }
    }

    /// What a query comes to: one number.
    pub(crate) async fn number(&self, query: &str) -> i64 {
        #[derive(diesel::QueryableByName)]
        struct Number {
            #[diesel(sql_type = diesel::sql_types::BigInt)]
            number: i64,
        }
        let query = diesel::sql_query(format!("select ({query})::bigint as number"));
        let found: Number = query.get_result(&mut self.bed.sql("order").await).await.unwrap();
        found.number
    }

    /// How many rows a table has.
    pub(crate) async fn count(&self, table: &str) -> i64 {
        self.number(&format!("select count(*) from {table}")).await
    }

    /// Changes rows behind the service's back.
    pub(crate) async fn sql(&self, statement: &str) {
        diesel::sql_query(statement).execute(&mut self.bed.sql("order").await).await.unwrap();
    }

    /// Waits until an order's saga is at this step.
    pub(crate) async fn at_step(&self, id: OrderId, step: &str) {
        let there = format!("select count(*) from order_saga where order_id = '{}' and step = '{step}'", id.uuid());
        let look = async || (self.number(&there).await == 1).then_some(());
        self.bed.wait_for(&format!("order {id} to be {step}"), look).await;
    }

    /// Lets the deadline of what an order waits for be over for so many seconds.
    pub(crate) async fn overdue(&self, id: OrderId, seconds: i32) {
        let past = format!("now() - interval '{seconds} s'");
        let id = id.uuid();
        self.sql(&format!("update order_saga set deadline = {past}, due_at = {past} where order_id = '{id}'")).await;
    }

    /// Waits until so many events have been taken.
    pub(crate) async fn taken(&self, events: i64) {
        let look = async || (self.count("inbox").await == events).then_some(());
        self.bed.wait_for(&format!("{events} events to be taken"), look).await;
    }

    /// Asserts that nothing of any order was written: no row, no event, no key.
    pub(crate) async fn assert_nothing_written(&self) {
        for table in [
            "orders",
            "order_terms",
            "order_line",
            "order_history",
            "order_saga",
            "event_log",
            "outbox_pending",
            "idempotency where status is not null",
        ] {
            assert_eq!(self.count(table).await, 0, "expected nothing in {table}");
        }
    }

    /// Waits until the order looks like this.
    pub(crate) async fn settled(&self, customer: &Client, id: OrderId, states: [&str; 3]) -> Value {
        let what = format!("order {id} to be {states:?}");
        let look = async || {
            let order = customer.get(&format!("/v1/orders/{id}")).send().await.json;
            let found = [&order["status"], &order["payment_status"], &order["fulfillment_status"]];
            (found == states).then_some(order)
        };
        self.bed.wait_for(&what, look).await
    }

    /// The changes in an order's history, oldest first.
    pub(crate) async fn history(&self, customer: &Client, id: OrderId) -> Vec<String> {
        let answer = customer.get(&format!("/v1/orders/{id}/history")).send().await;
        assert_eq!(answer.status, 200, "{answer}");
        answer
            .at("/data")
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["change"].as_str().unwrap().to_owned())
            .collect()
    }
}

/// An order that was placed.
pub(crate) struct Placed {
    pub(crate) id: OrderId,
    pub(crate) json: Value,
    pub(crate) total: Money,
    user: nats::types::UserId,
}

impl Placed {
    pub(crate) fn of(answer: &Answer, customer: &Client) -> Self {
        let total = serde_json::from_value(answer.at("/total").clone()).unwrap();
        let id = answer.text("/id").parse().unwrap();
        Self { id, json: answer.json.clone(), total, user: customer.user_id() }
    }

    pub(crate) fn captured(&self, payment_id: PaymentId) -> PaymentCaptured {
        PaymentCaptured { payment_id, order_id: self.id, user_id: self.user, amount: self.total }
    }

    /// So many minor units of it went back.
    pub(crate) fn refunded(&self, payment_id: PaymentId, amount: i64) -> PaymentRefunded {
        PaymentRefunded {
            payment_id,
            order_id: self.id,
            refund_id: RefundId::new(),
            amount: Money::new(amount, self.total.currency),
        }
    }

    /// What svc-payment knows of its payment.
    pub(crate) fn details(&self, payment_id: PaymentId, progress: PaymentProgress, refunded: i64) -> PaymentDetails {
        let captured = if progress == PaymentProgress::Captured { self.total.amount } else { 0 };
        let money = |amount| Money::new(amount, self.total.currency);
        PaymentDetails { payment_id, progress, captured: money(captured), refunded: money(refunded) }
    }

    pub(crate) fn failed(&self, payment_id: PaymentId) -> PaymentFailed {
        PaymentFailed { payment_id, order_id: self.id, user_id: self.user, reason: DeclineReason::Declined }
    }
}

impl Catalog {
    fn reserve(&self, question: &ReserveStock) -> Result<StockReserved, ReserveRefusal> {
        let unknown: Vec<usize> = (0..question.lines.len())
            .filter(|line| {
                let sku = question.lines[*line].sku.as_str();
                question.currency != Currency::EUR || !ARTICLES.iter().any(|article| article.0 == sku)
            })
            .collect();
        if !unknown.is_empty() {
            return Err(ReserveRefusal::Unknown(unknown));
        }
        let mut lines = Vec::new();
        let mut shortages = Vec::new();
        for (index, line) in question.lines.iter().enumerate() {
            let (_, name, cents, tax_category, weight_g, available) =
                *ARTICLES.iter().find(|article| article.0 == line.sku.as_str()).unwrap();
            let available = if *self.sold_out.lock().unwrap() { 0 } else { available };
            if line.quantity.get() > available {
                shortages.push(Shortage { line: index, sku: line.sku.clone(), available });
            }
            lines.push(ReservedLine {
                sku: line.sku.clone(),
                quantity: line.quantity,
                product_id: ProductId::new(),
                name: name.to_owned(),
                unit_price: Money::new(cents, Currency::EUR),
                tax_category,
                weight_g,
            });
        }
        if !shortages.is_empty() {
            return Err(ReserveRefusal::OutOfStock(shortages));
        }
        let mut reserved = self.reserved.lock().unwrap();
        Ok(reserved.entry(question.order_id).or_insert(StockReserved { lines }).clone())
    }
}

fn articles(question: &GetArticles) -> Articles {
    // Nothing has a price in yen.
    let priced = question.currency != Currency::JPY;
    let known = question.skus.iter().filter(|_| priced).filter_map(|sku| {
        let (_, name, cents, _, _, available) = *ARTICLES.iter().find(|article| article.0 == sku.as_str())?;
        let unit_price = Money::new(cents, question.currency);
        Some(Article { sku: sku.clone(), product_id: ProductId::new(), name: name.to_owned(), unit_price, available })
    });
    Articles { articles: known.collect() }
}
