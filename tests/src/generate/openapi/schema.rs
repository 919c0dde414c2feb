//! Schemas as OpenAPI 3.1 has them, which are those of JSON Schema 2020-12; poem-openapi writes those of 3.0.
//!
//! In 3.0 a reference has no description beside it and cannot be null, so poem-openapi wraps it into an `allOf`; validators
//! and client generators make different things of that. In 3.1 both can be said plainly.

use nats::manifest::Manifest;
use serde_json::{Map, Value, json};

/// What a keyword of a schema holds: one schema, several, or several by name.
const ONE: [&str; 3] = ["items", "additionalProperties", "not"];
const SEVERAL: [&str; 3] = ["allOf", "oneOf", "anyOf"];
const NAMED: &str = "properties";

/// A service's document with its schemas rewritten.
pub(super) fn modern(manifest: &Manifest) -> Option<Value> {
    let mut document = manifest.openapi.clone()?;
    for schema in values(document.pointer_mut("/components/schemas")) {
        rewrite(schema);
    }
    for item in values(document.pointer_mut("/paths")) {
        for operation in values(Some(item)) {
            for parameter in operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
                plain(parameter);
            }
            if let Some(body) = operation.get_mut("requestBody") {
                content(body);
            }
            for response in values(operation.get_mut("responses")) {
                content(response);
                values(response.get_mut("headers")).for_each(plain);
            }
        }
    }
    Some(document)
}

fn values(object: Option<&mut Value>) -> impl Iterator<Item = &mut Value> {
    object.and_then(Value::as_object_mut).into_iter().flat_map(|object| object.values_mut())
}

/// The schemas of a body, by media type.
fn content(body: &mut Value) {
    for media in values(body.get_mut("content")) {
        if let Some(schema) = media.get_mut("schema") {
            rewrite(schema);
        }
    }
}

/// A parameter or a header: its schema, and nothing said that goes without saying.
fn plain(parameter: &mut Value) {
    let Some(fields) = parameter.as_object_mut() else { return };
    fields.retain(|name, value| !(name == "deprecated" && *value == json!(false)));
    // Of no effect on what is no list, and the default for queries.
    fields.remove("explode");
    if let Some(schema) = fields.get_mut("schema") {
        rewrite(schema);
    }
}

fn rewrite(schema: &mut Value) {
    let Some(fields) = schema.as_object_mut() else { return };
    unwrap_reference(fields);
    for keyword in ONE {
        if let Some(inner) = fields.get_mut(keyword) {
            rewrite(inner);
        }
    }
    for keyword in SEVERAL {
        fields.get_mut(keyword).and_then(Value::as_array_mut).into_iter().flatten().for_each(rewrite);
    }
    values(fields.get_mut(NAMED)).for_each(rewrite);
    if let Some(example) = fields.remove("example") {
        fields.insert("examples".to_owned(), json!([example]));
    }
    number(fields);
    // chrono's dates without a zone are RFC 3339's full-date.
    if fields.get("format") == Some(&json!("naive-date")) {
        fields.insert("format".to_owned(), json!("date"));
    }
    nullable(fields);
}

/// `allOf: [{$ref}, {description, …}]` becomes `{$ref, description, …}`.
fn unwrap_reference(fields: &mut Map<String, Value>) {
    let Some([reference, beside]) = fields.get("allOf").and_then(Value::as_array).map(Vec::as_slice) else { return };
    let (Some(target), Some(beside)) = (reference.get("$ref").cloned(), beside.as_object().cloned()) else { return };
    fields.remove("allOf");
    for (name, value) in beside {
        fields.entry(name).or_insert(value);
    }
    fields.insert("$ref".to_owned(), target);
}

/// Limits of whole numbers are whole numbers, what is unsigned is not negative, and exclusive limits are limits.
fn number(fields: &mut Map<String, Value>) {
    let integer = fields.get("type") == Some(&json!("integer"));
    for (limit, exclusive) in [("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")] {
        let whole = fields.get(limit).and_then(Value::as_f64).filter(|_| integer).and_then(whole);
        if let Some(whole) = whole {
            fields.insert(limit.to_owned(), whole);
        }
        if let Some(Value::Bool(excluded)) = fields.get(exclusive).cloned() {
            fields.remove(exclusive);
            if let Some(value) = fields.get(limit).cloned().filter(|_| excluded) {
                fields.remove(limit);
                fields.insert(exclusive.to_owned(), value);
            }
        }
    }
    let unsigned = fields.get("format").and_then(Value::as_str).is_some_and(|format| format.starts_with("uint"));
    if unsigned {
        fields.entry("minimum").or_insert(json!(0));
    }
}

/// `1e3` as `1000`, where nothing is lost by that.
fn whole(limit: f64) -> Option<Value> {
    format!("{limit:.0}").parse::<i64>().ok().filter(|_| limit.fract() == 0.0).map(Value::from)
}

/// `nullable` as a type, or a choice, of its own.
fn nullable(fields: &mut Map<String, Value>) {
    if fields.remove("nullable") != Some(json!(true)) {
        return;
    }
    if let Some(target) = fields.remove("$ref") {
        fields.insert("oneOf".to_owned(), json!([{ "$ref": target }, { "type": "null" }]));
    } else if let Some(kind) = fields.get("type").cloned() {
        fields.insert("type".to_owned(), json!([kind, "null"]));
    }
    if let Some(names) = fields.get_mut("enum").and_then(Value::as_array_mut) {
        names.push(Value::Null);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_three_point_zero_says_in_a_roundabout_way_is_said_plainly() {
        let money = json!("#/components/schemas/Money");
        for (before, after) in [
            (
                json!({ "allOf": [{ "$ref": money }, { "description": "Net." }], "description": "Net." }),
                json!({ "$ref": money, "description": "Net." }),
            ),
            (
                json!({ "allOf": [{ "$ref": money }, { "nullable": true }], "nullable": true, "description": "Net." }),
                json!({ "oneOf": [{ "$ref": money }, { "type": "null" }], "description": "Net." }),
            ),
            (
                json!({ "type": "string", "nullable": true, "enum": ["a"] }),
                json!({ "type": ["string", "null"], "enum": ["a", null] }),
            ),
            (json!({ "type": "string", "example": "a" }), json!({ "type": "string", "examples": ["a"] })),
            (json!({ "type": "string", "format": "naive-date" }), json!({ "type": "string", "format": "date" })),
            (
                json!({ "type": "integer", "format": "uint8", "maximum": 9.0, "exclusiveMaximum": true }),
                json!({ "type": "integer", "format": "uint8", "exclusiveMaximum": 9, "minimum": 0 }),
            ),
            (
                json!({ "type": "object", "properties": { "example": { "type": "string", "nullable": true } } }),
                json!({ "type": "object", "properties": { "example": { "type": ["string", "null"] } } }),
            ),
            (
                json!({ "type": "array", "items": { "type": "integer", "minimum": 1.0 } }),
                json!({ "type": "array", "items": { "type": "integer", "minimum": 1 } }),
            ),
        ] {
            let mut schema = before.clone();
            rewrite(&mut schema);
            assert_eq!(schema, after, "{before}");
        }
    }
}
