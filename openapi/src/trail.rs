//! The audit trail: who did what to what, when and from where, told from one place.
//!
//! Every way in leads through here, so no handler has to remember it. What an operation changes is written ahead: that it
//! begins is stored before the request goes on to its service, how it ended follows without anybody waiting for it. Whatever
//! is killed in between leaves an entry without an end, and never a deed without an entry. svc-user keeps the entries.
//!
//! | what | is recorded |
//! |---|---|
//! | an operation that is not GET | yes, unless the document says `x-argosy-audit: none` |
//! | GET | only where the document says `x-argosy-audit: always`: what shows people to those who run the shop |
//! | what the rate limits refuse | no: a flood of requests is not to become a flood of entries |
//! | what is refused here otherwise | yes, but nobody waits for that to be stored: nothing is done |
//!
//! Trap: an entry has ids and names, never a body, a header's secret or what somebody typed into a path that is not of an
//! id's form. Keep it so.

mod entry;
mod queue;
mod store;

use std::net::IpAddr;

use chrono::Utc;
use nats::{
    contracts::trail::{TrailBegan, TrailEnded},
    http::CONCERNS,
    problem::{Code, Problem},
    types::UserId,
};
use poem::{Request, Response};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{credential::Credential, route::Operation};
use queue::Queue;
pub(crate) use store::{Store, publishes};

/// Where deeds are told.
pub(crate) struct Trail {
    queue: Queue,
}

impl Trail {
    /// Stored in `store` by a task of its own, which ends some time after `stop`, once nobody tells anything any more.
    pub(crate) fn start(store: Store, tasks: &TaskTracker, stop: &CancellationToken) -> Self {
        let (queue, writer) = queue::queue(store);
        tasks.spawn(writer.run(stop.clone()));
        Self { queue }
    }

    /// What this request is about to do; `None` when that is not recorded.
    pub(crate) fn deed(
        &self,
        request: &Request,
        operation: &Operation,
        credential: Option<&Credential>,
        address: Option<IpAddr>,
    ) -> Option<Deed<'_>> {
        operation.audited.then(|| Deed {
            queue: &self.queue,
            entry: entry::began(request, operation, credential, address),
            began: false,
            created: None,
            concerns: None,
        })
    }
}

/// Something that is about to be done. Dropped without an end, it stays without one.
pub(crate) struct Deed<'a> {
    queue: &'a Queue,
    entry: TrailBegan,
    began: bool,
    created: Option<String>,
    concerns: Option<UserId>,
}

impl Deed<'_> {
    /// Goes on once it is stored that it begins.
    ///
    /// # Errors
    /// `unavailable` when that cannot be stored. Nothing is to be done then.
    pub(crate) async fn begin(&mut self) -> Result<(), Problem> {
        self.began = true;
        self.queue.store(self.entry.clone()).await.map_err(|error| {
            let detail =
                "Nothing was done: what is done here is written down first, and that is not possible at the moment.";
            Problem::new(Code::Unavailable, detail).because(error)
        })
    }

    /// Notes what a service's answer says for the trail.
    pub(crate) fn answered(&mut self, headers: &[(String, String)]) {
        for (name, value) in headers {
            match name.to_ascii_lowercase().as_str() {
                "location" => self.created = entry::created(value),
                CONCERNS => self.concerns = value.parse().ok(),
                _ => {}
            }
        }
    }

    /// It has ended with this answer.
    pub(crate) fn end(self, answer: &Result<Response, Problem>) {
        let status = match answer {
            Ok(response) => response.status().as_u16(),
            Err(problem) => problem.code().status().as_u16(),
        };
        let created = self.created.filter(|_| status < 300);
        let ended = TrailEnded { id: self.entry.id, at: Utc::now(), status, created, concerns: self.concerns };
        self.queue.note((!self.began).then_some(self.entry), ended);
    }
}
