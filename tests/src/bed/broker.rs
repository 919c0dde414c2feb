//! The bed's nats-server: permissions as in production, plus the user `bed` who may do everything.

use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use async_nats::{
    Client, HeaderMap, HeaderName, HeaderValue,
    jetstream::{
        self,
        consumer::{DeliverPolicy, OrderedPullConsumer, pull::OrderedConfig},
        stream,
    },
};
use futures_util::StreamExt;
use nats::{
    config::Settings,
    connect::{connect, jetstream},
    contracts::Event,
    manifest::Manifest,
    outbox::envelope,
    topology::{Permissions, Topology, provision, write_keys},
    types::EventId,
};

use crate::{Result, StackError, error::Doing, nats_server::NatsServer, scratch::Scratch, wait::wait_for};

const ALL: &str = "bed";

pub(super) struct Broker {
    server: NatsServer,
    client: Client,
    jetstream: jetstream::Context,
    scratch: Scratch,
}

impl Broker {
    pub(super) async fn start() -> Result<Self> {
        let scratch = Scratch::new("nats")?;
        let directory = scratch.path();
        write(directory, &topology(&[]))?;
        let server = NatsServer::start(&directory.join("nats.conf"), directory, None, &[]).await?;
        // Services answer the gateway, so the bed listens where it would.
        let client =
            connect(&settings(directory, &server, ALL), "gateway").await.doing(|| "connect to NATS".to_owned())?;
        let jetstream = jetstream(&client);
        Ok(Self { server, client, jetstream, scratch })
    }

    pub(super) const fn client(&self) -> &Client {
        &self.client
    }

    pub(super) const fn jetstream(&self) -> &jetstream::Context {
        &self.jetstream
    }

    pub(super) const fn server(&mut self) -> &mut NatsServer {
        &mut self.server
    }

    /// Where keys and logs are.
    pub(super) fn directory(&self) -> &Path {
        self.scratch.path()
    }

    /// What a process needs to connect as `user`.
    pub(super) fn settings(&self, user: &str) -> Settings {
        settings(self.scratch.path(), &self.server, user)
    }

    /// Gives the services of these lists their users, streams, consumers and buckets.
    pub(super) async fn admit(&self, manifests: &[Manifest]) -> Result<()> {
        let topology = topology(manifests);
        provision(&self.jetstream, &topology, 1).await.doing(|| "provision JetStream".to_owned())?;
        write(self.scratch.path(), &topology)?;
        self.server.process().signal(libc::SIGHUP)?;
        let newest = manifests.last().map_or(ALL, |manifest| manifest.service.as_str());
        // The reload is done when the new user is let in.
        let settings = self.settings(newest);
        wait_for(&format!("nats-server to know {newest}"), Duration::from_secs(10), || async {
            let seed = settings.require("NATS_SEED").map_err(|error| error.to_string())?;
            let attempt = async_nats::ConnectOptions::with_nkey(seed).connect(self.server.url()).await;
            attempt.map(|_| Some(())).map_err(|error| error.to_string())
        })
        .await
    }

    pub(super) async fn lose_everything(&mut self, manifests: &[Manifest]) -> Result<()> {
        self.server.process().kill();
        std::fs::remove_dir_all(self.scratch.path().join("jetstream")).doing(|| "remove the store".to_owned())?;
        self.server.restart().await?;
        let topology = topology(manifests);
        wait_for("JetStream to be provisioned again", Duration::from_secs(10), || async {
            provision(&self.jetstream, &topology, 1).await.map(|_| Some(())).map_err(|error| error.to_string())
        })
        .await
    }

    pub(super) async fn publish<E: Event>(&self, event: &E, times: usize) -> Result<()> {
        self.make_stream::<E>().await?;
        let id = EventId::new();
        for time in 0..times {
            let headers = envelope(id, event);
            if time > 0 {
                // The same event id again, as after a loss that the relay repaired: the stream must not remember it.
                self.forget_duplicates(&E::stream()).await?;
            }
            let body = serde_json::to_string(event).doing(|| "write the event".to_owned())?;
            let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let tried = AtomicBool::new(false);
            wait_for("the stream to take the message", Duration::from_secs(10), || async {
                let again = tried.swap(true, Ordering::Relaxed);
                match self.store(&event.subject(), &headers, &body).await? {
                    // A try whose acknowledgement was lost may have stored it.
                    duplicate if duplicate && !again => Err(taken_for_a_repeat(&event.subject())),
                    _ => Ok(Some(())),
                }
            })
            .await?;
        }
        Ok(())
    }

    pub(super) async fn publish_raw(&self, subject: &str, headers: &[(&str, &str)], body: &str) -> Result<()> {
        if self.store(subject, headers, body).await? { Err(taken_for_a_repeat(subject)) } else { Ok(()) }
    }

    /// Publishes; tells whether the stream took it for a repeat.
    async fn store(&self, subject: &str, headers: &[(&str, &str)], body: &str) -> Result<bool> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name: HeaderName = name.parse().doing(|| format!("use the header {name}"))?;
            map.insert(name, value.parse::<HeaderValue>().doing(|| format!("use the value {value}"))?);
        }
        let published = self.jetstream.publish_with_headers(subject.to_owned(), map, body.to_owned().into()).await;
        let ack =
            published.doing(|| format!("publish on {subject}"))?.await.doing(|| format!("publish on {subject}"))?;
        Ok(ack.duplicate)
    }

    /// Shortens the stream's window of deduplication, so that it soon takes the same id again.
    async fn forget_duplicates(&self, name: &str) -> Result<()> {
        let stream = self.jetstream.get_stream(name).await.doing(|| format!("find the stream {name}"))?;
        let mut config = stream.cached_info().config.clone();
        config.duplicate_window = Duration::from_millis(100);
        self.jetstream.update_stream(&config).await.map(drop).doing(|| format!("update the stream {name}"))
    }

    /// Events of services that are not run here need their stream all the same.
    async fn make_stream<E: Event>(&self) -> Result<()> {
        let name = E::stream();
        let found = self.jetstream.get_stream(&name).await.ok();
        let subjects = found.map(|stream| stream.cached_info().config.subjects.clone()).unwrap_or_default();
        if subjects.contains(&E::subject_filter()) {
            return Ok(());
        }
        let config = stream::Config {
            name: name.clone(),
            subjects: subjects.into_iter().chain([E::subject_filter()]).collect(),
            allow_direct: true,
            ..stream::Config::default()
        };
        self.jetstream.create_or_update_stream(config).await.map(drop).doing(|| format!("make the stream {name}"))
    }

    /// Every event of a type that is in the stream now.
    pub(super) async fn events<E: Event>(&self) -> Result<Vec<E>> {
        let messages = self.messages(&E::stream(), &E::subject_filter()).await?;
        messages
            .iter()
            .map(|message| serde_json::from_slice(&message.payload).doing(|| "read an event".to_owned()))
            .collect()
    }

    async fn messages(&self, stream: &str, filter: &str) -> Result<Vec<jetstream::Message>> {
        let failed = || format!("read the stream {stream}");
        let stream = self.jetstream.get_stream(stream).await.doing(failed)?;
        let config = OrderedConfig {
            filter_subject: filter.to_owned(),
            deliver_policy: DeliverPolicy::All,
            ..OrderedConfig::default()
        };
        let consumer: OrderedPullConsumer = stream.create_consumer(config).await.doing(failed)?;
        let pending = usize::try_from(consumer.cached_info().num_pending).unwrap_or_default();
        let mut incoming = consumer.messages().await.doing(failed)?.take(pending);
        let mut found = Vec::with_capacity(pending);
        while let Some(message) = incoming.next().await {
            found.push(message.doing(failed)?);
        }
        Ok(found)
    }
}

/// What these services need, with a stream for each that one of them takes events from.
fn topology(manifests: &[Manifest]) -> Topology {
    let mut all = manifests.to_vec();
    if !all.iter().any(|manifest| manifest.forwards) {
        all.push(Manifest { service: "gateway".to_owned(), forwards: true, ..Manifest::default() });
    }
    let mut topology = Topology::of(&all);
    for consumer in &topology.consumers {
        if !topology.streams.iter().any(|stream| stream.name == consumer.stream) {
            topology.streams.push(nats::topology::Stream {
                name: consumer.stream.clone(),
                subjects: Vec::new(),
                max_age_s: 3600,
                max_bytes: 64 << 20,
            });
        }
    }
    let wanted: Vec<(String, String)> =
        topology.consumers.iter().map(|consumer| (consumer.stream.clone(), consumer.filter.clone())).collect();
    for stream in &mut topology.streams {
        for (_, filter) in wanted.iter().filter(|(name, _)| *name == stream.name) {
            if !stream.subjects.contains(filter) {
                stream.subjects.push(filter.clone());
            }
        }
    }
    let everything =
        Permissions { publish: vec![">".to_owned()], subscribe: vec![">".to_owned()], ..Permissions::default() };
    topology.users.insert(ALL.to_owned(), everything);
    topology
}

fn write(directory: &Path, topology: &Topology) -> Result<()> {
    write_keys(topology, directory).doing(|| "write the users' keys".to_owned())
}

fn taken_for_a_repeat(subject: &str) -> StackError {
    StackError::new(format!("the stream took the message on {subject} for a repeat"))
}

fn settings(directory: &Path, server: &NatsServer, user: &str) -> Settings {
    let seed = directory.join(format!("{user}.nk"));
    Settings::default().with("NATS_URL", server.url()).with("NATS_SEED_FILE", seed.display().to_string())
}
