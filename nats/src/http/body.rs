//! JSON bodies, read with the place of every mistake.

use poem::{FromRequest, IntoResponse, Request, RequestBody, Response};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ApiResponse, ExtractParamOptions,
    payload::Payload,
    registry::{MetaMediaType, MetaRequest, MetaResponse, MetaResponses, MetaSchemaRef, Registry},
    types::Type,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_path_to_error::Segment;

use crate::problem::{Code, Problem};

/// A JSON body, in requests and in answers.
///
/// As a request it is parsed by serde, so the types decide what is valid (`deny_unknown_fields` and all) and every mistake
/// comes with a JSON Pointer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body<T>(pub T);

impl<T: Type> Payload for Body<T> {
    const CONTENT_TYPE: &'static str = "application/json";

    fn schema_ref() -> MetaSchemaRef {
        T::schema_ref()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

impl<'a, T: Type + DeserializeOwned> ApiExtractor<'a> for Body<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        let content = vec![MetaMediaType { content_type: Self::CONTENT_TYPE, schema: T::schema_ref() }];
        Some(MetaRequest { description: None, content, required: true })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let json = request.content_type().is_some_and(|kind| {
            let essence = kind.split(';').next().unwrap_or_default().trim();
            essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
        });
        let bytes = <Vec<u8> as FromRequest>::from_request(request, body).await?;
        if bytes.is_empty() {
            return Err(Problem::new(Code::MalformedRequest, "The request needs a JSON body and has none.").into());
        }
        if !json {
            return Err(Problem::new(
                Code::UnsupportedMediaType,
                "Send the body with `Content-Type: application/json`.",
            )
            .into());
        }
        Ok(Self(parse(&bytes)?))
    }
}

impl<T: Type + Serialize> ApiResponse for Body<T> {
    fn meta() -> MetaResponses {
        let content = vec![MetaMediaType { content_type: Self::CONTENT_TYPE, schema: T::schema_ref() }];
        let response =
            MetaResponse { description: "Done", status: Some(200), status_range: None, content, headers: vec![] };
        MetaResponses { responses: vec![response] }
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

impl<T: Serialize + Send> IntoResponse for Body<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(bytes) => Response::builder().content_type("application/json").body(bytes),
            Err(error) => Problem::internal(error).response("", ""),
        }
    }
}

/// Reads a `T`; a mistake becomes a problem that points at it.
///
/// # Errors
/// `malformed_request` for what is no JSON, `invalid_request` for JSON that is no `T`.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let inner = error.inner();
        match inner.classify() {
            serde_json::error::Category::Data => {
                let message = inner.to_string();
                let detail = message.rsplit_once(" at line ").map_or(message.as_str(), |(detail, _)| detail);
                Problem::invalid(pointer(error.path(), detail), detail)
            }
            _ => malformed(inner),
        }
    })?;
    deserializer.end().map_err(|error| malformed(&error))?;
    Ok(value)
}

fn malformed(error: &serde_json::Error) -> Problem {
    Problem::new(Code::MalformedRequest, format!("The body is not well-formed JSON: {error}."))
}

/// The JSON Pointer (RFC 6901) of a path; a missing field is pointed at where it should be.
fn pointer(path: &serde_path_to_error::Path, detail: &str) -> String {
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } => pointer.push_str(&format!("/{}", key.replace('~', "~0").replace('/', "~1"))),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    if let Some(field) = detail.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
        pointer.push_str(&format!("/{field}"));
    }
    pointer
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only parsed")]
    struct Line {
        sku: String,
        quantity: u8,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only parsed")]
    struct Order {
        lines: Vec<Line>,
    }

    #[test]
    fn a_mistake_is_pointed_at() {
        for (body, expected) in [
            (r#"{"lines":[{"sku":"A","quantity":1},{"sku":"B","quantity":"x"}]}"#, "/lines/1/quantity"),
            (r#"{"lines":[{"sku":"A"}]}"#, "/lines/0/quantity"),
            (r#"{"lines":[{"sku":"A","quantity":1,"color":"red"}]}"#, "/lines/0/color"),
            (r#"{"lines":[{"sku":"A","quantity":-1}]}"#, "/lines/0/quantity"),
            (r#"{"lines":7}"#, "/lines"),
            ("{}", "/lines"),
            ("[]", ""),
        ] {
            let problem = parse::<Order>(body.as_bytes()).expect_err(body);
            assert_eq!(problem.code(), Code::InvalidRequest, "{body}: {problem}");
            let response = format!("{problem:?}");
            assert!(
                response.contains(&format!("pointer: \"{expected}\"")),
                "{body}: expected {expected} in {response}"
            );
        }
        for body in ["", "{", "{\"lines\":[]} x", "nonsense"] {
            assert_eq!(parse::<Order>(body.as_bytes()).expect_err(body).code(), Code::MalformedRequest, "{body}");
        }
    }
}
