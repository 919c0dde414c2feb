//! Every event that a service has recorded against the inbox of every consumer that takes its type.
//!
//! Trap: a consumer that was added to a running installation was never given what happened before. What it has missed and
//! the stream does not hold any more counts only from the first event on that it did take.

use chrono::{DateTime, NaiveDate, Utc};
use nats::{
    contracts::{
        operations::{AuditEvents, AuditInbox, AuditedEvent, AuditedInbox},
        stream_of,
    },
    manifest::ConsumerEntry,
    topology::{RETENTION, Topology},
    types::EventId,
};

use super::{
    LOOKS, PAUSE,
    ask::Asker,
    report::{Finding, Violations},
};

/// How many events a page has.
const PAGE: i64 = 1000;
/// How many missing events of one consumer are looked at again.
const SUSPECTS: usize = 1000;

/// Compares all events that were recorded before `cutoff`: two findings for each consumer.
pub(crate) async fn compare(asker: &Asker, topology: &Topology, cutoff: DateTime<Utc>) -> Vec<Finding> {
    let logs = topology.services().map(|service| {
        let taking = topology.consumers.iter().filter(|consumer| consumer.stream == stream_of(service));
        log(asker, topology, service, taking.collect(), cutoff)
    });
    futures_util::future::join_all(logs).await.into_iter().flatten().collect()
}

/// Whose consumer this is: its name begins with the service's.
fn service_of<'a>(topology: &'a Topology, durable: &str) -> &'a str {
    let owns = |service: &&str| durable.strip_prefix(*service).is_some_and(|rest| rest.starts_with('-'));
    topology.services().find(owns).unwrap_or_default()
}

/// The log of one service against everyone who takes from it.
async fn log(
    asker: &Asker,
    topology: &Topology,
    service: &str,
    consumers: Vec<&ConsumerEntry>,
    cutoff: DateTime<Utc>,
) -> Vec<Finding> {
    let horizon = (cutoff - RETENTION).date_naive();
    let mut taking: Vec<Taking> = consumers.into_iter().map(Taking::new).collect();
    let mut after = 0;
    while !taking.is_empty() {
        let page = match asker.ask(service, &AuditEvents { after, before: cutoff, limit: PAGE }).await {
            Ok(page) => page.events,
            Err(reason) => {
                let invariant = format!("the events of {service} are taken");
                return vec![Finding::of("events", &invariant, "could not be read", Violations::unknown(reason))];
            }
        };
        let Some(last) = page.last() else { break };
        if last.log_id <= after {
            let violations = Violations::from_iter([format!("a page after {after} ends with {}", last.log_id)]);
            return vec![Finding::of(
                "events",
                &format!("the events of {service} can be read"),
                "out of order",
                violations,
            )];
        }
        after = last.log_id;
        for one in &mut taking {
            one.look(asker, topology, &page, horizon).await;
        }
    }
    for one in &mut taking {
        one.look_again(asker, topology).await;
    }
    taking.into_iter().flat_map(Taking::findings).collect()
}

/// One consumer, and what it has of the events it should have.
struct Taking<'a> {
    consumer: &'a ConsumerEntry,
    events: u64,
    /// Whether it has taken any event yet.
    began: bool,
    /// Events from before it was there.
    before_its_time: u64,
    /// Events that seem to be missing, to be looked at again.
    suspects: Vec<AuditedEvent>,
    /// As many more are missing.
    more: usize,
    dead: Violations,
    /// Why it could not be asked.
    unanswered: Option<String>,
}

impl<'a> Taking<'a> {
    fn new(consumer: &'a ConsumerEntry) -> Self {
        Self {
            consumer,
            events: 0,
            began: false,
            before_its_time: 0,
            suspects: Vec::new(),
            more: 0,
            dead: Violations::default(),
            unanswered: None,
        }
    }

    async fn look(&mut self, asker: &Asker, topology: &Topology, page: &[AuditedEvent], horizon: NaiveDate) {
        let events: Vec<AuditedEvent> =
            page.iter().filter(|event| event.event_type == self.consumer.event_type).cloned().collect();
        if events.is_empty() || self.unanswered.is_some() {
            return;
        }
        match self.ask(asker, topology, events.clone()).await {
            Ok(answer) => self.note(&events, &answer, horizon),
            Err(reason) => self.unanswered = Some(reason),
        }
    }

    /// What the answer says of these events, oldest first.
    fn note(&mut self, events: &[AuditedEvent], answer: &AuditedInbox, horizon: NaiveDate) {
        let missing: std::collections::BTreeSet<EventId> = answer.missing.iter().copied().collect();
        for event in events {
            self.events += 1;
            if !missing.contains(&event.event_id) {
                self.began = true;
            } else if !self.began && event.day < horizon {
                self.before_its_time += 1;
            } else if self.suspects.len() < SUSPECTS {
                self.suspects.push(event.clone());
            } else {
                self.more += 1;
            }
        }
        for event in &answer.dead {
            self.dead.add(format!("{event} is a dead letter of {}; see `argosy dead list`", self.consumer.durable));
        }
    }

    /// What is missing may be on its way.
    async fn look_again(&mut self, asker: &Asker, topology: &Topology) {
        for _ in 0..LOOKS {
            if self.suspects.is_empty() || self.unanswered.is_some() {
                return;
            }
            tokio::time::sleep(PAUSE).await;
            match self.ask(asker, topology, self.suspects.clone()).await {
                Ok(answer) => {
                    self.suspects.retain(|event| answer.missing.contains(&event.event_id));
                    for event in &answer.dead {
                        self.dead.add(format!("{event} died a moment ago in {}", self.consumer.durable));
                    }
                }
                Err(reason) => self.unanswered = Some(reason),
            }
        }
    }

    async fn ask(&self, asker: &Asker, topology: &Topology, events: Vec<AuditedEvent>) -> Result<AuditedInbox, String> {
        let consumer = self.consumer.durable.clone();
        asker.ask(service_of(topology, &self.consumer.durable), &AuditInbox { consumer, events }).await
    }

    fn findings(self) -> [Finding; 2] {
        let ConsumerEntry { durable, event_type, .. } = self.consumer;
        let mut missing: Violations =
            self.suspects.iter().map(|event| format!("{} of {} is missing", event.event_id, event.day)).collect();
        missing.add_unshown(self.more);
        let count = missing.count();
        if let Some(reason) = self.unanswered {
            missing.add_unknown(reason);
        }
        let early = match self.before_its_time {
            0 => String::new(),
            early => format!(", {early} from before it was there"),
        };
        let figures = format!("{} events, {count} missing{early}", self.events);
        let taken = Finding::of("events", &format!("{durable} has taken every {event_type}"), figures, missing);
        let figures = format!("{} dead letters", self.dead.count());
        let dead = Finding::of("events", &format!("{durable} has given up no {event_type}"), figures, self.dead);
        [taken, dead]
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    fn entry() -> ConsumerEntry {
        ConsumerEntry {
            durable: "notify-welcome".to_owned(),
            stream: "USER".to_owned(),
            event_type: "user.registered.v1".to_owned(),
            filter: "evt.user.registered.*".to_owned(),
        }
    }

    fn event(log_id: i64, day: &str) -> AuditedEvent {
        let event_type = "user.registered.v1".to_owned();
        AuditedEvent { log_id, event_id: EventId::new(), event_type, day: day.parse().unwrap() }
    }

    /// The findings when these of the events are missing, and these dead.
    fn findings(days: &[&str], missing: &[usize], dead: &[usize]) -> [Finding; 2] {
        let entry = entry();
        let events: Vec<AuditedEvent> = (1..).zip(days).map(|(id, day)| event(id, day)).collect();
        let of = |which: &[usize]| which.iter().map(|index| events[*index].event_id).collect();
        let answer = AuditedInbox { missing: of(missing), dead: of(dead) };
        let mut taking = Taking::new(&entry);
        taking.note(&events, &answer, "2026-11-18".parse().unwrap());
        taking.findings()
    }

    #[test]
    fn an_event_that_was_not_taken_is_missing() {
        let days = ["2026-11-20", "2026-11-20", "2026-11-21"];
        let [taken, dead] = findings(&days, &[], &[]);
        assert!(taken.check.holds && dead.check.holds);
        assert_eq!(taken.check.figures, "3 events, 0 missing");
        let [taken, dead] = findings(&days, &[0, 2], &[]);
        assert!(!taken.check.holds && dead.check.holds);
        assert_eq!((taken.check.figures.as_str(), taken.check.violations.len()), ("3 events, 2 missing", 2));
    }

    #[test]
    fn a_dead_letter_is_not_missing_and_has_a_line_of_its_own() {
        let [taken, dead] = findings(&["2026-11-20", "2026-11-20"], &[], &[1]);
        assert!(taken.check.holds && !dead.check.holds);
        assert_eq!((dead.check.figures.as_str(), dead.check.violations.len()), ("1 dead letters", 1));
    }

    #[test]
    fn what_happened_before_a_consumer_was_there_is_not_missing() {
        let days = ["2026-11-01", "2026-11-02", "2026-11-03", "2026-11-20"];
        let [taken, _] = findings(&days, &[0, 1], &[]);
        assert!(taken.check.holds, "{taken:?}");
        assert_eq!(taken.check.figures, "4 events, 0 missing, 2 from before it was there");
        let [taken, _] = findings(&days, &[0, 2], &[]);
        assert_eq!(taken.check.figures, "4 events, 1 missing, 1 from before it was there", "it was there on the 2nd");
        let [taken, _] = findings(&days, &[0, 1, 2, 3], &[]);
        assert_eq!(
            taken.check.figures, "4 events, 1 missing, 3 from before it was there",
            "the stream still has the last"
        );
    }

    #[test]
    fn what_cannot_be_asked_does_not_hold() {
        let entry = entry();
        let mut taking = Taking::new(&entry);
        taking.unanswered = Some("notify does not answer audit_inbox; is it running?".to_owned());
        let [taken, _] = taking.findings();
        assert!(!taken.check.holds);
    }

    #[test]
    fn any_number_may_be_missing() {
        let days = vec!["2026-11-20"; SUSPECTS + 5];
        let all: Vec<usize> = (0..days.len()).collect();
        let [taken, _] = findings(&days, &all, &[]);
        assert_eq!(taken.check.figures, "1005 events, 1005 missing");
        assert_eq!((taken.check.violations.len(), taken.more), (20, 985));
    }
}
