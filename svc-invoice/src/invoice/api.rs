//! Invoices and their documents, for their owners and for staff.

use diesel::{ExpressionMethods, QueryDsl, SelectableHelper};
use diesel_async::RunQueryDsl;
use nats::{
    http::{Accepted, Body, File, Listed},
    idempotency::IdempotencyKey,
    identity::{InvoicesRead, OwnerOr, User, Visitor},
    problem::Problem,
    types::{CompanyId, Cursor, InvoiceId, Limit, OrderId, Page},
};
use poem::web::Data;
use poem_openapi::{
    OpenApi, Tags,
    param::{Header, Path, Query},
};

use super::{
    Invoice, company,
    content::InvoiceUpload,
    raw::Raw,
    resource::InvoiceResource,
    summary::{InvoiceSummary, SummaryRow},
    upload,
    values::{DocumentFormat, InvoiceState},
};
use crate::{
    Invoices,
    rendering::{Document, link, restore},
    schema::{invoice, invoice_company},
};

#[derive(Tags)]
enum Tag {
    /// Invoices and their documents.
    Invoices,
}

/// The endpoints of invoices.
pub struct InvoiceApi;

#[OpenApi(prefix_path = "/v1", tag = "Tag::Invoices")]
impl InvoiceApi {
    /// Upload an invoice
    ///
    /// The invoice is checked and accepted; a worker then gives it its number and renders it. Follow `state` and
    /// `documents` of the resource that `Location` names.
    #[oai(path = "/invoices", method = "post", operation_id = "upload_invoice")]
    async fn upload(
        &self,
        Data(invoices): Data<&Invoices>,
        User(identity): User,
        /// Makes a repetition of the request harmless.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<IdempotencyKey>>,
        raw: Raw<InvoiceUpload>,
    ) -> Result<Accepted<InvoiceSummary>, Problem> {
        upload::upload(invoices, &identity, key.0, raw).await
    }

    /// List invoices
    ///
    /// Your own, newest first; with `company_id` those of a company you are in; everyone's for whoever may read those. A company
    /// you are not in is `not_found`.
    #[oai(path = "/invoices", method = "get", operation_id = "list_invoices")]
    async fn list(
        &self,
        Data(invoices): Data<&Invoices>,
        caller: OwnerOr<InvoicesRead>,
        /// Only those in this state.
        state: Query<Option<InvoiceState>>,
        /// Only those of this company, whoever of its members ordered; for its members.
        company_id: Query<Option<CompanyId>>,
        limit: Query<Limit>,
        cursor: Query<Option<Cursor>>,
    ) -> Result<Listed<InvoiceSummary>, Problem> {
        let mut query = invoice::table.select(SummaryRow::as_select()).into_boxed();
        if let Some(company) = company_id.0 {
            company::may_list(invoices, caller.identity(), company).await?;
            let theirs = invoice_company::table.filter(invoice_company::company_id.eq(company));
            query = query.filter(invoice::id.eq_any(theirs.select(invoice_company::invoice_id)));
        } else if !caller.reaches_all() {
            query = query.filter(invoice::user_id.eq(caller.identity().user));
        }
        if let Some(state) = state.0 {
            query = query.filter(invoice::state.eq(state));
        }
        if let Some(cursor) = &cursor.0 {
            query = query.filter(invoice::id.lt(cursor.after::<InvoiceId>()?));
        }
        let mut connection = invoices.database.connection().await?;
        let rows = query.order(invoice::id.desc()).limit(limit.0.rows()).load(&mut connection).await?;
        Ok(Listed(Page::from_rows(rows, limit.0, |row: &SummaryRow| row.id, InvoiceSummary::from)?))
    }

    /// Read an invoice
    ///
    /// With its totals, and how far its documents are.
    #[oai(path = "/invoices/:id", method = "get", operation_id = "get_invoice")]
    async fn get(
        &self,
        Data(invoices): Data<&Invoices>,
        caller: OwnerOr<InvoicesRead>,
        id: Path<InvoiceId>,
    ) -> Result<Body<InvoiceResource>, Problem> {
        let invoice = Invoice::visible(invoices, &caller, id.0).await?;
        let mut connection = invoices.database.connection().await?;
        let documents = Document::of_invoice(&mut connection, invoice.id).await?;
        Ok(Body(InvoiceResource::of(invoice, documents)))
    }

    /// Download a document
    ///
    /// The file, for the invoice's owner, for whoever holds `invoices:read`, and for whoever has a link with a token. A
    /// document that is not rendered yet is a `conflict`.
    #[oai(path = "/invoices/:id/documents/:format", method = "get", operation_id = "get_invoice_document")]
    async fn document(
        &self,
        Data(invoices): Data<&Invoices>,
        Visitor(identity): Visitor,
        id: Path<InvoiceId>,
        format: Path<DocumentFormat>,
        /// The token of a link from a mail; whoever has it needs no sign-in.
        token: Query<Option<String>>,
    ) -> Result<File, Problem> {
        let mut connection = invoices.database.connection().await?;
        let found = Invoice::find(&mut connection, id.0).await?;
        let invoice = found.ok_or_else(|| Problem::not_found("document"))?;
        if !link::opens(&mut connection, token.0.as_deref(), id.0, format.0).await? {
            // Not while svc-user may be asked.
            drop(connection);
            let readable = match identity {
                Some(identity) => company::may_read(invoices, &identity, &invoice).await?,
                None => false,
            };
            if !readable {
                return Err(Problem::not_found("document"));
            }
            connection = invoices.database.connection().await?;
        }
        let document = Document::find(&mut connection, id.0, format.0).await?;
        // Not while it is looked for in the object store.
        drop(connection);
        let document = document.ok_or_else(|| Document::none_yet(&invoice, format.0))?;
        restore::restored(invoices, &invoice, document).await?.file(&invoice)
    }

    /// Read an order's invoice
    ///
    /// Not found until the order is confirmed and its invoice issued.
    #[oai(path = "/orders/:id/invoice", method = "get", operation_id = "get_order_invoice")]
    async fn of_order(
        &self,
        Data(invoices): Data<&Invoices>,
        caller: OwnerOr<InvoicesRead>,
        id: Path<OrderId>,
    ) -> Result<Body<InvoiceResource>, Problem> {
        let none = || Problem::not_found("invoice of this order");
        let found = Invoice::of_order(&mut *invoices.database.connection().await?, id.0).await?;
        let invoice = found.filter(Invoice::is_issued).ok_or_else(none)?;
        if !company::may_read(invoices, caller.identity(), &invoice).await? {
            return Err(none());
        }
        let mut connection = invoices.database.connection().await?;
        let documents = Document::of_invoice(&mut connection, invoice.id).await?;
        Ok(Body(InvoiceResource::of(invoice, documents)))
    }
}
