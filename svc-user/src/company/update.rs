//! `PATCH /v1/companies/{id}`: what is sent changes, everything else stays.
//!
//! Staff approved who the company said it was. Saying something else takes it back to `pending`, or, once it was rejected, is
//! how it is looked at again. A suspended company stays suspended, whatever it says.

use diesel::{ExpressionMethods, QueryDsl, SelectableHelper, dsl::now};
use diesel_async::RunQueryDsl;
use nats::{
    problem::Problem,
    types::{Address, CompanyId, CompanyRole, Email, Eori, Name, Text, UserId, VatId, postal},
};
use poem_openapi::{Object, types::MaybeUndefined};
use serde::Deserialize;

use super::{
    Company,
    member::{Member, no_such_company},
    values::CompanyStatus,
    version,
    view::CompanyView,
};
use crate::{Users, schema::company};

/// What is to change; null takes away what need not be there.
#[derive(Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields)]
pub(crate) struct CompanyChanges {
    /// What it is called.
    name: Option<Name>,
    /// What it is called in the register, when that is something else.
    #[serde(default)]
    #[oai(nullable)]
    legal_name: MaybeUndefined<Name>,
    /// Its VAT identifier, in the form of its country.
    #[serde(default)]
    #[oai(nullable)]
    vat_id: MaybeUndefined<VatId>,
    /// Its entry in the commercial register.
    #[serde(default)]
    #[oai(nullable)]
    registration_number: MaybeUndefined<Text<1, 100>>,
    /// Who it is to customs.
    #[serde(default)]
    #[oai(nullable)]
    eori: MaybeUndefined<Eori>,
    /// Where mail to it goes.
    email: Option<Email>,
    /// In any notation.
    #[serde(default)]
    #[oai(nullable)]
    phone: MaybeUndefined<Text<1, 32>>,
    /// Where it is: the whole address.
    address: Option<Address>,
}

impl CompanyChanges {
    /// The company as it is afterwards.
    fn of(self, before: &Company) -> Company {
        let mut after = before.clone();
        after.name = self.name.unwrap_or(after.name);
        after.legal_name = changed(self.legal_name, after.legal_name);
        after.vat_id = changed(self.vat_id, after.vat_id);
        after.registration_number = changed(self.registration_number, after.registration_number);
        after.eori = changed(self.eori, after.eori);
        after.email = self.email.unwrap_or(after.email);
        after.phone = changed(self.phone, after.phone);
        after.address = self.address.unwrap_or(after.address);
        if after.says_otherwise(before) && before.status != CompanyStatus::Suspended {
            after.status = CompanyStatus::Pending;
            after.status_reason = None;
        }
        after
    }
}

/// What there is afterwards.
pub(super) fn changed<T>(change: MaybeUndefined<T>, before: Option<T>) -> Option<T> {
    match change {
        MaybeUndefined::Undefined => before,
        MaybeUndefined::Null => None,
        MaybeUndefined::Value(value) => Some(value),
    }
}

/// Changes the company, if it is still what `if_match` says; with its version afterwards.
pub(crate) async fn update(
    users: &Users,
    (caller, id): (UserId, CompanyId),
    if_match: Option<&str>,
    changes: CompanyChanges,
) -> Result<(CompanyView, i64), Problem> {
    changes.address.as_ref().map_or(Ok(()), |address| postal::check(address, "/address"))?;
    let mut tx = users.database.begin().await?;
    let caller = Member::locking(&mut tx, id, caller).await?.at_least(CompanyRole::Admin)?;
    let before = Company::lock(&mut tx, id).await?.ok_or_else(no_such_company)?;
    version::check(if_match, before.version)?;
    let after = changes.of(&before);
    let company: Company = diesel::update(company::table.find(id))
        .set((
            company::name.eq(after.name),
            company::legal_name.eq(after.legal_name),
            company::vat_id.eq(after.vat_id),
            company::registration_number.eq(after.registration_number),
            company::eori.eq(after.eori),
            company::email.eq(after.email),
            company::phone.eq(after.phone),
            company::address.eq(after.address),
            company::status.eq(after.status),
            company::status_reason.eq(after.status_reason),
            company::version.eq(before.version + 1),
            company::updated_at.eq(now),
        ))
        .returning(Company::as_returning())
        .get_result(&mut tx)
        .await?;
    tx.commit().await?;
    let version = company.version;
    Ok((CompanyView::of(company, Some(caller.role)), version))
}
