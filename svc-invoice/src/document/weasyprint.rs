//! WeasyPrint's command line, wrapped: HTML in, PDF out, one process per document.
//!
//! | setting | meaning | when unset |
//! |---|---|---|
//! | `program` | WeasyPrint 69 or newer, a path or a name on `PATH` | — |
//! | `concurrency` | documents rendered at once | processors |
//! | `deadline` | from start to finished PDF; also the longest wait for a place | 20 s, enough for 1000 lines |
//! | `max_html_bytes` | largest page | 2 MiB |
//! | `max_pdf_bytes` | largest PDF | 64 MiB |
//!
//! A page is hostile until proven otherwise: it may ask for files, for addresses inside our network, or for a table
//! with a million columns, which WeasyPrint would lay out for ever. So only `data:` URIs are allowed and anything else
//! fails the document, the environment is empty, and the deadline kills the whole process group.
//!
//! The trap: WeasyPrint now and then dies by a signal while the interpreter unloads Pango under a running thread, with
//! the PDF already written. Preloading keeps the libraries mapped; exit status *and* the PDF's two ends are checked;
//! and a death by a signal is tried once more.

use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use super::child::{Bounds, End, Outcome, run};
use super::render_error::RenderError;
use super::sandbox::Sandbox;

/// Archive and accessibility in one: PDF/A-3 carries an e-invoice, level A is tagged.
const VARIANT: &str = "pdf/a-3a";
/// The first version without CVE-2025-68616 and CVE-2026-49452, both ways around `--allowed-protocols`.
const OLDEST: u32 = 69;
/// Kept mapped until the process is gone.
const PRELOAD: &str = "libpangoft2-1.0.so.0:libharfbuzz-subset.so.0";
/// `RLIMIT_CPU` strikes with this one.
const SIGXCPU: i32 = 24;

/// How WeasyPrint is run.
#[derive(Clone, Debug)]
pub struct RendererSettings {
    /// WeasyPrint, a path or a name on `PATH`.
    pub program: PathBuf,
    /// Documents rendered at once; at least one.
    pub concurrency: usize,
    /// From start to finished PDF.
    pub deadline: Duration,
    /// Largest page, in bytes.
    pub max_html_bytes: usize,
    /// Largest PDF, in bytes.
    pub max_pdf_bytes: usize,
}

impl RendererSettings {
    /// The settings that suit an invoice.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            concurrency: available_parallelism().map_or(1, usize::from),
            deadline: Duration::from_secs(20),
            max_html_bytes: 2 << 20,
            max_pdf_bytes: 64 << 20,
        }
    }
}

/// Renders pages. Cheap to clone; all clones share the places.
#[derive(Clone)]
pub struct Renderer {
    shared: Arc<Shared>,
}

struct Shared {
    settings: RendererSettings,
    places: Arc<Semaphore>,
    room: Room,
    sandbox: OnceLock<Sandbox>,
}

impl Renderer {
    /// A renderer. Starts nothing yet: [`Renderer::check`] tells whether WeasyPrint is there.
    pub fn new(settings: RendererSettings) -> Self {
        let places = Arc::new(Semaphore::new(settings.concurrency.clamp(1, Semaphore::MAX_PERMITS)));
        Self { shared: Arc::new(Shared { settings, places, room: Room::new(), sandbox: OnceLock::new() }) }
    }

    /// The page as a tagged PDF/A-3. Dropping the future kills the document's process.
    ///
    /// # Errors
    /// See [`RenderErrorKind`](super::render_error::RenderErrorKind).
    pub async fn pdf(&self, html: String) -> Result<Vec<u8>, RenderError> {
        let settings = &self.shared.settings;
        if html.len() > settings.max_html_bytes {
            return Err(RenderError::page_too_large(html.len(), settings.max_html_bytes));
        }
        let waiting = tokio::time::timeout(settings.deadline, Arc::clone(&self.shared.places).acquire_owned());
        let Ok(Ok(place)) = waiting.await else {
            return Err(RenderError::busy(settings.deadline));
        };
        let wanted = Wanted::default();
        let abandoned = Arc::clone(&wanted.abandoned);
        let shared = Arc::clone(&self.shared);
        let work = tokio::task::spawn_blocking(move || {
            let _place = place;
            shared.pdf(&Arc::from(html), &abandoned)
        });
        work.await.map_err(|problem| RenderError::failed(problem.to_string()))?
    }

    /// WeasyPrint's version, for readiness. Takes 0.4 s of a processor: ask at start, not at every probe.
    ///
    /// # Errors
    /// `Missing` when the program is not there, does not start, or is too old.
    pub async fn check(&self) -> Result<String, RenderError> {
        let wanted = Wanted::default();
        let abandoned = Arc::clone(&wanted.abandoned);
        let shared = Arc::clone(&self.shared);
        let work = tokio::task::spawn_blocking(move || shared.version(&abandoned));
        work.await.map_err(|problem| RenderError::failed(problem.to_string()))?
    }
}

impl Shared {
    fn pdf(&self, html: &Arc<str>, abandoned: &AtomicBool) -> Result<Vec<u8>, RenderError> {
        let until = Instant::now() + self.settings.deadline;
        let arguments = [
            "--encoding",
            "utf-8",
            "--base-url",
            "",
            "--allowed-protocols",
            "data",
            "--fail-on-http-errors",
            "--no-http-redirects",
            "--pdf-variant",
            VARIANT,
            "-",
            "-",
        ];
        let bounds = Bounds { until, max_output: self.settings.max_pdf_bytes, abandoned };
        let mut outcome = self.run(&arguments, html, &bounds)?;
        if let Some(signal) = outcome.signal().filter(|signal| *signal != SIGXCPU) {
            tracing::warn!(signal, complaint = outcome.complaint, "WeasyPrint died; the document is tried once more");
            outcome = self.run(&arguments, html, &bounds)?;
        }
        self.settle(outcome)
    }

    fn version(&self, abandoned: &AtomicBool) -> Result<String, RenderError> {
        let bounds = Bounds { until: Instant::now() + self.settings.deadline, max_output: 4096, abandoned };
        let outcome = self.run(&["--version"], &Arc::from(""), &bounds)?;
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

    fn run(&self, arguments: &[&str], input: &Arc<str>, bounds: &Bounds<'_>) -> Result<Outcome, RenderError> {
        let program = find(&self.settings.program)
            .ok_or_else(|| RenderError::missing(&self.settings.program, "no such executable file"))?;
        self.room.enter().map_err(|problem| RenderError::failed(format!("{}: {problem}", self.room.path.display())))?;
        // Twice the size, because a file on disk is no PDF of ours: WeasyPrint writes none but temporary ones.
        let file_bytes = u64::try_from(self.settings.max_pdf_bytes).unwrap_or(u64::MAX).saturating_mul(2);
        let sandbox = self.sandbox.get_or_init(|| Sandbox::probe(self.settings.deadline, file_bytes));
        let mut command = sandbox.command(&program);
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

/// Both ends of a PDF are there.
fn is_whole(pdf: &[u8]) -> bool {
    let tail = pdf.get(pdf.len().saturating_sub(1024)..).unwrap_or_default();
    pdf.starts_with(b"%PDF-") && tail.windows(5).any(|five| five == b"%%EOF")
}

/// The executable: as given when it is a path, else the first of that name on `PATH`.
fn find(program: &Path) -> Option<PathBuf> {
    if program.components().nth(1).is_some() {
        // Absolute, because the process starts in a folder of its own; not resolved, because a virtual environment
        // is recognised by the path that its links are called by.
        return std::path::absolute(program).ok().filter(|path| path.is_file());
    }
    std::env::split_paths(&std::env::var_os("PATH")?).map(|folder| folder.join(program)).find(|path| path.is_file())
}

const ROOM: &str = "argosy-weasyprint";

/// The folder that the processes run in: private, nothing in it but a font cache, gone with the renderer.
struct Room {
    path: PathBuf,
}

impl Room {
    fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let temporary = std::env::temp_dir();
        clear_after_the_dead(&temporary);
        Self { path: temporary.join(format!("{ROOM}-{}-{count}", std::process::id())) }
    }

    /// Makes the folder, each time: whoever cleans the temporary files cleans this one too.
    fn enter(&self) -> std::io::Result<()> {
        use std::os::unix::fs::DirBuilderExt as _;
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.path)
    }

    fn furnish(&self, command: &mut Command) {
        command
            .current_dir(&self.path)
            .env_clear()
            // Python looks for libraries with the compiler and the linker, 86 processes, unless it finds none.
            .env("PATH", "/nonexistent")
            .env("LC_ALL", "C.UTF-8")
            .env("LD_PRELOAD", PRELOAD)
            .env("HOME", &self.path)
            .env("TMPDIR", &self.path)
            .env("PYTHONNOUSERSITE", "1");
        for name in ["FONTCONFIG_FILE", "FONTCONFIG_PATH"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
    }
}

/// Removes the folders of processes that were killed. Should one of them live where we cannot see it, it makes its folder
/// again with its next document.
fn clear_after_the_dead(temporary: &Path) {
    for entry in std::fs::read_dir(temporary).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(ROOM)?.split('-').nth(1)?.parse::<u32>().ok());
        if pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // Nothing of value is in it; the system's cleaner takes what cannot be removed.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// Tells the work, when dropped, that nobody waits for it.
#[derive(Default)]
struct Wanted {
    abandoned: Arc<AtomicBool>,
}

impl Drop for Wanted {
    fn drop(&mut self) {
        self.abandoned.store(true, Ordering::Relaxed);
    }
}

impl fmt::Debug for Renderer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renderer").field("settings", &self.shared.settings).finish_non_exhaustive()
    }
}
