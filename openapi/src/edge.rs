//! The outermost gate: every request gets an id, a log line, security headers, and problems for errors. Preflights end here
//! ([`crate::cors`]), answers are compressed here ([`crate::compress`]).
//!
//! | setting | meaning | when unset |
//! |---|---|---|
//! | `PUBLIC_URL` | how browsers reach the gateway; with `https://…` they are told to come by nothing else (HSTS) | `http` |
//! | `CORS_ORIGINS` | see `cors.rs` | none |
//!
//! The log line has the operation, who asked and how long it took; no query, no header, no body, no e-mail address.

use std::{sync::Arc, time::Instant};

use nats::{
    config::{SettingError, Settings},
    problem::{Code, Problem},
    telemetry::{REQUEST_ID, TRACEPARENT, Trace},
};
use poem::{
    Endpoint, IntoResponse, Request, Response,
    error::{MethodNotAllowedError, NotFoundError},
    http::{HeaderName, HeaderValue, header},
};
use tracing::{Span, field::Empty};

use crate::{
    compress::{Coding, compressed},
    cors::Origins,
    limit::Counted,
};

/// The headers of every answer, unless it has its own.
const SECURITY: [(HeaderName, &str); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (header::CACHE_CONTROL, "no-store"),
];
/// A year, and only this host: its siblings are not ours to speak for.
const HTTPS_ONLY: &str = "max-age=31536000";
/// The most headers of a request, and how long they and the target may be in all.
const MOST_HEADERS: usize = 64;
const LONGEST_HEADERS: usize = 32 * 1024;
const LONGEST_TARGET: usize = 8 * 1024;

/// What the gate needs to know.
pub(crate) struct Edge {
    origins: Origins,
    https: bool,
}

impl Edge {
    /// As the settings say.
    ///
    /// # Errors
    /// When a setting does not parse.
    pub(crate) fn of(settings: &Settings) -> Result<Self, SettingError> {
        let origins = settings.parse("CORS_ORIGINS", Origins::default())?;
        let https = settings.get("PUBLIC_URL")?.is_some_and(|url| url.starts_with("https://"));
        Ok(Self { origins, https })
    }

    /// Runs a request through the inner gates. Whatever goes wrong inside becomes a problem document.
    pub(crate) async fn around<E: Endpoint>(&self, inner: Arc<E>, request: Request) -> Response {
        let started = Instant::now();
        let trace = Trace::continued(request.header(TRACEPARENT), request.header(REQUEST_ID));
        let request_id = trace.request_id().to_owned();
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let span = tracing::info_span!(
            "request", %method, path, request_id, trace_id = %trace, operation = Empty, caller = Empty, user = Empty
        );
        let (origin, coding) = (self.origins.of(&request), Coding::wanted(request.headers()));
        let outcome = match (fits(&request), Origins::preflight(&request, origin.as_ref())) {
            (Err(problem), _) => Err(problem.into()),
            (Ok(()), Some(preflight)) => Ok(preflight),
            (Ok(()), None) => trace.scope(span.clone(), inner.call(request)).await.map(IntoResponse::into_response),
        };
        let counted = match &outcome {
            Ok(response) => response.data::<Counted>().copied(),
            Err(error) => error.data::<Counted>().copied(),
        };
        let mut response = outcome.unwrap_or_else(|error| {
            let problem = problem(&error);
            report(&problem, &span);
            problem.response(&path, &request_id)
        });
        if let Some(counted) = counted {
            counted.write(response.headers_mut());
        }
        self.write(origin, &request_id, &mut response);
        let millis = started.elapsed().as_millis();
        tracing::info!(parent: &span, status = response.status().as_u16(), millis, "answered");
        compressed(response, coding).await
    }

    /// The headers that every answer has.
    fn write(&self, origin: Option<HeaderValue>, request_id: &str, response: &mut Response) {
        let headers = response.headers_mut();
        for (name, value) in SECURITY {
            headers.entry(name).or_insert(HeaderValue::from_static(value));
        }
        if self.https {
            headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(HTTPS_ONLY));
        }
        if let Ok(value) = HeaderValue::from_str(request_id) {
            headers.insert(HeaderName::from_static("x-request-id"), value);
        }
        self.origins.write(origin, headers);
    }
}

/// Whether the head of a request is of a size that somebody could need.
fn fits(request: &Request) -> Result<(), Problem> {
    let headers = request.headers();
    let length: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    for (what, found, most, code) in [
        ("header fields", headers.len(), MOST_HEADERS, Code::HeadersTooLarge),
        ("bytes of headers", length, LONGEST_HEADERS, Code::HeadersTooLarge),
        ("bytes of path and query", target, LONGEST_TARGET, Code::UriTooLong),
    ] {
        if found > most {
            let detail = format!("The request has {found} {what}; {most} are the most that is taken.");
            return Err(Problem::new(code, detail));
        }
    }
    Ok(())
}

/// Logs what must not be told.
fn report(problem: &Problem, span: &Span) {
    if let Some(cause) = problem.cause() {
        tracing::error!(parent: span, %cause, "{}", problem.detail());
    }
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
