//! One fork server's process: its pipes, its threads, and who waits for what.
//!
//! | thread | does |
//! |---|---|
//! | host | starts the process, reads its replies, and takes its leave |
//! | writer | writes the frames |
//! | complaints | reads standard error, so that the process never waits for a reader |
//!
//! The trap: a parent-death signal is sent when the *thread* ends that started the process. So the host is a thread of its
//! own that lives as long as the process, not one of the runtime's, which come and go.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::child::{COMPLAINT, GLANCE, in_background, kill_group, last_bytes, last_lines};
use super::frame::{self, Reply, Status};
use crate::document::page::Page;

/// How much later than the deadline the server's reply may come, until it is the server that hangs.
const GRACE: Duration = Duration::from_secs(3);

/// Why there is no reply.
#[derive(Debug)]
pub(super) enum Silence {
    /// The server has ended.
    Ended,
    /// The server hung, and was killed.
    Hung,
}

/// A server that takes documents. Ends with its last owner: without a sender of frames the process has no input any more.
#[derive(Debug)]
pub(super) struct Running {
    shared: Arc<Shared>,
    /// What the writer writes.
    frames: mpsc::Sender<Vec<u8>>,
    /// How many documents it was given.
    given: AtomicU32,
}

#[derive(Debug, Default)]
struct Shared {
    process: Mutex<Option<Child>>,
    /// Who waits for which document; `None` once the server has ended.
    waiting: Mutex<Option<HashMap<u32, oneshot::Sender<Reply>>>>,
}

impl Running {
    /// Starts the command and waits until it is ready; gives WeasyPrint's version too.
    ///
    /// # Errors
    /// It cannot be started, or ended instead of getting ready, or took too long.
    pub(super) async fn start(
        command: impl FnOnce() -> io::Result<Command> + Send + 'static,
        start: Vec<u8>,
        (places, max_pdf_bytes): (usize, usize),
        within: Duration,
    ) -> io::Result<(Self, String)> {
        // Each place has a document and a recall at most.
        let (frames, to_write) = mpsc::channel(places.saturating_mul(2).saturating_add(2));
        frames.try_send(start).map_err(io::Error::other)?;
        let shared = Arc::new(Shared::default());
        *lock(&shared.waiting) = Some(HashMap::new());
        let (ready, readiness) = oneshot::channel();
        let host = Host { shared: Arc::clone(&shared), max_pdf_bytes };
        thread::Builder::new().name("weasyprint".to_owned()).spawn(move || host.run(command, to_write, ready))?;
        let running = Self { shared, frames, given: AtomicU32::new(0) };
        match tokio::time::timeout(within, readiness).await {
            Ok(Ok(outcome)) => Ok((running, outcome?)),
            Ok(Err(_)) => Err(io::ErrorKind::UnexpectedEof.into()),
            Err(_) => {
                running.shared.end();
                Err(io::ErrorKind::TimedOut.into())
            }
        }
    }

    /// Whether it can be given one more document, of so many in its life.
    pub(super) fn takes(&self, most: u32) -> bool {
        lock(&self.shared.waiting).is_some() && self.given.load(Ordering::Relaxed) < most
    }

    /// The server's word on a page. Dropping the future ends the document's process.
    ///
    /// # Errors
    /// [`Silence`].
    pub(super) async fn make(&self, page: &Page, deadline: Duration) -> Result<Reply, Silence> {
        let patience = Instant::now() + deadline + GRACE;
        let id = self.given.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        let frame = frame::document(id, page, deadline).map_err(|_| Silence::Ended)?;
        let (answer, reply) = oneshot::channel();
        lock(&self.shared.waiting).as_mut().ok_or(Silence::Ended)?.insert(id, answer);
        let _recalled_when_dropped = Wanted { running: self, id };
        let hung = |_| {
            tracing::error!("the renderer does not answer and is killed");
            self.shared.end();
            Silence::Hung
        };
        timeout_at(patience, self.frames.send(frame)).await.map_err(hung)?.map_err(|_| Silence::Ended)?;
        timeout_at(patience, reply).await.map_err(hung)?.map_err(|_| Silence::Ended)
    }
}

/// A document that somebody waits for. When nobody does any more, the server is told.
struct Wanted<'a> {
    running: &'a Running,
    id: u32,
}

impl Drop for Wanted<'_> {
    fn drop(&mut self) {
        let unanswered = lock(&self.running.shared.waiting).as_mut().and_then(|waiting| waiting.remove(&self.id));
        if unanswered.is_some()
            && let Ok(frame) = frame::recall(self.id)
        {
            // Without room for it the document goes on to its deadline at most.
            let _ = self.running.frames.try_send(frame);
        }
    }
}

impl Shared {
    /// Takes no more documents, and kills the process without waiting for that. Who waits for a document learns it at once.
    fn end(self: &Arc<Self>) {
        *lock(&self.waiting) = None;
        let shared = Arc::clone(self);
        thread::spawn(move || shared.kill());
    }

    /// Kills the process and those it forked, once. Blocks.
    fn kill(&self) {
        let process = lock(&self.process).take();
        if let Some(mut process) = process {
            kill_group(&mut process);
        }
    }
}

/// What the host thread works with.
struct Host {
    shared: Arc<Shared>,
    max_pdf_bytes: usize,
}

impl Host {
    fn run(
        self,
        command: impl FnOnce() -> io::Result<Command>,
        frames: mpsc::Receiver<Vec<u8>>,
        ready: oneshot::Sender<io::Result<String>>,
    ) {
        let begun = command().and_then(|mut command| {
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).spawn()
        });
        let mut process = match begun {
            Ok(process) => process,
            Err(problem) => {
                *lock(&self.shared.waiting) = None;
                let _nobody_waits = ready.send(Err(problem));
                return;
            }
        };
        let (input, output, errors) = (process.stdin.take(), process.stdout.take(), process.stderr.take());
        *lock(&self.shared.process) = Some(process);
        let complaint = errors.map(|pipe| in_background(move || last_bytes(pipe, COMPLAINT)));
        if let Some(input) = input {
            thread::spawn(move || write(input, frames));
        }
        let problem = output.map_or_else(|| io::ErrorKind::BrokenPipe.into(), |pipe| self.listen(pipe, ready));
        // Whoever waits finds the answer's sender dropped.
        let unanswered = lock(&self.shared.waiting).take().map_or(0, |waiting| waiting.len());
        self.shared.kill();
        let complaint = complaint.and_then(|bytes| bytes.recv_timeout(GLANCE).ok()).unwrap_or_default();
        let complaint = last_lines(&complaint);
        if unanswered > 0 || !complaint.is_empty() {
            tracing::warn!(unanswered, complaint, %problem, "the renderer has ended");
        } else {
            tracing::debug!(%problem, "the renderer has ended");
        }
    }

    /// Hands every reply to who waits for it; returns why there are no more.
    fn listen(&self, mut pipe: impl Read, ready: oneshot::Sender<io::Result<String>>) -> io::Error {
        match frame::read(&mut pipe, self.max_pdf_bytes) {
            Ok(Reply { status: Status::Ready, content, .. }) => {
                let version = String::from_utf8_lossy(&content).into_owned();
                if ready.send(Ok(version)).is_err() {
                    return io::Error::other("nobody waits for it");
                }
            }
            Ok(_) => return io::ErrorKind::InvalidData.into(),
            Err(problem) => return problem,
        }
        loop {
            let reply = match frame::read(&mut pipe, self.max_pdf_bytes) {
                Ok(reply) => reply,
                Err(problem) => return problem,
            };
            let waits = lock(&self.shared.waiting).as_mut().and_then(|waiting| waiting.remove(&reply.id));
            if let Some(waits) = waits {
                let _recalled_meanwhile = waits.send(reply);
            }
        }
    }
}

/// Writes frames until nobody sends any more or nobody reads any more.
fn write(mut pipe: impl Write, mut frames: mpsc::Receiver<Vec<u8>>) {
    while let Some(frame) = frames.blocking_recv() {
        if pipe.write_all(&frame).and_then(|()| pipe.flush()).is_err() {
            return;
        }
    }
}

/// What is behind the lock is whole at any time, whoever panicked with it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
