//! Placing an order: from a list of SKUs to an order whose stock is held and whose figures are fixed.
//!
//! Everything that is written is written in one transaction, in which the key is claimed first: an order and the answer to
//! its request exist together or not at all.

use chrono::Utc;
use diesel::{SelectableHelper, insert_into};
use diesel_async::RunQueryDsl;
use nats::{
    contracts::{
        catalog::{ReservedLine, StockLine},
        order::OrderPlaced,
        shipping::{QuoteRefusal, QuoteShipping, ShippingQuote},
        user::{GetAddress, GetUserDetails, Unknown, UserDetails},
    },
    database::Tx,
    http::Created,
    idempotency::{Claim, IdempotencyKey, claim},
    problem::{Code, Problem},
    types::{Address, AddressId, Currency, Money, OrderId, TaxRate, Totals, UserId},
};
use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use super::{
    LineRow, NewOrder, OrderRow, TaxBreakdown, TermsRow,
    history::{self, By, OrderChange},
    payment_method::PaymentMethod,
    price::{Price, price, weight},
    reservation::{Reservation, Wanted},
    resource::Order,
    status::State,
};
use crate::{
    Orders,
    cart::CartItem,
    schema::{order_line, order_terms, orders},
};

/// The most lines an order has.
const MOST_LINES: usize = 100;

/// An order to be placed.
#[derive(Debug, Clone, Serialize, Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields)]
pub struct PlaceOrder {
    /// What is ordered, 1 to 100 lines; lines of the same SKU are put together. From the cart when absent, which is then
    /// emptied.
    #[oai(validator(min_items = 1, max_items = 100))]
    lines: Option<Vec<StockLine>>,
    /// Where the goods go. This or `address_id`.
    shipping_address: Option<Address>,
    /// Where the goods go: one of the caller's stored addresses. This or `shipping_address`.
    address_id: Option<AddressId>,
    /// How it is paid: a payment method's token.
    payment_method: PaymentMethod,
    /// The currency it is paid in (ISO 4217).
    #[serde(default = "euro")]
    #[oai(default = "euro")]
    currency: Currency,
}

const fn euro() -> Currency {
    Currency::EUR
}

/// Places an order of `user`; see [`super::api::OrderApi`] for what is refused.
pub(crate) async fn place(
    service: &Orders,
    user: UserId,
    key: IdempotencyKey,
    request: PlaceOrder,
) -> Result<Created<Order>, Problem> {
    let _placing = service.placing.acquire().await.map_err(Problem::internal)?;
    let mut tx = service.database.begin().await?;
    match place_in(&mut tx, service, user, key, &request).await {
        Ok((order, held)) => {
            if let Some(held) = held {
                held.keep();
            }
            tx.commit().await?;
            Ok(order)
        }
        Err(problem) => {
            // Before the answer: whoever repeats the request at once is to find the key free.
            if let Err(error) = tx.roll_back().await {
                tracing::debug!(%error, "rolling back failed; the connection is lost, and what was written with it");
            }
            Err(problem)
        }
    }
}

/// Everything up to the commit, from top to bottom; and the stock that is held, unless the order was placed before.
async fn place_in(
    tx: &mut Tx,
    service: &Orders,
    user: UserId,
    key: IdempotencyKey,
    request: &PlaceOrder,
) -> Result<(Created<Order>, Option<Reservation>), Problem> {
    let slot = match claim::<_, Order>(tx, &user, "place_order", Some(key), request).await? {
        Claim::New(slot) => slot,
        Claim::Replay { location, body } => return Ok((Created { location, body, replayed: true }, None)),
    };
    let destination = request.destination()?;
    let wanted = request.wanted(tx, user).await?;
    let customer = customer(service, user).await?;
    let address = destination.address(service, user).await?;
    let id = OrderId::new();
    let held = Reservation::take(&service.calls, id, request.currency, &wanted).await?;
    let quote = quote(service, &destination, &address, weight(&held.lines), request.currency).await?;
    let price = price(request.currency, address.country, &held.lines, &quote)?;

    let (customer, address) = (&customer, &address);
    let agreed = Agreed { id, user, request, customer, address, held: &held, quote: &quote, price: &price };
    let order = agreed.write(tx).await?;
    let payment_method = request.payment_method.to_string();
    tx.record(&OrderPlaced { order_id: id, user_id: user, total: price.totals.tax_inclusive, payment_method }).await?;
    if request.lines.is_none() {
        CartItem::clear(tx, user).await?;
    }
    let location = format!("/v1/orders/{id}");
    slot.store(tx, 201, &location, &order).await?;
    Ok((Created::new(location, order), Some(held)))
}

/// Where an order goes, as the request says it.
enum Destination<'a> {
    Given(&'a Address),
    Stored(AddressId),
}

impl PlaceOrder {
    fn destination(&self) -> Result<Destination<'_>, Problem> {
        match (&self.shipping_address, self.address_id) {
            (Some(address), None) => Ok(Destination::Given(address)),
            (None, Some(id)) => Ok(Destination::Stored(id)),
            (None, None) => {
                Err(Problem::invalid("/shipping_address", "say where to: `shipping_address` or `address_id`"))
            }
            (Some(_), Some(_)) => {
                Err(Problem::invalid("/address_id", "give either `shipping_address` or `address_id`, not both"))
            }
        }
    }

    /// What is ordered, each SKU once. What comes from the cart is locked until the transaction ends.
    async fn wanted(&self, tx: &mut Tx, user: UserId) -> Result<Vec<Wanted>, Problem> {
        let Some(lines) = &self.lines else {
            let items = CartItem::lock_all(tx, user).await?;
            if items.is_empty() {
                return Err(Problem::invalid("/lines", "there are no lines, and the cart is empty"));
            }
            return Wanted::merge(items.into_iter().map(|item| StockLine { sku: item.sku, quantity: item.quantity }));
        };
        if lines.is_empty() || lines.len() > MOST_LINES {
            return Err(Problem::invalid("/lines", format!("an order has 1 to {MOST_LINES} lines")));
        }
        Wanted::merge(lines.iter().cloned())
    }
}

async fn customer(service: &Orders, user_id: UserId) -> Result<UserDetails, Problem> {
    let gone = |Unknown::Unknown| Problem::new(Code::Unauthenticated, "Your account does not exist any more.");
    service.calls.call(&GetUserDetails { user_id }).await.map_err(|error| error.problem(gone))
}

impl Destination<'_> {
    async fn address(&self, service: &Orders, user_id: UserId) -> Result<Address, Problem> {
        let address_id = match self {
            Self::Given(address) => return Ok((*address).clone()),
            Self::Stored(address_id) => *address_id,
        };
        let unknown = |Unknown::Unknown| Problem::invalid("/address_id", "none of your addresses has this id");
        service.calls.call(&GetAddress { user_id, address_id }).await.map_err(|error| error.problem(unknown))
    }

    /// Where in the request the country stands.
    const fn country_pointer(&self) -> &'static str {
        match self {
            Self::Given(_) => "/shipping_address/country",
            Self::Stored(_) => "/address_id",
        }
    }
}

async fn quote(
    service: &Orders,
    destination: &Destination<'_>,
    address: &Address,
    weight_g: i64,
    currency: Currency,
) -> Result<ShippingQuote, Problem> {
    let country = address.country;
    let refused = |refusal| match refusal {
        QuoteRefusal::NoZone => {
            Problem::invalid(destination.country_pointer(), format!("we do not ship to {}", country.name()))
        }
        QuoteRefusal::NoRate => {
            // Which of the two it is, the refusal does not say.
            let country = country.name();
            let detail = format!(
                "there is no rate to {country}: either none in {currency}, or none for a parcel of {weight_g} g"
            );
            Problem::invalid("/currency", detail)
        }
    };
    service.calls.call(&QuoteShipping { country, weight_g, currency }).await.map_err(|error| error.problem(refused))
}

/// All that an order is made of.
struct Agreed<'a> {
    id: OrderId,
    user: UserId,
    request: &'a PlaceOrder,
    customer: &'a UserDetails,
    address: &'a Address,
    held: &'a Reservation,
    quote: &'a ShippingQuote,
    price: &'a Price,
}

impl Agreed<'_> {
    /// Writes the order, its lines and the beginning of its history.
    async fn write(&self, tx: &mut Tx) -> Result<Order, Problem> {
        let row: OrderRow =
            insert_into(orders::table).values(self.row()).returning(OrderRow::as_returning()).get_result(tx).await?;
        let (terms, lines) = (self.terms(), self.lines());
        insert_into(order_terms::table).values(&terms).execute(tx).await?;
        insert_into(order_line::table).values(&lines).execute(tx).await?;
        let by = By::Customer(self.user);
        history::write(tx, self.id, OrderChange::Placed, row.state(), by, "The order was placed.").await?;
        Ok(Order::of(row, terms, lines))
    }

    fn row(&self) -> NewOrder {
        let Totals { line_total, charge_total, tax_total, tax_inclusive, .. } = &self.price.totals;
        let State { order: status, payment: payment_status, fulfillment: fulfillment_status } = State::PLACED;
        let now = Utc::now();
        NewOrder {
            id: self.id,
            user_id: self.user,
            status,
            payment_status,
            fulfillment_status,
            currency: self.request.currency,
            subtotal: line_total.amount,
            shipping_price: charge_total.amount,
            tax_total: tax_total.amount,
            total: tax_inclusive.amount,
            placed_at: now,
            updated_at: now,
        }
    }

    fn terms(&self) -> TermsRow {
        TermsRow {
            order_id: self.id,
            email: self.customer.email.clone(),
            payment_method: self.request.payment_method.clone(),
            shipping_address: self.address.clone(),
            shipping_service_level: self.quote.service_level.clone(),
            shipping_tax_category: self.price.shipping_tax.category(),
            shipping_tax_rate: self.price.shipping_tax.rate(),
            tax: TaxBreakdown(self.price.totals.breakdown.clone()),
        }
    }

    fn lines(&self) -> Vec<LineRow> {
        let figures = self.price.line_tax.iter().zip(&self.price.totals.line_net);
        let line = |(position, (line, (tax, net))): (i32, (&ReservedLine, (&TaxRate, &Money)))| LineRow {
            order_id: self.id,
            position,
            sku: line.sku.clone(),
            product_id: line.product_id,
            name: line.name.clone(),
            quantity: line.quantity,
            unit_price: line.unit_price.amount,
            tax_category: tax.category(),
            tax_rate: tax.rate(),
            net: net.amount,
        };
        (0..).zip(self.held.lines.iter().zip(figures)).map(line).collect()
    }
}
