//! `PATCH /v1/companies/{id}/configuration`: what is sent changes, everything else stays.

use diesel::{ExpressionMethods, QueryDsl, SelectableHelper, dsl::now};
use diesel_async::RunQueryDsl;
use nats::{
    problem::Problem,
    types::{CompanyId, CompanyRole, Currency, Email, Locale, Money, UserId},
};
use poem_openapi::{Object, types::MaybeUndefined};
use serde::Deserialize;

use super::Configuration;
use crate::{
    Users,
    company::{member::Member, update::changed, version},
    schema::company_configuration,
};

/// What is to change; null takes away what need not be there.
#[derive(Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields)]
pub(crate) struct ConfigurationChanges {
    /// What it orders in (ISO 4217).
    currency: Option<Currency>,
    /// What its invoices are written in.
    locale: Option<Locale>,
    /// Where its invoices go, when that is not the company's address.
    #[serde(default)]
    #[oai(nullable)]
    invoice_email: MaybeUndefined<Email>,
    /// Whether each of its orders needs a number of the company's own books.
    purchase_order_required: Option<bool>,
    /// What one order of a buyer may come to, taxes included; in the currency it orders in.
    #[serde(default)]
    #[oai(nullable)]
    spending_limit: MaybeUndefined<Money>,
}

impl ConfigurationChanges {
    /// The configuration as it is afterwards.
    fn of(self, before: Configuration) -> Result<Configuration, Problem> {
        let currency = self.currency.unwrap_or(before.currency);
        let limit = changed(self.spending_limit, before.spending_limit());
        if let Some(limit) = limit {
            if limit.currency != currency {
                let detail = format!("the limit is in {}, the company orders in {currency}", limit.currency);
                return Err(Problem::invalid("/spending_limit", detail));
            }
            if limit.amount <= 0 {
                return Err(Problem::invalid("/spending_limit/amount", "a limit is above zero; null takes it away"));
            }
        }
        Ok(Configuration {
            currency,
            locale: self.locale.unwrap_or(before.locale),
            invoice_email: changed(self.invoice_email, before.invoice_email),
            purchase_order_required: self.purchase_order_required.unwrap_or(before.purchase_order_required),
            limit: limit.map(|limit| limit.amount),
            ..before
        })
    }
}

/// Changes the configuration, if it is still what `if_match` says.
pub(crate) async fn update(
    users: &Users,
    (caller, company): (UserId, CompanyId),
    if_match: Option<&str>,
    changes: ConfigurationChanges,
) -> Result<Configuration, Problem> {
    let mut tx = users.database.begin().await?;
    Member::locking(&mut tx, company, caller).await?.at_least(CompanyRole::Admin)?;
    let row = company_configuration::table.find(company);
    let before: Configuration = row.select(Configuration::as_select()).first(&mut tx).await?;
    version::check(if_match, before.version)?;
    let after = changes.of(before)?;
    let configuration = diesel::update(row)
        .set((
            company_configuration::currency.eq(after.currency),
            company_configuration::locale.eq(after.locale),
            company_configuration::invoice_email.eq(after.invoice_email),
            company_configuration::purchase_order_required.eq(after.purchase_order_required),
            company_configuration::spending_limit.eq(after.limit),
            company_configuration::version.eq(after.version + 1),
            company_configuration::updated_at.eq(now),
        ))
        .returning(Configuration::as_returning())
        .get_result(&mut tx)
        .await?;
    tx.commit().await?;
    Ok(configuration)
}
