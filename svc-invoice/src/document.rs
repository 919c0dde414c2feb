//! An invoice as a page: from its figures to a PDF.
//!
//! [`model::Invoice`] holds the figures, already computed. [`view`] turns them into text in the reader's language,
//! [`template`] sets that text as HTML, [`weasyprint`] prints the HTML as a tagged PDF/A-3.
//!
//! The trap: everything below [`model`] comes from outside. Nothing of it reaches the page unescaped, and the page
//! can reach neither the network nor the disk, even if something did.

mod child;
pub mod format;
pub mod labels;
pub mod model;
pub mod render_error;
mod sandbox;
mod sums;
pub mod template;
pub mod view;
pub mod weasyprint;
mod written;

pub use model::Invoice;
pub use render_error::{RenderError, RenderErrorKind};
pub use template::{TemplateError, Templates};
pub use weasyprint::{Renderer, RendererSettings};
