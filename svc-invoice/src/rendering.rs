//! The documents of an invoice: queued with its number, rendered by a worker, kept in the object store.
//!
//! | setting | meaning | when unset |
//! |---|---|---|
//! | `WEASYPRINT` | the WeasyPrint program, a path or a name on `PATH` | `weasyprint` |
//! | `RENDERER` | `forkserver`, or `cli` for a run of the program per document, four times slower | `forkserver` |
//! | `RENDER_CONCURRENCY` | documents that one instance renders at once; each takes some 60 MB | 2 |
//! | `RENDER_DEADLINE_S` | seconds that one attempt at a document may take | 20 |
//! | `RENDER_MEMORY_MB` | address space of one document | 1024 |
//! | `SELLER_COLOR`, `SELLER_ACCENT_COLOR` | the colors of all documents, as `#12304f` | the shop's blue and green |
//! | `SELLER_LOGO_PATH` | a file in SVG, PNG or JPEG of 256 KiB at most, for the invoices of orders | the shop's mark and name |
//!
//! Trap: the table `document` is the queue. Issuing an invoice only wakes the worker; what an instance had begun when it
//! died is found by the others once its lease has run out.

pub(crate) mod link;
mod make;
pub(crate) mod restore;
pub(crate) mod work;

use std::{sync::Arc, time::Duration};

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, Queryable, Selectable, SelectableHelper, pg::Pg};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use nats::{
    config::Settings,
    contracts::invoice::DOCUMENTS,
    http::File,
    problem::{Code, Problem},
    service::StartError,
    types::InvoiceId,
    work::Queue,
};

use crate::{
    document::{
        Renderer, RendererSettings, TemplateError, Templates,
        format::Conventions,
        labels::Language,
        render::BackEnd,
        theme::{Logo, Theme},
    },
    invoice::{
        Invoice,
        values::{DocumentFormat, DocumentState, InvoiceType},
    },
    schema::document,
};

/// A page of a thousand lines with a long text each.
const LARGEST_PAGE: usize = 8 << 20;

/// What documents are made with.
pub(crate) struct Press {
    templates: Arc<Templates>,
    renderer: Renderer,
    /// The documents that are to be rendered.
    pub(crate) queue: Queue,
}

impl Press {
    /// As the settings say.
    ///
    /// # Errors
    /// A setting that does not parse, or a template that does not.
    pub(crate) fn read(settings: &Settings) -> Result<Self, StartError> {
        let program = settings.get("WEASYPRINT")?.unwrap_or_else(|| "weasyprint".to_owned());
        let concurrency = settings.parse("RENDER_CONCURRENCY", 2_usize)?.max(1);
        let deadline = Duration::from_secs(settings.parse("RENDER_DEADLINE_S", 20_u64)?.max(1));
        let wrong = |error: TemplateError| StartError::Other(error.to_string());
        let templates = Templates::themed(&theme(settings)?).map_err(wrong)?;
        let renderer = Renderer::new(RendererSettings {
            back_end: settings.parse("RENDERER", BackEnd::default())?,
            concurrency,
            deadline,
            max_page_bytes: LARGEST_PAGE,
            warm_up: templates.specimen().map_err(wrong)?,
            memory: settings.parse("RENDER_MEMORY_MB", 1024_u64)?.clamp(256, 1 << 20) << 20,
            ..RendererSettings::new(program)
        });
        Ok(Self { templates: Arc::new(templates), renderer, queue: Queue::new(concurrency) })
    }

    /// Says in the log whether documents can be rendered. Invoices are issued either way.
    pub(crate) fn check(&self) {
        let renderer = self.renderer.clone();
        tokio::spawn(async move {
            match renderer.check().await {
                Ok(version) => tracing::info!(version, "WeasyPrint is there"),
                Err(error) => tracing::error!(internal = error.internal(), "no document can be rendered: {error}"),
            }
        });
    }
}

/// How the documents look.
fn theme(settings: &Settings) -> Result<Theme, StartError> {
    let usual = Theme::default();
    let logo = |path: String| {
        let wrong = |error: String| StartError::Other(format!("setting SELLER_LOGO_PATH, {path}: {error}"));
        let bytes = std::fs::read(&path).map_err(|error| wrong(error.to_string()))?;
        Logo::new(&bytes).map_err(wrong)
    };
    Ok(Theme {
        brand: settings.parse("SELLER_COLOR", usual.brand)?,
        accent: settings.parse("SELLER_ACCENT_COLOR", usual.accent)?,
        logo: settings.get("SELLER_LOGO_PATH")?.map(logo).transpose()?,
    })
}

/// A row of `document`.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = document, check_for_backend(Pg))]
pub(crate) struct Document {
    pub(crate) format: DocumentFormat,
    pub(crate) state: DocumentState,
    pub(crate) object: Option<String>,
    pub(crate) size: Option<i64>,
    pub(crate) sha256: Option<String>,
    pub(crate) content_type: Option<String>,
    pub(crate) error: Option<String>,
}

impl Document {
    /// All of one invoice.
    pub(crate) async fn of_invoice(
        connection: &mut AsyncPgConnection,
        invoice: InvoiceId,
    ) -> diesel::QueryResult<Vec<Self>> {
        let all = document::table.filter(document::invoice_id.eq(invoice)).order(document::format);
        all.select(Self::as_select()).load(connection).await
    }

    /// One of one invoice.
    pub(crate) async fn find(
        connection: &mut AsyncPgConnection,
        invoice: InvoiceId,
        format: DocumentFormat,
    ) -> diesel::QueryResult<Option<Self>> {
        document::table.find((invoice, format)).select(Self::as_select()).first(connection).await.optional()
    }

    /// Why a document that has no row is not there: it comes with the invoice's number, or never.
    pub(crate) fn none_yet(invoice: &Invoice, format: DocumentFormat) -> Problem {
        if !invoice.is_issued() && invoice.data.formats.contains(&format) {
            return Problem::new(Code::Conflict, "The invoice is still being issued; try again in a moment.");
        }
        Problem::not_found("document")
    }

    /// The file, to be streamed from the object store.
    ///
    /// # Errors
    /// `conflict` while it is not rendered.
    pub(crate) fn file(self, invoice: &Invoice) -> Result<File, Problem> {
        let (Some(object), Some(sha256), Some(content_type)) = (self.object, self.sha256, self.content_type) else {
            let detail = match self.error.filter(|_| self.state == DocumentState::Failed) {
                Some(error) => format!("The document could not be rendered. {error}"),
                None => "The document is being rendered; try again in a moment.".to_owned(),
            };
            return Err(Problem::new(Code::Conflict, detail));
        };
        let size = self.size.and_then(|size| u64::try_from(size).ok()).unwrap_or_default();
        Ok(File { bucket: DOCUMENTS, object, content_type, filename: file_name(invoice, self.format), size, sha256 })
    }
}

/// `Rechnung-A-2026-000001.pdf`, in the language of the invoice, if that is written in Latin letters: the others would be
/// underscores.
fn file_name(invoice: &Invoice, format: DocumentFormat) -> String {
    let written = Conventions::of(invoice.data.locale.as_str());
    let latin = written.labels().invoice.starts_with(|letter: char| letter.is_ascii());
    let labels = if latin { written.labels() } else { Language::En.labels() };
    let heading = match invoice.kind {
        InvoiceType::Invoice => &labels.invoice,
        InvoiceType::CreditNote => &labels.credit_note,
        InvoiceType::Corrected => &labels.corrected_invoice,
    };
    let number = invoice.number.as_deref().unwrap_or_default();
    format!("{}-{number}.{}", heading.replace(' ', "-"), format.extension())
}
