//! An example of every JSON body, made of the examples of its parts.
//!
//! A schema that has an example of its own gives that; an object is put together of its properties. What no schema says,
//! such as a person's name, stands in `examples.json` by the property's name, and so does a whole body where its properties
//! exclude each other. A property that stands nowhere has its own name as its example.

use std::{collections::BTreeMap, sync::LazyLock};

use serde::Deserialize;
use serde_json::{Map, Value, json};

const JSON: &str = "application/json";
/// Schemas may contain themselves.
const DEEPEST: usize = 12;

/// What is written down.
#[derive(Debug, Default, Deserialize)]
struct Written {
    /// Whole bodies, by the schema's name.
    schemas: BTreeMap<String, Value>,
    /// Values, by the property's name, or `<schema>.<property>`.
    properties: BTreeMap<String, Value>,
}

static WRITTEN: LazyLock<Written> = LazyLock::new(|| {
    // Checked by a test below; an example less is no reason to fail.
    let mut written: Written = serde_json::from_str(include_str!("examples.json")).unwrap_or_default();
    let invoice = serde_json::from_str(include_str!("../../../seed/invoice.json")).unwrap_or_default();
    written.schemas.insert("InvoiceUpload".to_owned(), invoice);
    written
});

/// Which way a body goes: some fields are only sent, others are only answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Request,
    Answer,
}

/// Adds an example to each JSON body of the operation that has none.
pub(super) fn add(operation: &mut Map<String, Value>, schemas: &Map<String, Value>) {
    if let Some(body) = operation.get_mut("requestBody") {
        to_content(body, schemas, Way::Request);
    }
    for response in operation.get_mut("responses").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut)
    {
        to_content(response, schemas, Way::Answer);
    }
}

fn to_content(body: &mut Value, schemas: &Map<String, Value>, way: Way) {
    let media = body.get_mut("content").and_then(|content| content.get_mut(JSON)).and_then(Value::as_object_mut);
    let Some(media) = media.filter(|media| !media.contains_key("example") && !media.contains_key("examples")) else {
        return;
    };
    if let Some(schema) = media.get("schema") {
        let example = Examples { schemas, way }.of(schema, "", "", 0);
        media.insert("example".to_owned(), example);
    }
}

struct Examples<'a> {
    schemas: &'a Map<String, Value>,
    way: Way,
}

impl Examples<'_> {
    /// An example of this schema, which `owner` has as its `property`.
    fn of(&self, schema: &Value, owner: &str, property: &str, depth: usize) -> Value {
        if let Some(value) = WRITTEN.properties.get(&format!("{owner}.{property}")) {
            return value.clone();
        }
        let named = || WRITTEN.properties.get(property).cloned();
        let plain = |name: &str| schema.get(name).and_then(Value::as_str);
        if let Some(name) = plain("$ref").and_then(|target| target.rsplit('/').next()) {
            return self.named(name, depth);
        }
        if let Some(choice) = ["oneOf", "anyOf", "allOf"].into_iter().find_map(|keyword| schema.get(keyword)?.get(0)) {
            return self.of(choice, owner, property, depth);
        }
        if let Some(value) = ["/examples/0", "/const", "/enum/0"].into_iter().find_map(|place| schema.pointer(place)) {
            return value.clone();
        }
        match kind(schema) {
            "object" => self.object(schema, owner, property, depth),
            "array" => named().filter(Value::is_array).unwrap_or_else(|| {
                let item = schema.get("items").map(|items| self.of(items, owner, property, depth + 1));
                Value::Array(item.into_iter().collect())
            }),
            "integer" | "number" => named().unwrap_or_else(|| schema.get("minimum").cloned().unwrap_or(json!(1))),
            "boolean" => named().unwrap_or(json!(true)),
            "null" => Value::Null,
            _ => named().unwrap_or_else(|| text(schema, property)),
        }
    }

    fn named(&self, name: &str, depth: usize) -> Value {
        if let Some(written) = WRITTEN.schemas.get(name) {
            return written.clone();
        }
        match self.schemas.get(name).filter(|_| depth < DEEPEST) {
            Some(schema) => self.of(schema, name, "", depth + 1),
            None => Value::Null,
        }
    }

    fn object(&self, schema: &Value, owner: &str, property: &str, depth: usize) -> Value {
        let named = || WRITTEN.properties.get(property).filter(|value| value.is_object()).cloned();
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
            return named().unwrap_or_else(|| {
                let values = schema.get("additionalProperties").filter(|values| values.is_object());
                let value = values.map(|values| ("key".to_owned(), self.of(values, owner, property, depth + 1)));
                Value::Object(value.into_iter().collect())
            });
        };
        let hidden = match self.way {
            Way::Request => "readOnly",
            Way::Answer => "writeOnly",
        };
        let seen = properties.iter().filter(|(_, schema)| schema.get(hidden) != Some(&json!(true)));
        seen.map(|(name, schema)| (name.clone(), self.of(schema, owner, name, depth + 1))).collect()
    }
}

/// What a schema is of, `null` aside.
fn kind(schema: &Value) -> &str {
    match schema.get("type") {
        Some(Value::String(kind)) => kind,
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null").unwrap_or(""),
        _ => "",
    }
}

fn text(schema: &Value, property: &str) -> Value {
    match schema.get("format").and_then(Value::as_str) {
        Some("date-time") => json!("2026-11-20T09:30:00Z"),
        Some("date") => json!("2026-11-20"),
        _ => {
            let words = property.replace('_', " ");
            let longest = schema.get("maxLength").and_then(Value::as_u64).and_then(|most| usize::try_from(most).ok());
            json!(words.chars().take(longest.unwrap_or(usize::MAX)).collect::<String>())
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_down_can_be_read() {
        let written: Written = serde_json::from_str(include_str!("examples.json")).unwrap();
        assert!(written.schemas.contains_key("PlaceOrder") && written.properties.contains_key("city"));
        assert!(WRITTEN.schemas.get("InvoiceUpload").is_some_and(|invoice| invoice.get("lines").is_some()));
    }

    #[test]
    fn an_example_is_put_together_of_its_parts() {
        let schemas = json!({
            "Line": { "type": "object", "properties": {
                "sku": { "type": "string", "examples": ["LMP-1"] },
                "kind": { "type": "string", "enum": ["a", "b"] },
                "city": { "type": "string" },
                "odd_thing": { "type": ["string", "null"], "maxLength": 7 },
                "quantity": { "type": "integer", "minimum": 1 },
                "at": { "type": "string", "format": "date-time" },
                "secret": { "type": "string", "writeOnly": true },
                "next": { "oneOf": [{ "$ref": "#/components/schemas/Line" }, { "type": "null" }] },
            } },
        });
        let answer = Examples { schemas: schemas.as_object().unwrap(), way: Way::Answer };
        let line = answer.of(&json!({ "type": "array", "items": { "$ref": "#/components/schemas/Line" } }), "", "", 9);
        let expected = json!([{
            "sku": "LMP-1", "kind": "a", "city": "Hamburg", "odd_thing": "odd thi", "quantity": 2,
            "at": "2026-11-20T09:30:00Z", "next": null,
        }]);
        assert_eq!(line, expected);
    }
}
