//! WeasyPrint's command line: HTML in, PDF out, one process per document.
//!
//! What the fork server falls back on, and what it is measured against. The trap: WeasyPrint now and then dies by a signal
//! while the interpreter unloads Pango under a running thread, with the PDF already written. Preloading keeps the libraries
//! mapped; exit status *and* the PDF's two ends are checked; and a death by a signal is tried once more.
//!
//! A PDF with attachments made here has the time of its making in it, and the further metadata beside WeasyPrint's own
//! instead of within; only the fork server's are the same each time.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use super::child::{Bounds, End, Outcome, run};
use super::error::RenderError;
use super::program::find;
use super::room::Desk;
use super::{OLDEST, Shared, is_whole};
use crate::document::page::Page;

/// `RLIMIT_CPU` strikes with this one.
const SIGXCPU: i32 = 24;
/// Not a `data:` URL among them, and no file: what is attached is given by path, past the fence.
const FENCE: [&str; 7] = [
    "--base-url",
    "",
    "--allowed-protocols",
    "data",
    "--fail-on-http-errors",
    "--no-http-redirects",
    "--encoding=utf-8",
];
const RDF: &str = "<rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\">";

impl Shared {
    /// The page's PDF by one run of the program, or two. Blocks.
    pub(super) fn run_once(&self, page: &Page, abandoned: &AtomicBool) -> Result<Vec<u8>, RenderError> {
        let until = Instant::now() + self.settings.deadline;
        let bounds = Bounds { until, max_output: self.settings.max_pdf_bytes, abandoned };
        self.enter()?;
        let desk = self.room.desk().map_err(|problem| RenderError::failed(problem.to_string()))?;
        let arguments = arguments(page, &desk).map_err(|problem| RenderError::failed(problem.to_string()))?;
        let html = Arc::from(page.html.as_str());
        let mut outcome = self.run(&arguments, &html, &bounds)?;
        if let Some(signal) = outcome.signal().filter(|signal| *signal != SIGXCPU) {
            tracing::warn!(signal, complaint = outcome.complaint, "WeasyPrint died; the document is tried once more");
            outcome = self.run(&arguments, &html, &bounds)?;
        }
        self.settle(outcome)
    }

    /// The program's version. Blocks.
    pub(super) fn version(&self, abandoned: &AtomicBool) -> Result<String, RenderError> {
        let bounds = Bounds { until: Instant::now() + self.settings.deadline, max_output: 4096, abandoned };
        self.enter()?;
        let outcome = self.run(&["--version".into()], &Arc::from(""), &bounds)?;
        let text = String::from_utf8_lossy(&outcome.output);
        let version = text.trim().strip_prefix("WeasyPrint version ").unwrap_or_default();
        let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
        match (major, &outcome.end) {
            (Some(major), End::Exited(status)) if status.success() && major >= OLDEST => Ok(version.to_owned()),
            (Some(_), End::Exited(status)) if status.success() => Err(RenderError::outdated(version, OLDEST)),
            (_, End::Late) => Err(RenderError::timed_out(self.settings.deadline, outcome.complaint)),
            (_, end) => Err(RenderError::missing(&self.settings.program, format!("{end:?}: {}", outcome.complaint))),
        }
    }

    fn enter(&self) -> Result<(), RenderError> {
        self.room.enter().map_err(|problem| RenderError::failed(format!("no folder to work in: {problem}")))
    }

    fn run(&self, arguments: &[OsString], input: &Arc<str>, bounds: &Bounds<'_>) -> Result<Outcome, RenderError> {
        let program = find(&self.settings.program)
            .ok_or_else(|| RenderError::missing(&self.settings.program, "no such executable file"))?;
        let mut command = self.sandbox().command(&program);
        command.args(arguments);
        self.room.furnish(&mut command);
        run(command, input, bounds).map_err(|problem| match problem.kind() {
            ErrorKind::NotFound | ErrorKind::PermissionDenied => {
                RenderError::missing(&self.settings.program, problem.to_string())
            }
            _ => RenderError::failed(format!("cannot start: {problem}")),
        })
    }

    /// What the run's end means.
    fn settle(&self, outcome: Outcome) -> Result<Vec<u8>, RenderError> {
        let deadline = self.settings.deadline;
        let status = match &outcome.end {
            End::Exited(status) => *status,
            End::Late => return Err(RenderError::timed_out(deadline, outcome.complaint)),
            End::Flood => return Err(RenderError::pdf_too_large(self.settings.max_pdf_bytes)),
            End::Abandoned => return Err(RenderError::failed("nobody waits for the document any more")),
        };
        if outcome.signal() == Some(SIGXCPU) {
            return Err(RenderError::timed_out(deadline, "out of processor time"));
        }
        // A wrapper or a `#!` line that found no interpreter says so by these two.
        if matches!(status.code(), Some(126 | 127)) {
            return Err(RenderError::missing(&self.settings.program, outcome.complaint));
        }
        if !status.success() {
            if outcome.complaint.lines().any(|line| line.trim() == "MemoryError") {
                return Err(RenderError::memory_exceeded(self.settings.memory));
            }
            return Err(RenderError::failed(format!("{status}: {}", outcome.complaint)));
        }
        if !is_whole(&outcome.output) {
            let bytes = outcome.output.len();
            return Err(RenderError::failed(format!("{bytes} bytes that are no whole PDF: {}", outcome.complaint)));
        }
        if !outcome.complaint.is_empty() {
            tracing::debug!(complaint = outcome.complaint, "WeasyPrint finished with remarks");
        }
        Ok(outcome.output)
    }
}

/// The flags for this page; what is attached to it lies on the desk.
fn arguments(page: &Page, desk: &Desk) -> std::io::Result<Vec<OsString>> {
    let mut arguments: Vec<OsString> = FENCE.iter().map(OsString::from).collect();
    arguments.extend(["--pdf-variant".into(), page.variant.code().into()]);
    for attachment in &page.attachments {
        let path = desk.place(attachment.name, &attachment.bytes)?;
        let relationship = attachment.relationship.code().into();
        arguments.extend(["--attachment".into(), path.into(), "--attachment-relationship".into(), relationship]);
    }
    if let Some(xmp) = &page.xmp {
        let path = desk.place("metadata.xmp", format!("{RDF}{xmp}</rdf:RDF>").as_bytes())?;
        arguments.extend(["--xmp-metadata".into(), path.into()]);
    }
    arguments.extend(["-".into(), "-".into()]);
    Ok(arguments)
}
