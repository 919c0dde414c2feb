//! Invoices as their recipients read them: the official schemas, the rules of EN 16931, a checker of PDF/A.
//!
//! All are foreign programs of the local virtual environment. They look at many documents in one run, because starting them
//! takes longer than a hundred documents.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::{Result, StackError, tools};

const SCRIPT: &str = include_str!("validators/validate.py");

/// What was found in a document.
#[derive(Debug, Deserialize)]
pub struct Verdict {
    /// What is wrong, a sentence for each; nothing when it is valid.
    pub failures: Vec<String>,
    /// What is attached to a PDF, by its name.
    #[serde(default)]
    pub attached: BTreeMap<String, String>,
    /// What a PDF says of itself.
    #[serde(default)]
    pub xmp: String,
    /// The rows of a table, by the names of its columns.
    #[serde(default)]
    pub rows: Vec<BTreeMap<String, String>>,
}

/// Looks at every `.xml`, `.pdf` and `.csv` in a folder; what was found, by the file's name.
///
/// # Errors
/// A sentence that says what is not installed, or what the program said before it failed.
pub fn look_at(folder: &Path) -> Result<BTreeMap<String, Verdict>> {
    let output = Command::new(tools::in_venv("python")?)
        .args(["-c", SCRIPT])
        .arg(folder)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| StackError::new(format!("the validators cannot be started: {error}")))?;
    let said = || String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        return Err(StackError::new(format!(
            "the validators failed ({}): {}; run `make setup`",
            output.status,
            said()
        )));
    }
    serde_json::from_slice(&output.stdout)
        .map_err(|error| StackError::new(format!("the validators gave no answer: {error}: {}", said())))
}
