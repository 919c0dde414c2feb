//! Who did what: kept once, changed never, and read by whom it concerns.

mod keep;
mod read;

use chrono::{DateTime, Utc};
use nats::{
    contracts::trail::{TrailBegan, TrailEnded, TrailEntries, TrailRecorded, TrailTarget},
    types::{TrailEntryId, UserId},
};
use stack::{
    Bed,
    bed::{Answer, Client},
};

const TRAIL: &str = "/v1/audit-trail";

/// That somebody began to do something.
fn began(operation: &str, user_id: Option<UserId>, target: &str) -> TrailBegan {
    let id = TrailEntryId::new();
    TrailBegan {
        id,
        at: id.timestamp(),
        operation: operation.to_owned(),
        user_id,
        session_id: None,
        api_key_id: None,
        roles: vec!["customer".to_owned()],
        targets: vec![TrailTarget { name: "id".to_owned(), value: target.to_owned() }],
        address: Some("198.51.100.7".to_owned()),
        user_agent: Some("Laptop/1.0".to_owned()),
        request_id: "req_1".to_owned(),
        trace_id: "0af7651916cd43dd8448eb211c80319c".to_owned(),
    }
}

/// That it ended.
fn ended(began: &TrailBegan, status: u16) -> TrailEnded {
    TrailEnded { id: began.id, at: Utc::now(), status, created: None, concerns: None }
}

fn recorded(began: Vec<TrailBegan>, ended: Vec<TrailEnded>) -> TrailRecorded {
    TrailRecorded { gateway: "one".to_owned(), entries: TrailEntries { began, ended } }
}

/// The ids of the entries of an answer, as they come.
fn ids(answer: &Answer) -> Vec<TrailEntryId> {
    assert_eq!(answer.status, 200, "{answer}");
    answer.at("/data").as_array().unwrap().iter().map(|entry| entry["id"].as_str().unwrap().parse().unwrap()).collect()
}

/// The trail, once it has so many entries.
async fn trail(bed: &Bed, admin: &Client, count: usize) -> Answer {
    bed.wait_for("the entries", async || {
        let answer = admin.get(&format!("{TRAIL}?limit=100")).send().await;
        (ids(&answer).len() >= count).then_some(answer)
    })
    .await
}

/// As it stands in a query.
fn moment(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}
