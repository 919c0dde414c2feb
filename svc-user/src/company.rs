//! Companies: people who buy together, in roles, on terms of their own.
//!
//! | module | what is in it |
//! |---|---|
//! | [`api`] | companies: onboarding, and what staff decides about them |
//! | [`member`] | who may do what in a company |
//! | [`configuration`] | how it orders |
//! | [`invitation`] | how one becomes a member: by a link that comes with a mail |
//! | [`document_type`], [`document`] | what companies have to show, and what they show |
//!
//! A company is `pending` until staff has looked at it and at its documents; only an `active` one orders.
//!
//! Trap: what is a company's is found through `member::Member` alone, which tells strangers that there is no such company.
//! Whoever changes something of a company holds the lock of its row, so that of two who come at once the second sees what
//! the first did: the last owner cannot leave twice.

pub mod api;
pub mod configuration;
pub(crate) mod create;
pub mod document;
pub mod document_type;
pub mod invitation;
pub mod member;
pub(crate) mod membership;
pub(crate) mod review;
pub(crate) mod update;
pub mod values;
pub(crate) mod version;
pub mod view;

use chrono::{DateTime, Utc};
use diesel::{OptionalExtension, QueryDsl, Queryable, Selectable, SelectableHelper, pg::Pg};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use nats::{
    database::DatabaseError,
    types::{Address, CompanyId, Email, Eori, Name, Text, VatId},
};

use crate::schema::company;
use values::{CompanyStatus, Reason};

/// A row of `company`.
#[derive(Clone, Queryable, Selectable)]
#[diesel(table_name = company, check_for_backend(Pg))]
pub(crate) struct Company {
    pub(crate) id: CompanyId,
    pub(crate) name: Name,
    pub(crate) legal_name: Option<Name>,
    pub(crate) vat_id: Option<VatId>,
    pub(crate) registration_number: Option<Text<1, 100>>,
    pub(crate) eori: Option<Eori>,
    pub(crate) email: Email,
    pub(crate) phone: Option<Text<1, 32>>,
    pub(crate) address: Address,
    pub(crate) status: CompanyStatus,
    pub(crate) status_reason: Option<Reason>,
    pub(crate) version: i64,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
}

impl Company {
    /// Keeps others from changing the company, and whatever is its, until the transaction ends.
    pub(crate) async fn lock(connection: &mut AsyncPgConnection, id: CompanyId) -> Result<Option<Self>, DatabaseError> {
        let found = company::table.find(id).select(Self::as_select()).for_no_key_update().first(connection).await;
        Ok(found.optional()?)
    }

    /// Whether staff would have to look again: at who it says it is.
    pub(crate) fn says_otherwise(&self, before: &Self) -> bool {
        let who = |company: &Self| {
            (
                company.name.clone(),
                company.legal_name.clone(),
                company.vat_id.clone(),
                company.registration_number.clone(),
                company.eori.clone(),
                company.address.country,
            )
        };
        who(self) != who(before)
    }
}
