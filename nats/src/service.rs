//! The service host: from a flat list of what a service does to a running process.
//!
//! A service's `lib.rs` builds a [`Service`]; [`main`] runs it, prints its [`Manifest`], or checks its health. Everything a
//! service serves, answers, consumes, publishes and runs on a clock stands in that one list, and only what stands there is
//! permitted by the broker.
//!
//! Trap: order of shutdown. Unsubscribe first, finish what was begun, flush, then drop the connection; the client's own
//! drain would cut off answers.

mod discovery;
mod endpoint;
mod jobs;
mod link;
mod ops;
mod run;

use std::{future::Future, marker::PhantomData, time::Duration};

use async_nats::{Client, jetstream};
use diesel_migrations::EmbeddedMigrations;
use futures_util::{FutureExt, future::BoxFuture};
use poem::{EndpointExt, Route};
use poem_openapi::{OpenApi, OpenApiService};
use tokio_util::sync::CancellationToken;

pub(crate) use endpoint::Request;
pub use run::{Running, main, process};

use crate::{
    config::{SettingError, Settings},
    connect::{ConnectError, Requests},
    consume::{Alone, Consumer, Consuming, Failures, Handler, Received, Together, Work},
    contracts::{Bucket, Call, Event, StateBucket, TRANSFER, operations::AuditCheck},
    database::{Database, DatabaseError, OpenError},
    follow::follow,
    identity,
    invoke::{self, Answer, Caller, Responder},
    lock::Lock,
    manifest::{BucketEntry, CallEntry, ConsumerEntry, EventEntry, FollowEntry, JobEntry, Manifest},
    objects::Objects,
    state::State,
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
    pub(crate) requests: Requests,
    pub(crate) jetstream: jetstream::Context,
    pub(crate) consuming: Consuming,
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

type Init<S> = Box<dyn FnOnce(Runtime) -> BoxFuture<'static, Result<S, StartError>> + Send>;
type Task<S> = Box<dyn FnOnce(S, &Runtime, CancellationToken) -> BoxFuture<'static, ()> + Send>;
type Auditor<S> = Box<dyn Fn(S) -> BoxFuture<'static, Result<Vec<AuditCheck>, DatabaseError>> + Send + Sync>;
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
    auditor: Option<Auditor<S>>,
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
        Self { manifest, name, migrations, init, api: None, answering: Vec::new(), tasks: Vec::new(), auditor: None }
    }

    /// Serves this API through the gateway; its endpoints get the state as `Data<&S>`.
    #[must_use]
    pub fn http<A: OpenApi + Send + Sync + 'static>(mut self, api: A) -> Self {
        let service = OpenApiService::new(api, self.name, env!("CARGO_PKG_VERSION"));
        self.manifest.openapi = identity::document(&service.spec());
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

    /// Takes events of type `E`, each in a transaction of its own; `what` it does names the durable consumer
    /// `<service>-<what>`.
    #[must_use]
    pub fn consume<E: Event, H: for<'a> Handler<'a, S, Received<E>>>(self, what: &str, handler: H) -> Self {
        self.consume_by::<E, _>(what, Alone(handler))
    }

    /// Takes events of type `E`, those that wait at the same time in one transaction, where one statement for all of them is
    /// much less work than one for each. The handler gets one event of each entity at most, in no order that it could rely on,
    /// and is called again with each alone when it fails over many. Each event brings its own trace: what is recorded of it is
    /// recorded with that ([`Tx::record_all`](crate::database::Tx::record_all)).
    #[must_use]
    pub fn consume_all<E: Event, H: for<'a> Handler<'a, S, Vec<Received<E>>>>(self, what: &str, handler: H) -> Self {
        self.consume_by::<E, _>(what, Together(handler))
    }

    fn consume_by<E: Event, W: Work<S, E>>(mut self, what: &str, work: W) -> Self {
        let durable = format!("{}-{what}", self.name);
        self.manifest.consumes.push(ConsumerEntry::of::<E>(durable.clone()));
        self.tasks.push(Box::new(move |state, runtime, stop| {
            let consumer = Consumer {
                durable,
                state,
                work,
                database: runtime.database.clone(),
                jetstream: runtime.jetstream.clone(),
                consuming: runtime.consuming.clone(),
                failures: Failures::default(),
                event: PhantomData::<fn() -> E>,
            };
            consumer.run(stop)
        }));
        self
    }

    /// Follows events of type `E`, from so long `ago` on (see [`crate::follow`]): what the service has to know of rather than
    /// to act on.
    #[must_use]
    pub fn follow<E: Event, F: Fn(&S, Received<E>) + Send + Sync + 'static>(mut self, ago: Duration, take: F) -> Self {
        self.manifest.follows.push(FollowEntry::of::<E>());
        self.tasks.push(Box::new(move |state, runtime, stop| {
            let (_caught_up, run) = follow::<E, _>(&runtime.client, ago, move |received| take(&state, received), stop);
            run.boxed()
        }));
        self
    }

    /// Uses a bucket of the object store.
    #[must_use]
    pub fn bucket(mut self, bucket: Bucket, writes: bool) -> Self {
        self.manifest.buckets.push(BucketEntry::of(bucket, writes));
        self
    }

    /// Uses a bucket of state.
    #[must_use]
    pub fn state<T>(mut self, bucket: &StateBucket<T>, writes: bool) -> Self {
        self.manifest.states.push(BucketEntry::of_state(bucket, writes));
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
        self.manifest.jobs.push(JobEntry::of(name, period, false));
        self.tasks.push(Box::new(move |state, _runtime, stop| {
            async move { jobs::run(name, period, || job(state.clone()), &stop).await }.boxed()
        }));
        self
    }

    /// As [`Service::every`], on one instance at a time; another takes over when that is gone. It saves doing work twice,
    /// and promises nothing more (see [`crate::lock`]): the job must bear being run by two at once.
    #[must_use]
    pub fn every_on_one<F, Fut, E>(mut self, name: &'static str, period: Duration, job: F) -> Self
    where
        F: Fn(S) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: std::fmt::Display + Send + 'static,
    {
        self.manifest.jobs.push(JobEntry::of(name, period, true));
        let bucket = format!("lock_{}", self.name);
        if !self.manifest.states.iter().any(|entry| entry.name == bucket) {
            let entry = BucketEntry { name: bucket.clone(), writes: true, max_age_s: None, max_bytes: 1 << 20 };
            self.manifest.states.push(entry);
        }
        self.tasks.push(Box::new(move |state, runtime, stop| {
            let lock = Lock::new(State::new(runtime.jetstream.clone(), &bucket), name, jobs::LEASE);
            async move { jobs::run_locked(name, period, || job(state.clone()), &lock, &stop).await }.boxed()
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

    /// Checks the service's own invariants on its own database when the operator asks (`argosy verify`).
    #[must_use]
    pub fn audit<F, Fut>(mut self, auditor: F) -> Self
    where
        F: Fn(S) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Vec<AuditCheck>, DatabaseError>> + Send + 'static,
    {
        self.auditor = Some(Box::new(move |state| auditor(state).boxed()));
        self
    }

    /// Its list.
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }
}
