//! Placing an order: from a list of SKUs to an order whose stock is held and whose figures are fixed.
//!
//! No connection to the database is held while other services are asked. What they say becomes a draft, and drafts that
//! wait at the same time are written together (`write`): the order, and the answer to its request under the
//! request's key, exist together or not at all.
//!
//! | what goes wrong | what becomes of the stock |
//! |---|---|
//! | a refusal on the way, or the request is cut off | given back |
//! | the process dies before the order is written | expires |
//! | the key was used meanwhile by the same request elsewhere, the cart has changed | given back |
//! | the database goes away before the commit | given back |
//! | it was refused for good elsewhere meanwhile | given back |
//! | the outcome of the commit is lost | stays, unless the key tells that it is another order's |

use std::sync::Arc;

use chrono::{SubsecRound, Utc};
use nats::{
    batch::{BatchError, Batcher, Limits},
    contracts::{
        catalog::ReservedLine,
        shipping::{QuoteRefusal, QuoteShipping, ShippingQuote},
        user::{GetUserDetails, Unknown, UserDetails},
    },
    database::Database,
    http::Created,
    idempotency::{Answered, IdempotencyKey, InFlightGuard, Keyed, fence_all, in_flight},
    problem::{Code, Problem},
    telemetry::Trace,
    types::{Address, Currency, Money, OrderId, TaxRate, Totals, UserId},
};

use super::{
    LineRow, OrderRow, TaxBreakdown, TermsRow,
    company::{CompanyRow, Purchase},
    price::{Price, price, weight},
    request::{Basket, Destination, PlaceOrder},
    reservation::Reservation,
    resource::Order,
    status::State,
    write::{Draft, Written, location},
};
use crate::{
    Orders,
    cart::{CartRow, guest::CartToken},
};

/// Places an order of `user`; see [`super::api::OrderApi`] for what is refused.
pub(crate) async fn place(
    service: &Orders,
    user: UserId,
    key: IdempotencyKey,
    guest: Option<CartToken>,
    request: PlaceOrder,
) -> Result<Created<Order>, Problem> {
    let mut keyed = Keyed::new(&user, "place_order", key, &request)?;
    let running = Arc::new(service.running.begin(&keyed)?);
    let first = keyed.begin(&service.lookups).await?;
    if let Some(first) = first {
        return Ok(replayed(first));
    }
    match anew(service, user, guest, request, keyed.clone(), Arc::clone(&running)).await {
        Err(refusal) if is_final(&refusal) => refuse(service, keyed, refusal).await,
        outcome => outcome,
    }
}

/// Whether whoever is told this may take it that there is no order, and will not be one.
fn is_final(refusal: &Problem) -> bool {
    let undecided = matches!(refusal.code(), Code::IdempotencyKeyInFlight | Code::IdempotencyKeyReused);
    refusal.code().status().is_client_error() && !undecided
}

/// Refuses for good: the same request, if it still runs on another instance, cannot succeed any more. If it has, that is
/// the answer.
async fn refuse(service: &Orders, keyed: Keyed, refusal: Problem) -> Result<Created<Order>, Problem> {
    if service.refusals.ask(keyed.clone()).await? {
        return Err(refusal);
    }
    first_answer(service, &keyed).await?.map(replayed).ok_or(refusal)
}

/// The batches of refusals.
pub(crate) fn start_refusing(database: Database) -> Batcher<Keyed, bool> {
    Batcher::start(
        Limits::default(),
        |_| 1,
        move |refused: Vec<Keyed>| {
            let database = database.clone();
            async move { fence_all(&mut *database.connection().await?, &refused).await }
        },
    )
}

/// Places an order for a request that has no answer yet.
async fn anew(
    service: &Orders,
    user: UserId,
    guest: Option<CartToken>,
    request: PlaceOrder,
    keyed: Keyed,
    running: Arc<InFlightGuard>,
) -> Result<Created<Order>, Problem> {
    let destination = request.destination()?;
    let company = Purchase::of(service, user, &request).await?;
    let Basket { wanted, cart } = request.basket(service, user, guest).await?;

    let id = OrderId::new();
    // Only who does not say what they pay in waits for what they prefer.
    let (known, currency) = match company.as_ref().map(Purchase::currency).or(request.currency) {
        Some(currency) => (None, currency),
        None => {
            let customer = customer(service, user).await?;
            let preferred = customer.preferences.currency;
            (Some(customer), preferred)
        }
    };
    let asked = async {
        match known {
            Some(customer) => Ok(customer),
            None => customer(service, user).await,
        }
    };
    let (customer, address, held) = tokio::join!(
        asked,
        destination.address(service, user),
        Reservation::take(&service.calls, id, currency, &wanted),
    );
    let (customer, address, held) = (customer?, address?, held?);
    let quote = quote(service, &destination, &address, weight(&held.lines), currency).await?;
    let price = price(currency, address.country, &held.lines, &quote)?;
    company.as_ref().map_or(Ok(()), |company| company.allows(price.totals.tax_inclusive))?;

    let agreed = Agreed { id, user, request: &request, currency, customer, address, held: &held, quote, price };
    let draft = agreed.draft(keyed, cart, company.map(|company| company.row(id)));
    // In a task of its own: a caller who goes now does not leave an order whose stock is given back.
    let finishing = finish(service.clone(), Arc::new(draft), held, running);
    let finished = tokio::spawn(Trace::current().scope(tracing::Span::current(), finishing));
    finished.await.map_err(Problem::internal)?
}

/// Has the draft written, and sees to its stock, whatever comes of it: it stays with an order that is written or may be,
/// and is given back otherwise.
async fn finish(
    service: Orders,
    draft: Arc<Draft>,
    held: Reservation,
    _running: Arc<InFlightGuard>,
) -> Result<Created<Order>, Problem> {
    let id = draft.order.id;
    let (certain, refusal) = match service.writer.ask(Arc::clone(&draft)).await {
        Ok(Written::Placed(order)) => {
            held.keep();
            return Ok(Created::new(location(id), *order));
        }
        Ok(Written::KeyTaken) => (true, in_flight()),
        Ok(Written::CartChanged) => {
            let detail = "The cart changed while it was being ordered. Nothing was ordered; look at it again.";
            (true, Problem::new(Code::Conflict, detail))
        }
        Ok(Written::Away) => {
            let detail = "The database cannot be reached. Nothing was ordered.";
            return Err(Problem::new(Code::Unavailable, detail));
        }
        Err(BatchError::Full) => return Err(BatchError::Full.into()),
        Err(BatchError::Database(error)) if !error.is_unavailable() => (true, error.into()),
        Err(error) => {
            let detail = "The database went away while the order was being written. It is not known whether it was: \
                repeat the request with the same Idempotency-Key.";
            (false, Problem::new(Code::Timeout, detail).because(error))
        }
    };
    // The key tells who was faster with the same request: another instance, or a commit whose answer was lost.
    match first_answer(&service, &draft.keyed).await {
        Ok(Some(Answered { location, body })) if body.id() == id => {
            held.keep();
            Ok(Created::new(location, body))
        }
        Ok(Some(twins)) => Ok(replayed(twins)),
        Err(reused) if reused.code() == Code::IdempotencyKeyReused => Err(reused),
        Ok(None) | Err(_) => {
            if !certain {
                held.keep();
            }
            Err(refusal)
        }
    }
}

async fn first_answer(service: &Orders, keyed: &Keyed) -> Result<Option<Answered<Order>>, Problem> {
    keyed.answered(&service.lookups).await
}

fn replayed(Answered { location, body }: Answered<Order>) -> Created<Order> {
    Created { location, body, replayed: true }
}

async fn customer(service: &Orders, user_id: UserId) -> Result<UserDetails, Problem> {
    let gone = |Unknown::Unknown| Problem::new(Code::Unauthenticated, "Your account does not exist any more.");
    service.calls.call(&GetUserDetails { user_id }).await.map_err(|error| error.problem(gone))
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
    currency: Currency,
    customer: UserDetails,
    address: Address,
    held: &'a Reservation,
    quote: ShippingQuote,
    price: Price,
}

impl Agreed<'_> {
    /// The order as it is to be written.
    fn draft(&self, keyed: Keyed, cart: Option<CartRow>, company: Option<CompanyRow>) -> Draft {
        let (order, terms, lines) = (self.row(), self.terms(), self.lines());
        Draft { keyed, order, terms, lines, company, cart, trace: Trace::current() }
    }

    fn row(&self) -> OrderRow {
        let Totals { line_total, charge_total, tax_total, tax_inclusive, .. } = &self.price.totals;
        let State { order: status, payment: payment_status, fulfillment: fulfillment_status } = State::PLACED;
        // As exact as the database: what is answered now is what is read later.
        let now = Utc::now().trunc_subsecs(6);
        OrderRow {
            id: self.id,
            number: String::new(),
            user_id: self.user,
            status,
            payment_status,
            fulfillment_status,
            cancel_reason: None,
            payment_id: None,
            currency: self.currency,
            subtotal: line_total.amount,
            shipping_price: charge_total.amount,
            tax_total: tax_total.amount,
            total: tax_inclusive.amount,
            refunded: 0,
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
