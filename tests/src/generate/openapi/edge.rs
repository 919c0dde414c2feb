//! What the gateway has to know of an operation beside what OpenAPI says: written here, read in the gateway's `route.rs`.
//!
//! | extension | meaning |
//! |---|---|
//! | `x-argosy-service` | the service that owns it |
//! | `x-argosy-limit` | the class of requests that it counts as |
//! | `x-argosy-body` | the most bytes of body that it takes |
//! | `x-argosy-scope` | what an API key is to be for; without it, it cannot be done with one |
//! | `x-argosy-audit` | whether it is written into the audit trail (`audit`), where that does not go by the method |
//!
//! One that the operation has already, it keeps.

use nats::http::LARGEST_BODY;
use serde_json::{Map, Value, json};

use super::audit;

/// Where an operation takes no body, some clients send `{}` all the same.
const NO_BODY: usize = 1024;
/// A name and a password.
const SIGN_IN_BODY: usize = 16 * 1024;
/// What people write by hand, or a client puts together.
const JSON_BODY: usize = 256 * 1024;
/// What another system tells us, before we know that it is the one.
const WEBHOOK_BODY: usize = 32 * 1024;
/// Where only people go: signing in, sessions, the password, the keys themselves, and who may do what: a key that was lost
/// ends with its revocation, and what it could give to others would not.
const PEOPLE: [&str; 11] = [
    "/v1/auth",
    "/v1/sessions",
    "/v1/api-keys",
    "/v1/users/me/password",
    "/v1/users/me/external-identities",
    "/v1/users/me/activity",
    "/v1/users/{id}/roles",
    "/v1/roles",
    "/v1/companies/{id}/members",
    "/v1/companies/{id}/invitations",
    "/v1/company-invitations",
];

/// Adds what the gateway reads.
pub(super) fn describe(operation: &mut Map<String, Value>, service: &str, method: &str, path: &str) {
    // Said of each operation, also of those that are for everyone: nothing is public by having been forgotten.
    let security = operation.entry("security").or_insert(json!([])).clone();
    let class = class_of(operation, method, path);
    let largest = largest_body_of(operation, class);
    let audit = audit::of(operation, method);
    let mut add = |name: &str, value: Value| {
        operation.entry(name).or_insert(value);
    };
    add("x-argosy-service", json!(service));
    add("x-argosy-limit", json!(class));
    add("x-argosy-body", json!(largest));
    if let Some(audit) = audit {
        add("x-argosy-audit", json!(audit));
    }
    if let Some(scope) = scope_of(service, method, path).filter(|_| security != json!([])) {
        add("x-argosy-scope", json!(scope));
    }
}

/// Reading or writing what the service owns.
fn scope_of(service: &str, method: &str, path: &str) -> Option<String> {
    let within = |place: &str| path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let action = if method == "get" { "read" } else { "write" };
    (!PEOPLE.into_iter().any(within)).then(|| format!("{service}:{action}"))
}

fn class_of(operation: &Map<String, Value>, method: &str, path: &str) -> &'static str {
    let id = operation.get("operationId").and_then(Value::as_str).unwrap_or_default();
    let public = operation.get("security") == Some(&json!([]));
    let file =
        content_types(operation).any(|kind| kind.starts_with("multipart/") || kind == "application/octet-stream");
    // A browser that goes to sign in leaves a row behind.
    if method == "get" && !path.starts_with("/v1/auth/google") {
        "read"
    } else if path.starts_with("/v1/webhooks/") {
        "webhook"
    } else if path.starts_with("/v1/auth/") && public && id != "refresh" {
        // A refresh token cannot be guessed, and each signed-in client sends one every ten minutes.
        "sign_in"
    } else if file || id.starts_with("upload_") {
        "upload"
    } else {
        "write"
    }
}

fn largest_body_of(operation: &Map<String, Value>, class: &str) -> usize {
    match class {
        _ if content_types(operation).next().is_none() => NO_BODY,
        "sign_in" => SIGN_IN_BODY,
        "upload" => LARGEST_BODY,
        "webhook" => WEBHOOK_BODY,
        _ => JSON_BODY,
    }
}

/// The kinds of body that an operation takes.
fn content_types(operation: &Map<String, Value>) -> impl Iterator<Item = &str> {
    let content = operation.get("requestBody").and_then(|body| body.get("content")).and_then(Value::as_object);
    content.into_iter().flat_map(|content| content.keys().map(String::as_str))
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    fn described(id: &str, method: &str, path: &str, takes: Option<&str>, public: bool) -> Value {
        let mut operation = Map::new();
        operation.insert("operationId".to_owned(), json!(id));
        if let Some(kind) = takes {
            operation.insert("requestBody".to_owned(), json!({ "content": { kind: {} } }));
        }
        if !public {
            operation.insert("security".to_owned(), json!([{ "bearer": [] }]));
        }
        describe(&mut operation, "order", method, path);
        Value::Object(operation)
    }

    #[test]
    fn requests_are_counted_by_what_they_do_and_bounded_by_what_they_bring() {
        let (json, file) = (Some("application/json"), Some("multipart/form-data"));
        for (id, method, path, takes, public, class, largest) in [
            ("list_products", "get", "/v1/products", None, false, "read", NO_BODY),
            ("place_order", "post", "/v1/orders", json, false, "write", JSON_BODY),
            ("cancel_order", "post", "/v1/orders/{id}/cancel", None, false, "write", NO_BODY),
            ("login", "post", "/v1/auth/login", json, true, "sign_in", SIGN_IN_BODY),
            ("refresh", "post", "/v1/auth/refresh", json, true, "write", JSON_BODY),
            ("logout", "post", "/v1/auth/logout", None, false, "write", NO_BODY),
            ("upload_invoice", "post", "/v1/invoices", json, false, "upload", LARGEST_BODY),
            ("add_picture", "post", "/v1/pictures", file, false, "upload", LARGEST_BODY),
            ("receive", "post", "/v1/webhooks/payments/sandbox", json, true, "webhook", WEBHOOK_BODY),
        ] {
            let operation = described(id, method, path, takes, public);
            assert_eq!(
                (&operation["x-argosy-limit"], &operation["x-argosy-body"]),
                (&json!(class), &json!(largest)),
                "{id}"
            );
        }
    }

    #[test]
    fn an_api_key_needs_the_scope_of_the_service_and_does_not_do_what_people_do() {
        for (method, path, scope) in [
            ("get", "/v1/orders", json!("order:read")),
            ("patch", "/v1/users/me", json!("order:write")),
            ("get", "/v1/authors", json!("order:read")),
            ("put", "/v1/users/me/password", Value::Null),
            ("post", "/v1/auth/logout", Value::Null),
            ("get", "/v1/sessions", Value::Null),
            ("get", "/v1/api-keys/{id}", Value::Null),
        ] {
            assert_eq!(described("x", method, path, None, false)["x-argosy-scope"], scope, "{method} {path}");
        }
        let public = described("x", "get", "/v1/shipping/rates", None, true);
        assert_eq!((&public["x-argosy-scope"], &public["security"]), (&Value::Null, &json!([])));
    }

    #[test]
    fn what_an_operation_says_itself_stands() {
        let mut operation = Map::new();
        operation.insert("x-argosy-limit".to_owned(), json!("read"));
        operation.insert("x-argosy-body".to_owned(), json!(9));
        describe(&mut operation, "catalog", "post", "/v1/search");
        assert_eq!((&operation["x-argosy-limit"], &operation["x-argosy-body"]), (&json!("read"), &json!(9)));
    }
}
