//! Where entries are stored: in JetStream, from which svc-user takes them; where that does not take them, by svc-user itself,
//! at once. Entries are refused only while both are away: then little else could be done anyway.
//!
//! Trap: what JetStream has acknowledged is not yet on its disk. Entries that svc-user has not taken by then go with a store
//! that is lost.

use std::time::Duration;

use nats::{
    connect::Requests,
    contracts::trail::{RecordTrail, TrailEntries, TrailRecorded},
    direct::{Direct, DirectError},
    invoke::Caller,
    manifest::EventEntry,
    resilience::{Guard, Policy, Verdict},
    types::EventId,
};

/// How JetStream is waited for. After three failures in a row it is left alone for a second at a time: svc-user is there.
const POLICY: Policy = Policy {
    name: "trail",
    deadline: Duration::from_secs(1),
    tries: 1,
    pause: Duration::ZERO,
    failures: 3,
    open_for: Duration::from_secs(1),
    at_once: 16,
};
/// How long svc-user is waited for.
const ASKED_FOR: Duration = Duration::from_secs(3);

/// What the gateway publishes, for its list.
pub(crate) fn publishes() -> EventEntry {
    EventEntry::of::<TrailRecorded>()
}

/// See the head of this file.
pub(crate) struct Store {
    direct: Direct,
    calls: Caller,
    guard: Guard,
    /// Names this instance.
    gateway: String,
}

impl Store {
    /// Over these connections.
    pub(crate) fn new(requests: Requests, calls: Caller) -> Self {
        let gateway = EventId::new().uuid().simple().to_string();
        Self { direct: Direct::new(requests), calls, guard: Guard::new(POLICY, "jetstream"), gateway }
    }

    /// Stores these entries.
    ///
    /// # Errors
    /// Why neither place has them, as a sentence. One of them may have them all the same.
    pub(super) async fn keep(&self, entries: TrailEntries) -> Result<(), String> {
        let (id, event) = (EventId::new(), TrailRecorded { gateway: self.gateway.clone(), entries });
        let judge = |outcome: &Result<(), DirectError>| match outcome {
            Ok(()) => Verdict::Fine,
            Err(_) => Verdict::Failed { again: false },
        };
        let publish = |time| self.direct.publish(id, &event, time);
        let refusal = match self.guard.run(POLICY.deadline, judge, publish).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error.to_string(),
            Err(_shut) => "JetStream has failed of late".to_owned(),
        };
        let question = RecordTrail { entries: event.entries };
        match tokio::time::timeout(ASKED_FOR, self.calls.call(&question)).await {
            Ok(Ok(_kept)) => {
                tracing::debug!(refusal, "svc-user has kept what JetStream did not take");
                Ok(())
            }
            Ok(Err(error)) => Err(format!("{refusal}, and svc-user cannot keep it: {error}")),
            Err(_elapsed) => Err(format!("{refusal}, and svc-user does not keep it within {ASKED_FOR:?}")),
        }
    }
}
