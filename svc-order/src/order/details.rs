//! `svc.order.get_order`: an order with all that an invoice or a shipment needs.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, SelectableHelper};
use diesel_async::RunQueryDsl;
use nats::{
    contracts::{
        order::{GetOrder, OrderDetails, OrderLine},
        user::Unknown,
    },
    invoke::CallError,
};

use super::{LineRow, OrderRow, TermsRow, company::CompanyRow};
use crate::{
    Orders,
    schema::{order_company, order_terms, orders},
};

/// The order as it was agreed.
pub(crate) async fn get(service: Orders, question: GetOrder) -> Result<OrderDetails, CallError<Unknown>> {
    let mut connection = service.database.connection().await?;
    let found: Option<(OrderRow, TermsRow, Option<CompanyRow>)> = orders::table
        .inner_join(order_terms::table)
        .left_join(order_company::table)
        .filter(orders::id.eq(question.order_id))
        .select((OrderRow::as_select(), TermsRow::as_select(), Option::<CompanyRow>::as_select()))
        .first(&mut connection)
        .await
        .optional()?;
    let (order, terms, company) = found.ok_or(CallError::Refused(Unknown::Unknown))?;
    let lines = LineRow::of(&mut connection, &[order.id]).await?;
    let line = |line: LineRow| OrderLine {
        sku: line.sku,
        name: line.name,
        quantity: line.quantity,
        unit_price: order.money(line.unit_price),
        tax_category: line.tax_category,
        tax_rate: line.tax_rate.to_string(),
        net: order.money(line.net),
    };
    Ok(OrderDetails {
        order_id: order.id,
        lines: lines.into_iter().map(line).collect(),
        shipping: order.money(order.shipping_price),
        shipping_tax_category: terms.shipping_tax_category,
        shipping_tax_rate: terms.shipping_tax_rate.to_string(),
        tax_total: order.money(order.tax_total),
        total: order.money(order.total),
        number: order.number,
        user_id: order.user_id,
        email: terms.email,
        placed_at: order.placed_at,
        shipping_address: terms.shipping_address,
        company: company.map(Into::into),
    })
}
