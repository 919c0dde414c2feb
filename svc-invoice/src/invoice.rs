//! Invoices: the row, and the ways in to it.
//!
//! A draft becomes issued when it gets its number; from then on nothing of it changes but its state, which the database
//! itself enforces (`invoice_stays_as_issued`).

pub mod api;
pub(crate) mod audit;
pub(crate) mod codes;
pub(crate) mod company;
pub mod content;
pub(crate) mod day;
pub mod identifiers;
pub(crate) mod issue;
pub(crate) mod issue_order;
pub(crate) mod issue_uploaded;
pub(crate) mod mail;
pub(crate) mod page;
pub(crate) mod raw;
pub mod resource;
pub(crate) mod rules;
pub(crate) mod series;
pub mod summary;
pub(crate) mod upload;
pub mod values;

use chrono::{DateTime, NaiveDate, Utc};
use diesel::{
    ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, Selectable, SelectableHelper, pg::Pg,
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use nats::{
    identity::{InvoicesRead, OwnerOr},
    problem::Problem,
    types::{Currency, InvoiceId, Money, OrderId, Totals, UserId},
};

use self::{
    content::Content,
    identifiers::Series,
    values::{InvoiceState, InvoiceType},
};
use crate::{Invoices, schema::invoice};

/// A row of `invoice`.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = invoice, check_for_backend(Pg))]
pub(crate) struct Invoice {
    pub(crate) id: InvoiceId,
    pub(crate) user_id: UserId,
    pub(crate) order_id: Option<OrderId>,
    pub(crate) seller_key: String,
    pub(crate) series: Series,
    pub(crate) year: i32,
    pub(crate) number: Option<String>,
    pub(crate) kind: InvoiceType,
    pub(crate) state: InvoiceState,
    pub(crate) issue_date: NaiveDate,
    pub(crate) data: Content,
    pub(crate) totals: Totals,
    pub(crate) paid_on: Option<NaiveDate>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) issued_at: Option<DateTime<Utc>>,
}

/// A draft to be inserted.
#[derive(Debug, Insertable)]
#[diesel(table_name = invoice, check_for_backend(Pg))]
pub(crate) struct NewInvoice {
    pub(crate) id: InvoiceId,
    pub(crate) user_id: UserId,
    pub(crate) order_id: Option<OrderId>,
    pub(crate) seller_key: String,
    pub(crate) series: Series,
    pub(crate) year: i32,
    pub(crate) number: Option<String>,
    pub(crate) kind: InvoiceType,
    pub(crate) state: InvoiceState,
    pub(crate) issue_date: NaiveDate,
    pub(crate) data: Content,
    pub(crate) totals: Totals,
}

impl Invoice {
    /// The invoice with this id, whoever's.
    pub(crate) async fn find(connection: &mut AsyncPgConnection, id: InvoiceId) -> diesel::QueryResult<Option<Self>> {
        invoice::table.find(id).select(Self::as_select()).first(connection).await.optional()
    }

    /// The invoice with this id, if `caller` may see it.
    ///
    /// # Errors
    /// `not_found` when it does not exist or is someone else's.
    pub(crate) async fn visible(
        invoices: &Invoices,
        caller: &OwnerOr<InvoicesRead>,
        id: InvoiceId,
    ) -> Result<Self, Problem> {
        let found = Self::find(&mut *invoices.database.connection().await?, id).await?;
        let invoice = found.ok_or_else(|| Problem::not_found("invoice"))?;
        let readable = company::may_read(invoices, caller.identity(), &invoice).await?;
        if readable { Ok(invoice) } else { Err(Problem::not_found("invoice")) }
    }

    /// The invoice with this id, locked until the transaction ends.
    pub(crate) async fn lock(tx: &mut AsyncPgConnection, id: InvoiceId) -> diesel::QueryResult<Option<Self>> {
        invoice::table.find(id).select(Self::as_select()).for_update().first(tx).await.optional()
    }

    /// The order's invoice, whoever's.
    pub(crate) async fn of_order(
        connection: &mut AsyncPgConnection,
        order: OrderId,
    ) -> diesel::QueryResult<Option<Self>> {
        invoice::table.filter(invoice::order_id.eq(order)).select(Self::as_select()).first(connection).await.optional()
    }

    /// Whether it has its number: everything but a draft and what came of drafts that were given up.
    pub(crate) const fn is_issued(&self) -> bool {
        matches!(self.state, InvoiceState::Issued | InvoiceState::Paid | InvoiceState::Credited)
    }

    /// The currency of every amount.
    pub(crate) const fn currency(&self) -> Currency {
        self.totals.currency()
    }

    /// What has been paid of it.
    pub(crate) const fn paid(&self) -> Money {
        if self.paid_on.is_some() { self.totals.tax_inclusive } else { Money::zero(self.currency()) }
    }

    /// What is left to pay.
    pub(crate) const fn due(&self) -> Money {
        if self.paid_on.is_some() { Money::zero(self.currency()) } else { self.totals.tax_inclusive }
    }
}
