//! Factur-X 1.0 and ZUGFeRD 2: the page as a PDF/A-3 that carries the invoice for machines, in the profile EN 16931.
//!
//! The trap: PDF/A allows no metadata that it does not know. The properties of Factur-X come with the schema that
//! describes them, or the PDF is none for archives.

use super::cii::cii;
use super::file_error::FileError;
use super::model::Invoice;
use super::page::{Attachment, Page, Relationship, Variant};

/// The metadata: what is attached, and the schema that says so. Nothing of an invoice is in it.
const XMP: &str = include_str!("../../templates/facturx.xmp");
/// The name that readers look for.
const NAME: &str = "factur-x.xml";

/// The invoice's page with the invoice attached; level A, so that people who cannot see it can read it too.
///
/// # Errors
/// A quantity, price or rate that is no decimal number.
pub fn facturx(invoice: &Invoice, html: String) -> Result<Page, FileError> {
    let attachment = Attachment {
        name: NAME,
        description: "Factur-X invoice",
        relationship: Relationship::Alternative,
        date: invoice.issue_date,
        bytes: cii(invoice)?,
    };
    Ok(Page { html, attachments: vec![attachment], variant: Variant::A3a, xmp: Some(XMP.to_owned()) })
}
