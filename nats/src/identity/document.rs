//! What an operation needs, in the OpenAPI document.
//!
//! OpenAPI 3.0 lets only OAuth schemes name scopes, and poem-openapi knows the names of schemes alone. So an extractor puts
//! its permission into the name that it gives there, such as `bearer catalog:write`, and here the name is taken apart:
//! into the scheme `bearer`, the extension `x-argosy-permission`, and a sentence for whoever reads the description.

use serde_json::{Map, Value, json};

/// The permission that an operation needs.
const PERMISSION: &str = "x-argosy-permission";
/// The permission that an operation needs for what is not the caller's own.
const UNLESS_OWN: &str = "x-argosy-permission-unless-own";

/// A document that poem-openapi wrote, with what each operation needs; `None` when it is none.
pub fn document(spec: &str) -> Option<Value> {
    let mut document: Value = serde_json::from_str(spec).ok()?;
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    for item in paths.into_iter().flat_map(Map::values_mut).filter_map(Value::as_object_mut) {
        item.values_mut().filter_map(Value::as_object_mut).for_each(say);
    }
    Some(document)
}

/// Says what one operation needs.
fn say(operation: &mut Map<String, Value>) {
    let mut needed = Vec::new();
    let alternatives = operation.get_mut("security").and_then(Value::as_array_mut);
    for alternative in alternatives.into_iter().flatten().filter_map(Value::as_object_mut) {
        let named = std::mem::take(alternative).into_iter().map(|(name, scopes)| match name.split_once(' ') {
            None => (name, scopes),
            Some((scheme, permission)) => {
                needed.push(permission.to_owned());
                (scheme.to_owned(), scopes)
            }
        });
        *alternative = named.collect();
    }
    for permission in needed {
        let (extension, permission, sentence) = match permission.strip_suffix(" unless own") {
            Some(permission) => {
                (UNLESS_OWN, permission, format!("What is somebody else's needs the permission `{permission}`."))
            }
            None => (PERMISSION, permission.as_str(), format!("Needs the permission `{permission}`.")),
        };
        operation.insert(extension.to_owned(), json!(permission));
        let description = match operation.get("description").and_then(Value::as_str) {
            Some(text) => format!("{}\n\n{sentence}", text.trim_end()),
            None => sentence,
        };
        operation.insert("description".to_owned(), json!(description));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;
    use crate::identity::{CatalogWrite, Needed, OrdersRead};

    fn said(security: &Value) -> Value {
        let spec = json!({ "paths": { "/v1/things": { "get": { "security": security, "description": "Things." } } } });
        document(&spec.to_string()).unwrap()["paths"]["/v1/things"]["get"].clone()
    }

    #[test]
    fn an_operation_says_what_it_needs() {
        let operation = said(&json!([{ (CatalogWrite::SCHEME): [] }]));
        assert_eq!(operation["security"], json!([{ "bearer": [] }]));
        assert_eq!(operation[PERMISSION], "catalog:write");
        assert_eq!(operation["description"], "Things.\n\nNeeds the permission `catalog:write`.");

        let operation = said(&json!([{ (OrdersRead::SCHEME_UNLESS_OWN): [] }]));
        assert_eq!(operation["security"], json!([{ "bearer": [] }]));
        assert_eq!((&operation[PERMISSION], &operation[UNLESS_OWN]), (&Value::Null, &json!("orders:read")));
    }

    #[test]
    fn one_that_needs_nothing_stays_as_it_is() {
        let security = json!([{ "bearer": [] }, {}]);
        assert_eq!(said(&security), json!({ "security": security, "description": "Things." }));
    }
}
