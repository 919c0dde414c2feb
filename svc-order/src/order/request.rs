//! What is asked for when an order is placed.

use nats::{
    contracts::{
        catalog::StockLine,
        user::{GetAddress, Unknown},
    },
    problem::Problem,
    types::{Address, AddressId, CompanyId, Currency, UserId, postal},
};
use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use super::{company::PurchaseOrderNumber, payment_method::PaymentMethod, reservation::Wanted};
use crate::{
    Orders,
    cart::{
        CartItem, CartRow, Shopper,
        guest::{self, CartToken},
    },
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
    pub(super) payment_method: PaymentMethod,
    /// The currency it is paid in (ISO 4217); when absent, the company's, or the one that the customer
    /// prefers.
    pub(super) currency: Option<Currency>,
    /// The company that orders; its currency, and its invoice. The caller needs the role `buyer` there.
    pub(super) company_id: Option<CompanyId>,
    /// The number of the order in the company's own books; some companies want one.
    pub(super) purchase_order_number: Option<PurchaseOrderNumber>,
}

/// What is ordered.
pub(super) struct Basket {
    /// Each SKU once.
    pub(super) wanted: Vec<Wanted>,
    /// The cart it is from, as it was.
    pub(super) cart: Option<CartRow>,
}

/// Where an order goes, as the request says it.
pub(super) enum Destination<'a> {
    Given(&'a Address),
    Stored(AddressId),
}

impl PlaceOrder {
    pub(super) fn destination(&self) -> Result<Destination<'_>, Problem> {
        match (&self.shipping_address, self.address_id) {
            (Some(address), None) => {
                postal::check(address, "/shipping_address")?;
                Ok(Destination::Given(address))
            }
            (None, Some(id)) => Ok(Destination::Stored(id)),
            (None, None) => {
                Err(Problem::invalid("/shipping_address", "say where to: `shipping_address` or `address_id`"))
            }
            (Some(_), Some(_)) => {
                Err(Problem::invalid("/address_id", "give either `shipping_address` or `address_id`, not both"))
            }
        }
    }

    /// What is ordered; from the cart, into which a guest's goes first, unless the request has lines.
    pub(super) async fn basket(
        &self,
        service: &Orders,
        user: UserId,
        guest: Option<CartToken>,
    ) -> Result<Basket, Problem> {
        if let Some(lines) = &self.lines {
            if lines.is_empty() || lines.len() > MOST_LINES {
                return Err(Problem::invalid("/lines", format!("an order has 1 to {MOST_LINES} lines")));
            }
            return Ok(Basket { wanted: Wanted::merge(lines.iter().cloned())?, cart: None });
        }
        if let Some(token) = guest {
            guest::merge(service, user, &token).await?;
        }
        let mut connection = service.database.connection().await?;
        // The version first: an edit in between is noticed when the order is written.
        let cart = Shopper::Person(user).cart(&mut connection).await?;
        let items = match cart {
            Some(cart) => CartItem::of(&mut connection, cart.id).await?,
            None => Vec::new(),
        };
        if items.is_empty() {
            return Err(Problem::invalid("/lines", "there are no lines, and the cart is empty"));
        }
        let lines = items.into_iter().map(|item| StockLine { sku: item.sku, quantity: item.quantity });
        Ok(Basket { wanted: Wanted::merge(lines)?, cart })
    }
}

impl Destination<'_> {
    pub(super) async fn address(&self, service: &Orders, user_id: UserId) -> Result<Address, Problem> {
        let address_id = match self {
            Self::Given(address) => return Ok((*address).clone()),
            Self::Stored(address_id) => *address_id,
        };
        let unknown = |Unknown::Unknown| Problem::invalid("/address_id", "none of your addresses has this id");
        service.calls.call(&GetAddress { user_id, address_id }).await.map_err(|error| error.problem(unknown))
    }

    /// Where in the request the country stands.
    pub(super) const fn country_pointer(&self) -> &'static str {
        match self {
            Self::Given(_) => "/shipping_address/country",
            Self::Stored(_) => "/address_id",
        }
    }
}
