//! `argosy`: the operator's command. It speaks NATS only.

use std::{io::Write, path::PathBuf, process::ExitCode};

use nats::{
    config::Settings,
    connect::{connect, jetstream},
    contracts::user::GrantRole,
    identity::Role,
    invoke::Caller,
    topology::{self, OPERATOR, PROVISIONER, Topology},
};

const HELP: &str = "argosy: keys, streams, events and dead letters of an Argosy installation

  argosy keys --dir DIR           make each user's nkey, and nats.conf with what each may do
  argosy provision                create streams, consumers and buckets (as the user `provisioner`)
  argosy events ENTITY_ID         print an entity's events, oldest first (as `operator`)
  argosy dead list                print the dead letters
  argosy dead redrive SEQ|all     publish a dead letter, or all, again
  argosy user grant EMAIL ROLE    give a registered user the role customer, staff or admin

Settings come from the environment: NATS_URL, NATS_SEED or NATS_SEED_FILE, LOG.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let settings = Settings::from_environment();
    if let Err(error) = nats::telemetry::start(&settings) {
        return fail(&error.to_string());
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.to_string()),
    };
    let outcome = runtime.block_on(async {
        match words.as_slice() {
            ["keys", "--dir", directory] => keys(directory),
            ["provision"] => provision(&settings).await,
            ["events", entity_id] => inspect::events(&settings, entity_id).await,
            ["dead", "list"] => inspect::dead_letters(&settings).await,
            ["dead", "redrive", which] => inspect::redrive(&settings, which).await,
            ["user", "grant", email, role] => grant(&settings, email, role).await,
            _ => Err(HELP.to_owned()),
        }
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => fail(&reason),
    }
}

fn fail(reason: &str) -> ExitCode {
    let _closed = writeln!(std::io::stderr(), "{reason}");
    ExitCode::FAILURE
}

fn say(line: &str) -> Result<(), String> {
    writeln!(std::io::stdout(), "{line}").map_err(text)
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn keys(directory: &str) -> Result<(), String> {
    topology::write_keys(&Topology::embedded().map_err(text)?, &PathBuf::from(directory)).map_err(text)
}

async fn provision(settings: &Settings) -> Result<(), String> {
    let client = connect(settings, PROVISIONER).await.map_err(text)?;
    topology::provision(&jetstream(&client), &Topology::embedded().map_err(text)?).await.map_err(text)
}

async fn grant(settings: &Settings, email: &str, role: &str) -> Result<(), String> {
    let client = connect(settings, OPERATOR).await.map_err(text)?;
    let question = GrantRole { email: email.parse().map_err(text)?, role: role.parse::<Role>()? };
    let granted = Caller::new(client).call(&question).await.map_err(|error| match error {
        nats::invoke::CallError::Refused(_) => format!("nobody is registered as {email}"),
        other => other.to_string(),
    })?;
    say(&format!("{} has the role {role}", granted.user_id))
}

/// Looking at streams, and putting dead letters back.
mod inspect {
    use async_nats::{
        HeaderMap,
        jetstream::{
            consumer::{DeliverPolicy, OrderedPullConsumer, pull::OrderedConfig},
            message::StreamMessage,
        },
    };
    use futures_util::StreamExt;
    use nats::topology::DEAD;

    use super::{OPERATOR, Settings, Topology, connect, jetstream, say, text};

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

    fn header<'a>(headers: Option<&'a HeaderMap>, name: &str) -> &'a str {
        headers.and_then(|headers| headers.get(name)).map_or("-", |value| value.as_str())
    }

    pub(super) async fn events(settings: &Settings, entity_id: &str) -> Result<(), String> {
        let mut lines = Vec::new();
        for stream in Topology::embedded().map_err(text)?.streams.iter().filter(|stream| stream.name != DEAD) {
            for message in messages(settings, &stream.name, &format!("evt.*.*.{entity_id}")).await? {
                let headers = message.headers.as_ref();
                let (time, kind) = (header(headers, "ce-time"), header(headers, "ce-type"));
                lines.push(format!("{time}  {kind:<24} {}", String::from_utf8_lossy(&message.payload)));
            }
        }
        lines.sort();
        lines.iter().try_for_each(|line| say(line))
    }

    pub(super) async fn dead_letters(settings: &Settings) -> Result<(), String> {
        for message in messages(settings, DEAD, "dead.>").await? {
            let sequence = message.info().map_err(text)?.stream_sequence;
            let headers = message.headers.as_ref();
            let (subject, reason) = (header(headers, "Dead-Subject"), header(headers, "Dead-Reason"));
            say(&format!("{sequence}  {}  {subject}  {reason}", message.subject))?;
        }
        Ok(())
    }

    /// Publishes to the original subject: every consumer sees it, and those that had it before ignore it.
    pub(super) async fn redrive(settings: &Settings, which: &str) -> Result<(), String> {
        let client = connect(settings, OPERATOR).await.map_err(text)?;
        let context = jetstream(&client);
        let dead = context.get_stream(DEAD).await.map_err(text)?;
        let sequences = if which == "all" {
            let mut all = Vec::new();
            for message in messages(settings, DEAD, "dead.>").await? {
                all.push(message.info().map_err(text)?.stream_sequence);
            }
            all
        } else {
            vec![which.parse().map_err(|_| format!("`{which}` is no sequence number; see `argosy dead list`"))?]
        };
        for sequence in sequences {
            let letter: StreamMessage = dead.get_raw_message(sequence).await.map_err(text)?;
            let subject = header(Some(&letter.headers), "Dead-Subject").to_owned();
            let mut headers = HeaderMap::new();
            for (name, values) in letter.headers.iter().filter(|(name, _)| !name.to_string().starts_with("Dead-")) {
                for value in values.iter().filter(|_| !name.to_string().starts_with("Nats-")) {
                    headers.append(name.clone(), value.clone());
                }
            }
            // The event keeps its id. Inside the deduplication window the stream would take it for a repeat.
            headers.insert("Nats-Msg-Id", header(Some(&letter.headers), "ce-id"));
            let ack = context.publish_with_headers(subject.clone(), headers, letter.payload).await.map_err(text)?;
            let ack = ack.await.map_err(text)?;
            if ack.duplicate {
                return Err(format!("{sequence} was published within the last two minutes; try again after that"));
            }
            dead.delete_message(sequence).await.map_err(text)?;
            say(&format!("{sequence} published again on {subject}"))?;
        }
        Ok(())
    }
}
