//! The generated documents are those of the services as they are built.

use serde_json::{Value, json};
use stack::generate;

#[test]
fn no_generated_document_is_stale() {
    let manifests = generate::manifests().unwrap_or_else(|error| panic!("{error}"));
    let documents = generate::documents(&manifests).unwrap_or_else(|error| panic!("{error}"));

    let stale: Vec<_> = generate::stale(&documents).into_iter().map(|document| document.path).collect();

    assert!(stale.is_empty(), "stale: {stale:?}; run `make generate` and commit");
}

/// What each operation of the document says.
fn operations() -> Vec<(String, Value)> {
    let document: Value = serde_json::from_str(include_str!("../../openapi/openapi.json")).unwrap();
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        operations
            .extend(item.as_object().unwrap().iter().map(|(method, one)| (format!("{method} {path}"), one.clone())));
    }
    assert!(operations.len() > 60, "the document has {} operations", operations.len());
    operations
}

#[test]
fn every_operation_is_documented() {
    for (place, operation) in operations() {
        for field in
            ["operationId", "summary", "tags", "security", "x-argosy-service", "x-argosy-limit", "x-argosy-body"]
        {
            assert!(!operation[field].is_null(), "{place} has no {field}");
        }
        for body in [&operation["requestBody"], &operation["responses"]["200"], &operation["responses"]["201"]] {
            let json = &body["content"]["application/json"];
            assert!(json.is_null() || !json["example"].is_null(), "{place} has a body without an example");
        }
    }
}

#[test]
fn every_operation_says_what_can_go_wrong() {
    for (place, operation) in operations() {
        let answers = operation["responses"].as_object().unwrap();
        let expected = |status: &str, why: &str| {
            assert!(answers.contains_key(status), "{place} {why}, and does not say that it may answer {status}");
        };
        for status in ["400", "414", "429", "431", "500", "503", "504"] {
            expected(status, "is an operation");
        }
        if operation["security"] != json!([]) {
            ["401", "403"].into_iter().for_each(|status| expected(status, "takes a token"));
        }
        if operation.get("requestBody").is_some() {
            ["413", "415", "422"].into_iter().for_each(|status| expected(status, "takes a body"));
        }
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            match (parameter["in"].as_str(), parameter["name"].as_str()) {
                (Some("path"), _) => expected("404", "is about something"),
                (_, Some("Idempotency-Key")) => expected("409", "takes a key"),
                (_, Some("If-Match")) => expected("412", "takes a version"),
                _ => {}
            }
        }
        let well = answers.keys().any(|status| status.as_str() < "400");
        assert!(well, "{place} does not say what it answers when all is well");
        assert!(!answers.contains_key("default"), "{place} leaves open what it answers");
    }
}
