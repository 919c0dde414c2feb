//! Which operation a request is for, from the OpenAPI document alone.

use std::collections::BTreeMap;

use nats::{
    http::LARGEST_BODY,
    problem::{Code, Problem},
};
use poem::http::Method;
use serde_json::Value;

use crate::limit::Class;

/// The extension that names the owning service of an operation.
const SERVICE: &str = "x-argosy-service";
/// The extension that names the class of requests that an operation counts as, where [`class_of`] would be wrong.
const LIMIT: &str = "x-argosy-limit";
/// The extension that says how many bytes of body an operation takes, where [`largest_body_of`] would be wrong.
const BODY: &str = "x-argosy-body";
/// Where an operation takes no body, some clients send `{}` all the same.
const NO_BODY: usize = 1024;
/// A name and a password.
const SIGN_IN_BODY: usize = 16 * 1024;
/// What people write by hand, or a client puts together.
const JSON_BODY: usize = 256 * 1024;
/// Where only people go: signing in, sessions and the keys themselves.
const PEOPLE: [&str; 3] = ["/v1/auth", "/v1/sessions", "/v1/api-keys"];
/// What another system tells us, before we know that it is the one.
const WEBHOOK_BODY: usize = 32 * 1024;
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// An operation, as the gateway needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// The service that owns it.
    pub service: String,
    /// Its unique id.
    pub id: String,
    /// What it asks of a token.
    pub access: Access,
    /// The scope that an API key needs for it; `None` when it cannot be done with one.
    pub scope: Option<String>,
    /// What its requests are counted as.
    pub class: Class,
    /// The most bytes of body it takes.
    pub largest_body: usize,
}

/// What an operation asks of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Nothing: a token that is sent along, expired or not, is not looked at.
    Public,
    /// It may have one.
    Optional,
    /// It cannot be done without one.
    Required,
}

/// The document's operations by path and method.
pub struct Routes {
    paths: matchit::Router<BTreeMap<String, Operation>>,
}

/// A document that cannot be routed by: which place, and why.
#[derive(Debug, PartialEq, Eq)]
pub struct RouteError(String);

impl std::fmt::Display for RouteError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "openapi.json cannot be routed by: {}", self.0)
    }
}

impl std::error::Error for RouteError {}

impl Routes {
    /// Reads the document.
    ///
    /// # Errors
    /// When it is no OpenAPI document, an operation has no service, or two paths collide.
    pub fn of(document: &str) -> Result<Self, RouteError> {
        let document: Value = serde_json::from_str(document).map_err(|error| RouteError(error.to_string()))?;
        let paths =
            document.get("paths").and_then(Value::as_object).ok_or_else(|| RouteError("it has no paths".to_owned()))?;
        let mut by_path: BTreeMap<String, BTreeMap<String, Operation>> = BTreeMap::new();
        for (path, item) in paths {
            let methods = by_path.entry(normalized(path)).or_default();
            for method in METHODS {
                if let Some(operation) = item.get(method) {
                    methods.insert(method.to_uppercase(), read(operation, path, method)?);
                }
            }
        }
        let mut router = matchit::Router::new();
        for (path, methods) in by_path {
            router.insert(path.clone(), methods).map_err(|error| RouteError(format!("{path}: {error}")))?;
        }
        Ok(Self { paths: router })
    }

    /// The operation of a method and path.
    ///
    /// # Errors
    /// `not_found`, or `method_not_allowed` with the methods there are.
    pub fn find(&self, method: &Method, path: &str) -> Result<&Operation, Problem> {
        let matched =
            self.paths.at(path).map_err(|_| Problem::new(Code::NotFound, "There is nothing at this path."))?;
        let wanted = if method == Method::HEAD { "GET" } else { method.as_str() };
        matched.value.get(wanted).ok_or_else(|| {
            let allow: Vec<&str> = matched.value.keys().map(String::as_str).collect();
            Problem::method_not_allowed(allow.join(", "))
        })
    }
}

fn read(operation: &Value, path: &str, method: &str) -> Result<Operation, RouteError> {
    let text = |name: &str| operation.get(name).and_then(Value::as_str).map(str::to_owned);
    let missing = |what: &str| RouteError(format!("{method} {path} has no {what}"));
    // An empty requirement among the alternatives makes the token optional.
    let access = match operation.get("security").and_then(Value::as_array) {
        None => Access::Public,
        Some(alternatives) if alternatives.is_empty() => Access::Public,
        Some(alternatives) if alternatives.iter().any(|one| one.as_object().is_some_and(serde_json::Map::is_empty)) => {
            Access::Optional
        }
        Some(_) => Access::Required,
    };
    let id = text("operationId").ok_or_else(|| missing("operationId"))?;
    let class = match text(LIMIT) {
        Some(name) => name.parse().map_err(|error| RouteError(format!("{method} {path}: {error}")))?,
        None => class_of(operation, path, method, &id, access),
    };
    let largest_body = match operation.get(BODY) {
        Some(bytes) => {
            let bytes =
                bytes.as_u64().and_then(|bytes| usize::try_from(bytes).ok()).filter(|bytes| *bytes <= LARGEST_BODY);
            bytes.ok_or_else(|| RouteError(format!("{method} {path}: {BODY} is no number up to {LARGEST_BODY}")))?
        }
        None => largest_body_of(operation, class),
    };
    let service = text(SERVICE).ok_or_else(|| missing(SERVICE))?;
    let scope = scope_of(&service, path, method);
    Ok(Operation { service, id, access, scope, class, largest_body })
}

/// What an API key is to be for: reading or writing what the service owns.
fn scope_of(service: &str, path: &str, method: &str) -> Option<String> {
    let within = |place: &str| path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let action = if method == "get" { "read" } else { "write" };
    (!PEOPLE.into_iter().any(within)).then(|| format!("{service}:{action}"))
}

/// What an operation counts as, when the document does not say.
fn class_of(operation: &Value, path: &str, method: &str, id: &str, access: Access) -> Class {
    let file =
        content_types(operation).any(|kind| kind.starts_with("multipart/") || kind == "application/octet-stream");
    if method == "get" {
        Class::Read
    } else if path.starts_with("/v1/webhooks/") {
        Class::Webhook
    } else if path.starts_with("/v1/auth/") && access == Access::Public && id != "refresh" {
        // A refresh token cannot be guessed, and each signed-in client sends one every ten minutes.
        Class::SignIn
    } else if file || id.starts_with("upload_") {
        Class::Upload
    } else {
        Class::Write
    }
}

/// How many bytes of body an operation takes, when the document does not say.
fn largest_body_of(operation: &Value, class: Class) -> usize {
    match class {
        _ if content_types(operation).next().is_none() => NO_BODY,
        Class::SignIn => SIGN_IN_BODY,
        Class::Upload => LARGEST_BODY,
        Class::Webhook => WEBHOOK_BODY,
        Class::Read | Class::Write => JSON_BODY,
    }
}

/// The kinds of body that an operation takes.
fn content_types(operation: &Value) -> impl Iterator<Item = &str> {
    let content = operation.pointer("/requestBody/content").and_then(Value::as_object);
    content.into_iter().flat_map(|content| content.keys().map(String::as_str))
}

/// The path with its parameters named by position: services may name the same one differently.
fn normalized(path: &str) -> String {
    let segments = path.split('/').enumerate();
    let named =
        segments.map(|(index, part)| if part.starts_with('{') { format!("{{p{index}}}") } else { part.to_owned() });
    named.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::*;

    fn routes() -> Routes {
        let operation = |service: &str, id: &str, security: Value| json!({ SERVICE: service, "operationId": id, "security": security });
        let document = json!({ "paths": {
            "/v1/orders/{id}": { "get": operation("order", "get_order", json!([{ "bearer": [] }])) },
            "/v1/orders/{order_id}/payments": { "get": operation("payment", "list_payments", json!([{ "bearer": [] }])) },
            "/v1/products": {
                "get": operation("catalog", "list_products", json!([{ "bearer": [] }, {}])),
                "post": operation("catalog", "create_product", json!([{ "bearer": [] }])),
            },
        } });
        Routes::of(&document.to_string()).unwrap()
    }

    #[test]
    fn a_request_goes_to_the_service_that_owns_its_path() {
        let routes = routes();
        assert_eq!(routes.find(&Method::GET, "/v1/orders/ord_1").unwrap().service, "order");
        assert_eq!(routes.find(&Method::GET, "/v1/orders/ord_1/payments").unwrap().service, "payment");
        assert_eq!(routes.find(&Method::HEAD, "/v1/products").unwrap().id, "list_products");
        assert_eq!(routes.find(&Method::GET, "/v1/orders/ord_1").unwrap().access, Access::Required);
        assert_eq!(routes.find(&Method::GET, "/v1/products").unwrap().access, Access::Optional);
    }

    #[test]
    fn what_the_document_does_not_name_does_not_exist() {
        let routes = routes();
        for path in ["/", "/v1", "/v1/orders", "/v1/orders/a/b/c", "/internal", "/v1/orders/"] {
            assert_eq!(routes.find(&Method::GET, path).unwrap_err().code(), Code::NotFound, "{path}");
        }
        let wrong = routes.find(&Method::DELETE, "/v1/products").unwrap_err();
        assert_eq!(wrong.code(), Code::MethodNotAllowed);
        assert!(wrong.detail().contains("GET, POST"), "{wrong}");
    }

    /// An operation of the document that this build routes by.
    fn ours(method: Method, path: &str) -> Operation {
        Routes::of(crate::OPENAPI).unwrap().find(&method, path).unwrap().clone()
    }

    #[test]
    fn requests_are_counted_by_what_they_do() {
        for (method, path, class, largest_body) in [
            (Method::GET, "/v1/products", Class::Read, NO_BODY),
            (Method::HEAD, "/v1/products", Class::Read, NO_BODY),
            (Method::POST, "/v1/orders", Class::Write, JSON_BODY),
            (Method::POST, "/v1/orders/ord_1/cancel", Class::Write, NO_BODY),
            (Method::POST, "/v1/auth/login", Class::SignIn, SIGN_IN_BODY),
            (Method::POST, "/v1/auth/register", Class::SignIn, SIGN_IN_BODY),
            (Method::POST, "/v1/auth/refresh", Class::Write, JSON_BODY),
            (Method::POST, "/v1/auth/logout", Class::Write, NO_BODY),
            (Method::POST, "/v1/invoices", Class::Upload, LARGEST_BODY),
            (Method::POST, "/v1/webhooks/payments/sandbox", Class::Webhook, WEBHOOK_BODY),
        ] {
            let operation = ours(method, path);
            assert_eq!((operation.class, operation.largest_body), (class, largest_body), "{}", operation.id);
        }
    }

    #[test]
    fn an_api_key_needs_the_scope_of_the_service_that_owns_the_operation() {
        for (method, path, scope) in [
            (Method::GET, "/v1/products", Some("catalog:read")),
            (Method::HEAD, "/v1/products", Some("catalog:read")),
            (Method::POST, "/v1/orders", Some("order:write")),
            (Method::PATCH, "/v1/users/me", Some("user:write")),
            (Method::GET, "/v1/dead-letters", Some("gateway:read")),
            (Method::POST, "/v1/auth/logout", None),
        ] {
            let operation = ours(method, path);
            assert_eq!(operation.scope.as_deref(), scope, "{}", operation.id);
        }
        for path in ["/v1/auth/login", "/v1/sessions", "/v1/sessions/{id}", "/v1/api-keys", "/v1/api-keys/{id}"] {
            assert_eq!(scope_of("user", path, "get"), None, "{path}");
        }
        assert_eq!(scope_of("user", "/v1/authors", "get").as_deref(), Some("user:read"));
    }

    #[test]
    fn the_document_may_say_otherwise() {
        let with = |extension: &str, value: Value| {
            let mut operation = json!({ SERVICE: "catalog", "operationId": "search" });
            operation[extension] = value;
            Routes::of(&json!({ "paths": { "/v1/search": { "post": operation } } }).to_string())
        };
        let search = |routes: Routes| routes.find(&Method::POST, "/v1/search").unwrap().clone();
        assert_eq!(search(with(LIMIT, json!("read")).unwrap()).class, Class::Read);
        assert_eq!(search(with(BODY, json!(9)).unwrap()).largest_body, 9);
        for (extension, wrong) in [(LIMIT, json!("walk")), (BODY, json!("much")), (BODY, json!(LARGEST_BODY + 1))] {
            assert!(with(extension, wrong.clone()).is_err(), "{extension} {wrong}");
        }
    }
}
