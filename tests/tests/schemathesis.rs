//! Schemathesis: requests of every kind, made of `openapi.json`, valid and not; each answer has to be one that the document
//! announces, and none an error of ours.
//!
//! It comes as a customer, as an administrator, and once more as somebody whose sign-in may be lost: the document is that of
//! the running gateway. What it sends is the same in each run.

use std::time::Duration;

use serde_json::json;
use stack::{postgres::Data, scratch::Scratch, tools};
use tokio::process::Command;

use crate::shop::{Person, Shop};

/// What an answer is compared with.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_headers_conformance,response_schema_conformance";
/// Many times what a visit takes on an idle machine.
const DEADLINE: Duration = Duration::from_secs(600);
/// How much of its report a failure shows.
const TAIL: usize = 20_000;

/// Those after which whoever did them is signed out, or may do less: they are visited last, by somebody who is not needed
/// any more.
const LEAVING: [&str; 4] = [
    "logout",          // ends the session
    "end_session",     // ends any, also one's own
    "change_password", // needs the password; would end sessions
    "set_user_roles",  // could take the administrator's role
];
/// Those that are not visited.
const NOT_VISITED: [&str; 2] = [
    "stream_notifications",     // its answer does not end; see realtime.rs
    "open_notification_socket", // no HTTP any more once it is open; see realtime.rs
];

/// Which operations a visit is about.
enum Of {
    AllBut(Vec<&'static str>),
    Only(Vec<&'static str>),
}

/// One visit: as whom, what, in which ways.
async fn visit(who: &Person, of: Of, phases: &str, examples: u32) -> Result<(), String> {
    let scratch = Scratch::new("schemathesis").unwrap();
    let mut command = Command::new(tools::in_venv("schemathesis").unwrap_or_else(|error| panic!("{error}")));
    command.args(["run", &format!("{}/openapi.json", who.url), "--checks", CHECKS, "--phases", phases]);
    command.args(["--header", &format!("Authorization: Bearer {}", who.token.as_deref().unwrap_or_default())]);
    command.args([
        "--generation-deterministic",
        "--max-examples",
        &examples.to_string(),
        "--continue-on-failure",
        "--no-shrink",
        "--no-color",
    ]);
    // A busy machine is no fault of the API's, and where a redirection leads is not ours.
    command.args(["--suppress-health-check", "all", "--max-redirects", "0", "--warnings", "off"]);
    let (option, operations) = match of {
        Of::AllBut(operations) => ("--exclude-operation-id", operations),
        Of::Only(operations) => ("--include-operation-id", operations),
    };
    for operation in operations {
        command.args([option, operation]);
    }
    let output = command.current_dir(scratch.path()).kill_on_drop(true).output();
    let output = tokio::time::timeout(DEADLINE, output).await.expect("Schemathesis to end").unwrap();
    if output.status.success() {
        return Ok(());
    }
    let report = String::from_utf8_lossy(&output.stdout);
    let tail = report.char_indices().rev().nth(TAIL).map_or(0, |(at, _)| at);
    Err(format!("as {}:\n{}\n{}", who.email, &report[tail..], String::from_utf8_lossy(&output.stderr)))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_one_that_the_document_announces() {
    // A system of its own: it leaves much behind.
    let shop = Shop::open(Data::Scratch).await;
    let (customer, admin) = (shop.shopper().await, shop.demo("ADMIN").await);
    let sku = shop.nobody().get("/v1/products").await.text("/data/0/variants/0/sku");
    let order = customer.order("first", &sku, 1, "sandbox_ok").await;
    assert_eq!(order.status, 201, "{order}");
    let not = || LEAVING.into_iter().chain(NOT_VISITED).collect();

    let mut faults = Vec::new();
    faults.extend(visit(&admin, Of::AllBut(not()), "examples,coverage,fuzzing,stateful", 8).await.err());
    faults.extend(visit(&customer, Of::AllBut(not()), "examples,fuzzing", 8).await.err());
    faults.extend(visit(&admin, Of::Only(LEAVING.into()), "examples,coverage,fuzzing", 8).await.err());

    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
    assert!(shop.system.ended().is_none(), "{:?}", shop.system.ended());
    let after = json!(shop.nobody().get("/readyz").await.at("/ready"));
    assert_eq!(after, true, "the gateway is as it was");
}
