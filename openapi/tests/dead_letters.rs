//! The dead letters of all services, for administrators.

use std::sync::Mutex;

use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use nats::{
    consume::{Failure, Received},
    contracts::Event,
    database::Tx,
    http::{Answered, Forward},
    identity::{
        Identity,
        Permission::{self, OperationsRead, OperationsWrite, OrdersWrite},
        Role,
    },
    invoke::Caller,
    service::{Running, Runtime, Service, StartError},
    types::UserId,
};
use openapi::operations::{Operations, endpoint};
use poem::endpoint::BoxEndpoint;
use poem_openapi::Object;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stack::Bed;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../nats/tests/migrations");
static CURED: Mutex<Vec<UserId>> = Mutex::new(Vec::new());

macro_rules! failing_service {
    ($event:ident of $name:ident) => {
        /// Something that its own service cannot handle.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Object)]
        struct $event {
            thing: UserId,
        }

        impl Event for $event {
            const SERVICE: &'static str = stringify!($name);
            const ENTITY: &'static str = stringify!($name);
            const VERB: &'static str = "done";
            const VERSION: u8 = 1;

            fn entity_id(&self) -> String {
                self.thing.to_string()
            }
        }

        fn $name() -> Service<()> {
            async fn fail(_tx: &mut Tx, _state: (), received: Received<$event>) -> Result<(), Failure> {
                let cured = CURED.lock().unwrap().contains(&received.event.thing);
                if cured { Ok(()) } else { Err(Failure::Dead("as asked".to_owned())) }
            }
            Service::new(stringify!($name), "A service that fails.", MIGRATIONS, async |_: Runtime| {
                Ok::<_, StartError>(())
            })
            .publishes::<$event>()
            .consume::<$event, _>("fail", fail)
        }
    };
}

failing_service!(AlphaDone of alpha);
failing_service!(BetaDone of beta);

/// Two services with two dead letters each, and the gateway's endpoint for them.
struct Scene {
    endpoint: BoxEndpoint<'static>,
    alpha: Option<Running>,
    _beta: Running,
    things: Vec<UserId>,
    bed: Bed,
}

impl Scene {
    async fn set() -> Self {
        let bed = Bed::start().await;
        let (alpha, beta) = (bed.run(alpha()).await, bed.run(beta()).await);
        let things: Vec<UserId> = (0..4).map(|_| UserId::new()).collect();
        for (place, thing) in things.iter().enumerate() {
            match place {
                0 | 1 => bed.publish(&AlphaDone { thing: *thing }).await,
                _ => bed.publish(&BetaDone { thing: *thing }).await,
            }
            bed.wait_for("the letter", || async { (bed.dead_letters().await.len() > place).then_some(()) }).await;
        }
        // As the gateway: with its rights and no more.
        let calls = Caller::new(bed.connect_as("gateway").await.0);
        let services = ["alpha".to_owned(), "beta".to_owned()].into();
        Self { endpoint: endpoint(Operations { calls, services }), alpha: Some(alpha), _beta: beta, things, bed }
    }

    /// Asks as somebody who may do just this; as nobody without.
    async fn ask(&self, permissions: Option<&[Permission]>, method: &str, target: &str, body: Value) -> Answer {
        let identity = permissions.map(|permissions| Identity {
            user: UserId::new(),
            session: None,
            roles: vec![Role::CUSTOMER],
            permissions: permissions.iter().copied().collect(),
        });
        let forward = Forward {
            service: "gateway",
            method,
            target,
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            identity: identity.as_ref(),
            client: None,
            body: body.to_string().into(),
        };
        let Answered { status, headers, body, .. } = forward.answer(&self.endpoint).await.expect("an answer");
        Answer { status, headers, json: serde_json::from_slice(&body).unwrap_or_default() }
    }

    async fn get(&self, target: &str) -> Answer {
        self.ask(Some(&[OperationsRead]), "GET", target, Value::Null).await
    }

    async fn post(&self, target: &str, body: Value) -> Answer {
        self.ask(Some(&[OperationsWrite]), "POST", target, body).await
    }

    /// The things of the letters that are listed.
    async fn listed(&self, query: &str) -> Vec<UserId> {
        let answer = self.get(&format!("/v1/dead-letters{query}")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.things()
    }
}

#[derive(Debug)]
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    json: Value,
}

impl Answer {
    fn things(&self) -> Vec<UserId> {
        let letters = self.json["data"].as_array().expect("a page").iter();
        letters.map(|letter| letter["subject"].as_str().unwrap().rsplit('.').next().unwrap().parse().unwrap()).collect()
    }

    fn code(&self) -> (u16, &str) {
        (self.status, self.json["code"].as_str().unwrap_or_default())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_letters_of_all_services_are_listed_in_pages() {
    let scene = Scene::set().await;

    assert_eq!(scene.listed("").await, scene.things);
    assert_eq!(scene.listed("?service=beta").await, scene.things[2..]);
    assert_eq!(scene.listed("?consumer=alpha-fail").await, scene.things[..2]);
    let (mut target, mut seen) = ("/v1/dead-letters?limit=1".to_owned(), Vec::new());
    loop {
        let page = scene.get(&target).await;
        seen.extend(page.things());
        let Some((_, link)) = page.headers.iter().find(|(name, _)| name == "link") else { break };
        target = link.split(['<', '>']).nth(1).unwrap().to_owned();
    }
    assert_eq!(seen, scene.things, "each once");
    assert_eq!(scene.get("/v1/dead-letters?service=nobody").await.code(), (422, "invalid_request"));
    assert_eq!(scene.get("/v1/dead-letters?cursor=xyz").await.code(), (400, "malformed_request"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_is_shown_redriven_and_discarded() {
    let scene = Scene::set().await;
    let letters = scene.get("/v1/dead-letters?service=alpha").await.json["data"].clone();
    let path = |place: usize| format!("/v1/dead-letters/alpha/{}", letters[place]["id"].as_str().unwrap());

    let shown = scene.get(&path(0)).await;
    assert_eq!((shown.status, &shown.json["letter"]), (200, &letters[0]));
    assert!(shown.json["payload"].as_str().unwrap().contains(&scene.things[0].to_string()), "{shown:?}");
    assert!(shown.json["headers"].as_array().unwrap().iter().any(|header| header["name"] == "ce-id"), "{shown:?}");

    CURED.lock().unwrap().push(scene.things[0]);
    let accepted = scene.post(&format!("{}/redrive", path(0)), Value::Null).await;
    assert_eq!((accepted.status, &accepted.json["state"]), (202, &json!("redriving")));
    assert!(accepted.headers.contains(&("location".to_owned(), path(0))), "{accepted:?}");
    scene
        .bed
        .wait_for("the letter to go", || async { (scene.get(&path(0)).await.code().0 == 404).then_some(()) })
        .await;

    assert_eq!(scene.post(&format!("{}/discard", path(1)), json!({})).await.code(), (422, "invalid_request"));
    let discarded = scene.post(&format!("{}/discard", path(1)), json!({ "reason": "a test" })).await;
    assert_eq!(discarded.status, 204);
    for target in [path(0), path(1), path(0).replace("alpha", "beta"), path(0).replace("alpha", "nobody")] {
        assert_eq!(scene.get(&target).await.code(), (404, "not_found"), "{target}");
        assert_eq!(scene.post(&format!("{target}/redrive"), Value::Null).await.code(), (404, "not_found"), "{target}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_are_redriven_at_once() {
    let scene = Scene::set().await;
    CURED.lock().unwrap().extend(&scene.things);

    let of_beta = scene.post("/v1/dead-letters/redrive", json!({ "service": "beta" })).await;

    assert_eq!((of_beta.status, of_beta.json), (200, json!({ "count": 2, "unavailable": [] })));
    let left = async |count: usize| {
        scene
            .bed
            .wait_for("letters to go", || async { (scene.bed.dead_letters().await.len() == count).then_some(()) })
            .await;
    };
    left(2).await;
    let none = scene.post("/v1/dead-letters/redrive", json!({ "consumer": "beta-fail" })).await;
    assert_eq!(none.json["count"], 0);
    let all = scene.post("/v1/dead-letters/redrive", json!({})).await;
    assert_eq!(all.json["count"], 2);
    left(0).await;
    let unknown = scene.post("/v1/dead-letters/redrive", json!({ "servce": "beta" })).await;
    assert_eq!(unknown.code(), (422, "invalid_request"), "a misspelt restriction must not redrive all");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_asked_is_named() {
    let mut scene = Scene::set().await;
    scene.alpha.take().expect("a service that runs").stop().await;

    let all = scene.get("/v1/dead-letters").await;
    assert_eq!(all.code(), (503, "unavailable"));
    assert!(all.json["detail"].as_str().unwrap().contains("alpha"), "{all:?}");
    assert_eq!(scene.listed("?service=beta").await, scene.things[2..]);
    let redriven = scene.post("/v1/dead-letters/redrive", json!({})).await;
    assert_eq!((redriven.status, redriven.json), (200, json!({ "count": 2, "unavailable": ["alpha"] })));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_administrators_may() {
    let scene = Scene::set().await;
    let id = scene.get("/v1/dead-letters").await.json["data"][0]["id"].as_str().unwrap().to_owned();
    let operations = [
        ("GET", "/v1/dead-letters".to_owned()),
        ("GET", format!("/v1/dead-letters/alpha/{id}")),
        ("POST", format!("/v1/dead-letters/alpha/{id}/redrive")),
        ("POST", format!("/v1/dead-letters/alpha/{id}/discard")),
        ("POST", "/v1/dead-letters/redrive".to_owned()),
    ];

    for (method, target) in operations {
        let other = if method == "GET" { OperationsWrite } else { OperationsRead };
        for (permissions, expected) in
            [(None, 401), (Some([].as_slice()), 403), (Some([OrdersWrite, other].as_slice()), 403)]
        {
            let answer = scene.ask(permissions, method, &target, json!({ "reason": "mine" })).await;
            assert_eq!(answer.status, expected, "{method} {target} with {permissions:?}: {answer:?}");
        }
    }
    assert_eq!(scene.listed("").await, scene.things, "nothing was done");
}
