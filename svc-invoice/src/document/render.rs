//! The renderer: a page in, its PDF out, made by WeasyPrint in a process that can do no harm.
//!
//! | setting | meaning | when unset |
//! |---|---|---|
//! | `program` | WeasyPrint 69 or newer, a path or a name on `PATH` | — |
//! | `back_end` | the [fork server](BackEnd::ForkServer), or the [command line](BackEnd::CommandLine) | fork server |
//! | `concurrency` | documents rendered at once | processors |
//! | `queue` | documents that may wait for a place; one more is refused at once | 64 |
//! | `deadline` | from start to finished PDF; also the longest wait for a place | 20 s, enough for 1000 lines |
//! | `max_page_bytes` | largest page, with what is attached to it | 2 MiB |
//! | `max_pdf_bytes` | largest PDF | 64 MiB |
//! | `memory` | address space of one document | 1 GiB; a long invoice takes 0.4 |
//! | `warm_up` | a page of ours like those to come, with their fonts: what it makes a server load, no document has to | a plain one |
//! | `recycle_after` | documents until the fork server is replaced | 5000 |
//!
//! A page is hostile until proven otherwise: it may ask for files, for addresses inside our network, or for a table
//! with a million columns, which WeasyPrint would lay out for ever. So only `data:` URIs are allowed and anything else
//! fails the document, there is no network and the environment is empty, and the deadline kills the document's process.
//!
//! The same page becomes the same PDF, byte for byte, with the same version of WeasyPrint and the same fonts.
//!
//! The trap: rendering takes a processor for its time. It is never work of the runtime's threads, and it is not given a low
//! priority either: on a machine that has much to do, a document would then be finished never.

mod child;
mod command_line;
mod error;
mod fork_server;
mod frame;
mod program;
mod room;
mod running;
mod sandbox;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use self::error::{RenderError, RenderErrorKind};
use self::fork_server::ForkServer;
use self::room::Room;
use self::sandbox::{Limits, Sandbox};
use super::page::Page;

/// The first version without CVE-2025-68616 and CVE-2026-49452, both ways around the fence of allowed protocols.
const OLDEST: u32 = 69;
/// Has in it what makes WeasyPrint load the modules that it loads late.
const WARM_UP: &str = include_str!("render/warm_up.html");

/// How WeasyPrint's processes come to be.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum BackEnd {
    /// One Python that has imported WeasyPrint forks a process for each document.
    #[default]
    ForkServer,
    /// One run of the command line for each document: several times slower, and with nothing that is kept running.
    CommandLine,
}

impl FromStr for BackEnd {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "forkserver" => Ok(Self::ForkServer),
            "cli" => Ok(Self::CommandLine),
            _ => Err(format!("{name:?} is neither forkserver nor cli")),
        }
    }
}

/// How WeasyPrint is run.
#[derive(Clone, Debug)]
pub struct RendererSettings {
    /// WeasyPrint, a path or a name on `PATH`.
    pub program: PathBuf,
    /// How its processes come to be.
    pub back_end: BackEnd,
    /// Documents rendered at once; at least one.
    pub concurrency: usize,
    /// Documents that may wait for a place.
    pub queue: usize,
    /// From start to finished PDF.
    pub deadline: Duration,
    /// Largest page with what is attached to it, in bytes.
    pub max_page_bytes: usize,
    /// Largest PDF, in bytes.
    pub max_pdf_bytes: usize,
    /// Address space of one document, in bytes.
    pub memory: u64,
    /// A page of ours like those to come, for the fork server to get warm with.
    pub warm_up: String,
    /// Documents until the fork server is replaced.
    pub recycle_after: u32,
}

impl RendererSettings {
    /// The settings that suit an invoice.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            back_end: BackEnd::default(),
            concurrency: available_parallelism().map_or(1, usize::from),
            queue: 64,
            deadline: Duration::from_secs(20),
            max_page_bytes: 2 << 20,
            max_pdf_bytes: 64 << 20,
            memory: 1 << 30,
            warm_up: WARM_UP.to_owned(),
            recycle_after: 5000,
        }
    }
}

/// Renders pages. Cheap to clone; all clones share the places and the server.
#[derive(Clone)]
pub struct Renderer {
    shared: Arc<Shared>,
    server: Option<Arc<ForkServer>>,
    /// Who is rendered or waits for it.
    tickets: Arc<Semaphore>,
    /// Who is rendered.
    places: Arc<Semaphore>,
}

/// What both back ends work with.
struct Shared {
    settings: RendererSettings,
    room: Room,
    sandbox: OnceLock<Sandbox>,
}

impl Renderer {
    /// A renderer. Starts nothing yet: [`Renderer::check`] tells whether WeasyPrint is there.
    pub fn new(settings: RendererSettings) -> Self {
        let settings = RendererSettings { concurrency: settings.concurrency.max(1), ..settings };
        let bounded = |permits: usize| Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS)));
        Self {
            server: (settings.back_end == BackEnd::ForkServer).then(Arc::default),
            tickets: bounded(settings.concurrency.saturating_add(settings.queue)),
            places: bounded(settings.concurrency),
            shared: Arc::new(Shared { settings, room: Room::new(), sandbox: OnceLock::new() }),
        }
    }

    /// The page as a PDF of its variant. Dropping the future ends the document's process.
    ///
    /// # Errors
    /// See [`RenderErrorKind`].
    pub async fn pdf(&self, page: Page) -> Result<Vec<u8>, RenderError> {
        let settings = &self.shared.settings;
        let size = page.size();
        if size > settings.max_page_bytes {
            return Err(RenderError::page_too_large(size, settings.max_page_bytes));
        }
        let Ok(_ticket) = self.tickets.try_acquire() else {
            return Err(RenderError::crowded(settings.concurrency.saturating_add(settings.queue)));
        };
        let waiting = tokio::time::timeout(settings.deadline, Arc::clone(&self.places).acquire_owned());
        let Ok(Ok(place)) = waiting.await else {
            return Err(RenderError::busy(settings.deadline));
        };
        if let Some(server) = &self.server
            && let Some(outcome) = server.pdf(&self.shared, &page).await
        {
            return outcome;
        }
        self.blocking(Some(place), move |shared, abandoned| shared.run_once(&page, abandoned)).await
    }

    /// WeasyPrint's version, for readiness. Takes 0.4 s of a processor: ask at start, not at every probe.
    ///
    /// # Errors
    /// `Missing` when the program is not there, does not start, or is too old.
    pub async fn check(&self) -> Result<String, RenderError> {
        self.blocking(None, |shared, abandoned| shared.version(abandoned)).await
    }

    /// Work of the command line, on a thread for blocking work; abandoned when the future is dropped.
    async fn blocking<T: Send + 'static>(
        &self,
        place: Option<OwnedSemaphorePermit>,
        work: impl FnOnce(&Shared, &AtomicBool) -> Result<T, RenderError> + Send + 'static,
    ) -> Result<T, RenderError> {
        let wanted = Wanted::default();
        let abandoned = Arc::clone(&wanted.abandoned);
        let shared = Arc::clone(&self.shared);
        let work = tokio::task::spawn_blocking(move || {
            // Free again when the process is gone, not when nobody waits for it any more.
            let _place = place;
            work(&shared, &abandoned)
        });
        work.await.map_err(|problem| RenderError::failed(problem.to_string()))?
    }
}

impl Shared {
    /// What a document's process is locked into here. Blocks the first time, when it is tried.
    fn sandbox(&self) -> &Sandbox {
        let settings = &self.settings;
        self.sandbox.get_or_init(|| {
            Sandbox::probe(Limits {
                seconds: settings.deadline.as_secs().saturating_add(1),
                memory: settings.memory,
                // Twice the size, because a file on disk is no PDF of ours: WeasyPrint writes none but temporary ones.
                file_bytes: u64::try_from(settings.max_pdf_bytes).unwrap_or(u64::MAX).saturating_mul(2),
            })
        })
    }
}

/// Both ends of a PDF are there.
fn is_whole(pdf: &[u8]) -> bool {
    let tail = pdf.get(pdf.len().saturating_sub(1024)..).unwrap_or_default();
    pdf.starts_with(b"%PDF-") && tail.windows(5).any(|five| five == b"%%EOF")
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
