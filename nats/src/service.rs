//! The service host: from a flat list of what a service does to a running process.
//!
//! A service's `lib.rs` builds a [`Service`]; [`main`] runs it, prints its [`Manifest`], or checks its health. Everything a
//! service serves, answers, consumes, publishes and runs on a clock stands in that one list, and only what stands there is
//! permitted by the broker.
//!
//! Trap: order of shutdown. Unsubscribe first, finish what was begun, flush, then drop the connection; the client's own
//! drain would cut off answers.

mod ops;
mod run;

use std::{future::Future, marker::PhantomData, panic::AssertUnwindSafe, time::Duration};

use async_nats::{Client, jetstream};
use diesel_migrations::EmbeddedMigrations;
use futures_util::{FutureExt, future::BoxFuture};
use poem::{EndpointExt, Route};
use poem_openapi::{OpenApi, OpenApiService};
use tokio_util::sync::CancellationToken;

pub use run::{Running, main, process};

use crate::{
    config::{SettingError, Settings},
    connect::ConnectError,
    consume::{Consumer, Failures, Handler},
    contracts::{Bucket, Call, Event, TRANSFER},
    database::{Database, DatabaseError, OpenError},
    invoke::{self, Answer, Caller, Responder},
    manifest::{BucketEntry, CallEntry, ConsumerEntry, EventEntry, JobEntry, Manifest},
    objects::Objects,
    work::Queue,
};

/// What a running service has at hand; cheap to clone.
#[derive(Clone)]
pub struct Runtime {
    /// The process's settings.
    pub settings: Settings,
    /// The service's own database.
    pub database: Database,
    /// Calls to other services.
    pub calls: Caller,
    /// The object store.
    pub objects: Objects,
    pub(crate) client: Client,
    pub(crate) jetstream: jetstream::Context,
}

/// Why a service could not start: a sentence for the person who starts it.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting is missing or wrong.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// NATS cannot be reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The database cannot be opened.
    #[error(transparent)]
    Database(#[from] OpenError),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

/// A job that takes longer is cut off; what it had not committed is done in its next run.
const JOB_DEADLINE: Duration = Duration::from_secs(300);

type Init<S> = Box<dyn FnOnce(Runtime) -> BoxFuture<'static, Result<S, StartError>> + Send>;
type Task<S> = Box<dyn FnOnce(S, &Runtime, CancellationToken) -> BoxFuture<'static, ()> + Send>;
type Api<S> = Box<dyn FnOnce(S) -> poem::endpoint::BoxEndpoint<'static> + Send>;

/// A service that answers on `subject`.
pub(crate) struct Answering<S> {
    verb: String,
    subject: String,
    responder: Box<dyn FnOnce(S) -> Responder + Send>,
}

/// A service, as its list says. `S` is the state that its functions get.
pub struct Service<S> {
    manifest: Manifest,
    name: &'static str,
    migrations: EmbeddedMigrations,
    init: Init<S>,
    api: Option<Api<S>>,
    answering: Vec<Answering<S>>,
    tasks: Vec<Task<S>>,
}

impl<S: Clone + Send + Sync + 'static> Service<S> {
    /// A service of this name, with its migrations and the function that makes its state.
    pub fn new<F, Fut>(name: &'static str, description: &str, migrations: EmbeddedMigrations, init: F) -> Self
    where
        F: FnOnce(Runtime) -> Fut + Send + 'static,
        Fut: Future<Output = Result<S, StartError>> + Send + 'static,
    {
        let manifest =
            Manifest { service: name.to_owned(), description: description.to_owned(), ..Manifest::default() };
        let init: Init<S> = Box::new(move |runtime| init(runtime).boxed());
        Self { manifest, name, migrations, init, api: None, answering: Vec::new(), tasks: Vec::new() }
    }

    /// Serves this API through the gateway; its endpoints get the state as `Data<&S>`.
    #[must_use]
    pub fn http<A: OpenApi + Send + Sync + 'static>(mut self, api: A) -> Self {
        let service = OpenApiService::new(api, self.name, env!("CARGO_PKG_VERSION"));
        self.manifest.openapi = serde_json::from_str(&service.spec()).ok();
        self.api = Some(Box::new(move |state| Route::new().nest("/", service).data(state).map_to_response().boxed()));
        self.bucket(TRANSFER, true)
    }

    /// Answers calls of type `C`.
    #[must_use]
    pub fn answer<C: Call, A: Answer<S, C>>(mut self, handler: A) -> Self {
        self.manifest.answers.push(CallEntry::of::<C>());
        self.answering.push(Answering {
            verb: C::VERB.to_owned(),
            subject: C::subject(),
            responder: Box::new(move |state| invoke::responder::<S, C, A>(state, handler)),
        });
        self
    }

    /// Calls `C` on another service.
    #[must_use]
    pub fn calls<C: Call>(mut self) -> Self {
        self.manifest.calls.push(format!("{}.{}", C::SERVICE, C::VERB));
        self
    }

    /// Publishes events of type `E`.
    #[must_use]
    pub fn publishes<E: Event>(mut self) -> Self {
        self.manifest.publishes.push(EventEntry::of::<E>());
        self
    }

    /// Takes events of type `E`; `what` it does names the durable consumer `<service>-<what>`.
    #[must_use]
    pub fn consume<E: Event, H: for<'a> Handler<'a, S, E>>(mut self, what: &str, handler: H) -> Self {
        let (service, durable) = (self.name, format!("{}-{what}", self.name));
        self.manifest.consumes.push(ConsumerEntry::of::<E>(durable.clone()));
        self.tasks.push(Box::new(move |state, runtime, stop| {
            let consumer = Consumer {
                durable,
                service,
                state,
                handler,
                database: runtime.database.clone(),
                jetstream: runtime.jetstream.clone(),
                failures: Failures::default(),
                event: PhantomData::<fn() -> E>,
            };
            consumer.run(stop)
        }));
        self
    }

    /// Uses a bucket of the object store.
    #[must_use]
    pub fn bucket(mut self, bucket: Bucket, writes: bool) -> Self {
        self.manifest.buckets.push(BucketEntry::of(bucket, writes));
        self
    }

    /// Runs `job` again and again, `period` apart; several instances each run it, so it must bear that.
    #[must_use]
    pub fn every<F, Fut, E>(mut self, name: &'static str, period: Duration, job: F) -> Self
    where
        F: Fn(S) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: std::fmt::Display + Send + 'static,
    {
        let every_ms = u64::try_from(period.as_millis()).unwrap_or(u64::MAX);
        self.manifest.jobs.push(JobEntry { name: name.to_owned(), every_ms });
        self.tasks.push(Box::new(move |state, _runtime, stop| {
            async move {
                while !stop.is_cancelled() {
                    let work = AssertUnwindSafe(async { job(state.clone()).await }).catch_unwind();
                    match tokio::time::timeout(JOB_DEADLINE, work).await {
                        Ok(Ok(Ok(()))) => {}
                        Ok(Ok(Err(error))) => tracing::warn!(job = name, %error, "the job failed; it runs again"),
                        Ok(Err(_panic)) => tracing::error!(job = name, "the job panicked; it runs again"),
                        Err(_elapsed) => {
                            tracing::error!(job = name, "the job took over {JOB_DEADLINE:?}; it runs again")
                        }
                    }
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = tokio::time::sleep(period) => {}
                    }
                }
            }
            .boxed()
        }));
        self
    }

    /// Works off a queue in a table (see [`crate::work`]): `queue` tells when to look and how many rows are worked on at
    /// once, `claim` leases at most so many due rows, `work` does one.
    #[must_use]
    pub fn works<W, Claim, Claiming, Do, Doing>(
        mut self,
        name: &'static str,
        queue: fn(&S) -> Queue,
        claim: Claim,
        work: Do,
    ) -> Self
    where
        W: Send + 'static,
        Claim: Fn(S, i64) -> Claiming + Send + Sync + 'static,
        Claiming: Future<Output = Result<Vec<W>, DatabaseError>> + Send + 'static,
        Do: Fn(S, W) -> Doing + Send + Sync + 'static,
        Doing: Future<Output = ()> + Send + 'static,
    {
        self.manifest.works.push(name.to_owned());
        self.tasks.push(Box::new(move |state, _runtime, stop| {
            let queue = queue(&state);
            crate::work::run(name, queue, state, (claim, work), stop).boxed()
        }));
        self
    }

    /// Its list.
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }
}
