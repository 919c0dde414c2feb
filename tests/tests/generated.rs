//! The generated documents are those of the services as they are built.

use stack::generate;

#[test]
fn no_generated_document_is_stale() {
    let manifests = generate::manifests().unwrap_or_else(|error| panic!("{error}"));
    let documents = generate::documents(&manifests).unwrap_or_else(|error| panic!("{error}"));

    let stale: Vec<_> = generate::stale(&documents).into_iter().map(|document| document.path).collect();

    assert!(stale.is_empty(), "stale: {stale:?}; run `make generate` and commit");
}

#[test]
fn every_operation_is_documented() {
    let document: serde_json::Value = serde_json::from_str(include_str!("../../openapi/openapi.json")).unwrap();
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() > 20, "the document has {} paths", paths.len());
    for (path, item) in paths {
        for (method, operation) in item.as_object().unwrap() {
            for field in ["operationId", "summary", "tags", "x-argosy-service"] {
                assert!(!operation[field].is_null(), "{method} {path} has no {field}");
            }
            let problem = &operation["responses"]["default"]["content"]["application/problem+json"];
            assert!(!problem.is_null(), "{method} {path} does not say that its errors are problem documents");
        }
    }
}
