//! Document types.

use diesel::{
    BoolExpressionMethods, ExpressionMethods, PgArrayExpressionMethods, QueryDsl, SelectableHelper, dsl::sql, sql_types,
};
use diesel_async::RunQueryDsl;
use nats::{
    http::{Body, Created, Listed, NoContent},
    idempotency::IdempotencyKey,
    identity::{CompaniesWrite, User},
    problem::Problem,
    types::{CountryCode, Cursor, DocumentTypeId, Limit, Page},
};
use poem::web::Data;
use poem_openapi::{
    OpenApi,
    param::{Header, Path, Query},
    payload::Response,
};

use super::{
    DocumentType, TypeRow,
    create::{self, NewDocumentType},
    retire,
    update::{self, DocumentTypeChanges},
};
use crate::{
    Users,
    company::{api::Tag, version::etag},
    schema::document_type,
};

/// A type with its `ETag`.
fn tagged(row: TypeRow) -> Response<Body<DocumentType>> {
    let etag = etag(row.version);
    Response::new(Body(row.into())).header("ETag", etag)
}

/// The endpoints of document types.
pub struct DocumentTypeApi;

#[OpenApi(prefix_path = "/v1/document-types", tag = "Tag::Companies")]
impl DocumentTypeApi {
    /// List what companies have to show
    ///
    /// The types that are asked for at present, in the order in which they were made.
    #[oai(path = "/", method = "get", operation_id = "list_document_types")]
    async fn list(
        &self,
        Data(users): Data<&Users>,
        User(_identity): User,
        /// Only those that companies in this country are asked for (ISO 3166-1).
        country: Query<Option<CountryCode>>,
        limit: Query<Limit>,
        cursor: Query<Option<Cursor>>,
    ) -> Result<Listed<DocumentType>, Problem> {
        let asked_for = document_type::table.filter(document_type::retired_at.is_null());
        let mut query =
            asked_for.select(TypeRow::as_select()).order(document_type::id).limit(limit.0.rows()).into_boxed();
        if let Some(country) = country.0 {
            let everywhere = sql::<sql_types::Bool>("countries = '{}'");
            query = query.filter(document_type::countries.contains(vec![country]).or(everywhere));
        }
        if let Some(cursor) = cursor.0 {
            query = query.filter(document_type::id.gt(cursor.after::<DocumentTypeId>()?));
        }
        let mut connection = users.database.connection().await?;
        let rows: Vec<TypeRow> = query.load(&mut connection).await?;
        Ok(Listed(Page::from_rows(rows, limit.0, |row| row.id, DocumentType::from)?))
    }

    /// Read a document type
    ///
    /// Also one that is not asked for any more.
    #[oai(
        path = "/:id",
        method = "get",
        operation_id = "get_document_type",
        response_header(name = "ETag", ty = "String", description = "Its version, for `If-Match`.")
    )]
    async fn get(
        &self,
        Data(users): Data<&Users>,
        User(_identity): User,
        /// Which.
        id: Path<DocumentTypeId>,
    ) -> Result<Response<Body<DocumentType>>, Problem> {
        let mut connection = users.database.connection().await?;
        let row = TypeRow::find(&mut connection, id.0).await?;
        row.map(tagged).ok_or_else(|| Problem::not_found("document type"))
    }

    /// Ask companies for another document
    ///
    /// For staff. Companies that are active stay so; of those that are not, it is required from now on. A name that is taken
    /// is a `conflict` at `/name`.
    #[oai(path = "/", method = "post", operation_id = "create_document_type")]
    async fn create(
        &self,
        Data(users): Data<&Users>,
        CompaniesWrite(staff): CompaniesWrite,
        /// Repeats of the request with the same key have no further effect.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<IdempotencyKey>>,
        Body(new): Body<NewDocumentType>,
    ) -> Result<Created<DocumentType>, Problem> {
        create::create(users, staff.user, key.0, new).await
    }

    /// Change a document type
    ///
    /// What is sent changes, everything else stays; so does what was accepted before. For staff. A name that is taken is a
    /// `conflict` at `/name`. With `If-Match`, an edit that someone else made in the meantime is not overwritten (412).
    #[oai(
        path = "/:id",
        method = "patch",
        operation_id = "update_document_type",
        response_header(name = "ETag", ty = "String", description = "Its version afterwards.")
    )]
    async fn update(
        &self,
        Data(users): Data<&Users>,
        CompaniesWrite(_staff): CompaniesWrite,
        /// Which.
        id: Path<DocumentTypeId>,
        /// The `ETag` of the type as it was read.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        Body(changes): Body<DocumentTypeChanges>,
    ) -> Result<Response<Body<DocumentType>>, Problem> {
        update::update(users, id.0, if_match.0.as_deref(), changes).await.map(tagged)
    }

    /// Ask for a document no more
    ///
    /// What companies have shown stays. For staff.
    #[oai(path = "/:id", method = "delete", operation_id = "delete_document_type")]
    async fn delete(
        &self,
        Data(users): Data<&Users>,
        CompaniesWrite(_staff): CompaniesWrite,
        /// Which.
        id: Path<DocumentTypeId>,
    ) -> Result<NoContent, Problem> {
        retire::retire(users, id.0).await?;
        Ok(NoContent)
    }
}
