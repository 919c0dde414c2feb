//! One OpenAPI document of all services'.
//!
//! What can be said of all operations alike is said here and not in each handler: what the gateway has to know of them
//! (`edge`), the answers they can give beside their own (`answers`), examples of their bodies (`examples`), and schemas that
//! every tool reads the same way (`schema`).

mod answers;
mod audit;
mod edge;
mod examples;
mod schema;

use nats::manifest::Manifest;
use serde_json::{Map, Value, json};

use crate::{Result, StackError};

const DESCRIPTION: &str = "Commerce, logistics and invoicing. Money is in integer minor units, ids are TypeIDs, times are \
    RFC 3339 in UTC, prices are net. Errors are problem documents (RFC 9457); each code has its page under `/problems`. \
    Lists are paged by an opaque `cursor`. Send an `Idempotency-Key` with every POST that creates.";

/// Merges the services' documents; each operation says which service owns it.
pub(super) fn merged(manifests: &[Manifest]) -> Result<Value> {
    let documents: Vec<(&str, Value)> =
        manifests.iter().filter_map(|one| Some((one.service.as_str(), schema::modern(one)?))).collect();
    let (mut schemas, mut security, mut tags) = (Map::new(), Map::new(), Map::new());
    for (service, document) in &documents {
        collect(&mut schemas, document, "/components/schemas", service)?;
        collect(&mut security, document, "/components/securitySchemes", service)?;
        for tag in document.pointer("/tags").and_then(Value::as_array).into_iter().flatten() {
            let name = tag.get("name").and_then(Value::as_str).unwrap_or_default();
            tags.insert(name.to_owned(), tag.clone());
        }
    }
    let (mut paths, mut ids) = (Map::new(), Vec::new());
    for (service, document) in &documents {
        for (path, item) in object(document, "/paths") {
            let merged = paths.entry(path.clone()).or_insert_with(|| json!({}));
            for (method, operation) in item.as_object().into_iter().flatten() {
                let id = operation.get("operationId").and_then(Value::as_str).unwrap_or_default().to_owned();
                if id.is_empty() || ids.contains(&id) {
                    return Err(StackError::new(format!(
                        "{method} {path} needs an operation id of its own, not `{id}`"
                    )));
                }
                ids.push(id);
                let mut operation = operation.as_object().cloned().unwrap_or_default();
                edge::describe(&mut operation, service, method, path);
                answers::complete(&mut operation, method);
                examples::add(&mut operation, &schemas);
                add(merged, path, method, Value::Object(operation))?;
            }
        }
    }
    let (responses, headers) = answers::components();
    Ok(json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Argosy API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": DESCRIPTION,
            "license": { "name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0" },
        },
        "servers": [{ "url": "/" }],
        "tags": tags.into_iter().map(|(_, tag)| tag).collect::<Vec<_>>(),
        "paths": paths,
        "components": { "schemas": schemas, "responses": responses, "headers": headers, "securitySchemes": security },
    }))
}

fn object<'a>(document: &'a Value, pointer: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    document.pointer(pointer).and_then(Value::as_object).into_iter().flatten()
}

fn add(item: &mut Value, path: &str, method: &str, operation: Value) -> Result<()> {
    let taken = || StackError::new(format!("{method} {path} is served by two services"));
    match item.as_object_mut().ok_or_else(taken)?.insert(method.to_owned(), operation) {
        None => Ok(()),
        Some(_) => Err(taken()),
    }
}

/// Adds named things; the same name must be the same thing everywhere.
pub(super) fn collect(into: &mut Map<String, Value>, document: &Value, pointer: &str, service: &str) -> Result<()> {
    for (name, thing) in object(document, pointer) {
        match into.get(name) {
            Some(known) if known != thing => {
                let message =
                    format!("`{name}` of {service} differs from another service's; give one of them another name");
                return Err(StackError::new(message));
            }
            _ => {
                into.insert(name.clone(), thing.clone());
            }
        }
    }
    Ok(())
}
