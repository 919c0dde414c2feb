//! Problem documents (RFC 9457): the one shape in which anything goes wrong, and the one registry of its codes.
//!
//! A [`Problem`] has two halves. The outer half (code, detail, field errors) is for the person who reads it; the inner
//! half is the cause, which is logged with the request id at the edge and never leaves the process.

use std::{error::Error as StdError, sync::Arc, time::Duration};

use poem::{Response, error::ResponseError, http::StatusCode};
use poem_openapi::{
    ApiResponse, Object,
    registry::{MetaMediaType, MetaResponse, MetaResponses, Registry},
    types::Type,
};
use serde::{Deserialize, Serialize};

use crate::{http::CONCERNS, types::UserId};

/// The media type of a problem document.
pub const PROBLEM_JSON: &str = "application/problem+json";

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal, $status:ident, $title:literal;)+) => {
        /// Every code a problem can have: one meaning and one documented page each.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[doc = $doc])+ $name,)+ }

        impl Code {
            /// Every code.
            pub const ALL: &[Code] = &[$(Code::$name,)+];

            /// The code as it stands in the document, such as `not_found`.
            pub const fn as_str(self) -> &'static str { match self { $(Code::$name => $code,)+ } }

            /// The HTTP status that goes with it.
            pub const fn status(self) -> StatusCode { match self { $(Code::$name => StatusCode::$status,)+ } }

            /// The summary, the same for every occurrence.
            pub const fn title(self) -> &'static str { match self { $(Code::$name => $title,)+ } }

            /// The page's text: what it means and what to do.
            pub const fn page(self) -> &'static str { match self { $(Code::$name => concat!($($doc, "\n"),+),)+ } }
        }
    };
}

codes! {
    /// The request is not well-formed: not JSON, a missing body, a parameter that does not parse.
    /// Mend what `detail` and `errors` point at and send it again.
    MalformedRequest = "malformed_request", BAD_REQUEST, "The request cannot be read";
    /// The request can be read, but a value in it is not acceptable. `errors` points at each field (JSON Pointer, RFC 6901).
    InvalidRequest = "invalid_request", UNPROCESSABLE_ENTITY, "The request is not valid";
    /// The operation needs an `Idempotency-Key` header and the request has none.
    /// Send a fresh random key per intended effect, and the same key when repeating the request.
    IdempotencyKeyMissing = "idempotency_key_missing", BAD_REQUEST, "An Idempotency-Key is required";
    /// The `Idempotency-Key` was used before with another body. Use a new key for a new request.
    IdempotencyKeyReused = "idempotency_key_reused", UNPROCESSABLE_ENTITY, "The Idempotency-Key belongs to another request";
    /// A request with this `Idempotency-Key` is still running. Wait a moment and send it again.
    IdempotencyKeyInFlight = "idempotency_key_in_flight", CONFLICT, "A request with this Idempotency-Key is still running";
    /// No token, or one that is expired, malformed or not ours, or from before its user's permissions changed.
    /// Refresh the token, or sign in again.
    Unauthenticated = "unauthenticated", UNAUTHORIZED, "Sign in to do this";
    /// The e-mail address or the password is wrong. It is not said which.
    BadCredentials = "bad_credentials", UNAUTHORIZED, "E-mail address or password is wrong";
    /// The caller is known, but its permissions, or the scopes of its API key, do not allow this. `detail` names what is
    /// missing.
    Forbidden = "forbidden", FORBIDDEN, "You may not do this";
    /// There is no such thing, or it is not yours.
    NotFound = "not_found", NOT_FOUND, "Not found";
    /// This installation does not offer it: whoever runs it has not set it up. Another way leads to the same end.
    NotConfigured = "not_configured", NOT_FOUND, "Not offered here";
    /// The path exists, but not with this method. The `Allow` header names those it has.
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED, "The method is not allowed here";
    /// The thing is not in a state in which this is possible, or it exists already.
    Conflict = "conflict", CONFLICT, "The current state does not allow this";
    /// Less is available than was asked for. `errors` names each line.
    OutOfStock = "out_of_stock", CONFLICT, "Not enough in stock";
    /// The thing changed since it was read (`If-Match`). Read it again and repeat the change.
    PreconditionFailed = "precondition_failed", PRECONDITION_FAILED, "It changed in the meantime";
    /// The body is larger than this operation takes.
    PayloadTooLarge = "payload_too_large", PAYLOAD_TOO_LARGE, "The body is too large";
    /// The path and the query together are longer than the gateway takes. What is long belongs into a body.
    UriTooLong = "uri_too_long", URI_TOO_LONG, "The address is too long";
    /// The header fields are more, or together longer, than the gateway takes. Send fewer, or shorter ones.
    HeadersTooLarge = "headers_too_large", REQUEST_HEADER_FIELDS_TOO_LARGE, "The headers are too large";
    /// The body's `Content-Type` is not one this operation takes.
    UnsupportedMediaType = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, "The content type is not supported";
    /// The requested byte range lies outside of the document.
    RangeNotSatisfiable = "range_not_satisfiable", RANGE_NOT_SATISFIABLE, "The range cannot be satisfied";
    /// It was tried too often of late. Nothing was done; try again after `Retry-After` seconds.
    TooManyRequests = "too_many_requests", TOO_MANY_REQUESTS, "Too many attempts";
    /// The service behind this path cannot be reached or is full. Nothing was done; try again after `Retry-After`.
    Unavailable = "unavailable", SERVICE_UNAVAILABLE, "Temporarily unavailable";
    /// The service did not answer in time. It is not known whether the effect took place:
    /// repeat with the same `Idempotency-Key`.
    Timeout = "timeout", GATEWAY_TIMEOUT, "No answer in time";
    /// Something broke on our side. The request id finds it in the logs.
    Internal = "internal", INTERNAL_SERVER_ERROR, "Something went wrong on our side";
}

/// One thing that is wrong with a request, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct FieldError {
    /// JSON Pointer (RFC 6901) into the body, or `?name` for a parameter.
    pub pointer: String,
    /// What is wrong with it.
    pub detail: String,
}

/// What goes wrong in an endpoint.
#[derive(Debug, Clone)]
pub struct Problem {
    code: Code,
    detail: String,
    errors: Vec<FieldError>,
    allow: Option<String>,
    retry_after: Option<Duration>,
    // Boxed: a problem is the error of most functions, and is to stay small.
    concerns: Option<Box<UserId>>,
    cause: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Problem {
    /// A problem of this code; `detail` is a sentence about this occurrence.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        let (detail, errors) = (detail.into(), Vec::new());
        Self { code, detail, errors, allow: None, retry_after: None, concerns: None, cause: None }
    }

    /// `what` does not exist, or is not the caller's.
    pub fn not_found(what: &str) -> Self {
        Self::new(Code::NotFound, format!("There is no such {what}."))
    }

    /// A value of the body at `pointer` is not acceptable.
    pub fn invalid(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(Code::InvalidRequest, "A value in the request is not acceptable.").at(pointer, detail)
    }

    /// Our own fault; the cause is logged, never shown.
    pub fn internal(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        let mut problem = Self::new(Code::Internal, "The request could not be completed. Nothing you sent was wrong.");
        problem.cause = Some(Arc::from(cause.into()));
        problem
    }

    /// This problem with one more field error.
    #[must_use]
    pub fn at(mut self, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        self.errors.push(FieldError { pointer: pointer.into(), detail: detail.into() });
        self
    }

    /// This problem with a cause for the log.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.cause = Some(Arc::from(cause.into()));
        self
    }

    /// This problem of somebody's account, for the audit trail. Whoever asked is not told.
    #[must_use]
    pub fn concerning(mut self, user: UserId) -> Self {
        self.concerns = Some(Box::new(user));
        self
    }

    /// A 405 with the methods that the path has.
    pub fn method_not_allowed(allow: String) -> Self {
        let mut problem = Self::new(Code::MethodNotAllowed, format!("This path takes {allow}."));
        problem.allow = Some(allow);
        problem
    }

    /// A 429: the next attempt counts once `wait` is over, which `Retry-After` says in whole seconds.
    pub fn too_many_requests(detail: impl Into<String>, wait: Duration) -> Self {
        Self { retry_after: Some(wait), ..Self::new(Code::TooManyRequests, detail) }
    }

    /// Which problem it is.
    pub const fn code(&self) -> Code {
        self.code
    }

    /// The sentence about this occurrence.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The inner half, for the log.
    pub fn cause(&self) -> Option<&(dyn StdError + Send + Sync)> {
        self.cause.as_deref()
    }

    /// The document, as an HTTP response.
    pub fn response(&self, instance: &str, request_id: &str) -> Response {
        let document = Document {
            r#type: format!("/problems/{}", self.code.as_str()),
            title: self.code.title().to_owned(),
            status: self.code.status().as_u16(),
            detail: self.detail.clone(),
            instance: instance.to_owned(),
            code: self.code.as_str().to_owned(),
            request_id: request_id.to_owned(),
            errors: self.errors.clone(),
        };
        let mut response = Response::builder().status(self.code.status()).content_type(PROBLEM_JSON);
        if self.code.status() == StatusCode::UNAUTHORIZED {
            response = response.header("WWW-Authenticate", "Bearer");
        }
        if self.code.status() == StatusCode::SERVICE_UNAVAILABLE {
            response = response.header("Retry-After", "1");
        }
        if let Some(wait) = self.retry_after {
            // Rounded up: whoever comes back then is not too early.
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            response = response.header("Retry-After", seconds.max(1));
        }
        if let Some(allow) = &self.allow {
            response = response.header("Allow", allow);
        }
        if let Some(user) = &self.concerns {
            response = response.header(CONCERNS, user.to_string());
        }
        response.body(serde_json::to_vec(&document).unwrap_or_default())
    }
}

/// A problem as it travels (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
#[oai(rename = "Problem")]
pub struct Document {
    /// The page that explains this kind of problem.
    pub r#type: String,
    /// The kind's summary.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened this time.
    pub detail: String,
    /// The path that was asked for.
    pub instance: String,
    /// The kind, for programs.
    pub code: String,
    /// Finds the request in the logs.
    pub request_id: String,
    /// What is wrong with which field.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[oai(default, skip_serializing_if_is_empty)]
    pub errors: Vec<FieldError>,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.detail)
    }
}

impl StdError for Problem {}

impl ResponseError for Problem {
    fn status(&self) -> StatusCode {
        self.code.status()
    }

    fn as_response(&self) -> Response {
        self.response("", "")
    }
}

impl ApiResponse for Problem {
    fn meta() -> MetaResponses {
        MetaResponses {
            responses: vec![MetaResponse {
                description: "A problem document (RFC 9457)",
                status: None,
                status_range: None,
                content: vec![MetaMediaType { content_type: PROBLEM_JSON, schema: Document::schema_ref() }],
                headers: vec![],
            }],
        }
    }

    fn register(registry: &mut Registry) {
        Document::register(registry);
    }
}

impl From<diesel::result::Error> for Problem {
    fn from(error: diesel::result::Error) -> Self {
        crate::database::DatabaseError::from(error).into()
    }
}

impl From<serde_json::Error> for Problem {
    fn from(error: serde_json::Error) -> Self {
        Self::internal(error)
    }
}

impl From<crate::database::DatabaseError> for Problem {
    fn from(error: crate::database::DatabaseError) -> Self {
        match error {
            crate::database::DatabaseError::Unreachable { .. } => {
                Self::new(Code::Unavailable, "The service's database cannot be reached.").because(error)
            }
            crate::database::DatabaseError::Query { .. } if error.is_unavailable() => {
                let detail = "The service's database went away, or took too long. It is not known whether anything was \
                              done: look, or repeat the request with the same Idempotency-Key.";
                Self::new(Code::Timeout, detail).because(error)
            }
            crate::database::DatabaseError::Query { .. } => Self::internal(error),
        }
    }
}
