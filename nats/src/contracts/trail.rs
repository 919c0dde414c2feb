//! The audit trail: who did what to what, when and from where. The gateway tells it, svc-user keeps it.
//!
//! A deed has two halves. That it began is stored somewhere before it is done; how it ended follows. One without an end was
//! cut off: it may have been done.

use chrono::{DateTime, Utc};
use poem_openapi::Object;
use serde::{Deserialize, Serialize};

use super::{Event, Never, call};
use crate::types::{ApiKeyId, SessionId, TrailEntryId, UserId};

/// Some of the trail, of one gateway.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Object)]
pub struct TrailRecorded {
    /// Names the instance that tells it, without dots.
    pub gateway: String,
    /// What is to be kept.
    pub entries: TrailEntries,
}

impl Event for TrailRecorded {
    const SERVICE: &'static str = "gateway";
    const ENTITY: &'static str = "trail";
    const VERB: &'static str = "recorded";
    const VERSION: u8 = 1;
    const DIRECT: bool = true;

    fn entity_id(&self) -> String {
        self.gateway.clone()
    }
}

/// Has entries kept at once, where JetStream does not take them. Kept twice they are kept once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Object)]
pub struct RecordTrail {
    /// What is to be kept.
    pub entries: TrailEntries,
}

/// The entries are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct TrailKept {}

call!(RecordTrail = "user".record_trail -> TrailKept, or Never, idempotent: true);

/// Beginnings and ends of deeds, in any order, not necessarily of the same ones.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, Object)]
pub struct TrailEntries {
    /// What began.
    pub began: Vec<TrailBegan>,
    /// What ended.
    pub ended: Vec<TrailEnded>,
}

/// Somebody is about to do something. Ids and names alone: no body, no token, no e-mail address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct TrailBegan {
    /// The entry; its end has the same.
    pub id: TrailEntryId,
    /// When.
    pub at: DateTime<Utc>,
    /// What: the id of an operation of `openapi.json`.
    pub operation: String,
    /// Who; nobody when it is not known.
    pub user_id: Option<UserId>,
    /// In which session.
    pub session_id: Option<SessionId>,
    /// With which API key.
    pub api_key_id: Option<ApiKeyId>,
    /// With which roles.
    pub roles: Vec<String>,
    /// To what: the parameters of the path.
    pub targets: Vec<TrailTarget>,
    /// From where: an IPv4 address, or a /64 of IPv6.
    pub address: Option<String>,
    /// With what, as that said of itself (`User-Agent`).
    pub user_agent: Option<String>,
    /// Finds the request in the logs.
    pub request_id: String,
    /// Finds the request in the traces.
    pub trace_id: String,
}

/// Something that was named in a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct TrailTarget {
    /// The parameter, such as `id`.
    pub name: String,
    /// What it said, such as an order's id.
    pub value: String,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Object)]
pub struct TrailEnded {
    /// The entry.
    pub id: TrailEntryId,
    /// When the answer was there.
    pub at: DateTime<Utc>,
    /// The answer's HTTP status.
    pub status: u16,
    /// What was created.
    pub created: Option<String>,
    /// Whose account it was done to, where the path does not say: who signed in, or somebody else tried to as.
    pub concerns: Option<UserId>,
}
