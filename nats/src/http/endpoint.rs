//! The service's side: a request message becomes a poem request, the answer a reply message.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use async_nats::{HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use poem::{
    Endpoint, IntoResponse, Request, Response,
    endpoint::BoxEndpoint,
    error::{MethodNotAllowedError, NotFoundError, SizedLimitError},
    http::{Method, Uri},
};
use poem_openapi::error::{ContentTypeError, ParseParamError, ParsePathError};

use super::{DEADLINE, INLINE, METHOD, OBJECT, STATUS, TARGET, response::NextCursor};
use crate::{
    contracts::TRANSFER,
    invoke::{Responder, patience},
    objects::Objects,
    problem::{Code, Problem},
    resilience::within,
    service::Request as Message,
    telemetry::{REQUEST_ID, TRACEPARENT, Trace},
};

/// How long before its caller stops waiting a request is cut off.
const ANSWERS_BEFORE: Duration = Duration::from_millis(500);

/// Answers HTTP requests that arrive as messages.
pub(crate) fn responder(endpoint: BoxEndpoint<'static>, objects: Objects) -> Responder {
    let endpoint = Arc::new(endpoint);
    Arc::new(move |message| {
        let (endpoint, objects) = (Arc::clone(&endpoint), objects.clone());
        async move {
            let header = |name: &str| message.message.headers.as_ref().and_then(|headers| headers.get(name));
            let trace = Trace::continued(
                header(TRACEPARENT).map(|value| value.as_str()),
                header(REQUEST_ID).map(|value| value.as_str()),
            );
            let (method, target) =
                (header(METHOD).map_or("", |v| v.as_str()), header(TARGET).map_or("", |v| v.as_str()));
            let path = target.split('?').next().unwrap_or_default().to_owned();
            let span = tracing::info_span!("http", method, path, request_id = trace.request_id(), trace_id = %trace);
            let request_id = trace.request_id().to_owned();
            // Answered a little before the gateway stops waiting, so that it hears why.
            let time =
                patience(message.message.headers.as_ref(), DEADLINE).saturating_sub(ANSWERS_BEFORE).min(DEADLINE);
            let work = async {
                // A body that comes out of the object store takes of the same time.
                let response = timed(time, async { answer(&endpoint, read(&message, &objects).await?).await }).await;
                let response = response.unwrap_or_else(|problem| {
                    report(&problem);
                    problem.response(&path, &request_id)
                });
                reply(message, response, &objects).await;
            };
            trace.scope(span, work).await;
        }
        .boxed()
    })
}

/// Tells the gateway at once that this instance is full.
pub(crate) fn overloaded(message: Message) -> BoxFuture<'static, ()> {
    async move {
        let problem =
            Problem::new(Code::Unavailable, "The service has more requests than it can take. Nothing was done.");
        let request_id =
            message.message.headers.as_ref().and_then(|headers| headers.get(REQUEST_ID)).map(|id| id.to_string());
        send(message, problem.response("", &request_id.unwrap_or_default())).await;
    }
    .boxed()
}

/// What comes of `work`, or that it took too long.
async fn timed(time: Duration, work: impl Future<Output = Result<Response, Problem>>) -> Result<Response, Problem> {
    let late = || Err(Problem::new(Code::Timeout, format!("The service took over {} ms.", time.as_millis())));
    within(time, work).await.unwrap_or_else(late)
}

async fn answer(endpoint: &BoxEndpoint<'static>, request: Request) -> Result<Response, Problem> {
    let target = request.uri().clone();
    match AssertUnwindSafe(endpoint.call(request)).catch_unwind().await {
        Ok(Ok(response)) => Ok(linked(response.into_response(), &target)),
        Ok(Err(error)) => Err(problem(error)),
        Err(_panic) => Err(Problem::internal("the endpoint panicked")),
    }
}

/// Adds the link to the next page: the same target with another cursor.
fn linked(response: Response, target: &Uri) -> Response {
    let Some(NextCursor(cursor)) = response.data::<NextCursor>().cloned() else { return response };
    let query = target.query().unwrap_or_default().split('&');
    let kept = query.filter(|part| !part.is_empty() && !part.starts_with("cursor="));
    let query: Vec<String> = kept.map(str::to_owned).chain([format!("cursor={}", cursor.as_str())]).collect();
    response.with_header("Link", format!("<{}?{}>; rel=\"next\"", target.path(), query.join("&"))).into_response()
}

async fn read(message: &Message, objects: &Objects) -> Result<Request, Problem> {
    let headers = message.message.headers.as_ref().ok_or_else(|| malformed("headers"))?;
    let object = headers.get(OBJECT).and_then(|object| object.as_str().strip_prefix("transfer/"));
    let body = match object {
        Some(name) => objects.take(TRANSFER, name).await.map_err(Problem::internal)?,
        None => message.message.payload.clone(),
    };
    request(headers, body)
}

/// The request that these headers describe.
fn request(headers: &HeaderMap, body: Bytes) -> Result<Request, Problem> {
    let text = |name: &str| headers.get(name).map(|value| value.as_str());
    let method = text(METHOD).and_then(|method| method.parse::<Method>().ok()).ok_or_else(|| malformed("method"))?;
    let target = text(TARGET).and_then(|target| target.parse::<Uri>().ok()).ok_or_else(|| malformed("target"))?;
    let mut request = Request::builder().method(method).uri(target);
    for (name, values) in headers.iter() {
        for value in values {
            request = request.header(name.to_string(), value.as_str());
        }
    }
    Ok(request.body(body))
}

fn malformed(what: &str) -> Problem {
    Problem::new(Code::MalformedRequest, format!("The request has no valid {what}."))
}

/// Answers a request that did not come as a message.
pub(super) async fn answer_here(endpoint: &BoxEndpoint<'static>, headers: &HeaderMap, body: Bytes) -> Response {
    let response = match request(headers, body) {
        Ok(request) => timed(DEADLINE, answer(endpoint, request)).await,
        Err(problem) => Err(problem),
    };
    response.unwrap_or_else(|problem| {
        report(&problem);
        let text = |name: &str| headers.get(name).map_or("", |value| value.as_str());
        problem.response(text(TARGET).split('?').next().unwrap_or_default(), text(REQUEST_ID))
    })
}

/// Every error of poem, poem-openapi and our own, as a problem.
fn problem(error: poem::Error) -> Problem {
    if let Some(problem) = error.downcast_ref::<Problem>() {
        return problem.clone();
    }
    if let Some(ParseParamError { name, reason }) = error.downcast_ref() {
        return Problem::new(Code::MalformedRequest, format!("The parameter `{name}` cannot be read."))
            .at(format!("?{name}"), reason.clone());
    }
    if error.is::<ParsePathError>() || error.is::<NotFoundError>() {
        return Problem::new(Code::NotFound, "There is nothing at this path.");
    }
    if error.is::<MethodNotAllowedError>() {
        return Problem::new(Code::MethodNotAllowed, "This path does not take this method.");
    }
    if error.is::<ContentTypeError>() {
        return Problem::new(Code::UnsupportedMediaType, error.to_string());
    }
    if error.is::<SizedLimitError>() {
        return Problem::new(Code::PayloadTooLarge, error.to_string());
    }
    match error.status() {
        status if status.is_client_error() => Problem::new(Code::MalformedRequest, error.to_string()),
        _ => Problem::internal(error.to_string()),
    }
}

fn report(problem: &Problem) {
    match problem.cause() {
        Some(cause) => tracing::error!(code = problem.code().as_str(), %cause, "{}", problem.detail()),
        None => tracing::debug!(code = problem.code().as_str(), "{}", problem.detail()),
    }
}

async fn reply(message: Message, mut response: Response, objects: &Objects) {
    let body = response.take_body().into_bytes().await.unwrap_or_default();
    if body.len() <= INLINE {
        response.set_body(body);
        return send(message, response).await;
    }
    let name = uuid::Uuid::now_v7().simple().to_string();
    let length = body.len();
    let response = match objects.put(TRANSFER, &name, body).await {
        Ok(_stored) => response
            .with_header(OBJECT, format!("{}/{name}", TRANSFER.name))
            .with_header("Content-Length", length)
            .into_response(),
        Err(error) => {
            let problem = Problem::internal(error);
            report(&problem);
            problem.response("", "")
        }
    };
    send(message, response).await;
}

async fn send(message: Message, mut response: Response) {
    let body: Bytes = response.take_body().into_bytes().await.unwrap_or_default();
    let mut headers = HeaderMap::new();
    headers.insert(STATUS, response.status().as_u16().to_string().as_str());
    for (name, value) in response.headers() {
        let parsed = (name.as_str().parse::<HeaderName>(), value.to_str().unwrap_or_default().parse::<HeaderValue>());
        if let (Ok(name), Ok(value)) = parsed {
            headers.append(name, value);
        }
    }
    let status = response.status();
    let failed = status.is_server_error().then(|| status.to_string());
    message.respond(headers, body, failed.as_deref()).await;
}
