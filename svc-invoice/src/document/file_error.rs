//! Why there is no spreadsheet, no table, no XML.

use super::view::ViewError;

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The invoice has a figure that cannot be written.
    #[error(transparent)]
    Invoice(#[from] ViewError),
    /// The library that writes the format refused: a fault of this program, for what is written fits into memory.
    #[error("The file cannot be written; this is a fault of the service.")]
    Write(#[from] std::io::Error),
}
