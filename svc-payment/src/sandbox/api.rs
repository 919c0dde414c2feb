//! The requests that the sandbox answers.

use std::sync::Arc;

use nats::{config::Settings, types::Money};
use poem::{
    Endpoint, EndpointExt, IntoResponse, Request as HttpRequest, Response, Route, get, handler,
    http::StatusCode,
    middleware::AddData,
    post,
    web::{Data, Json, Path, Query},
};
use serde::Deserialize;
use serde_json::json;

use super::{
    Sandbox,
    book::{Refusal, Request},
    fault::{self, Fault},
};

/// The most operations in one piece of the statement.
const MOST: usize = 1000;
/// When an answer that is lost comes after all; nobody waits so long.
const LOST: std::time::Duration = std::time::Duration::from_secs(60);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Authorize {
    amount: Money,
    method: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    amount: Money,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Void {
    authorization: String,
    amount: Money,
}

#[derive(Deserialize)]
struct Find {
    authorization: String,
}

#[derive(Deserialize)]
struct After {
    #[serde(default)]
    after: i64,
    limit: Option<usize>,
}

/// Everything under one endpoint; all but `/readyz` asks for the key.
pub(super) fn endpoint(sandbox: Arc<Sandbox>, settings: &Settings) -> Result<impl Endpoint + 'static, String> {
    let key = settings.get("API_KEY").map_err(|error| error.to_string())?;
    let expected = key.map(|key| format!("Bearer {key}"));
    let api = Route::new()
        .at("/payments", post(authorize).get(find))
        .at("/payments/:reference", get(read))
        .at("/payments/:reference/capture", post(capture))
        .at("/payments/:reference/refunds", post(refund))
        .at("/voids", post(void))
        .at("/operations", get(operations))
        .before(move |request: HttpRequest| {
            let known = expected.as_deref().is_none_or(|expected| request.header("Authorization") == Some(expected));
            async move { if known { Ok(request) } else { Err(StatusCode::UNAUTHORIZED.into()) } }
        });
    Ok(Route::new().at("/readyz", get(readyz)).nest("/v1", api).with(AddData::new(sandbox)))
}

#[handler]
fn readyz() -> StatusCode {
    StatusCode::OK
}

#[handler]
async fn authorize(sandbox: Data<&Arc<Sandbox>>, http: &HttpRequest, body: Json<Authorize>) -> Response {
    let Json(Authorize { amount, method }) = body;
    operate(&sandbox, http, Request::Authorize { amount, method }).await
}

#[handler]
async fn capture(
    sandbox: Data<&Arc<Sandbox>>,
    http: &HttpRequest,
    payment: Path<String>,
    body: Json<Part>,
) -> Response {
    operate(&sandbox, http, Request::Capture { payment: payment.0, amount: body.0.amount }).await
}

#[handler]
async fn refund(sandbox: Data<&Arc<Sandbox>>, http: &HttpRequest, payment: Path<String>, body: Json<Part>) -> Response {
    operate(&sandbox, http, Request::Refund { payment: payment.0, amount: body.0.amount }).await
}

#[handler]
async fn void(sandbox: Data<&Arc<Sandbox>>, http: &HttpRequest, body: Json<Void>) -> Response {
    let Json(Void { authorization, amount }) = body;
    operate(&sandbox, http, Request::Void { authorization, amount }).await
}

#[handler]
fn read(sandbox: Data<&Arc<Sandbox>>, reference: Path<String>) -> Response {
    look(&sandbox, &reference)
}

#[handler]
fn find(sandbox: Data<&Arc<Sandbox>>, query: Query<Find>) -> Response {
    let reference = sandbox.memory().book.authorized_by(&query.authorization).map(str::to_owned);
    reference.map_or_else(no_such_payment, |reference| look(&sandbox, &reference))
}

#[handler]
fn operations(sandbox: Data<&Arc<Sandbox>>, query: Query<After>) -> Response {
    let limit = query.limit.unwrap_or(MOST).clamp(1, MOST);
    let statement = sandbox.memory().book.statement(query.after, limit);
    Json(statement).into_response()
}

fn look(sandbox: &Sandbox, reference: &str) -> Response {
    match sandbox.memory().book.payment(reference) {
        None => no_such_payment(),
        Some((_, method)) if fault::breaks_over_a_look(&method) => broken(),
        Some((payment, _)) => Json(payment).into_response(),
    }
}

/// Does what is asked for, and answers as badly as the payment's method says.
async fn operate(sandbox: &Sandbox, http: &HttpRequest, request: Request) -> Response {
    let Some(key) = http.header("Idempotency-Key").filter(|key| (1..=255).contains(&key.len())) else {
        return refused(StatusCode::BAD_REQUEST, "the request needs an Idempotency-Key of at most 255 characters");
    };
    let kind = request.kind();
    let first_wait = fault::before(sandbox.memory().book.method(&request), kind);
    if let Some(wait) = first_wait {
        tokio::time::sleep(wait).await;
    }
    let done = match sandbox.operate(key, &request) {
        Ok(done) => done,
        Err(Refusal::KeyReused) => {
            return refused(StatusCode::UNPROCESSABLE_ENTITY, "the key was used before for another request");
        }
        Err(Refusal::NoSuchPayment) => return no_such_payment(),
        Err(Refusal::Negative) => return refused(StatusCode::UNPROCESSABLE_ENTITY, "the amount is below zero"),
        Err(Refusal::Failed) => return refused(StatusCode::INTERNAL_SERVER_ERROR, "nothing was done"),
    };
    match fault::of_answer(&done.method, kind, done.fresh) {
        Fault::None => {}
        Fault::Lost => tokio::time::sleep(LOST).await,
        Fault::Slow => tokio::time::sleep(fault::SLOW).await,
        Fault::Broken => return broken(),
    }
    Json(done.payment).into_response()
}

fn broken() -> Response {
    refused(StatusCode::INTERNAL_SERVER_ERROR, "something went wrong on our side")
}

fn no_such_payment() -> Response {
    refused(StatusCode::NOT_FOUND, "there is no such payment")
}

fn refused(status: StatusCode, message: &str) -> Response {
    Json(json!({ "error": message })).with_status(status).into_response()
}
