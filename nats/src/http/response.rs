//! Answers other than plain 200: created, accepted, nothing, a file.

use poem::{IntoResponse, Response, http::StatusCode};
use poem_openapi::{
    ApiResponse,
    registry::{MetaHeader, MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry},
    types::{ParseFromJSON, ToJSON, Type},
};
use serde::Serialize;

use super::{Body, OBJECT};
use crate::{
    contracts::Bucket,
    types::{Cursor, Page},
};

/// 201 with `Location`; `Idempotency-Replayed: true` when it is the answer of an earlier request.
#[derive(Debug, Clone)]
pub struct Created<T> {
    /// The path of what was created.
    pub location: String,
    /// The thing itself.
    pub body: T,
    /// Whether an earlier request with the same key created it.
    pub replayed: bool,
}

impl<T> Created<T> {
    /// A thing created just now at `location`.
    pub fn new(location: impl Into<String>, body: T) -> Self {
        Self { location: location.into(), body, replayed: false }
    }
}

impl<T: Serialize + Send> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        let mut response = Body(self.body).into_response().with_header("Location", self.location).into_response();
        response.set_status(StatusCode::CREATED);
        if self.replayed {
            response = response.with_header("Idempotency-Replayed", "true").into_response();
        }
        response
    }
}

impl<T: Type> ApiResponse for Created<T> {
    fn meta() -> MetaResponses {
        MetaResponses { responses: vec![json_response::<T>(201, "Created", &["Location"])] }
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

/// 202 with a resource that tells its state.
#[derive(Debug, Clone)]
pub struct Accepted<T> {
    /// The path of the resource.
    pub location: String,
    /// Its state now.
    pub body: T,
    /// Whether an earlier request with the same key started it.
    pub replayed: bool,
}

impl<T: Serialize + Send> IntoResponse for Accepted<T> {
    fn into_response(self) -> Response {
        let created = Created { location: self.location, body: self.body, replayed: self.replayed };
        let mut response = created.into_response();
        response.set_status(StatusCode::ACCEPTED);
        response
    }
}

impl<T: Type> ApiResponse for Accepted<T> {
    fn meta() -> MetaResponses {
        MetaResponses {
            responses: vec![json_response::<T>(202, "Accepted; the resource tells how far it is", &["Location"])],
        }
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

/// A page of a list, with `Link: rel="next"` (RFC 8288) when there are more.
#[derive(Debug, Clone)]
pub struct Listed<T: ParseFromJSON + ToJSON>(pub Page<T>);

/// Where the next page begins; the endpoint's host makes the link of it, knowing the request's target.
#[derive(Clone)]
pub(super) struct NextCursor(pub(super) Cursor);

impl<T: ParseFromJSON + ToJSON + Serialize + Send> IntoResponse for Listed<T> {
    fn into_response(self) -> Response {
        let next = self.0.next_cursor.clone();
        let mut response = Body(self.0).into_response();
        if let Some(cursor) = next {
            response.set_data(NextCursor(cursor));
        }
        response
    }
}

impl<T: ParseFromJSON + ToJSON> ApiResponse for Listed<T> {
    fn meta() -> MetaResponses {
        let mut response = json_response::<Page<T>>(200, "A page of the list", &["Link"]);
        response.headers.iter_mut().for_each(|header| header.required = false);
        MetaResponses { responses: vec![response] }
    }

    fn register(registry: &mut Registry) {
        Page::<T>::register(registry);
    }
}

/// 204.
#[derive(Debug, Clone, Copy)]
pub struct NoContent;

impl IntoResponse for NoContent {
    fn into_response(self) -> Response {
        StatusCode::NO_CONTENT.into()
    }
}

impl ApiResponse for NoContent {
    fn meta() -> MetaResponses {
        let response = MetaResponse {
            description: "Done",
            status: Some(204),
            status_range: None,
            content: vec![],
            headers: vec![],
        };
        MetaResponses { responses: vec![response] }
    }

    fn register(_registry: &mut Registry) {}
}

/// A file in the object store; the gateway streams it, with ranges, from there.
#[derive(Debug, Clone)]
pub struct File {
    /// The bucket it lies in.
    pub bucket: Bucket,
    /// The object's name.
    pub object: String,
    /// Its media type.
    pub content_type: String,
    /// The name it is saved under.
    pub filename: String,
    /// Its length in bytes.
    pub size: u64,
    /// Its SHA-256 in hexadecimal, the `ETag`.
    pub sha256: String,
}

impl IntoResponse for File {
    fn into_response(self) -> Response {
        let safe: String = self
            .filename
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' })
            .collect();
        Response::builder()
            .content_type(&self.content_type)
            .header(OBJECT, format!("{}/{}", self.bucket.name, self.object))
            .header("Content-Length", self.size)
            .header("Content-Disposition", format!("attachment; filename=\"{safe}\""))
            .header("ETag", format!("\"{}\"", self.sha256))
            .header("Accept-Ranges", "bytes")
            .header("Cache-Control", "private, max-age=0, must-revalidate")
            .finish()
    }
}

impl ApiResponse for File {
    fn meta() -> MetaResponses {
        let schema = || MetaSchemaRef::Inline(Box::new(MetaSchema::new_with_format("string", "binary")));
        // Each file has its own media type, which only the answer knows.
        let content = || vec![MetaMediaType { content_type: "*/*", schema: schema() }];
        let response = |status, description| MetaResponse {
            description,
            status: Some(status),
            status_range: None,
            content: content(),
            headers: vec![header("Content-Disposition"), header("ETag")],
        };
        MetaResponses {
            responses: vec![
                response(200, "The file, in its own media type"),
                response(206, "The requested range of the file"),
            ],
        }
    }

    fn register(_registry: &mut Registry) {}
}

fn json_response<T: Type>(status: u16, description: &'static str, headers: &[&str]) -> MetaResponse {
    MetaResponse {
        description,
        status: Some(status),
        status_range: None,
        content: vec![MetaMediaType { content_type: "application/json", schema: T::schema_ref() }],
        headers: headers.iter().map(|name| header(name)).collect(),
    }
}

fn header(name: &str) -> MetaHeader {
    MetaHeader {
        name: name.to_owned(),
        description: None,
        required: true,
        deprecated: false,
        schema: String::schema_ref(),
    }
}
