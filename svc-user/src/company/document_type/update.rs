//! `PATCH /v1/document-types/{id}`: what is sent changes, everything else stays.

use diesel::{ExpressionMethods, QueryDsl, SelectableHelper, dsl::now};
use diesel_async::RunQueryDsl;
use nats::{
    problem::Problem,
    types::{CountryCode, DocumentTypeId, Text},
};
use poem_openapi::{Object, types::MaybeUndefined};
use serde::Deserialize;

use super::{TypeRow, check, taken};
use crate::{
    Users,
    company::{update::changed, version},
    schema::document_type,
};

/// What is to change; null takes away what need not be there.
#[derive(Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields)]
pub(crate) struct DocumentTypeChanges {
    /// What it is called; no other one may be called so.
    name: Option<Text<1, 100>>,
    /// What it is, for whoever has to find it.
    #[serde(default)]
    #[oai(nullable)]
    description: MaybeUndefined<Text<1, 500>>,
    /// Whether a company is only approved with one.
    required: Option<bool>,
    /// For companies in these countries (ISO 3166-1); empty for all.
    #[oai(validator(max_items = 250))]
    countries: Option<Vec<CountryCode>>,
    /// For how many days one that is accepted from now on is good, 1 to 3660.
    #[serde(default)]
    #[oai(nullable)]
    validity_days: MaybeUndefined<i32>,
}

/// Changes it, if it is still what `if_match` says. What was accepted before stays as it is.
pub(crate) async fn update(
    users: &Users,
    id: DocumentTypeId,
    if_match: Option<&str>,
    changes: DocumentTypeChanges,
) -> Result<TypeRow, Problem> {
    let mut tx = users.database.begin().await?;
    let before = TypeRow::lock(&mut tx, id).await?.ok_or_else(|| Problem::not_found("document type"))?;
    version::check(if_match, before.version)?;
    let countries = changes.countries.unwrap_or(before.countries);
    let validity_days = changed(changes.validity_days, before.validity_days);
    check(&countries, validity_days)?;
    let row: TypeRow = diesel::update(document_type::table.find(id))
        .set((
            document_type::name.eq(changes.name.unwrap_or(before.name)),
            document_type::description.eq(changed(changes.description, before.description)),
            document_type::required.eq(changes.required.unwrap_or(before.required)),
            document_type::countries.eq(countries),
            document_type::validity_days.eq(validity_days),
            document_type::version.eq(before.version + 1),
            document_type::updated_at.eq(now),
        ))
        .returning(TypeRow::as_returning())
        .get_result(&mut tx)
        .await
        .map_err(taken)?;
    tx.commit().await?;
    Ok(row)
}
