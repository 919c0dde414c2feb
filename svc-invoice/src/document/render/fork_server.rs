//! The fork server: WeasyPrint imported once, one forked process per document. `fork_server.py` beside this is its inside.
//!
//! Starting Python and importing WeasyPrint takes four times as long as the document itself; a fork has both at once, and
//! is as much alone as a process of its own: its deadline, its memory and its crash are its own.
//!
//! A server is started with the first document. One that ended or hung is replaced, and what it had not finished is tried
//! once more; so is a document whose process died. After many documents a server is replaced for good measure. Where none
//! can be started, documents are made by the command line, and it is tried again a minute later.

use std::io;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use super::error::RenderError;
use super::frame::{Reply, Start, Status, start};
use super::program::{find, interpreter};
use super::running::{Running, Silence};
use super::{OLDEST, Shared, is_whole};
use crate::document::page::Page;

const SCRIPT: &str = include_str!("fork_server.py");
/// How long Python may take to import WeasyPrint and to make the first page, on a machine that has much to do.
const STARTS_WITHIN: Duration = Duration::from_secs(60);
/// How long documents are made otherwise after a server could not be started.
const REST: Duration = Duration::from_secs(60);

/// The server that there is at the moment, if any.
#[derive(Debug, Default)]
pub(super) struct ForkServer {
    place: Mutex<Place>,
}

#[derive(Debug, Default)]
struct Place {
    running: Option<Arc<Running>>,
    not_before: Option<Instant>,
}

impl ForkServer {
    /// The page's PDF; `None` where there can be no server.
    pub(super) async fn pdf(&self, shared: &Arc<Shared>, page: &Page) -> Option<Result<Vec<u8>, RenderError>> {
        let mut tries = 2_u8;
        loop {
            let server = self.server(shared).await?;
            let outcome = server.make(page, shared.settings.deadline).await;
            tries = tries.saturating_sub(1);
            match outcome {
                Ok(Reply { status: Status::Died, content, .. }) if tries > 0 => {
                    let how = String::from_utf8_lossy(&content).into_owned();
                    tracing::warn!(how, "a document's process died; the document is tried once more");
                }
                Ok(reply) => return Some(shared.meaning(reply)),
                Err(silence) if tries > 0 => {
                    tracing::warn!(?silence, "the renderer is replaced, and its document tried once more");
                }
                Err(Silence::Ended) => return Some(Err(RenderError::failed("the renderer ended twice over it"))),
                Err(Silence::Hung) => {
                    let hung = RenderError::timed_out(shared.settings.deadline, "the renderer hung twice");
                    return Some(Err(hung));
                }
            }
        }
    }

    /// The server that takes documents now, started if there is none.
    async fn server(&self, shared: &Arc<Shared>) -> Option<Arc<Running>> {
        let mut place = self.place.lock().await;
        if let Some(running) = place.running.as_ref().filter(|running| running.takes(shared.settings.recycle_after)) {
            return Some(Arc::clone(running));
        }
        if place.not_before.is_some_and(|moment| Instant::now() < moment) {
            return None;
        }
        // What the one before has not finished, its documents' owners wait for; then it ends.
        place.running = None;
        match begin(shared).await {
            Ok((running, version)) => {
                tracing::info!(version, "WeasyPrint waits for documents");
                let running = Arc::new(running);
                place.running = Some(Arc::clone(&running));
                place.not_before = None;
                Some(running)
            }
            Err(problem) => {
                tracing::warn!(%problem, "no renderer can be started; documents are made by WeasyPrint's command line");
                place.not_before = Some(Instant::now() + REST);
                None
            }
        }
    }
}

async fn begin(shared: &Arc<Shared>) -> io::Result<(Running, String)> {
    let settings = &shared.settings;
    let bounds = Start {
        jobs: settings.concurrency.max(1),
        max_pdf_bytes: settings.max_pdf_bytes,
        memory: settings.memory,
        oldest: OLDEST,
    };
    let first = start(&bounds, &settings.warm_up)?;
    let sizes = (settings.concurrency, settings.max_pdf_bytes);
    let shared = Arc::clone(shared);
    Running::start(move || command(&shared), first, sizes, STARTS_WITHIN).await
}

/// Python on the script, locked in. Blocks: what this machine allows is tried.
fn command(shared: &Shared) -> io::Result<Command> {
    let missing = || io::Error::new(io::ErrorKind::NotFound, "WeasyPrint is no script of a Python's");
    let python = find(&shared.settings.program).and_then(|program| interpreter(&program)).ok_or_else(missing)?;
    shared.room.enter()?;
    let script = shared.room.place("fork_server.py", SCRIPT)?;
    let mut command = shared.sandbox().server(&python);
    command.arg("-I").arg(script);
    shared.room.furnish(&mut command);
    Ok(command)
}

impl Shared {
    /// What the server's word on a document means.
    fn meaning(&self, Reply { status, content, .. }: Reply) -> Result<Vec<u8>, RenderError> {
        let words = || String::from_utf8_lossy(&content).into_owned();
        match status {
            Status::Done if is_whole(&content) => Ok(content),
            Status::Done => Err(RenderError::failed(format!("{} bytes that are no whole PDF", content.len()))),
            Status::Late => Err(RenderError::timed_out(self.settings.deadline, "")),
            Status::Memory => Err(RenderError::memory_exceeded(self.settings.memory)),
            Status::Flood => Err(RenderError::pdf_too_large(self.settings.max_pdf_bytes)),
            Status::Failed | Status::Died | Status::Ready => Err(RenderError::failed(words())),
        }
    }
}
