//! Reading the final state, over HTTP as staff sees it, and from the mail catcher.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;
use serde_json::Value;

use super::{
    state::{FinalState, Invoice, Notification, Order, Stock, Transaction},
    world::World,
};
use crate::{Result, StackError, error::Doing, mail::MailCatcher};

/// How many pages are read at once.
const AT_ONCE: usize = 8;
/// How many rows a page has.
const PAGE: usize = 100;

/// Reads orders, payments, invoices and stock.
///
/// # Errors
/// The first page that cannot be read.
pub async fn books(world: &World) -> Result<FinalState> {
    let orders = all(world, "/v1/orders").await?.iter().filter_map(order).collect::<BTreeMap<_, _>>();
    let paid = stream::iter(orders).map(|(id, order)| async move {
        let payments = world.client.read(&world.staff, &format!("/v1/orders/{id}/payments")).await?;
        Ok::<_, StackError>((id, Order { transactions: transactions(&payments), ..order }))
    });
    let orders = paid.buffer_unordered(AT_ONCE).try_collect().await?;
    let invoices = all(world, "/v1/invoices").await?.iter().filter_map(invoice).collect();
    Ok(FinalState { orders, invoices, stock: levels(world).await?, ..FinalState::default() })
}

/// The level of each SKU.
///
/// # Errors
/// The first one that cannot be read.
pub async fn levels(world: &World) -> Result<BTreeMap<String, Stock>> {
    let mut levels = BTreeMap::new();
    for (sku, initial) in &world.initial {
        let level = world.client.read(&world.staff, &format!("/v1/stock/{sku}")).await?;
        let (on_hand, reserved, available) =
            (number(&level, "on_hand"), number(&level, "reserved"), number(&level, "available"));
        levels.insert(sku.clone(), Stock { initial: *initial, on_hand, reserved, available });
    }
    Ok(levels)
}

/// How many orders wait for something.
///
/// # Errors
/// When they cannot be listed.
pub async fn pending(world: &World) -> Result<usize> {
    let page = world.client.read(&world.staff, "/v1/orders?status=pending&limit=100").await?;
    Ok(page.get("data").and_then(Value::as_array).map_or(0, Vec::len))
}

/// Every notification, and whether it was written before `until`.
///
/// # Errors
/// The first page that cannot be read.
pub async fn notifications(world: &World, until: DateTime<Utc>) -> Result<BTreeMap<String, Notification>> {
    let notification = |row: &Value| {
        let written: DateTime<Utc> = text(row, "created_at").parse().unwrap_or_default();
        let (template, subject, state) = (text(row, "template"), text(row, "subject"), text(row, "state"));
        (text(row, "id"), Notification { template, subject, state, due: written <= until })
    };
    Ok(all(world, "/v1/notifications").await?.iter().map(notification).collect())
}

/// Which of these invoices can be downloaded, by number.
///
/// # Errors
/// The first one that cannot be read.
pub async fn rendered(world: &World, invoices: &[&Invoice]) -> Result<BTreeSet<String>> {
    let looked_at = stream::iter(invoices.iter().copied()).map(|invoice| async move {
        let page = world.client.read(&world.staff, &format!("/v1/invoices/{}", invoice.id)).await?;
        let state = page.pointer("/documents/0/state").and_then(Value::as_str);
        Ok::<_, StackError>((state == Some("rendered")).then(|| invoice.number.clone()))
    });
    let found: Vec<Option<String>> = looked_at.buffer_unordered(AT_ONCE).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

/// The mails, by Message-ID (without the brackets and the domain), and how often each was taken.
///
/// # Errors
/// When the mail catcher does not answer.
pub async fn mails(catcher: &MailCatcher) -> Result<BTreeMap<String, usize>> {
    /// A mail without its body, of which there are many.
    #[derive(Deserialize)]
    struct Caught {
        #[serde(default)]
        headers: BTreeMap<String, Value>,
    }
    let failed = || "read the mail catcher's mails".to_owned();
    let answer = reqwest::get(format!("{}/email", catcher.url())).await.doing(failed)?;
    let caught: Vec<Caught> = answer.json().await.doing(failed)?;
    let mut mails = BTreeMap::new();
    for mail in caught {
        let id = mail.headers.get("message-id").and_then(Value::as_str).unwrap_or_default();
        let id = id.trim_matches(['<', '>']).split('@').next().unwrap_or_default();
        *mails.entry(id.to_owned()).or_default() += 1;
    }
    Ok(mails)
}

/// Every row of a list, page by page.
async fn all(world: &World, path: &str) -> Result<Vec<Value>> {
    let (mut rows, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let after = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let page = world.client.read(&world.staff, &format!("{path}?limit={PAGE}{after}")).await?;
        rows.extend(page.get("data").and_then(Value::as_array).cloned().unwrap_or_default());
        match page.get("next_cursor").and_then(Value::as_str) {
            Some(next) => cursor = Some(next.to_owned()),
            None => return Ok(rows),
        }
    }
}

/// An order of the run: those of the demo shop have no key in their address.
fn order(row: &Value) -> Option<(String, Order)> {
    let lines = row.get("lines").and_then(Value::as_array)?;
    let order = Order {
        key: row.pointer("/shipping_address/line2").and_then(Value::as_str).unwrap_or_default().to_owned(),
        number: text(row, "number"),
        status: text(row, "status"),
        payment_status: text(row, "payment_status"),
        lines: lines.iter().map(|line| (text(line, "sku"), number(line, "quantity"))).collect(),
        total: row.pointer("/total/amount").and_then(Value::as_i64).unwrap_or_default(),
        transactions: Vec::new(),
    };
    Some((text(row, "id"), order))
}

fn transactions(payments: &Value) -> Vec<Transaction> {
    let rows = |list: Option<&Value>| list.and_then(Value::as_array).cloned().unwrap_or_default();
    let payments = rows(payments.get("data"));
    let transactions = payments.iter().flat_map(|payment| rows(payment.get("transactions")));
    let amount = |row: &Value| row.pointer("/amount/amount").and_then(Value::as_i64).unwrap_or_default();
    transactions.map(|row| Transaction { kind: text(&row, "kind"), amount: amount(&row) }).collect()
}

/// An invoice that was made of an order.
fn invoice(row: &Value) -> Option<Invoice> {
    let order = row.get("order_id").and_then(Value::as_str)?.to_owned();
    let total = row.pointer("/total/amount").and_then(Value::as_i64).unwrap_or_default();
    Some(Invoice { id: text(row, "id"), number: text(row, "number"), order, total, rendered: false })
}

fn text(row: &Value, field: &str) -> String {
    row.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn number(row: &Value, field: &str) -> i64 {
    row.get(field).and_then(Value::as_i64).unwrap_or_default()
}
