//! Starting, proving readiness, draining.

use std::{io::Write, process::ExitCode, sync::Arc, time::Duration};

use async_nats::service::{ServiceExt, endpoint::Endpoint};
use futures_util::{StreamExt, future::BoxFuture};
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Runtime, Service, StartError, ops};
use crate::{
    config::Settings,
    connect::{connect, inbox_prefix, jetstream},
    database::Database,
    http, idempotency,
    invoke::{Caller, EXPIRES, Responder, expired, refuse_busy},
    manifest::Manifest,
    objects::Objects,
    outbox::{self, relay::Relay},
    telemetry,
};

/// How many requests one endpoint of one instance works on at once; the next one is told that it is full.
const CONCURRENCY: usize = 512;
const DRAIN_WITHIN: Duration = Duration::from_secs(15);
const FLUSH_WITHIN: Duration = Duration::from_secs(2);

/// What an overloaded endpoint answers.
type Overloaded = fn(async_nats::service::Request) -> BoxFuture<'static, ()>;

/// A service that runs.
pub struct Running {
    stop: CancellationToken,
    tasks: TaskTracker,
    client: async_nats::Client,
    /// Keeps discovery, health and statistics answering.
    _discovery: async_nats::service::Service,
}

impl Running {
    /// Stops taking work, finishes what was begun, and returns.
    pub async fn stop(self) {
        self.stop.cancel();
        if tokio::time::timeout(DRAIN_WITHIN, self.tasks.wait()).await.is_err() {
            tracing::warn!("some work was still running after {DRAIN_WITHIN:?} and is cut off");
        }
        if !matches!(tokio::time::timeout(FLUSH_WITHIN, self.client.flush()).await, Ok(Ok(()))) {
            tracing::debug!("the last answers may not have been sent");
        }
    }
}

impl<S: Clone + Send + Sync + 'static> Service<S> {
    /// Starts the service and returns once it can be reached.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(self, settings: Settings) -> Result<Running, StartError> {
        let client = connect(&settings, self.name).await?;
        let database = Database::open(&settings, self.migrations).await?;
        let jetstream = jetstream(&client);
        let runtime = Runtime {
            calls: Caller::new(client.clone()),
            objects: Objects::new(jetstream.clone()),
            settings,
            database,
            client: client.clone(),
            jetstream,
        };
        let state = (self.init)(runtime.clone()).await?;
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let other = |error: &dyn std::fmt::Display| StartError::Other(format!("registering with NATS failed: {error}"));
        let discovery = client
            .service_builder()
            .description(&self.manifest.description)
            .queue_group(self.name)
            .start(self.name, env!("CARGO_PKG_VERSION"))
            .await
            .map_err(|error| other(&error))?;
        for answering in self.answering {
            let endpoint = discovery.endpoint_builder().name(&answering.verb).add(&answering.subject).await;
            let responder = (answering.responder)(state.clone());
            let endpoint = endpoint.map_err(|error| other(&error))?;
            tasks.spawn(serve(endpoint, "_INBOX_", (responder, refuse_busy), stop.clone()));
        }
        if let Some(api) = self.api {
            let endpoint = discovery.endpoint_builder().name("http").add(http::subject(self.name)).await;
            let responder = http::responder(api(state.clone()), runtime.objects.clone());
            let endpoint = endpoint.map_err(|error| other(&error))?;
            tasks.spawn(serve(endpoint, "_INBOX_gateway.", (responder, http::overloaded), stop.clone()));
        }
        for task in self.tasks {
            tasks.spawn(task(state.clone(), &runtime, stop.clone()));
        }
        if !self.manifest.publishes.is_empty() {
            let relay =
                Relay { database: runtime.database.clone(), jetstream: runtime.jetstream.clone(), service: self.name };
            tasks.spawn(relay.run(stop.clone()));
        }
        tasks.spawn(forget_old(runtime.database.clone(), stop.clone()));
        prove_reachable(&client, self.name).await?;
        ops::serve(&runtime, &stop, &tasks).await?;
        tasks.close();
        tracing::info!(service = self.name, "ready");
        Ok(Running { stop, tasks, client, _discovery: discovery })
    }
}

/// Takes requests until `stop`, then those that the server had already sent, and finishes them all.
///
/// `inbox` is the beginning of the reply subjects of those who may ask.
async fn serve(
    mut endpoint: Endpoint,
    inbox: &'static str,
    (responder, overloaded): (Responder, Overloaded),
    stop: CancellationToken,
) {
    let permits = Arc::new(Semaphore::new(CONCURRENCY));
    let working = TaskTracker::new();
    let take = |request: async_nats::service::Request| match Arc::clone(&permits).try_acquire_owned() {
        _ if !trusted(&request.message, inbox) => {}
        Ok(permit) => {
            let work = responder(request);
            working.spawn(async move {
                work.await;
                drop(permit);
            });
        }
        Err(_full) => {
            tracing::warn!("shedding load: {CONCURRENCY} requests are being worked on");
            working.spawn(overloaded(request));
        }
    };
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            request = endpoint.next() => match request {
                Some(request) => take(request),
                None => break,
            }
        }
    }
    if let Err(error) = endpoint.stop().await {
        tracing::debug!(%error, "unsubscribing failed");
    }
    // What had arrived when we unsubscribed is still answered; what was on the wire at that moment runs into its deadline.
    while let Ok(Some(request)) = tokio::time::timeout(Duration::from_millis(100), endpoint.next()).await {
        take(request);
    }
    working.close();
    working.wait().await;
}

/// Whether a request comes from somebody who waits for its answer.
///
/// Permissions say who may publish here, but a user of JetStream can have the server publish for it, by naming our subject
/// as its reply. Such a message has no inbox to answer to. What has waited past its caller's patience (a client sends on
/// reconnect what it queued while disconnected) is dropped as well: its caller was told that nothing is known.
fn trusted(message: &async_nats::Message, inbox: &str) -> bool {
    if !message.reply.as_ref().is_some_and(|reply| reply.as_str().starts_with(inbox)) {
        tracing::error!(subject = %message.subject, reply = ?message.reply, "a request from nobody who may ask; dropped");
        return false;
    }
    let expires = message.headers.as_ref().and_then(|headers| headers.get(EXPIRES)).map(|text| text.as_str());
    if expires.is_some_and(expired) {
        tracing::warn!(subject = %message.subject, "a request came too late; dropped");
        return false;
    }
    true
}

/// A message to ourselves: once it is back, the server has processed every subscription before it.
async fn prove_reachable(client: &async_nats::Client, name: &str) -> Result<(), StartError> {
    let subject = format!("{}.ready.{}", inbox_prefix(name), uuid::Uuid::now_v7().simple());
    let failed = |error: &dyn std::fmt::Display| StartError::Other(format!("the readiness round trip failed: {error}"));
    let mut probe = client.subscribe(subject.clone()).await.map_err(|error| failed(&error))?;
    client.publish(subject, "ready?".into()).await.map_err(|error| failed(&error))?;
    match tokio::time::timeout(Duration::from_secs(10), probe.next()).await {
        Ok(Some(_)) => Ok(()),
        _ => Err(failed(&"no answer within ten seconds; does the user's list permit its own inbox?")),
    }
}

/// Old idempotency keys, events and inbox rows.
async fn forget_old(database: Database, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(Duration::from_secs(3600)) => {}
        }
        for forgotten in [idempotency::forget_old(&database).await, outbox::forget_old(&database).await] {
            if let Err(error) = forgotten {
                tracing::warn!(%error, "old rows were not deleted");
            }
        }
    }
}

/// Runs a service's process; see [`process`].
pub fn main<S: Clone + Send + Sync + 'static>(service: Service<S>) -> ExitCode {
    let manifest = service.manifest().clone();
    process(&manifest, |settings| service.start(settings), Running::stop)
}

/// Runs the process that `manifest` lists.
///
/// | argument | what it does |
/// |---|---|
/// | none | starts, serves until SIGTERM or SIGINT, stops |
/// | `manifest` | prints the list as JSON |
/// | `healthcheck` | exit status 0 when the instance that runs at `OPS_ADDR` is ready |
pub fn process<R, Start, Starting, Stop, Stopping>(manifest: &Manifest, start: Start, stop: Stop) -> ExitCode
where
    Start: FnOnce(Settings) -> Starting,
    Starting: Future<Output = Result<R, StartError>>,
    Stop: FnOnce(R) -> Stopping,
    Stopping: Future<Output = ()>,
{
    let settings = Settings::from_environment();
    match std::env::args().nth(1).as_deref() {
        None => run_until_signal(&settings, start, stop),
        Some("manifest") => print(manifest),
        Some("healthcheck") => ops::check(&settings),
        Some(other) => {
            complain(&format!("there is no command `{other}`; there are: none (serve), manifest, healthcheck"));
            ExitCode::from(2)
        }
    }
}

fn print(manifest: &Manifest) -> ExitCode {
    let json = serde_json::to_string_pretty(manifest).unwrap_or_default();
    match writeln!(std::io::stdout(), "{json}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(_closed) => ExitCode::FAILURE,
    }
}

fn run_until_signal<R, Start, Starting, Stop, Stopping>(settings: &Settings, start: Start, stop: Stop) -> ExitCode
where
    Start: FnOnce(Settings) -> Starting,
    Starting: Future<Output = Result<R, StartError>>,
    Stop: FnOnce(R) -> Stopping,
    Stopping: Future<Output = ()>,
{
    if let Err(error) = telemetry::start(settings) {
        complain(&error.to_string());
        return ExitCode::FAILURE;
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&error.to_string());
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(async {
        let running = tokio::select! {
            started = start(settings.clone()) => match started {
                Ok(running) => running,
                Err(error) => {
                    complain(&error.to_string());
                    return ExitCode::FAILURE;
                }
            },
            () = signal() => return ExitCode::SUCCESS,
        };
        signal().await;
        tracing::info!("stopping");
        stop(running).await;
        ExitCode::SUCCESS
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    code
}

fn complain(message: &str) {
    let _closed = writeln!(std::io::stderr(), "argosy: {message}");
}

async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(mut terminate), Ok(mut interrupt)) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
        _ => std::future::pending().await,
    }
}
