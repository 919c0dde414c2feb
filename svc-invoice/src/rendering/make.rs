//! One document of an invoice: made in its format, and stored.

use std::sync::Arc;

use nats::{
    contracts::invoice::DOCUMENTS,
    objects::{ObjectError, Stored},
};
use tokio::task::{JoinError, spawn_blocking};

use crate::{
    Invoices,
    document::{
        FileError, Invoice as Figures, Page, RenderError, TemplateError, Templates, cii, csv, facturx, ubl, xlsx,
    },
    invoice::{Invoice, page::page, values::DocumentFormat},
};

/// Why there is no document.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unmade {
    /// There will be none.
    #[error("{0}")]
    ForGood(String),
    /// The renderer failed.
    #[error(transparent)]
    Renderer(RenderError),
    /// It was not finished, for the process is ending.
    #[error(transparent)]
    Interrupted(JoinError),
    /// It was made, and could not be stored.
    #[error(transparent)]
    Store(ObjectError),
}

impl From<TemplateError> for Unmade {
    fn from(error: TemplateError) -> Self {
        Self::ForGood(error.to_string())
    }
}

impl From<FileError> for Unmade {
    fn from(error: FileError) -> Self {
        if let FileError::Write(cause) = &error {
            tracing::error!(%cause, "a document cannot be written");
        }
        Self::ForGood(error.to_string())
    }
}

/// What a format is made of.
enum Draft {
    /// A page, still to be rendered.
    Page(Page),
    /// The file.
    File(Vec<u8>),
}

/// Makes the invoice's document of this format and stores it under this name, in place of what is there.
pub(super) async fn make(
    invoices: &Invoices,
    invoice: &Invoice,
    format: DocumentFormat,
    object: &str,
) -> Result<Stored, Unmade> {
    let figures = page(invoice).ok_or_else(|| Unmade::ForGood("The invoice has no number.".to_owned()))?;
    let templates = Arc::clone(&invoices.press.templates);
    // A thousand lines take a processor for a while.
    let drafted = spawn_blocking(move || draft(&templates, &figures, format)).await.map_err(Unmade::Interrupted)?;
    let file = match drafted? {
        Draft::Page(page) => invoices.press.renderer.pdf(page).await.map_err(Unmade::Renderer)?,
        Draft::File(file) => file,
    };
    invoices.objects.put(DOCUMENTS, object, file.into()).await.map_err(Unmade::Store)
}

fn draft(templates: &Templates, figures: &Figures, format: DocumentFormat) -> Result<Draft, Unmade> {
    Ok(match format {
        DocumentFormat::Pdf => Draft::Page(templates.page(figures)?),
        DocumentFormat::Facturx => Draft::Page(facturx(figures, templates.html(figures)?)?),
        DocumentFormat::Xlsx => Draft::File(xlsx(figures)?),
        DocumentFormat::Csv => Draft::File(csv(figures)?),
        DocumentFormat::Ubl => Draft::File(ubl(figures)?),
        DocumentFormat::Cii => Draft::File(cii(figures)?),
    })
}
