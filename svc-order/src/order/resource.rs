//! An order as clients see it.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::{ExpressionMethods, QueryDsl, SelectableHelper};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use nats::{
    contracts::order::CancelReason,
    identity::{OrdersRead, OwnerOr},
    types::{
        Address, CompanyId, Currency, DecimalString, Money, OrderId, ProductId, Quantity, Sku, TaxCategory, TaxGroup,
        UserId,
    },
};
use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use super::{
    LineRow, OrderRow, TermsRow,
    company::{CompanyRow, PurchaseOrderNumber},
    payment_method::PaymentMethod,
    status::{FulfillmentStatus, OrderStatus, PaymentStatus},
};
use crate::schema::orders;

/// An order: what was agreed, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct Order {
    /// Which.
    id: OrderId,
    /// The number that people read, such as `A-100001`.
    number: String,
    /// Whose.
    user_id: UserId,
    /// How far it is as a whole.
    status: OrderStatus,
    /// How far its payment is.
    payment_status: PaymentStatus,
    /// How far its goods are.
    fulfillment_status: FulfillmentStatus,
    /// The currency of every amount.
    currency: Currency,
    /// What was ordered; never changes.
    lines: Vec<OrderLine>,
    /// Sum of the lines, net.
    subtotal: Money,
    /// How it is sent, and for how much.
    shipping: Shipping,
    /// The tax, by category and rate.
    tax: Vec<TaxGroup>,
    /// All taxes.
    tax_total: Money,
    /// What the customer pays.
    total: Money,
    /// Where the goods go.
    shipping_address: Address,
    /// How it is paid: a payment method's token.
    payment_method: PaymentMethod,
    /// The company that ordered; null when it was a person.
    #[oai(nullable)]
    company_id: Option<CompanyId>,
    /// The number of the order in the company's own books.
    #[oai(nullable)]
    purchase_order_number: Option<PurchaseOrderNumber>,
    /// Why it was canceled; null unless it was.
    #[oai(nullable)]
    cancel_reason: Option<CancelReason>,
    /// When it was placed.
    placed_at: DateTime<Utc>,
    /// When one of its states last moved.
    updated_at: DateTime<Utc>,
}

/// A line of an order: the article as it was when it was ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct OrderLine {
    /// Which article.
    sku: Sku,
    /// The product it belongs to.
    product_id: ProductId,
    /// Product and variant.
    name: String,
    /// How many.
    quantity: Quantity,
    /// The net price of one.
    unit_price: Money,
    /// The tax category at the destination.
    tax_category: TaxCategory,
    /// The tax rate in percent.
    tax_rate: DecimalString,
    /// Quantity times unit price.
    net: Money,
}

/// How an order is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
#[oai(rename = "OrderShipping")]
pub struct Shipping {
    /// The carrier's service, as the customer reads it.
    service_level: String,
    /// What it costs, net.
    price: Money,
}

impl Order {
    /// Which.
    pub(crate) const fn id(&self) -> OrderId {
        self.id
    }

    /// An order from its rows.
    pub(crate) fn of(row: OrderRow, (terms, company): (TermsRow, Option<CompanyRow>), lines: Vec<LineRow>) -> Self {
        let currency = row.currency;
        let (company_id, purchase_order_number) =
            company.map(|company| (company.company_id, company.purchase_order_number)).unzip();
        let money = |amount| Money::new(amount, currency);
        let line = |line: LineRow| OrderLine {
            sku: line.sku,
            product_id: line.product_id,
            name: line.name,
            quantity: line.quantity,
            unit_price: money(line.unit_price),
            tax_category: line.tax_category,
            tax_rate: line.tax_rate,
            net: money(line.net),
        };
        Self {
            id: row.id,
            number: row.number,
            user_id: row.user_id,
            status: row.status,
            payment_status: row.payment_status,
            fulfillment_status: row.fulfillment_status,
            currency,
            lines: lines.into_iter().map(line).collect(),
            subtotal: money(row.subtotal),
            shipping: Shipping { service_level: terms.shipping_service_level, price: money(row.shipping_price) },
            tax: terms.tax.0,
            tax_total: money(row.tax_total),
            total: money(row.total),
            shipping_address: terms.shipping_address,
            payment_method: terms.payment_method,
            company_id,
            purchase_order_number: purchase_order_number.flatten(),
            cancel_reason: row.cancel_reason.map(|reason| reason.0),
            placed_at: row.placed_at,
            updated_at: row.updated_at,
        }
    }

    /// Orders from their rows; one query each for the terms and the lines of all.
    pub(crate) async fn all_of(
        connection: &mut AsyncPgConnection,
        rows: Vec<OrderRow>,
    ) -> diesel::QueryResult<Vec<Self>> {
        let ids: Vec<OrderId> = rows.iter().map(|row| row.id).collect();
        let mut terms: HashMap<_, _> =
            TermsRow::of(connection, &ids).await?.into_iter().map(|terms| (terms.0.order_id, terms)).collect();
        let mut lines: HashMap<_, Vec<_>> = HashMap::new();
        for line in LineRow::of(connection, &ids).await? {
            lines.entry(line.order_id).or_default().push(line);
        }
        let order = |row: OrderRow| {
            let terms = terms.remove(&row.id).ok_or(diesel::result::Error::NotFound)?;
            let lines = lines.remove(&row.id).unwrap_or_default();
            Ok(Self::of(row, terms, lines))
        };
        rows.into_iter().map(order).collect()
    }

    /// One order, whoever's it is.
    pub(crate) async fn find(id: OrderId, connection: &mut AsyncPgConnection) -> diesel::QueryResult<Option<Self>> {
        let rows = orders::table.find(id).select(OrderRow::as_select()).load(connection).await?;
        Ok(Self::all_of(connection, rows).await?.pop())
    }

    /// One order, when it is there and `caller` may see it by themselves.
    pub(crate) async fn visible_to(
        caller: &OwnerOr<OrdersRead>,
        id: OrderId,
        connection: &mut AsyncPgConnection,
    ) -> diesel::QueryResult<Option<Self>> {
        let query = OrderRow::visible_to(caller).filter(orders::id.eq(id));
        let rows = query.select(OrderRow::as_select()).load(connection).await?;
        Ok(Self::all_of(connection, rows).await?.pop())
    }
}
