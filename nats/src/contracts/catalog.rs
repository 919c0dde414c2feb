//! svc-catalog: what can be bought, and how much of it is left.

use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use super::{call, event};
use crate::types::{Currency, Money, OrderId, ProductId, Quantity, Sku, TaxCategory};

event! {
    /// A product was put into the catalogue.
    ProductCreated = "catalog" / product.created.1, by product_id {
        /// Which.
        product_id: ProductId,
    }
}

event! {
    /// A product, its variants or its prices changed.
    ProductUpdated = "catalog" / product.updated.1, by product_id {
        /// Which.
        product_id: ProductId,
    }
}

event! {
    /// A product was taken out of the catalogue.
    ProductDeleted = "catalog" / product.deleted.1, by product_id {
        /// Which.
        product_id: ProductId,
    }
}

event! {
    /// An order's reservation became a sale: the goods are the customer's.
    StockSold = "catalog" / stock.sold.1, by order_id {
        /// The order.
        order_id: OrderId,
        /// What and how much.
        lines: Vec<StockLine>,
    }
}

event! {
    /// A reservation was given back: the order was canceled, or its time was up.
    StockReleased = "catalog" / stock.released.1, by order_id {
        /// The order.
        order_id: OrderId,
        /// What and how much.
        lines: Vec<StockLine>,
        /// Whether its time was up.
        expired: bool,
    }
}

/// So many of one SKU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
#[serde(deny_unknown_fields)]
pub struct StockLine {
    /// Which.
    pub sku: Sku,
    /// How many.
    pub quantity: Quantity,
}

/// Reserves everything an order needs, or nothing. Asking again for the same order gives the same answer.
#[derive(Debug, Clone, Serialize, Deserialize, Object)]
pub struct ReserveStock {
    /// The order the reservation is for; its key.
    pub order_id: OrderId,
    /// The currency that prices are wanted in.
    pub currency: Currency,
    /// What and how much; each SKU once.
    pub lines: Vec<StockLine>,
}

/// The reservation, with what the order needs to remember of each article.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct StockReserved {
    /// In the order of the question's lines.
    pub lines: Vec<ReservedLine>,
}

/// An article as it was when it was reserved: the order's truth from then on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct ReservedLine {
    /// Which.
    pub sku: Sku,
    /// How many.
    pub quantity: Quantity,
    /// The product it belongs to.
    pub product_id: ProductId,
    /// Product and variant, as the customer reads it.
    pub name: String,
    /// The net price of one.
    pub unit_price: Money,
    /// How it is taxed.
    pub tax_category: TaxCategory,
    /// What one weighs, in grams.
    pub weight_g: i32,
}

/// Why nothing was reserved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReserveRefusal {
    /// These SKUs are unknown, or have no price in the currency: indices into the question's lines.
    Unknown(Vec<usize>),
    /// Less is available than was asked for.
    OutOfStock(Vec<Shortage>),
    /// The order had a reservation before, which is settled or has other lines.
    Settled,
}

/// A line that cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shortage {
    /// Its index in the question.
    pub line: usize,
    /// Which.
    pub sku: Sku,
    /// How many there are.
    pub available: i32,
}

call!(ReserveStock = "catalog".reserve_stock -> StockReserved, or ReserveRefusal, idempotent: true);

/// Gives an order's reservation back at once, when the order could not be written. Harmless when there is none.
#[derive(Debug, Clone, Serialize, Deserialize, Object)]
pub struct ReleaseStock {
    /// The order.
    pub order_id: OrderId,
}

/// Nothing to tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct StockFree {}

call!(ReleaseStock = "catalog".release_stock -> StockFree, or super::Never, idempotent: true);

/// Makes an order's reservation a sale, now that its money is ours. What had expired is taken again, if there is enough.
#[derive(Debug, Clone, Serialize, Deserialize, Object)]
pub struct CommitStock {
    /// The order.
    pub order_id: OrderId,
}

/// The goods are the customer's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct StockCommitted {}

/// Why nothing was sold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CommitRefusal {
    /// The reservation had expired, and too little is left of something. It is released now, for good.
    OutOfStock,
    /// The order never had a reservation, or it was released: for its own cancellation, or by an earlier refusal.
    Released,
}

call!(CommitStock = "catalog".commit_stock -> StockCommitted, or CommitRefusal, idempotent: true);

/// Asks for a page of reservations, by order id, for an audit.
#[derive(Debug, Clone, Serialize, Deserialize, Object)]
pub struct AuditReservations {
    /// The last order of the page before.
    pub after: Option<OrderId>,
    /// How many, at most 1000.
    pub limit: i64,
}

/// A page of reservations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct AuditedReservations {
    /// By order id, ascending; empty after the last page.
    pub reservations: Vec<AuditedReservation>,
}

/// A reservation, as far as an audit needs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct AuditedReservation {
    /// The order.
    pub order_id: OrderId,
    /// `held`, `sold`, `released` or `expired`.
    pub state: String,
    /// Its pieces, of all lines.
    pub pieces: i64,
}

call!(AuditReservations = "catalog".audit_reservations -> AuditedReservations, or super::Never, idempotent: true, deadline_s: 10);

/// Asks for what SKUs are called and cost, reserving nothing (carts).
#[derive(Debug, Clone, Serialize, Deserialize, Object)]
pub struct GetArticles {
    /// Which; at most 100.
    pub skus: Vec<Sku>,
    /// The currency that prices are wanted in.
    pub currency: Currency,
}

/// What is known of them; unknown SKUs are left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct Articles {
    /// In no particular order.
    pub articles: Vec<Article>,
}

/// An article as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct Article {
    /// Which.
    pub sku: Sku,
    /// The product it belongs to.
    pub product_id: ProductId,
    /// Product and variant.
    pub name: String,
    /// The net price of one.
    pub unit_price: Money,
    /// How many can be had.
    pub available: i32,
}

call!(GetArticles = "catalog".get_articles -> Articles, or super::Never, idempotent: true);
