//! What JetStream has to hold: the streams, consumers and buckets of the topology, and how far each consumer is.

use std::collections::BTreeSet;

use async_nats::jetstream::{
    self,
    consumer::{Consumer, pull},
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

async fn streams(jetstream: &jetstream::Context, topology: &Topology) -> Finding {
    let looks = stream::iter(&topology.streams).map(|stream| one_stream(jetstream, stream)).buffered(TOGETHER);
    let looks: Vec<Result<u64, String>> = looks.collect().await;
    let messages: u64 = looks.iter().flatten().sum();
    let figures = format!("{} streams, {messages} messages", topology.streams.len());
    let violations = looks.into_iter().filter_map(Result::err).collect();
    Finding::of("broker", "every stream is there and takes its subjects", figures, violations)
}

/// How many messages it has.
async fn one_stream(jetstream: &jetstream::Context, stream: &Stream) -> Result<u64, String> {
    let Stream { name, subjects, .. } = stream;
    let found = jetstream.get_stream(name).await.map_err(|error| format!("{name}: {error}; run `argosy provision`"))?;
    let info = found.cached_info();
    let (wanted, taken): (BTreeSet<_>, BTreeSet<_>) =
        (subjects.iter().collect(), info.config.subjects.iter().collect());
    if let Some(subject) = wanted.difference(&taken).next() {
        return Err(format!("{name} does not take {subject}; run `argosy provision`"));
    }
    Ok(info.state.messages)
}

async fn buckets(jetstream: &jetstream::Context, topology: &Topology) -> Finding {
    let mut violations = Violations::default();
    for bucket in &topology.buckets {
        if let Err(error) = jetstream.get_stream(format!("OBJ_{}", bucket.name)).await {
            violations.add(format!("{}: {error}; run `argosy provision`", bucket.name));
        }
    }
    Finding::of("broker", "every bucket is there", format!("{} buckets", topology.buckets.len()), violations)
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
        Err(error) => {
            let violations = Violations::from_iter([format!("{error}; run `argosy provision`")]);
            Finding::of("broker", &invariant, format!("not found in {stream}"), violations)
        }
    }
}
