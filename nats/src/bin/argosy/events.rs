//! Looking at streams.

use async_nats::{
    HeaderMap,
    jetstream::consumer::{DeliverPolicy, OrderedPullConsumer, pull::OrderedConfig},
};
use chrono::{DateTime, Utc};
use futures_util::StreamExt;
use nats::{
    config::Settings,
    connect::{connect, jetstream},
    contracts::operations::RepublishEvents,
    invoke::Caller,
    topology::{OPERATOR, Topology},
};

use crate::{say, text};

/// Every message of a stream that `filter` matches.
async fn messages(
    settings: &Settings,
    stream: &str,
    filter: &str,
) -> Result<Vec<async_nats::jetstream::Message>, String> {
    let client = connect(settings, OPERATOR).await.map_err(text)?;
    let stream = jetstream(&client).get_stream(stream).await.map_err(text)?;
    let config = OrderedConfig {
        filter_subject: filter.to_owned(),
        deliver_policy: DeliverPolicy::All,
        ..OrderedConfig::default()
    };
    let consumer: OrderedPullConsumer = stream.create_consumer(config).await.map_err(text)?;
    let pending = consumer.cached_info().num_pending;
    let mut found = Vec::new();
    let mut incoming = consumer.messages().await.map_err(text)?.take(usize::try_from(pending).map_err(text)?);
    while let Some(message) = incoming.next().await {
        found.push(message.map_err(text)?);
    }
    Ok(found)
}

/// A header's value, `-` where there is none.
fn header<'a>(headers: Option<&'a HeaderMap>, name: &str) -> &'a str {
    headers.and_then(|headers| headers.get(name)).map_or("-", |value| value.as_str())
}

/// `argosy events`: prints an entity's events, oldest first.
pub(crate) async fn print(settings: &Settings, entity_id: &str) -> Result<(), String> {
    let mut lines = Vec::new();
    for stream in Topology::embedded().map_err(text)?.streams {
        for message in messages(settings, &stream.name, &format!("evt.*.*.{entity_id}")).await? {
            let headers = message.headers.as_ref();
            let (time, kind) = (header(headers, "ce-time"), header(headers, "ce-type"));
            lines.push(format!("{time}  {kind:<24} {}", String::from_utf8_lossy(&message.payload)));
        }
    }
    lines.sort();
    lines.iter().try_for_each(|line| say(line))
}

/// Has a service publish its recorded events again.
pub(super) async fn republish(settings: &Settings, service: &str, options: &[&str]) -> Result<(), String> {
    let mut question = RepublishEvents { entity_id: None, since: None };
    match options {
        [] => {}
        ["--entity", id] => question.entity_id = Some((*id).to_owned()),
        ["--since", time] => {
            let time = DateTime::parse_from_rfc3339(time)
                .map_err(|error| format!("`{time}` is no time such as 2026-11-21T14:00:00Z ({error})"))?;
            question.since = Some(time.with_timezone(&Utc));
        }
        _ => return Err("after the service there is nothing, `--entity ID`, or `--since TIME`".to_owned()),
    }
    let client = connect(settings, OPERATOR).await.map_err(text)?;
    let republished = Caller::new(client).call_at(service, &question).await.map_err(text)?;
    say(&format!("{} events of {service} are published again", republished.count))
}
