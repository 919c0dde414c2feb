//! The service under test: it answers, records, consumes, and fails when it is asked to.

use std::{sync::Mutex, time::Duration};

use diesel::sql_types;
use diesel_async::RunQueryDsl;
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use nats::{
    consume::{Failure, Received},
    contracts::{Call, Event, Never},
    database::{Database, Tx, sql},
    http::{Body, Created},
    identity::{OrdersRead, OrdersWrite, OwnerOr, User, Visitor},
    invoke::CallError,
    problem::Problem,
    resilience::remaining,
    service::{Runtime, Service, StartError},
    types::{Quantity, Text, UserId},
};
use poem::web::Data;
use poem_openapi::{Object, OpenApi, param::Path};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

pub(crate) const MIGRATIONS: EmbeddedMigrations = embed_migrations!("tests/migrations");

/// Something happened to a thing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Object)]
pub(crate) struct ThingDone {
    pub(crate) thing: UserId,
    /// What the consumer should do with it.
    pub(crate) mood: String,
}

impl Event for ThingDone {
    const SERVICE: &'static str = "probe";
    const ENTITY: &'static str = "thing";
    const VERB: &'static str = "done";
    const VERSION: u8 = 1;

    fn entity_id(&self) -> String {
        self.thing.to_string()
    }
}

/// Asks for a thing to be done.
#[derive(Debug, Clone, Serialize, Deserialize, Object)]
pub(crate) struct DoThing {
    pub(crate) thing: UserId,
    pub(crate) mood: String,
    pub(crate) commit: bool,
}

/// It was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub(crate) struct Done {
    pub(crate) thing: UserId,
}

/// It was not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum NotDone {
    BadMood,
}

impl Call for DoThing {
    const SERVICE: &'static str = "probe";
    const VERB: &'static str = "do_thing";
    const DEADLINE: Duration = Duration::from_millis(800);
    const IDEMPOTENT: bool = false;
    type Reply = Done;
    type Refusal = NotDone;
}

/// Asks a service that nobody runs.
#[derive(Debug, Clone, Serialize, Deserialize, Object)]
pub(crate) struct AskNobody {}

impl Call for AskNobody {
    const SERVICE: &'static str = "nobody";
    const VERB: &'static str = "ask";
    const IDEMPOTENT: bool = true;
    type Reply = Done;
    type Refusal = Never;
}

#[derive(Clone)]
pub(crate) struct Probe {
    database: Database,
}

pub(crate) fn service() -> Service<Probe> {
    Service::new("probe", "A service for tests.", MIGRATIONS, async |runtime: Runtime| {
        Ok::<_, StartError>(Probe { database: runtime.database })
    })
    .http(ProbeApi)
    .answer::<DoThing, _>(do_thing)
    .publishes::<ThingDone>()
    .consume::<ThingDone, _>("note", note)
    .consume::<ThingDone, _>("suffer", suffer)
    .consume_all::<ThingDone, _>("gather", gather)
}

async fn do_thing(probe: Probe, question: DoThing) -> Result<Done, CallError<NotDone>> {
    match question.mood.as_str() {
        "refuse" => return Err(CallError::Refused(NotDone::BadMood)),
        "break" => return Err(CallError::Failed("it broke inside".to_owned())),
        "hang" => std::future::pending().await,
        "panic" => panic!("as asked"),
        _ => {}
    }
    let mut tx = probe.database.begin().await?;
    tx.record(&ThingDone { thing: question.thing, mood: question.mood }).await?;
    if question.commit {
        tx.commit().await?;
    }
    Ok(Done { thing: question.thing })
}

async fn write_effect(tx: &mut Tx, name: &str, thing: UserId) -> Result<(), Failure> {
    diesel::sql_query("insert into effect (name, thing) values ($1, $2)")
        .bind::<sql_types::Text, _>(name.to_owned())
        .bind::<sql_types::Uuid, _>(thing.uuid())
        .execute(tx)
        .await?;
    Ok(())
}

/// Always does its work.
async fn note(tx: &mut Tx, _probe: Probe, received: Received<ThingDone>) -> Result<(), Failure> {
    write_effect(tx, "note", received.event.thing).await
}

/// Fails as the event asks it to, after it has written its effect.
async fn suffer(tx: &mut Tx, _probe: Probe, received: Received<ThingDone>) -> Result<(), Failure> {
    let thing = received.event.thing;
    write_effect(tx, "suffer", thing).await?;
    SUFFERED.lock().unwrap().push(thing);
    if CURED.lock().unwrap().contains(&thing) {
        return Ok(());
    }
    match received.event.mood.as_str() {
        "panic" => panic!("as asked"),
        "hang once dead" if suffered(thing) > 1 => std::future::pending().await,
        "dead, then away" if suffered(thing) > 1 => Err(Failure::Unavailable("as asked".to_owned())),
        "dead" | "hang once dead" | "dead, then away" => Err(Failure::Dead("as asked".to_owned())),
        "later" => Err(Failure::RetryAfter { delay: LATER, reason: "not now".to_owned() }),
        "away" => Err(Failure::Unavailable("as asked".to_owned())),
        "hang" => std::future::pending().await,
        "patient" if remaining(HOUR) == HOUR => Err(Failure::Dead("it could wait for ever".to_owned())),
        "first time" if suffered(thing) == 1 => Err(Failure::Failed("only the first time".to_owned())),
        _ => Ok(()),
    }
}

/// Does its work for all of them by one statement; cannot bear anything sour.
async fn gather(tx: &mut Tx, _probe: Probe, all: Vec<Received<ThingDone>>) -> Result<(), Failure> {
    let things: Vec<UserId> = all.iter().map(|received| received.event.thing).collect();
    GATHERED.lock().unwrap().push(things.clone());
    sql("insert into effect (name, thing) select 'gather', * from unnest($1)")
        .bind::<sql_types::Array<sql_types::Uuid>, _>(things)
        .execute(tx)
        .await?;
    match all.iter().any(|received| received.event.mood == "sour") {
        true => Err(Failure::Dead("one is sour".to_owned())),
        false => Ok(()),
    }
}

static GATHERED: Mutex<Vec<Vec<UserId>>> = Mutex::new(Vec::new());

/// What this process was given together, as far as this thing was among it.
pub(crate) fn gathered_with(thing: UserId) -> Vec<Vec<UserId>> {
    GATHERED.lock().unwrap().iter().filter(|batch| batch.contains(&thing)).cloned().collect()
}

const HOUR: Duration = Duration::from_secs(3600);

/// How much later an event of the mood `later` is to be tried.
pub(crate) const LATER: Duration = Duration::from_millis(50);

static SUFFERED: Mutex<Vec<UserId>> = Mutex::new(Vec::new());
static CURED: Mutex<Vec<UserId>> = Mutex::new(Vec::new());

/// How often this process has been given an event of the thing to suffer.
pub(crate) fn suffered(thing: UserId) -> usize {
    SUFFERED.lock().unwrap().iter().filter(|one| **one == thing).count()
}

/// From now on nothing about the thing fails.
pub(crate) fn cure(thing: UserId) {
    CURED.lock().unwrap().push(thing);
}

/// A body with rules.
#[derive(Debug, Clone, Serialize, Deserialize, Object)]
#[serde(deny_unknown_fields)]
pub(crate) struct Order {
    name: Text<1, 20>,
    quantity: Quantity,
}

/// What lets one test hold requests in the middle.
pub(crate) struct Gate {
    /// A permit for each request that has begun.
    pub(crate) begun: Semaphore,
    /// A permit for each that may end.
    pub(crate) open: Semaphore,
}

pub(crate) static GATE: Gate = Gate { begun: Semaphore::const_new(0), open: Semaphore::const_new(0) };

/// A long answer.
#[derive(Debug, Clone, Serialize, Deserialize, Object)]
pub(crate) struct Long {
    text: String,
}

pub(crate) struct ProbeApi;

#[OpenApi]
impl ProbeApi {
    /// Echo a body with rules
    #[oai(path = "/v1/orders", method = "post", operation_id = "echo_order")]
    async fn order(&self, _user: User, body: Body<Order>) -> Result<Created<Order>, Problem> {
        Ok(Created::new("/v1/orders/1", body.0))
    }

    /// Tell who asks
    #[oai(path = "/v1/whoami", method = "get", operation_id = "whoami")]
    async fn whoami(&self, Visitor(identity): Visitor) -> Result<Body<Long>, Problem> {
        Ok(Body(Long { text: identity.map_or_else(|| "nobody".to_owned(), |identity| identity.user.to_string()) }))
    }

    /// Only with a permission
    #[oai(path = "/v1/permitted", method = "get", operation_id = "permitted_only")]
    async fn permitted(&self, OrdersWrite(_caller): OrdersWrite) -> Result<Body<Long>, Problem> {
        Ok(Body(Long { text: "welcome".to_owned() }))
    }

    /// Tell whether something of this user is in reach
    #[oai(path = "/v1/reach/:owner", method = "get", operation_id = "reach")]
    async fn reach(&self, caller: OwnerOr<OrdersRead>, owner: Path<UserId>) -> Result<Body<Long>, Problem> {
        let reach = (caller.reaches(owner.0), caller.reaches_all());
        Ok(Body(Long { text: format!("{reach:?}") }))
    }

    /// Answer with so many letters, or repeat a long body
    #[oai(path = "/v1/long/:length", method = "get", operation_id = "long_answer")]
    async fn long(&self, length: Path<usize>) -> Result<Body<Long>, Problem> {
        Ok(Body(Long { text: "x".repeat(length.0) }))
    }

    /// Tell how long the body was
    #[oai(path = "/v1/measure", method = "post", operation_id = "measure")]
    async fn measure(&self, body: Body<Long>) -> Result<Body<Long>, Problem> {
        Ok(Body(Long { text: body.0.text.len().to_string() }))
    }

    /// Break inside
    #[oai(path = "/v1/broken", method = "get", operation_id = "broken")]
    async fn broken(&self, Data(_probe): Data<&Probe>) -> Result<Body<Long>, Problem> {
        Err(Problem::internal("the secret inside"))
    }

    /// Panic
    #[oai(path = "/v1/panic", method = "get", operation_id = "panic")]
    async fn panic(&self) -> Result<Body<Long>, Problem> {
        panic!("as asked")
    }

    /// Wait until the test opens the gate
    #[oai(path = "/v1/gated", method = "get", operation_id = "gated")]
    async fn gated(&self) -> Result<Body<Long>, Problem> {
        GATE.begun.add_permits(1);
        let open = GATE.open.acquire().await.unwrap();
        open.forget();
        Ok(Body(Long { text: "there".to_owned() }))
    }
}
