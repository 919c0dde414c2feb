//! How a company orders: what its members decide among themselves.

pub mod api;
pub(crate) mod update;

use chrono::{DateTime, Utc};
use diesel::{Queryable, Selectable, pg::Pg};
use nats::types::{Currency, Email, Locale, Money};

use crate::schema::company_configuration;

/// A row of `company_configuration`.
#[derive(Clone, Queryable, Selectable)]
#[diesel(table_name = company_configuration, check_for_backend(Pg))]
pub(crate) struct Configuration {
    pub(crate) currency: Currency,
    pub(crate) locale: Locale,
    pub(crate) invoice_email: Option<Email>,
    pub(crate) purchase_order_required: bool,
    #[diesel(column_name = spending_limit)]
    limit: Option<i64>,
    pub(crate) version: i64,
    pub(crate) updated_at: DateTime<Utc>,
}

impl Configuration {
    /// What one order of a buyer may come to.
    pub(crate) fn spending_limit(&self) -> Option<Money> {
        self.limit.map(|amount| Money::new(amount, self.currency))
    }
}
