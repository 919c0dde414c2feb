//! Generated documents: from every process's own list to topology, OpenAPI, AsyncAPI and the communication matrix; and the
//! page of problem codes.
//!
//! Each binary prints its list (`svc-order manifest`); nothing here is written by hand, and a test fails when a checked-in
//! document is stale.

mod asyncapi;
mod matrix;
mod openapi;
mod problems;

use std::{path::PathBuf, process::Command};

use nats::{manifest::Manifest, topology::Topology};

use crate::{Result, StackError, error::Doing, tools};

/// Every process of the system, in the order of the documents.
pub const PROCESSES: [&str; 8] =
    ["gateway", "svc-user", "svc-catalog", "svc-order", "svc-payment", "svc-shipping", "svc-notify", "svc-invoice"];

/// A generated document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Where it is checked in, from the repository's root.
    pub path: &'static str,
    /// What it should hold.
    pub content: String,
}

/// The lists of all processes, as their binaries print them.
///
/// # Errors
/// When a binary is missing, or prints no list.
pub fn manifests() -> Result<Vec<Manifest>> {
    PROCESSES.iter().map(|process| manifest(process)).collect()
}

fn manifest(process: &str) -> Result<Manifest> {
    let program = tools::built(process)?;
    let output = Command::new(&program).arg("manifest").output().doing(|| format!("run {}", program.display()))?;
    if !output.status.success() {
        return Err(StackError::new(format!("{process} prints no list: {}", String::from_utf8_lossy(&output.stderr))));
    }
    serde_json::from_slice(&output.stdout).doing(|| format!("read the list of {process}"))
}

/// Every generated document, as it should be.
///
/// # Errors
/// When the lists contradict each other: two schemas of one name, two operations of one id.
pub fn documents(manifests: &[Manifest]) -> Result<Vec<Document>> {
    let json = |value: &serde_json::Value| -> Result<String> {
        Ok(serde_json::to_string_pretty(value).doing(|| "write JSON".to_owned())? + "\n")
    };
    let topology = serde_json::to_value(Topology::of(manifests)).doing(|| "write the topology".to_owned())?;
    Ok(vec![
        Document { path: "nats/server/topology.json", content: json(&topology)? },
        Document { path: "openapi/openapi.json", content: json(&openapi::merged(manifests)?)? },
        Document { path: "openapi/asyncapi.json", content: json(&asyncapi::document(manifests)?)? },
        Document { path: "docs/COMMUNICATION.md", content: matrix::page(manifests) },
        Document { path: "docs/PROBLEMS.md", content: problems::page() },
    ])
}

/// The documents whose checked-in content is another.
pub fn stale(documents: &[Document]) -> Vec<&Document> {
    documents
        .iter()
        .filter(|document| std::fs::read_to_string(place(document)).ok().as_ref() != Some(&document.content))
        .collect()
}

/// Writes what is stale, and tells which.
///
/// # Errors
/// When a file cannot be written.
pub fn write(documents: &[Document]) -> Result<Vec<&'static str>> {
    let mut written = Vec::new();
    for document in stale(documents) {
        std::fs::write(place(document), &document.content).doing(|| format!("write {}", document.path))?;
        written.push(document.path);
    }
    Ok(written)
}

fn place(document: &Document) -> PathBuf {
    tools::root().join(document.path)
}
