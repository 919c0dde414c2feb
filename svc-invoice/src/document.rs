//! An invoice as documents: from its figures to a PDF, a spreadsheet, a table, an e-invoice.
//!
//! [`model::Invoice`] holds the figures, already computed. For people [`view`] turns them into text in the reader's
//! language, [`template`] sets that text as HTML, [`render`] prints the HTML as a tagged PDF/A-3, and [`mod@xlsx`]
//! writes a spreadsheet. For programs [`mod@csv`] writes a table, [`mod@ubl`] and [`mod@cii`] the two notations of
//! EN 16931; [`mod@facturx`] is the page with the latter attached.
//!
//! The trap: everything below [`model`] comes from outside. Nothing of it reaches the page unescaped, and the page
//! can reach neither the network nor the disk, even if something did.

pub mod cii;
mod columns;
pub mod csv;
mod direction;
mod e_invoice;
pub mod facturx;
pub mod file_error;
pub mod format;
pub mod labels;
pub mod model;
pub mod page;
pub mod render;
mod sums;
pub mod template;
#[cfg(test)]
mod tests;
pub mod theme;
pub mod ubl;
pub mod view;
mod written;
pub mod xlsx;
mod xml;

pub use self::cii::cii;
pub use self::csv::csv;
pub use self::facturx::facturx;
pub use self::file_error::FileError;
pub use self::ubl::ubl;
pub use self::xlsx::xlsx;
pub use model::Invoice;
pub use page::Page;
pub use render::{RenderError, RenderErrorKind, Renderer, RendererSettings};
pub use template::{TemplateError, Templates};
