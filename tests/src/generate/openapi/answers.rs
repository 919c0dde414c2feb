//! The answers that an operation can give beside those of its own, so that no handler has to list them.
//!
//! Where a problem can come from decides where it is documented: what the gateway refuses, at every operation; what goes
//! with a parameter or a body, wherever there is one. What only one operation refuses, its description names by the
//! problem's code in backticks (`out_of_stock`), and that is enough: it then stands among its answers.
//!
//! Each status is described once, under `components/responses`, with an example per code.

use std::collections::{BTreeMap, BTreeSet};

use nats::problem::{Code, PROBLEM_JSON};
use serde_json::{Map, Value, json};

/// What can happen to any request: unreadable, too long, too often, something is broken, full or late.
const ALWAYS: [Code; 7] = [
    Code::MalformedRequest,
    Code::UriTooLong,
    Code::HeadersTooLarge,
    Code::TooManyRequests,
    Code::Internal,
    Code::Unavailable,
    Code::Timeout,
];
/// How a parameter's description begins that is required although the service reads it as if it were not: its absence has
/// a problem of its own.
const REQUIRED: &str = "Required";
/// On every answer.
const REQUEST_ID: &str = "X-Request-Id";
/// On every answer to a request that was counted.
const COUNTED: [&str; 2] = ["RateLimit-Policy", "RateLimit"];

/// Adds the answers and their headers.
pub(super) fn complete(operation: &mut Map<String, Value>, method: &str) {
    require(operation);
    let keyed = parameters(operation).any(|(place, name)| place == "header" && name == "Idempotency-Key");
    let statuses = statuses(operation, method);
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else { return };
    // Instead of "whatever else": what there is.
    responses.remove("default");
    for (status, response) in responses.iter_mut() {
        headers(response, keyed && ["201", "202"].contains(&status.as_str()));
    }
    for status in statuses {
        let name = json!(format!("#/components/responses/{}", name(status)));
        responses.insert(status.to_string(), json!({ "$ref": name }));
    }
}

/// What `components` needs for all operations: the answers, and the headers.
pub(super) fn components() -> (Map<String, Value>, Map<String, Value>) {
    let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in Code::ALL {
        by_status.entry(code.status().as_u16()).or_default().push(*code);
    }
    // What a path and a method do not lead to is no operation's answer.
    by_status.remove(&Code::MethodNotAllowed.status().as_u16());
    let responses = by_status.into_iter().map(|(status, codes)| (name(status), response(status, &codes)));
    (responses.collect(), described())
}

fn parameters(operation: &Map<String, Value>) -> impl Iterator<Item = (&str, &str)> {
    operation.get("parameters").and_then(Value::as_array).into_iter().flatten().map(|parameter| {
        let text = |name: &str| parameter.get(name).and_then(Value::as_str).unwrap_or_default();
        (text("in"), text("name"))
    })
}

fn require(operation: &mut Map<String, Value>) {
    for parameter in operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
        let says = parameter.get("description").and_then(Value::as_str).is_some_and(|text| text.starts_with(REQUIRED));
        if let Some(fields) = parameter.as_object_mut().filter(|_| says) {
            fields.insert("required".to_owned(), json!(true));
        }
    }
}

fn statuses(operation: &Map<String, Value>, method: &str) -> BTreeSet<u16> {
    let mut codes: Vec<Code> = ALWAYS.into();
    if operation.get("security").is_some_and(|security| *security != json!([])) {
        codes.extend([Code::Unauthenticated, Code::Forbidden]);
    }
    if method != "get" {
        codes.extend([Code::PayloadTooLarge, Code::UnsupportedMediaType]);
    }
    if operation.contains_key("requestBody") {
        codes.push(Code::InvalidRequest);
    }
    if operation.get("responses").is_some_and(|responses| responses.get("206").is_some()) {
        codes.push(Code::RangeNotSatisfiable);
    }
    for parameter in parameters(operation) {
        match parameter {
            ("path", _) | ("header", "Cart-Token") => codes.push(Code::NotFound),
            ("header", "Idempotency-Key") => {
                codes.extend([Code::IdempotencyKeyInFlight, Code::IdempotencyKeyReused]);
            }
            ("header", "If-Match") => codes.push(Code::PreconditionFailed),
            _ => {}
        }
    }
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let parameters = operation.get("parameters").and_then(Value::as_array).into_iter().flatten();
    let described = parameters.map(|parameter| text(parameter.get("description")));
    let described: Vec<String> = described.chain([text(operation.get("description"))]).collect();
    let named = Code::ALL.iter().filter(|code| {
        let name = format!("`{}`", code.as_str());
        described.iter().any(|text| text.contains(&name))
    });
    codes.extend(named);
    codes.into_iter().map(|code| code.status().as_u16()).collect()
}

/// The headers of an answer that is no problem.
fn headers(response: &mut Value, keyed: bool) {
    let Some(fields) = response.as_object_mut() else { return };
    let Some(headers) = fields.entry("headers").or_insert(json!({})).as_object_mut() else { return };
    let replayed = keyed.then_some("Idempotency-Replayed");
    for name in COUNTED.into_iter().chain([REQUEST_ID]).chain(replayed) {
        headers.entry(name).or_insert(reference(name));
    }
}

fn reference(header: &str) -> Value {
    json!({ "$ref": format!("#/components/headers/{header}") })
}

/// The name of a status among the components: its reason phrase in one word.
fn name(status: u16) -> String {
    let code = Code::ALL.iter().find(|code| code.status().as_u16() == status);
    let phrase = code.and_then(|code| code.status().canonical_reason()).unwrap_or_default();
    phrase.split(' ').collect()
}

fn response(status: u16, codes: &[Code]) -> Value {
    let meanings: Vec<String> = codes.iter().map(|code| format!("`{}`: {}", code.as_str(), meaning(*code))).collect();
    let examples: Map<String, Value> = codes.iter().map(|code| (code.as_str().to_owned(), example(*code))).collect();
    let own: &[&str] = match status {
        401 => &["WWW-Authenticate"],
        429 | 503 => &["Retry-After"],
        _ => &[],
    };
    let headers: Map<String, Value> =
        COUNTED.iter().chain(&[REQUEST_ID]).chain(own).map(|name| ((*name).to_owned(), reference(name))).collect();
    json!({
        "description": meanings.join("\n\n"),
        "headers": headers,
        "content": { PROBLEM_JSON: { "schema": { "$ref": "#/components/schemas/Problem" }, "examples": examples } },
    })
}

/// The code's page, in one paragraph.
fn meaning(code: Code) -> String {
    code.page().lines().map(str::trim).collect::<Vec<_>>().join(" ")
}

fn example(code: Code) -> Value {
    let page = meaning(code);
    let sentence = page.split(". ").next().unwrap_or_default().trim_end_matches('.');
    let mut value = json!({
        "type": format!("/problems/{}", code.as_str()),
        "title": code.title(),
        "status": code.status().as_u16(),
        "detail": format!("{sentence}."),
        "instance": "/v1/orders",
        "code": code.as_str(),
        "request_id": "req_01a1ffd62d607419a45086f6f70ac2a8",
    });
    if let (Code::InvalidRequest, Some(fields)) = (code, value.as_object_mut()) {
        let error = json!({ "pointer": "/lines/0/quantity", "detail": "a quantity is 1 at least" });
        fields.insert("errors".to_owned(), json!([error]));
    }
    json!({ "summary": code.title(), "value": value })
}

/// The headers, as the answers refer to them.
fn described() -> Map<String, Value> {
    let seconds = json!({ "type": "integer", "minimum": 1 });
    let text = json!({ "type": "string" });
    [
        (
            REQUEST_ID,
            "Finds the request in the logs: the one that was sent along, or a new one.",
            text.clone(),
            json!("req_01a1ffd62d607419a45086f6f70ac2a8"),
        ),
        (
            "RateLimit-Policy",
            "How many requests of this class a caller may send, `q`, in how many seconds, `w` \
             (draft-ietf-httpapi-ratelimit-headers).",
            text.clone(),
            json!("\"write\";q=120;w=60"),
        ),
        (
            "RateLimit",
            "How many are left, `r`, and in how many seconds all will be there again, `t`.",
            text.clone(),
            json!("\"write\";r=117;t=2"),
        ),
        ("Retry-After", "After how many seconds it is worth trying again.", seconds, json!(1)),
        ("WWW-Authenticate", "How to say who one is.", text.clone(), json!("Bearer")),
        (
            "Idempotency-Replayed",
            "`true` when this is the answer to an earlier request with the same `Idempotency-Key`.",
            json!({ "type": "string", "enum": ["true"] }),
            json!("true"),
        ),
    ]
    .map(|(name, description, schema, example)| {
        (name.to_owned(), json!({ "description": description, "schema": schema, "example": example }))
    })
    .into_iter()
    .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    fn completed(operation: Value, method: &str) -> Value {
        let mut operation = operation.as_object().unwrap().clone();
        complete(&mut operation, method);
        Value::Object(operation)
    }

    fn statuses_of(operation: &Value) -> Vec<&str> {
        operation["responses"].as_object().unwrap().keys().map(String::as_str).collect()
    }

    #[test]
    fn the_answers_follow_from_what_the_operation_takes() {
        let simple = completed(json!({ "security": [], "responses": { "200": {}, "default": {} } }), "get");
        assert_eq!(statuses_of(&simple), ["200", "400", "414", "429", "431", "500", "503", "504"]);

        let orders = completed(
            json!({
                "security": [{ "bearer": [] }],
                "description": "Refused with `out_of_stock`.",
                "parameters": [
                    { "in": "header", "name": "Idempotency-Key", "required": false, "description": "Required: fresh." },
                    { "in": "path", "name": "id" },
                    { "in": "header", "name": "If-Match" },
                ],
                "requestBody": {},
                "responses": { "201": { "headers": { "Location": {} } } },
            }),
            "post",
        );
        let expected = [
            "201", "400", "401", "403", "404", "409", "412", "413", "414", "415", "422", "429", "431", "500", "503",
            "504",
        ];
        assert_eq!(statuses_of(&orders), expected);
        assert_eq!(orders["parameters"][0]["required"], json!(true));
        let headers: Vec<&String> = orders["responses"]["201"]["headers"].as_object().unwrap().keys().collect();
        assert_eq!(headers, ["Idempotency-Replayed", "Location", "RateLimit", "RateLimit-Policy", "X-Request-Id"]);
        assert_eq!(orders["responses"]["409"]["$ref"], "#/components/responses/Conflict");
    }

    #[test]
    fn every_code_stands_under_its_status_but_the_one_that_no_operation_answers() {
        let (responses, headers) = components();
        for code in Code::ALL {
            let named = responses
                .values()
                .filter(|response| !response["content"][PROBLEM_JSON]["examples"][code.as_str()].is_null());
            assert_eq!(named.count(), usize::from(*code != Code::MethodNotAllowed), "{}", code.as_str());
        }
        for response in responses.values() {
            for header in response["headers"].as_object().unwrap().keys() {
                assert!(headers.contains_key(header), "{header}");
            }
        }
    }
}
