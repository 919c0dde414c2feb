//! Starting, proving readiness, draining.

use std::{io::Write, process::ExitCode, sync::Arc, time::Duration};

use chrono::Utc;
use futures_util::StreamExt;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Auditor, Runtime, Service, StartError,
    discovery::{EndpointStats, Instance},
    endpoint::{Endpoint, Subscription},
    jobs, link, ops,
};
use crate::{
    audit,
    config::Settings,
    connect::{Requests, connect, inbox_prefix, jetstream},
    consume::{
        Consuming,
        operations::{self as dead_letters, Letters},
    },
    contracts::{
        Call, Never,
        operations::{
            Audit, AuditEvents, AuditInbox, AuditReport, DiscardDeadLetter, GetDeadLetter, ListDeadLetters,
            RedriveDeadLetters, RepublishEvents,
        },
    },
    database::{Database, DatabaseError},
    http, idempotency,
    invoke::{self, CallError, Caller, Responder, refuse_busy},
    manifest::Manifest,
    objects::Objects,
    outbox::{self, relay::Relay},
    resilience::Policy,
    telemetry,
};

const HOUR: Duration = Duration::from_secs(3600);
const DRAIN_WITHIN: Duration = Duration::from_secs(15);
const FLUSH_WITHIN: Duration = Duration::from_secs(2);

/// A service that runs.
pub struct Running {
    stop: CancellationToken,
    tasks: TaskTracker,
    client: async_nats::Client,
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
        let requests = Requests::renewed(client.clone(), &settings, self.name);
        let runtime = Runtime {
            consuming: Consuming::with(&settings)?,
            calls: Caller::over(requests.clone(), Policy::CALL.with(&settings)?),
            requests,
            objects: Objects::new(jetstream.clone()),
            settings,
            database,
            client: client.clone(),
            jetstream,
        };
        let state = (self.init)(runtime.clone()).await?;
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let mut serving = Vec::new();
        for answering in self.answering {
            let responder = (answering.responder)(state.clone());
            serving.push((answering.verb, answering.subject, responder));
        }
        serving.extend(operations(self.name, &runtime, self.auditor, &state));
        let mut endpoints = Vec::new();
        for (verb, subject, responder) in serving {
            let stats = EndpointStats::new(&verb, &subject, self.name);
            endpoints.push(subscribed(Endpoint::new(&client, stats, "_INBOX_", (responder, refuse_busy))).await?);
        }
        if let Some(api) = self.api {
            let responder = http::responder(api(state.clone()), runtime.objects.clone());
            let stats = EndpointStats::new("http", &http::subject(self.name), self.name);
            let endpoint = Endpoint::new(&client, stats, "_INBOX_gateway.", (responder, http::overloaded));
            endpoints.push(subscribed(endpoint).await?);
        }
        let instance = Instance {
            name: self.name,
            id: uuid::Uuid::now_v7().simple().to_string(),
            description: self.manifest.description.clone(),
            started: Utc::now(),
            endpoints: endpoints.iter().map(|(endpoint, _)| Arc::clone(&endpoint.stats)).collect(),
        };
        let discovery = instance.serve(&client, stop.clone()).await;
        tasks.spawn(discovery.map_err(|error| unregistered(&error))?);
        let (links, look) = link::watch(&client, stop.clone());
        tasks.spawn(look);
        for (endpoint, subscription) in endpoints {
            tasks.spawn(endpoint.serve(subscription, links.clone(), stop.clone()));
        }
        drop(links);
        for task in self.tasks {
            tasks.spawn(task(state.clone(), &runtime, stop.clone()));
        }
        if !self.manifest.publishes.is_empty() {
            let relay =
                Relay { database: runtime.database.clone(), requests: runtime.requests.clone(), service: self.name };
            tasks.spawn(relay.run(stop.clone()));
        }
        let (database, stopping) = (runtime.database.clone(), stop.clone());
        tasks.spawn(async move { jobs::run("keep-house", HOUR, || keep_house(&database), &stopping).await });
        prove_reachable(&client, self.name).await?;
        ops::serve(&runtime, &stop, &tasks).await?;
        tasks.close();
        tracing::info!(service = self.name, "ready");
        Ok(Running { stop, tasks, client })
    }
}

fn unregistered(error: &dyn std::fmt::Display) -> StartError {
    StartError::Other(format!("registering with NATS failed: {error}"))
}

async fn subscribed(endpoint: Endpoint) -> Result<(Endpoint, Subscription), StartError> {
    let subscription = endpoint.subscribe().await.map_err(|error| unregistered(&error))?;
    Ok((endpoint, subscription))
}

/// What every service answers to the operator.
fn operations<S: Clone + Send + Sync + 'static>(
    service: &'static str,
    runtime: &Runtime,
    auditor: Option<Auditor<S>>,
    state: &S,
) -> Vec<(String, String, Responder)> {
    let auditor = Arc::new(auditor);
    let (asked, state) = (runtime.clone(), state.clone());
    let audit = move |(), _: Audit| {
        let (auditor, runtime, state) = (Arc::clone(&auditor), asked.clone(), state.clone());
        async move {
            let mut checks = vec![audit::backlog(&runtime).await?];
            if let Some(auditor) = auditor.as_ref() {
                checks.extend(auditor(state).await?);
            }
            Ok::<_, CallError<Never>>(AuditReport { checks })
        }
    };
    fn entry<C: Call>(service: &str, responder: Responder) -> (String, String, Responder) {
        (C::VERB.to_owned(), C::subject_at(service), responder)
    }
    let letters = Letters { service, database: runtime.database.clone(), redrives: runtime.consuming.redrives.clone() };
    vec![
        entry::<Audit>(service, invoke::responder::<_, Audit, _>((), audit)),
        entry::<AuditEvents>(service, invoke::responder::<_, AuditEvents, _>(runtime.clone(), audit::events)),
        entry::<AuditInbox>(service, invoke::responder::<_, AuditInbox, _>(runtime.clone(), audit::inbox)),
        entry::<RepublishEvents>(
            service,
            invoke::responder::<_, RepublishEvents, _>(runtime.clone(), outbox::republish::republish),
        ),
        entry::<ListDeadLetters>(
            service,
            invoke::responder::<_, ListDeadLetters, _>(letters.clone(), dead_letters::list),
        ),
        entry::<GetDeadLetter>(service, invoke::responder::<_, GetDeadLetter, _>(letters.clone(), dead_letters::get)),
        entry::<RedriveDeadLetters>(
            service,
            invoke::responder::<_, RedriveDeadLetters, _>(letters.clone(), dead_letters::redrive),
        ),
        entry::<DiscardDeadLetter>(
            service,
            invoke::responder::<_, DiscardDeadLetter, _>(letters, dead_letters::discard),
        ),
    ]
}

/// A message to ourselves: once it is back, the server has processed every subscription before it.
pub(super) async fn prove_reachable(client: &async_nats::Client, name: &str) -> Result<(), StartError> {
    let subject = format!("{}.ready.{}", inbox_prefix(name), uuid::Uuid::now_v7().simple());
    let failed = |error: &dyn std::fmt::Display| StartError::Other(format!("the readiness round trip failed: {error}"));
    let mut probe = client.subscribe(subject.clone()).await.map_err(|error| failed(&error))?;
    client.publish(subject, "ready?".into()).await.map_err(|error| failed(&error))?;
    match tokio::time::timeout(Duration::from_secs(10), probe.next()).await {
        Ok(Some(_)) => Ok(()),
        _ => Err(failed(&"no answer within ten seconds; does the user's list permit its own inbox?")),
    }
}

/// Old rows go, and the coming days get their partitions.
async fn keep_house(database: &Database) -> Result<(), DatabaseError> {
    let kept = outbox::keep_house(database).await;
    let forgotten = idempotency::forget_old(database).await;
    kept.and(forgotten)
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
