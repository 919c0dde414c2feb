//! `GET /v1/companies/{id}/documents/{document_id}/content`: the file itself, streamed from the object store.

use diesel::{ExpressionMethods, QueryDsl};
use diesel_async::RunQueryDsl;
use nats::{
    contracts::user::company::COMPANY_DOCUMENTS,
    http::File,
    problem::{Code, Problem},
};

use super::DocumentRow;
use crate::{Users, schema::company_document_content};

/// The file; a copy is put into the object store unless there is one.
pub(crate) async fn file(users: &Users, row: DocumentRow) -> Result<File, Problem> {
    let object = row.id.to_string();
    let away = |error: nats::objects::ObjectError| {
        let detail = "The document cannot be had at the moment; try again in a moment.";
        Problem::new(Code::Unavailable, detail).because(error)
    };
    if !users.objects.has(COMPANY_DOCUMENTS, &object).await.map_err(away)? {
        let mut connection = users.database.connection().await?;
        let content: Vec<u8> = company_document_content::table
            .filter(company_document_content::document_id.eq(row.id))
            .select(company_document_content::content)
            .first(&mut connection)
            .await?;
        drop(connection);
        users.objects.put(COMPANY_DOCUMENTS, &object, content.into()).await.map_err(away)?;
    }
    Ok(File {
        bucket: COMPANY_DOCUMENTS,
        object,
        content_type: row.media_type,
        filename: row.filename.into_string(),
        size: u64::try_from(row.size).unwrap_or_default(),
        sha256: row.sha256,
    })
}
