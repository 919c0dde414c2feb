//! Why there is no PDF.
//!
//! The trap: WeasyPrint's own words may quote the page, and the page names people. They stay in
//! [`RenderError::internal`], for the log; `Display` is a sentence for whoever has to act.

use std::fmt;
use std::path::Path;
use std::time::Duration;

/// What went wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum RenderErrorKind {
    /// WeasyPrint is not there, cannot be started, or is too old. No retry helps; an operator does.
    Missing,
    /// All places were taken for a whole deadline, or too many documents wait for one. Try again later.
    Busy,
    /// The page took longer than the deadline: it is too much, or the machine is busy.
    TimedOut,
    /// The page, its PDF, or the memory that it takes to make it, is larger than allowed.
    TooLarge,
    /// WeasyPrint gave up, or what it wrote is no PDF.
    Failed,
}

/// Why there is no PDF.
#[derive(Clone)]
pub struct RenderError {
    kind: RenderErrorKind,
    message: String,
    internal: String,
}

impl RenderError {
    /// What went wrong.
    pub const fn kind(&self) -> RenderErrorKind {
        self.kind
    }

    /// The technical half, with the last lines that WeasyPrint wrote. For logs only.
    pub fn internal(&self) -> &str {
        &self.internal
    }

    pub(super) fn missing(program: &Path, internal: impl Into<String>) -> Self {
        let message = format!(
            "WeasyPrint cannot be started as {}. Install it with: apt-get install python3-venv libpango-1.0-0 \
             libpangoft2-1.0-0 libharfbuzz-subset0 fontconfig fonts-inter fonts-noto-core; python3 -m venv \
             /opt/weasyprint; /opt/weasyprint/bin/pip install weasyprint==70.0. Then name \
             /opt/weasyprint/bin/weasyprint in the service's settings.",
            program.display()
        );
        Self { kind: RenderErrorKind::Missing, message, internal: internal.into() }
    }

    pub(super) fn outdated(version: &str, wanted: u32) -> Self {
        let message = format!(
            "WeasyPrint {version} is too old: this service needs {wanted} or newer, which can refuse the page \
             network and files. Install it with: pip install weasyprint==70.0"
        );
        Self { kind: RenderErrorKind::Missing, message, internal: String::new() }
    }

    pub(super) fn busy(waited: Duration) -> Self {
        let message = format!(
            "No document could be started within {} s because others are being rendered. Try again in a minute; \
             if it lasts, raise the number of documents rendered at once or add an instance.",
            waited.as_secs()
        );
        Self { kind: RenderErrorKind::Busy, message, internal: String::new() }
    }

    pub(super) fn crowded(waiting: usize) -> Self {
        let message = format!(
            "{waiting} documents are being rendered or wait for it, and no more may wait. Try again in a minute; if it \
             lasts, raise the number of documents rendered at once or add an instance."
        );
        Self { kind: RenderErrorKind::Busy, message, internal: String::new() }
    }

    pub(super) fn memory_exceeded(limit: u64) -> Self {
        let message = format!("The document needs more memory than the {} MB allowed. Split it.", limit >> 20);
        Self { kind: RenderErrorKind::TooLarge, message, internal: String::new() }
    }

    pub(super) fn timed_out(deadline: Duration, internal: impl Into<String>) -> Self {
        let message = format!(
            "The document was not finished within {} s and was given up. It may have too many lines; split it, \
             or raise the deadline.",
            deadline.as_secs_f32()
        );
        Self { kind: RenderErrorKind::TimedOut, message, internal: internal.into() }
    }

    pub(super) fn page_too_large(bytes: usize, limit: usize) -> Self {
        let message =
            format!("The document's page has {bytes} bytes, of which {limit} are allowed. Split the document.");
        Self { kind: RenderErrorKind::TooLarge, message, internal: String::new() }
    }

    pub(super) fn pdf_too_large(limit: usize) -> Self {
        let message = format!("The finished PDF would be larger than the {limit} bytes allowed. Split the document.");
        Self { kind: RenderErrorKind::TooLarge, message, internal: String::new() }
    }

    pub(super) fn failed(internal: impl Into<String>) -> Self {
        let message = "The document could not be rendered. The service's log has WeasyPrint's reason.".to_owned();
        Self { kind: RenderErrorKind::Failed, message, internal: internal.into() }
    }
}

impl fmt::Display for RenderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for RenderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {} [{}]", self.kind, self.message, self.internal)
    }
}

impl std::error::Error for RenderError {}
