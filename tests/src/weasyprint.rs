//! WeasyPrint, which makes PDF of HTML: a program to be run per document, no server.

use std::path::PathBuf;

use crate::{Result, tools};

/// The pinned `weasyprint` in `.argosy/venv`; when it is missing, the error says to run `make setup`.
pub fn binary() -> Result<PathBuf> {
    tools::in_venv("weasyprint")
}
