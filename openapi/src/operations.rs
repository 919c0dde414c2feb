//! What belongs to no service: the dead letters of all of them, for administrators.
//!
//! The gateway answers these operations itself, by asking each service for its own ([`nats::contracts::operations`]). They
//! stand in `openapi.json` as every other, with the gateway as their service.

use std::{fmt, sync::Arc};

use futures_util::future::join_all;
use nats::{
    contracts::{
        Call,
        operations::{
            DeadLetter, DeadLetterDetails, DiscardDeadLetter, GetDeadLetter, ListDeadLetters, NoDeadLetter,
            RedriveDeadLetters,
        },
    },
    http::{Accepted, Body, Listed, NoContent},
    identity::{self, OperationsRead, OperationsWrite},
    invoke::{CallError, Caller},
    problem::{Code, Problem},
    types::{Cursor, DeadLetterId, Limit, Page, Text},
};
use poem::{EndpointExt, Route, endpoint::BoxEndpoint, web::Data};
use poem_openapi::{
    Object, OpenApi, OpenApiService, Tags,
    param::{Path, Query},
};
use serde::{Deserialize, Serialize};

use crate::realtime::{self, StreamApi};

/// The name that stands for the gateway in the document.
pub const GATEWAY: &str = "gateway";

/// What the endpoints have at hand.
#[derive(Clone)]
pub struct Operations {
    /// Calls to them.
    pub calls: Caller,
    /// The services, in the order in which they are listed.
    pub services: Arc<[String]>,
}

/// The endpoints' document.
pub(crate) fn document() -> Option<serde_json::Value> {
    let service = OpenApiService::new((DeadLetterApi, StreamApi), GATEWAY, env!("CARGO_PKG_VERSION"));
    let mut document = identity::document(&service.spec())?;
    realtime::describe(&mut document);
    Some(document)
}

/// The endpoints.
pub fn endpoint(operations: Operations) -> BoxEndpoint<'static> {
    Route::new().nest("/", service()).data(operations).map_to_response().boxed()
}

fn service() -> OpenApiService<DeadLetterApi, ()> {
    OpenApiService::new(DeadLetterApi, GATEWAY, env!("CARGO_PKG_VERSION"))
}

#[derive(Tags)]
enum Tag {
    /// Running the system.
    Operations,
}

/// Which dead letters to redrive; all, when neither is named.
#[derive(Debug, Clone, Serialize, Deserialize, Object)]
#[serde(deny_unknown_fields)]
struct RedriveRequest {
    /// Only those of this service.
    service: Option<String>,
    /// Only those of this durable consumer.
    consumer: Option<String>,
}

/// What is being redriven.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
struct Redriving {
    /// How many letters are being tried again; at most 10,000 of each service.
    count: u64,
    /// The services that could not be asked.
    unavailable: Vec<String>,
}

/// Why a dead letter is thrown away.
#[derive(Debug, Clone, Serialize, Deserialize, Object)]
#[serde(deny_unknown_fields)]
struct DiscardRequest {
    /// For the log.
    reason: Text<1, 500>,
}

struct DeadLetterApi;

#[OpenApi(prefix_path = "/v1/dead-letters", tag = "Tag::Operations")]
impl DeadLetterApi {
    /// List the dead letters
    ///
    /// Messages that a consumer could not handle: service by service, oldest first. A service that there is not is an
    /// `invalid_request`.
    #[oai(path = "/", method = "get", operation_id = "list_dead_letters")]
    async fn list(
        &self,
        Data(operations): Data<&Operations>,
        OperationsRead(_caller): OperationsRead,
        /// Only those of this service.
        service: Query<Option<String>>,
        /// Only those of this durable consumer.
        consumer: Query<Option<String>>,
        /// How many entries the page has.
        limit: Query<Limit>,
        /// The `next_cursor` of the page before.
        cursor: Query<Option<Cursor>>,
    ) -> Result<Listed<DeadLetter>, Problem> {
        let after: Option<(String, DeadLetterId)> = cursor.0.map(|cursor| cursor.after()).transpose()?;
        let mut rows: Vec<DeadLetter> = Vec::new();
        for asked in operations.chosen(service.0.as_deref(), "?service")? {
            let left = limit.0.rows() - i64::try_from(rows.len()).unwrap_or(i64::MAX);
            let before = after.as_ref().is_some_and(|(service, _)| asked < service);
            if left <= 0 || before {
                continue;
            }
            let after = after.as_ref().filter(|(service, _)| asked == service).map(|(_, id)| *id);
            let question = ListDeadLetters { consumer: consumer.0.clone(), after, limit: left };
            let page = operations.calls.call_at(asked, &question).await;
            rows.extend(page.map_err(|error| problem(asked, error, |never| match never {}))?.letters);
        }
        let key = |letter: &DeadLetter| (letter.service.clone(), letter.id);
        Ok(Listed(Page::from_rows(rows, limit.0, key, |letter| letter)?))
    }

    /// Get a dead letter
    ///
    /// With the message's headers and body.
    #[oai(path = "/:service/:id", method = "get", operation_id = "get_dead_letter")]
    async fn get(
        &self,
        Data(operations): Data<&Operations>,
        OperationsRead(_caller): OperationsRead,
        /// The service that has it.
        service: Path<String>,
        /// Which letter.
        id: Path<DeadLetterId>,
    ) -> Result<Body<DeadLetterDetails>, Problem> {
        Ok(Body(operations.ask(&service.0, &GetDeadLetter { id: id.0 }).await?))
    }

    /// Redrive a dead letter
    ///
    /// Its consumer tries it again, at once. The letter is gone when that succeeds, and `dead` again when it fails.
    #[oai(path = "/:service/:id/redrive", method = "post", operation_id = "redrive_dead_letter")]
    async fn redrive(
        &self,
        Data(operations): Data<&Operations>,
        OperationsWrite(operator): OperationsWrite,
        /// The service that has it.
        service: Path<String>,
        /// Which letter.
        id: Path<DeadLetterId>,
    ) -> Result<Accepted<DeadLetter>, Problem> {
        let found = operations.ask(&service.0, &GetDeadLetter { id: id.0 }).await?;
        let question = RedriveDeadLetters { id: Some(id.0), consumer: None, by: operator.user.to_string() };
        operations.ask(&service.0, &question).await?;
        let state = nats::contracts::operations::DeadLetterState::Redriving;
        let body = DeadLetter { state, ..found.letter };
        Ok(Accepted { location: format!("/v1/dead-letters/{}/{}", service.0, id.0), body, replayed: false })
    }

    /// Redrive many dead letters
    ///
    /// All of them, or those of one service or consumer.
    #[oai(path = "/redrive", method = "post", operation_id = "redrive_dead_letters")]
    async fn redrive_many(
        &self,
        Data(operations): Data<&Operations>,
        OperationsWrite(operator): OperationsWrite,
        request: Body<RedriveRequest>,
    ) -> Result<Body<Redriving>, Problem> {
        let RedriveRequest { service, consumer } = request.0;
        let question = RedriveDeadLetters { id: None, consumer, by: operator.user.to_string() };
        let asked = operations.chosen(service.as_deref(), "/service")?;
        let answers = join_all(asked.iter().map(|service| operations.calls.call_at(service, &question))).await;
        let mut redriving = Redriving { count: 0, unavailable: Vec::new() };
        for (service, answer) in asked.iter().zip(answers) {
            match answer {
                Ok(redriven) => redriving.count += redriven.count,
                Err(error) => {
                    tracing::warn!(service, %error, "dead letters could not be redriven");
                    redriving.unavailable.push(service.clone());
                }
            }
        }
        Ok(Body(redriving))
    }

    /// Discard a dead letter
    ///
    /// For good: its consumer will never take effect of that event.
    #[oai(path = "/:service/:id/discard", method = "post", operation_id = "discard_dead_letter")]
    async fn discard(
        &self,
        Data(operations): Data<&Operations>,
        OperationsWrite(operator): OperationsWrite,
        /// The service that has it.
        service: Path<String>,
        /// Which letter.
        id: Path<DeadLetterId>,
        request: Body<DiscardRequest>,
    ) -> Result<NoContent, Problem> {
        let reason = request.0.reason.to_string();
        let question = DiscardDeadLetter { id: id.0, reason, by: operator.user.to_string() };
        operations.ask(&service.0, &question).await?;
        Ok(NoContent)
    }
}

impl Operations {
    /// The services to ask: the named one, or all.
    fn chosen(&self, named: Option<&str>, pointer: &str) -> Result<&[String], Problem> {
        let Some(named) = named else { return Ok(&self.services) };
        let place = self.services.iter().position(|service| service == named);
        place.and_then(|place| self.services.get(place..=place)).ok_or_else(|| {
            let known = self.services.join(", ");
            Problem::new(Code::InvalidRequest, "There is no such service.").at(pointer, format!("there are {known}"))
        })
    }

    /// Asks one service about one letter.
    async fn ask<C: Call<Refusal = NoDeadLetter>>(&self, service: &str, question: &C) -> Result<C::Reply, Problem> {
        if !self.services.iter().any(|known| known == service) {
            return Err(Problem::not_found("dead letter"));
        }
        let answer = self.calls.call_at(service, question).await;
        answer.map_err(|error| problem(service, error, |NoDeadLetter::NotFound| Problem::not_found("dead letter")))
    }
}

/// The problem of a call that every service answers, with the name of the one that did not.
fn problem<R: fmt::Debug>(service: &str, error: CallError<R>, refused: impl FnOnce(R) -> Problem) -> Problem {
    match error {
        CallError::Unavailable { .. } => {
            let detail = format!("The {service} service cannot be reached; name another one to see its dead letters.");
            Problem::new(Code::Unavailable, detail)
        }
        CallError::TimedOut { .. } => {
            Problem::new(Code::Timeout, format!("The {service} service did not answer in time."))
        }
        other => other.problem(refused),
    }
}
