//! svc-order: what customers ordered, and how far it is.

use chrono::{DateTime, Utc};
use poem_openapi::{Enum, Object};
use serde::{Deserialize, Serialize};

use super::{
    call, event,
    user::{Unknown, company::CompanyBuyer},
};
use crate::types::{Address, CompanyId, Email, Money, OrderId, Quantity, Sku, TaxCategory, UserId};

event! {
    /// An order was accepted: its stock is reserved, its totals are fixed. It waits for its payment.
    OrderPlaced = "order" / order.placed.1, by order_id {
        /// Which.
        order_id: OrderId,
        /// Whose.
        user_id: UserId,
        /// What is to be charged.
        total: Money,
        /// How it is to be charged: a payment method's token, never a card number.
        payment_method: String,
    }
}

event! {
    /// The order is paid and will be fulfilled.
    OrderConfirmed = "order" / order.confirmed.1, by order_id {
        /// Which.
        order_id: OrderId,
        /// Whose.
        user_id: UserId,
        /// What was charged.
        total: Money,
    }
}

event! {
    /// The order will not be fulfilled; whatever was taken for it is given back.
    OrderCanceled = "order" / order.canceled.1, by order_id {
        /// Which.
        order_id: OrderId,
        /// Whose.
        user_id: UserId,
        /// Why.
        reason: CancelReason,
    }
}

event! {
    /// Everything that the order promised was done.
    OrderCompleted = "order" / order.completed.1, by order_id {
        /// Which.
        order_id: OrderId,
        /// Whose.
        user_id: UserId,
    }
}

/// Why an order was canceled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Enum)]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
pub enum CancelReason {
    /// The payment was declined.
    PaymentFailed,
    /// The payment did not come in time.
    PaymentTimeout,
    /// It was paid after its reservation had expired, and too little was left.
    OutOfStock,
    /// The customer asked for it.
    Customer,
    /// The shop decided it.
    Staff,
}

/// Asks for an order with all that an invoice or a shipment needs.
#[derive(Debug, Clone, Serialize, Deserialize, Object)]
pub struct GetOrder {
    /// Which.
    pub order_id: OrderId,
}

/// An order, for the services that fulfil it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct OrderDetails {
    /// Which.
    pub order_id: OrderId,
    /// The number that people read, such as `A-100023`.
    pub number: String,
    /// Whose.
    pub user_id: UserId,
    /// Where mail about it goes.
    pub email: Email,
    /// When it was placed.
    pub placed_at: DateTime<Utc>,
    /// Where the goods go, and to whom the invoice is made out, unless it is a company's order.
    pub shipping_address: Address,
    /// What was ordered.
    pub lines: Vec<OrderLine>,
    /// What shipping costs, net.
    pub shipping: Money,
    /// The tax category of the shipping charge.
    pub shipping_tax_category: TaxCategory,
    /// The tax rate of the shipping charge, in percent, as a decimal string.
    pub shipping_tax_rate: String,
    /// All taxes.
    pub tax_total: Money,
    /// What the customer pays.
    pub total: Money,
    /// For which company it was placed, when it was placed for one.
    pub company: Option<OrderCompany>,
}

/// The company that an order was placed for, as it was then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct OrderCompany {
    /// Which.
    pub company_id: CompanyId,
    /// The order's number in the company's own books.
    pub purchase_order_number: Option<String>,
    /// To whom the invoice is made out, and where it goes.
    pub buyer: CompanyBuyer,
}

/// A line of an order; it never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct OrderLine {
    /// Which article.
    pub sku: Sku,
    /// Its name when it was ordered.
    pub name: String,
    /// How many.
    pub quantity: Quantity,
    /// The net price of one.
    pub unit_price: Money,
    /// The tax category.
    pub tax_category: TaxCategory,
    /// The tax rate in percent, as a decimal string.
    pub tax_rate: String,
    /// Quantity times unit price.
    pub net: Money,
}

/// Asks for a page of orders, by id, for an audit.
#[derive(Debug, Clone, Serialize, Deserialize, Object)]
pub struct AuditOrders {
    /// The last id of the page before.
    pub after: Option<OrderId>,
    /// How many, at most 1000.
    pub limit: i64,
}

/// A page of orders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct AuditedOrders {
    /// By id, ascending; empty after the last page.
    pub orders: Vec<AuditedOrder>,
}

/// An order, as far as an audit needs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct AuditedOrder {
    /// Which.
    pub order_id: OrderId,
    /// Its `status`.
    pub status: String,
    /// Its `payment_status`.
    pub payment_status: String,
    /// What the customer pays.
    pub total: Money,
    /// What of it went back, as far as the order knows.
    pub refunded: Money,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

call!(AuditOrders = "order".audit_orders -> AuditedOrders, or super::Never, idempotent: true, deadline_s: 10);
call!(GetOrder = "order".get_order -> OrderDetails, or Unknown, idempotent: true);
