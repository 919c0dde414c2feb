//! `POST /v1/document-types`: from now on companies are asked for another document.

use diesel::{ExpressionMethods, SelectableHelper, insert_into};
use diesel_async::RunQueryDsl;
use nats::{
    http::Created,
    idempotency::{Claim, IdempotencyKey, claim},
    problem::Problem,
    types::{CountryCode, DocumentTypeId, Text, UserId},
};
use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use super::{DocumentType, TypeRow, check, taken};
use crate::{Users, schema::document_type};

/// A document type that is to be made.
#[derive(Serialize, Deserialize, Object)]
#[serde(deny_unknown_fields)]
#[oai(deny_unknown_fields)]
pub(crate) struct NewDocumentType {
    /// What it is called; no other one may be called so.
    name: Text<1, 100>,
    /// What it is, for whoever has to find it.
    description: Option<Text<1, 500>>,
    /// Whether a company is only approved with one.
    #[serde(default)]
    #[oai(default)]
    required: bool,
    /// For companies in these countries (ISO 3166-1); empty for all.
    #[serde(default)]
    #[oai(default, validator(max_items = 250))]
    countries: Vec<CountryCode>,
    /// For how many days one is good once it was accepted, 1 to 3660; for ever when absent.
    #[oai(validator(minimum(value = "1"), maximum(value = "3660")))]
    validity_days: Option<i32>,
}

/// Makes it. Companies that are active already stay so.
pub(crate) async fn create(
    users: &Users,
    staff: UserId,
    key: Option<IdempotencyKey>,
    new: NewDocumentType,
) -> Result<Created<DocumentType>, Problem> {
    check(&new.countries, new.validity_days)?;
    let mut tx = users.database.begin().await?;
    let slot = match claim(&mut tx, &staff, "create_document_type", key, &new).await? {
        Claim::New(slot) => slot,
        Claim::Replay { location, body } => return Ok(Created { location, body, replayed: true }),
    };
    let row: TypeRow = insert_into(document_type::table)
        .values((
            document_type::id.eq(DocumentTypeId::new()),
            document_type::name.eq(new.name),
            document_type::description.eq(new.description),
            document_type::required.eq(new.required),
            document_type::countries.eq(new.countries),
            document_type::validity_days.eq(new.validity_days),
        ))
        .returning(TypeRow::as_returning())
        .get_result(&mut tx)
        .await
        .map_err(taken)?;
    let (location, body) = (format!("/v1/document-types/{}", row.id), DocumentType::from(row));
    slot.store(&mut tx, 201, &location, &body).await?;
    tx.commit().await?;
    Ok(Created::new(location, body))
}
