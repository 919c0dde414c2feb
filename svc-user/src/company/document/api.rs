//! Documents of a company.

use diesel::{ExpressionMethods, QueryDsl, SelectableHelper};
use diesel_async::RunQueryDsl;
use nats::{
    http::{Body, Created, File as Stored, Listed, NoContent},
    idempotency::IdempotencyKey,
    identity::{CompaniesRead, CompaniesWrite, OwnerOr, User},
    problem::Problem,
    types::{CompanyDocumentId, CompanyId, CompanyRole, Cursor, DocumentTypeId, Limit, Page, Text},
};
use poem::web::Data;
use poem_openapi::{
    OpenApi,
    param::{Header, Path, Query},
};

use super::{
    CompanyDocument, DocumentRow, Named, delete, download,
    file::File,
    find, review,
    upload::{self, NewDocument},
};
use crate::{
    Users,
    company::{api::Tag, member::may_read, review::Refusal, values::DocumentState},
    schema::{company_document, document_type},
};

/// The endpoints of documents.
pub struct DocumentApi;

#[OpenApi(prefix_path = "/v1/companies", tag = "Tag::Companies")]
impl DocumentApi {
    /// Upload a document
    ///
    /// The file itself is the body: a PDF, a PNG or a JPEG of up to 2 MiB, with its `Content-Type`. Staff then looks at it. For
    /// admins of the company, which may have up to 100.
    #[oai(path = "/:id/documents", method = "post", operation_id = "upload_company_document")]
    #[expect(clippy::too_many_arguments, reason = "the parameters of the operation")]
    async fn upload(
        &self,
        Data(users): Data<&Users>,
        User(identity): User,
        /// Which company.
        id: Path<CompanyId>,
        /// What kind of document it is.
        document_type_id: Query<DocumentTypeId>,
        /// What to call the file.
        filename: Query<Text<1, 200>>,
        /// Repeats of the request with the same key have no further effect.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<IdempotencyKey>>,
        file: File,
    ) -> Result<Created<CompanyDocument>, Problem> {
        let new = NewDocument { document_type: document_type_id.0, filename: filename.0, file };
        upload::upload(users, (identity.user, id.0), key.0, new).await
    }

    /// List the documents of a company
    ///
    /// The latest first. For admins of the company, and for staff.
    #[oai(path = "/:id/documents", method = "get", operation_id = "list_company_documents")]
    async fn list(
        &self,
        Data(users): Data<&Users>,
        caller: OwnerOr<CompaniesRead>,
        /// Which company.
        id: Path<CompanyId>,
        /// Only documents in this state.
        state: Query<Option<DocumentState>>,
        limit: Query<Limit>,
        cursor: Query<Option<Cursor>>,
    ) -> Result<Listed<CompanyDocument>, Problem> {
        let mut connection = users.database.connection().await?;
        may_read(&mut connection, id.0, &caller, CompanyRole::Admin).await?;
        let theirs =
            company_document::table.inner_join(document_type::table).filter(company_document::company_id.eq(id.0));
        let mut query = theirs
            .select((DocumentRow::as_select(), document_type::name))
            .order(company_document::id.desc())
            .limit(limit.0.rows())
            .into_boxed();
        if let Some(state) = state.0 {
            query = query.filter(company_document::state.eq(state));
        }
        if let Some(cursor) = cursor.0 {
            query = query.filter(company_document::id.lt(cursor.after::<CompanyDocumentId>()?));
        }
        let rows: Vec<Named> = query.load(&mut connection).await?;
        Ok(Listed(Page::from_rows(rows, limit.0, |(row, _)| row.id, CompanyDocument::from)?))
    }

    /// Read about a document
    ///
    /// What is known of it; the file itself is at `/content`. For admins of the company, and for staff.
    #[oai(path = "/:id/documents/:document_id", method = "get", operation_id = "get_company_document")]
    async fn get(
        &self,
        Data(users): Data<&Users>,
        caller: OwnerOr<CompaniesRead>,
        /// Which company.
        id: Path<CompanyId>,
        /// Which document.
        document_id: Path<CompanyDocumentId>,
    ) -> Result<Body<CompanyDocument>, Problem> {
        let mut connection = users.database.connection().await?;
        may_read(&mut connection, id.0, &caller, CompanyRole::Admin).await?;
        Ok(Body(find(&mut connection, id.0, document_id.0).await?.into()))
    }

    /// Download a document
    ///
    /// The file, as it was uploaded. For admins of the company, and for staff.
    #[oai(path = "/:id/documents/:document_id/content", method = "get", operation_id = "download_company_document")]
    async fn download(
        &self,
        Data(users): Data<&Users>,
        caller: OwnerOr<CompaniesRead>,
        /// Which company.
        id: Path<CompanyId>,
        /// Which document.
        document_id: Path<CompanyDocumentId>,
    ) -> Result<Stored, Problem> {
        let mut connection = users.database.connection().await?;
        may_read(&mut connection, id.0, &caller, CompanyRole::Admin).await?;
        let (row, _) = find(&mut connection, id.0, document_id.0).await?;
        // Not while it is looked for in the object store.
        drop(connection);
        download::file(users, row).await
    }

    /// Delete a document
    ///
    /// For admins of the company. One that was accepted stays (`conflict`).
    #[oai(path = "/:id/documents/:document_id", method = "delete", operation_id = "delete_company_document")]
    async fn delete(
        &self,
        Data(users): Data<&Users>,
        User(identity): User,
        /// Which company.
        id: Path<CompanyId>,
        /// Which document.
        document_id: Path<CompanyDocumentId>,
    ) -> Result<NoContent, Problem> {
        delete::delete(users, (identity.user, id.0), document_id.0).await?;
        Ok(NoContent)
    }

    /// Accept a document
    ///
    /// It counts from now on, for as long as its type says. For staff; a `conflict` when it was decided about.
    #[oai(path = "/:id/documents/:document_id/accept", method = "post", operation_id = "accept_company_document")]
    async fn accept(
        &self,
        Data(users): Data<&Users>,
        CompaniesWrite(staff): CompaniesWrite,
        /// Which company.
        id: Path<CompanyId>,
        /// Which document.
        document_id: Path<CompanyDocumentId>,
    ) -> Result<Body<CompanyDocument>, Problem> {
        review::review(users, staff.user, (id.0, document_id.0), None).await.map(Body)
    }

    /// Reject a document
    ///
    /// The company is told why, and may upload another one. For staff; a `conflict` when it was decided about.
    #[oai(path = "/:id/documents/:document_id/reject", method = "post", operation_id = "reject_company_document")]
    async fn reject(
        &self,
        Data(users): Data<&Users>,
        CompaniesWrite(staff): CompaniesWrite,
        /// Which company.
        id: Path<CompanyId>,
        /// Which document.
        document_id: Path<CompanyDocumentId>,
        Body(refusal): Body<Refusal>,
    ) -> Result<Body<CompanyDocument>, Problem> {
        review::review(users, staff.user, (id.0, document_id.0), Some(refusal.reason)).await.map(Body)
    }
}
