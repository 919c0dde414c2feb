//! The sandbox provider: a process that stands for a payment provider. It takes no real money, and behaves as badly as real
//! ones do.
//!
//! | setting | meaning | when unset |
//! |---|---|---|
//! | `LISTEN` | where to listen, as `host:port` | `127.0.0.1:9300` |
//! | `JOURNAL` | the file that its memory is written to | it forgets everything when it ends |
//! | `API_KEY` | the secret that its callers sign in with | anyone may call |
//! | `WEBHOOK_URL` | who is told of each operation | nobody is |
//! | `WEBHOOK_SECRET` | what webhooks are signed with, `whsec_…` | required with `WEBHOOK_URL` |
//! | `WEBHOOK_DELAY_MS` | how late each webhook is sent | 0 |
//! | `WEBHOOK_JITTER_MS` | at most so much later still, at random, so that they come out of order | 0 |
//! | `WEBHOOK_COPIES` | how often each webhook is sent | 1 |
//! | `DIE_AFTER` | it dies once it has done its first `authorize`, `capture`, `void` or `refund`, unanswered | it lives |
//!
//! What goes wrong with one payment is chosen by its method; see the table in [`fault`]. Requests:
//!
//! | request | what it does |
//! |---|---|
//! | `POST /v1/payments` `{amount, method}` | authorizes: holds the money |
//! | `POST /v1/payments/{reference}/capture` `{amount}` | takes what is held, all of it |
//! | `POST /v1/voids` `{authorization, amount}` | lets go what the authorization of that key holds, or will never hold |
//! | `POST /v1/payments/{reference}/refunds` `{amount}` | gives some of it back |
//! | `GET /v1/payments/{reference}`, `GET /v1/payments?authorization=` | the payment with its operations |
//! | `GET /v1/operations?after=&limit=` | the statement: all operations, in order |
//!
//! Each POST needs an `Idempotency-Key`; it answers with the payment as it then is. It shares nothing with svc-payment but the
//! shapes of what travels, and no database.
//!
//! Trap: its memory grows with every payment and is never tidied up. It is for development and tests.

mod api;
pub(crate) mod book;
pub mod fault;
mod journal;
mod notify;

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use nats::{
    config::{SettingError, Settings},
    telemetry,
};
use poem::{
    Server,
    listener::{Listener as _, TcpListener},
};

use crate::{payment::TransactionKind, provider::ProviderPayment};
use book::{Book, Decision, Refusal, Request};
use journal::{Entry, Journal};
use notify::Notices;

const LISTEN: &str = "127.0.0.1:9300";
/// How long answers that are being written have when it is asked to stop.
const STOP_WITHIN: Duration = Duration::from_secs(1);

/// Runs the process. Arguments: none to serve until SIGTERM or SIGINT, or `healthcheck`.
pub fn main() -> ExitCode {
    let settings = Settings::from_environment();
    let outcome = match std::env::args().nth(1).as_deref() {
        None => serve_until_signal(&settings),
        Some("healthcheck") => {
            return if answers(&settings) == Some(true) { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
        Some(other) => Err(format!("there is no command `{other}`; there are: none (serve), healthcheck")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            let _closed = writeln!(std::io::stderr(), "sandbox-provider: {message}");
            ExitCode::FAILURE
        }
    }
}

fn serve_until_signal(settings: &Settings) -> Result<(), String> {
    telemetry::start(settings).map_err(|error| error.to_string())?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| error.to_string())?;
    let served = runtime.block_on(serve(settings));
    runtime.shutdown_timeout(STOP_WITHIN);
    served
}

async fn serve(settings: &Settings) -> Result<(), String> {
    use tokio::signal::unix::{SignalKind, signal};
    let address = settings.parse("LISTEN", LISTEN.to_owned()).map_err(|error| error.to_string())?;
    let sandbox = Sandbox::open(settings).map_err(|error| error.to_string())?;
    let listener = TcpListener::bind(address.clone()).into_acceptor().await;
    let listener =
        listener.map_err(|error| format!("LISTEN {address} cannot be listened on ({error}); choose another port"))?;
    let mut signals = (
        signal(SignalKind::terminate()).map_err(|error| error.to_string())?,
        signal(SignalKind::interrupt()).map_err(|error| error.to_string())?,
    );
    tracing::info!(address, "ready");
    let stopping = async {
        tokio::select! {
            _ = signals.0.recv() => {}
            _ = signals.1.recv() => {}
        }
    };
    let telling = tokio::spawn(notify::send(Arc::clone(&sandbox)));
    let server = Server::new_with_acceptor(listener);
    let served =
        server.run_with_graceful_shutdown(api::endpoint(sandbox, settings)?, stopping, Some(STOP_WITHIN)).await;
    telling.abort();
    served.map_err(|error| error.to_string())
}

/// Whether the instance that runs at `LISTEN` answers (for container health checks).
fn answers(settings: &Settings) -> Option<bool> {
    let address = settings.parse("LISTEN", LISTEN.to_owned()).ok()?.replace("0.0.0.0", "127.0.0.1");
    let mut stream = TcpStream::connect(&address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(3))).ok()?;
    write!(stream, "GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer.starts_with("HTTP/1.1 200"))
}

/// The provider: what it remembers, and whom it tells.
pub(crate) struct Sandbox {
    memory: Mutex<Memory>,
    notices: Notices,
    /// Dies after its first operation of this kind.
    die_after: Option<TransactionKind>,
}

struct Memory {
    book: Book,
    journal: Journal,
}

/// What a request came to.
struct Done {
    payment: ProviderPayment,
    /// The method it is paid by.
    method: String,
    /// Whether it was done just now, not by an earlier request with the same key.
    fresh: bool,
}

impl Sandbox {
    /// The provider as it was when it ended, if it has a journal.
    ///
    /// # Errors
    /// When a setting is wrong, or the journal cannot be read.
    fn open(settings: &Settings) -> Result<Arc<Self>, SandboxError> {
        let path = settings.get("JOURNAL")?.map(PathBuf::from);
        let (journal, entries) = Journal::open(path.as_deref()).map_err(SandboxError::Journal)?;
        let mut book = Book::default();
        let notices = Notices::of(settings)?;
        for entry in entries {
            match entry {
                Entry::Done(done) => book.write(*done),
                Entry::Told { sequence } => notices.told_before(sequence),
            }
        }
        book.operations().for_each(|operation| notices.tell(operation));
        let die_after = settings.get("DIE_AFTER")?.map(|kind| kind.parse()).transpose();
        let die_after =
            die_after.map_err(|error: String| SandboxError::Setting(format!("setting DIE_AFTER: {error}")))?;
        Ok(Arc::new(Self { memory: Mutex::new(Memory { book, journal }), notices, die_after }))
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what is asked for, once per key. It is in the journal before anything else knows of it.
    fn operate(&self, key: &str, request: &Request) -> Result<Done, Refusal> {
        let mut memory = self.memory();
        let Memory { book, journal } = &mut *memory;
        let (payment, fresh) = match book.decide(key, request)? {
            Decision::Before(payment) => (payment, false),
            Decision::New(done) => {
                let (payment, kind) = (done.operation.payment.clone(), done.operation.kind);
                let first = book.operations().all(|one| one.kind != kind);
                let again = book.again(&done).map(Box::new);
                let mut operations = Vec::new();
                for done in [Some(done), again].into_iter().flatten() {
                    journal.append(&Entry::Done(done.clone())).map_err(|error| {
                        tracing::error!(%error, "the journal cannot be written; it was not done");
                        Refusal::Failed
                    })?;
                    operations.push(done.operation.clone());
                    book.write(*done);
                }
                if first && self.die_after == Some(kind) {
                    std::process::abort();
                }
                operations.iter().for_each(|operation| self.notices.tell(operation));
                (payment, true)
            }
        };
        let (payment, method) = book.payment(&payment).ok_or(Refusal::NoSuchPayment)?;
        Ok(Done { payment, method, fresh })
    }

    /// Remembers that the webhook of an operation has arrived.
    fn note_told(&self, sequence: i64) {
        if let Err(error) = self.memory().journal.append(&Entry::Told { sequence }) {
            tracing::warn!(%error, "not written down; the webhook is sent again after a restart");
        }
    }
}

/// Why it does not start.
#[derive(Debug)]
enum SandboxError {
    Setting(String),
    Journal(String),
}

impl From<SettingError> for SandboxError {
    fn from(error: SettingError) -> Self {
        Self::Setting(error.to_string())
    }
}

impl std::fmt::Display for SandboxError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Setting(reason) | Self::Journal(reason) => f.write_str(reason),
        }
    }
}
