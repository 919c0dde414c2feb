//! A bed for the tests of one service: its own nats-server with the permissions that the service's list gives it, its own
//! databases, and clients that act as the gateway does.
//!
//! The harness speaks to NATS as the user `bed`, who may do everything; the service under test has no more rights than it
//! will have in production. Other services are stood in for, call by call ([`Bed::answer`]); the real ones meet in the
//! end-to-end tests of this package.
//!
//! Trap: declare what [`Bed::run`] returns after the bed, so that it goes first.

mod broker;
mod client;
mod listening;
mod people;

use std::{
    process::Command,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use futures_util::StreamExt;
use nats::{
    config::Settings,
    connect::inbox_prefix,
    contracts::{
        Call, Event,
        operations::{Audit, AuditCheck},
    },
    invoke::{CallError, Caller, OK, OUTCOME, REFUSED},
    manifest::Manifest,
    objects::Objects,
    service::{Running, Service},
};
use tokio::sync::OnceCell;

pub use client::{Answer, Client, Request};
pub use listening::{Listening, Refusals};
pub use people::of_staff;

use crate::{
    mail::MailCatcher,
    ports,
    postgres::{Data, Postgres},
    process::Process,
    scratch::Scratch,
    tools,
    wait::wait_for,
};

/// How long a test waits for something that should happen at once.
pub const BOUND: Duration = Duration::from_secs(20);

static POSTGRES: OnceCell<(Postgres, Scratch)> = OnceCell::const_new();
static MAIL: OnceCell<(MailCatcher, Scratch)> = OnceCell::const_new();

/// Everything one test needs of the world.
pub struct Bed {
    broker: broker::Broker,
    objects: Objects,
    manifests: Arc<Mutex<Vec<Manifest>>>,
    /// One service at a time is let in.
    door: tokio::sync::Mutex<()>,
    /// Tells this bed's databases from those of other tests.
    name: String,
}

#[expect(clippy::panic, clippy::expect_used, reason = "a test that cannot set up its world has failed")]
impl Bed {
    /// A new world. PostgreSQL is shared by the tests of one program, databases are not.
    pub async fn start() -> Self {
        let broker = broker::Broker::start().await.unwrap_or_else(|error| panic!("{error}"));
        let objects = Objects::new(broker.jetstream().clone());
        let name = format!("t{}", uuid::Uuid::new_v4().simple());
        Self { broker, objects, manifests: Arc::default(), door: tokio::sync::Mutex::default(), name }
    }

    /// Runs a service in this process, with its real permissions. A second call runs a second instance.
    pub async fn run<S: Clone + Send + Sync + 'static>(&self, service: Service<S>) -> Running {
        self.run_with(service, &[]).await
    }

    /// As [`Bed::run`], with settings of the service's own.
    pub async fn run_with<S: Clone + Send + Sync + 'static>(
        &self,
        service: Service<S>,
        settings: &[(&str, &str)],
    ) -> Running {
        let name = service.manifest().service.clone();
        let mut all = self.admitted(service.manifest()).await;
        for (setting, value) in settings {
            all = all.with(setting, *value);
        }
        nats::telemetry::start(&log()).unwrap_or_else(|error| panic!("{error}"));
        service.start(all).await.unwrap_or_else(|error| panic!("{name} does not start: {error}"))
    }

    /// As [`Bed::run_with`], but in a process of its own, to be killed: the service's program, built beside the test.
    pub async fn spawn<S: Clone + Send + Sync + 'static>(
        &self,
        service: &Service<S>,
        settings: &[(&str, &str)],
    ) -> Process {
        let name = format!("svc-{}", service.manifest().service);
        let ops = format!("127.0.0.1:{}", ports::free().unwrap_or_else(|error| panic!("{error}")));
        let mut command = Command::new(tools::built(&name).unwrap_or_else(|error| panic!("{error}")));
        let all = self.admitted(service.manifest()).await;
        for setting in ["NATS_URL", "NATS_SEED", "DATABASE_URL"] {
            command.env(setting, all.require(setting).unwrap_or_else(|error| panic!("{error}")));
        }
        command.env("OPS_ADDR", &ops).env("LOG", "warn").envs(settings.iter().copied());
        let log = self.broker.directory().join(format!("{name}.log"));
        let process = Process::spawn(&name, command, &log).unwrap_or_else(|error| panic!("{error}"));
        let ready = process.until_ready(BOUND, async || {
            let answer = reqwest::get(format!("http://{ops}/readyz")).await.map_err(|error| error.to_string())?;
            Ok::<_, String>(answer.status().is_success().then_some(()))
        });
        ready.await.unwrap_or_else(|error| panic!("{error}"));
        process
    }

    /// What a process of this list needs of the world; it is let in.
    async fn admitted(&self, manifest: &Manifest) -> Settings {
        let _door = self.door.lock().await;
        self.admit(manifest).await;
        let name = &manifest.service;
        self.broker.settings(name).with("DATABASE_URL", self.database_url(name).await)
    }

    /// Lets a process of this list connect as itself, with its streams, consumers and buckets there: for one that is no
    /// service. Before the services: the server knows of it once it knows one that came later.
    pub async fn let_in(&self, manifest: &Manifest) {
        let _door = self.door.lock().await;
        self.admit(manifest).await;
    }

    async fn admit(&self, manifest: &Manifest) {
        let manifests = {
            let mut known = self.manifests.lock().unwrap_or_else(PoisonError::into_inner);
            if known.iter().any(|one| one.service == manifest.service) {
                return;
            }
            known.push(manifest.clone());
            known.clone()
        };
        self.broker.admit(&manifests).await.unwrap_or_else(|error| panic!("{error}"));
    }

    async fn database_url(&self, service: &str) -> String {
        let database = format!("{}_{service}", self.name);
        let (postgres, _) = postgres().await;
        postgres.create_database(&database, &database, "secret").await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// A connection to a service's database, to look at what it wrote.
    pub async fn sql(&self, service: &str) -> AsyncPgConnection {
        let url = self.database_url(service).await;
        AsyncPgConnection::establish(&url).await.expect("the service's database")
    }

    /// Asks a service under test, as another service would.
    ///
    /// # Errors
    /// What the service refuses, or that it is not there.
    pub async fn call<C: Call>(&self, question: &C) -> Result<C::Reply, CallError<C::Refusal>> {
        Caller::new(self.broker.client().clone()).call(question).await
    }

    /// As [`Bed::call`], to a service of our choice: for calls that every service answers.
    ///
    /// # Errors
    /// What the service refuses, or that it is not there.
    pub async fn call_at<C: Call>(&self, service: &str, question: &C) -> Result<C::Reply, CallError<C::Refusal>> {
        Caller::new(self.broker.client().clone()).call_at(service, question).await
    }

    /// Has a service under test check its invariants, as the operator would: those that do not hold.
    pub async fn broken_invariants(&self, service: &str) -> Vec<AuditCheck> {
        let report = Caller::new(self.broker.client().clone()).call_at(service, &Audit {}).await;
        let report = report.unwrap_or_else(|error| panic!("{service} cannot be audited: {error}"));
        report.checks.into_iter().filter(|check| !check.holds).collect()
    }

    /// Stands in for another service's answer to a call, until the test ends.
    pub async fn answer<C: Call>(&self, handler: impl Fn(C) -> Result<C::Reply, C::Refusal> + Send + Sync + 'static) {
        let client = self.broker.client().clone();
        let mut questions = client.subscribe(C::subject()).await.expect("a subscription");
        client.flush().await.expect("the server");
        tokio::spawn(async move {
            while let Some(message) = questions.next().await {
                let Some(inbox) = message.reply else { continue };
                let question: C = serde_json::from_slice(&message.payload).expect("the question");
                let (outcome, body) = match handler(question) {
                    Ok(reply) => (OK, serde_json::to_vec(&reply)),
                    Err(refusal) => (REFUSED, serde_json::to_vec(&refusal)),
                };
                let mut headers = async_nats::HeaderMap::new();
                headers.insert(OUTCOME, outcome);
                let _gone = client.publish_with_headers(inbox, headers, body.expect("JSON").into()).await;
            }
        });
    }

    /// Publishes an event as its owner would.
    pub async fn publish<E: Event>(&self, event: &E) {
        self.broker.publish(event, 1).await.unwrap_or_else(|error| panic!("{error}"));
    }

    /// Publishes an event twice, past the stream's own deduplication: consumers get it two times.
    pub async fn publish_twice<E: Event>(&self, event: &E) {
        self.broker.publish(event, 2).await.unwrap_or_else(|error| panic!("{error}"));
    }

    /// Publishes a raw message on a subject, with headers as given: for what nobody should believe.
    pub async fn publish_raw(&self, subject: &str, headers: &[(&str, &str)], body: &str) {
        self.broker.publish_raw(subject, headers, body).await.unwrap_or_else(|error| panic!("{error}"));
    }

    /// The first event of this type that `is_it`; waits for it.
    pub async fn event<E: Event>(&self, is_it: impl Fn(&E) -> bool) -> E {
        self.wait_for(&format!("an event {}", E::event_type()), || async {
            self.events(&is_it).await.into_iter().next()
        })
        .await
    }

    /// Every event of this type that `is_it` and is in the stream now.
    pub async fn events<E: Event>(&self, is_it: impl Fn(&E) -> bool) -> Vec<E> {
        let all = self.broker.events::<E>().await.unwrap_or_else(|error| panic!("{error}"));
        all.into_iter().filter(|event| is_it(event)).collect()
    }

    /// Asserts that no such event is in the stream now. Wait for something that comes after it first.
    pub async fn no_event<E: Event + std::fmt::Debug>(&self, is_it: impl Fn(&E) -> bool) {
        let found = self.events(is_it).await;
        assert!(found.is_empty(), "expected no {}, found {found:?}", E::event_type());
    }

    /// The consumers of the dead letters there are in all services' databases, and why each died; oldest first.
    pub async fn dead_letters(&self) -> Vec<(String, String)> {
        let services: Vec<String> = {
            let manifests = self.manifests.lock().unwrap_or_else(PoisonError::into_inner);
            manifests.iter().map(|manifest| manifest.service.clone()).collect()
        };
        let mut letters = Vec::new();
        for service in services {
            let mut sql = self.sql(&service).await;
            let rows: Vec<Buried> = diesel::sql_query("select consumer, reason, first_at from dead_letter")
                .load(&mut sql)
                .await
                .unwrap_or_else(|error| panic!("{error}"));
            letters.extend(rows);
        }
        letters.sort_by_key(|letter| letter.first_at);
        letters.into_iter().map(|letter| (letter.consumer, letter.reason)).collect()
    }

    /// What a process needs to connect as one of the users there are; `bed` may do everything.
    pub fn settings(&self, user: &str) -> Settings {
        self.broker.settings(user)
    }

    /// A raw connection as one of the users there are, and what the server refuses it.
    pub async fn connect_as(&self, user: &str) -> (async_nats::Client, Refusals) {
        let seed = self.broker.settings(user).require("NATS_SEED").expect("the user's seed");
        let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
        let options = async_nats::ConnectOptions::with_nkey(seed)
            .custom_inbox_prefix(inbox_prefix(user))
            .event_callback(move |event| {
                let sender = sender.clone();
                async move {
                    if let async_nats::Event::ServerError(error) = event {
                        let _gone = sender.send(error.to_string());
                    }
                }
            });
        let client = options.connect(self.broker.settings(user).require("NATS_URL").expect("the server")).await;
        (client.expect("a connection"), Refusals(receiver))
    }

    /// Listens with every right.
    pub async fn listen(&self, subject: &str) -> Listening {
        let client = self.broker.client().clone();
        let messages = client.subscribe(subject.to_owned()).await.expect("a subscription");
        client.flush().await.expect("the server");
        Listening { client, messages }
    }

    /// The mail catcher, shared by the tests of one program: use addresses of your own.
    pub async fn mail(&self) -> &'static MailCatcher {
        let start = || async {
            let scratch = Scratch::new("mail").unwrap_or_else(|error| panic!("{error}"));
            let catcher = MailCatcher::start(scratch.path(), None, None).await;
            (catcher.unwrap_or_else(|error| panic!("{error}")), scratch)
        };
        &MAIL.get_or_init(start).await.0
    }

    /// The object store, with every right.
    pub const fn objects(&self) -> &Objects {
        &self.objects
    }

    /// The NATS server, to be killed or restarted.
    pub const fn broker(&mut self) -> &mut crate::nats_server::NatsServer {
        self.broker.server()
    }

    /// Kills the NATS server, throws its store away, starts it again and provisions it: all it ever held is gone.
    pub async fn lose_everything_in_nats(&mut self) {
        let manifests = self.manifests.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.broker.lose_everything(&manifests).await.unwrap_or_else(|error| panic!("{error}"));
    }

    /// Looks again and again until there is something.
    pub async fn wait_for<T, Look: Future<Output = Option<T>>>(&self, what: &str, mut look: impl FnMut() -> Look) -> T {
        let looking = wait_for(what, BOUND, || {
            let looking = look();
            async { Ok::<_, String>(looking.await) }
        });
        looking.await.unwrap_or_else(|error| panic!("{error}"))
    }
}

/// Tests are quiet unless `LOG` is set.
fn log() -> Settings {
    let filter = std::env::var("LOG").unwrap_or_else(|_| "off".to_owned());
    Settings::default().with("LOG", filter).with("LOG_FORMAT", "human")
}

#[derive(diesel::QueryableByName)]
struct Buried {
    #[diesel(sql_type = diesel::sql_types::Text)]
    consumer: String,
    #[diesel(sql_type = diesel::sql_types::Text)]
    reason: String,
    #[diesel(sql_type = diesel::sql_types::Timestamptz)]
    first_at: chrono::DateTime<chrono::Utc>,
}

#[expect(clippy::panic, reason = "a test that cannot set up its world has failed")]
async fn postgres() -> &'static (Postgres, Scratch) {
    let start = || async {
        let scratch = Scratch::new("postgres").unwrap_or_else(|error| panic!("{error}"));
        let postgres = Postgres::start(scratch.path(), None, Data::Scratch).await;
        (postgres.unwrap_or_else(|error| panic!("{error}")), scratch)
    };
    POSTGRES.get_or_init(start).await
}
