//! Which operation a request is for, from the OpenAPI document alone.

use std::collections::BTreeMap;

use nats::{
    http::LARGEST_BODY,
    problem::{Code, Problem},
};
use poem::http::Method;
use serde_json::Value;

use crate::{limit::Class, realtime::TICKET};

/// The extension that names the owning service of an operation.
const SERVICE: &str = "x-argosy-service";
/// The extension that names the class of requests that an operation counts as.
const LIMIT: &str = "x-argosy-limit";
/// The extension that says how many bytes of body an operation takes.
const BODY: &str = "x-argosy-body";
/// The extension that says what an API key is to be for. Without it, the operation cannot be done with one.
const SCOPE: &str = "x-argosy-scope";
/// The extension that says whether an operation is written into the audit trail: `always`, `none`; else what changes something
/// is.
const AUDIT: &str = "x-argosy-audit";
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// An operation, as the gateway needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// The service that owns it.
    pub service: String,
    /// Its unique id.
    pub id: String,
    /// Its path, with its parameters' names.
    pub path: String,
    /// Whether it is written into the audit trail.
    pub audited: bool,
    /// What it asks of a token.
    pub access: Access,
    /// Whether a ticket will do in place of one.
    pub takes_ticket: bool,
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
    let class = text(LIMIT).ok_or_else(|| missing(LIMIT))?;
    let class = class.parse().map_err(|error| RouteError(format!("{method} {path}: {error}")))?;
    let largest_body = operation.get(BODY).and_then(Value::as_u64).and_then(|bytes| usize::try_from(bytes).ok());
    let largest_body = largest_body
        .filter(|bytes| *bytes <= LARGEST_BODY)
        .ok_or_else(|| RouteError(format!("{method} {path}: {BODY} is no number up to {LARGEST_BODY}")))?;
    let audited = match text(AUDIT).as_deref() {
        Some("always") => true,
        Some("none") => false,
        None => method != "get",
        Some(other) => return Err(RouteError(format!("{method} {path}: {AUDIT} is `{other}`, not always or none"))),
    };
    let service = text(SERVICE).ok_or_else(|| missing(SERVICE))?;
    let scope = text(SCOPE);
    let alternatives = operation.get("security").and_then(Value::as_array);
    let takes_ticket = alternatives.is_some_and(|all| all.iter().any(|one| one.get(TICKET).is_some()));
    Ok(Operation { service, id, path: path.to_owned(), audited, access, takes_ticket, scope, class, largest_body })
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
        let operation = |service: &str, id: &str, security: Value| json!({ SERVICE: service, LIMIT: "read", BODY: 1024, "operationId": id, "security": security });
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
    fn the_document_says_how_a_request_is_counted_and_how_large_it_may_be() {
        for (method, path, class, largest_body) in [
            (Method::GET, "/v1/products", Class::Read, 1024),
            (Method::HEAD, "/v1/products", Class::Read, 1024),
            (Method::POST, "/v1/orders", Class::Write, 256 * 1024),
            (Method::POST, "/v1/auth/login", Class::SignIn, 16 * 1024),
            (Method::POST, "/v1/invoices", Class::Upload, LARGEST_BODY),
            (Method::POST, "/v1/webhooks/payments/sandbox", Class::Webhook, 32 * 1024),
        ] {
            let operation = ours(method, path);
            assert_eq!((operation.class, operation.largest_body), (class, largest_body), "{}", operation.id);
        }
    }

    #[test]
    fn the_document_says_what_an_api_key_is_to_be_for() {
        for (method, path, scope) in [
            (Method::GET, "/v1/products", Some("catalog:read")),
            (Method::HEAD, "/v1/products", Some("catalog:read")),
            (Method::POST, "/v1/orders", Some("order:write")),
            (Method::GET, "/v1/dead-letters", Some("gateway:read")),
            (Method::POST, "/v1/auth/logout", None),
            (Method::PUT, "/v1/users/me/password", None),
        ] {
            let operation = ours(method, path);
            assert_eq!(operation.scope.as_deref(), scope, "{}", operation.id);
        }
    }

    #[test]
    fn a_document_that_says_less_or_nonsense_is_not_routed_by() {
        let with = |extension: &str, value: Value| {
            let mut operation = json!({ SERVICE: "catalog", LIMIT: "write", BODY: 7, "operationId": "search" });
            operation[extension] = value;
            Routes::of(&json!({ "paths": { "/v1/search": { "post": operation } } }).to_string())
        };
        let search = |routes: Routes| routes.find(&Method::POST, "/v1/search").unwrap().clone();
        assert_eq!(search(with(LIMIT, json!("read")).unwrap()).class, Class::Read);
        assert_eq!(search(with(BODY, json!(9)).unwrap()).largest_body, 9);
        assert!(
            search(with(AUDIT, json!("always")).unwrap()).audited
                && !search(with(AUDIT, json!("none")).unwrap()).audited
        );
        for (extension, wrong) in [
            (AUDIT, json!("some")),
            (LIMIT, json!("walk")),
            (LIMIT, Value::Null),
            (BODY, json!("much")),
            (BODY, json!(LARGEST_BODY + 1)),
            (BODY, Value::Null),
            (SERVICE, Value::Null),
        ] {
            assert!(with(extension, wrong.clone()).is_err(), "{extension} {wrong}");
        }
    }
}
