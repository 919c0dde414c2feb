//! What each user may do, from what the manifests say it does. Allow lists; the one exception is [`follow`]'s.

use std::collections::{BTreeMap, BTreeSet};

use super::{DEBUG, OPERATOR, PROVISIONER, Permissions};
use crate::{
    connect::inbox_prefix,
    contracts::{
        Call, is_direct,
        operations::{
            Audit, AuditEvents, AuditInbox, DiscardDeadLetter, GetDeadLetter, ListDeadLetters, RedriveDeadLetters,
            RepublishEvents,
        },
        stream_of,
        user::{GrantRole, RotateSigningKeys},
    },
    manifest::{BucketEntry, FollowEntry, Manifest},
};

/// What every service answers to the operator alone.
const OPERATIONS: [&str; 4] = [Audit::VERB, AuditEvents::VERB, AuditInbox::VERB, RepublishEvents::VERB];
/// What every service answers to the operator, and to the gateway, which asks for administrators.
const DEAD_LETTERS: [&str; 4] =
    [ListDeadLetters::VERB, GetDeadLetter::VERB, RedriveDeadLetters::VERB, DiscardDeadLetter::VERB];

#[derive(Default)]
struct Subjects {
    publish: BTreeSet<String>,
    deny_publish: BTreeSet<String>,
    subscribe: BTreeSet<String>,
}

impl Subjects {
    fn publish(&mut self, subject: impl Into<String>) {
        self.publish.insert(subject.into());
    }

    fn subscribe(&mut self, subject: impl Into<String>) {
        self.subscribe.insert(subject.into());
    }

    fn done(self) -> Permissions {
        Permissions {
            publish: self.publish.into_iter().collect(),
            deny_publish: self.deny_publish.into_iter().collect(),
            subscribe: self.subscribe.into_iter().collect(),
        }
    }
}

/// Every user's permissions.
pub(super) fn of(manifests: &[Manifest]) -> BTreeMap<String, Permissions> {
    let mut users: BTreeMap<String, Permissions> =
        manifests.iter().map(|manifest| (manifest.service.clone(), service(manifest, manifests))).collect();
    users.insert(PROVISIONER.to_owned(), provisioner());
    users.insert(OPERATOR.to_owned(), operator(manifests));
    users.insert(DEBUG.to_owned(), debug(manifests));
    users
}

fn service(manifest: &Manifest, all: &[Manifest]) -> Permissions {
    let (name, mut subjects) = (&manifest.service, Subjects::default());
    subjects.subscribe(format!("{}.>", inbox_prefix(name)));
    subjects.publish(format!("{}.ready.>", inbox_prefix(name)));
    answering(manifest, all, &mut subjects);
    for call in &manifest.calls {
        subjects.publish(format!("svc.{call}"));
    }
    if manifest.forwards {
        for other in all.iter().filter(|other| !other.forwards) {
            if other.openapi.is_some() {
                subjects.publish(format!("http.{}", other.service));
            }
            for verb in DEAD_LETTERS {
                subjects.publish(format!("svc.{}.{verb}", other.service));
            }
        }
    }
    let stream = stream_of(name);
    // The relay looks whether its stream still has what it published; what is published directly has no relay.
    if manifest.publishes.iter().any(|event| event.stream == stream) {
        subjects.publish(format!("$JS.API.STREAM.INFO.{stream}"));
        subjects.publish(format!("$JS.API.STREAM.MSG.GET.{stream}"));
        subjects.publish(format!("$JS.API.DIRECT.GET.{stream}"));
    }
    for event in &manifest.publishes {
        subjects.publish(event.subject.clone());
    }
    for consumer in &manifest.consumes {
        let (stream, durable) = (&consumer.stream, &consumer.durable);
        subjects.publish(format!("$JS.API.CONSUMER.INFO.{stream}.{durable}"));
        subjects.publish(format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable}"));
        subjects.publish(format!("$JS.ACK.{stream}.{durable}.>"));
    }
    for entry in &manifest.follows {
        follow(entry, all, &mut subjects);
    }
    for bucket in &manifest.buckets {
        use_bucket(bucket, &mut subjects);
    }
    for bucket in &manifest.states {
        use_state(bucket, &mut subjects);
    }
    subjects.done()
}

/// Discovery, health and statistics, the service's own subjects in its own queue group, and the inboxes of its callers.
fn answering(manifest: &Manifest, all: &[Manifest], subjects: &mut Subjects) {
    let name = &manifest.service;
    if manifest.forwards {
        return;
    }
    for verb in ["PING", "INFO", "STATS"] {
        subjects.subscribe(format!("$SRV.{verb}"));
        subjects.subscribe(format!("$SRV.{verb}.{name}"));
        subjects.subscribe(format!("$SRV.{verb}.{name}.>"));
    }
    subjects.subscribe(format!("svc.{name}.> {name}"));
    if manifest.openapi.is_some() {
        subjects.subscribe(format!("http.{name} {name}"));
    }
    let calls_us = |other: &&Manifest| {
        other.forwards || other.calls.iter().any(|call| call.split('.').next() == Some(name.as_str()))
    };
    for caller in all.iter().filter(calls_us) {
        subjects.publish(format!("{}.>", inbox_prefix(&caller.service)));
    }
    for caller in [OPERATOR, DEBUG] {
        subjects.publish(format!("{}.>", inbox_prefix(caller)));
    }
}

/// Consumers of these subjects alone, of whatever name: the server sees to it that a consumer has the filter of the subject it
/// is made on. Not of the name of a durable one, which would be given that filter.
fn follow(entry: &FollowEntry, all: &[Manifest], subjects: &mut Subjects) {
    let FollowEntry { stream, filter, .. } = entry;
    subjects.publish(format!("$JS.API.CONSUMER.CREATE.{stream}.*.{filter}"));
    subjects.publish(format!("$JS.FC.{stream}.>"));
    for consumer in all.iter().flat_map(|manifest| &manifest.consumes).filter(|consumer| consumer.stream == *stream) {
        subjects.deny_publish.insert(format!("$JS.API.CONSUMER.CREATE.{stream}.{}.>", consumer.durable));
    }
}

fn use_bucket(bucket: &BucketEntry, subjects: &mut Subjects) {
    let name = &bucket.name;
    read_stream(&format!("OBJ_{name}"), subjects);
    subjects.publish(format!("$JS.API.STREAM.MSG.GET.OBJ_{name}"));
    if bucket.writes {
        subjects.publish(format!("$O.{name}.>"));
        subjects.publish(format!("$JS.API.STREAM.PURGE.OBJ_{name}"));
    }
}

fn use_state(bucket: &BucketEntry, subjects: &mut Subjects) {
    let name = &bucket.name;
    read_stream(&format!("KV_{name}"), subjects);
    if bucket.writes {
        subjects.publish(format!("$KV.{name}.>"));
    }
}

/// Single messages and ordered consumers of a bucket's stream. The client's ordered consumers are unnamed, so whoever may
/// read, may read the whole bucket.
fn read_stream(stream: &str, subjects: &mut Subjects) {
    subjects.publish(format!("$JS.API.STREAM.INFO.{stream}"));
    subjects.publish(format!("$JS.API.DIRECT.GET.{stream}.>"));
    subjects.publish(format!("$JS.API.CONSUMER.CREATE.{stream}"));
    subjects.publish(format!("$JS.API.CONSUMER.CREATE.{stream}.>"));
    subjects.publish(format!("$JS.API.CONSUMER.DELETE.{stream}.>"));
    subjects.publish(format!("$JS.FC.{stream}.>"));
}

fn provisioner() -> Permissions {
    let mut subjects = Subjects::default();
    subjects.publish("$JS.API.>");
    subjects.subscribe(format!("{}.>", inbox_prefix(PROVISIONER)));
    subjects.done()
}

fn operator(manifests: &[Manifest]) -> Permissions {
    let mut subjects = Subjects::default();
    for subject in ["$SRV.>", "$JS.API.>", "$JS.ACK.>"] {
        subjects.publish(subject);
    }
    subjects.publish(GrantRole::subject());
    subjects.publish(RotateSigningKeys::subject());
    for service in manifests.iter().filter(|manifest| !manifest.forwards) {
        for verb in OPERATIONS.into_iter().chain(DEAD_LETTERS) {
            subjects.publish(format!("svc.{}.{verb}", service.service));
        }
        for audit in service.answers.iter().filter(|call| call.verb.starts_with("audit_")) {
            subjects.publish(audit.subject.clone());
        }
    }
    for subject in ["evt.>", "$JS.EVENT.ADVISORY.>"] {
        subjects.subscribe(subject);
    }
    subjects.subscribe(format!("{}.>", inbox_prefix(OPERATOR)));
    subjects.done()
}

/// Looks, and changes nothing.
fn debug(manifests: &[Manifest]) -> Permissions {
    let mut subjects = Subjects::default();
    for verb in ["PING", "INFO", "STATS"] {
        subjects.publish(format!("$SRV.{verb}"));
        subjects.publish(format!("$SRV.{verb}.>"));
    }
    for subject in [
        "$JS.API.INFO",
        "$JS.API.STREAM.NAMES",
        "$JS.API.STREAM.LIST",
        "$JS.API.STREAM.INFO.*",
        "$JS.API.CONSUMER.NAMES.*",
        "$JS.API.CONSUMER.LIST.*",
        "$JS.API.CONSUMER.INFO.*.*",
    ] {
        subjects.publish(subject);
    }
    for subject in ["evt.>", "$JS.EVENT.ADVISORY.>"] {
        subjects.subscribe(subject);
    }
    // Single messages of the event streams, never of the buckets, which hold people's documents, nor of direct events, which
    // may carry personal data.
    let events = manifests.iter().flat_map(|manifest| &manifest.publishes).filter(|event| !is_direct(&event.subject));
    for stream in events.map(|event| event.stream.as_str()).collect::<BTreeSet<_>>() {
        subjects.publish(format!("$JS.API.STREAM.MSG.GET.{stream}"));
        subjects.publish(format!("$JS.API.DIRECT.GET.{stream}"));
        subjects.publish(format!("$JS.API.DIRECT.GET.{stream}.>"));
    }
    subjects.subscribe(format!("{}.>", inbox_prefix(DEBUG)));
    subjects.done()
}
