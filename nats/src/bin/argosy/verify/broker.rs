//! What JetStream has to hold: the streams, consumers and buckets of the topology, and how far each consumer is.

use std::collections::BTreeSet;

use async_nats::jetstream::{
    self,
    consumer::{Consumer, pull},
    context::{GetStreamError, GetStreamErrorKind},
    stream::ConsumerErrorKind,
};
use futures_util::{StreamExt, stream};
use nats::{
    manifest::ConsumerEntry,
    topology::{Stream, Topology},
};

use super::report::{Finding, Violations};

/// How many questions are under way at once.
const TOGETHER: usize = 8;

/// One finding for all streams, one for all buckets, one for each consumer.
pub(crate) async fn look(jetstream: &jetstream::Context, topology: &Topology) -> Vec<Finding> {
    let mut findings = vec![streams(jetstream, topology).await, buckets(jetstream, topology).await];
    let consumers = stream::iter(&topology.consumers).map(|entry| consumer(jetstream, entry)).buffered(TOGETHER);
    findings.extend(consumers.collect::<Vec<_>>().await);
    findings
}

/// Why something of the broker's is not as it should be.
enum Wrong {
    Violated(String),
    /// The broker does not say.
    Unknown(String),
}

impl Wrong {
    fn of_stream(name: &str, error: &GetStreamError) -> Self {
        match error.kind() {
            GetStreamErrorKind::JetStream(_) => Self::Violated(format!("{name}: {error}; run `argosy provision`")),
            _ => Self::Unknown(format!("{name}: {error}")),
        }
    }

    fn add_to(self, violations: &mut Violations) {
        match self {
            Self::Violated(what) => violations.add(what),
            Self::Unknown(why) => violations.add_unknown(why),
        }
    }
}

async fn streams(jetstream: &jetstream::Context, topology: &Topology) -> Finding {
    let looks = stream::iter(&topology.streams).map(|stream| one_stream(jetstream, stream)).buffered(TOGETHER);
    let (mut messages, mut violations) = (0, Violations::default());
    for look in looks.collect::<Vec<_>>().await {
        match look {
            Ok(count) => messages += count,
            Err(wrong) => wrong.add_to(&mut violations),
        }
    }
    let figures = format!("{} streams, {messages} messages", topology.streams.len());
    Finding::of("broker", "every stream is there and takes its subjects", figures, violations)
}

/// How many messages it has.
async fn one_stream(jetstream: &jetstream::Context, stream: &Stream) -> Result<u64, Wrong> {
    let Stream { name, subjects, .. } = stream;
    let found = jetstream.get_stream(name).await.map_err(|error| Wrong::of_stream(name, &error))?;
    let info = found.cached_info();
    let (wanted, taken): (BTreeSet<_>, BTreeSet<_>) =
        (subjects.iter().collect(), info.config.subjects.iter().collect());
    if let Some(subject) = wanted.difference(&taken).next() {
        return Err(Wrong::Violated(format!("{name} does not take {subject}; run `argosy provision`")));
    }
    Ok(info.state.messages)
}

async fn buckets(jetstream: &jetstream::Context, topology: &Topology) -> Finding {
    let objects = topology.buckets.iter().map(|bucket| format!("OBJ_{}", bucket.name));
    let names: Vec<String> = objects.chain(topology.states.iter().map(|state| format!("KV_{}", state.name))).collect();
    let mut violations = Violations::default();
    for name in &names {
        if let Err(error) = jetstream.get_stream(name).await {
            Wrong::of_stream(name, &error).add_to(&mut violations);
        }
    }
    Finding::of("broker", "every bucket is there", format!("{} buckets", names.len()), violations)
}

async fn consumer(jetstream: &jetstream::Context, entry: &ConsumerEntry) -> Finding {
    let ConsumerEntry { durable, stream, filter, .. } = entry;
    let invariant = format!("the consumer {durable} is there");
    let found: Result<Consumer<pull::Config>, _> = jetstream.get_consumer_from_stream(durable, stream).await;
    match found {
        Ok(found) => {
            let info = found.cached_info();
            let figures = format!(
                "{} pending, {} being worked on, {} delivered again",
                info.num_pending, info.num_ack_pending, info.num_redelivered
            );
            let mut violations = Violations::default();
            if info.config.filter_subject != *filter {
                violations
                    .add(format!("it takes `{}`, not `{filter}`; run `argosy provision`", info.config.filter_subject));
            }
            Finding::of("broker", &invariant, figures, violations)
        }
        Err(error) if matches!(error.kind(), ConsumerErrorKind::JetStream(_)) => {
            let violations = Violations::from_iter([format!("{error}; run `argosy provision`")]);
            Finding::of("broker", &invariant, format!("not found in {stream}"), violations)
        }
        Err(error) => Finding::of("broker", &invariant, "not found out", Violations::unknown(error.to_string())),
    }
}
