//! Which operation a request is for, from the OpenAPI document alone.

use std::collections::BTreeMap;

use nats::problem::{Code, Problem};
use poem::http::Method;
use serde_json::Value;

/// The extension that names the owning service of an operation.
const SERVICE: &str = "x-argosy-service";
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
    Ok(Operation {
        service: text(SERVICE).ok_or_else(|| missing(SERVICE))?,
        id: text("operationId").ok_or_else(|| missing("operationId"))?,
        access,
    })
}

/// The path with its parameters named by position: services may name the same one differently.
fn normalized(path: &str) -> String {
    let segments = path.split('/').enumerate();
    let named =
        segments.map(|(index, part)| if part.starts_with('{') { format!("{{p{index}}}") } else { part.to_owned() });
    named.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
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
}
