//! `DELETE /v1/document-types/{id}`: none is asked for any more; what companies have shown stays.

use diesel::{ExpressionMethods, QueryDsl, dsl::sql, sql_types};
use diesel_async::RunQueryDsl;
use nats::{problem::Problem, types::DocumentTypeId};

use crate::{Users, schema::document_type};

/// Retires it; once more changes nothing.
pub(crate) async fn retire(users: &Users, id: DocumentTypeId) -> Result<(), Problem> {
    let mut connection = users.database.connection().await?;
    let since = sql::<sql_types::Nullable<sql_types::Timestamptz>>("coalesce(retired_at, now())");
    let retired = diesel::update(document_type::table.find(id))
        .set(document_type::retired_at.eq(since))
        .execute(&mut connection)
        .await?;
    if retired == 0 { Err(Problem::not_found("document type")) } else { Ok(()) }
}
