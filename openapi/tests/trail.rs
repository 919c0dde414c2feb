//! What is done is written down first.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use nats::{
    connect::jetstream,
    contracts::trail::{RecordTrail, TrailBegan, TrailEnded, TrailEntries, TrailKept, TrailRecorded},
    http::{Body, ClientAddress, Created},
    identity::User,
    problem::{Code, Problem},
    service::{Running, Runtime, Service, StartError},
    types::{OrderId, SessionId, TrailEntryId},
};
use poem_openapi::{Object, OpenApi, param::Path, payload::Response};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;
use stack::bed::Listening;
use tokio::sync::Semaphore;

use crate::scene::{Answer, Door, Scene};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../nats/tests/migrations");
const SOON: Duration = Duration::from_secs(20);
const NEVER: Duration = Duration::from_millis(300);

/// Stands where the orders' paths lead.
#[derive(Clone)]
struct Orders {
    /// How many requests came.
    placed: Arc<AtomicU32>,
    /// How many it may answer.
    answers: Arc<Semaphore>,
}

fn orders() -> (Service<Orders>, Orders) {
    let orders = Orders { placed: Arc::default(), answers: Arc::new(Semaphore::new(1_000)) };
    let state = orders.clone();
    let init = move |_: Runtime| async move { Ok::<_, StartError>(state) };
    (Service::new("order", "Places orders.", MIGRATIONS, init).http(OrderApi), orders)
}

/// What was ordered, and from where.
#[derive(Debug, Clone, Serialize, Deserialize, Object)]
struct Placed {
    id: OrderId,
    from: Option<String>,
}

struct OrderApi;

#[OpenApi]
impl OrderApi {
    /// Place an order
    #[oai(path = "/v1/orders", method = "post", operation_id = "place_order")]
    async fn place(
        &self,
        poem::web::Data(orders): poem::web::Data<&Orders>,
        User(identity): User,
        ClientAddress(address): ClientAddress,
        Body(_body): Body<serde_json::Value>,
    ) -> Result<Response<Created<Placed>>, Problem> {
        orders.placed.fetch_add(1, Ordering::Relaxed);
        orders.answers.acquire().await.map_err(Problem::internal)?.forget();
        let id = OrderId::new();
        let placed = Placed { id, from: address.map(|address| address.to_string()) };
        let answer = Response::new(Created::new(format!("/v1/orders/{id}"), placed));
        Ok(answer.header("Argosy-Concerns", identity.user.to_string()))
    }

    /// Cancel an order
    #[oai(path = "/v1/orders/:id/cancel", method = "post", operation_id = "cancel_order")]
    async fn cancel(&self, _id: Path<String>) -> Result<Body<Placed>, Problem> {
        Err(Problem::new(Code::Conflict, "It is on its way."))
    }

    /// List orders
    #[oai(path = "/v1/orders", method = "get", operation_id = "list_orders")]
    async fn list(&self) -> Result<Body<Vec<Placed>>, Problem> {
        Ok(Body(Vec::new()))
    }
}

/// A scene in which orders are placed.
async fn scene() -> (Scene, Orders, Running) {
    let scene = Scene::set().await;
    let (service, orders) = orders();
    let running = scene.bed.run(service).await;
    (scene, orders, running)
}

async fn place(door: &Door, token: &str) -> Answer {
    let body = json!({ "note": "secret-in-a-body" });
    let request = door.request(Method::POST, "/v1/orders").bearer_auth(token).json(&body);
    Answer::of(request.header("User-Agent", "Laptop/1.0").header("X-Forwarded-For", "2001:db8:1:2:3::4")).await
}

/// What the gateway tells, as it tells it.
struct Told {
    listening: Listening,
    began: Vec<TrailBegan>,
    ended: BTreeMap<TrailEntryId, TrailEnded>,
    text: String,
}

impl Told {
    async fn listen(scene: &Scene) -> Self {
        let listening = scene.bed.listen("direct.trail.>").await;
        Self { listening, began: Vec::new(), ended: BTreeMap::new(), text: String::new() }
    }

    fn take(&mut self, entries: TrailEntries) {
        self.began.extend(entries.began);
        self.ended.extend(entries.ended.into_iter().map(|ended| (ended.id, ended)));
    }

    /// Listens until so many deeds have begun and ended.
    async fn until(&mut self, began: usize, ended: usize) {
        while self.began.len() < began || self.ended.len() < ended {
            let message = self.listening.next(SOON).await.unwrap_or_else(|| {
                panic!("{began} deeds and {ended} ends were expected, not {:?} and {:?}", self.began, self.ended)
            });
            self.text.push_str(&message);
            let event: TrailRecorded = serde_json::from_str(&message).unwrap();
            self.take(event.entries);
        }
    }

    /// The newest deed, and what came of it.
    fn last(&self) -> (&TrailBegan, &TrailEnded) {
        let began = self.began.last().unwrap();
        (began, &self.ended[&began.id])
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deed_is_told_with_who_and_what_and_from_where_and_without_what_was_said() {
    let (scene, _orders, _running) = scene().await;
    let mut told = Told::listen(&scene).await;
    let door = scene.gateway(&[("TRUSTED_PROXIES", "1")]).await;
    let session = SessionId::new();
    let token = scene.token_of(session, 600);

    let answer = place(&door, &token).await;

    assert_eq!((answer.status, answer.header("argosy-concerns")), (201, ""), "that is for the gateway alone");
    let body: Placed = serde_json::from_slice(&answer.bytes).unwrap();
    assert_eq!(body.from.as_deref(), Some("2001:db8:1:2::"), "the service hears from where");
    told.until(1, 1).await;
    let (began, ended) = told.last();
    assert_eq!((began.operation.as_str(), began.session_id), ("place_order", Some(session)));
    assert_eq!((began.roles.as_slice(), began.targets.as_slice()), (["customer".to_owned()].as_slice(), [].as_slice()));
    assert_eq!((began.address.as_deref(), began.user_agent.as_deref()), (Some("2001:db8:1:2::"), Some("Laptop/1.0")));
    assert_eq!(began.request_id, answer.header("x-request-id"));
    assert_eq!(began.at, began.id.timestamp());
    assert_eq!((ended.status, ended.created.clone()), (201, Some(body.id.to_string())));
    assert_eq!(ended.concerns, began.user_id);
    for secret in [token.as_str(), "secret-in-a-body", "Bearer"] {
        assert!(!told.text.contains(secret), "{secret} in {}", told.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_told_as_well_and_what_only_reads_is_not() {
    let (scene, _orders, _running) = scene().await;
    let mut told = Told::listen(&scene).await;
    let door = scene.gateway(&[("LIMITS", "write=4/3600")]).await;
    let (token, cancel) = (scene.token(), "/v1/orders/ord_1/cancel");
    assert_eq!(Answer::of(door.request(Method::GET, "/v1/orders").bearer_auth(&token)).await.status, 200);

    for (path, token, body, status) in [
        (cancel, Some(token.as_str()), "", 409),
        (cancel, Some("guessed"), "", 401),
        (cancel, None, "", 401),
        (cancel, Some(&token), &"x".repeat(2_000), 413),
        ("/v1/orders/ada@example.com/cancel", Some(&token), "", 409),
        ("/v1/payments/pay_1/refunds", Some(&token), "{}", 503),
    ] {
        let mut request = door.request(Method::POST, path).body(body.to_owned());
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        assert_eq!(Answer::of(request).await.status, status, "{path}");
        let count = told.began.len() + 1;
        told.until(count, count).await;
        let (began, ended) = told.last();
        assert_eq!(ended.status, status, "{path}");
        assert_eq!(began.user_id.is_some(), token.is_some_and(|token| token.len() > 20), "{path}");
        let targets: Vec<_> = began.targets.iter().map(|target| target.value.as_str()).collect();
        let named = path.split('/').nth(3).filter(|named| !named.contains('@'));
        assert_eq!(targets, named.into_iter().collect::<Vec<_>>(), "{path}");
    }

    assert_eq!(Answer::of(door.request(Method::POST, cancel).bearer_auth(&token)).await.status, 429);
    assert_eq!(told.listening.next(NEVER).await, None, "a flood of requests is no flood of entries");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deed_begins_in_the_trail_before_it_is_done_and_without_an_answer_it_has_no_end() {
    let (scene, orders, _running) = scene().await;
    let mut told = Told::listen(&scene).await;
    let (door, token) = (scene.gateway(&[]).await, scene.token());
    orders.answers.forget_permits(1_000);

    let placing = tokio::spawn(door.request(Method::POST, "/v1/orders").bearer_auth(&token).json(&json!({})).send());
    told.until(1, 0).await;
    scene
        .bed
        .wait_for("the order to be placed", async || (orders.placed.load(Ordering::Relaxed) == 1).then_some(()))
        .await;
    let other = Answer::of(door.request(Method::POST, "/v1/orders/ord_1/cancel").bearer_auth(&token)).await;
    assert_eq!(other.status, 409);
    told.until(2, 1).await;
    assert!(!told.ended.contains_key(&told.began[0].id), "what becomes of the first is not known");

    orders.answers.add_permits(1);
    assert_eq!(placing.await.unwrap().unwrap().status(), 201);
    told.until(2, 2).await;
    assert_eq!(told.ended[&told.began[0].id].status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_deeds_at_once_share_messages() {
    let (scene, _orders, _running) = scene().await;
    let mut told = Told::listen(&scene).await;
    let (door, token) = (scene.gateway(&[("LIMITS", "write=100000/1")]).await, scene.token());

    let answers = futures_util::future::join_all((0..200).map(|_| place(&door, &token))).await;

    assert!(answers.iter().all(|answer| answer.status == 201));
    told.until(200, 200).await;
    let messages = told.text.matches("\"gateway\"").count();
    assert!(messages < 300, "{messages} messages for 400 halves");
    let ids: std::collections::BTreeSet<_> = told.began.iter().map(|began| began.id).collect();
    assert!(ids.len() == 200 && ids.iter().all(|id| told.ended.contains_key(id)), "each once, each with its end");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_jetstream_does_not_take_svc_user_keeps_and_without_either_nothing_is_done() {
    let (scene, orders, _running) = scene().await;
    let (door, token) = (scene.gateway(&[]).await, scene.token());
    let (client, _refusals) = scene.bed.connect_as("bed").await;
    jetstream(&client).delete_stream("TRAIL").await.unwrap();

    let refused = place(&door, &token).await;

    assert_eq!(refused.code(), (503, "unavailable".to_owned()), "{}", refused.detail());
    assert!(refused.detail().starts_with("Nothing was done"), "{}", refused.detail());
    assert_eq!(orders.placed.load(Ordering::Relaxed), 0);

    let kept: Arc<Mutex<TrailEntries>> = Arc::default();
    let keeping = Arc::clone(&kept);
    scene
        .bed
        .answer::<RecordTrail>(move |question| {
            let mut kept = keeping.lock().unwrap();
            kept.began.extend(question.entries.began);
            kept.ended.extend(question.entries.ended);
            Ok(TrailKept {})
        })
        .await;
    assert_eq!(place(&door, &token).await.status, 201);
    let ends = || {
        let mut ends: Vec<u16> = kept.lock().unwrap().ended.iter().map(|ended| ended.status).collect();
        ends.sort_unstable();
        ends
    };
    scene.bed.wait_for("both ends", async || (ends() == [201, 503]).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_stops_tells_what_its_last_requests_came_to() {
    let (scene, orders, _running) = scene().await;
    let mut told = Told::listen(&scene).await;
    let (door, token) = (scene.gateway_as("gateway", &[]).await, scene.token());
    orders.answers.forget_permits(1_000);
    let request = door.request(Method::POST, "/v1/orders").bearer_auth(&token).json(&json!({}));
    let placing = tokio::spawn(Answer::of(request));
    told.until(1, 0).await;

    let stopping = tokio::spawn(door.gateway.stop());
    orders.answers.add_permits(1);

    assert_eq!(placing.await.unwrap().status, 201);
    tokio::time::timeout(SOON, stopping).await.expect("it stops").unwrap();
    told.until(1, 1).await;
    assert_eq!(told.last().1.status, 201);
}
