//! The AsyncAPI 3.0 document: every event and every call, with its schema.

use nats::manifest::{FollowEntry, Manifest, Schema};
use serde_json::{Map, Value, json};

use super::openapi::collect;
use crate::Result;

/// The document of these lists.
pub(super) fn document(manifests: &[Manifest]) -> Result<Value> {
    let (mut channels, mut operations) = (Map::new(), Map::new());
    let (mut messages, mut schemas) = (Map::new(), Map::new());
    for manifest in manifests {
        let service = &manifest.service;
        for event in &manifest.publishes {
            let name = &event.event_type;
            channels.insert(name.clone(), channel(&event.subject, name, "entity_id"));
            messages.insert(name.clone(), message(&event.schema, &event.event_type));
            take(&mut schemas, &event.schema, service)?;
            operations.insert(format!("{service}.publishes.{name}"), operation("send", name, None));
        }
        for call in &manifest.answers {
            let name = format!("{service}.{}", call.verb);
            let (question, reply) = (format!("{name}.question"), format!("{name}.reply"));
            channels.insert(name.clone(), channel(&call.subject, &question, ""));
            channels.insert(
                reply.clone(),
                json!({ "address": null, "messages": { "reply": reference("messages", &reply) } }),
            );
            messages.insert(question.clone(), message(&call.question, &question));
            messages.insert(reply.clone(), message(&call.reply, &reply));
            take(&mut schemas, &call.question, service)?;
            take(&mut schemas, &call.reply, service)?;
            operations.insert(format!("{service}.answers.{}", call.verb), operation("receive", &name, Some(&reply)));
        }
        for consumer in &manifest.consumes {
            let mut taken = operation("receive", &consumer.event_type, None);
            if let Some(fields) = taken.as_object_mut() {
                fields.insert("x-durable".to_owned(), json!(consumer.durable));
            }
            operations.insert(format!("{service}.consumes.{}", consumer.durable), taken);
        }
        for FollowEntry { event_type, .. } in &manifest.follows {
            operations.insert(format!("{service}.follows.{event_type}"), operation("receive", event_type, None));
        }
    }
    Ok(json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Argosy events and calls",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Events are CloudEvents 1.0 in binary content mode on JetStream; calls are request-reply. At least once, effects exactly once.",
            "license": { "name": "Apache-2.0" },
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": { "messages": messages, "schemas": schemas },
    }))
}

fn reference(kind: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/components/{kind}/{name}") })
}

fn channel(subject: &str, message: &str, parameter: &str) -> Value {
    let mut channel = json!({
        "address": subject.replace('*', &format!("{{{parameter}}}")),
        "messages": { "message": reference("messages", message) },
    });
    if let (Some(fields), false) = (channel.as_object_mut(), parameter.is_empty()) {
        fields.insert("parameters".to_owned(), json!({ parameter: { "description": "The entity's id." } }));
    }
    channel
}

fn operation(action: &str, channel: &str, reply: Option<&str>) -> Value {
    let escaped = |name: &str| json!({ "$ref": format!("#/channels/{name}") });
    match reply {
        None => json!({ "action": action, "channel": escaped(channel) }),
        Some(reply) => json!({ "action": action, "channel": escaped(channel), "reply": { "channel": escaped(reply) } }),
    }
}

fn message(schema: &Schema, name: &str) -> Value {
    json!({ "name": name, "contentType": "application/json", "payload": reference("schemas", &schema.name) })
}

fn take(into: &mut Map<String, Value>, schema: &Schema, service: &str) -> Result<()> {
    collect(into, &json!({ "schemas": schema.schemas }), "/schemas", service)
}
