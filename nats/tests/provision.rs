//! JetStream is brought to what the topology says, and kept there.

use std::{collections::BTreeMap, os::unix::fs::PermissionsExt, time::Duration};

use async_nats::{
    HeaderMap,
    jetstream::{self, consumer::PullConsumer, stream},
};
use futures_util::StreamExt;
use nats::{
    config::Settings,
    connect::{connect, jetstream},
    manifest::ConsumerEntry,
    topology::{
        ClusterNode, PROVISIONER, Permissions, StoredBucket, Stream, Topology, differences, provision, watch,
        write_cluster, write_keys,
    },
};
use stack::{
    nats_server::{Damage, NatsServer},
    scratch::Scratch,
    wait::wait_for,
};

const BOUND: Duration = Duration::from_secs(20);
const STREAM: &str = "THING";
const CONSUMER: &str = "probe-note";
const SUBJECT: &str = "evt.thing.done.x";

/// A server with one stream, one consumer and one bucket to be provisioned.
struct World {
    server: NatsServer,
    jetstream: jetstream::Context,
    topology: Topology,
    _scratch: Scratch,
}

impl World {
    async fn new() -> Self {
        let everything =
            Permissions { publish: vec![">".to_owned()], subscribe: vec![">".to_owned()], ..Permissions::default() };
        let topology = Topology {
            streams: vec![Stream {
                name: STREAM.to_owned(),
                subjects: vec!["evt.thing.done.*".to_owned()],
                max_age_s: 3600,
                max_bytes: 64 << 20,
            }],
            consumers: vec![ConsumerEntry {
                stream: STREAM.to_owned(),
                durable: CONSUMER.to_owned(),
                event_type: "thing.done.v1".to_owned(),
                filter: "evt.thing.done.*".to_owned(),
            }],
            states: Vec::new(),
            buckets: vec![StoredBucket { name: "papers".to_owned(), max_age_s: Some(600), max_bytes: 1 << 20 }],
            users: BTreeMap::from([(PROVISIONER.to_owned(), everything)]),
        };
        let scratch = Scratch::new("nats").unwrap();
        write_keys(&topology, scratch.path()).unwrap();
        let config = scratch.path().join("nats.conf");
        let server = NatsServer::start(&config, scratch.path(), None, &[]).await.unwrap();
        let seed = scratch.path().join(format!("{PROVISIONER}.nk")).display().to_string();
        let settings = Settings::default().with("NATS_URL", server.url()).with("NATS_SEED_FILE", seed);
        let client = connect(&settings, PROVISIONER).await.unwrap();
        Self { server, jetstream: jetstream(&client), topology, _scratch: scratch }
    }

    async fn provision(&self) -> Vec<String> {
        provision(&self.jetstream, &self.topology, 1).await.unwrap()
    }

    async fn differences(&self) -> Vec<String> {
        differences(&self.jetstream, &self.topology, 1).await.unwrap()
    }

    async fn stream(&self) -> stream::Stream {
        wait_for("the stream", BOUND, async || {
            self.jetstream.get_stream(STREAM).await.map(Some).map_err(|error| error.to_string())
        })
        .await
        .unwrap()
    }

    /// Publishes these events, each under its name as the id.
    async fn publish(&self, names: std::ops::Range<u32>) {
        for name in names {
            let mut headers = HeaderMap::new();
            headers.insert("Nats-Msg-Id", name.to_string());
            wait_for("the stream to take an event", BOUND, async || {
                let ack = self.jetstream.publish_with_headers(SUBJECT, headers.clone(), name.to_string().into()).await;
                let ack = ack.map_err(|error| error.to_string())?.await;
                ack.map(|_| Some(())).map_err(|error| error.to_string())
            })
            .await
            .unwrap();
        }
    }

    /// Reads and acknowledges until each of these has come.
    async fn read(&self, names: std::ops::Range<u32>) {
        let mut missing: Vec<u32> = names.collect();
        let reading = async {
            while !missing.is_empty() {
                let Ok(consumer) = self.stream().await.get_consumer::<_>(CONSUMER).await else { continue };
                let consumer: PullConsumer = consumer;
                let Ok(mut batch) = consumer.fetch().max_messages(100).messages().await else { continue };
                while let Some(Ok(message)) = batch.next().await {
                    message.double_ack().await.unwrap();
                    let name: u32 = String::from_utf8_lossy(&message.payload).parse().unwrap();
                    missing.retain(|wanted| *wanted != name);
                }
            }
        };
        let outcome = tokio::time::timeout(BOUND, reading).await;
        assert!(outcome.is_ok(), "the consumer never got {missing:?}");
    }
}

#[tokio::test]
async fn provisioning_again_finds_nothing_to_do() {
    let world = World::new().await;
    assert_eq!(world.differences().await.len(), 2, "a bucket and a stream are not there");

    let made = world.provision().await;

    assert_eq!(made.len(), 3, "a bucket, a stream and a consumer: {made:?}");
    assert_eq!(world.provision().await, Vec::<String>::new());
    assert_eq!(world.differences().await, Vec::<String>::new());
    assert!(world.jetstream.get_object_store("papers").await.is_ok(), "the bucket is one to the client library");
}

#[tokio::test]
async fn what_is_not_as_it_should_be_is_put_right() {
    let world = World::new().await;
    world.provision().await;
    let mut config = world.stream().await.cached_info().config.clone();
    config.max_age = Duration::from_secs(1800);
    world.jetstream.update_stream(&config).await.unwrap();
    world.stream().await.delete_consumer(CONSUMER).await.unwrap();

    assert_eq!(world.differences().await.len(), 2);
    assert_eq!(world.provision().await.len(), 2);

    assert_eq!(world.stream().await.cached_info().config.max_age, Duration::from_secs(3600));
    assert_eq!(world.differences().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_store_is_filled_again_by_the_watch() {
    let mut world = World::new().await;
    let (jetstream, topology) = (world.jetstream.clone(), world.topology.clone());
    let watching = tokio::spawn(async move { watch(&jetstream, &topology, 1).await });
    let complete = async |world: &World| {
        wait_for("everything to be there", BOUND, async || {
            let missing = differences(&world.jetstream, &world.topology, 1).await.map_err(|error| error.to_string())?;
            if missing.is_empty() { Ok(Some(())) } else { Err(missing.join("; ")) }
        })
        .await
        .unwrap();
    };
    complete(&world).await;

    world.server.process().kill();
    world.server.wipe_store().unwrap();
    world.server.restart().await.unwrap();

    complete(&world).await;
    watching.abort();
}

/// The numbers of what was lost are given again, to other messages, and the consumer had read further than that.
#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_has_read_what_its_stream_lost_gets_what_comes_in_its_place() {
    let mut world = World::new().await;
    world.provision().await;
    world.publish(0..10).await;
    world.read(0..10).await;
    // With all that it remembers written down.
    world.server.process().terminate().await;
    let earlier = world.server.copy_messages(STREAM).unwrap();
    world.server.restart().await.unwrap();
    world.publish(10..20).await;
    world.read(10..20).await;
    world.server.process().terminate().await;
    world.server.set_messages_back(STREAM, &earlier).unwrap();

    world.server.restart().await.unwrap();

    assert_eq!(world.stream().await.cached_info().state.last_sequence, 10);
    world.publish(100..130).await;
    world.read(100..130).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_survives_that_the_end_of_its_stream_is_cut_off() {
    let mut world = World::new().await;
    world.provision().await;
    world.publish(0..20).await;
    world.read(0..20).await;

    world.server.process().kill();
    world.server.damage_store(STREAM, Damage::Truncated(u64::MAX)).unwrap();
    world.server.restart().await.unwrap();

    world.publish(100..130).await;
    world.read(100..130).await;
}

#[test]
fn the_servers_of_a_cluster_share_a_secret_that_stays() {
    let scratch = Scratch::new("keys").unwrap();
    let node =
        |number: u32| ClusterNode { name: format!("nats-{number}"), address: format!("127.0.0.1:{}", 6220 + number) };
    let nodes: Vec<ClusterNode> = (1..=3).map(node).collect();
    let read = |name: &str| std::fs::read_to_string(scratch.path().join(format!("{name}.conf"))).unwrap();

    write_cluster(scratch.path(), &nodes).unwrap();
    let first = read("nats-2");
    write_cluster(scratch.path(), &nodes).unwrap();

    assert_eq!(read("nats-2"), first, "running it again changes nothing");
    let secret = std::fs::read_to_string(scratch.path().join("routes.secret")).unwrap();
    for (number, file) in [(1, read("nats-1")), (2, first), (3, read("nats-3"))] {
        assert!(file.contains(&format!("server_name: nats-{number}")), "{file}");
        assert!(file.contains(&format!("listen: 127.0.0.1:{}", 6220 + number)), "{file}");
        assert!(file.contains(&format!("argosy:{secret}@127.0.0.1:6223")), "{file}");
    }
    for name in ["nats-1.conf", "routes.secret"] {
        let mode = std::fs::metadata(scratch.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name} is for its owner only");
    }
}
