//! Document types: what companies have to show, as staff decides.

pub mod api;
pub(crate) mod create;
pub(crate) mod retire;
pub(crate) mod update;

use chrono::{DateTime, Utc};
use diesel::{
    OptionalExtension, QueryDsl, Queryable, Selectable, SelectableHelper,
    pg::Pg,
    result::{DatabaseErrorKind, Error},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use nats::{
    database::DatabaseError,
    problem::{Code, Problem},
    types::{CountryCode, DocumentTypeId, Text},
};
use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use crate::schema::document_type;

/// How many countries a type may name: more than there are.
const MOST_COUNTRIES: usize = 250;
/// The longest validity, in days.
const LONGEST: i32 = 3660;

/// A row of `document_type`.
#[derive(Clone, Queryable, Selectable)]
#[diesel(table_name = document_type, check_for_backend(Pg))]
pub(crate) struct TypeRow {
    pub(crate) id: DocumentTypeId,
    pub(crate) name: Text<1, 100>,
    pub(crate) description: Option<Text<1, 500>>,
    pub(crate) required: bool,
    pub(crate) countries: Vec<CountryCode>,
    pub(crate) validity_days: Option<i32>,
    pub(crate) retired_at: Option<DateTime<Utc>>,
    pub(crate) version: i64,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
}

impl TypeRow {
    pub(crate) async fn find(
        connection: &mut AsyncPgConnection,
        id: DocumentTypeId,
    ) -> Result<Option<Self>, DatabaseError> {
        Ok(document_type::table.find(id).select(Self::as_select()).first(connection).await.optional()?)
    }

    /// Keeps others from changing the type until the transaction ends.
    pub(crate) async fn lock(
        connection: &mut AsyncPgConnection,
        id: DocumentTypeId,
    ) -> Result<Option<Self>, DatabaseError> {
        let found = document_type::table.find(id).select(Self::as_select()).for_no_key_update().first(connection).await;
        Ok(found.optional()?)
    }
}

/// A kind of document that companies show.
#[derive(Clone, Serialize, Deserialize, Object)]
pub struct DocumentType {
    /// Names the type.
    id: DocumentTypeId,
    /// What it is called.
    name: Text<1, 100>,
    /// What it is, for whoever has to find it.
    #[oai(nullable)]
    description: Option<Text<1, 500>>,
    /// Whether a company is only approved with one.
    required: bool,
    /// For companies in these countries (ISO 3166-1); empty for all.
    countries: Vec<CountryCode>,
    /// For how many days one is good once it was accepted; null for ever.
    #[oai(nullable)]
    validity_days: Option<i32>,
    /// Since when none is asked for any more; null while one is.
    #[oai(nullable)]
    retired_at: Option<DateTime<Utc>>,
    /// When it was made.
    created_at: DateTime<Utc>,
    /// When it last changed.
    updated_at: DateTime<Utc>,
}

impl From<TypeRow> for DocumentType {
    fn from(row: TypeRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            description: row.description,
            required: row.required,
            countries: row.countries,
            validity_days: row.validity_days,
            retired_at: row.retired_at,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// Each country once, and a validity that somebody may live to see.
fn check(countries: &[CountryCode], validity_days: Option<i32>) -> Result<(), Problem> {
    if countries.len() > MOST_COUNTRIES {
        return Err(Problem::invalid("/countries", format!("a type names up to {MOST_COUNTRIES} countries")));
    }
    for (index, country) in countries.iter().enumerate() {
        if countries.iter().take(index).any(|before| before == country) {
            return Err(Problem::invalid(format!("/countries/{index}"), format!("{country} is named twice")));
        }
    }
    if validity_days.is_some_and(|days| !(1..=LONGEST).contains(&days)) {
        return Err(Problem::invalid("/validity_days", format!("this must be 1 to {LONGEST}")));
    }
    Ok(())
}

/// There may be one of a name at a time.
fn taken(error: Error) -> Problem {
    match error {
        Error::DatabaseError(DatabaseErrorKind::UniqueViolation, _) => {
            Problem::new(Code::Conflict, "There is a document type of this name.").at("/name", "this name is taken")
        }
        other => other.into(),
    }
}
