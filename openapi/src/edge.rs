//! The outermost gate: every request gets an id, a log line, security headers, and problems for errors.

use std::{sync::Arc, time::Instant};

use nats::{
    problem::{Code, Problem},
    telemetry::{REQUEST_ID, TRACEPARENT, Trace},
};
use poem::{
    Endpoint, IntoResponse, Request, Response,
    error::{MethodNotAllowedError, NotFoundError},
    http::{HeaderName, HeaderValue, header},
};

/// The headers of every answer, unless it has its own.
const SECURITY: [(HeaderName, &str); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (header::CACHE_CONTROL, "no-store"),
];

/// Runs a request through the inner gates.
///
/// # Errors
/// Never: whatever goes wrong inside becomes a problem document.
pub async fn around<E: Endpoint>(inner: Arc<E>, request: Request) -> poem::Result<Response> {
    let started = Instant::now();
    let trace = Trace::continued(request.header(TRACEPARENT), request.header(REQUEST_ID));
    let request_id = trace.request_id().to_owned();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let span =
        tracing::info_span!("request", %method, path, request_id, trace_id = %trace, operation = tracing::field::Empty);
    let outcome = trace.scope(span.clone(), inner.call(request)).await;
    let mut response = match outcome {
        Ok(response) => response.into_response(),
        Err(error) => {
            let problem = problem(&error);
            if let Some(cause) = problem.cause() {
                tracing::error!(parent: &span, %cause, "{}", problem.detail());
            }
            problem.response(&path, &request_id)
        }
    };
    let headers = response.headers_mut();
    for (name, value) in SECURITY {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        headers.insert(HeaderName::from_static("x-request-id"), value);
    }
    let millis = started.elapsed().as_millis();
    tracing::info!(parent: &span, status = response.status().as_u16(), millis, "answered");
    Ok(response)
}

fn problem(error: &poem::Error) -> Problem {
    if let Some(problem) = error.downcast_ref::<Problem>() {
        return problem.clone();
    }
    if error.is::<NotFoundError>() {
        return Problem::new(Code::NotFound, "There is nothing at this path.");
    }
    if error.is::<MethodNotAllowedError>() {
        return Problem::method_not_allowed("GET, HEAD".to_owned());
    }
    match error.status() {
        status if status.is_client_error() => Problem::new(Code::MalformedRequest, error.to_string()),
        _ => Problem::internal(error.to_string()),
    }
}
