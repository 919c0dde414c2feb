//! Preferences: what people want of us. Each has an effect, and none is needed.
//!
//! | preference | effect |
//! |---|---|
//! | language | of mails, invoices, amounts and dates; it is the profile's |
//! | currency | what an order is paid in that does not say |
//! | mails about orders, mails about invoices | those that are not wanted are noted as `suppressed`, and not sent |
//!
//! Mails that keep an account safe, with links to set a password or to verify an address, are sent to everybody.

pub mod api;
pub(crate) mod update;

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, Queryable, Selectable, SelectableHelper};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use nats::{
    contracts::user::{EmailPreferences, Preferences},
    database::DatabaseError,
    types::{Currency, UserId},
};

use crate::schema::preference;

/// A row of `preference`, for those who have said something.
#[derive(Debug, Clone, Copy, Queryable, Selectable)]
#[diesel(table_name = preference)]
struct Said {
    currency: Currency,
    order_emails: bool,
    invoice_emails: bool,
}

impl From<Said> for Preferences {
    fn from(Said { currency, order_emails, invoice_emails }: Said) -> Self {
        Self { currency, emails: EmailPreferences { orders: order_emails, invoices: invoice_emails } }
    }
}

/// What this person prefers.
pub(crate) async fn of(connection: &mut AsyncPgConnection, user: UserId) -> Result<Preferences, DatabaseError> {
    let said = preference::table.filter(preference::user_id.eq(user)).select(Said::as_select()).first(connection).await;
    Ok(said.optional()?.map(Preferences::from).unwrap_or_default())
}
