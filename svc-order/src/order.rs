//! Orders: the rows, and the ways to them.
//!
//! An order's agreement (lines, prices, taxes, address) is written once, by [`place`]; its states move through
//! `change` alone, which keeps the history and records the events.

pub mod api;
pub(crate) mod audit;
pub(crate) mod cancel;
pub(crate) mod change;
pub(crate) mod company;
pub(crate) mod complete;
pub(crate) mod details;
pub mod history;
pub mod payment_method;
pub mod place;
pub(crate) mod price;
pub(crate) mod refund;
pub mod request;
pub(crate) mod reservation;
pub mod resource;
pub(crate) mod saga;
pub mod status;
pub(crate) mod tax;
pub(crate) mod write;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::{
    ExpressionMethods, Insertable, JoinOnDsl, OptionalExtension, QueryDsl, Queryable, Selectable, SelectableHelper,
    deserialize::FromSqlRow, expression::AsExpression, pg::Pg, sql_types,
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use nats::{
    contracts::order::CancelReason,
    identity::{OrdersRead, OwnerOr},
    types::{
        Address, Currency, DecimalString, Email, Invalid, Money, OrderId, PaymentId, ProductId, Quantity, Sku,
        TaxCategory, TaxGroup, UserId,
    },
};
use serde::{Deserialize, Serialize};

use crate::schema::{order_company, order_line, order_terms, orders};
use company::CompanyRow;
use payment_method::PaymentMethod;
use status::{FulfillmentStatus, OrderStatus, PaymentStatus, State};

/// A row of `orders`: what it comes to, and how far it is.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = orders, check_for_backend(Pg))]
pub(crate) struct OrderRow {
    pub(crate) id: OrderId,
    pub(crate) number: String,
    pub(crate) user_id: UserId,
    pub(crate) status: OrderStatus,
    pub(crate) payment_status: PaymentStatus,
    pub(crate) fulfillment_status: FulfillmentStatus,
    pub(crate) cancel_reason: Option<StoredReason>,
    pub(crate) payment_id: Option<PaymentId>,
    pub(crate) currency: Currency,
    pub(crate) subtotal: i64,
    pub(crate) shipping_price: i64,
    pub(crate) tax_total: i64,
    pub(crate) total: i64,
    /// What of it went back, in all.
    pub(crate) refunded: i64,
    pub(crate) placed_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
}

/// A row of `order_terms`: what else was agreed.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = order_terms, check_for_backend(Pg))]
pub(crate) struct TermsRow {
    pub(crate) order_id: OrderId,
    pub(crate) email: Email,
    pub(crate) payment_method: PaymentMethod,
    pub(crate) shipping_address: Address,
    pub(crate) shipping_service_level: String,
    pub(crate) shipping_tax_category: TaxCategory,
    pub(crate) shipping_tax_rate: DecimalString,
    pub(crate) tax: TaxBreakdown,
}

/// A row of `order_line`.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = order_line, check_for_backend(Pg))]
pub(crate) struct LineRow {
    pub(crate) order_id: OrderId,
    pub(crate) position: i32,
    pub(crate) sku: Sku,
    pub(crate) product_id: ProductId,
    pub(crate) name: String,
    pub(crate) quantity: Quantity,
    pub(crate) unit_price: i64,
    pub(crate) tax_category: TaxCategory,
    pub(crate) tax_rate: DecimalString,
    pub(crate) net: i64,
}

impl OrderRow {
    /// The orders that `caller` may see: their own, or everyone's.
    pub(crate) fn visible_to(caller: &OwnerOr<OrdersRead>) -> orders::BoxedQuery<'static, Pg> {
        if caller.reaches_all() { orders::table.into_boxed() } else { Self::owned_by(caller.identity().user) }
    }

    /// The orders of one person.
    pub(crate) fn owned_by(user: UserId) -> orders::BoxedQuery<'static, Pg> {
        orders::table.filter(orders::user_id.eq(user)).into_boxed()
    }

    /// One order, held until the transaction ends: whoever else wants to move it waits.
    pub(crate) async fn lock(connection: &mut AsyncPgConnection, id: OrderId) -> diesel::QueryResult<Option<Self>> {
        orders::table.find(id).select(Self::as_select()).for_update().first(connection).await.optional()
    }

    /// Many orders, each held until the transaction ends.
    pub(crate) async fn lock_all(
        connection: &mut AsyncPgConnection,
        ids: &[OrderId],
    ) -> diesel::QueryResult<HashMap<OrderId, Self>> {
        // By id, as every other that wants several: nobody waits in a circle.
        let locked = orders::table.filter(orders::id.eq_any(ids)).order(orders::id).select(Self::as_select());
        let locked: Vec<Self> = locked.for_update().load(connection).await?;
        Ok(locked.into_iter().map(|order| (order.id, order)).collect())
    }

    /// Its three states.
    pub(crate) const fn state(&self) -> State {
        State { order: self.status, payment: self.payment_status, fulfillment: self.fulfillment_status }
    }

    /// An amount of this order as money.
    pub(crate) const fn money(&self, amount: i64) -> Money {
        Money::new(amount, self.currency)
    }
}

impl TermsRow {
    /// The terms of these orders, and the companies they are for, in no particular order.
    pub(crate) async fn of(
        connection: &mut AsyncPgConnection,
        orders: &[OrderId],
    ) -> diesel::QueryResult<Vec<(Self, Option<CompanyRow>)>> {
        order_terms::table
            .left_join(order_company::table.on(order_company::order_id.eq(order_terms::order_id)))
            .filter(order_terms::order_id.eq_any(orders.iter().copied()))
            .select((Self::as_select(), Option::<CompanyRow>::as_select()))
            .load(connection)
            .await
    }
}

impl LineRow {
    /// The lines of these orders, each order's in their own order.
    pub(crate) async fn of(connection: &mut AsyncPgConnection, orders: &[OrderId]) -> diesel::QueryResult<Vec<Self>> {
        order_line::table
            .filter(order_line::order_id.eq_any(orders.iter().copied()))
            .order((order_line::order_id, order_line::position))
            .select(Self::as_select())
            .load(connection)
            .await
    }
}

/// The money engine's tax groups, as a column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, AsExpression, FromSqlRow)]
#[serde(transparent)]
#[diesel(sql_type = sql_types::Jsonb)]
pub(crate) struct TaxBreakdown(pub(crate) Vec<TaxGroup>);

nats::jsonb_column!(TaxBreakdown);

/// A [`CancelReason`] as a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, AsExpression, FromSqlRow)]
#[diesel(sql_type = sql_types::Text)]
pub(crate) struct StoredReason(pub(crate) CancelReason);

impl std::fmt::Display for StoredReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self.0 {
            CancelReason::PaymentFailed => "payment_failed",
            CancelReason::PaymentTimeout => "payment_timeout",
            CancelReason::OutOfStock => "out_of_stock",
            CancelReason::Customer => "customer",
            CancelReason::Staff => "staff",
        })
    }
}

impl std::str::FromStr for StoredReason {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "payment_failed" => Ok(Self(CancelReason::PaymentFailed)),
            "payment_timeout" => Ok(Self(CancelReason::PaymentTimeout)),
            "out_of_stock" => Ok(Self(CancelReason::OutOfStock)),
            "customer" => Ok(Self(CancelReason::Customer)),
            "staff" => Ok(Self(CancelReason::Staff)),
            _ => Err(Invalid::quoting(text, "is not a reason to cancel an order")),
        }
    }
}

nats::text_column!(StoredReason);
